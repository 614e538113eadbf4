import { callIdOf, header } from "../messages/headers.ts";
import type { SipRequest } from "../messages/message.ts";
import { tagOf } from "../messages/name-addr.ts";
import type { ServerTransaction } from "../transactions/server-transaction.ts";

const REMEMBERED = 4096;

/**
 * Requests that a fork on the way brought here twice (RFC 3261 §8.2.2.2): the same From tag, Call-ID and CSeq in another
 * transaction than the one under way. A user agent server answers the second with 482. Only what it serves itself
 * counts: a request that went through here as through a proxy, and comes back, is a spiral.
 */
export class MergedRequests {
  readonly #serving = new Map<string, ServerTransaction>();

  /** Takes note of a request outside of a dialog that is served here; true when it is a merged one. */
  isMerged(tx: ServerTransaction): boolean {
    if (tagOf(tx.request, "To") !== undefined) return false;
    const key = keyOf(tx.request);
    const other = this.#serving.get(key);
    if (other !== undefined && other !== tx && other.state !== "Terminated") return true;
    this.#serving.delete(key);
    this.#serving.set(key, tx);
    for (const [oldest, { state }] of this.#serving) {
      if (state !== "Terminated" && this.#serving.size <= REMEMBERED) break;
      this.#serving.delete(oldest);
    }
    return false;
  }
}

function keyOf(request: SipRequest): string {
  return `${tagOf(request, "From") ?? ""}\n${callIdOf(request) ?? ""}\n${header(request, "CSeq") ?? ""}`;
}
