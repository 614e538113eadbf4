import { describe, expect, test } from "vitest";
import { parseWav, printWav, recognise, tone, toneShare } from "./audio.ts";

const known = [440, 620, 810, 1010, 1230, 1530];

/** One sample to the 14-bit µ-law scale and back (ITU-T G.711), the damage a call does. */
function throughMuLaw(sample: number): number {
  const magnitude = Math.min(Math.abs(sample), 32_635) + 132;
  const exponent = Math.floor(Math.log2(magnitude)) - 7;
  const step = 2 ** (exponent + 3);
  const decoded = (Math.floor(magnitude / step) + 0.5) * step - 132;
  return Math.round(sample < 0 ? -decoded : decoded);
}

describe("tone recognition", () => {
  test.each(known)("%i Hz through µ-law is heard as itself and nothing else", (hz) => {
    const pcm = tone(hz, 1);
    const heard = recognise({ ...pcm, samples: pcm.samples.map(throughMuLaw) }, known);
    expect(heard.tone_hz).toBe(hz);
    expect([...heard.ms_by_tone]).toEqual([[hz, 1000]]);
    expect(heard.longest_gap_ms).toBe(0);
  });

  test("silence and noise hold no tone", () => {
    expect(recognise({ sample_rate: 8000, samples: new Int16Array(8000) }, known).tone_hz).toBeUndefined();
    let seed = 7;
    const noise = Int16Array.from({ length: 8000 }, () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return (seed % 20_000) - 10_000;
    });
    expect(recognise({ sample_rate: 8000, samples: noise }, known).tone_hz).toBeUndefined();
  });

  test("a hole in the tone is measured", () => {
    const pcm = tone(810, 2);
    pcm.samples.fill(0, 8000, 8000 + 2400);
    expect(recognise(pcm, known).longest_gap_ms).toBe(300);
  });

  test("a tone the lab does not know is not taken for a neighbour", () => {
    expect(recognise(tone(530, 1), known).tone_hz).toBeUndefined();
  });

  test("a slightly wrong clock still recognises", () => {
    expect(toneShare(tone(1012, 0.05).samples, 8000, 1010)).toBeGreaterThan(0.9);
  });
});

describe("WAV", () => {
  test("what was printed parses to the same samples", () => {
    const pcm = tone(440, 0.1);
    expect(parseWav(printWav(pcm))).toEqual(pcm);
  });

  test("a length that was not filled in reads to the end", () => {
    const bytes = printWav(tone(440, 0.1));
    bytes.writeUInt32LE(0, 40);
    expect(parseWav(bytes).samples.length).toBe(800);
  });

  test("anything else is refused by name", () => {
    expect(() => parseWav(Buffer.from("not a wav"))).toThrow("not a WAV file");
  });
});
