import type { Clock } from "../base/clock.ts";

/** A token bucket. */
interface Bucket {
  left: number;
  at_ms: number;
}

const SOURCES_MAX = 4096;

/**
 * So many requests a second from one address, with a burst. Emergency calls are never asked about here. Addresses that
 * have been quiet are forgotten; so are the oldest when there are too many.
 */
export class RateLimit {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Clock, limit: { readonly per_second: number; readonly burst: number }) {
    this.#clock = clock;
    this.#perSecond = limit.per_second;
    this.#burst = limit.burst;
  }

  /** Takes one; false when there is none left. */
  take(source: string): boolean {
    const now = this.#clock.now();
    const bucket = this.#buckets.get(source);
    if (bucket === undefined) {
      this.#makeRoom();
      this.#buckets.set(source, { left: this.#burst - 1, at_ms: now });
      return true;
    }
    bucket.left = Math.min(this.#burst, bucket.left + ((now - bucket.at_ms) / 1000) * this.#perSecond);
    bucket.at_ms = now;
    if (bucket.left < 1) return false;
    bucket.left -= 1;
    return true;
  }

  #makeRoom(): void {
    if (this.#buckets.size < SOURCES_MAX) return;
    for (const oldest of this.#buckets.keys()) {
      this.#buckets.delete(oldest);
      return;
    }
  }
}
