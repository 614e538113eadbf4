/**
 * What is known of a trunk's time from INVITE to the first response. The 99th percentile of the last 200 calls, once
 * there are 20; before that what an earlier run had learned.
 */
const KEPT = 200;
const ENOUGH = 20;
/** A peer this slow is slow for a reason of its own; 911 does not wait longer for it. */
const CEILING_MS = 5_000;

export class FirstResponseTimes {
  readonly #samples: number[] = [];
  readonly #before: number | undefined;
  #next = 0;

  constructor(before_p99_ms: number | undefined) {
    this.#before = before_p99_ms;
  }

  add(after_ms: number): void {
    if (!Number.isFinite(after_ms) || after_ms < 0) return;
    this.#samples[this.#next] = Math.min(after_ms, CEILING_MS);
    this.#next = (this.#next + 1) % KEPT;
  }

  get p99_ms(): number | undefined {
    if (this.#samples.length < ENOUGH) return this.#before;
    const sorted = [...this.#samples].sort((a, b) => a - b);
    return sorted[Math.ceil(sorted.length * 0.99) - 1];
  }
}
