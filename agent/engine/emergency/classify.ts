import type { SiteConfig } from "../../base/config/schema.ts";
import { headerList } from "../../sip/messages/headers.ts";
import type { SipRequest } from "../../sip/messages/message.ts";
import { parseNameAddr } from "../../sip/messages/name-addr.ts";
import { parseUri, type SipUri, unescapeText, userOf } from "../../sip/messages/uri.ts";

export interface EmergencyTarget {
  /** `test` is the carrier's test number (often 933): the same way out, but nobody is alarmed. */
  readonly class: "sos" | "test";
  /** The emergency number itself, without prefix: what the trunk is asked for. */
  readonly digits: string;
  readonly how: "direct" | "outside_prefix" | "plus" | "service_urn";
}

/** What classification may look at. */
export type EmergencyRules = Pick<SiteConfig, "emergency" | "site">;

/**
 * Whether an INVITE is an emergency call, from its Request-URI alone, before authentication, rules and limits. The
 * host does not matter: 911 at any domain is 911. A strict router (RFC 3261 §16.4) puts itself into the Request-URI and
 * the target into the last Route, so that is looked at when the Request-URI has no user.
 */
export function classify(request: SipRequest, rules: EmergencyRules): EmergencyTarget | undefined {
  const target = classifyUri(request.uri, rules);
  if (target !== undefined) return target;
  const uri = parseUri(request.uri);
  if (uri === undefined || uri.opaque !== undefined || (uri.user !== undefined && uri.user !== "")) return undefined;
  const last = headerList(request, "Route").at(-1);
  return last === undefined ? undefined : classifyAddress(last, rules);
}

/** The target of a transfer (RFC 3515). */
export function classifyReferTo(request: SipRequest, rules: EmergencyRules): EmergencyTarget | undefined {
  for (const value of headerList(request, "Refer-To")) {
    const target = classifyAddress(value, rules);
    if (target !== undefined) return target;
  }
  return undefined;
}

/** One URI as text: `sip`, `sips`, `tel` or `urn:service`. */
export function classifyUri(text: string, rules: EmergencyRules): EmergencyTarget | undefined {
  const uri = parseUri(text);
  if (uri === undefined) return undefined;
  if (uri.scheme === "urn") return serviceUrn(uri, rules);
  if (uri.scheme !== "sip" && uri.scheme !== "sips" && uri.scheme !== "tel") return undefined;
  const user = userOf(uri);
  return user === undefined ? undefined : classifyDialled(user, rules);
}

function classifyAddress(value: string, rules: EmergencyRules): EmergencyTarget | undefined {
  const address = parseNameAddr(value);
  return address === undefined ? undefined : classifyUri(address.uri, rules);
}

/** RFC 5031: `urn:service:sos` and its sub-services, and `urn:service:test.sos` (RFC 6881). Labels ignore case. */
function serviceUrn(uri: SipUri, rules: EmergencyRules): EmergencyTarget | undefined {
  const match = /^service:(test\.)?sos(?:\.[a-z0-9.-]+)?$/i.exec(unescapeText(uri.opaque ?? ""));
  if (match === null) return undefined;
  const kind = match[1] === undefined ? "sos" : "test";
  const known = rules.emergency.numbers.find((number) => number.class === kind);
  return { class: kind, digits: known?.digits ?? (kind === "sos" ? "911" : "933"), how: "service_urn" };
}

/** Visual separators (RFC 3966 §5.1.1), and the blanks that phones leave in. */
const SEPARATORS = /[-.()\s]/g;

/**
 * Digits as dialled, or a user part with escapes resolved. An outside-line prefix before the number is the same call,
 * also where an extension happens to have these digits. `+911` and `+1911` (with the site's country code) are what
 * phones make of 911 when they "normalise" it; no subscriber number is that short, so they are taken as 911. Without
 * the plus, 1911 may be anybody's extension and is left alone.
 */
export function classifyDialled(dialled: string, rules: EmergencyRules): EmergencyTarget | undefined {
  // Parameters inside the user part (";phone-context=", ";npdi") are no digits; "#" at the end is how people say "send".
  const digits = (dialled.split(";")[0] ?? "").replace(SEPARATORS, "").replace(/#+$/, "");
  if (digits === "") return undefined;
  for (const number of rules.emergency.numbers) {
    if (digits === number.digits) return { ...number, how: "direct" };
  }
  for (const number of rules.emergency.numbers) {
    if (digits === `+${number.digits}` || digits === `+${rules.site.country_code}${number.digits}`) {
      return { ...number, how: "plus" };
    }
    if (rules.emergency.outside_prefixes.some((prefix) => digits === prefix + number.digits)) {
      return { ...number, how: "outside_prefix" };
    }
  }
  return undefined;
}
