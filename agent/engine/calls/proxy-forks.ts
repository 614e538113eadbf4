import type { SipMessage } from "../../sip/messages/message.ts";
import { tagOf } from "../../sip/messages/name-addr.ts";

const CALLS_MAX = 4000;
/** More phones than an INVITE is forked to; of further ones nothing is remembered. */
export const FORKS_MAX = 32;

/**
 * A dialog by its tags, whichever of the two ends speaks (RFC 3261 §12): one INVITE that was forked makes several, all with
 * the same Call-ID. Undefined before the callee has given its tag.
 */
export function dialogOf(message: SipMessage): string | undefined {
  const [from, to] = [tagOf(message, "From"), tagOf(message, "To")];
  return from === undefined || to === undefined ? undefined : [from, to].sort().join(" ");
}

/**
 * The answered dialogs of each passage. Usually one; where two forks have answered, the caller acknowledges both and
 * hangs up on one (RFC 3261 §13.2.2.4), and the passage lives until the other is hung up as well.
 */
export class ProxyForks {
  readonly #answered = new Map<string, string[]>();

  /** A 2xx to the first INVITE goes back. True for the first dialog of its passage: its media counts. */
  answered(leg: string, dialog: string): boolean {
    const known = this.#answered.get(leg);
    if (known !== undefined) {
      if (!known.includes(dialog) && known.length < FORKS_MAX) known.push(dialog);
      return false;
    }
    if (this.#answered.size >= CALLS_MAX) {
      for (const oldest of this.#answered.keys()) {
        this.#answered.delete(oldest);
        break;
      }
    }
    this.#answered.set(leg, [dialog]);
    return true;
  }

  /** A dialog was hung up. Returns the one that goes on in its passage; undefined: the passage has ended. */
  ended(leg: string, dialog: string | undefined): string | undefined {
    const left = (this.#answered.get(leg) ?? []).filter((each) => each !== dialog);
    // Not one that is known: from before a restart of the engine, when there is nothing to keep.
    if (left.length === (this.#answered.get(leg)?.length ?? 0) || left.length === 0) {
      this.#answered.delete(leg);
      return undefined;
    }
    this.#answered.set(leg, left);
    return left[0];
  }
}
