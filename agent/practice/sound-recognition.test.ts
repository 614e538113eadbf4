import { describe, expect, test } from "vitest";
import { readAnnouncement } from "../media/announcements.ts";
import { decodeG711, encodeG711, PCMU } from "../media/g711.ts";
import { synthesize } from "../media/tones.ts";
import { VOICES } from "./places.ts";
import { isAnnouncement, voicesIn } from "./sound-recognition.ts";

function words(name: "practice-psap" | "dial-again"): Int16Array {
  const read = readAnnouncement(name);
  if (!("samples" in read)) throw new Error(read.reason);
  return read.samples;
}

const overThePhone = (samples: Int16Array) => decodeG711(PCMU, encodeG711(PCMU, samples));

describe("what a party heard", () => {
  test("each voice of the practice site is told from the others", () => {
    for (const voice of Object.values(VOICES)) {
      expect(voicesIn(overThePhone(synthesize([voice], 600)), Object.values(VOICES))[0]).toBe(voice);
    }
  });

  test("ringback and silence are nobody's voice", () => {
    const candidates = Object.values(VOICES);
    expect(voicesIn(synthesize([440, 480], 2000), candidates)).toEqual([]);
    expect(voicesIn(new Int16Array(16_000), candidates)).toEqual([]);
  });

  test("a piece of the announcement is recognised wherever it begins, also over its end", () => {
    const psap = words("practice-psap");
    const endless = new Int16Array(psap.length * 2);
    endless.set(psap);
    endless.set(psap, psap.length);
    for (const start of [0, 12_000, psap.length - 8000]) {
      expect(isAnnouncement(overThePhone(endless.slice(start, start + 16_000)), psap)).toBe(true);
    }
  });

  test("another announcement, a tone and a piece too short are not taken for it", () => {
    const psap = words("practice-psap");
    expect(isAnnouncement(words("dial-again").slice(0, 24_000), psap)).toBe(false);
    expect(isAnnouncement(synthesize([700], 3000), psap)).toBe(false);
    expect(isAnnouncement(psap.slice(0, 4000), psap)).toBe(false);
  });
});
