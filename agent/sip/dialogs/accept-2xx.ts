import type { Clock } from "../../base/clock.ts";
import { go, type Machine, Runner } from "../../base/fsm.ts";
import { TimerSet } from "../transactions/timer-set.ts";
import { RFC_TIMERS, type TransactionTimers, transactionTimeout } from "../transactions/timers.ts";

/**
 * The 2xx to an INVITE, which the UAS core itself repeats until the ACK comes (RFC 3261 §13.3.1.4): after T1, doubling
 * up to T2, over reliable transports too, as a hop further on may lose it; for 64*T1 at most.
 */
export type Accept2xxState =
  /** `sent` counts the sendings so far. */
  | { readonly name: "Unacknowledged"; readonly sent: number }
  | { readonly name: "Acknowledged" }
  | { readonly name: "Failed" };

/** `Repeat` is to a 2xx what Timer G is to other finals, `GiveUp` what Timer H is. */
export type Accept2xxTimer = "Repeat" | "GiveUp";

export type Accept2xxInput =
  | { readonly type: "start" }
  | { readonly type: "ack" }
  /** The call has ended otherwise. */
  | { readonly type: "stop" }
  | { readonly type: "timer"; readonly timer: Accept2xxTimer };

export type Accept2xxEffect =
  | { readonly type: "send" }
  | { readonly type: "start-timer"; readonly timer: Accept2xxTimer; readonly after_ms: number }
  | { readonly type: "stop-timers" }
  | { readonly type: "acknowledged" }
  | { readonly type: "timeout" };

const SEND: Accept2xxEffect = { type: "send" };
const STOP_TIMERS: Accept2xxEffect = { type: "stop-timers" };

export function accept2xx(timers: TransactionTimers): Machine<Accept2xxState, Accept2xxInput, Accept2xxEffect> {
  const repeat = (sent: number): Accept2xxEffect => ({
    type: "start-timer",
    timer: "Repeat",
    after_ms: Math.min(timers.t1_ms * 2 ** (sent - 1), timers.t2_ms),
  });
  return (state, input) => {
    if (state.name !== "Unacknowledged") return go(state);
    switch (input.type) {
      case "start":
        return go<Accept2xxState, Accept2xxEffect>({ name: "Unacknowledged", sent: 1 }, SEND, repeat(1), {
          type: "start-timer",
          timer: "GiveUp",
          after_ms: transactionTimeout(timers),
        });
      case "ack":
        return go<Accept2xxState, Accept2xxEffect>({ name: "Acknowledged" }, STOP_TIMERS, { type: "acknowledged" });
      case "stop":
        return go<Accept2xxState, Accept2xxEffect>({ name: "Failed" }, STOP_TIMERS);
      case "timer": {
        if (input.timer === "GiveUp") {
          return go<Accept2xxState, Accept2xxEffect>({ name: "Failed" }, STOP_TIMERS, { type: "timeout" });
        }
        const sent = state.sent + 1;
        return go<Accept2xxState, Accept2xxEffect>({ name: "Unacknowledged", sent }, SEND, repeat(sent));
      }
    }
  };
}

export interface Accept2xxHandlers {
  /** Sends the 2xx: by `respond` of its server transaction. */
  send(): void;
  /** The first ACK came. */
  onAcknowledged?(): void;
  /** No ACK in 64*T1: the dialog stands, and the UAS should end it with a BYE (§13.3.1.4). */
  onTimeout(): void;
}

export interface Accept2xx {
  readonly state: Accept2xxState["name"];
  /** The ACK came. Further ones are harmless. */
  acknowledged(): void;
  /** Stops repeating, without a word. */
  stop(): void;
}

/** Sends the 2xx now and again until `acknowledged` is called. */
export function startAccept2xx(
  options: { readonly clock: Clock; readonly timers?: TransactionTimers } & Accept2xxHandlers,
): Accept2xx {
  const timers = new TimerSet<Accept2xxTimer>(options.clock, (timer) => runner.feed({ type: "timer", timer }));
  const initial: Accept2xxState = { name: "Unacknowledged", sent: 0 };
  const runner = new Runner<Accept2xxState, Accept2xxInput, Accept2xxEffect>(
    accept2xx(options.timers ?? RFC_TIMERS),
    initial,
    (effect) => {
      switch (effect.type) {
        case "send":
          options.send();
          break;
        case "start-timer":
          timers.start(effect.timer, effect.after_ms);
          break;
        case "stop-timers":
          timers.stopAll();
          break;
        case "acknowledged":
          options.onAcknowledged?.();
          break;
        case "timeout":
          options.onTimeout();
          break;
      }
    },
  );
  runner.feed({ type: "start" });
  return {
    get state() {
      return runner.state.name;
    },
    acknowledged: () => runner.feed({ type: "ack" }),
    stop: () => runner.feed({ type: "stop" }),
  };
}
