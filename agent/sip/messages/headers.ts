import type { Header, SipMessage } from "./message.ts";
import { type Params, parseParams } from "./params.ts";
import { firstElement, parseDecimal, splitOutside } from "./syntax.ts";

/** Names as the RFCs write them; with them the compact forms (RFC 3261 §7.3.3 and the registry's later ones). */
const NAMES =
  "Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Authentication-Info Authorization " +
  "Call-ID Call-Info Contact Content-Disposition Content-Encoding Content-ID Content-Language Content-Length Content-Type " +
  "CSeq Date Diversion Error-Info Event Expires From Geolocation Geolocation-Error Geolocation-Routing History-Info " +
  "Identity In-Reply-To Join Max-Forwards MIME-Version Min-Expires Min-SE Organization P-Access-Network-Info " +
  "P-Asserted-Identity P-Associated-URI P-Charging-Vector P-Preferred-Identity Path Priority Privacy Proxy-Authenticate " +
  "Proxy-Authorization Proxy-Require RAck Reason Record-Route Refer-Sub Refer-To Referred-By Reject-Contact Replaces " +
  "Reply-To Request-Disposition Require Resource-Priority Retry-After Route RSeq Security-Client Security-Server " +
  "Security-Verify Server Service-Route Session-Expires SIP-ETag SIP-If-Match Subject Subscription-State Supported " +
  "Target-Dialog Timestamp To Unsupported User-Agent User-to-User Via Warning WWW-Authenticate";

const COMPACT: Readonly<Record<string, string>> = {
  a: "Accept-Contact",
  b: "Referred-By",
  c: "Content-Type",
  d: "Request-Disposition",
  e: "Content-Encoding",
  f: "From",
  i: "Call-ID",
  j: "Reject-Contact",
  k: "Supported",
  l: "Content-Length",
  m: "Contact",
  o: "Event",
  r: "Refer-To",
  s: "Subject",
  t: "To",
  u: "Allow-Events",
  v: "Via",
  x: "Session-Expires",
  y: "Identity",
};

const known = new Map<string, string>();
for (const name of NAMES.split(" ")) {
  known.set(name, name);
  known.set(name.toLowerCase(), name);
}
for (const [compact, name] of Object.entries(COMPACT)) {
  known.set(compact, name);
  known.set(compact.toUpperCase(), name);
}

/** The usual long form: "v" and "VIA" give "Via"; an unknown name gets capitals after each hyphen ("X-Foo-Bar"). */
export function canonicalName(name: string): string {
  return (
    known.get(name) ??
    known.get(name.toLowerCase()) ??
    name.toLowerCase().replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase())
  );
}

/** Whether a header line's name is `canonical` (a result of {@link canonicalName}). */
function is(header: Header, canonical: string): boolean {
  return header.name === canonical || canonicalName(header.name) === canonical;
}

/** The first raw value under this name, in whatever form the name was sent. */
export function header(message: SipMessage, name: string): string | undefined {
  const canonical = canonicalName(name);
  for (const line of message.headers) if (is(line, canonical)) return line.value;
  return undefined;
}

/** The raw values under this name, one per header line, in their order. */
export function headerValues(message: SipMessage, name: string): string[] {
  const canonical = canonicalName(name);
  const values: string[] = [];
  for (const line of message.headers) if (is(line, canonical)) values.push(line.value);
  return values;
}

/** The elements under this name: lines split at commas outside quotes and angle brackets (RFC 3261 §7.3.1). */
export function headerList(message: SipMessage, name: string): string[] {
  const elements: string[] = [];
  for (const value of headerValues(message, name)) {
    for (const element of splitOutside(value, ",")) if (element !== "") elements.push(element);
  }
  return elements;
}

/** Replaces the first line of this name in its place and drops the others; appends when there is none. */
export function setHeader(message: SipMessage, name: string, value: string): void {
  const canonical = canonicalName(name);
  let placed = false;
  const headers: Header[] = [];
  for (const line of message.headers) {
    if (!is(line, canonical)) headers.push(line);
    else if (!placed) {
      headers.push({ name: line.name, value });
      placed = true;
    }
  }
  if (!placed) headers.push({ name, value });
  message.headers = headers;
}

/** Adds a line after the last of this name, or at the end. */
export function appendHeader(message: SipMessage, name: string, value: string): void {
  const canonical = canonicalName(name);
  const last = message.headers.findLastIndex((line) => is(line, canonical));
  message.headers.splice(last < 0 ? message.headers.length : last + 1, 0, { name, value });
}

/** Adds a line before the first of this name, or at the top. */
export function prependHeader(message: SipMessage, name: string, value: string): void {
  const canonical = canonicalName(name);
  const first = message.headers.findIndex((line) => is(line, canonical));
  message.headers.splice(Math.max(0, first), 0, { name, value });
}

/** Removes every line of this name. */
export function removeHeader(message: SipMessage, name: string): void {
  const canonical = canonicalName(name);
  message.headers = message.headers.filter((line) => !is(line, canonical));
}

/** Removes the first element only (the top Via, the first Route) and returns it. */
export function removeFirst(message: SipMessage, name: string): string | undefined {
  const canonical = canonicalName(name);
  for (let i = 0; i < message.headers.length; ) {
    const line = message.headers[i];
    if (line === undefined || !is(line, canonical)) {
      i++;
      continue;
    }
    const { first, rest } = firstElement(line.value);
    if (rest === "") message.headers.splice(i, 1);
    else message.headers[i] = { name: line.name, value: rest };
    if (first !== "") return first;
  }
  return undefined;
}

export interface CSeq {
  /** 0 … 2^31 - 1 (RFC 3261 §8.1.1.5). */
  readonly seq: number;
  readonly method: string;
}

const CSEQ = /^([0-9]+)[ \t]+([A-Za-z0-9\-.!%*_+`'~]+)$/;

export function parseCSeq(value: string): CSeq | undefined {
  const match = CSEQ.exec(value);
  if (match === null) return undefined;
  const seq = parseDecimal(match[1] ?? "", 2 ** 31 - 1);
  return seq === undefined ? undefined : { seq, method: match[2] ?? "" };
}

export function cseqOf(message: SipMessage): CSeq | undefined {
  const value = header(message, "CSeq");
  return value === undefined ? undefined : parseCSeq(value);
}

export function callIdOf(message: SipMessage): string | undefined {
  return header(message, "Call-ID");
}

export interface ContentType {
  /** "type/subtype" in lower case. */
  readonly type: string;
  readonly params: Params;
}

const MEDIA_TYPE = /^([A-Za-z0-9\-.!%*_+`'~]+)[ \t]*\/[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)$/;

/** Reads a media type with its parameters (RFC 3261 §20.15). */
export function parseContentType(value: string): ContentType | undefined {
  const semicolon = value.indexOf(";");
  const match = MEDIA_TYPE.exec((semicolon < 0 ? value : value.slice(0, semicolon)).trim());
  const params = parseParams(semicolon < 0 ? "" : value.slice(semicolon));
  if (match === null || params === undefined) return undefined;
  return { type: `${match[1]}/${match[2]}`.toLowerCase(), params };
}

export function contentType(message: SipMessage): ContentType | undefined {
  const value = header(message, "Content-Type");
  return value === undefined ? undefined : parseContentType(value);
}
