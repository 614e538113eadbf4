import { describe, expect, test } from "vitest";
import type { SipResponse } from "../messages/message.ts";
import {
  NON_INVITE_SERVER_START,
  type NonInviteServerInput,
  type NonInviteServerState,
  nonInviteServer,
} from "./non-invite-server.ts";
import { RFC_TIMERS } from "./timers.ts";

function run(reliable: boolean, ...inputs: readonly NonInviteServerInput[]) {
  const machine = nonInviteServer({ reliable, timers: RFC_TIMERS });
  let state: NonInviteServerState = NON_INVITE_SERVER_START;
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

const start: NonInviteServerInput = { type: "start" };
const again: NonInviteServerInput = { type: "request" };
const fire = (timer: "Trying" | "J" | "Unanswered"): NonInviteServerInput => ({ type: "timer", timer });
const respond = (status: number): NonInviteServerInput => {
  const response: SipResponse = { kind: "response", status, reason: "", headers: [], body: new Uint8Array(0) };
  return { type: "respond", response };
};
const failed: NonInviteServerInput = { type: "transport-error", error: { code: "ENETUNREACH", detail: "" } };

test("Trying keeps silent when the request comes again", () => {
  expect(run(false, start, again)).toEqual({ state: "Trying", effects: [] });
});

test.each([true, false])(
  "a 100 goes out when Timer E has come to T2, over any transport, and not before (RFC 4320)",
  (reliable) => {
    expect(run(reliable, start)).toEqual({ state: "Trying", effects: ["Trying=3500"] });
    expect(run(reliable, start, fire("Trying"))).toEqual({
      state: "Proceeding",
      effects: ["send-trying", "Unanswered=33500"],
    });
    expect(run(reliable, start, respond(100), fire("Trying")).effects).toEqual(["Unanswered=33500"]);
  },
);

test("Proceeding gives the provisional again", () => {
  expect(run(false, start, respond(100))).toEqual({ state: "Proceeding", effects: ["send 100"] });
  expect(run(false, start, respond(100), again).effects).toEqual(["send-again"]);
});

describe("Completed", () => {
  test("gives the final response again until Timer J", () => {
    expect(run(false, start, respond(200))).toEqual({
      state: "Completed",
      effects: ["stop Trying", "stop Unanswered", "send 200", "J=32000"],
    });
    expect(run(false, start, respond(200), again).effects).toEqual(["send-again"]);
    expect(run(false, start, respond(200), respond(500)).effects).toEqual([]);
    expect(run(false, start, respond(200), fire("J"))).toEqual({ state: "Terminated", effects: [] });
  });
  test("Timer J is zero over a reliable transport", () => {
    expect(run(true, start, respond(200))).toEqual({
      state: "Terminated",
      effects: ["stop Trying", "stop Unanswered", "send 200"],
    });
  });
  test("a response that cannot be sent is told", () => {
    expect(run(false, start, respond(200), failed)).toEqual({
      state: "Terminated",
      effects: ["stop J", "transport-error"],
    });
  });
});

test("a request that nobody answers does not stay for ever", () => {
  expect(run(false, start, fire("Trying")).effects).toContain("Unanswered=33500");
  expect(run(false, start, fire("Unanswered"))).toEqual({ state: "Terminated", effects: ["timeout"] });
  expect(run(false, start, respond(100), fire("Unanswered")).state).toBe("Terminated");
});
