import { describe, expect, test } from "vitest";
import { UPS_START, type UpsInput, type UpsState, upsMachine } from "./ups-machine.ts";

const online: UpsInput = { type: "reading", utility_fail: false, battery_low: false };
const charging: UpsInput = { type: "reading", utility_fail: false, battery_low: true };
const battery: UpsInput = { type: "reading", utility_fail: true, battery_low: false };
const low: UpsInput = { type: "reading", utility_fail: true, battery_low: true };
const silence: UpsInput = { type: "silence_timeout" };

/** The verdicts after each input. */
function verdicts(...inputs: UpsInput[]): string[] {
  let state: UpsState = UPS_START;
  return inputs.map((input) => {
    state = upsMachine(state, input).state;
    return state.verdict;
  });
}

describe("the verdict of a UPS", () => {
  test("is unknown at first, and online with the first reading that says so", () => {
    expect(verdicts(online)).toEqual(["online"]);
  });

  test("is on battery only when two readings in a row say it", () => {
    expect(verdicts(online, battery, online, battery, battery)).toEqual([
      "online",
      "online",
      "online",
      "online",
      "on_battery",
    ]);
  });

  test("needs two readings for the battery also when nothing was known", () => {
    expect(verdicts(battery, battery)).toEqual(["unknown", "on_battery"]);
  });

  test("goes to low battery and back to mains, each on two readings", () => {
    expect(verdicts(battery, battery, low, low, online, online)).toEqual([
      "unknown",
      "on_battery",
      "on_battery",
      "low_battery",
      "low_battery",
      "online",
    ]);
  });

  test("a low battery that is being charged is not what the box runs on", () => {
    expect(verdicts(charging)).toEqual(["online"]);
  });

  test("two readings that disagree with each other do not add up", () => {
    expect(verdicts(online, battery, low)).toEqual(["online", "online", "online"]);
  });

  test("is unknown after the silence timeout, and two earlier readings do not count any more", () => {
    expect(verdicts(online, battery, silence, battery)).toEqual(["online", "online", "unknown", "unknown"]);
  });

  test("silence is told each time, a change of verdict once", () => {
    const state: UpsState = { verdict: "on_battery", candidate: "on_battery", agreeing: 0 };
    const first = upsMachine(state, silence);
    expect(first.effects).toEqual([
      { type: "verdict", from: "on_battery", to: "unknown" },
      { type: "silent" },
      { type: "await_reading" },
    ]);
    expect(upsMachine(first.state, silence).effects).toEqual([{ type: "silent" }, { type: "await_reading" }]);
  });
});
