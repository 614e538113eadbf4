import type { Clock } from "../base/clock.ts";
import { header, headerList } from "../sip/messages/headers.ts";
import type { SipRequest } from "../sip/messages/message.ts";
import { parseNameAddr, printNameAddr } from "../sip/messages/name-addr.ts";
import { paramValue, withoutParam, withParam } from "../sip/messages/params.ts";
import { sameUri } from "../sip/messages/uri.ts";

export interface CloudContact {
  readonly uri: string;
  /** Path elements, the nearest to the PBX first (RFC 3327 §5.3). */
  readonly path: readonly string[];
  /** As it stands in a 200, without its expiry. */
  readonly value: string;
  readonly until_ms: number;
}

const LONGEST_S = 3600;
const USUAL_S = 300;
const PER_USER = 10;

/** The registrar's bindings. */
export class CloudContacts {
  readonly #clock: Clock;
  readonly #byUser = new Map<string, CloudContact[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of(user: string): readonly CloudContact[] {
    return (this.#byUser.get(user) ?? []).filter((contact) => contact.until_ms > this.#clock.now());
  }

  /** Carries out one REGISTER; `contacts` are the values for its 200. Not ok: a Contact that cannot be read. */
  register(user: string, request: SipRequest): { readonly ok: boolean; readonly contacts: readonly string[] } {
    let kept = [...this.of(user)];
    const now = this.#clock.now();
    for (const value of headerList(request, "Contact")) {
      if (value === "*") {
        kept = [];
        continue;
      }
      const contact = parseNameAddr(value);
      if (contact === undefined) return { ok: false, contacts: [] };
      kept = kept.filter(({ uri }) => !sameUri(uri, contact.uri));
      const asked = Number(paramValue(contact.params, "expires") ?? header(request, "Expires") ?? USUAL_S);
      const expires_s = Number.isFinite(asked) ? Math.min(Math.max(0, asked), LONGEST_S) : USUAL_S;
      if (expires_s === 0) continue;
      kept.push({
        uri: contact.uri,
        path: headerList(request, "Path"),
        value: printNameAddr({ ...contact, params: withoutParam(contact.params, "expires") }),
        until_ms: now + expires_s * 1000,
      });
    }
    kept = kept.slice(-PER_USER);
    this.#byUser.set(user, kept);
    const contacts = kept.map(({ value, until_ms }) => {
      const contact = parseNameAddr(value);
      const left = String(Math.max(1, Math.round((until_ms - now) / 1000)));
      return contact === undefined
        ? value
        : printNameAddr({ ...contact, params: withParam(contact.params, "expires", left) });
    });
    return { ok: true, contacts };
  }
}
