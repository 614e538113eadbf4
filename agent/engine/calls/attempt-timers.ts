import type { Clock, Timer } from "../../base/clock.ts";
import type { AttemptTimer } from "../emergency/attempts-state.ts";

/** The timers that the attempts machine arms: one of each kind for each attempt, and for the call (attempt 0). */
export class AttemptTimers {
  readonly #clock: Clock;
  readonly #fire: (timer: AttemptTimer, attempt: number) => void;
  readonly #running = new Map<string, Timer>();

  constructor(clock: Clock, fire: (timer: AttemptTimer, attempt: number) => void) {
    this.#clock = clock;
    this.#fire = fire;
  }

  arm(timer: AttemptTimer, attempt: number, after_ms: number): void {
    const key = `${attempt} ${timer}`;
    this.#running.get(key)?.cancel();
    const armed = this.#clock.after(after_ms, () => {
      this.#running.delete(key);
      this.#fire(timer, attempt);
    });
    this.#running.set(key, armed);
  }

  disarm(attempt: number): void {
    for (const [key, timer] of this.#running) {
      if (!key.startsWith(`${attempt} `)) continue;
      timer.cancel();
      this.#running.delete(key);
    }
  }

  stop(): void {
    for (const timer of this.#running.values()) timer.cancel();
    this.#running.clear();
  }
}
