import { token } from "../../base/ids.ts";
import { canonicalName, parseContentType } from "./headers.ts";
import type { Header } from "./message.ts";
import { paramValue, printParams, withParam } from "./params.ts";
import { isToken } from "./syntax.ts";
import { decodeText, encodeText } from "./wire-text.ts";

/** One part of a multipart body (RFC 2046 §5.1, RFC 5621). */
export interface Part {
  readonly headers: readonly Header[];
  readonly body: Uint8Array;
}

/** A part with its place in the multipart body: header lines from `head`, content from `start` to `end`. */
export interface PlacedPart extends Part {
  readonly head: number;
  readonly start: number;
  readonly end: number;
}

/** More parts than any message needs; the rest is not looked at. */
const MAX_PARTS = 64;

const CR = 13;
const LF = 10;

/** The first value of a part's header. */
export function partHeader(part: Part, name: string): string | undefined {
  const canonical = canonicalName(name);
  return part.headers.find((line) => canonicalName(line.name) === canonical)?.value;
}

/**
 * Parts in their order; preamble and epilogue are left out. A body that breaks off before its closing delimiter gives
 * the parts that came. [] when the type is not multipart, has no boundary, or no delimiter is found.
 */
export function parseMultipart(contentType: string, body: Uint8Array): Part[] {
  return placedParts(contentType, body).map(({ headers, body }) => ({ headers, body }));
}

export function placedParts(contentType: string, body: Uint8Array): PlacedPart[] {
  const type = parseContentType(contentType);
  const boundary = type?.type.startsWith("multipart/") ? paramValue(type.params, "boundary") : undefined;
  if (boundary === undefined || boundary === "" || boundary.length > 70) return [];
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const delimiter = encodeText(`--${boundary}`);
  const parts: PlacedPart[] = [];
  let head = -1;
  for (let at = buffer.indexOf(delimiter); parts.length < MAX_PARTS; at = buffer.indexOf(delimiter, at + 1)) {
    const line = at < 0 ? undefined : delimiterLine(buffer, at, at + delimiter.length);
    if (at >= 0 && line === undefined) continue;
    if (head >= 0) parts.push(readPart(buffer, head, Math.max(head, line?.before ?? buffer.length)));
    if (line === undefined || line.closing) break;
    head = line.after;
  }
  return parts;
}

interface DelimiterLine {
  /** End of what precedes it: the line break before a delimiter belongs to the delimiter. */
  readonly before: number;
  /** First byte of the next line. */
  readonly after: number;
  readonly closing: boolean;
}

/** The delimiter at `at`, when it is a line of its own; text that merely starts like the boundary is content. */
function delimiterLine(buffer: Buffer, at: number, end: number): DelimiterLine | undefined {
  if (at > 0 && buffer[at - 1] !== LF) return undefined;
  const before = at === 0 ? 0 : buffer[at - 2] === CR ? at - 2 : at - 1;
  const closing = buffer[end] === 0x2d && buffer[end + 1] === 0x2d;
  let i = closing ? end + 2 : end;
  while (buffer[i] === 0x20 || buffer[i] === 0x09) i++;
  if (buffer[i] === CR && buffer[i + 1] === LF) return { before, after: i + 2, closing };
  if (buffer[i] === LF) return { before, after: i + 1, closing };
  return i >= buffer.length ? { before, after: i, closing } : undefined;
}

function readPart(buffer: Buffer, head: number, end: number): PlacedPart {
  const headers: Header[] = [];
  let at = head;
  while (at < end) {
    const lf = buffer.indexOf(LF, at);
    const next = lf < 0 || lf >= end ? end : lf + 1;
    const raw = decodeText(buffer.subarray(at, next));
    const line = raw.trim();
    at = next;
    if (line === "") break;
    const last = headers.at(-1);
    if ((raw.startsWith(" ") || raw.startsWith("\t")) && last !== undefined) {
      headers[headers.length - 1] = { name: last.name, value: `${last.value} ${line}` };
      continue;
    }
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon)).trimEnd();
    if (isToken(name)) headers.push({ name, value: line.slice(colon + 1).trimStart() });
  }
  return { headers, body: buffer.subarray(at, end), head, start: at, end };
}

/**
 * A multipart body and its Content-Type. `subtype` is "mixed" unless given. A boundary is made up when none is given or
 * when the given one occurs in a part.
 */
export function printMultipart(
  parts: readonly Part[],
  options: { readonly subtype?: string; readonly boundary?: string } = {},
): { contentType: string; body: Uint8Array } {
  let boundary = options.boundary ?? token(12);
  while (parts.some((part) => Buffer.from(part.body).includes(`--${boundary}`))) boundary = token(12);
  const pieces: Uint8Array[] = [];
  for (const { headers, body } of parts) {
    let head = `--${boundary}\r\n`;
    for (const { name, value } of headers) head += `${name}: ${value.replace(/[\r\n]+/g, " ")}\r\n`;
    pieces.push(encodeText(`${head}\r\n`), body, encodeText("\r\n"));
  }
  pieces.push(encodeText(`--${boundary}--\r\n`));
  const params = printParams(withParam([], "boundary", boundary));
  return { contentType: `multipart/${options.subtype ?? "mixed"}${params}`, body: Buffer.concat(pieces) };
}
