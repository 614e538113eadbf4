import { expect, test } from "vitest";
import { loadAnnouncements } from "./announcements.ts";
import { ANNOUNCEMENTS } from "./relay.ts";

test("every announcement named is there, as long as it says, and is neither silent nor clipped", () => {
  const missing: string[] = [];
  const loaded = loadAnnouncements((name, reason) => missing.push(`${name}: ${reason}`));
  expect(missing).toEqual([]);
  for (const [name, { duration_ms }] of Object.entries(ANNOUNCEMENTS)) {
    const samples = loaded.get(name) ?? new Int16Array(0);
    expect(Math.round(samples.length / 8)).toBe(duration_ms);
    const peak = samples.reduce((highest, sample) => Math.max(highest, Math.abs(sample)), 0);
    expect(peak).toBeGreaterThan(8000);
    expect(peak).toBeLessThan(32000);
  }
});
