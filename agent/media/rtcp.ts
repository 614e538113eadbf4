/**
 * What a translator owes RTCP (RFC 3550 §7.2) when it has rewritten the RTP beneath: compound packets are edited in
 * place, never made or resized. Streams that pass untouched need none of this.
 */

const SENDER_REPORT = 200;
const RECEIVER_REPORT = 201;
const SOURCE_DESCRIPTION = 202;
const GOODBYE = 203;
const REPORT_BLOCK_BYTES = 24;
const SENDER_INFO_END = 28;
const WORDS = 0x1_0000_0000;

export interface Rewriting {
  /** SSRC the source uses. */
  readonly source_ssrc: number;
  /** SSRC the receiver sees. */
  readonly sent_ssrc: number;
  /** Added to the source's sequence numbers, modulo 2^16. */
  readonly sequenceShift: number;
  /** Added to the source's timestamps, modulo 2^32. */
  readonly timestampShift: number;
}

/**
 * RTCP of the source on its way to the receiver: its SSRC and its sender report's RTP timestamp become those of the
 * stream sent. False when the packet should not go on: malformed, or a BYE for a stream that we carry on.
 */
export function rewriteTowardsReceiver(packet: Buffer, rewriting: Rewriting): boolean {
  return eachPart(packet, (type, start, end) => {
    if (type === GOODBYE) return false;
    if (type < SENDER_REPORT || type > SOURCE_DESCRIPTION || start + 8 > end) return true;
    if (packet.readUInt32BE(start + 4) !== rewriting.source_ssrc) return true;
    packet.writeUInt32BE(rewriting.sent_ssrc, start + 4);
    if (type === SENDER_REPORT && start + SENDER_INFO_END <= end) {
      packet.writeUInt32BE((packet.readUInt32BE(start + 16) + rewriting.timestampShift) % WORDS, start + 16);
    }
    return true;
  });
}

/**
 * RTCP of the receiver on its way to the source: reports about the stream sent become reports about the source's own.
 * False when it is malformed.
 */
export function rewriteTowardsSource(packet: Buffer, rewriting: Rewriting): boolean {
  return eachPart(packet, (type, start, end) => {
    if (type !== SENDER_REPORT && type !== RECEIVER_REPORT) return true;
    const blocks = packet.readUInt8(start) & 31;
    let at = start + (type === SENDER_REPORT ? SENDER_INFO_END : 8);
    for (let i = 0; i < blocks && at + REPORT_BLOCK_BYTES <= end; i++, at += REPORT_BLOCK_BYTES) {
      if (packet.readUInt32BE(at) !== rewriting.sent_ssrc) continue;
      packet.writeUInt32BE(rewriting.source_ssrc, at);
      const highest = packet.readUInt32BE(at + 8);
      packet.writeUInt32BE((highest - rewriting.sequenceShift + WORDS) % WORDS, at + 8);
    }
    return true;
  });
}

/** Walks a compound packet; false when a length runs past its end or `visit` says so. */
function eachPart(packet: Buffer, visit: (type: number, start: number, end: number) => boolean): boolean {
  for (let start = 0; start < packet.length; ) {
    if (start + 4 > packet.length || packet.readUInt8(start) >> 6 !== 2) return false;
    const end = start + 4 + packet.readUInt16BE(start + 2) * 4;
    if (end > packet.length || !visit(packet.readUInt8(start + 1), start, end)) return false;
    start = end;
  }
  return true;
}
