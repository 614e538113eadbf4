import type { Clock } from "../../base/clock.ts";

const PAUSE_PER_SOURCE_MS = 1000;
const ANSWERS_PER_SECOND = 10;
const SOURCES_REMEMBERED = 256;
const LONGEST_SEARCH_BYTES = 1024;

/**
 * Which discovery searches are looked at. An answer is longer than the question and UDP sources can be forged, so
 * answers go only to the box's own subnet, once a second to each asker and ten times a second in all.
 */
export class SearchGuard {
  readonly #clock: Clock;
  readonly #inSubnet: (address: string) => boolean;
  readonly #answered = new Map<string, number>();
  #second = Number.NEGATIVE_INFINITY;
  #answers = 0;
  /** Searches not looked at. */
  refused = 0;

  constructor(clock: Clock, inSubnet: (address: string) => boolean) {
    this.#clock = clock;
    this.#inSubnet = inSubnet;
  }

  admits(source: string, bytes: number): boolean {
    const admitted = bytes <= LONGEST_SEARCH_BYTES && this.#inSubnet(source) && this.#inTime(source);
    if (!admitted) this.refused++;
    return admitted;
  }

  #inTime(source: string): boolean {
    const now = this.#clock.now();
    if (now - this.#second >= 1000) {
      this.#second = now;
      this.#answers = 0;
    }
    if (this.#answers >= ANSWERS_PER_SECOND) return false;
    if (now - (this.#answered.get(source) ?? Number.NEGATIVE_INFINITY) < PAUSE_PER_SOURCE_MS) return false;
    this.#answers++;
    this.#answered.delete(source);
    this.#answered.set(source, now);
    const oldest = this.#answered.keys().next().value;
    if (this.#answered.size > SOURCES_REMEMBERED && oldest !== undefined) this.#answered.delete(oldest);
    return true;
  }
}
