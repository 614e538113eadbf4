import { expect, test } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { HostHealth } from "./host-health.ts";

test("the machine's health is read, and what cannot be read is undefined", async () => {
  const health = new HostHealth(systemClock, "/nonexistent");
  try {
    await health.read();
    expect(health.status.memory_used_percent).toBeGreaterThan(0);
    expect(health.status.memory_used_percent).toBeLessThanOrEqual(100);
    expect(health.status.disk_used_percent).toBeUndefined();
    expect(health.status.uptime_s).toBeGreaterThan(0);
  } finally {
    health.close();
  }
});
