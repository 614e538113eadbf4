import { describe, expect, test } from "vitest";
import { MODEM_START, type ModemBelief, type ModemEffect, type ModemInput, modemMachine } from "./modem-machine.ts";

function whatBecomes(...inputs: ModemInput[]): { belief: ModemBelief; effects: ModemEffect[] } {
  let belief = MODEM_START;
  let effects: readonly ModemEffect[] = [];
  for (const input of inputs) ({ state: belief, effects } = modemMachine(belief, input));
  return { belief, effects: [...effects] };
}

const opened: ModemInput = { type: "opened" };
const identified: ModemInput = { type: "identified" };
const timedOut: ModemInput = { type: "timed_out" };
const answered: ModemInput = { type: "answered" };
const hangs = [timedOut, timedOut, timedOut];
const says = (...of: Extract<ModemInput, { type: "registration" }>["of"]): ModemInput => ({ type: "registration", of });

describe("a modem", () => {
  test("is missing, then identifying, then searching", () => {
    expect(whatBecomes().belief.state).toBe("missing");
    expect(whatBecomes(opened)).toMatchObject({ belief: { state: "identifying" }, effects: [{ type: "identify" }] });
    expect(whatBecomes(opened, identified)).toMatchObject({
      belief: { state: "searching" },
      effects: [{ type: "poll" }],
    });
  });

  test.each([
    [["home"], "registered", ""],
    [["searching", "home"], "registered", ""],
    [["denied", "roaming"], "registered", "roaming"],
    [["denied", "searching"], "denied", "the network denies registration"],
    [["emergency_only", "searching"], "denied", "the network takes emergency calls only"],
    [["searching"], "searching", ""],
    [["not_searching"], "searching", "it does not look for a network"],
    [[], "searching", "it does not look for a network"],
  ] as const)("that hears %j is %s", (of, state, reason) => {
    expect(whatBecomes(opened, identified, says(...of)).belief).toMatchObject({ state, reason });
  });

  test("three timeouts in a row are a reset; two and an answer are not", () => {
    expect(whatBecomes(opened, identified, timedOut, timedOut, answered, timedOut, timedOut).belief.state).toBe(
      "searching",
    );
    expect(whatBecomes(opened, identified, says("home"), ...hangs)).toMatchObject({
      belief: { state: "failed", reason: "it does not answer" },
      effects: [{ type: "stop" }, { type: "reset", reopen_after_ms: 10_000 }],
    });
  });

  test("that goes on hanging stays failed, and is reset less and less often", () => {
    const waits = [1, 2, 3, 4, 5, 6, 7].map((rounds) => {
      const { belief, effects } = whatBecomes(...Array.from({ length: rounds }, () => [opened, ...hangs]).flat());
      expect(belief.state).toBe("failed");
      return effects.find((effect) => effect.type === "reset")?.reopen_after_ms;
    });
    expect(waits).toEqual([10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
  });

  test("that was failed and answers is searching again, and its resets are forgotten", () => {
    const { belief } = whatBecomes(opened, ...hangs, opened, answered, identified);
    expect(belief).toEqual({ state: "searching", reason: "", timeouts: 0, resets: 0 });
  });

  test("what a hanging modem said of the network before is not heard any more", () => {
    expect(whatBecomes(opened, identified, ...hangs, says("home")).belief.state).toBe("failed");
  });

  test("without a SIM is failed until it has one", () => {
    const fault: ModemInput = { type: "sim_fault", why: "no SIM is inserted" };
    expect(whatBecomes(opened, identified, fault).belief).toMatchObject({
      state: "failed",
      reason: "no SIM is inserted",
    });
    expect(whatBecomes(opened, identified, fault, says("home")).belief.state).toBe("registered");
  });

  test("that starts by itself is told everything again", () => {
    expect(whatBecomes(opened, identified, says("home"), { type: "restarted" })).toMatchObject({
      belief: { state: "identifying" },
      effects: [{ type: "stop" }, { type: "identify" }],
    });
  });

  test("that is unplugged is missing, whatever it was", () => {
    for (const before of [[opened], [opened, identified], [opened, ...hangs]]) {
      expect(whatBecomes(...before, { type: "lost", why: "unplugged" })).toMatchObject({
        belief: { state: "missing", reason: "unplugged", resets: 0 },
        effects: [{ type: "stop" }],
      });
    }
  });
});
