import type { Clock } from "../../base/clock.ts";

/** Far more than the phones and trunks of a site ask, and nothing for whoever wants others flooded by us. */
const PER_SECOND = 500;

/** Answers to strangers' Binding requests, so many a second. */
export class StunLimit {
  readonly #clock: Clock;
  #left = PER_SECOND;
  #since_ms: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since_ms = clock.now();
  }

  take(): boolean {
    const now = this.#clock.now();
    if (now - this.#since_ms >= 1000) {
      this.#since_ms = now;
      this.#left = PER_SECOND;
    }
    if (this.#left <= 0) return false;
    this.#left--;
    return true;
  }
}
