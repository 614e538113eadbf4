import type { Clock, Timer } from "../../base/clock.ts";

export interface HandshakeLimits {
  /** Handshakes that are under way or wait for their turn. */
  readonly at_once: number;
  readonly per_source: number;
  /** Begun each second, each some milliseconds of computing on a small board; after a quiet while twice as many. */
  readonly per_second: number;
  /** Time for one, its wait included. */
  readonly handshake_ms: number;
}

export const HANDSHAKE_LIMITS: HandshakeLimits = { at_once: 256, per_source: 16, per_second: 100, handshake_ms: 8_000 };

export interface Candidate {
  /** Its turn has come. */
  begin(): void;
  /** It took too long, or had to make room for others. */
  drop(reason: "slow" | "crowded"): void;
}

interface Entry {
  readonly source: string;
  readonly known: boolean;
  readonly candidate: Candidate;
  readonly deadline: Timer;
}

/** Sources remembered for having brought a handshake to its end: more than a site has telephones. */
const REMEMBERED = 1024;

/**
 * Lets TLS handshakes in: some at once, some each second, each within its time. When there are too many the oldest goes,
 * of the same source first: who comes in earnest is done long before, and a flood pushes out its own. A source that has
 * brought one to its end before, as the site's telephones have, goes ahead of strangers and makes no room for them; and
 * strangers whose turn has come keep half of the places for a while, or a crowd would let nobody finish.
 */
export class HandshakeGate {
  readonly #clock: Clock;
  readonly #limits: HandshakeLimits;
  readonly #entries = new Set<Entry>();
  readonly #waiting = new Set<Entry>();
  /** The least recent first. */
  readonly #known = new Set<string>();
  #tokens: number;
  #filled_ms: number;
  #turn: Timer | undefined;

  constructor(clock: Clock, limits: HandshakeLimits = HANDSHAKE_LIMITS) {
    this.#clock = clock;
    this.#limits = limits;
    this.#tokens = 2 * limits.per_second;
    this.#filled_ms = clock.now();
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * `begin` may be called before this returns. The result ends it: the handshake is over (`secured`: as it should be), or
   * the connection is gone.
   */
  enter(source: string, candidate: Candidate): (secured?: boolean) => void {
    const own = [...this.#entries].filter((entry) => entry.source === source);
    const crowding = own.length >= this.#limits.per_source ? own[0] : this.#crowding();
    if (crowding !== undefined) this.#drop(crowding, "crowded");
    const entry: Entry = {
      source,
      known: this.#known.has(source),
      candidate,
      deadline: this.#clock.after(this.#limits.handshake_ms, () => this.#drop(entry, "slow")),
    };
    this.#entries.add(entry);
    this.#waiting.add(entry);
    this.#next();
    return (secured = false) => {
      if (secured) this.#remember(source);
      this.#forget(entry);
    };
  }

  close(): void {
    this.#turn?.cancel();
    for (const entry of this.#entries) this.#drop(entry, "crowded");
  }

  /** Who has to make room for one more; undefined when there is some. */
  #crowding(): Entry | undefined {
    if (this.#entries.size < this.#limits.at_once) return undefined;
    const strangers = [...this.#entries].filter(({ known }) => !known);
    const waiting = strangers.filter((entry) => this.#waiting.has(entry));
    const [oldest] = 2 * waiting.length >= this.#limits.at_once ? waiting : strangers;
    return oldest ?? [...this.#entries][0];
  }

  #remember(source: string): void {
    this.#known.delete(source);
    this.#known.add(source);
    if (this.#known.size <= REMEMBERED) return;
    for (const oldest of this.#known) {
      this.#known.delete(oldest);
      return;
    }
  }

  #next(): void {
    this.#refill();
    if (this.#tokens >= 1) this.#begin([...this.#waiting].filter(({ known }) => known));
    if (this.#tokens >= 1) this.#begin([...this.#waiting]);
    if (this.#waiting.size === 0 || this.#turn !== undefined) return;
    this.#turn = this.#clock.after(1000 / this.#limits.per_second, () => {
      this.#turn = undefined;
      this.#next();
    });
  }

  #begin(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (this.#tokens < 1) return;
      this.#tokens--;
      this.#waiting.delete(entry);
      entry.candidate.begin();
    }
  }

  #refill(): void {
    const now = this.#clock.now();
    const more = ((now - this.#filled_ms) * this.#limits.per_second) / 1000;
    this.#tokens = Math.min(2 * this.#limits.per_second, this.#tokens + more);
    this.#filled_ms = now;
  }

  #drop(entry: Entry, reason: "slow" | "crowded"): void {
    if (!this.#entries.has(entry)) return;
    this.#forget(entry);
    entry.candidate.drop(reason);
  }

  #forget(entry: Entry): void {
    entry.deadline.cancel();
    this.#entries.delete(entry);
    this.#waiting.delete(entry);
  }
}
