import { describe, expect, test } from "vitest";
import type { Mode } from "../../base/events.ts";
import { initialMode, type ModeEffect, type ModeInput, type ModeState, modeMachine, type PbxView } from "./mode.ts";
import { type ReturnPolicy, timeOfDay } from "./return-policy.ts";

const RULES = { hold_down_ms: 30_000, hold_down_max_ms: 600_000, settle_ms: 5_000 };
type Unstamped<T> = T extends ModeInput ? Omit<T, "at_ms" | "of_day_ms"> : never;
/** Midnight at the site is time 0. */
const DAY_MS = 86_400_000;

class Bench {
  state: ModeState = initialMode(0);
  readonly modes: [number, Mode][] = [];
  readonly over: string[] = [];
  #wake: number | undefined;
  readonly #machine;
  readonly #startOfDay_ms: number | "unknown";

  constructor(policy: ReturnPolicy = { when: "stable" }, startOfDay_ms: number | "unknown" = 0) {
    this.#machine = modeMachine({ ...RULES, policy });
    this.#startOfDay_ms = startOfDay_ms;
  }

  at(at_ms: number, ...inputs: Unstamped<ModeInput>[]): this {
    while (this.#wake !== undefined && this.#wake <= at_ms) {
      const due = this.#wake;
      this.#wake = undefined;
      this.#feed(due, { kind: "timeout" });
    }
    for (const input of inputs) this.#feed(at_ms, input);
    return this;
  }

  #feed(at_ms: number, input: Unstamped<ModeInput>): void {
    const of_day_ms = this.#startOfDay_ms === "unknown" ? undefined : (at_ms + this.#startOfDay_ms) % DAY_MS;
    const { state, effects } = this.#machine(this.state, { ...input, at_ms, of_day_ms });
    this.state = state;
    for (const effect of effects as readonly ModeEffect[]) {
      if (effect.do === "wake_at") this.#wake = effect.at_ms;
      if (effect.do === "changed") this.modes.push([at_ms, effect.to]);
      if (effect.do === "drill_over") this.over.push(effect.reason);
    }
  }
}

const pbxs = (...states: PbxView["state"][]) => ({
  kind: "pbxs" as const,
  pbxs: states.map((state, i) => ({ id: `pbx${i}`, state, detail: "", watched_ms: 0 })),
});
/** A PBX that is heard the moment its path has come back from its own hold-down. */
const backByPath = (watched_ms: number) => ({
  kind: "pbxs" as const,
  pbxs: [{ id: "pbx0", state: "up" as const, detail: "", watched_ms }],
});
const emergency = (busy: boolean) => ({ kind: "emergency" as const, busy });
const calls = (busy: boolean) => ({ kind: "calls" as const, busy });
const drill = (ends_ms: number) => ({ kind: "drill_start" as const, drill: { id: "d", by: "ops", ends_ms } });

describe("the mode of the site", () => {
  test("is normal while any PBX can be reached", () => {
    expect(new Bench().at(10, pbxs("down", "degraded")).state.mode).toBe("normal");
  });

  test("is survivable at once when every PBX is down", () => {
    const bench = new Bench().at(10, pbxs("up")).at(100, pbxs("suspect")).at(900, pbxs("down"));
    expect(bench.modes).toEqual([[900, "survivable"]]);
    expect(bench.state.reasons).toEqual(["pbx0 is down"]);
  });

  test("after power-on without a WAN is survivable as soon as nobody answers", () => {
    expect(new Bench().at(10, pbxs("unknown")).at(6_000).modes).toEqual([[5_000, "survivable"]]);
  });

  test("goes home only after 30 s of a good PBX", () => {
    const bench = new Bench().at(10, pbxs("up")).at(900, pbxs("down")).at(10_000, pbxs("up")).at(60_000);
    expect(bench.modes).toEqual([
      [900, "survivable"],
      [10_000, "recovering"],
      [40_000, "normal"],
    ]);
  });

  test("does not wait out a second hold-down when the path has served its own", () => {
    const bench = new Bench().at(10, pbxs("up")).at(900, pbxs("down")).at(40_000, backByPath(30_000)).at(60_000);
    expect(bench.modes).toEqual([
      [900, "survivable"],
      [40_000, "normal"],
    ]);
  });

  test("a path's shorter hold-down counts for as much as it was", () => {
    const bench = new Bench().at(10, pbxs("up")).at(900, pbxs("down")).at(40_000, backByPath(20_000)).at(60_000);
    expect(bench.modes.slice(1)).toEqual([
      [40_000, "recovering"],
      [50_000, "normal"],
    ]);
  });

  test("a lapse while recovering starts the wait anew", () => {
    const bench = new Bench().at(10, pbxs("up")).at(900, pbxs("down")).at(10_000, pbxs("up")).at(30_000, pbxs("down"));
    bench.at(35_000, pbxs("up")).at(80_000);
    expect(bench.modes.slice(2)).toEqual([
      [30_000, "survivable"],
      [35_000, "recovering"],
      [65_000, "normal"],
    ]);
  });

  test("each flap doubles the wait, up to ten minutes", () => {
    const bench = new Bench().at(10, pbxs("up"));
    const waits: number[] = [];
    let t = 1_000;
    for (let flap = 0; flap < 6; flap++) {
      bench
        .at(t, pbxs("down"))
        .at(t + 1_000, pbxs("up"))
        .at(t + 700_000);
      const [home] = bench.modes.at(-1) ?? [0];
      waits.push((home - t - 1_000) / 1_000);
      t = home + 1_000;
    }
    expect(waits).toEqual([30, 60, 120, 240, 480, 600]);
  });

  test("does not go home during a 911 call or its callback window", () => {
    const bench = new Bench()
      .at(10, pbxs("up"))
      .at(900, pbxs("down"), emergency(true))
      .at(10_000, pbxs("up"))
      .at(900_000);
    expect(bench.state.mode).toBe("recovering");
    expect(bench.at(900_001, emergency(false)).state.mode).toBe("normal");
  });

  test("a drill forces it and expires by itself", () => {
    const bench = new Bench().at(10, pbxs("up")).at(60_000, drill(120_000)).at(130_000);
    expect(bench.modes).toEqual([
      [60_000, "forced"],
      [120_000, "normal"],
    ]);
    expect(bench.over).toEqual(["expired"]);
  });

  test("a drill is stopped by hand, and aborted by a real 911", () => {
    const bench = new Bench()
      .at(10, pbxs("up"))
      .at(60_000, drill(900_000))
      .at(70_000, { kind: "drill_end", reason: "aborted_by_911" });
    expect(bench.state.mode).toBe("normal");
    bench.at(80_000, drill(900_000)).at(90_000, { kind: "drill_end", reason: "stopped" });
    expect(bench.over).toEqual(["aborted_by_911", "stopped"]);
  });

  test("a real outage in a drill is survivable when the drill ends", () => {
    const bench = new Bench().at(10, pbxs("up")).at(60_000, drill(70_000)).at(65_000, pbxs("down")).at(75_000);
    expect(bench.state.mode).toBe("survivable");
  });

  test("a second drill does not replace the first", () => {
    const bench = new Bench().at(10, pbxs("up")).at(20, drill(70_000)).at(30, drill(990_000)).at(80_000);
    expect(bench.state.drill).toBeUndefined();
  });
});

describe("the return policy", () => {
  const HOUR_MS = 3_600_000;
  /** Lost at 0.9 s, good again at 10 s. */
  const outage = (bench: Bench) => bench.at(10, pbxs("up")).at(900, pbxs("down")).at(10_000, pbxs("up"));

  test("when idle: calls are waited for, after the hold-down too", () => {
    const bench = outage(new Bench({ when: "idle" }).at(5, calls(true))).at(70_000);
    expect(bench.state.mode).toBe("recovering");
    expect(bench.state.reasons).toEqual(["pbx0 can be reached", "calls are not over"]);
    bench.at(70_001, calls(false));
    expect(bench.modes.at(-1)).toEqual([70_001, "normal"]);
  });

  test("when idle: the hold-down comes first, and 911 after the last call too", () => {
    const bench = outage(new Bench({ when: "idle" }))
      .at(20_000, emergency(true))
      .at(60_000);
    expect(bench.state.mode).toBe("recovering");
    expect(bench.at(60_001, emergency(false)).state.mode).toBe("normal");
  });

  test("at an hour: waits for it through days of good cloud, and says when", () => {
    // It is 20:00 when the outage begins.
    const bench = outage(new Bench({ when: "hour", at: "02:30" }, 20 * HOUR_MS)).at(6 * HOUR_MS);
    expect(bench.state.reasons).toEqual(["pbx0 can be reached", "goes home at 02:30"]);
    bench.at(8 * HOUR_MS);
    expect(bench.modes.at(-1)).toEqual([6.5 * HOUR_MS, "normal"]);
  });

  test("at an hour: within the hour from then a site goes home at once", () => {
    const bench = outage(new Bench({ when: "hour", at: "02:30" }, 2.6 * HOUR_MS)).at(60_000);
    expect(bench.modes.at(-1)).toEqual([40_000, "normal"]);
  });

  test("at an hour: a callback window that ends too late waits for the next day", () => {
    const bench = outage(new Bench({ when: "hour", at: "02:30" }, 2 * HOUR_MS)).at(20_000, emergency(true));
    bench.at(2 * HOUR_MS, emergency(false)).at(30 * HOUR_MS);
    expect(bench.modes.at(-1)).toEqual([24.5 * HOUR_MS, "normal"]);
  });

  test("at an hour with an unknown time of day: when idle, at the latest a day later", () => {
    const policy = { when: "hour", at: "02:30" } as const;
    const idle = new Bench(policy, "unknown");
    expect(outage(idle).at(60_000).modes.at(-1)).toEqual([40_000, "normal"]);
    const talking = outage(new Bench(policy, "unknown").at(5, calls(true))).at(26 * HOUR_MS);
    expect(talking.modes.at(-1)).toEqual([40_000 + DAY_MS, "normal"]);
  });

  test("has nothing to say after a drill in which the cloud was good, and its word after one in which it was lost", () => {
    const policy = { when: "hour", at: "02:30" } as const;
    const good = new Bench(policy, 12 * HOUR_MS).at(10, pbxs("up")).at(60_000, drill(120_000)).at(130_000);
    expect(good.state.mode).toBe("normal");
    const lost = new Bench(policy, 12 * HOUR_MS).at(10, pbxs("up")).at(60_000, drill(300_000));
    lost.at(70_000, pbxs("down")).at(80_000, pbxs("up")).at(400_000);
    expect(lost.state.mode).toBe("recovering");
  });

  test("at an hour that the night leaves out, or has twice: home that night, once", () => {
    for (const [at, night, zone] of [
      ["02:00", Date.UTC(2026, 2, 8), "America/Chicago"],
      ["02:05", Date.UTC(2026, 2, 8), "America/Chicago"],
      ["02:30", Date.UTC(2026, 2, 8), "America/Chicago"],
      ["02:59", Date.UTC(2026, 2, 8), "America/Chicago"],
      ["01:30", Date.UTC(2026, 10, 1), "America/Chicago"],
      ["02:15", Date.UTC(2026, 3, 5), "Australia/Lord_Howe"],
    ] as const) {
      for (let phase_ms = 0; phase_ms < 600_000; phase_ms += 60_000) {
        const wall_ms = night + phase_ms;
        const machine = modeMachine({ ...RULES, policy: { when: "hour", at } });
        let state = initialMode(0);
        let wake_ms = 0;
        let home_ms: number | undefined;
        const feed = (at_ms: number, input: Unstamped<ModeInput>) => {
          const step = machine(state, { ...input, at_ms, of_day_ms: timeOfDay(wall_ms + at_ms, zone) });
          state = step.state;
          for (const effect of step.effects) {
            if (effect.do === "wake_at") wake_ms = effect.at_ms;
            if (effect.do === "changed" && effect.to === "normal") home_ms = at_ms;
          }
        };
        for (const [at_ms, pbx] of [
          [10, "up"],
          [900, "down"],
          [10_000, "up"],
        ] as const)
          feed(at_ms, pbxs(pbx));
        while (home_ms === undefined && wake_ms < DAY_MS) feed(wake_ms, { kind: "timeout" });
        expect(home_ms, `${at} ${zone} +${phase_ms}`).toBeLessThan(0.75 * DAY_MS);
      }
    }
  });

  test("the time of day is the site's, in summer and winter", () => {
    expect(timeOfDay(Date.UTC(2026, 0, 15, 8, 30, 5), "America/Chicago")).toBe(2.5 * HOUR_MS + 5000);
    expect(timeOfDay(Date.UTC(2026, 6, 15, 7, 30, 5), "America/Chicago")).toBe(2.5 * HOUR_MS + 5000);
    expect(timeOfDay(Date.UTC(2026, 0, 15), "UTC")).toBe(0);
  });
});
