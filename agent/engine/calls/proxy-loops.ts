import type { Clock } from "../../base/clock.ts";
import { callIdOf, cseqOf, headerList, headerValues } from "../../sip/messages/headers.ts";
import type { SipRequest } from "../../sip/messages/message.ts";
import { tagOf } from "../../sip/messages/name-addr.ts";
import { paramValue } from "../../sip/messages/params.ts";
import { parseVia } from "../../sip/messages/via.ts";

const REMEMBERED = 4096;
const BRANCHES_MAX = 16;
const KEEP_MS = 64_000;

interface Seen {
  at: number;
  /** Branches of the top Via of each request that was the same, newest last. */
  readonly branches: string[];
}

/**
 * Tells a loop from a spiral and from a fork (RFC 3261 §16.3 step 4): a request is a loop when it has been here with the
 * same Request-URI and Route, and bears the Via that it bore on top then. With another Request-URI or Route it is on its
 * way (phone → box → PBX → box → phone); with another Via it is a brother, of a PBX that forks to two bindings alike.
 */
export class LoopGuard {
  readonly #clock: Clock;
  readonly #seen = new Map<string, Seen>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Asked once for each request outside of a dialog, before it is forwarded. */
  isLoop(received: SipRequest, uri: string): boolean {
    const key = [
      callIdOf(received) ?? "",
      tagOf(received, "From") ?? "",
      `${cseqOf(received)?.seq ?? ""} ${received.method}`,
      uri,
      headerValues(received, "Route").join(),
    ].join("\n");
    const now = this.#clock.now();
    const [top, ...below] = viaBranches(received);
    const before = this.#seen.get(key);
    const known = before !== undefined && now - before.at < KEEP_MS ? before.branches : [];
    if (known.some((branch) => below.includes(branch))) return true;
    if (this.#seen.size >= REMEMBERED) {
      for (const oldest of this.#seen.keys()) {
        this.#seen.delete(oldest);
        break;
      }
    }
    this.#seen.delete(key);
    const branches = top === undefined ? known : [...known, top];
    this.#seen.set(key, { at: now, branches: branches.slice(-BRANCHES_MAX) });
    return false;
  }
}

/** One for each Via, "" where it has none. */
function viaBranches(request: SipRequest): string[] {
  return headerList(request, "Via").map((element) => {
    const via = parseVia(element);
    return (via === undefined ? undefined : paramValue(via.params, "branch")) ?? "";
  });
}
