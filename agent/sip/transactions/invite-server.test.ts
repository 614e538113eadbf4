import { describe, expect, test } from "vitest";
import type { SipRequest, SipResponse } from "../messages/message.ts";
import { INVITE_SERVER_START, type InviteServerInput, type InviteServerState, inviteServer } from "./invite-server.ts";
import { RFC_TIMERS } from "./timers.ts";

function response(status: number): SipResponse {
  return { kind: "response", status, reason: "", headers: [], body: new Uint8Array(0) };
}

const ackRequest: SipRequest = { kind: "request", method: "ACK", uri: "sip:b", headers: [], body: new Uint8Array(0) };

function run(reliable: boolean, ...inputs: readonly InviteServerInput[]) {
  const machine = inviteServer({ reliable, timers: RFC_TIMERS });
  let state: InviteServerState = INVITE_SERVER_START;
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

const start: InviteServerInput = { type: "start" };
const again: InviteServerInput = { type: "request" };
const ack: InviteServerInput = { type: "ack", ack: ackRequest };
const fire = (timer: "Trying" | "G" | "H" | "I" | "L"): InviteServerInput => ({ type: "timer", timer });
const respond = (status: number): InviteServerInput => ({ type: "respond", response: response(status) });
const failed: InviteServerInput = { type: "transport-error", error: { code: "ENETUNREACH", detail: "" } };

describe("Proceeding", () => {
  test("sends a 100 by itself after 200 ms of silence, and only then", () => {
    expect(run(false, start)).toEqual({ state: "Proceeding", effects: ["Trying=200"] });
    expect(run(false, start, fire("Trying")).effects).toEqual(["send-trying"]);
    expect(run(false, start, respond(180)).effects).toEqual(["stop Trying", "send 180"]);
    expect(run(false, start, respond(180), fire("Trying")).effects).toEqual([]);
  });
  test("a repeated INVITE gets the last provisional again, and nothing while there is none", () => {
    expect(run(false, start, again).effects).toEqual([]);
    expect(run(false, start, respond(183), again).effects).toEqual(["send-again"]);
    expect(run(false, start, fire("Trying"), again).effects).toEqual(["send-again"]);
  });
  test("a transport error is told and changes nothing (RFC 6026)", () => {
    expect(run(false, start, failed)).toEqual({ state: "Proceeding", effects: ["transport-error"] });
  });
});

describe("Completed", () => {
  test("a final response is repeated by Timer G up to T2 until Timer H", () => {
    expect(run(false, start, respond(486))).toEqual({
      state: "Completed",
      effects: ["stop Trying", "send 486", "G=500", "H=32000"],
    });
    const inputs = [start, respond(486)];
    const delays: (string | undefined)[] = [];
    for (let n = 0; n < 5; n++) {
      inputs.push(fire("G"));
      const { effects } = run(false, ...inputs);
      expect(effects[0]).toBe("send-again");
      delays.push(effects[1]);
    }
    expect(delays).toEqual(["G=1000", "G=2000", "G=4000", "G=4000", "G=4000"]);
    expect(run(false, start, respond(486), fire("H"))).toEqual({ state: "Terminated", effects: ["timeout"] });
  });
  test("over a reliable transport nothing is repeated, but the ACK is still awaited", () => {
    expect(run(true, start, respond(486)).effects).toEqual(["stop Trying", "send 486", "H=32000"]);
    expect(run(true, start, respond(486), ack)).toEqual({ state: "Terminated", effects: ["stop G", "stop H"] });
  });
  test("a repeated INVITE gets the final again; a second final is not sent", () => {
    expect(run(false, start, respond(486), again).effects).toEqual(["send-again"]);
    expect(run(false, start, respond(486), respond(603)).effects).toEqual([]);
    expect(run(false, start, respond(486), respond(200)).effects).toEqual([]);
  });
});

describe("Confirmed", () => {
  test("the ACK stops the repetitions, and Timer I absorbs further ACKs", () => {
    expect(run(false, start, respond(486), ack)).toEqual({
      state: "Confirmed",
      effects: ["stop G", "stop H", "I=5000"],
    });
    expect(run(false, start, respond(486), ack, ack)).toEqual({ state: "Confirmed", effects: [] });
    expect(run(false, start, respond(486), ack, again)).toEqual({ state: "Confirmed", effects: [] });
    expect(run(false, start, respond(486), ack, fire("I"))).toEqual({ state: "Terminated", effects: [] });
  });
});

describe("Accepted (RFC 6026)", () => {
  test("a 2xx starts Timer L over any transport", () => {
    for (const reliable of [false, true]) {
      expect(run(reliable, start, respond(200))).toEqual({
        state: "Accepted",
        effects: ["stop Trying", "send 200", "L=32000"],
      });
    }
  });
  test("a repeated INVITE is absorbed", () => {
    expect(run(false, start, respond(200), again)).toEqual({ state: "Accepted", effects: [] });
  });
  test("the core's further 2xx are sent, other finals and provisionals are not", () => {
    expect(run(false, start, respond(200), respond(200)).effects).toEqual(["send 200"]);
    expect(run(false, start, respond(200), respond(180)).effects).toEqual([]);
    expect(run(false, start, respond(200), respond(486)).effects).toEqual([]);
  });
  test("an ACK goes up to the core", () => {
    expect(run(false, start, respond(200), ack)).toEqual({ state: "Accepted", effects: ["ack"] });
  });
  test("a transport error is told and changes nothing", () => {
    expect(run(false, start, respond(200), failed)).toEqual({ state: "Accepted", effects: ["transport-error"] });
  });
  test("Timer L ends it", () => {
    expect(run(false, start, respond(200), fire("L"))).toEqual({ state: "Terminated", effects: [] });
  });
});
