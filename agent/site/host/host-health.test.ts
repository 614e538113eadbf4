import { expect, test } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { clockQuality } from "./clock-quality.ts";
import { HostHealth } from "./host-health.ts";

test("a clock before the program's own time is unset, whatever synchronisation says", () => {
  expect(clockQuality(0, () => true)).toBe("unset");
  expect(clockQuality(Date.UTC(2027, 0, 1), () => true)).toBe("synchronised");
  expect(clockQuality(Date.UTC(2027, 0, 1), () => false)).toBe("holdover");
});

test("the machine's health is read, and what cannot be read is undefined", async () => {
  const health = new HostHealth(systemClock, "/nonexistent");
  try {
    await new Promise((resolve) => setTimeout(resolve, 0));
    while (health.status.memory_used_percent === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(health.status.memory_used_percent).toBeGreaterThan(0);
    expect(health.status.memory_used_percent).toBeLessThanOrEqual(100);
    expect(health.status.disk_used_percent).toBeUndefined();
    expect(health.status.uptime_s).toBeGreaterThan(0);
  } finally {
    health.close();
  }
});
