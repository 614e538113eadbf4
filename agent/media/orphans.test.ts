import { describe, expect, test } from "vitest";
import { EMERGENCY_SILENCE_MS, isLeftBehind, ORPHAN_SILENCE_MS } from "./orphans.ts";

const ORPHANED = 1_000_000;

describe("what a dead engine left behind", () => {
  test("an ordinary endpoint goes after 60 s without RTP", () => {
    const silent = { emergency: false, lastLife_ms: ORPHANED + 5000 };
    expect(isLeftBehind(silent, ORPHANED, ORPHANED + 5000 + ORPHAN_SILENCE_MS - 1)).toBe(false);
    expect(isLeftBehind(silent, ORPHANED, ORPHANED + 5000 + ORPHAN_SILENCE_MS)).toBe(true);
  });

  test("an emergency endpoint stays while RTP flows and 10 min after", () => {
    const flowing = { emergency: true, lastLife_ms: ORPHANED + 3_600_000 };
    expect(isLeftBehind(flowing, ORPHANED, ORPHANED + 3_600_020)).toBe(false);
    expect(isLeftBehind(flowing, ORPHANED, ORPHANED + 3_600_000 + EMERGENCY_SILENCE_MS - 1)).toBe(false);
    expect(isLeftBehind(flowing, ORPHANED, ORPHANED + 3_600_000 + EMERGENCY_SILENCE_MS)).toBe(true);
  });

  test("a call that was on hold when the engine died gets its 60 s all the same", () => {
    const held = { emergency: false, lastLife_ms: ORPHANED - 300_000 };
    expect(isLeftBehind(held, ORPHANED, ORPHANED + 1000)).toBe(false);
    expect(isLeftBehind(held, ORPHANED, ORPHANED + ORPHAN_SILENCE_MS)).toBe(true);
  });
});
