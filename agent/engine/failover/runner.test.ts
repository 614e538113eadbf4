import { describe, expect, test } from "vitest";
import type { SiteConfig } from "../../base/config/schema.ts";
import { createEventFactory, type HealthState, type HoldfastEvent, type Mode } from "../../base/events.ts";
import { silentLog } from "../../base/log.ts";
import { ManualClock } from "../../base/manual-clock.ts";
import type { Trunk, Trunks } from "../trunks/trunk.ts";
import { Failover } from "./runner.ts";

function world(settings: Partial<SiteConfig["failover"]> = {}, clockIsSet = true) {
  const clock = new ManualClock(50_000);
  const record: HoldfastEvent[] = [];
  const listeners: ((trunk: Trunk) => void)[] = [];
  const pbx = {
    path: { returned: undefined },
    id: "cloud",
    kind: "pbx",
    health: { state: "unknown" as HealthState, since_ms: 0, evidence: [] },
  };
  const trunks = {
    all: () => [pbx],
    onChange: (listener: (trunk: Trunk) => void) => void listeners.push(listener),
  } as unknown as Trunks;
  const failover = new Failover({
    config: {
      site: { time_zone: "America/Chicago" },
      failover: {
        hold_down_ms: 30_000,
        hold_down_max_ms: 600_000,
        return_when: "stable",
        return_at: "02:30",
        ...settings,
      },
      drill: { max_ms: 600_000 },
    } as unknown as SiteConfig,
    clock,
    log: silentLog,
    trunks,
    practice: true,
    clockIsSet: () => clockIsSet,
    events: createEventFactory(
      clock,
      () => ({ org: "o", site: "s", box: "b", boot_id: "x", practice: true }),
      () => "unset",
    ),
    record: (event) => void record.push(event),
  });
  const modes: Mode[] = [];
  failover.onChange((mode) => modes.push(mode));
  failover.start();
  const set = (state: HealthState) => {
    pbx.health = { ...pbx.health, state };
    for (const listener of listeners) listener(pbx as unknown as Trunk);
  };
  return { clock, record, failover, modes, set };
}

describe("failover", () => {
  test("records each change of mode with its reasons", () => {
    const { clock, set, failover, record, modes } = world();
    set("up");
    set("down");
    expect(failover.mode).toBe("survivable");
    set("up");
    clock.advance(30_000);
    expect(modes).toEqual(["survivable", "recovering", "normal"]);
    const changes = record.filter((event) => event.type === "mode.changed");
    expect(changes.map((event) => event.data)).toMatchObject([
      { from: "normal", to: "survivable", reasons: ["cloud is down"] },
      { from: "survivable", to: "recovering" },
      { from: "recovering", to: "normal" },
    ]);
  });

  test("a drill leaves a record, by hand and when it expires", () => {
    const { clock, set, failover, record } = world();
    set("up");
    clock.advance(60_000);
    failover.startDrill("ops", 60_000);
    expect(failover.status().drill).toMatchObject({ by: "ops", ends_wall: clock.wall() + 60_000 });
    failover.callStarted();
    clock.advance(20_000);
    const made = failover.stopDrill();
    expect(made).toMatchObject({ by: "ops", calls: 1, practice: true });
    expect(made.ended_wall - made.started_wall).toBe(20_000);
    failover.startDrill("ops", 60_000);
    clock.advance(60_000);
    expect(failover.mode).toBe("normal");
    const ends = record.flatMap((event) => (event.type === "drill.ended" ? [event.data.reason] : []));
    expect(ends).toEqual(["stopped", "expired"]);
  });

  test("a drill never runs longer than the site allows, nor beside another, nor in a 911 call", () => {
    const { clock, set, failover } = world();
    set("up");
    failover.emergency(true);
    expect(() => failover.startDrill("ops", 60_000)).toThrow("operation.refused");
    failover.emergency(false);
    failover.startDrill("ops", 1e9);
    expect(() => failover.startDrill("ops", 60_000)).toThrow("operation.refused");
    clock.advance(600_000);
    expect(failover.status().drill).toBeUndefined();
    expect(() => failover.stopDrill()).toThrow("operation.refused");
  });

  test("a real 911 ends a drill", () => {
    const { set, failover, record } = world();
    set("up");
    failover.startDrill("ops", 60_000);
    failover.abortDrill();
    expect(failover.mode).not.toBe("forced");
    expect(record.at(-1)?.type === "drill.ended" || record.at(-2)?.type === "drill.ended").toBe(true);
  });

  test("a site that returns at an hour waits for it by its own time of day", () => {
    const { clock, set, failover } = world({ return_when: "hour", return_at: "02:30" });
    // The manual clock's wall time is UTC; the site is in Chicago.
    set("up");
    set("down");
    set("up");
    clock.advance(31_000);
    expect(failover.mode).toBe("recovering");
    expect(failover.reasons.at(-1)).toBe("goes home at 02:30");
    clock.advance(24 * 3_600_000);
    expect(failover.mode).toBe("normal");
  });

  test("a site that returns when idle waits for the last call", () => {
    const { clock, set, failover } = world({ return_when: "idle" });
    failover.calls(true);
    set("up");
    set("down");
    set("up");
    clock.advance(40_000);
    expect(failover.mode).toBe("recovering");
    failover.calls(false);
    expect(failover.mode).toBe("normal");
  });

  test("the policy says when new work may go back to the preferred target: never in a 911 call", () => {
    const { failover } = world({ return_when: "idle" });
    expect(failover.mayReturn).toBe(true);
    failover.calls(true);
    expect(failover.mayReturn).toBe(false);
    failover.calls(false);
    failover.emergency(true);
    expect(failover.mayReturn).toBe(false);
    expect(world({ return_when: "hour", return_at: "02:30" }).failover.mayReturn).toBe(false);
    expect(world({ return_when: "hour", return_at: "02:30" }, false).failover.mayReturn).toBe(true);
  });
});
