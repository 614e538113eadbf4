import { describe, expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import { SearchGuard } from "./search-guard.ts";

const ownSubnet = (address: string) => address.startsWith("10.20.0.");

describe("a discovery search", () => {
  test("from the box's own subnet is answered, from elsewhere never", () => {
    const guard = new SearchGuard(new ManualClock(), ownSubnet);
    expect(guard.admits("10.20.0.7", 100)).toBe(true);
    expect(guard.admits("203.0.113.7", 100)).toBe(false);
    expect(guard.refused).toBe(1);
  });

  test("repeated by one asker, or by something forging it, is answered once a second", () => {
    const clock = new ManualClock();
    const guard = new SearchGuard(clock, ownSubnet);
    const answers = Array.from({ length: 100 }, () => guard.admits("10.20.0.7", 100)).filter(Boolean);
    expect(answers).toHaveLength(1);
    clock.advance(1000);
    expect(guard.admits("10.20.0.7", 100)).toBe(true);
  });

  test("storm from many addresses gets ten answers a second", () => {
    const clock = new ManualClock();
    const guard = new SearchGuard(clock, ownSubnet);
    let answers = 0;
    for (let i = 0; i < 250; i++) if (guard.admits(`10.20.0.${i}`, 100)) answers++;
    expect(answers).toBe(10);
  });

  test("of unusual size is not looked at", () => {
    expect(new SearchGuard(new ManualClock(), ownSubnet).admits("10.20.0.7", 4096)).toBe(false);
  });
});
