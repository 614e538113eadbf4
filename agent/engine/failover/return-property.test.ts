import fc from "fast-check";
import { expect, test } from "vitest";
import { initialMode, type ModeInput, modeMachine } from "./mode.ts";
import type { ReturnPolicy } from "./return-policy.ts";

type Unstamped<T> = T extends ModeInput ? Omit<T, "at_ms" | "of_day_ms"> : never;
const HOLD_DOWN_MS = 30_000;

const health = fc.constantFrom("up" as const, "degraded" as const, "suspect" as const, "down" as const);
const pbxs: fc.Arbitrary<Unstamped<ModeInput>> = fc.tuple(health, health).map((states) => ({
  kind: "pbxs",
  pbxs: states.map((state, i) => ({ id: `pbx${i}`, state, detail: "", watched_ms: 0 })),
}));
const busy: fc.Arbitrary<Unstamped<ModeInput>> = fc.record({
  kind: fc.constantFrom("emergency", "calls"),
  busy: fc.boolean(),
});
const event = fc.oneof(pbxs, pbxs, busy);
const steps = fc.array(
  fc.record({ after_ms: fc.nat(90_000), event, of_day_ms: fc.option(fc.nat(86_399_999), { nil: undefined }) }),
  { maxLength: 80 },
);

test.each<ReturnPolicy>([{ when: "stable" }, { when: "idle" }, { when: "hour", at: "02:30" }])(
  "whatever happens and however the clock jumps, nobody goes home before the hold-down, in a 911 call, or against $when",
  (policy) => {
    fc.assert(
      fc.property(steps, (happenings) => {
        const machine = modeMachine({
          hold_down_ms: HOLD_DOWN_MS,
          hold_down_max_ms: 600_000,
          settle_ms: 5_000,
          policy,
        });
        let state = initialMode(0);
        let now_ms = 0;
        let wake_ms: number | undefined;
        let good_since_ms: number | undefined;
        const feed = (input: Unstamped<ModeInput>, of_day_ms: number | undefined) => {
          const before = state.mode;
          const step = machine(state, { ...input, at_ms: now_ms, of_day_ms });
          state = step.state;
          for (const effect of step.effects) {
            if (effect.do === "wake_at") wake_ms = effect.at_ms;
            if (effect.do !== "changed" || effect.to !== "normal" || before === "normal") continue;
            expect(state.busy_with_911).toBe(false);
            expect(now_ms - (good_since_ms ?? now_ms)).toBeGreaterThanOrEqual(HOLD_DOWN_MS);
            if (policy.when === "idle") expect(state.busy_with_calls).toBe(false);
          }
        };
        for (const { after_ms, event: input, of_day_ms } of happenings) {
          const end_ms = now_ms + after_ms;
          while (wake_ms !== undefined && wake_ms <= end_ms) {
            now_ms = Math.max(now_ms, wake_ms);
            wake_ms = undefined;
            feed({ kind: "timeout" }, of_day_ms);
          }
          now_ms = end_ms;
          if (input.kind === "pbxs") {
            const good = input.pbxs.some((pbx) => pbx.state === "up" || pbx.state === "degraded");
            good_since_ms = good ? (good_since_ms ?? now_ms) : undefined;
          }
          feed(input, of_day_ms);
        }
      }),
      { numRuns: 500 },
    );
  },
);
