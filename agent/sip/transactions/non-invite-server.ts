import { go, type Machine } from "../../base/fsm.ts";
import type { SipResponse } from "../messages/message.ts";
import type { TransportError } from "../transport/flow.ts";
import { type TransactionSetting, transactionTimeout, untilT2 } from "./timers.ts";

/** Non-INVITE server transaction: RFC 3261 §17.2.2 with RFC 4320 §4.1. */
export type NonInviteServerState =
  | { readonly name: "Trying" }
  | { readonly name: "Proceeding" }
  | { readonly name: "Completed" }
  | { readonly name: "Terminated" };

/**
 * `Trying` is the time in which the client's Timer E reaches T2: then a 100 says that the request is here, and not before,
 * for a 100 makes the client repeat itself at T2 at once (RFC 4320 §4.1).
 * `Unanswered` is no timer of the RFC: 64*T1 after the request its client has given up (Timer F) and no response is of
 * use any more (RFC 4320 §4.2), so the transaction must not stay for ever; T4 later its last repetition has come in.
 */
export type NonInviteServerTimer = "Trying" | "J" | "Unanswered";

export type NonInviteServerInput =
  | { readonly type: "start" }
  /** The request came again. */
  | { readonly type: "request" }
  | { readonly type: "respond"; readonly response: SipResponse }
  | { readonly type: "timer"; readonly timer: NonInviteServerTimer }
  | { readonly type: "transport-error"; readonly error: TransportError };

export type NonInviteServerEffect =
  /** Send this response and keep it for repetitions. */
  | { readonly type: "send"; readonly response: SipResponse }
  | { readonly type: "send-trying" }
  | { readonly type: "send-again" }
  | { readonly type: "start-timer"; readonly timer: NonInviteServerTimer; readonly after_ms: number }
  | { readonly type: "stop-timer"; readonly timer: NonInviteServerTimer }
  /** The core gave no final response in time (`Unanswered`). */
  | { readonly type: "timeout" }
  | { readonly type: "transport-error"; readonly error: TransportError };

export const NON_INVITE_SERVER_START: NonInviteServerState = { name: "Trying" };

const PROCEEDING: NonInviteServerState = { name: "Proceeding" };
const TERMINATED: NonInviteServerState = { name: "Terminated" };
const SEND_AGAIN: NonInviteServerEffect = { type: "send-again" };
const STOP_TRYING: NonInviteServerEffect = { type: "stop-timer", timer: "Trying" };
const STOP_UNANSWERED: NonInviteServerEffect = { type: "stop-timer", timer: "Unanswered" };

export function nonInviteServer(
  setting: TransactionSetting,
): Machine<NonInviteServerState, NonInviteServerInput, NonInviteServerEffect> {
  const timeout_ms = transactionTimeout(setting.timers);
  const trying_ms = untilT2(setting.timers);
  // One after the other, so that a request costs one timer: thousands of phones may register in the same second.
  const unanswered: NonInviteServerEffect = {
    type: "start-timer",
    timer: "Unanswered",
    after_ms: timeout_ms + setting.timers.t4_ms - trying_ms,
  };

  return (state, input) => {
    switch (state.name) {
      case "Trying":
      case "Proceeding":
        switch (input.type) {
          case "start":
            return go<NonInviteServerState, NonInviteServerEffect>(state, {
              type: "start-timer",
              timer: "Trying",
              after_ms: trying_ms,
            });
          case "request":
            return state.name === "Proceeding" ? go(state, SEND_AGAIN) : go(state);
          case "respond": {
            const send: NonInviteServerEffect = { type: "send", response: input.response };
            if (input.response.status < 200) {
              return go<NonInviteServerState, NonInviteServerEffect>(PROCEEDING, send);
            }
            // Timer J is zero over a reliable transport: the machine is through.
            if (setting.reliable) {
              return go<NonInviteServerState, NonInviteServerEffect>(TERMINATED, STOP_TRYING, STOP_UNANSWERED, send);
            }
            return go<NonInviteServerState, NonInviteServerEffect>(
              { name: "Completed" },
              STOP_TRYING,
              STOP_UNANSWERED,
              send,
              { type: "start-timer", timer: "J", after_ms: timeout_ms },
            );
          }
          case "timer":
            if (input.timer === "Trying") {
              return state.name === "Trying"
                ? go<NonInviteServerState, NonInviteServerEffect>(PROCEEDING, { type: "send-trying" }, unanswered)
                : go<NonInviteServerState, NonInviteServerEffect>(state, unanswered);
            }
            return input.timer === "Unanswered"
              ? go<NonInviteServerState, NonInviteServerEffect>(TERMINATED, { type: "timeout" })
              : go(state);
          case "transport-error":
            return go<NonInviteServerState, NonInviteServerEffect>(TERMINATED, STOP_TRYING, STOP_UNANSWERED, input);
        }
      case "Completed":
        switch (input.type) {
          case "request":
            return go(state, SEND_AGAIN);
          case "timer":
            return input.timer === "J" ? go(TERMINATED) : go(state);
          case "transport-error":
            return go<NonInviteServerState, NonInviteServerEffect>(
              TERMINATED,
              { type: "stop-timer", timer: "J" },
              input,
            );
          default:
            return go(state);
        }
      case "Terminated":
        return go(state);
    }
  };
}
