import type { Clock } from "../../base/clock.ts";
import { type Machine, Runner } from "../../base/fsm.ts";
import { TimerSet } from "./timer-set.ts";

/** What every machine of RFC 3261 §17 asks for besides its own effects. */
type TimerEffect =
  | { readonly type: "start-timer"; readonly timer: string; readonly after_ms: number }
  | { readonly type: "stop-timer"; readonly timer: string };

/** A running machine, its timers included. */
export interface TimedMachine<Name extends string, Input> {
  /** The RFC's name of its state. */
  readonly state: Name;
  /** It has terminated, or was stopped: inputs have no effect any more. */
  readonly stopped: boolean;
  feed(input: Input): void;
  /** Ends it here and now. */
  stop(): void;
}

/** Who runs a machine. */
export interface MachineOwner<Effect> {
  readonly clock: Clock;
  perform(effect: Exclude<Effect, { readonly type: "start-timer" | "stop-timer" }>): void;
  /** Once, when it has terminated or was stopped; no timer runs any more. */
  ended(): void;
}

/** Runs a machine of a client or server transaction: its timers come back as inputs, the rest is the owner's to do. */
export function runTimed<
  State extends { readonly name: string },
  Timer extends string,
  Input,
  Effect extends { readonly type: string },
>(
  machine: Machine<State, Input | { readonly type: "timer"; readonly timer: Timer }, Effect>,
  initial: State,
  owner: MachineOwner<Effect>,
): TimedMachine<State["name"], Input> {
  let stopped = false;
  let depth = 0;

  const stop = () => {
    if (stopped) return;
    stopped = true;
    timers.stopAll();
    owner.ended();
  };
  const step = (input: Input | { readonly type: "timer"; readonly timer: Timer }) => {
    if (stopped) return;
    depth++;
    try {
      runner.feed(input);
    } finally {
      depth--;
    }
    // An input that came while an effect was carried out waits in the runner: only the outermost sees the end.
    if (depth === 0 && runner.state.name === "Terminated") stop();
  };
  const timers = new TimerSet<Timer>(owner.clock, (timer) => step({ type: "timer", timer }));
  const runner = new Runner(machine, initial, (effect: Effect) => {
    if (stopped) return;
    if (isTimerEffect(effect)) {
      if (effect.type === "start-timer") timers.start(effect.timer as Timer, effect.after_ms);
      else timers.stop(effect.timer as Timer);
    } else owner.perform(effect as Exclude<Effect, { readonly type: "start-timer" | "stop-timer" }>);
  });
  return {
    get state() {
      return runner.state.name;
    },
    get stopped() {
      return stopped;
    },
    feed: step,
    stop,
  };
}

function isTimerEffect(effect: { readonly type: string }): effect is TimerEffect {
  return effect.type === "start-timer" || effect.type === "stop-timer";
}
