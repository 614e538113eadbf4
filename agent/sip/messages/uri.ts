import { type Param, type Params, paramValue, parseParams, printParams, withoutParam } from "./params.ts";
import { parseHostPort } from "./syntax.ts";

/**
 * A URI of any scheme. `sip` and `sips` have user, host, port, parameters and headers (RFC 3261 §19.1); `tel` has its
 * number in `user` and its parameters (RFC 3966), host ""; any other scheme keeps all after its colon in `opaque`.
 * Parts are kept as written, escapes included: {@link userOf} resolves them.
 */
export interface SipUri {
  /** In lower case. */
  readonly scheme: string;
  readonly user?: string;
  readonly password?: string;
  /** A name, an IPv4 address or a bracketed IPv6 reference; "" for schemes that have none. */
  readonly host: string;
  readonly port?: number;
  readonly params: Params;
  readonly headers: readonly Param[];
  readonly opaque?: string;
}

const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*$/;
// What no URI may hold unescaped: blanks, controls, quotes and brackets would escape the header field around it.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const FORBIDDEN = /[\u0000-\u0020\u007f<>"]/;

/** What stands before the first colon, in lower case; undefined when it is no scheme. */
export function schemeOf(text: string): string | undefined {
  const colon = text.indexOf(":");
  const scheme = text.slice(0, Math.max(0, colon));
  return SCHEME.test(scheme) ? scheme.toLowerCase() : undefined;
}

export function parseUri(text: string): SipUri | undefined {
  const scheme = schemeOf(text);
  if (scheme === undefined || FORBIDDEN.test(text)) return undefined;
  const colon = scheme.length;
  const rest = text.slice(colon + 1);
  if (rest === "") return undefined;
  if (scheme === "sip" || scheme === "sips") return parseSip(scheme, rest);
  if (scheme === "tel") return parseTel(rest);
  return { scheme, host: "", params: [], headers: [], opaque: rest };
}

function parseTel(rest: string): SipUri | undefined {
  const semicolon = rest.indexOf(";");
  const user = semicolon < 0 ? rest : rest.slice(0, semicolon);
  const params = parseParams(semicolon < 0 ? "" : rest.slice(semicolon));
  return user === "" || params === undefined ? undefined : { scheme: "tel", user, host: "", params, headers: [] };
}

function parseSip(scheme: string, rest: string): SipUri | undefined {
  // The user part may hold ";" and "?" (§25.1 user-unreserved), so the "@" is looked for first. Phones whose user
  // names are mail addresses send two of them unescaped: the last one before the headers counts.
  const firstAt = rest.indexOf("@");
  const headersFrom = firstAt < 0 ? -1 : rest.indexOf("?", firstAt);
  const at = headersFrom < 0 ? rest.lastIndexOf("@") : rest.lastIndexOf("@", headersFrom);
  const hostFrom = at + 1;
  let hostTo = rest.length;
  const question = rest.indexOf("?", hostFrom);
  if (question >= 0) hostTo = question;
  const semicolon = rest.indexOf(";", hostFrom);
  if (semicolon >= 0 && semicolon < hostTo) hostTo = semicolon;
  const hostPort = parseHostPort(rest.slice(hostFrom, hostTo));
  const params = parseParams(hostTo === semicolon ? rest.slice(semicolon, question < 0 ? undefined : question) : "");
  if (hostPort === undefined || params === undefined) return undefined;
  const headers = question < 0 ? [] : parseUriHeaders(rest.slice(question + 1));
  if (at < 0) return { scheme, ...hostPort, params, headers };
  const userInfo = rest.slice(0, at);
  const colon = userInfo.indexOf(":");
  if (colon < 0) return { scheme, user: userInfo, ...hostPort, params, headers };
  return { scheme, user: userInfo.slice(0, colon), password: userInfo.slice(colon + 1), ...hostPort, params, headers };
}

function parseUriHeaders(text: string): Param[] {
  const headers: Param[] = [];
  for (const piece of text.split("&")) {
    if (piece === "") continue;
    const equal = piece.indexOf("=");
    headers.push(equal < 0 ? { name: piece } : { name: piece.slice(0, equal), value: piece.slice(equal + 1) });
  }
  return headers;
}

export function printUri(uri: SipUri): string {
  if (uri.opaque !== undefined) return `${uri.scheme}:${uri.opaque}`;
  let text = `${uri.scheme}:`;
  if (uri.user !== undefined) text += uri.user;
  if (uri.host !== "") {
    if (uri.password !== undefined) text += `:${uri.password}`;
    if (uri.user !== undefined) text += "@";
    text += uri.host;
    if (uri.port !== undefined) text += `:${uri.port}`;
  }
  text += printParams(uri.params);
  if (uri.headers.length > 0) {
    text += `?${uri.headers.map(({ name, value }) => (value === undefined ? name : `${name}=${value}`)).join("&")}`;
  }
  return text;
}

/** A URI as it may stand in a Request-URI: without `method` and without headers (RFC 3261 §19.1.1, §16.6 step 2). */
export function asRequestUri(text: string): string {
  const parsed = parseUri(text);
  if (parsed === undefined || (parsed.headers.length === 0 && paramValue(parsed.params, "method") === undefined)) {
    return text;
  }
  return printUri({ ...parsed, params: withoutParam(parsed.params, "method"), headers: [] });
}

/** Resolves `%xx` escapes as UTF-8; text that is badly escaped is returned as it is. */
export function unescapeText(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    // Not UTF-8 or a lone percent sign: resolve what is plain ASCII, leave the rest as written.
    return text.replace(/%([0-7][0-9A-Fa-f])/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  }
}

/** Escapes what a user part may not hold unescaped (RFC 3261 §25.1 user). */
export function escapeUser(text: string): string {
  return text.toWellFormed().replace(/[^A-Za-z0-9\-_.!~*'()&=+$,;?/]+/g, encodeURIComponent);
}

/** The user part with escapes resolved: what was dialled. */
export function userOf(uri: SipUri): string | undefined {
  return uri.user === undefined ? undefined : unescapeText(uri.user);
}

/** The address inside an IPv6 reference, or the host as it is: what a socket takes. */
export function bareHost(host: string): string {
  return host.startsWith("[") ? host.slice(1, -1) : host;
}

/** The eight groups of an IPv6 address, for comparing (RFC 5954 §4); undefined when it is none. */
function ipv6Groups(address: string): string | undefined {
  try {
    return new URL(`http://[${address}]`).hostname;
  } catch {
    return undefined;
  }
}

function sameHost(a: string, b: string): boolean {
  if (a.toLowerCase() === b.toLowerCase()) return true;
  if (!a.startsWith("[") || !b.startsWith("[")) return false;
  const groups = ipv6Groups(bareHost(a));
  return groups !== undefined && groups === ipv6Groups(bareHost(b));
}

/** Parameters that differ when only one side has them (RFC 3261 §19.1.4, its list and its examples). */
const TELLING = ["user", "ttl", "method", "maddr", "transport"];

function sameParams(a: Params, b: Params): boolean {
  if (a.length === 0 && b.length === 0) return true;
  const left = valuesByName(a);
  const right = valuesByName(b);
  for (const [name, value] of left) {
    const other = right.get(name);
    if (other !== undefined && !equalFold(value, other)) return false;
  }
  return TELLING.every((name) => left.has(name) === right.has(name));
}

/** By name in lower case, the first of a name: looking each one up in the list would be the square of its length. */
function valuesByName(params: Params): Map<string, string> {
  const values = new Map<string, string>();
  for (const { name, value = "" } of params) {
    const lower = name.toLowerCase();
    if (!values.has(lower)) values.set(lower, value);
  }
  return values;
}

function equalFold(a: string, b: string): boolean {
  return unescapeText(a).toLowerCase() === unescapeText(b).toLowerCase();
}

function headerKey(headers: readonly Param[]): string {
  return headers
    .map(({ name, value }) => JSON.stringify([unescapeText(name).toLowerCase(), unescapeText(value ?? "")]))
    .sort()
    .join();
}

/** Whether two URIs are equivalent by RFC 3261 §19.1.4 (tel: RFC 3966 §5 without visual separators). */
export function sameUri(left: string | SipUri, right: string | SipUri): boolean {
  const a = typeof left === "string" ? parseUri(left) : left;
  const b = typeof right === "string" ? parseUri(right) : right;
  if (a === undefined || b === undefined || a.scheme !== b.scheme) return false;
  if (a.opaque !== undefined || b.opaque !== undefined) return a.opaque === b.opaque;
  if (a.scheme === "tel") return telKey(a) === telKey(b);
  return (
    a.port === b.port &&
    sameHost(a.host, b.host) &&
    userOf(a) === userOf(b) &&
    unescapeText(a.password ?? "") === unescapeText(b.password ?? "") &&
    sameParams(a.params, b.params) &&
    headerKey(a.headers) === headerKey(b.headers)
  );
}

function telKey(uri: SipUri): string {
  const params = uri.params.map(({ name, value }) => `${name.toLowerCase()}=${(value ?? "").toLowerCase()}`).sort();
  return [(userOf(uri) ?? "").replace(/[-.()]/g, "").toLowerCase(), ...params].join(";");
}
