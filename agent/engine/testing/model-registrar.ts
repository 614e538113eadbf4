import type { Clock } from "../../base/clock.ts";
import { buildResponse } from "../../sip/messages/build.ts";
import { callIdOf, cseqOf, header, headerList } from "../../sip/messages/headers.ts";
import type { SipRequest, SipResponse } from "../../sip/messages/message.ts";

interface ModelContact {
  readonly uri: string;
  readonly call_id: string;
  readonly cseq: number;
  readonly lapses_ms: number;
}

/**
 * A registrar straight from RFC 3261 §10.3, as a judge: it shares no code with the box's own. Contacts are told apart by
 * their text, and their expiry comes from the Expires header.
 */
export class ModelRegistrar {
  granted_s = 600;
  /** Requests that reached it. */
  seen = 0;
  readonly #clock: Clock;
  #contacts = new Map<string, readonly ModelContact[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  live(user: string): readonly { readonly uri: string; readonly left_ms: number }[] {
    const now = this.#clock.now();
    return (this.#contacts.get(user) ?? [])
      .filter(({ lapses_ms }) => lapses_ms > now)
      .map(({ uri, lapses_ms }) => ({ uri, left_ms: lapses_ms - now }));
  }

  answer(request: SipRequest): SipResponse {
    this.seen++;
    const now = this.#clock.now();
    const user = /sip:([^@]+)@/.exec(header(request, "To") ?? "")?.[1] ?? "";
    const call_id = callIdOf(request) ?? "";
    const cseq = cseqOf(request)?.seq ?? 0;
    const asked_s = Number(header(request, "Expires"));
    const named = headerList(request, "Contact").map((value) => /<([^>]+)>/.exec(value)?.[1] ?? value);
    const live = (this.#contacts.get(user) ?? []).filter(({ lapses_ms }) => lapses_ms > now);
    const touched = named[0] === "*" ? live : live.filter(({ uri }) => named.includes(uri));
    if (touched.some((contact) => contact.call_id === call_id && contact.cseq >= cseq)) {
      return buildResponse(request, 500);
    }
    const kept = live.filter((contact) => !touched.includes(contact));
    const granted_s = Math.min(asked_s, this.granted_s);
    const added = asked_s === 0 ? [] : named.map((uri) => ({ uri, call_id, cseq, lapses_ms: now + granted_s * 1000 }));
    this.#contacts.set(user, [...kept, ...added]);
    const headers = this.live(user).map(({ uri, left_ms }) => ({
      name: "Contact",
      value: `<${uri}>;expires=${Math.floor(left_ms / 1000)}`,
    }));
    return buildResponse(request, 200, { headers });
  }
}
