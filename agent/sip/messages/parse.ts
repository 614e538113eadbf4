import { canonicalName, cseqOf, header, headerValues } from "./headers.ts";
import type { Header, SipMessage, SipRequest } from "./message.ts";
import { parseNameAddr } from "./name-addr.ts";
import { isToken, parseDecimal, splitOutside } from "./syntax.ts";
import { parseUri } from "./uri.ts";
import { parseVia, topVia } from "./via.ts";
import { decodeText } from "./wire-text.ts";

/** Bounds of one message. A line is one header field with its folds. */
export const LIMITS = { message_bytes: 65_536, headers: 256, line_bytes: 8_192 } as const;

export type ParseErrorCode =
  /** Nothing but CRLFs: a keep-alive (RFC 5626 §3.5.1), not a fault. */
  | "empty"
  /** Larger than LIMITS: the start line was not looked at. */
  | "too_large"
  /** No empty line ends the headers. */
  | "no_end_of_headers"
  | "start_line"
  /** A SIP version other than 2.0 (RFC 3261 §21.5.6). */
  | "version"
  | "line_too_long"
  | "too_many_headers"
  /** A line that is no header field. */
  | "header_line"
  /** Via, From, To, Call-ID or CSeq is not there (§8.1.1). */
  | "missing_header"
  /** A header field that may stand once stands twice. */
  | "repeated_header"
  /** A header field that every element has to read cannot be read. */
  | "header_value"
  /** Content-Length is more than what came (§18.3). */
  | "body_too_short";

export interface ParseError {
  readonly code: ParseErrorCode;
  /** What was found, for the log; quotes at most 80 characters from the wire. */
  readonly detail: string;
  /** What to answer `request` with: 400 Bad Request, 505 Version Not Supported or 513 Message Too Large. */
  readonly status: 400 | 505 | 513;
  /**
   * There when a response has somewhere to go: a request other than ACK whose top Via can be read. Its other parts may
   * be nonsense or missing (RFC 4475 §3.3.1). Without it the message is dropped.
   */
  readonly request?: SipRequest;
}

export type ParseResult =
  | { readonly ok: true; readonly message: SipMessage }
  | { readonly ok: false; readonly error: ParseError };

const CR = 13;
const LF = 10;

/** Index of the first byte that is not CR or LF: leading empty lines are ignored (RFC 3261 §7.5). */
export function skipEmptyLines(bytes: Uint8Array, from = 0): number {
  let i = from;
  while (bytes[i] === CR || bytes[i] === LF) i++;
  return i;
}

/**
 * Index of the first body byte: after the first empty line at or after `from`, -1 when none has come yet. A bare LF
 * ends a line like CRLF does, here as in {@link parseMessage}; a framer must use this same function, or two
 * readings of one byte stream could differ.
 */
export function bodyStart(bytes: Uint8Array, from = 0): number {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Line by line, and not one search for each form: for one that never comes the whole stream behind would be looked at.
  for (let lf = buffer.indexOf(LF, from); lf >= 0; lf = buffer.indexOf(LF, lf + 1)) {
    if (buffer[lf + 1] === LF) return lf + 2;
    if (buffer[lf + 1] === CR && buffer[lf + 2] === LF) return lf + 3;
  }
  return -1;
}

/**
 * Reads one message: a datagram, or what a stream's framer has cut out. Bytes after the body are ignored (§18.3).
 * Only what every element must understand is checked; other header fields stay raw text, right or wrong. Never throws.
 */
export function parseMessage(bytes: Uint8Array): ParseResult {
  const start = skipEmptyLines(bytes);
  if (start === bytes.length) return fail("empty", "nothing but empty lines");
  const body = bodyStart(bytes, start);
  if (body < 0) {
    const tooLarge = bytes.length > LIMITS.message_bytes;
    return fail(tooLarge ? "too_large" : "no_end_of_headers", `${bytes.length} bytes without an empty line`);
  }
  if (body - start > LIMITS.message_bytes) return fail("too_large", `${body - start} bytes of headers`);
  const head = decodeText(bytes.subarray(start, body));

  let at = head.indexOf("\n");
  const startLine = readStartLine(head.slice(0, lineEnd(head, 0, at)));
  const { message } = startLine;
  if (message === undefined) return fail("start_line", startLine.detail);
  let fault = startLine.fault;

  // A fault is kept and the reading goes on, because the headers after it are needed to answer.
  const { headers } = message;
  at++;
  while (at < head.length) {
    let next = head.indexOf("\n", at);
    let end = lineEnd(head, at, next);
    if (end === at) break;
    const from = at;
    let folded = false;
    at = next + 1;
    while (isBlank(head.charCodeAt(at))) {
      folded = true;
      next = head.indexOf("\n", at);
      end = lineEnd(head, at, next);
      at = next + 1;
    }
    if (headers.length === LIMITS.headers) {
      fault ??= { code: "too_many_headers", detail: `more than ${LIMITS.headers} header lines` };
      break;
    }
    if (end - from > LIMITS.line_bytes) {
      fault ??= { code: "line_too_long", detail: excerpt(head.slice(from, from + 80)) };
      continue;
    }
    const line = readHeaderLine(folded ? unfold(head.slice(from, end)) : head.slice(from, end));
    if (line === undefined) fault ??= { code: "header_line", detail: excerpt(head.slice(from, end)) };
    else headers.push(line);
  }

  fault ??= checkHeaders(message);
  fault ??= takeBody(message, bytes.subarray(body));
  const size = body - start + message.body.length;
  if (size > LIMITS.message_bytes) fault ??= { code: "too_large", detail: `${size} bytes` };
  if (fault === undefined) return { ok: true, message };
  return { ok: false, error: toError(fault, message) };
}

interface Fault {
  readonly code: ParseErrorCode;
  readonly detail: string;
}

function fail(code: ParseErrorCode, detail: string): ParseResult {
  return { ok: false, error: { code, detail, status: statusOf(code) } };
}

function statusOf(code: ParseErrorCode): 400 | 505 | 513 {
  return code === "version"
    ? 505
    : code === "too_large" || code === "line_too_long" || code === "too_many_headers"
      ? 513
      : 400;
}

function toError({ code, detail }: Fault, message: SipMessage): ParseError {
  const status = statusOf(code);
  return isAnswerable(message) ? { code, detail, status, request: message } : { code, detail, status };
}

/** §18.2.2: a response finds its way by the top Via; §17.1.1.3: an ACK is never answered. */
function isAnswerable(message: SipMessage): message is SipRequest {
  return message.kind === "request" && message.method !== "ACK" && topVia(message) !== undefined;
}

function excerpt(text: string): string {
  return text.length > 80 ? text.slice(0, 80) : text;
}

function isBlank(unit: number): boolean {
  return unit === 0x20 || unit === 0x09;
}

/** Where the line's text ends whose LF is at `lf` (-1: at the end of the text): before its CR. */
function lineEnd(text: string, from: number, lf: number): number {
  const end = lf < 0 ? text.length : lf;
  return end > from && text.charCodeAt(end - 1) === CR ? end - 1 : end;
}

/** A fold and the blanks around it stand for one space (§7.3.1). */
function unfold(text: string): string {
  return text
    .split("\n")
    .map((piece) => trimBlanks(piece.endsWith("\r") ? piece.slice(0, -1) : piece, 0))
    .filter((piece) => piece !== "")
    .join(" ");
}

function readHeaderLine(line: string): Header | undefined {
  const colon = line.indexOf(":");
  if (colon < 1) return undefined;
  const name = isBlank(line.charCodeAt(colon - 1)) ? line.slice(0, colon).trimEnd() : line.slice(0, colon);
  if (!isToken(name)) return undefined;
  const value = trimBlanks(line, colon + 1);
  return value.includes("\r") ? undefined : { name, value };
}

/** Blanks only: String.trim would take away other white space that the sender meant. */
function trimBlanks(text: string, start: number): string {
  let from = start;
  let to = text.length;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const REQUEST_URI_FORBIDDEN = /[\u0000-\u0020\u007f<>"]/;
const VERSION = /^SIP\/([0-9]+)\.([0-9]+)$/i;
const STATUS_LINE = /^SIP\/2\.0 +([1-6][0-9][0-9])(?: ([^\r]*))?$/i;

interface StartLine {
  readonly message?: SipMessage;
  readonly fault?: Fault;
  readonly detail: string;
}

function readStartLine(line: string): StartLine {
  const detail = excerpt(line);
  const body = new Uint8Array(0);
  if (/^SIP\//i.test(line)) {
    const match = STATUS_LINE.exec(line);
    if (match === null) return { detail };
    return {
      detail,
      message: { kind: "response", status: Number(match[1]), reason: match[2] ?? "", headers: [], body },
    };
  }
  const first = line.indexOf(" ");
  const last = line.lastIndexOf(" ");
  const method = line.slice(0, first);
  if (first < 1 || last === first || !isToken(method)) return { detail };
  const uri = line.slice(first + 1, last);
  const message: SipRequest = { kind: "request", method, uri, headers: [], body };
  const version = VERSION.exec(line.slice(last + 1));
  if (version === null) return { detail, message, fault: { code: "start_line", detail } };
  if (Number(version[1]) !== 2 || Number(version[2]) !== 0)
    return { detail, message, fault: { code: "version", detail } };
  if (
    uri === "" ||
    REQUEST_URI_FORBIDDEN.test(uri) ||
    (/^sips?:/i.test(uri) && parseUri(uri) === undefined) ||
    !uri.includes(":")
  ) {
    return { detail, message, fault: { code: "start_line", detail } };
  }
  return { detail, message };
}

const SINGLE = new Set(["From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type"]);

/** What every element relies on: the headers of §8.1.1 are there, stand once and can be read. */
function checkHeaders(message: SipMessage): Fault | undefined {
  const found = new Set<string>();
  for (const { name } of message.headers) {
    const canonical = canonicalName(name);
    if (SINGLE.has(canonical) && found.has(canonical)) return { code: "repeated_header", detail: canonical };
    found.add(canonical);
  }
  for (const name of ["Via", "From", "To", "Call-ID", "CSeq"]) {
    if (!found.has(name)) return { code: "missing_header", detail: name };
  }
  const bad = (name: string): Fault => ({
    code: "header_value",
    detail: excerpt(`${name}: ${header(message, name) ?? ""}`),
  });
  if (!viasReadable(message)) return bad("Via");
  if (parseNameAddr(header(message, "From") ?? "") === undefined) return bad("From");
  if (parseNameAddr(header(message, "To") ?? "") === undefined) return bad("To");
  if (!/^[^\s]+$/.test(header(message, "Call-ID") ?? "")) return bad("Call-ID");
  const cseq = cseqOf(message);
  if (cseq === undefined) return bad("CSeq");
  // Max-Forwards out of its range counts as one that is not there (RFC 4475 §3.1.2.4): a 911 call does not fail by it.
  return message.kind === "request" && cseq.method !== message.method ? bad("CSeq") : undefined;
}

/** A request's Vias all have to be readable, for a response would carry them; of a response only the top one is ours. */
function viasReadable(message: SipMessage): boolean {
  if (message.kind === "response") return topVia(message) !== undefined;
  return headerValues(message, "Via").every((value) =>
    splitOutside(value, ",").every((element) => parseVia(element) !== undefined),
  );
}

/** §18.3: bytes beyond Content-Length are not part of the message; fewer than that are a fault. */
function takeBody(message: SipMessage, rest: Uint8Array): Fault | undefined {
  const text = header(message, "Content-Length");
  if (text === undefined) {
    message.body = rest;
    return undefined;
  }
  const length = parseDecimal(text, Number.MAX_SAFE_INTEGER);
  if (length === undefined) return { code: "header_value", detail: excerpt(`Content-Length: ${text}`) };
  if (length > rest.length)
    return { code: "body_too_short", detail: `Content-Length ${length}, ${rest.length} bytes came` };
  message.body = rest.subarray(0, length);
  return undefined;
}
