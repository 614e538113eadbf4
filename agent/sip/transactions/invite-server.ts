import { go, type Machine } from "../../base/fsm.ts";
import type { SipRequest, SipResponse } from "../messages/message.ts";
import type { TransportError } from "../transport/flow.ts";
import { type TransactionSetting, transactionTimeout } from "./timers.ts";

/** INVITE server transaction: RFC 3261 §17.2.1 as RFC 6026 §7.1 and §8.7 correct it. */
export type InviteServerState =
  /** `responded`: some provisional response went out, which a repeated INVITE gets again. */
  | { readonly name: "Proceeding"; readonly responded: boolean }
  /** `sent` counts the sendings of the final response. */
  | { readonly name: "Completed"; readonly sent: number }
  | { readonly name: "Confirmed" }
  | { readonly name: "Accepted" }
  | { readonly name: "Terminated" };

/** `Trying` is the 200 ms after which a 100 goes out by itself (§17.2.1). */
export type InviteServerTimer = "Trying" | "G" | "H" | "I" | "L";

export type InviteServerInput =
  | { readonly type: "start" }
  /** The INVITE came again. */
  | { readonly type: "request" }
  | { readonly type: "ack"; readonly ack: SipRequest }
  | { readonly type: "respond"; readonly response: SipResponse }
  | { readonly type: "timer"; readonly timer: InviteServerTimer }
  | { readonly type: "transport-error"; readonly error: TransportError };

export type InviteServerEffect =
  /** Send this response and keep it for repetitions. */
  | { readonly type: "send"; readonly response: SipResponse }
  | { readonly type: "send-trying" }
  | { readonly type: "send-again" }
  | { readonly type: "start-timer"; readonly timer: InviteServerTimer; readonly after_ms: number }
  | { readonly type: "stop-timer"; readonly timer: InviteServerTimer }
  /** An ACK that belongs to the core: one to a 2xx, from a client whose ACK has the INVITE's branch. */
  | { readonly type: "ack"; readonly ack: SipRequest }
  /** No ACK came to a final response (Timer H). */
  | { readonly type: "timeout" }
  | { readonly type: "transport-error"; readonly error: TransportError };

export const INVITE_SERVER_START: InviteServerState = { name: "Proceeding", responded: false };

const TERMINATED: InviteServerState = { name: "Terminated" };
const SEND_AGAIN: InviteServerEffect = { type: "send-again" };
const STOP_TRYING: InviteServerEffect = { type: "stop-timer", timer: "Trying" };
const TRYING_MS = 200;

export function inviteServer(
  setting: TransactionSetting,
): Machine<InviteServerState, InviteServerInput, InviteServerEffect> {
  const { reliable, timers } = setting;
  const timeout_ms = transactionTimeout(timers);

  return (state, input) => {
    // RFC 6026 §7.1: a response that could not be sent is told, and the state stays; the peer may ask again.
    if (input.type === "transport-error") {
      return state.name === "Terminated" || state.name === "Confirmed"
        ? go(state)
        : go<InviteServerState, InviteServerEffect>(state, input);
    }
    switch (state.name) {
      case "Proceeding":
        switch (input.type) {
          case "start":
            return go<InviteServerState, InviteServerEffect>(state, {
              type: "start-timer",
              timer: "Trying",
              after_ms: TRYING_MS,
            });
          case "request":
            return state.responded ? go(state, SEND_AGAIN) : go(state);
          case "timer":
            return input.timer === "Trying" && !state.responded
              ? go<InviteServerState, InviteServerEffect>(
                  { name: "Proceeding", responded: true },
                  { type: "send-trying" },
                )
              : go(state);
          case "respond": {
            const send: InviteServerEffect = { type: "send", response: input.response };
            const { status } = input.response;
            if (status < 200) {
              return go<InviteServerState, InviteServerEffect>(
                { name: "Proceeding", responded: true },
                STOP_TRYING,
                send,
              );
            }
            if (status < 300) {
              return go<InviteServerState, InviteServerEffect>({ name: "Accepted" }, STOP_TRYING, send, {
                type: "start-timer",
                timer: "L",
                after_ms: timeout_ms,
              });
            }
            const effects: InviteServerEffect[] = [STOP_TRYING, send];
            if (!reliable) effects.push({ type: "start-timer", timer: "G", after_ms: timers.t1_ms });
            effects.push({ type: "start-timer", timer: "H", after_ms: timeout_ms });
            return go<InviteServerState, InviteServerEffect>({ name: "Completed", sent: 1 }, ...effects);
          }
          case "ack":
            return go(state);
        }
      case "Completed":
        switch (input.type) {
          case "request":
            return go(state, SEND_AGAIN);
          case "timer":
            if (input.timer === "G") {
              const sent = state.sent + 1;
              const after_ms = Math.min(timers.t1_ms * 2 ** (sent - 1), timers.t2_ms);
              return go<InviteServerState, InviteServerEffect>({ name: "Completed", sent }, SEND_AGAIN, {
                type: "start-timer",
                timer: "G",
                after_ms,
              });
            }
            return input.timer === "H"
              ? go<InviteServerState, InviteServerEffect>(TERMINATED, { type: "timeout" })
              : go(state);
          case "ack": {
            const stops: InviteServerEffect[] = [
              { type: "stop-timer", timer: "G" },
              { type: "stop-timer", timer: "H" },
            ];
            // Timer I is zero over a reliable transport: the machine is through.
            if (reliable) return go(TERMINATED, ...stops);
            return go<InviteServerState, InviteServerEffect>({ name: "Confirmed" }, ...stops, {
              type: "start-timer",
              timer: "I",
              after_ms: timers.t4_ms,
            });
          }
          default:
            return go(state);
        }
      case "Confirmed":
        return input.type === "timer" && input.timer === "I" ? go(TERMINATED) : go(state);
      case "Accepted":
        switch (input.type) {
          case "respond":
            // The core repeats its 2xx until the ACK, or a proxy passes on one of another fork (RFC 6026 §8.7).
            return input.response.status >= 200 && input.response.status < 300
              ? go<InviteServerState, InviteServerEffect>(state, { type: "send", response: input.response })
              : go(state);
          case "ack":
            return go<InviteServerState, InviteServerEffect>(state, input);
          case "timer":
            return input.timer === "L" ? go(TERMINATED) : go(state);
          default:
            // A repeated INVITE is absorbed: the core's own repetition of the 2xx answers it.
            return go(state);
        }
      case "Terminated":
        return go(state);
    }
  };
}
