import { expect, test } from "vitest";
import { clockQuality } from "./clock-quality.ts";

test("wall times are trusted as far as somebody has set the clock", () => {
  const now = Date.UTC(2026, 10, 20);
  expect(clockQuality(now, () => true)).toBe("synchronised");
  expect(clockQuality(now, () => false)).toBe("holdover");
  expect(clockQuality(Date.UTC(1970, 0, 1), () => true)).toBe("unset");
});
