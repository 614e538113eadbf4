import { describe, expect, test } from "vitest";
import type { SipResponse } from "../messages/message.ts";
import { INVITE_CLIENT_START, type InviteClientInput, type InviteClientState, inviteClient } from "./invite-client.ts";
import { RFC_TIMERS } from "./timers.ts";

function response(status: number): SipResponse {
  return { kind: "response", status, reason: "", headers: [], body: new Uint8Array(0) };
}

function run(
  { reliable = false, retransmitAt_ms = [] }: { reliable?: boolean; retransmitAt_ms?: readonly number[] },
  ...inputs: readonly InviteClientInput[]
) {
  const machine = inviteClient({ reliable, timers: RFC_TIMERS, retransmitAt_ms });
  let state: InviteClientState = INVITE_CLIENT_START;
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

const start: InviteClientInput = { type: "start" };
const fire = (timer: "A" | "B" | "D" | "M" | "C64"): InviteClientInput => ({ type: "timer", timer });
const got = (status: number): InviteClientInput => ({ type: "response", response: response(status) });
const quiet: InviteClientInput = { type: "quiet" };
const cancel: InviteClientInput = { type: "cancel" };
const failed: InviteClientInput = { type: "transport-error", error: { code: "ENETUNREACH", detail: "" } };

describe("Calling", () => {
  test("starts with the request, Timer A at T1 and Timer B at 64*T1", () => {
    expect(run({}, start)).toEqual({ state: "Calling", effects: ["send", "A=500", "B=32000"] });
  });
  test("starts without Timer A over a reliable transport, paced schedule or not", () => {
    expect(run({ reliable: true, retransmitAt_ms: [40] }, start).effects).toEqual(["send", "B=32000"]);
  });
  test("Timer A doubles without a ceiling", () => {
    const inputs: InviteClientInput[] = [start];
    const delays: (string | undefined)[] = [];
    for (let n = 0; n < 6; n++) {
      inputs.push(fire("A"));
      delays.push(run({}, ...inputs).effects[1]);
    }
    expect(delays).toEqual(["A=1000", "A=2000", "A=4000", "A=8000", "A=16000", "A=32000"]);
  });
  test("a paced schedule comes first, and doubling from T1 goes on after it", () => {
    const paced = { retransmitAt_ms: [40, 90, 150] };
    expect(run(paced, start).effects[1]).toBe("A=40");
    expect(run(paced, start, fire("A")).effects).toEqual(["send", "A=50"]);
    expect(run(paced, start, fire("A"), fire("A")).effects).toEqual(["send", "A=60"]);
    expect(run(paced, start, fire("A"), fire("A"), fire("A")).effects).toEqual(["send", "A=500"]);
    expect(run(paced, start, fire("A"), fire("A"), fire("A"), fire("A")).effects).toEqual(["send", "A=1000"]);
  });
  test("Timer B tells the timeout", () => {
    expect(run({}, start, fire("B"))).toEqual({ state: "Terminated", effects: ["timeout"] });
  });
  test("a transport error ends it", () => {
    expect(run({}, start, failed)).toEqual({ state: "Terminated", effects: ["transport-error"] });
  });
  test("a provisional stops Timers A and B", () => {
    expect(run({}, start, got(100))).toEqual({ state: "Proceeding", effects: ["stop A", "stop B", "provisional 100"] });
  });
  test("CANCEL is held until a provisional comes", () => {
    expect(run({}, start, cancel)).toEqual({ state: "Calling", effects: [] });
    expect(run({}, start, cancel, got(180))).toEqual({
      state: "Proceeding",
      effects: ["stop A", "stop B", "provisional 180", "send-cancel", "C64=32000"],
    });
  });

  test("one whose sending failed listens: a first word is cancelled, an answer is told, Timer B ends it", () => {
    const listen: InviteClientInput = { type: "listen" };
    expect(run({}, listen)).toEqual({ state: "Calling", effects: ["B=32000"] });
    expect(run({}, listen, got(180)).effects).toContain("send-cancel");
    expect(run({}, listen, got(200)).effects).toContain("final 200");
    expect(run({}, listen, fire("B"))).toEqual({ state: "Terminated", effects: ["timeout"] });
  });

  test("once quiet it is not repeated, and what comes is taken all the same", () => {
    expect(run({}, start, cancel, quiet)).toEqual({ state: "Calling", effects: ["stop A"] });
    expect(run({}, start, cancel, quiet, got(180)).effects).toContain("send-cancel");
    expect(run({}, start, cancel, quiet, fire("B"))).toEqual({ state: "Terminated", effects: ["timeout"] });
    expect(run({ reliable: true }, start, quiet).effects).toEqual([]);
    expect(run({}, start, got(100), quiet)).toEqual({ state: "Proceeding", effects: [] });
  });
  test("a held CANCEL is never sent when the final response comes first", () => {
    expect(run({}, start, cancel, got(200)).effects).not.toContain("send-cancel");
    expect(run({}, start, cancel, got(486)).effects).not.toContain("send-cancel");
  });
});

describe("Proceeding", () => {
  test("hands up every provisional", () => {
    expect(run({}, start, got(100), got(183))).toEqual({ state: "Proceeding", effects: ["provisional 183"] });
  });
  test("CANCEL goes out once, with 64*T1 for the INVITE to end", () => {
    expect(run({}, start, got(100), cancel).effects).toEqual(["send-cancel", "C64=32000"]);
    expect(run({}, start, got(100), cancel, cancel).effects).toEqual([]);
    expect(run({}, start, got(100), cancel, fire("C64"))).toEqual({ state: "Terminated", effects: ["timeout"] });
  });
  test("a broken connection ends it", () => {
    expect(run({ reliable: true }, start, got(100), failed)).toEqual({
      state: "Terminated",
      effects: ["transport-error"],
    });
  });
});

describe("Completed", () => {
  const stops = ["stop A", "stop B", "stop C64"];
  for (const status of [300, 404, 486, 503, 603]) {
    test(`${status} is acknowledged, and Timer D absorbs its repetitions`, () => {
      expect(run({}, start, got(status))).toEqual({
        state: "Completed",
        effects: [...stops, `send-ack ${status}`, "D=32000", `final ${status}`],
      });
      expect(run({}, start, got(status), got(status)).effects).toEqual([`send-ack ${status}`]);
      expect(run({}, start, got(status), fire("D"))).toEqual({ state: "Terminated", effects: [] });
    });
  }
  test("Timer D is zero over a reliable transport", () => {
    expect(run({ reliable: true }, start, got(486))).toEqual({
      state: "Terminated",
      effects: [...stops, "send-ack 486", "final 486"],
    });
  });
  test("a provisional or 2xx after the final, and CANCEL, have no effect", () => {
    for (const late of [got(180), got(200), cancel]) expect(run({}, start, got(486), late).effects).toEqual([]);
  });
  test("an ACK that cannot be sent ends it", () => {
    expect(run({}, start, got(486), failed)).toEqual({ state: "Terminated", effects: ["transport-error"] });
  });
});

describe("Accepted", () => {
  test("a 2xx starts Timer M over any transport and sends no ACK", () => {
    for (const reliable of [false, true]) {
      expect(run({ reliable }, start, got(200))).toEqual({
        state: "Accepted",
        effects: ["stop A", "stop B", "stop C64", "M=32000", "final 200"],
      });
    }
  });
  test("hands up each further 2xx and nothing else", () => {
    expect(run({}, start, got(200), got(200))).toEqual({ state: "Accepted", effects: ["final 200"] });
    for (const late of [got(180), got(486), cancel, failed]) {
      expect(run({}, start, got(200), late)).toEqual({ state: "Accepted", effects: [] });
    }
  });
  test("Timer M ends it", () => {
    expect(run({}, start, got(200), fire("M"))).toEqual({ state: "Terminated", effects: [] });
  });
});
