import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeText, encodeText } from "./wire-text.ts";

describe("text from the wire", () => {
  test("UTF-8 is read as UTF-8, a real U+FFFD included", () => {
    const text = "Zoë 日本 \u{1F600} \uFFFD";
    expect(decodeText(Buffer.from(text, "utf8"))).toBe(text);
    expect(encodeText(text)).toEqual(Buffer.from(text, "utf8"));
  });

  test("a Latin-1 byte comes back as the same byte", () => {
    const bytes = Buffer.from('From: "Zo\xeb" <sip:zoe@example.com>', "latin1");
    expect(decodeText(bytes)).toContain("\uDCEB");
    expect(encodeText(decodeText(bytes))).toEqual(bytes);
  });

  test("overlong forms, surrogates in UTF-8, cut-off sequences and too large code points come back as they were", () => {
    for (const bytes of [
      [0xc0, 0xaf],
      [0xe0, 0x80, 0xaf],
      [0xed, 0xa0, 0x80],
      [0xf0, 0x80, 0x80, 0x80],
      [0xf4, 0x90, 0x80, 0x80],
      [0xe2, 0x82],
      [0xe2, 0x82, 0x41],
      [0xff, 0xfe],
    ]) {
      expect([...encodeText(decodeText(Uint8Array.from(bytes)))]).toEqual(bytes);
    }
  });

  test("any bytes survive decoding and encoding", () => {
    const byte = fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xed, 0xf0));
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 60 }), (bytes) => {
        expect([...encodeText(decodeText(Uint8Array.from(bytes)))]).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
  });
});
