import { describe, expect, test } from "vitest";
import { PacketReader, type Segment } from "./packets.ts";
import { bodyParts, header, type SeenMessage, SipReader } from "./sip.ts";

const pcapHead = Buffer.alloc(24);
pcapHead.writeUInt32LE(0xa1b2c3d4, 0);

function record(ip: Buffer): Buffer {
  const frame = Buffer.concat([Buffer.alloc(12), Buffer.from([8, 0]), ip]);
  const head = Buffer.alloc(16);
  head.writeUInt32LE(5, 0);
  head.writeUInt32LE(250_000, 4);
  head.writeUInt32LE(frame.length, 8);
  head.writeUInt32LE(frame.length, 12);
  return Buffer.concat([head, frame]);
}

function ipv4(protocol: number, body: Buffer, fragment = 0): Buffer {
  const head = Buffer.alloc(20);
  head[0] = 0x45;
  head.writeUInt16BE(20 + body.length, 2);
  head.writeUInt16BE(77, 4);
  head.writeUInt16BE(fragment, 6);
  head[9] = protocol;
  head.set([10, 0, 0, 1, 10, 0, 0, 2], 12);
  return Buffer.concat([head, body]);
}

function udp(payload: string): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(5060, 0);
  head.writeUInt16BE(5070, 2);
  return Buffer.concat([head, Buffer.from(payload)]);
}

function tcp(sequence: number, payload: string, flags = 0x18): Buffer {
  const head = Buffer.alloc(20);
  head.writeUInt16BE(5060, 0);
  head.writeUInt16BE(5070, 2);
  head.writeUInt32BE(sequence >>> 0, 4);
  head[12] = 0x50;
  head[13] = flags;
  return Buffer.concat([head, Buffer.from(payload)]);
}

function read(...packets: Buffer[]): { segments: Segment[]; messages: SeenMessage[] } {
  const segments: Segment[] = [];
  const messages: SeenMessage[] = [];
  const sip = new SipReader((message) => messages.push(message));
  const reader = new PacketReader((segment) => {
    segments.push(segment);
    sip.feed(segment);
  });
  for (const byte of Buffer.concat([pcapHead, ...packets])) reader.feed(Buffer.from([byte]));
  return { segments, messages };
}

const invite = (body: string) =>
  `INVITE sip:911@h SIP/2.0\r\nf: <sip:101@h>;tag=1\r\nSubject: a\r\n b\r\nl: ${body.length}\r\n\r\n${body}`;

describe("capture", () => {
  test("a datagram in two fragments, the last one first, is one message", () => {
    const whole = udp(invite("x".repeat(40)));
    const { messages } = read(record(ipv4(17, whole.subarray(64), 8)), record(ipv4(17, whole.subarray(0, 64), 0x2000)));
    expect(messages).toHaveLength(1);
    expect(messages[0]).toMatchObject({ method: "INVITE", from: "10.0.0.1:5060", to: "10.0.0.2:5070", at: 5250 });
    expect(messages[0]?.body.length).toBe(40);
    expect(messages[0] && header(messages[0], "From")).toBe("<sip:101@h>;tag=1");
    expect(messages[0] && header(messages[0], "subject")).toBe("a b");
  });

  test("a TCP stream with a retransmission, a swap and a sequence wrap gives each message once", () => {
    const text = invite("abc") + invite("de");
    const start = 0xffffffff - 20;
    const [a, b, c] = [text.slice(0, 30), text.slice(30, 90), text.slice(90)];
    const { messages } = read(
      record(ipv4(6, tcp(start - 1, "", 0x02))),
      record(ipv4(6, tcp(start, a))),
      record(ipv4(6, tcp(start + 90, c))),
      record(ipv4(6, tcp(start, a))),
      record(ipv4(6, tcp(start + 30, b))),
      record(ipv4(6, tcp(start + 30, b))),
    );
    expect(messages.map((message) => message.body.toString())).toEqual(["abc", "de"]);
  });

  test("bytes that are no SIP are passed over", () => {
    expect(read(record(ipv4(17, udp("\x80\x00hello")))).messages).toEqual([]);
  });

  test("a multipart body is taken apart by its quoted boundary", () => {
    const body =
      "preamble\r\n--a b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--a b\r\nContent-Type: application/pidf+xml\r\nContent-ID: <x@y>\r\n\r\n<p/>\r\n--a b--\r\n";
    const text = `INVITE sip:911@h SIP/2.0\r\nContent-Type: multipart/mixed;boundary="a b"\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const message = read(record(ipv4(17, udp(text)))).messages[0];
    const parts = message && bodyParts(message).map(({ type, content_id, text }) => ({ type, content_id, text }));
    expect(parts).toEqual([
      { type: "application/sdp", content_id: undefined, text: "v=0\r\n" },
      { type: "application/pidf+xml", content_id: "<x@y>", text: "<p/>" },
    ]);
  });
});
