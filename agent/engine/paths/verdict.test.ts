import { describe, expect, test } from "vitest";
import type { HealthState } from "../../base/events.ts";
import {
  DEFAULT_RULES,
  initialVerdict,
  type Verdict,
  type VerdictEffect,
  type VerdictInput,
  verdictMachine,
} from "./verdict.ts";

const RULES = { ...DEFAULT_RULES, hold_down_ms: 30_000, hold_down_max_ms: 600_000, stale_after_ms: 120_000 };
type Unstamped<T> = T extends VerdictInput ? Omit<T, "at_ms" | "at_wall"> : never;

/** Drives the machine with times given and timers as they were asked for. */
class Bench {
  verdict: Verdict = initialVerdict(0);
  readonly states: [number, HealthState][] = [];
  readonly timers = new Map<string, number>();
  asked: { urgent: boolean }[] = [];
  readonly #machine = verdictMachine(RULES);

  at(at_ms: number, ...inputs: Unstamped<VerdictInput>[]): this {
    for (;;) {
      const due = [...this.timers].filter(([, time]) => time <= at_ms).sort((a, b) => a[1] - b[1])[0];
      if (due === undefined) break;
      this.timers.delete(due[0]);
      this.#feed(due[1], { kind: "timeout", timer: due[0] as "suspect" });
    }
    for (const input of inputs) this.#feed(at_ms, input);
    return this;
  }

  #feed(at_ms: number, input: Unstamped<VerdictInput>): void {
    const { state, effects } = this.#machine(this.verdict, { ...input, at_ms, at_wall: at_ms });
    this.verdict = state;
    for (const effect of effects) this.#do(at_ms, effect);
  }

  #do(at_ms: number, effect: VerdictEffect): void {
    if (effect.do === "timer") this.timers.set(effect.timer, effect.at_ms);
    if (effect.do === "cancel") this.timers.delete(effect.timer);
    if (effect.do === "ask") this.asked.push({ urgent: effect.urgent });
    if (effect.do === "changed") this.states.push([at_ms, effect.to]);
  }

  get state(): HealthState {
    return this.verdict.state;
  }
}

const echo = { witness: "echo a", source: "echo", decisive: true, detail: "" };
const dns = { witness: "dns b", source: "dns", decisive: false, detail: "" };
const trunk = { witness: "trunk c", source: "options", decisive: false, detail: "" };
const alive = (who: typeof echo, sent_ms: number) => ({ kind: "alive" as const, ...who, sent_ms });
const silent = (who: typeof echo, sent_ms: number) => ({ kind: "silent" as const, ...who, sent_ms });
const link = (usable: boolean | undefined, source = "carrier") => ({
  kind: "link" as const,
  source,
  usable,
  detail: "",
});

describe("a path", () => {
  test("is unknown without evidence, also with a good link, and never up", () => {
    const bench = new Bench().at(0, link(true)).at(500_000);
    expect(bench.state).toBe("unknown");
    expect(bench.states).toEqual([]);
  });

  test("is up at the first sign of life", () => {
    expect(new Bench().at(5, alive(echo, 1)).states).toEqual([[5, "up"]]);
  });

  test("is down the moment its carrier or route is lost", () => {
    const bench = new Bench().at(5, alive(echo, 1)).at(100, link(false, "route"));
    expect(bench.states.at(-1)).toEqual([100, "down"]);
    expect(bench.verdict.evidence.get("link")?.source).toBe("route");
  });

  test("is suspect 250 ms after the asking began, and down when a whole burst to an echo responder is silent", () => {
    const bench = new Bench().at(5, alive(echo, 1)).at(350, silent(echo, 250));
    expect(bench.asked).toEqual([{ urgent: false }]);
    bench.at(599);
    expect(bench.state).toBe("up");
    bench.at(825, { kind: "burst_over", detail: "16 probes" });
    expect(bench.states.slice(1)).toEqual([
      [600, "suspect"],
      [825, "down"],
    ]);
  });

  test("stays up when any witness answers in time", () => {
    const bench = new Bench().at(5, alive(echo, 1)).at(350, silent(echo, 250)).at(420, alive(trunk, 400)).at(10_000);
    expect(bench.states).toEqual([[5, "up"]]);
  });

  test("an answer to what was sent before the doubt proves nothing", () => {
    const bench = new Bench()
      .at(5, alive(echo, 1))
      .at(300, { kind: "suspect", reason: "911" })
      .at(310, alive(echo, 290))
      .at(600);
    expect(bench.state).toBe("suspect");
  });

  test("a call in doubt makes everybody be asked urgently", () => {
    const bench = new Bench().at(5, alive(echo, 1)).at(300, { kind: "suspect", reason: "911" });
    expect(bench.asked).toEqual([{ urgent: true }]);
  });

  test("without an echo responder two silent witnesses are down within 5 s of the first evidence", () => {
    const bench = new Bench().at(5, alive(dns, 1), alive(trunk, 1)).at(6_000, silent(dns, 5_000));
    bench.at(7_300, silent(trunk, 6_300)).at(20_000);
    expect(bench.states.at(-1)).toEqual([9_500, "down"]);
  });

  test("a witness that was not asked, because its probes are used up, is not missed", () => {
    const bench = new Bench().at(5, alive(dns, 1), alive(trunk, 1)).at(6_000, silent(dns, 5_000)).at(60_000);
    expect(bench.states.at(-1)).toEqual([6_250, "suspect"]);
    // Nor does what it left unanswered before the doubt began count.
    bench.at(70_000, alive(dns, 69_900)).at(80_000, silent(dns, 79_000)).at(80_100, silent(trunk, 78_000)).at(99_000);
    expect(bench.state).toBe("suspect");
  });

  test("one silent trunk alone makes it suspect, not down", () => {
    const bench = new Bench().at(5, alive(trunk, 1)).at(6_000, silent(trunk, 5_000)).at(60_000);
    expect(bench.state).toBe("suspect");
    bench.at(61_000, alive(trunk, 60_900));
    expect(bench.state).toBe("up");
  });

  test("who never spoke cannot testify by silence", () => {
    const bench = new Bench().at(5, alive(trunk, 1)).at(300, silent(echo, 250)).at(60_000);
    expect(bench.states).toEqual([[5, "up"]]);
  });

  test("an echo responder that is silent while others answer is no longer believed, until it answers again", () => {
    const bench = new Bench().at(5, alive(echo, 1), alive(trunk, 1));
    for (let t = 1_000; t < 4_000; t += 1_000) bench.at(t, silent(echo, t - 100)).at(t + 50, alive(trunk, t + 10));
    bench.at(5_000, silent(echo, 4_900), { kind: "burst_over", detail: "" }).at(9_000);
    expect(bench.state).toBe("up");
    for (let n = 0; n < 20; n++) bench.at(10_000 + n, alive(echo, 10_000 + n));
    bench.at(11_000, silent(echo, 10_900)).at(11_500, { kind: "burst_over", detail: "" });
    expect(bench.state).toBe("down");
  });

  test("comes back only after 30 s of good signs", () => {
    const bench = new Bench().at(5, alive(echo, 1)).at(100, link(false)).at(1_000, link(true));
    for (let t = 1_250; t <= 32_000; t += 250) bench.at(t, alive(echo, t - 1));
    expect(bench.states.at(-1)).toEqual([31_250, "up"]);
  });

  test("is not taken back for a peer whose answer may be to a repetition sent after the outage", () => {
    const dead = () =>
      new Bench()
        .at(5, alive(echo, 1), alive(trunk, 1))
        .at(1_100, silent(echo, 1_000))
        .at(1_800, { kind: "burst_over", detail: "" });
    expect(dead().at(2_000, alive(echo, 1_200)).state).toBe("up");
    const bench = dead().at(2_000, alive(trunk, 1_200));
    expect(bench.state).toBe("down");
    for (let t = 2_250; t < 32_000; t += 250) bench.at(t, alive(echo, t - 20));
    expect(bench.state).toBe("down");
    expect(bench.at(32_000, alive(echo, 31_980)).state).toBe("up");
  });

  test("a lapse in the hold-down starts it anew", () => {
    const bench = new Bench().at(5, alive(echo, 1)).at(100, link(false)).at(1_000, link(true));
    for (let t = 1_250; t <= 20_000; t += 250) bench.at(t, alive(echo, t - 1));
    bench.at(20_350, silent(echo, 20_250)).at(20_800, { kind: "burst_over", detail: "" });
    for (let t = 21_000; t <= 60_000; t += 250) bench.at(t, alive(echo, t - 1));
    expect(bench.states.at(-1)).toEqual([51_000, "up"]);
  });

  test("a lapse that only one witness can tell of starts it anew too", () => {
    const bench = new Bench().at(5, alive(dns, 1)).at(100, link(false)).at(1_000, link(true));
    bench.at(2_000, alive(dns, 1_980));
    for (let t = 7_000; t <= 300_000; t += 5_000) bench.at(t, silent(dns, t - 1_000));
    bench.at(301_000, alive(dns, 300_980)).at(302_000, alive(dns, 301_980));
    expect(bench.state).toBe("down");
    for (let t = 306_000; t <= 331_000; t += 5_000) bench.at(t, alive(dns, t - 20));
    expect(bench.state).toBe("up");
  });

  test("that is down is asked again every minute, unless it has no link", () => {
    const bench = new Bench()
      .at(5, alive(echo, 1))
      .at(350, silent(echo, 250))
      .at(825, { kind: "burst_over", detail: "" });
    bench.asked = [];
    bench.at(181_000);
    expect(bench.asked).toHaveLength(3);
    bench.at(181_001, link(false)).at(400_000);
    expect(bench.asked).toHaveLength(3);
  });

  test("each flap doubles the hold-down, up to ten minutes", () => {
    const bench = new Bench().at(5, alive(echo, 1));
    const waits: number[] = [];
    let t = 1_000;
    for (let flap = 0; flap < 7; flap++) {
      bench.at(t, link(false)).at(t + 10, link(true));
      const from = t + 250;
      for (t = from; bench.state === "down"; t += 250) bench.at(t, alive(echo, t - 1));
      waits.push(Math.round((t - 250 - from) / 1_000));
    }
    expect(waits).toEqual([30, 60, 120, 240, 480, 600, 600]);
  });

  test("is unknown when nothing was heard for long", () => {
    const bench = new Bench().at(5, alive(trunk, 1)).at(119_000);
    expect(bench.state).toBe("up");
    bench.at(121_000);
    expect(bench.state).toBe("unknown");
  });

  test("is degraded by loss of 20 % and above, and again good only below 12 %", () => {
    const quality = (loss_percent: number) => ({ kind: "quality" as const, loss_percent, rtt_ms: 20 });
    const bench = new Bench().at(5, alive(echo, 1)).at(10, quality(19)).at(11, quality(20)).at(12, quality(13));
    expect(bench.state).toBe("degraded");
    bench.at(13, quality(11)).at(10_012, quality(11));
    expect(bench.state).toBe("degraded");
    bench.at(10_013, quality(11));
    expect(bench.states.map(([, state]) => state)).toEqual(["up", "degraded", "up"]);
  });

  test("stays degraded while it swings, and does not flicker", () => {
    const rtt = (rtt_ms: number) => ({ kind: "quality" as const, loss_percent: 0, rtt_ms });
    const bench = new Bench().at(5, alive(echo, 1));
    for (let t = 1_000; t < 600_000; t += 1_000) bench.at(t, alive(echo, t - 20), rtt(t % 4_000 < 2_000 ? 500 : 250));
    expect(bench.states.map(([, state]) => state)).toEqual(["up", "degraded"]);
  });

  test("that was down is not degraded by what was lost meanwhile", () => {
    const quality = { kind: "quality" as const, loss_percent: 90, rtt_ms: 20 };
    const bench = new Bench().at(5, alive(echo, 1)).at(100, link(false)).at(1_000, link(true), quality);
    for (let t = 1_250; t <= 32_000; t += 250) bench.at(t, alive(echo, t - 1));
    expect(bench.state).toBe("up");
  });

  test("is degraded by delay", () => {
    const bench = new Bench().at(5, alive(echo, 1)).at(10, { kind: "quality", loss_percent: 0, rtt_ms: 450 });
    expect(bench.state).toBe("degraded");
  });

  test("is degraded by dead media, alone or with loss, and good again when both are over", () => {
    const quality = (loss_percent: number, dead_media?: string) =>
      ({ kind: "quality", loss_percent, rtt_ms: 20, dead_media }) as const;
    const bench = new Bench().at(5, alive(echo, 1)).at(10, quality(0, "no sound came back in 2 calls"));
    expect(bench.state).toBe("degraded");
    expect(bench.verdict.evidence.get("media")).toMatchObject({
      verdict: "bad",
      detail: "no sound came back in 2 calls",
    });
    bench.at(11, quality(30, "no sound came back in 2 calls")).at(12, quality(30));
    expect(bench.state).toBe("degraded");
    bench.at(13, quality(0)).at(10_013, quality(0));
    expect(bench.states.map(([, state]) => state)).toEqual(["up", "degraded", "up"]);
  });

  test("with a new address is unknown again", () => {
    const bench = new Bench().at(5, alive(echo, 1)).at(10, { kind: "readdressed", detail: "" });
    expect(bench.state).toBe("unknown");
    expect(bench.at(20, alive(echo, 15)).state).toBe("up");
  });
});
