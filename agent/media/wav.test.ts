import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { printWav, readWav } from "./wav.ts";

const AUDIO = { sample_rate_hz: 8000, samples: Int16Array.of(0, 1, -1, 32767, -32768) };

describe("WAV files", () => {
  test("what is written is read again", () => {
    expect(readWav(printWav(AUDIO))).toEqual({ ok: true, audio: AUDIO });
  });

  test("the header is the one every player knows", () => {
    const header = Buffer.from(printWav(AUDIO).subarray(0, 44));
    expect(header.toString("hex")).toBe(
      "524946462e00000057415645666d7420100000000100010040" + "1f0000803e00000200100064617461" + "0a000000",
    );
  });

  test("unknown chunks of odd size are skipped with their padding", () => {
    const bytes = printWav(AUDIO);
    const list = Uint8Array.of(0x4c, 0x49, 0x53, 0x54, 3, 0, 0, 0, 1, 2, 3, 0);
    const file = Uint8Array.of(...bytes.subarray(0, 36), ...list, ...bytes.subarray(36));
    expect(readWav(file)).toEqual({ ok: true, audio: AUDIO });
  });

  test("a recording that was never closed is read to its end", () => {
    for (const size of [0, 0xffffffff]) {
      const bytes = printWav(AUDIO);
      new DataView(bytes.buffer).setUint32(40, size, true);
      expect(readWav(bytes)).toEqual({ ok: true, audio: AUDIO });
    }
  });

  test("a format that is not read says which it is", () => {
    const bytes = printWav(AUDIO);
    bytes[22] = 2;
    expect(readWav(bytes)).toEqual({
      ok: false,
      reason: "format 1, 2 channels, 16 bits: only PCM, 1 channel, 16 bits is read",
    });
    expect(readWav(new Uint8Array(0))).toEqual({ ok: false, reason: "not a RIFF/WAVE file" });
    expect(readWav(printWav(AUDIO).subarray(0, 36))).toEqual({ ok: false, reason: "no data chunk" });
  });

  test("no file makes the reader throw", () => {
    const good = printWav(AUDIO);
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 53 }),
        fc.integer({ min: 0, max: 255 }),
        fc.integer({ min: 0, max: 54 }),
        (at, value, length) => {
          const bytes = good.slice();
          bytes[at] = value;
          expect(typeof readWav(bytes.subarray(0, length)).ok).toBe("boolean");
        },
      ),
    );
  });
});
