/**
 * A SIP message as it stands on the wire (RFC 3261 §7): start line, headers in their order, body bytes. Headers are
 * kept as raw text until somebody asks for a parsed one, so that a message passes through unharmed.
 */
export interface Header {
  /** The name as received, compact form included ("v", "Via", "VIA"). */
  readonly name: string;
  /** The unfolded value, leading and trailing whitespace removed. */
  readonly value: string;
}

interface Common {
  headers: Header[];
  body: Uint8Array;
}

export interface SipRequest extends Common {
  readonly kind: "request";
  /** Case-sensitive (§7.1). */
  method: string;
  /** The Request-URI as text. */
  uri: string;
}

export interface SipResponse extends Common {
  readonly kind: "response";
  /** 100–699. */
  status: number;
  reason: string;
}

export type SipMessage = SipRequest | SipResponse;
