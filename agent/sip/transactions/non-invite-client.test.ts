import { describe, expect, test } from "vitest";
import type { SipResponse } from "../messages/message.ts";
import {
  NON_INVITE_CLIENT_START,
  type NonInviteClientInput,
  type NonInviteClientState,
  nonInviteClient,
} from "./non-invite-client.ts";
import { RFC_TIMERS } from "./timers.ts";

function response(status: number): SipResponse {
  return { kind: "response", status, reason: "", headers: [], body: new Uint8Array(0) };
}

function run(
  { reliable = false, retransmitAt_ms = [] }: { reliable?: boolean; retransmitAt_ms?: readonly number[] },
  ...inputs: readonly NonInviteClientInput[]
) {
  const machine = nonInviteClient({ reliable, timers: RFC_TIMERS, retransmitAt_ms });
  let state: NonInviteClientState = NON_INVITE_CLIENT_START;
  let last: string[] = [];
  for (const input of inputs) {
    const next = machine(state, input);
    state = next.state;
    last = next.effects.map((effect) => {
      if (effect.type === "start-timer") return `${effect.timer}=${effect.after_ms}`;
      if (effect.type === "stop-timer") return `stop ${effect.timer}`;
      return "response" in effect ? `${effect.type} ${effect.response.status}` : effect.type;
    });
  }
  return { state: state.name, effects: last };
}

const start: NonInviteClientInput = { type: "start" };
const fire = (timer: "E" | "F" | "K"): NonInviteClientInput => ({ type: "timer", timer });
const got = (status: number): NonInviteClientInput => ({ type: "response", response: response(status) });
const failed: NonInviteClientInput = { type: "transport-error", error: { code: "ENETUNREACH", detail: "" } };

describe("Trying", () => {
  test("starts with the request, Timer E at T1 and Timer F at 64*T1", () => {
    expect(run({}, start)).toEqual({ state: "Trying", effects: ["send", "E=500", "F=32000"] });
    expect(run({ reliable: true }, start)).toEqual({ state: "Trying", effects: ["send", "F=32000"] });
  });
  test("Timer E doubles up to T2", () => {
    const inputs: NonInviteClientInput[] = [start];
    const delays: (string | undefined)[] = [];
    for (let n = 0; n < 5; n++) {
      inputs.push(fire("E"));
      delays.push(run({}, ...inputs).effects[1]);
    }
    expect(delays).toEqual(["E=1000", "E=2000", "E=4000", "E=4000", "E=4000"]);
  });
  test("a paced schedule comes first", () => {
    const paced = { retransmitAt_ms: [60, 120] };
    expect(run(paced, start).effects[1]).toBe("E=60");
    expect(run(paced, start, fire("E")).effects[1]).toBe("E=60");
    expect(run(paced, start, fire("E"), fire("E")).effects[1]).toBe("E=500");
  });
});

describe("Proceeding", () => {
  test("goes on repeating, at T2", () => {
    expect(run({}, start, got(100))).toEqual({ state: "Proceeding", effects: ["provisional 100"] });
    expect(run({}, start, got(100), fire("E")).effects).toEqual(["send", "E=4000"]);
  });
  test("Timer F tells the timeout here too", () => {
    expect(run({}, start, fire("F"))).toEqual({ state: "Terminated", effects: ["timeout"] });
    expect(run({}, start, got(100), fire("F"))).toEqual({ state: "Terminated", effects: ["timeout"] });
  });
  test("a transport error ends it", () => {
    expect(run({}, start, got(100), failed)).toEqual({ state: "Terminated", effects: ["transport-error"] });
  });
});

describe("Completed", () => {
  for (const status of [200, 302, 404, 500, 600]) {
    test(`${status} is told once, and Timer K absorbs its repetitions`, () => {
      expect(run({}, start, got(status))).toEqual({
        state: "Completed",
        effects: ["stop E", "stop F", "K=5000", `final ${status}`],
      });
      expect(run({}, start, got(status), got(status))).toEqual({ state: "Completed", effects: [] });
      expect(run({}, start, got(status), fire("K"))).toEqual({ state: "Terminated", effects: [] });
    });
  }
  test("Timer K is zero over a reliable transport", () => {
    expect(run({ reliable: true }, start, got(200))).toEqual({
      state: "Terminated",
      effects: ["stop E", "stop F", "final 200"],
    });
  });
});
