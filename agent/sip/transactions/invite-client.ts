import { go, type Machine } from "../../base/fsm.ts";
import type { SipResponse } from "../messages/message.ts";
import type { TransportError } from "../transport/flow.ts";
import { type ClientSetting, retransmitDelay, timerD, transactionTimeout } from "./timers.ts";

/** INVITE client transaction: RFC 3261 §17.1.1 with RFC 6026 §8.4 (Accepted), and the wait for CANCEL of §9.1. */
export type InviteClientState =
  /** `sent` counts the sendings so far; `cancel`: the user gave up before any response came. */
  | { readonly name: "Calling"; readonly sent: number; readonly cancel: boolean }
  | { readonly name: "Proceeding"; readonly cancel: boolean }
  | { readonly name: "Completed" }
  | { readonly name: "Accepted" }
  | { readonly name: "Terminated" };

/** `C64` is the 64*T1 that §9.1 gives a cancelled INVITE to end; the other names are the RFC's. */
export type InviteClientTimer = "A" | "B" | "D" | "M" | "C64";

export type InviteClientInput =
  | { readonly type: "start" }
  /** Instead of start: what was sent under this branch may have arrived; nothing is sent, and a first word is cancelled. */
  | { readonly type: "listen" }
  | { readonly type: "response"; readonly response: SipResponse }
  | { readonly type: "timer"; readonly timer: InviteClientTimer }
  | { readonly type: "cancel" }
  /** Nobody wants an answer any more. */
  | { readonly type: "quiet" }
  | { readonly type: "transport-error"; readonly error: TransportError };

export type InviteClientEffect =
  | { readonly type: "send" }
  | { readonly type: "send-ack"; readonly response: SipResponse }
  | { readonly type: "send-cancel" }
  | { readonly type: "start-timer"; readonly timer: InviteClientTimer; readonly after_ms: number }
  | { readonly type: "stop-timer"; readonly timer: InviteClientTimer }
  | { readonly type: "provisional"; readonly response: SipResponse }
  | { readonly type: "final"; readonly response: SipResponse }
  | { readonly type: "timeout" }
  | { readonly type: "transport-error"; readonly error: TransportError };

export const INVITE_CLIENT_START: InviteClientState = { name: "Calling", sent: 0, cancel: false };

/** Of one that an earlier process began, after its first provisional response. */
export const INVITE_CLIENT_PROCEEDING: InviteClientState = { name: "Proceeding", cancel: false };

const TERMINATED: InviteClientState = { name: "Terminated" };
const SEND: InviteClientEffect = { type: "send" };
const STOP_A: InviteClientEffect = { type: "stop-timer", timer: "A" };
const STOP_B: InviteClientEffect = { type: "stop-timer", timer: "B" };
const STOP_C64: InviteClientEffect = { type: "stop-timer", timer: "C64" };

export function inviteClient(
  setting: ClientSetting,
): Machine<InviteClientState, InviteClientInput, InviteClientEffect> {
  const { reliable, timers } = setting;
  const timeout_ms = transactionTimeout(timers);

  const timerA = (sent: number): InviteClientEffect => ({
    type: "start-timer",
    timer: "A",
    after_ms: retransmitDelay(setting, sent, Number.POSITIVE_INFINITY),
  });
  const sendCancel = (): InviteClientEffect[] => [
    { type: "send-cancel" },
    { type: "start-timer", timer: "C64", after_ms: timeout_ms },
  ];

  const onFinal = (response: SipResponse) => {
    if (response.status < 300) {
      return go<InviteClientState, InviteClientEffect>(
        { name: "Accepted" },
        STOP_A,
        STOP_B,
        STOP_C64,
        { type: "start-timer", timer: "M", after_ms: timeout_ms },
        { type: "final", response },
      );
    }
    const effects: InviteClientEffect[] = [STOP_A, STOP_B, STOP_C64, { type: "send-ack", response }];
    // Timer D is zero over a reliable transport: the machine is through.
    if (!reliable) effects.push({ type: "start-timer", timer: "D", after_ms: timerD(timers) });
    effects.push({ type: "final", response });
    return go<InviteClientState, InviteClientEffect>(reliable ? TERMINATED : { name: "Completed" }, ...effects);
  };

  return (state, input) => {
    switch (state.name) {
      case "Calling":
        switch (input.type) {
          case "start": {
            const timerB: InviteClientEffect = { type: "start-timer", timer: "B", after_ms: timeout_ms };
            const next: InviteClientState = { name: "Calling", sent: 1, cancel: state.cancel };
            return reliable ? go(next, SEND, timerB) : go(next, SEND, timerA(1), timerB);
          }
          case "listen":
            return go({ ...state, cancel: true }, { type: "start-timer", timer: "B", after_ms: timeout_ms });
          case "response": {
            if (input.response.status >= 200) return onFinal(input.response);
            const effects: InviteClientEffect[] = [
              STOP_A,
              STOP_B,
              { type: "provisional", response: input.response },
              ...(state.cancel ? sendCancel() : []),
            ];
            return go<InviteClientState, InviteClientEffect>({ name: "Proceeding", cancel: state.cancel }, ...effects);
          }
          case "timer":
            if (input.timer === "A") {
              const sent = state.sent + 1;
              return go<InviteClientState, InviteClientEffect>(
                { name: "Calling", sent, cancel: state.cancel },
                SEND,
                timerA(sent),
              );
            }
            return input.timer === "B"
              ? go<InviteClientState, InviteClientEffect>(TERMINATED, { type: "timeout" })
              : go(state);
          case "cancel":
            // §9.1: CANCEL must not be sent before a provisional response; the INVITE is repeated until one comes.
            return go({ ...state, cancel: true });
          case "quiet":
            // Timer B runs on: what still comes is taken, and a provisional response brings the CANCEL.
            return reliable ? go(state) : go(state, STOP_A);
          case "transport-error":
            return go<InviteClientState, InviteClientEffect>(TERMINATED, input);
        }
      case "Proceeding":
        switch (input.type) {
          case "response":
            return input.response.status >= 200
              ? onFinal(input.response)
              : go<InviteClientState, InviteClientEffect>(state, { type: "provisional", response: input.response });
          case "cancel":
            return state.cancel ? go(state) : go({ ...state, cancel: true }, ...sendCancel());
          case "timer":
            return input.timer === "C64"
              ? go<InviteClientState, InviteClientEffect>(TERMINATED, { type: "timeout" })
              : go(state);
          case "transport-error":
            // No figure of the RFC has this: a connection that breaks while we wait can bring no response any more.
            return go<InviteClientState, InviteClientEffect>(TERMINATED, input);
          default:
            return go(state);
        }
      case "Completed":
        switch (input.type) {
          case "response":
            return input.response.status >= 300
              ? go<InviteClientState, InviteClientEffect>(state, { type: "send-ack", response: input.response })
              : go(state);
          case "timer":
            return input.timer === "D" ? go(TERMINATED) : go(state);
          case "transport-error":
            return go<InviteClientState, InviteClientEffect>(TERMINATED, input);
          default:
            return go(state);
        }
      case "Accepted":
        switch (input.type) {
          case "response":
            // Every 2xx goes up: repetitions, for which the core repeats its ACK, and those of other forks (RFC 6026 §8.4).
            return input.response.status >= 200 && input.response.status < 300
              ? go<InviteClientState, InviteClientEffect>(state, { type: "final", response: input.response })
              : go(state);
          case "timer":
            return input.timer === "M" ? go(TERMINATED) : go(state);
          default:
            return go(state);
        }
      case "Terminated":
        return go(state);
    }
  };
}
