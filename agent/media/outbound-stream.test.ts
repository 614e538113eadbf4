import { describe, expect, test } from "vitest";
import { OutboundStream } from "./outbound-stream.ts";
import { parseRtp, printRtp } from "./rtp.ts";

function relayed(stream: OutboundStream, sequence: number, timestamp: number, ssrc: number, now_ms: number) {
  const packet = Buffer.from(
    printRtp({ marker: false, payload_type: 0, sequence, timestamp, ssrc, payload: Uint8Array.of(1) }),
  );
  stream.relay(packet, now_ms);
  return header(packet);
}

function played(stream: OutboundStream, marker: boolean, skipped: number, now_ms: number) {
  const packet = Buffer.alloc(172);
  stream.play(packet, 0, 160, marker, skipped, now_ms);
  return header(packet);
}

function header(packet: Buffer) {
  const rtp = parseRtp(packet);
  if (rtp === undefined) throw new Error("no RTP");
  return { sequence: rtp.sequence, timestamp: rtp.timestamp, ssrc: rtp.ssrc, marker: rtp.marker };
}

describe("the stream that a peer hears", () => {
  test("is the other side's own, bit for bit, as long as nothing was played", () => {
    const stream = new OutboundStream();
    expect(relayed(stream, 5, 800, 9, 0)).toEqual({ sequence: 5, timestamp: 800, ssrc: 9, marker: false });
    expect(relayed(stream, 70, 80, 10, 20)).toEqual({ sequence: 70, timestamp: 80, ssrc: 10, marker: false });
  });

  test("goes on in SSRC, sequence and time through a playback and back to the bridge", () => {
    const stream = new OutboundStream();
    relayed(stream, 65534, 1000, 9, 0);
    stream.take(100);
    expect(played(stream, true, 0, 100)).toEqual({ sequence: 65535, timestamp: 1800, ssrc: 9, marker: true });
    expect(played(stream, false, 0, 120)).toEqual({ sequence: 0, timestamp: 1960, ssrc: 9, marker: false });
    // The source went on beneath: its seventh packet since is the first to pass again.
    expect(relayed(stream, 5, 2120, 9, 140)).toEqual({ sequence: 1, timestamp: 2120, ssrc: 9, marker: true });
    expect(relayed(stream, 6, 2280, 9, 160)).toEqual({ sequence: 2, timestamp: 2280, ssrc: 9, marker: false });
  });

  test("a second playback is continued from where it ended, not from the first", () => {
    const stream = new OutboundStream();
    stream.take(0);
    played(stream, true, 0, 0);
    relayed(stream, 1, 160, 9, 20);
    stream.take(40);
    played(stream, true, 0, 40);
    const last = played(stream, false, 0, 60);
    // The source was held beneath the sound: its next packet is its second.
    const next = relayed(stream, 2, 320, 9, 80);
    expect((next.sequence - last.sequence + 65536) % 65536).toBe(1);
    expect((next.timestamp - last.timestamp + 2 ** 32) % 2 ** 32).toBe(160);
  });

  test("joins another source without a jump when the call has moved", () => {
    const stream = new OutboundStream();
    stream.take(0);
    const last = played(stream, true, 0, 0);
    const next = relayed(stream, 40000, 123456, 77, 40);
    expect(next.ssrc).toBe(last.ssrc);
    expect(next.sequence).toBe((last.sequence + 1) % 65536);
    expect(next.timestamp).toBe((last.timestamp + 320) % 2 ** 32);
    const moved = relayed(stream, 1, 0, 78, 60);
    expect(moved).toEqual({
      ssrc: last.ssrc,
      sequence: (last.sequence + 2) % 65536,
      timestamp: (last.timestamp + 480) % 2 ** 32,
      marker: true,
    });
  });

  test("a packet that was overtaken keeps its place and does not take the stream back", () => {
    const stream = new OutboundStream();
    relayed(stream, 11, 1760, 9, 0);
    relayed(stream, 10, 1600, 9, 1);
    stream.take(20);
    expect(played(stream, true, 0, 20)).toMatchObject({ sequence: 12, timestamp: 1920 });
  });

  test("time that was not filled with packets shows in the timestamp", () => {
    const stream = new OutboundStream();
    relayed(stream, 1, 0, 9, 0);
    stream.take(20);
    expect(played(stream, true, 0, 20).timestamp).toBe(160);
    expect(played(stream, true, 10, 240)).toMatchObject({ sequence: 3, timestamp: 160 + 11 * 160 });
  });

  test("starts at random, as RFC 3550 asks, when nothing was relayed before", () => {
    const ssrcs = new Set<number>();
    for (let i = 0; i < 8; i++) {
      const stream = new OutboundStream();
      stream.take(0);
      ssrcs.add(played(stream, true, 0, 0).ssrc);
    }
    expect(ssrcs.size).toBe(8);
  });
});
