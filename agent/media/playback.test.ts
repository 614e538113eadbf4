import { describe, expect, test } from "vitest";
import { ManualClock } from "../base/manual-clock.ts";
import { decodeG711, PCMA, PCMU } from "./g711.ts";
import { type FrameSource, sampleFrames, startPlayback, toneFrames } from "./playback.ts";
import { detectTones } from "./tone-detection.ts";

function counting(frames: number): FrameSource {
  let made = 0;
  return (into) => {
    into.fill(made);
    return made++ < frames;
  };
}

describe("playback", () => {
  test("sends a frame every 20 ms from the start, then is done", () => {
    const clock = new ManualClock();
    const sent: number[] = [];
    let done = 0;
    startPlayback(
      clock,
      counting(3),
      () => sent.push(clock.now()),
      () => done++,
    );
    clock.advance(1000);
    expect(sent).toEqual([0, 20, 40]);
    expect(done).toBe(1);
    expect(clock.pending).toBe(0);
  });

  test("an announcement is said again after a pause", () => {
    const next = sampleFrames(new Int16Array(200).fill(8000), PCMU, 40);
    const frame = new Uint8Array(160);
    const heard = Array.from({ length: 10 }, () => next(frame) && (decodeG711(PCMU, frame)[0] ?? 0) > 4000);
    expect(heard).toEqual([true, true, false, false, true, true, false, false, true, true]);
    expect(sampleFrames(new Int16Array(0), PCMU, 40)(frame)).toBe(false);
  });

  test("a short stall is made good at once and gathers no drift", () => {
    const stalled = stall(70);
    expect(stalled.frames).toEqual([
      [0, 0],
      [70, 0],
      [70, 0],
      [70, 0],
      [80, 0],
    ]);
  });

  test("after a long stall the sound goes on where it was, and the pause is told", () => {
    const stalled = stall(1010);
    expect(stalled.frames).toEqual([
      [0, 0],
      [1010, 49],
      [1020, 0],
    ]);
    expect(stalled.contents).toEqual([0, 1, 2]);
  });

  /** What is sent when the timer due at 20 ms fires only at `until_ms`, up to 25 ms later. */
  function stall(until_ms: number) {
    const clock = new ManualClock();
    const frames: [number, number][] = [];
    const contents: number[] = [];
    let late = true;
    const stalling = {
      now: () => clock.now(),
      wall: () => clock.wall(),
      after(delay_ms: number, fire: () => void) {
        const delay = late ? until_ms : delay_ms;
        late = false;
        return clock.after(delay, fire);
      },
    };
    const timer = startPlayback(
      stalling,
      counting(1000),
      (frame, skipped) => {
        frames.push([clock.now(), skipped]);
        contents.push(frame[0] ?? -1);
      },
      () => {},
    );
    clock.advance(until_ms + 19);
    timer.cancel();
    return { frames, contents };
  }

  test("cancelled, it sends no more and leaves no timer", () => {
    const clock = new ManualClock();
    let sent = 0;
    let done = 0;
    const timer = startPlayback(
      clock,
      counting(1000),
      () => sent++,
      () => done++,
    );
    clock.advance(50);
    timer.cancel();
    clock.advance(1000);
    expect([sent, done, clock.pending]).toEqual([3, 0, 0]);
  });

  test("a tone sounds as itself in either law", () => {
    for (const law of [PCMU, PCMA] as const) {
      const next = toneFrames({ kind: "tone", frequencies_hz: [620], on_ms: 500, off_ms: 500, repeat: 1 }, law);
      const codes = new Uint8Array(8000);
      for (let at = 0; at < codes.length; at += 160) expect(next(codes.subarray(at, at + 160))).toBe(true);
      expect(next(new Uint8Array(160))).toBe(false);
      expect(detectTones(decodeG711(law, codes), 8000, [440, 620])).toMatchObject([
        { frequency_hz: 620, present_ms: 500 },
      ]);
    }
  });

  test("the last frame of a recording is filled up with silence", () => {
    const next = sampleFrames(new Int16Array(161).fill(1000), PCMU);
    const frame = new Uint8Array(160);
    expect(next(frame)).toBe(true);
    expect(next(frame)).toBe(true);
    expect([...frame.subarray(1)].every((code) => code === 0xff)).toBe(true);
    expect(frame[0]).not.toBe(0xff);
    expect(next(frame)).toBe(false);
  });
});
