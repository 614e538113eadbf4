import fc from "fast-check";
import { expect, test } from "vitest";
import { ManualClock } from "./manual-clock.ts";

test("timers fire in the order of their time and then of their setting, cancelled ones never", () => {
  const step = fc.oneof(
    fc.record({ what: fc.constant("set" as const), ms: fc.integer({ min: -1, max: 20 }) }),
    fc.record({ what: fc.constant("cancel" as const), ms: fc.nat(30) }),
    fc.record({ what: fc.constant("advance" as const), ms: fc.nat(15) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const clock = new ManualClock(100);
      const timers: { at: number; cancel(): void; over: boolean }[] = [];
      const fired: number[] = [];
      for (const { what, ms } of steps) {
        if (what === "set") {
          const n = timers.length;
          const { cancel } = clock.after(ms, () => {
            expect(clock.now()).toBe(timers[n]?.at);
            fired.push(n);
          });
          timers.push({ at: clock.now() + Math.max(0, ms), cancel, over: false });
        } else if (what === "cancel") {
          const timer = timers[ms];
          timer?.cancel();
          if (timer !== undefined) timer.over = true;
        } else {
          fired.length = 0;
          clock.advance(ms);
          const due = timers.flatMap(({ at, over }, n) => (!over && at <= clock.now() ? [{ at, n }] : []));
          expect(fired).toEqual(due.sort((a, b) => a.at - b.at || a.n - b.n).map(({ n }) => n));
          for (const { n } of due) (timers[n] ?? { over: true }).over = true;
        }
        expect(clock.pending).toBe(timers.filter(({ over }) => !over).length);
      }
    }),
  );
});

test("a timer that is set while others fire has its turn in the same move, and one that is cancelled then has none", () => {
  const clock = new ManualClock();
  const told: string[] = [];
  const late = clock.after(10, () => void told.push("late"));
  clock.after(5, () => {
    told.push("first");
    clock.after(0, () => void told.push("at once"));
    clock.after(2, () => void told.push("soon"));
    late.cancel();
  });
  clock.advance(20);
  expect(told).toEqual(["first", "at once", "soon"]);
  expect([clock.now(), clock.pending]).toEqual([20, 0]);
});
