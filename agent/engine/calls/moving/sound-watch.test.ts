import { describe, expect, test } from "vitest";
import { type FlowingSince, observeSound, SoundSuspicions } from "./sound-watch.ts";

/** Silences of one call, seen every 400 ms. */
function watch(silences: readonly number[]): readonly number[] {
  let flowing: FlowingSince = new Map();
  return silences.flatMap((silent_ms, i) => {
    const seen = observeSound(flowing, new Map([["call", silent_ms]]), i * 400);
    flowing = seen.flowing;
    return seen.stopped.length > 0 ? [i] : [];
  });
}

const steady = Array.from({ length: 10 }, () => 15);

describe("the sound of a running call", () => {
  test("that flowed and stops is noticed, once", () => {
    expect(watch([...steady, 350, 750, 1150, 1550])).toEqual([11]);
  });

  test("that comes in pieces, or never came, says nothing", () => {
    expect(watch([15, 15, 15, 900, 15, 15, 15, 15, 900, 1300])).toEqual([]);
    expect(watch([5000, 5400, 5800])).toEqual([]);
  });

  test("makes a path suspect ever less often, until it was right", () => {
    const suspicions = new SoundSuspicions();
    const asked = [0, 14_000, 15_000, 44_000, 45_000].map((at) => suspicions.may("wan", at));
    expect(asked).toEqual([true, false, true, false, true]);
    suspicions.wasRight("wan");
    expect(suspicions.may("wan", 46_000)).toBe(true);
  });
});
