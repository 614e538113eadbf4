import { callIdOf, cseqOf, header, headerList } from "../../sip/messages/headers.ts";
import type { SipMessage, SipRequest } from "../../sip/messages/message.ts";
import { type NameAddr, parseNameAddr } from "../../sip/messages/name-addr.ts";
import { type Params, paramValue, printParams, withoutParam } from "../../sip/messages/params.ts";
import { parseUri, sameUri, schemeOf } from "../../sip/messages/uri.ts";

/** One Contact of a REGISTER. */
export interface RegisterContact {
  readonly uri: string;
  readonly params: Params;
  /** Seconds asked for; 0 removes. */
  readonly expires_s: number;
}

/** A REGISTER as RFC 3261 §10.3 looks at it. */
export interface RegisterRequest {
  /** The URI of To. */
  readonly to: string;
  readonly call_id: string;
  readonly cseq: number;
  /** `Contact: *`: everything of this address of record goes. */
  readonly all: boolean;
  /** None: a query. */
  readonly contacts: readonly RegisterContact[];
}

/** RFC 3261 §10.3: a malformed or missing expiry counts as one hour. */
export const DEFAULT_EXPIRES_S = 3600;
const AOR_SCHEMES = ["sip", "sips"];
const CONTACTS_MAX = 10;
const CONTACT_LENGTH = 1000;

export function parseRegister(
  request: SipRequest,
): RegisterRequest | { readonly refuse: number; readonly why: string } {
  const to = parseNameAddr(header(request, "To") ?? "");
  const call_id = callIdOf(request);
  const cseq = cseqOf(request);
  if (to === undefined || call_id === undefined || cseq === undefined) return { refuse: 400, why: "Bad Request" };
  // §10.2: an address of record is a SIP or SIPS URI.
  if (!AOR_SCHEMES.includes(schemeOf(to.uri) ?? "")) return { refuse: 400, why: "To Is No Address of Record" };
  const values = headerList(request, "Contact");
  const expires = header(request, "Expires");
  if (values.includes("*")) {
    // §10.3 step 6: alone, and with Expires: 0.
    if (values.length > 1 || expires?.trim() !== "0") return { refuse: 400, why: "Invalid Wildcard Contact" };
    return { to: to.uri, call_id, cseq: cseq.seq, all: true, contacts: [] };
  }
  if (values.length > CONTACTS_MAX) return { refuse: 400, why: "Too Many Contacts" };
  const contacts: RegisterContact[] = [];
  let regIds = 0;
  for (const value of values) {
    const contact = parseNameAddr(value);
    if (contact === undefined || value.length > CONTACT_LENGTH) return { refuse: 400, why: "Bad Contact" };
    const expires_s = secondsOf(paramValue(contact.params, "expires")) ?? secondsOf(expires) ?? DEFAULT_EXPIRES_S;
    contacts.push({ uri: contact.uri, params: contact.params, expires_s });
    if (expires_s > 0 && isOutboundContact(contact.params)) regIds++;
  }
  // RFC 5626 §6: one flow a request.
  if (regIds > 1) return { refuse: 400, why: "More Than One reg-id" };
  return { to: to.uri, call_id, cseq: cseq.seq, all: false, contacts };
}

/** The contacts of a 200 to REGISTER, unreadable ones left out. */
export function contactsOf(message: SipMessage): NameAddr[] {
  const contacts: NameAddr[] = [];
  for (const value of headerList(message, "Contact")) {
    const contact = parseNameAddr(value);
    if (contact !== undefined) contacts.push(contact);
  }
  return contacts;
}

/** How long the cloud granted: its Contact's own expiry, else its Expires header, else what was asked. Seconds. */
export function grantedSeconds(granted: NameAddr, response: SipMessage, asked_s: number): number {
  return secondsOf(paramValue(granted.params, "expires")) ?? secondsOf(header(response, "Expires")) ?? asked_s;
}

/** The 200's Expires header, seconds; undefined where it has none. */
export function grantedOverall(response: SipMessage): number | undefined {
  return secondsOf(header(response, "Expires"));
}

/** Undefined when there is none; a malformed one counts as one hour; capped at 2^32-1 as the RFC says. */
function secondsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const trimmed = text.trim();
  return /^[0-9]{1,10}$/.test(trimmed) ? Math.min(Number(trimmed), 2 ** 32 - 1) : DEFAULT_EXPIRES_S;
}

/** RFC 5626 §6: a reg-id counts only beside an instance. */
function isOutboundContact(params: Params): boolean {
  return instanceOf(params) !== undefined && paramValue(params, "reg-id") !== undefined;
}

/** Whether a phone asks for RFC 5626 (§4.2.1): it says so, and gives an instance and a reg-id. */
export function wantsOutbound(request: SipRequest, register: RegisterRequest): boolean {
  return (
    headerList(request, "Supported").some((tag) => tag.toLowerCase() === "outbound") &&
    register.contacts.some(({ params, expires_s }) => expires_s > 0 && isOutboundContact(params))
  );
}

/**
 * RFC 5626 §6: a request that passed a proxy is on a flow of its own only if that first hop says so, by `ob` in its Path.
 */
export function firstHopKnowsOutbound(request: SipRequest): boolean {
  if (headerList(request, "Via").length < 2) return true;
  const first = parseNameAddr(headerList(request, "Path").at(-1) ?? "");
  const uri = first === undefined ? undefined : parseUri(first.uri);
  return uri?.params.some(({ name }) => name.toLowerCase() === "ob") === true;
}

export function instanceOf(params: Params): string | undefined {
  return paramValue(params, "+sip.instance");
}

/** The parameters that a binding keeps: all but the expiry. */
export function keptParams(params: Params): string {
  return printParams(withoutParam(params, "expires"));
}

export function findContact<T extends { readonly uri: string }>(contacts: readonly T[], uri: string): T | undefined {
  return contacts.find((contact) => contact.uri === uri) ?? contacts.find((contact) => sameUri(contact.uri, uri));
}
