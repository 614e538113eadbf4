/** The lexical pieces that all header fields share (RFC 3261 §25.1): tokens, quoted strings, lists. One pass each. */

const TOKEN = /^[A-Za-z0-9\-.!%*_+`'~]+$/;

export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** `text` as a quoted-string. CR and LF cannot be quoted (§25.1 quoted-pair) and become spaces. */
export function quote(text: string): string {
  return `"${text.replace(/[\r\n]+/g, " ").replace(/["\\]/g, "\\$&")}"`;
}

/** The content of a quoted-string, escapes resolved; any other text as it is. */
export function unquote(text: string): string {
  if (text.length < 2 || text.charCodeAt(0) !== QUOTE || text.charCodeAt(text.length - 1) !== QUOTE) return text;
  const inner = text.slice(1, -1);
  return inner.includes("\\") ? inner.replace(/\\([\s\S])/g, "$1") : inner;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LESS = 0x3c;
const GREATER = 0x3e;
const COMMA = 0x2c;

/** Index after the closing quote of the quoted-string that opens at `start`; -1 when it never closes. */
export function quotedEnd(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === BACKSLASH) i++;
    else if (unit === QUOTE) return i + 1;
  }
  return -1;
}

/** Index of the first `stop` (a character code) at or after `from`, outside quoted strings and angle brackets; -1. */
function nextOutside(text: string, stop: number, from: number): number {
  let angle = false;
  for (let i = from; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === QUOTE && !angle) {
      const end = quotedEnd(text, i);
      if (end < 0) return -1;
      i = end - 1;
    } else if (unit === LESS) angle = true;
    else if (unit === GREATER) angle = false;
    else if (unit === stop && !angle) return i;
  }
  return -1;
}

/**
 * Splits at `separator` (one character) outside quoted strings and angle brackets; pieces are trimmed and empty ones
 * kept. A quote that never closes takes the rest of the text with it.
 */
export function splitOutside(text: string, separator: string): string[] {
  const stop = separator.charCodeAt(0);
  const pieces: string[] = [];
  let from = 0;
  for (let at = nextOutside(text, stop, 0); at >= 0; at = nextOutside(text, stop, from)) {
    pieces.push(text.slice(from, at).trim());
    from = at + 1;
  }
  pieces.push(text.slice(from).trim());
  return pieces;
}

/** The first element that is not empty of a list with commas, and what stands behind its comma, if anything. */
export function firstElement(list: string): { readonly first: string; readonly rest: string } {
  let from = 0;
  for (let at = nextOutside(list, COMMA, 0); at >= 0; at = nextOutside(list, COMMA, from)) {
    const first = list.slice(from, at).trim();
    from = at + 1;
    if (first === "") continue;
    const rest = list.slice(from).trim();
    return { first, rest: /^[\s,]*$/.test(rest) ? "" : rest };
  }
  return { first: list.slice(from).trim(), rest: "" };
}

const DIGITS = /^[0-9]+$/;

/** A decimal number of digits only, at most `max`; leading zeros are allowed. */
export function parseDecimal(text: string, max: number): number | undefined {
  if (!DIGITS.test(text)) return undefined;
  const value = Number(text);
  return value <= max ? value : undefined;
}

const HOSTNAME = /^[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?$/;
const IPV6_REFERENCE = /^\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._~-]+)?\]$/;

/** Splits `host[:port]` (§25.1 hostport, white space around the colon allowed); IPv6 references keep their brackets. */
export function parseHostPort(text: string): { host: string; port?: number } | undefined {
  const close = text.charCodeAt(0) === 0x5b ? text.indexOf("]") : 0;
  if (close < 0) return undefined;
  const colon = text.indexOf(":", close);
  const host = (colon < 0 ? text : text.slice(0, colon)).trim();
  if (close > 0 ? !(IPV6_REFERENCE.test(host) && host.includes(":")) : !HOSTNAME.test(host)) return undefined;
  if (colon < 0) return { host };
  const port = parseDecimal(text.slice(colon + 1).trim(), 65535);
  return port === undefined ? undefined : { host, port };
}
