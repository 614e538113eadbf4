import { header } from "./headers.ts";
import type { SipMessage } from "./message.ts";
import { type Params, paramValue, parseParams, printParams } from "./params.ts";
import { quote, quotedEnd, unquote } from "./syntax.ts";

/** `name-addr` or `addr-spec` with header parameters (RFC 3261 §20.10): From, To, Contact, Route, Refer-To … */
export interface NameAddr {
  /** Without quotes and escapes. */
  readonly displayName?: string;
  readonly uri: string;
  readonly params: Params;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const BAD_IN_BRACKETS = /[\u0000-\u0020\u007f<>"]/;

/** Undefined when the text is neither form. "*" (RFC 3261 §10.2.2) is not an address. */
export function parseNameAddr(text: string): NameAddr | undefined {
  const value = text.trim();
  if (value.charCodeAt(0) === 0x22) {
    const end = quotedEnd(value, 0);
    if (end < 0) return undefined;
    const rest = value.slice(end).trimStart();
    return rest.startsWith("<") ? inBrackets(rest, 0, unquote(value.slice(0, end))) : undefined;
  }
  const open = value.indexOf("<");
  if (open < 0) return bare(value);
  const semicolon = value.indexOf(";");
  // "<" after the first ";" belongs to a parameter of an addr-spec; or somebody put a ";" into a display name without quotes.
  const addrSpec = semicolon >= 0 && semicolon < open ? bare(value) : undefined;
  if (addrSpec !== undefined) return addrSpec;
  const displayName = value.slice(0, open).trim();
  if (displayName.includes('"')) return undefined;
  return inBrackets(value, open, displayName === "" ? undefined : displayName.replace(/[ \t]+/g, " "));
}

function inBrackets(value: string, open: number, displayName: string | undefined): NameAddr | undefined {
  const close = value.indexOf(">", open);
  if (close < 0) return undefined;
  const uri = value.slice(open + 1, close).trim();
  const rest = value.slice(close + 1).trim();
  if (uri === "" || BAD_IN_BRACKETS.test(uri) || !hasScheme(uri) || (rest !== "" && !rest.startsWith(";")))
    return undefined;
  const params = parseParams(rest);
  if (params === undefined) return undefined;
  return displayName === undefined ? { uri, params } : { displayName, uri, params };
}

/** Without brackets every parameter is the header's, and the URI may hold no comma or question mark (§20). */
function bare(value: string): NameAddr | undefined {
  const semicolon = value.indexOf(";");
  const uri = (semicolon < 0 ? value : value.slice(0, semicolon)).trimEnd();
  if (BAD_IN_BRACKETS.test(uri) || /[,?]/.test(uri) || !hasScheme(uri)) return undefined;
  const params = parseParams(semicolon < 0 ? "" : value.slice(semicolon));
  return params === undefined ? undefined : { uri, params };
}

function hasScheme(uri: string): boolean {
  return /^[A-Za-z][A-Za-z0-9+.-]*:./.test(uri);
}

/** Always with angle brackets; the display name always quoted. */
export function printNameAddr({ displayName, uri, params }: NameAddr): string {
  return `${displayName === undefined ? "" : `${quote(displayName)} `}<${uri}>${printParams(params)}`;
}

/** The tag of the From or To header; undefined when it has none or cannot be read. */
export function tagOf(message: SipMessage, name: "From" | "To"): string | undefined {
  const value = header(message, name);
  const parsed = value === undefined ? undefined : parseNameAddr(value);
  return parsed === undefined ? undefined : paramValue(parsed.params, "tag");
}
