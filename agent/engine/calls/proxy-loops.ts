import type { Clock } from "../../base/clock.ts";
import { callIdOf, cseqOf, headerValues } from "../../sip/messages/headers.ts";
import type { SipRequest } from "../../sip/messages/message.ts";
import { tagOf } from "../../sip/messages/name-addr.ts";
import { splitOutside } from "../../sip/messages/syntax.ts";
import { parseVia } from "../../sip/messages/via.ts";
import type { OwnUris } from "../own-uris.ts";

const REMEMBERED = 4096;
const KEEP_MS = 64_000;

/**
 * Tells a loop from a spiral (RFC 3261 §16.3 step 4): a request that has been here, still bears a Via of ours, and has
 * the same Request-URI and Route as before goes round for ever; with another Request-URI or Route it is on its way
 * (phone → box → PBX → box → phone).
 */
export class LoopGuard {
  readonly #own: OwnUris;
  readonly #clock: Clock;
  readonly #seen = new Map<string, number>();

  constructor(own: OwnUris, clock: Clock) {
    this.#own = own;
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
    const before = this.#seen.get(key);
    if (before !== undefined && now - before < KEEP_MS && this.#passedHere(received)) return true;
    if (this.#seen.size >= REMEMBERED) {
      for (const oldest of this.#seen.keys()) {
        this.#seen.delete(oldest);
        break;
      }
    }
    this.#seen.delete(key);
    this.#seen.set(key, now);
    return false;
  }

  #passedHere(request: SipRequest): boolean {
    const vias = headerValues(request, "Via").flatMap((value) => splitOutside(value, ","));
    return vias.some((element) => {
      const via = parseVia(element);
      return (
        via !== undefined &&
        this.#own.ofParsed({
          scheme: "sip",
          host: via.host,
          ...(via.port === undefined ? {} : { port: via.port }),
          params: [],
          headers: [],
        }).ours
      );
    });
  }
}
