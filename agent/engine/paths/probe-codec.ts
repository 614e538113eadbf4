import { randomBytes } from "node:crypto";
import { decode, encode } from "dns-packet";

/** The bytes of each kind of datagram probe. `id` is 1 … 65535; `salt` keeps off-path strangers from answering. */
export type ProbeKind = "stun" | "udp_echo" | "dns";

/** STUN magic cookie (RFC 8489 §5). */
const COOKIE = 0x2112a442;
const ECHO_MARK = "holdfast";
const SALT_BYTES = 8;

export function probeSalt(): Buffer {
  return randomBytes(SALT_BYTES);
}

export function encodeProbe(kind: ProbeKind, id: number, salt: Buffer): Uint8Array {
  switch (kind) {
    case "stun": {
      // Binding request without attributes: 20 bytes.
      const bytes = Buffer.alloc(20);
      bytes.writeUInt16BE(0x0001, 0);
      bytes.writeUInt32BE(COOKIE, 4);
      salt.copy(bytes, 8);
      bytes.writeUInt32BE(id, 16);
      return bytes;
    }
    case "udp_echo": {
      const bytes = Buffer.alloc(20);
      bytes.write(ECHO_MARK, 0, "latin1");
      salt.copy(bytes, 8);
      bytes.writeUInt32BE(id, 16);
      return bytes;
    }
    case "dns":
      // The root's name servers: every resolver knows them, so that nobody further on is troubled.
      return encode({ type: "query", id, flags: 0x0100, questions: [{ type: "NS", name: ".", class: "IN" }] });
  }
}

/** The id of the probe that these bytes answer; undefined when they answer none. Never throws. */
export function decodeAnswer(
  kind: ProbeKind,
  bytes: Uint8Array,
  salt: Buffer,
): { readonly id: number; readonly rcode?: string } | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (kind === "dns") return decodeDns(view);
  if (view.length < 20 || view.length > 1500 || !view.subarray(8, 16).equals(salt)) return undefined;
  if (kind === "udp_echo" && view.toString("latin1", 0, 8) !== ECHO_MARK) return undefined;
  if (kind === "stun") {
    const type = view.readUInt16BE(0);
    // Success or error response to a binding request: either shows that the server was reached.
    if ((type !== 0x0101 && type !== 0x0111) || view.readUInt32BE(4) !== COOKIE) return undefined;
  }
  return { id: view.readUInt32BE(16) };
}

function decodeDns(view: Buffer): { readonly id: number; readonly rcode?: string } | undefined {
  try {
    const packet = decode(view);
    if (packet.type !== "response" || packet.id === undefined) return undefined;
    return { id: packet.id, rcode: "rcode" in packet ? String(packet.rcode) : "NOERROR" };
  } catch {
    return undefined;
  }
}
