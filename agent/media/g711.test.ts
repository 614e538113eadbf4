import { describe, expect, test } from "vitest";
import { decodeG711, encodeG711, PCMA, PCMU, SILENCE } from "./g711.ts";

const ALL_CODES = Uint8Array.from({ length: 256 }, (_, code) => code);
const ALL_SAMPLES = Int16Array.from({ length: 65536 }, (_, i) => i - 32768);

/** G.711 table 2a: positive decision values x1…x128 in steps of 2 up to 64, doubling each 16 (13-bit scale, 4096 full). */
function alawDecisions(): number[] {
  const values = [0];
  for (let step = 2, last = 0; values.length <= 128; ) {
    last += step;
    values.push(last);
    if ((values.length - 1) % 16 === 0 && values.length > 17) step *= 2;
  }
  return values;
}

describe("G.711 code words", () => {
  test("μ-law ends and zeros are those of table 2 of the recommendation, 14 bits at the top of 16", () => {
    expect([...decodeG711(PCMU, Uint8Array.of(0x80, 0x00, 0xff, 0xfe, 0xef))]).toEqual([32124, -32124, 0, 8, 132]);
  });

  test("A-law ends and the steps around zero are those of table 1, even bits inverted", () => {
    expect([...decodeG711(PCMA, Uint8Array.of(0xaa, 0x2a, 0xd5, 0x55, 0xc5))]).toEqual([32256, -32256, 8, -8, 264]);
  });

  test("A-law decides exactly at the decision values of table 1", () => {
    const decisions = alawDecisions();
    expect(decisions.slice(-1)).toEqual([4096]);
    for (let n = 1; n < 128; n++) {
      const at = (decisions[n] ?? 0) * 8;
      expect([...encodeG711(PCMA, Int16Array.of(at - 1, at))].map((code) => (code ^ 0xd5) & 0x7f)).toEqual([n - 1, n]);
    }
  });

  test.each([
    ["μ-law", PCMU],
    ["A-law", PCMA],
  ] as const)("%s: every code word decodes to a value that encodes to it again", (_name, law) => {
    const again = encodeG711(law, decodeG711(law, ALL_CODES));
    const differing = [...ALL_CODES].filter((code) => again[code] !== code);
    // μ-law has two zeros; the negative one becomes the positive.
    expect(differing).toEqual(law === PCMU ? [0x7f] : []);
  });

  test.each([
    // Steps double with the value (beyond a bias in μ-law): half of one is at most a 32nd of it.
    ["μ-law", PCMU, (magnitude: number) => (magnitude + 132) / 32],
    ["A-law", PCMA, (magnitude: number) => Math.max(8, magnitude / 32)],
  ] as const)("%s: louder in is never quieter out, and off by at most half a step", (_name, law, halfStep) => {
    const decoded = decodeG711(law, encodeG711(law, ALL_SAMPLES));
    const wrong = [...ALL_SAMPLES].filter((sample, i) => {
      const out = decoded[i] ?? 0;
      return out < (decoded[i - 1] ?? -32768) || Math.abs(out - sample) > halfStep(Math.abs(sample));
    });
    expect(wrong).toEqual([]);
  });

  test("silence is the quietest word", () => {
    expect(decodeG711(PCMU, Uint8Array.of(SILENCE[PCMU]))[0]).toBe(0);
    expect(decodeG711(PCMA, Uint8Array.of(SILENCE[PCMA]))[0]).toBe(8);
  });
});
