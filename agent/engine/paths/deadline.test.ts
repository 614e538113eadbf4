import { describe, expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import { deadline } from "./deadline.ts";

describe("a deadline", () => {
  test("fires on time, and not when cancelled", () => {
    const clock = new ManualClock();
    const fired: number[] = [];
    deadline(clock, 100, () => fired.push(clock.now()));
    deadline(clock, 100, () => fired.push(-1)).cancel();
    clock.advance(200);
    expect(fired).toEqual([100]);
  });

  test("past which the process stood still gives a moment to read what has arrived", () => {
    const pending: (() => void)[] = [];
    let now = 0;
    const stalled = {
      wall: () => 0,
      now: () => now,
      after: (_delay: number, fire: () => void) => {
        pending.push(fire);
        return { cancel() {} };
      },
    };
    let fired = false;
    deadline(stalled, 250, () => {
      fired = true;
    });
    now = 950;
    pending.shift()?.();
    expect(fired).toBe(false);
    pending.shift()?.();
    expect(fired).toBe(true);
  });
});
