import type { Clock, Timer } from "../../base/clock.ts";

/** A transaction's running timers by name: a few at most, so a list is smaller and quicker than a map. */
export class TimerSet<Name extends string> {
  readonly #clock: Clock;
  readonly #fire: (name: Name) => void;
  readonly #running: { readonly name: Name; readonly timer: Timer }[] = [];

  constructor(clock: Clock, fire: (name: Name) => void) {
    this.#clock = clock;
    this.#fire = fire;
  }

  /** Starts a timer, anew if it is running. */
  start(name: Name, after_ms: number): void {
    this.stop(name);
    const timer = this.#clock.after(after_ms, () => {
      this.#forget(name);
      this.#fire(name);
    });
    this.#running.push({ name, timer });
  }

  stop(name: Name): void {
    this.#forget(name)?.cancel();
  }

  stopAll(): void {
    for (const { timer } of this.#running.splice(0)) timer.cancel();
  }

  #forget(name: Name): Timer | undefined {
    const index = this.#running.findIndex((running) => running.name === name);
    return index < 0 ? undefined : this.#running.splice(index, 1)[0]?.timer;
  }
}
