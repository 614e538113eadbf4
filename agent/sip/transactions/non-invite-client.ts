import { go, type Machine } from "../../base/fsm.ts";
import type { SipResponse } from "../messages/message.ts";
import type { TransportError } from "../transport/flow.ts";
import { type ClientSetting, retransmitDelay, transactionTimeout } from "./timers.ts";

/** Non-INVITE client transaction: RFC 3261 §17.1.2. */
export type NonInviteClientState =
  /** `sent` counts the sendings so far. */
  | { readonly name: "Trying"; readonly sent: number }
  | { readonly name: "Proceeding" }
  | { readonly name: "Completed" }
  | { readonly name: "Terminated" };

export type NonInviteClientTimer = "E" | "F" | "K";

export type NonInviteClientInput =
  | { readonly type: "start" }
  | { readonly type: "response"; readonly response: SipResponse }
  | { readonly type: "timer"; readonly timer: NonInviteClientTimer }
  | { readonly type: "transport-error"; readonly error: TransportError };

export type NonInviteClientEffect =
  | { readonly type: "send" }
  | { readonly type: "start-timer"; readonly timer: NonInviteClientTimer; readonly after_ms: number }
  | { readonly type: "stop-timer"; readonly timer: NonInviteClientTimer }
  | { readonly type: "provisional"; readonly response: SipResponse }
  | { readonly type: "final"; readonly response: SipResponse }
  | { readonly type: "timeout" }
  | { readonly type: "transport-error"; readonly error: TransportError };

export const NON_INVITE_CLIENT_START: NonInviteClientState = { name: "Trying", sent: 0 };

const TERMINATED: NonInviteClientState = { name: "Terminated" };
const PROCEEDING: NonInviteClientState = { name: "Proceeding" };
const SEND: NonInviteClientEffect = { type: "send" };
const STOP_E: NonInviteClientEffect = { type: "stop-timer", timer: "E" };
const STOP_F: NonInviteClientEffect = { type: "stop-timer", timer: "F" };

export function nonInviteClient(
  setting: ClientSetting,
): Machine<NonInviteClientState, NonInviteClientInput, NonInviteClientEffect> {
  const { reliable, timers } = setting;

  const timerE = (after_ms: number): NonInviteClientEffect => ({ type: "start-timer", timer: "E", after_ms });

  const onFinal = (response: SipResponse) => {
    const final: NonInviteClientEffect = { type: "final", response };
    // Timer K is zero over a reliable transport: the machine is through.
    return reliable
      ? go<NonInviteClientState, NonInviteClientEffect>(TERMINATED, STOP_E, STOP_F, final)
      : go<NonInviteClientState, NonInviteClientEffect>(
          { name: "Completed" },
          STOP_E,
          STOP_F,
          { type: "start-timer", timer: "K", after_ms: timers.t4_ms },
          final,
        );
  };

  return (state, input) => {
    switch (state.name) {
      case "Trying":
      case "Proceeding":
        switch (input.type) {
          case "start": {
            const timerF: NonInviteClientEffect = {
              type: "start-timer",
              timer: "F",
              after_ms: transactionTimeout(timers),
            };
            const next: NonInviteClientState = { name: "Trying", sent: 1 };
            return reliable
              ? go(next, SEND, timerF)
              : go(next, SEND, timerE(retransmitDelay(setting, 1, timers.t2_ms)), timerF);
          }
          case "response":
            if (input.response.status >= 200) return onFinal(input.response);
            return go<NonInviteClientState, NonInviteClientEffect>(PROCEEDING, {
              type: "provisional",
              response: input.response,
            });
          case "timer":
            if (input.timer === "F")
              return go<NonInviteClientState, NonInviteClientEffect>(TERMINATED, { type: "timeout" });
            if (input.timer !== "E") return go(state);
            if (state.name === "Proceeding") return go(state, SEND, timerE(timers.t2_ms));
            return go<NonInviteClientState, NonInviteClientEffect>(
              { name: "Trying", sent: state.sent + 1 },
              SEND,
              timerE(retransmitDelay(setting, state.sent + 1, timers.t2_ms)),
            );
          case "transport-error":
            return go<NonInviteClientState, NonInviteClientEffect>(TERMINATED, input);
        }
      case "Completed":
        // Timer K is there to absorb repeated responses.
        return input.type === "timer" && input.timer === "K" ? go(TERMINATED) : go(state);
      case "Terminated":
        return go(state);
    }
  };
}
