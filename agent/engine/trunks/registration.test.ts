import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  initialRegistration,
  isRegistered,
  type Registration,
  type RegistrationEffect,
  type RegistrationInput,
  registrationMachine,
} from "./registration.ts";

type Unstamped<T> = T extends RegistrationInput ? Omit<T, "at_ms"> : never;

function drive(...inputs: Unstamped<RegistrationInput>[]) {
  const machine = registrationMachine(() => 0.5);
  let state: Registration = initialRegistration(300);
  let effects: readonly RegistrationEffect[] = [];
  for (const input of inputs) ({ state, effects } = machine(state, { ...input, at_ms: 0 }));
  return { state, effects };
}

const challenged = (stale = false) => ({ kind: "challenged" as const, stale, answerable: true });

describe("a registration", () => {
  test("is refreshed at about 80 % of what was granted, not of what was asked", () => {
    expect(drive({ kind: "start" }, { kind: "accepted", expires_s: 60 }).effects).toEqual([
      { do: "due_at", at_ms: 48_000 },
    ]);
  });

  test("counts until it lapses, also while a refresh fails", () => {
    const { state } = drive(
      { kind: "start" },
      { kind: "accepted", expires_s: 60 },
      { kind: "due" },
      { kind: "failed" },
    );
    expect(isRegistered(state, 59_000)).toBe(true);
    expect(isRegistered(state, 60_000)).toBe(false);
  });

  test("answers a challenge once, and again when only the nonce was stale", () => {
    expect(drive({ kind: "start" }, challenged()).effects).toMatchObject([{ do: "register", with_answer: true }]);
    expect(drive({ kind: "start" }, challenged(), challenged(true)).effects).toMatchObject([{ do: "register" }]);
    const wrong = drive({ kind: "start" }, challenged(), challenged());
    expect(wrong.state.refused).toBe(true);
    expect(wrong.effects).toEqual([{ do: "due_at", at_ms: 600_000 }]);
  });

  test("asks for what 423 demands, and does not loop when it demands nothing new", () => {
    expect(drive({ kind: "start" }, { kind: "too_brief", min_expires_s: 900 }).effects).toMatchObject([
      { do: "register", expires_s: 900 },
    ]);
    const again = drive({ kind: "start" }, { kind: "too_brief", min_expires_s: 300 });
    expect(again.state.phase).toBe("waiting");
  });

  test("goes on under a new address at once when a NAT has moved it, whatever it is doing, and lapses if that fails", () => {
    const before = drive({ kind: "start" }, { kind: "accepted", expires_s: 300 }, { kind: "moved" });
    expect(before.effects).toEqual([{ do: "cancel_due" }, { do: "register", expires_s: 300, with_answer: false }]);
    expect(before.state.valid_until_ms).toBe(10_000);
    expect(drive({ kind: "start" }, { kind: "moved" }).effects.at(-1)).toMatchObject({ do: "register" });
  });

  test("waits twice as long after each failure, up to half an hour (RFC 5626 §4.5), and as long as Retry-After says", () => {
    const failures = (n: number) =>
      Array.from({ length: n }, () => [{ kind: "due" }, { kind: "failed" }] as const).flat();
    const waits = [1, 2, 3, 20].map((n) => drive(...failures(n)).effects);
    expect(waits).toEqual([22_500, 45_000, 90_000, 1_350_000].map((at_ms) => [{ do: "due_at", at_ms }]));
    expect(drive({ kind: "start" }, { kind: "rejected", status: 503, retry_after_s: 120 }).effects).toEqual([
      { do: "due_at", at_ms: 120_000 },
    ]);
  });

  test("always either tries or waits for a time that comes", () => {
    const input = fc.oneof(
      fc.constantFrom<Unstamped<RegistrationInput>>(
        { kind: "start" },
        { kind: "due" },
        { kind: "failed" },
        challenged(),
      ),
      fc.record({ kind: fc.constant("accepted" as const), expires_s: fc.integer({ min: -5, max: 1e9 }) }),
      fc.record({ kind: fc.constant("too_brief" as const), min_expires_s: fc.nat() }),
      fc.record({
        kind: fc.constant("rejected" as const),
        status: fc.integer({ min: 300, max: 699 }),
        retry_after_s: fc.option(fc.nat(), { nil: undefined }),
      }),
    );
    fc.assert(
      fc.property(fc.array(input, { minLength: 1, maxLength: 30 }), (inputs) => {
        const machine = registrationMachine(() => 0.5);
        let { state } = machine(initialRegistration(300), { kind: "start", at_ms: 0 });
        let due = false;
        for (const each of inputs) {
          const step = machine(state, { ...each, at_ms: 0 });
          for (const effect of step.effects) {
            if (effect.do === "due_at") {
              due = true;
              expect(effect.at_ms).toBeLessThanOrEqual(86_400_000);
              expect(effect.at_ms).toBeGreaterThan(0);
            } else due = false;
          }
          state = step.state;
          expect(state.phase === "trying" || due).toBe(true);
        }
      }),
    );
  });
});
