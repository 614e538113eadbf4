import { describe, expect, test } from "vitest";
import { elapsed, isSilent } from "./silence.ts";

const at = (steady_ms: number, wall_ms: number) => ({ steady_ms, wall_ms });

describe("silence of the box", () => {
  test("three missed beats are borne, more are not", () => {
    expect(isSilent(at(0, 0), at(15_000, 15_000))).toBe(false);
    expect(isSilent(at(0, 0), at(15_001, 15_001))).toBe(true);
  });

  test("a reader's machine that slept has heard nothing meanwhile", () => {
    expect(isSilent(at(0, 0), at(2000, 3_600_000))).toBe(true);
  });

  test("a reader's clock that is set back does not hide silence", () => {
    expect(isSilent(at(0, 1_000_000), at(16_000, 0))).toBe(true);
    expect(elapsed(at(5, 5), at(5, 0))).toBe(0);
  });
});
