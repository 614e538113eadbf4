import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { looksLikeRtcp, looksLikeRtp, parseRtp, printRtp } from "./rtp.ts";

const PACKET = {
  marker: true,
  payload_type: 8,
  sequence: 65535,
  timestamp: 4294967295,
  ssrc: 0xdeadbeef,
  payload: Uint8Array.of(1, 2, 3),
};

describe("RTP packets", () => {
  test("the fixed header has its fields in their places", () => {
    expect(Buffer.from(printRtp(PACKET)).toString("hex")).toBe("8088ffffffffffffdeadbeef010203");
  });

  test("what is printed is parsed again, contributing sources and header extension included", () => {
    const packet = {
      ...PACKET,
      csrc: [1, 0xffffffff],
      extension: { profile: 0xbede, data: Uint8Array.of(9, 8, 7, 6) },
    };
    expect(parseRtp(printRtp(packet))).toEqual(packet);
  });

  test("padding is taken off", () => {
    const bytes = Uint8Array.of(...printRtp(PACKET), 0, 2);
    bytes[0] = 0xa0;
    expect(parseRtp(bytes)?.payload).toEqual(Uint8Array.of(1, 2, 3));
  });

  test.each([
    ["too short", "8000000100000001000000"],
    ["version 1", "400000010000000100000001"],
    ["contributing sources beyond the end", "830000010000000100000001"],
    ["a header extension beyond the end", "900000010000000100000001bede0002aaaaaaaa"],
    ["padding longer than the payload", "a0000001000000010000000105"],
    ["padding of zero", "a0000001000000010000000100"],
    ["RTCP", "80c80006000000010000000100000001"],
  ])("%s is no RTP packet", (_name, hex) => {
    expect(parseRtp(Buffer.from(hex, "hex"))).toBeUndefined();
  });

  test("no bytes make the parser throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.boolean(), (bytes, version2) => {
        if (version2 && bytes.length > 0) bytes[0] = 0x80 | ((bytes[0] ?? 0) & 0x3f);
        const packet = parseRtp(bytes);
        expect(packet === undefined || packet.payload.length <= bytes.length - 12).toBe(true);
      }),
    );
  });

  test("RTCP is told from RTP by its packet type, payload types 64–95 with a marker bit being reserved", () => {
    const rtcp = Buffer.from("81c90007000000010000000200000000", "hex");
    expect([looksLikeRtcp(rtcp), looksLikeRtp(rtcp)]).toEqual([true, false]);
    const rtp = printRtp({ ...PACKET, payload_type: 101 });
    expect([looksLikeRtcp(rtp), looksLikeRtp(rtp)]).toEqual([false, true]);
  });
});
