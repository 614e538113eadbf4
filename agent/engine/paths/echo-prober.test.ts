import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Clock, every } from "../../base/clock.ts";
import { ManualClock } from "../../base/manual-clock.ts";
import { EchoProber, LTE_ECHO, type ProbePace, WAN_ECHO } from "./echo-prober.ts";
import { DEFAULT_RULES, initialVerdict, type Verdict, type VerdictInput, verdictMachine } from "./verdict.ts";

/** mulberry32: the same seed gives the same run. */
function seeded(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Unstamped<T> = T extends VerdictInput ? Omit<T, "at_ms" | "at_wall"> : never;

/** The clock of a process whose timers come late: all by `late_ms`, and none between `from` and `to`. */
function held(clock: ManualClock, { late_ms = 0, from = 0, to = 0 }): Clock {
  const after: Clock["after"] = (delay_ms, fire) => {
    let timer = clock.after(Math.max(1, delay_ms) + late_ms, () => {
      if (clock.now() < from || clock.now() >= to) fire();
      else timer = clock.after(to - clock.now(), fire);
    });
    return { cancel: () => timer.cancel() };
  };
  return { now: () => clock.now(), wall: () => clock.wall(), after };
}

interface Simulated {
  readonly pace: ProbePace;
  readonly loss: number;
  readonly rtt_ms: number;
  readonly seed: number;
  readonly hold?: Parameters<typeof held>[1];
}

/** A prober, its verdict machine and a path with loss and delay, on a clock of their own. */
function simulate(options: Simulated) {
  const clock = new ManualClock();
  const random = seeded(options.seed);
  const machine = verdictMachine({
    ...DEFAULT_RULES,
    hold_down_ms: 30_000,
    hold_down_max_ms: 600_000,
    stale_after_ms: 600_000,
  });
  let verdict: Verdict = initialVerdict(0);
  const downs: number[] = [];
  const suspects: number[] = [];
  const world = { cut: false, sent: 0, rtt_ms: options.rtt_ms };
  const lost = () => world.cut || random() < options.loss;
  const feed = (input: Unstamped<VerdictInput>) => {
    const { state, effects } = machine(verdict, { ...input, at_ms: clock.now(), at_wall: 0 });
    verdict = state;
    for (const effect of effects) {
      if (effect.do === "ask") prober.burst(effect.urgent);
      if (effect.do === "stop_asking") prober.endBurst();
      if (effect.do === "timer" && effect.timer === "suspect") {
        clock.after(effect.at_ms - clock.now(), () => feed({ kind: "timeout", timer: "suspect" }));
      }
      if (effect.do === "changed" && effect.to === "down") downs.push(clock.now());
      if (effect.do === "changed" && effect.to === "suspect") suspects.push(clock.now());
    }
  };
  const echo = { witness: "echo", source: "echo", decisive: true, detail: "" };
  const prober = new EchoProber(options.hold ? held(clock, options.hold) : clock, options.pace, 1, {
    send: (_target, id) => {
      world.sent++;
      if (lost() || lost()) return;
      clock.after(world.rtt_ms, () => {
        if (!world.cut) prober.answered(id);
      });
    },
    alive: (_target, sent_ms) => feed({ kind: "alive", ...echo, sent_ms }),
    silent: (_target, sent_ms) => feed({ kind: "silent", ...echo, sent_ms }),
    burstOver: (sent) => feed({ kind: "burst_over", detail: `${sent}` }),
    random,
  });
  prober.start();
  every(clock, 1_000, () => feed({ kind: "quality", loss_percent: prober.loss_percent, rtt_ms: prober.rtt_ms }));
  return { clock, prober, world, downs, suspects, feed, state: () => verdict.state };
}

describe("probes to a named echo responder on WAN", () => {
  for (const rtt_ms of [0, 20, 80]) {
    test(`declare a black hole within a second at ${rtt_ms} ms round trip, whenever it begins`, () => {
      let slowest = 0;
      for (let phase = 0; phase < 250; phase += 5) {
        const run = simulate({ pace: WAN_ECHO, loss: 0, rtt_ms, seed: 1 });
        run.clock.advance(10_000 + phase);
        run.world.cut = true;
        const cut = run.clock.now();
        run.clock.advance(2_000);
        expect(run.downs).toHaveLength(1);
        slowest = Math.max(slowest, (run.downs[0] ?? Number.POSITIVE_INFINITY) - cut);
      }
      expect(slowest).toBeLessThanOrEqual(1_000);
      expect(slowest).toBeGreaterThan(400);
    });
  }

  test("a round trip that grows to 600 ms from one packet to the next is no death: the path is degraded, then good", () => {
    for (let phase = 0; phase < 250; phase += 5) {
      const run = simulate({ pace: WAN_ECHO, loss: 0, rtt_ms: 20, seed: 1 });
      run.clock.advance(10_000 + phase);
      run.world.rtt_ms = 600;
      run.clock.advance(20_000);
      expect(run.downs).toEqual([]);
      expect(run.state()).toBe("degraded");
      run.world.rtt_ms = 20;
      run.clock.advance(60_000);
      expect(run.downs).toEqual([]);
      expect(run.state()).toBe("up");
    }
  });

  test("one that grows to 900 ms is taken for death for less than a second, and that is taken back without a hold-down", () => {
    for (let phase = 0; phase < 250; phase += 25) {
      const run = simulate({ pace: WAN_ECHO, loss: 0, rtt_ms: 20, seed: 1 });
      run.clock.advance(10_000 + phase);
      run.world.rtt_ms = 900;
      run.clock.advance(2_000);
      expect(run.downs.length).toBeLessThanOrEqual(1);
      expect(["up", "degraded"]).toContain(run.state());
      run.clock.advance(20_000);
      expect(run.downs.length).toBeLessThanOrEqual(1);
      expect(run.state()).toBe("degraded");
    }
  });

  test("nor one that swings between 20 and 700 ms, slowly or fast, nor longer ones once they are known", () => {
    for (const period_ms of [500, 2_000, 10_000, 60_000]) {
      const run = simulate({ pace: WAN_ECHO, loss: 0, rtt_ms: 20, seed: period_ms });
      for (let t = 0; t < 600_000; t += period_ms) {
        run.world.rtt_ms = run.world.rtt_ms === 20 ? 700 : 20;
        run.clock.advance(period_ms);
      }
      expect(run.downs).toEqual([]);
      run.world.rtt_ms = 20;
      run.clock.advance(20_000);
      for (const rtt_ms of [700, 20, 790, 20, 880, 20, 970]) {
        run.world.rtt_ms = rtt_ms;
        run.clock.advance(20_000);
      }
      expect(run.downs).toEqual([]);
    }
  });

  test("at 40 % loss each way never declare a path dead in 10 hours, and a black hole there within 2 s", () => {
    const run = simulate({ pace: WAN_ECHO, loss: 0.4, rtt_ms: 20, seed: 40 });
    run.clock.advance(36_000_000);
    expect(run.downs).toEqual([]);
    run.world.cut = true;
    run.clock.advance(2_000);
    expect(run.downs).toHaveLength(1);
  });

  test("whatever the round trips are, the next timer lies ahead", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.01, max: 1_500, noNaN: true }), { minLength: 1, maxLength: 60 }),
        (rtts) => {
          const run = simulate({ pace: WAN_ECHO, loss: 0, rtt_ms: 20, seed: 1 });
          for (const rtt_ms of rtts) {
            run.world.rtt_ms = rtt_ms;
            run.clock.advance(500);
          }
          expect(run.world.sent).toBeLessThan(rtts.length * 60);
        },
      ),
    );
  });

  test("a satellite's 700 ms make a path degraded, not suspect again and again", () => {
    const run = simulate({ pace: WAN_ECHO, loss: 0, rtt_ms: 700, seed: 1 });
    run.clock.advance(20_000);
    expect(run.state()).toBe("degraded");
    const before = run.suspects.length;
    run.clock.advance(3_600_000);
    expect(run.downs).toEqual([]);
    expect(run.suspects).toHaveLength(before);
  });

  test("never declare a path dead in 100 hours at 5 % loss each way", () => {
    const run = simulate({ pace: WAN_ECHO, loss: 0.05, rtt_ms: 20, seed: 5 });
    run.clock.advance(100 * 3_600_000);
    expect(run.downs).toEqual([]);
    expect(run.state()).not.toBe("down");
  }, 60_000);

  test("never declare a path dead in 100 hours at 20 % loss each way", () => {
    const run = simulate({ pace: WAN_ECHO, loss: 0.2, rtt_ms: 20, seed: 20 });
    run.clock.advance(100 * 3_600_000);
    expect(run.downs).toEqual([]);
    expect(run.prober.loss_percent).toBeGreaterThan(20);
  }, 60_000);

  test("at 5 % loss each way do not even make it suspect in 10 hours", () => {
    const run = simulate({ pace: WAN_ECHO, loss: 0.05, rtt_ms: 20, seed: 7 });
    run.clock.advance(10 * 3_600_000);
    expect(run.suspects).toEqual([]);
  }, 60_000);

  test("a call in doubt has eight probes out within 105 ms, answered in time or the path is suspect after 250", () => {
    const run = simulate({ pace: WAN_ECHO, loss: 0, rtt_ms: 20, seed: 1 });
    run.clock.advance(10_010);
    run.world.cut = true;
    const before = run.world.sent;
    run.feed({ kind: "suspect", reason: "911" });
    run.clock.advance(105);
    expect(run.world.sent - before).toBe(8);
    run.clock.advance(144);
    expect(run.state()).toBe("up");
    run.clock.advance(1);
    expect(run.state()).toBe("suspect");
  });

  test("a process that stood still reads what has arrived before it judges", () => {
    let fire: () => void = () => {};
    let now = 0;
    const clock = {
      now: () => now,
      wall: () => 0,
      after: (_delay: number, go: () => void) => {
        fire = go;
        return { cancel() {} };
      },
    };
    const silent: number[] = [];
    const ids: number[] = [];
    const prober = new EchoProber(clock, WAN_ECHO, 1, {
      send: (_target, id) => void ids.push(id),
      alive() {},
      silent: (_target, sent_ms) => void silent.push(sent_ms),
      burstOver() {},
      random: () => 0,
    });
    prober.start();
    fire();
    now = 900;
    fire();
    expect(silent).toEqual([]);
    const [first] = ids;
    if (first !== undefined) prober.answered(first);
    now = 925;
    fire();
    expect(silent).toEqual([]);
  });

  test("a process that stood still while a path died finds it dead within a second afterwards", () => {
    for (let into_ms = 0; into_ms < 600; into_ms += 10) {
      const cut = 10_000;
      const to = cut + into_ms + 400;
      const run = simulate({ pace: WAN_ECHO, loss: 0, rtt_ms: 1, seed: 1, hold: { from: cut + into_ms, to } });
      run.clock.advance(cut);
      run.world.cut = true;
      run.clock.advance(into_ms + 400 + 1_000);
      expect(run.downs).toHaveLength(1);
    }
  });

  test("a process that is always late still finds a dead path dead, and a good one good", () => {
    const run = simulate({ pace: WAN_ECHO, loss: 0, rtt_ms: 1, seed: 1, hold: { late_ms: 40 } });
    run.clock.advance(60_000);
    expect(run.suspects).toEqual([]);
    run.world.cut = true;
    run.clock.advance(3_000);
    expect(run.downs).toHaveLength(1);
  });

  test("after a stall timers fire when something is due, not without end", () => {
    const clock = new ManualClock();
    let armed = 0;
    const late = held(clock, { from: 1_050, to: 1_500 });
    const after: Clock["after"] = (delay_ms, fire) => {
      armed++;
      return late.after(delay_ms, fire);
    };
    const ports = { send() {}, alive() {}, silent() {}, burstOver() {}, random: () => 0 };
    new EchoProber({ ...late, after }, WAN_ECHO, 1, ports).start();
    clock.advance(11_000);
    expect(armed).toBeLessThan(200);
  });
});

describe("probes on LTE", () => {
  test("cost little in quiet times", () => {
    const run = simulate({ pace: LTE_ECHO, loss: 0, rtt_ms: 60, seed: 1 });
    run.clock.advance(3_600_000);
    expect(run.world.sent).toBeLessThan(240);
    expect(run.world.sent).toBeGreaterThan(119);
  });

  test("declare a black hole within 5 s of the first unanswered probe", () => {
    const run = simulate({ pace: LTE_ECHO, loss: 0, rtt_ms: 60, seed: 3 });
    run.clock.advance(100_000);
    run.world.cut = true;
    const before = run.world.sent;
    while (run.world.sent === before) run.clock.advance(1);
    const first = run.clock.now();
    run.clock.advance(10_000);
    expect(run.downs).toHaveLength(1);
    expect((run.downs[0] ?? 0) - first).toBeLessThanOrEqual(5_000);
  });
});
