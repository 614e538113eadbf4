/**
 * SIP as seen on the wire. Read by code of the lab's own, on purpose: the product's parser must not be the judge of what
 * the product sent.
 */
import type { Segment } from "./packets.ts";

export interface SeenMessage {
  readonly at: number;
  readonly protocol: "udp" | "tcp";
  readonly from: string;
  readonly to: string;
  readonly start: string;
  /** The method of a request, else undefined. */
  readonly method: string | undefined;
  /** The status of a response, else undefined. */
  readonly status: number | undefined;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

const compact: Readonly<Record<string, string>> = {
  c: "content-type",
  f: "from",
  i: "call-id",
  l: "content-length",
  m: "contact",
  t: "to",
  v: "via",
};

/** All values of a header, in order; comma lists are left as they are. */
export function headers(message: SeenMessage, name: string): string[] {
  const wanted = name.toLowerCase();
  return message.headers.filter(([seen]) => seen === wanted).map(([, value]) => value);
}

export const header = (message: SeenMessage, name: string): string | undefined => headers(message, name)[0];

/** Method a message belongs to, from its CSeq. */
export const cseqMethod = (message: SeenMessage): string | undefined => header(message, "cseq")?.split(/\s+/)[1];

/** The user part of the address in a From, To or P-Asserted-Identity value. */
export function userOf(value: string | undefined): string | undefined {
  return value?.match(/(?:sips?|tel):([^@;>\s]+)/)?.[1];
}

export function parseMessage(segment: Segment, head: string, body: Buffer): SeenMessage | undefined {
  const lines = head.replace(/\r\n[ \t]+/g, " ").split("\r\n");
  const start = lines[0] ?? "";
  const request = start.match(/^([A-Z]+) \S+ SIP\/2\.0$/);
  const response = start.match(/^SIP\/2\.0 (\d{3})/);
  if (request === null && response === null) return undefined;
  const parsed = lines.slice(1).flatMap((line): [string, string][] => {
    const colon = line.indexOf(":");
    if (colon < 0) return [];
    const name = line.slice(0, colon).trim().toLowerCase();
    return [[compact[name] ?? name, line.slice(colon + 1).trim()]];
  });
  return {
    at: segment.at,
    protocol: segment.protocol,
    from: segment.from,
    to: segment.to,
    start,
    method: request?.[1],
    status: response === null ? undefined : Number(response[1]),
    headers: parsed,
    body,
  };
}

/** Cuts datagrams and TCP streams into messages. */
export class SipReader {
  readonly #emit: (message: SeenMessage) => void;
  readonly #streams = new Map<string, Buffer>();

  constructor(emit: (message: SeenMessage) => void) {
    this.#emit = emit;
  }

  feed(segment: Segment): void {
    if (segment.protocol === "udp") {
      const split = segment.payload.indexOf("\r\n\r\n");
      if (split < 0) return;
      this.#hand(segment, segment.payload.toString("utf8", 0, split), segment.payload.subarray(split + 4));
      return;
    }
    const key = `${segment.from}>${segment.to}`;
    let held = Buffer.concat([this.#streams.get(key) ?? Buffer.alloc(0), segment.payload]);
    for (;;) {
      let start = 0;
      while (held[start] === 13 || held[start] === 10) start++;
      const split = held.indexOf("\r\n\r\n", start);
      if (split < 0) break;
      const head = held.toString("utf8", start, split);
      const length = Number(head.match(/\r\n(?:content-length|l)[ \t]*:[ \t]*(\d+)/i)?.[1] ?? 0);
      if (held.length < split + 4 + length) break;
      this.#hand(segment, head, Buffer.from(held.subarray(split + 4, split + 4 + length)));
      held = held.subarray(split + 4 + length);
    }
    this.#streams.set(key, held);
  }

  #hand(segment: Segment, head: string, body: Buffer): void {
    const message = parseMessage(segment, head, body);
    if (message !== undefined) this.#emit(message);
  }
}

export interface BodyPart {
  readonly type: string;
  readonly content_id: string | undefined;
  /** Its header lines, but for a Content-Length; "" where the body is no multipart. */
  readonly head: string;
  readonly bytes: Buffer;
  readonly text: string;
}

/** The parts of a multipart body (RFC 2046), or the one body there is. */
export function bodyParts(message: SeenMessage): BodyPart[] {
  const type = header(message, "content-type") ?? "";
  const { body } = message;
  if (!type.toLowerCase().startsWith("multipart/")) {
    const only = { type, content_id: undefined, head: "", bytes: body, text: body.toString("utf8") };
    return body.length === 0 ? [] : [only];
  }
  const boundary = type.match(/boundary=(?:"([^"]+)"|([^;\s]+))/i);
  const delimiter = `--${boundary?.[1] ?? boundary?.[2] ?? ""}`;
  // One character for each byte: an ISUP part is no text.
  const pieces = `\r\n${body.toString("latin1")}`.split(`\r\n${delimiter}`).slice(1, -1);
  return pieces.map((piece) => {
    const split = piece.indexOf("\r\n\r\n");
    const head = piece.slice(0, split);
    const bytes = Buffer.from(piece.slice(split + 4), "latin1");
    return {
      type: head.match(/content-type:\s*([^\r\n]+)/i)?.[1] ?? "",
      content_id: head.match(/content-id:\s*([^\r\n]+)/i)?.[1],
      head: head.replace(/^content-length:.*$/gim, ""),
      bytes,
      text: bytes.toString("utf8"),
    };
  });
}
