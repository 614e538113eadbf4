/** RTP packets (RFC 3550 §5.1), and telling them from RTCP on one port (RFC 5761 §4). */

export const RTP_HEADER_BYTES = 12;

export interface RtpPacket {
  readonly marker: boolean;
  /** 0–127. */
  readonly payload_type: number;
  /** 16 bits, wraps. */
  readonly sequence: number;
  /** 32 bits, in the payload's clock (8000 Hz for G.711), wraps. */
  readonly timestamp: number;
  /** 32 bits. */
  readonly ssrc: number;
  readonly csrc?: readonly number[];
  /** Header extension (§5.3.1); `data` is a multiple of 4 bytes. */
  readonly extension?: { readonly profile: number; readonly data: Uint8Array };
  /** Without padding; shares memory with the bytes parsed. */
  readonly payload: Uint8Array;
}

/** Reads one packet; undefined when the bytes are no well-formed RTP (RFC 3550 §A.1). Never throws. */
export function parseRtp(bytes: Uint8Array): RtpPacket | undefined {
  if (bytes.length < RTP_HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const first = view.getUint8(0);
  const second = view.getUint8(1);
  if (first >> 6 !== 2 || looksLikeRtcp(bytes)) return undefined;
  const csrcCount = first & 15;
  let offset = RTP_HEADER_BYTES + csrcCount * 4;
  if (offset > bytes.length) return undefined;
  const csrc = Array.from({ length: csrcCount }, (_, i) => view.getUint32(RTP_HEADER_BYTES + i * 4));
  let extension: RtpPacket["extension"];
  if (first & 0x10) {
    if (offset + 4 > bytes.length) return undefined;
    const end = offset + 4 + view.getUint16(offset + 2) * 4;
    if (end > bytes.length) return undefined;
    extension = { profile: view.getUint16(offset), data: bytes.subarray(offset + 4, end) };
    offset = end;
  }
  let end = bytes.length;
  if (first & 0x20) {
    const padding = view.getUint8(end - 1);
    if (padding === 0 || offset + padding > end) return undefined;
    end -= padding;
  }
  return {
    marker: (second & 0x80) !== 0,
    payload_type: second & 0x7f,
    sequence: view.getUint16(2),
    timestamp: view.getUint32(4),
    ssrc: view.getUint32(8),
    ...(csrcCount > 0 ? { csrc } : {}),
    ...(extension === undefined ? {} : { extension }),
    payload: bytes.subarray(offset, end),
  };
}

/** The packet's bytes, without padding. At most 15 `csrc` are written, and whole 32-bit words of the extension. */
export function printRtp(packet: RtpPacket): Uint8Array {
  const csrc = (packet.csrc ?? []).slice(0, 15);
  const words = packet.extension === undefined ? 0 : packet.extension.data.length >> 2;
  const payloadAt = RTP_HEADER_BYTES + csrc.length * 4 + (packet.extension === undefined ? 0 : 4 + words * 4);
  const bytes = new Uint8Array(payloadAt + packet.payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 0x80 | (packet.extension === undefined ? 0 : 0x10) | csrc.length);
  view.setUint8(1, (packet.marker ? 0x80 : 0) | (packet.payload_type & 0x7f));
  view.setUint16(2, packet.sequence);
  view.setUint32(4, packet.timestamp);
  view.setUint32(8, packet.ssrc);
  csrc.forEach((source, i) => {
    view.setUint32(RTP_HEADER_BYTES + i * 4, source);
  });
  if (packet.extension !== undefined) {
    const at = RTP_HEADER_BYTES + csrc.length * 4;
    view.setUint16(at, packet.extension.profile);
    view.setUint16(at + 2, words);
    bytes.set(packet.extension.data.subarray(0, words * 4), at + 4);
  }
  bytes.set(packet.payload, payloadAt);
  return bytes;
}

/** Whether a datagram can be RTP at all: version 2 and a whole fixed header. The relay looks no further. */
export function looksLikeRtp(bytes: Uint8Array): boolean {
  return bytes.length >= RTP_HEADER_BYTES && (bytes[0] ?? 0) >> 6 === 2 && !looksLikeRtcp(bytes);
}

/** Version 2 and a packet type of 192–223, which no RTP payload type may use beside RTCP (RFC 5761 §4). */
export function looksLikeRtcp(bytes: Uint8Array): boolean {
  const type = bytes[1] ?? 0;
  return bytes.length >= 8 && (bytes[0] ?? 0) >> 6 === 2 && type >= 192 && type <= 223;
}
