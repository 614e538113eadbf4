import { createHmac, randomBytes } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import { sameText } from "./algorithm.ts";

/** The fate of one use of a nonce. Only "fresh" lets a request in; the others earn a challenge with stale=true. */
export type NonceUse = "fresh" | "expired" | "replayed" | "unknown";

interface Entry {
  readonly issued: number;
  /** Highest nonce count seen. */
  top: number;
  /** Bit n: top - n was used. */
  seen: number;
}

/** Counts that may come late, because requests in flight overtake each other on UDP. */
const WINDOW = 32;

/**
 * Issues nonces and refuses their second use (RFC 7616 §5.5). A nonce carries its time of issue and a keyed hash, so
 * that challenges cost no memory and a flood of them pushes nobody out; only nonces used with a right response are
 * kept. When these exceed `capacity`, the oldest goes and every nonce as old as it or older counts as expired.
 */
export class NonceBook {
  readonly #clock: Clock;
  readonly #lifetime_ms: number;
  readonly #capacity: number;
  readonly #key = randomBytes(32);
  readonly #entries = new Map<string, Entry>();
  #floor = -1;

  constructor(options: { readonly clock: Clock; readonly lifetime_ms?: number; readonly capacity?: number }) {
    this.#clock = options.clock;
    this.#lifetime_ms = options.lifetime_ms ?? 300_000;
    this.#capacity = options.capacity ?? 10_000;
  }

  /** Number of nonces kept. */
  get size(): number {
    return this.#entries.size;
  }

  issue(): string {
    const body = `${Math.floor(this.#clock.now()).toString(36)}.${randomBytes(9).toString("base64url")}`;
    return `${body}.${this.#sign(body)}`;
  }

  /**
   * Records one use by a request whose response was right. `nc` undefined: the form without a count, for which a nonce
   * serves once.
   */
  use(nonce: string, nc: number | undefined): NonceUse {
    const issued = this.#issuedAt(nonce);
    if (issued === undefined) return "unknown";
    if (this.#isExpired(issued)) {
      this.#entries.delete(nonce);
      return "expired";
    }
    const entry = this.#entries.get(nonce);
    if (entry === undefined) {
      if (issued <= this.#floor) return "expired";
      this.#keep(nonce, { issued, top: nc ?? Number.MAX_SAFE_INTEGER, seen: 1 });
      return "fresh";
    }
    return nc !== undefined && take(entry, nc) ? "fresh" : "replayed";
  }

  #sign(body: string): string {
    return createHmac("sha256", this.#key).update(body).digest("base64url").slice(0, 22);
  }

  #issuedAt(nonce: string): number | undefined {
    const dot = nonce.lastIndexOf(".");
    if (dot < 0 || !sameText(this.#sign(nonce.slice(0, dot)), nonce.slice(dot + 1))) return undefined;
    return Number.parseInt(nonce, 36);
  }

  #isExpired(issued: number): boolean {
    return this.#clock.now() - issued > this.#lifetime_ms;
  }

  #keep(nonce: string, entry: Entry): void {
    this.#entries.set(nonce, entry);
    for (const [oldest, { issued }] of this.#entries) {
      if (!this.#isExpired(issued) && this.#entries.size <= this.#capacity) break;
      this.#entries.delete(oldest);
      this.#floor = Math.max(this.#floor, issued);
    }
  }
}

/** A sliding window over nonce counts: each may be used once, and one that is WINDOW behind is too late. */
function take(entry: Entry, nc: number): boolean {
  const ahead = nc - entry.top;
  if (ahead > 0) {
    entry.seen = ahead >= WINDOW ? 1 : ((entry.seen << ahead) | 1) >>> 0;
    entry.top = nc;
    return true;
  }
  const bit = ahead > -WINDOW ? (1 << -ahead) >>> 0 : 0;
  if (bit === 0 || (entry.seen & bit) !== 0) return false;
  entry.seen = (entry.seen | bit) >>> 0;
  return true;
}
