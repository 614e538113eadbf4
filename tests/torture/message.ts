import type { ParseErrorCode } from "../../agent/sip/messages/parse.ts";

/** One row of the tables: a message, what its RFC says of it, and what the box does with it. */
export interface TortureMessage {
  /** The RFC's name for it. */
  readonly name: string;
  readonly section: string;
  /** The section's title. */
  readonly title: string;
  /** As it comes on the wire. */
  readonly bytes: Buffer;
  /** What the RFC says of it, in few words. */
  readonly rfc: string;
  /** What we do, in words; `parsed` and `box` are the same for the tests. */
  readonly ours: string;
  readonly parsed: "accepted" | ParseErrorCode;
  /**
   * What the box does when a phone of its LAN sends it in normal mode: passes it on to the cloud, answers it itself
   * with this status, or drops it without a word. Responses come from the cloud's side.
   */
  readonly box: "forwarded" | "dropped" | number;
}

/** Bytes of text written with LF line ends: CRLF on the wire, UTF-8. */
export function wire(text: string): Buffer {
  return Buffer.from(text.replaceAll("\n", "\r\n"), "utf8");
}

/** The session that most messages of RFC 4475 carry; 150 bytes on the wire with an address as long as 192.0.2.1. */
export function session(address: string, connection = address): string {
  return `v=0
o=mhandley 29739 7272939 IN IP4 ${address}
s=-
c=IN IP4 ${connection}
t=0 0
m=audio 49217 RTP/AVP 0 12
m=video 3227 RTP/AVP 31
a=rtpmap:31 LPC
`;
}
