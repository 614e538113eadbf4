/** RTP as captured (RFC 3550 §5.1), and the telephone events in it (RFC 4733 §2.3). Read by code of the lab's own. */
import type { Segment } from "./packets.ts";

export interface SeenRtp {
  readonly at: number;
  readonly marker: boolean;
  readonly payload_type: number;
  readonly sequence: number;
  readonly timestamp: number;
  readonly ssrc: number;
  readonly payload: Buffer;
  /** The whole packet. */
  readonly bytes: Buffer;
}

export function readRtp({ at, payload: bytes }: Segment): SeenRtp | undefined {
  if (bytes.length < 12 || (bytes[0] ?? 0) >> 6 !== 2) return undefined;
  const second = bytes[1] ?? 0;
  return {
    at,
    marker: second >= 128,
    payload_type: second & 127,
    sequence: bytes.readUInt16BE(2),
    timestamp: bytes.readUInt32BE(4),
    ssrc: bytes.readUInt32BE(8),
    payload: bytes.subarray(12 + 4 * ((bytes[0] ?? 0) & 15)),
    bytes,
  };
}

const KEYS = "0123456789*#ABCD";

/** One key: all packets that tell of it share a timestamp (§2.5.1.2). */
export interface TelephoneEvent {
  readonly key: string;
  /** In the payload's clock, 8000 Hz: as the last packet has it. */
  readonly duration: number;
  /** Packets with the end bit; the sender repeats them (§2.5.1.4). */
  readonly ends: number;
  readonly packets: readonly SeenRtp[];
}

export function telephoneEvents(packets: readonly SeenRtp[], payload_type: number): readonly TelephoneEvent[] {
  const byTimestamp = new Map<number, SeenRtp[]>();
  for (const packet of packets) {
    if (packet.payload_type !== payload_type || packet.payload.length < 4) continue;
    byTimestamp.set(packet.timestamp, [...(byTimestamp.get(packet.timestamp) ?? []), packet]);
  }
  return [...byTimestamp.values()].map((of) => ({
    key: KEYS[of[0]?.payload[0] ?? 99] ?? "?",
    duration: of.at(-1)?.payload.readUInt16BE(2) ?? 0,
    ends: of.filter(({ payload }) => ((payload[1] ?? 0) & 0x80) !== 0).length,
    packets: of,
  }));
}
