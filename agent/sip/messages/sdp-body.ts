import { canonicalName, header, parseContentType, setHeader } from "./headers.ts";
import type { SipMessage } from "./message.ts";
import { type Part, type PlacedPart, partHeader, placedParts, printMultipart } from "./multipart.ts";
import { decodeText, encodeText } from "./wire-text.ts";

/** Multipart bodies inside multipart bodies are looked into this deep. */
const MAX_DEPTH = 4;

/** A body with the headers that tell what it is. */
interface Described {
  readonly type: string | undefined;
  readonly disposition: string | undefined;
  readonly encoded: boolean;
  readonly body: Uint8Array;
}

function describeMessage(message: SipMessage): Described {
  const encoding = header(message, "Content-Encoding") ?? "identity";
  return {
    type: header(message, "Content-Type"),
    disposition: header(message, "Content-Disposition"),
    encoded: encoding.toLowerCase() !== "identity",
    body: message.body,
  };
}

function describePart(part: Part): Described {
  const transfer = (partHeader(part, "Content-Transfer-Encoding") ?? "binary").toLowerCase();
  return {
    type: partHeader(part, "Content-Type"),
    disposition: partHeader(part, "Content-Disposition"),
    encoded: !["binary", "8bit", "7bit"].includes(transfer) || partHeader(part, "Content-Encoding") !== undefined,
    body: part.body,
  };
}

/** Plain SDP that describes the session; an early-session or rendered one (RFC 3959) does not. */
function isSession({ type, disposition, encoded }: Described): boolean {
  if (encoded || type === undefined || parseContentType(type)?.type !== "application/sdp") return false;
  const kind = (disposition ?? "session").split(";")[0] ?? "";
  return kind.trim().toLowerCase() === "session";
}

function findSession(described: Described, depth: number): Uint8Array | undefined {
  if (isSession(described)) return described.body;
  if (described.encoded || described.type === undefined || depth === 0) return undefined;
  for (const part of placedParts(described.type, described.body)) {
    const found = findSession(describePart(part), depth - 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The session description: the body, or the first such part of a multipart body. */
export function sdpOf(message: SipMessage): string | undefined {
  if (message.body.length === 0) return undefined;
  const found = findSession(describeMessage(message), MAX_DEPTH);
  return found === undefined ? undefined : decodeText(found);
}

function replaceSession(described: Described, sdp: Uint8Array, depth: number): Uint8Array | undefined {
  if (isSession(described)) return sdp;
  if (described.encoded || described.type === undefined || depth === 0) return undefined;
  for (const part of placedParts(described.type, described.body)) {
    const inner = replaceSession(describePart(part), sdp, depth - 1);
    if (inner === undefined) continue;
    const { body } = described;
    return Buffer.concat([body.subarray(0, part.head), partHead(body, part, inner), inner, body.subarray(part.end)]);
  }
  return undefined;
}

/** The part's header lines as they stand, but for a Content-Length of its own. */
function partHead(body: Uint8Array, { head, start }: PlacedPart, content: Uint8Array): Uint8Array {
  const text = decodeText(body.subarray(head, start));
  return encodeText(text.replace(/^((?:content-length|l)[ \t]*:[ \t]*)[0-9]+/im, `$1${content.length}`));
}

/**
 * A copy of the message with `sdp` in the place of its session description; other parts, boundaries, preamble and
 * epilogue stay byte for byte. A message without one gets it as its body, or as a further part beside its body.
 */
export function withSdp<M extends SipMessage>(message: M, sdp: string): M {
  const bytes = encodeText(sdp);
  const replaced = message.body.length === 0 ? undefined : replaceSession(describeMessage(message), bytes, MAX_DEPTH);
  if (replaced !== undefined) return { ...message, headers: [...message.headers], body: replaced };
  const copy: M = { ...message, headers: [...message.headers] };
  const part: Part = { headers: [{ name: "Content-Type", value: "application/sdp" }], body: bytes };
  const described = message.headers.filter((line) => describesBody(line.name));
  if (message.body.length === 0 || described.length === 0) {
    setHeader(copy, "Content-Type", "application/sdp");
    copy.body = bytes;
    return copy;
  }
  const multipart = printMultipart([{ headers: described, body: message.body }, part]);
  copy.headers = message.headers.filter((line) => !described.includes(line));
  setHeader(copy, "Content-Type", multipart.contentType);
  copy.body = multipart.body;
  return copy;
}

/** The headers that belong to the body and go into the part with it (RFC 5621 §4). */
function describesBody(name: string): boolean {
  const canonical = canonicalName(name);
  return canonical.startsWith("Content-") && canonical !== "Content-Length";
}
