import { describe, expect, test } from "vitest";
import { decodeG711, encodeG711, PCMA, PCMU, SAMPLE_RATE_HZ } from "./g711.ts";
import { US_TONES } from "./relay.ts";
import { detectTones } from "./tone-detection.ts";
import { synthesize, toneSamples } from "./tones.ts";

const CANDIDATES = [350, 440, 480, 620, 700, 850, 1000, 1200, 1400, 1700, 2100];

function heard(samples: Int16Array, rate = SAMPLE_RATE_HZ): number[] {
  return detectTones(samples, rate, CANDIDATES).map((tone) => tone.frequency_hz);
}

/** Reproducible noise, −1 to 1. */
function noise(length: number): Float64Array {
  let state = 1;
  return Float64Array.from({ length }, () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 1073741824 - 1;
  });
}

describe("tones in a recording", () => {
  test.each(CANDIDATES)("%i Hz is found, and nothing else, through both laws of G.711", (frequency) => {
    const samples = synthesize([frequency], 1000);
    for (const law of [PCMU, PCMA] as const) {
      expect(heard(decodeG711(law, encodeG711(law, samples)))).toEqual([frequency]);
    }
  });

  test("both tones of a pair are found", () => {
    expect(heard(synthesize([480, 620], 1000)).sort()).toEqual([480, 620]);
  });

  test("a tone at a quarter of the level, in noise, is found; noise alone and silence hold none", () => {
    const tone = synthesize([1000], 2000);
    const hiss = noise(tone.length);
    const noisy = tone.map((sample, i) => sample / 4 + 300 * (hiss[i] ?? 0));
    expect(heard(noisy)).toEqual([1000]);
    expect(heard(Int16Array.from(hiss, (value) => value * 8000))).toEqual([]);
    expect(heard(new Int16Array(16000))).toEqual([]);
  });

  test("a tone between two candidates is neither", () => {
    expect(heard(synthesize([1100], 1000))).toEqual([]);
  });

  test("a sound card 1 % off, lost packets and a late start do not hide it", () => {
    const samples = new Int16Array(16000);
    samples.set(synthesize([1010], 1000), 5000);
    samples.fill(0, 7000, 7160);
    expect(heard(samples)).toEqual([1000]);
  });

  test("other sampling rates are read as well", () => {
    const samples = Int16Array.from({ length: 48000 }, (_, i) => 8000 * Math.sin((2 * Math.PI * 850 * i) / 48000));
    expect(heard(samples, 48000)).toEqual([850]);
  });

  test("how long it sounded is told", () => {
    const samples = new Int16Array(16000);
    samples.set(synthesize([700], 600), 0);
    expect(detectTones(samples, SAMPLE_RATE_HZ, [700])).toEqual([
      { frequency_hz: 700, present_ms: 600, share: expect.closeTo(1, 1) },
    ]);
    expect(detectTones(samples, SAMPLE_RATE_HZ, [700], 700)).toEqual([]);
  });
});

describe("the North American tone plan", () => {
  test.each([
    ["ringback", 2000, 4000],
    ["busy", 500, 500],
    ["reorder", 250, 250],
  ] as const)("%s sounds %i ms and pauses %i ms, over and over", (name, on_ms, off_ms) => {
    const cycle = ((on_ms + off_ms) * SAMPLE_RATE_HZ) / 1000;
    const samples = new Int16Array(cycle * 2);
    expect(toneSamples(US_TONES[name], 0, samples)).toBe(true);
    for (const start of [0, cycle]) {
      const on = samples.subarray(start, start + (on_ms * SAMPLE_RATE_HZ) / 1000);
      expect(on.some((sample, i) => sample !== 0 && i > on.length - 20)).toBe(true);
      expect(samples.subarray(start + on.length, start + cycle).every((sample) => sample === 0)).toBe(true);
      expect(heard(on).sort()).toEqual([...US_TONES[name].frequencies_hz]);
    }
  });

  test("frames made one by one join without a seam", () => {
    const whole = new Int16Array(1600);
    toneSamples(US_TONES.dial, 8000 - 800, whole);
    const framed = new Int16Array(1600);
    for (let at = 0; at < 1600; at += 160) toneSamples(US_TONES.dial, 8000 - 800 + at, framed.subarray(at, at + 160));
    expect(framed).toEqual(whole);
  });

  test("a tone with repeats ends", () => {
    const beep = { kind: "tone", frequencies_hz: [1000], on_ms: 100, off_ms: 100, repeat: 2 } as const;
    const frame = new Int16Array(160);
    expect(toneSamples(beep, 3199, frame)).toBe(true);
    expect(toneSamples(beep, 3200, frame)).toBe(false);
  });
});
