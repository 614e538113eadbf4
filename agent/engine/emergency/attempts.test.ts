import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type RouteFacts, responseWindow, ringDeadline } from "./attempt-timing.ts";
import { attempts } from "./attempts.ts";
import { PATH_LOST_MS } from "./attempts-health.ts";
import {
  type AttemptsEffect,
  type AttemptsInput,
  type AttemptsState,
  attemptsOf,
  type Challenged,
  finished,
  ROUNDS,
} from "./attempts-state.ts";

const route = (trunk: string, change: Partial<RouteFacts> = {}): RouteFacts => ({
  trunk,
  path: trunk,
  scarce: false,
  path_state: "up",
  trunk_state: "up",
  reachable: true,
  reliable: false,
  rtt_ms: 10,
  first_response_p99_ms: undefined,
  ring_deadline_ms: 10_000,
  ...change,
});

/** Runs inputs one after another and keeps every effect. */
class Run {
  state: AttemptsState;
  effects: AttemptsEffect[] = [];
  /** Effects of the last input only. */
  last: readonly AttemptsEffect[] = [];

  constructor(...routes: RouteFacts[]) {
    this.state = attemptsOf(routes);
    this.feed({ type: "start" });
  }
  feed(...inputs: AttemptsInput[]): this {
    for (const input of inputs) {
      const step = attempts(this.state, input);
      this.state = step.state;
      this.last = step.effects;
      this.effects.push(...step.effects);
    }
    return this;
  }
  ring(attempt: number, status = 180, early_media = false): this {
    return this.feed({ type: "provisional", attempt, status, early_media });
  }
  refuse(attempt: number, status: number, challenge?: Challenged): this {
    return this.feed({ type: "refusal", attempt, status, challenge });
  }
  timer(timer: Extract<AttemptsInput, { type: "timer" }>["timer"], attempt = 0): this {
    return this.feed({ type: "timer", timer, attempt });
  }
  facts(...routes: RouteFacts[]): this {
    return this.feed({ type: "facts", routes });
  }
  get started(): string[] {
    return this.effects.flatMap((effect) => (effect.type === "start" ? [effect.trunk] : []));
  }
  kinds(list = this.last): string[] {
    return list.map(({ type }) => type);
  }
}

describe("no response at all", () => {
  test("the next attempt starts when the window closes, and the silent one goes on", () => {
    const run = new Run(route("wan"), route("lte"));
    expect(run.started).toEqual(["wan"]);
    run.timer("no_response", 1);
    expect(run.started).toEqual(["wan", "lte"]);
    expect(run.kinds()).not.toContain("cancel");
    run.feed({ type: "answer", attempt: 1, fork: "a" });
    expect(run.kinds()).toContain("answer_caller");
  });

  test.each([
    ["UDP until learned: RTT + 300 ms", { rtt_ms: 20 }, 320],
    ["UDP, RTT not known", { rtt_ms: undefined }, 300],
    ["UDP, learned fast: 250 ms", { first_response_p99_ms: 30 }, 250],
    ["UDP, learned slow: p99 + 100 ms", { first_response_p99_ms: 400 }, 500],
    ["TCP: RTT + 500 ms", { reliable: true, rtt_ms: 80 }, 580],
    ["half when the path is suspect", { rtt_ms: 20, path_state: "suspect" as const }, 160],
    ["sooner when it is degraded", { rtt_ms: 20, path_state: "degraded" as const }, 240],
    ["half when the trunk is suspect", { reliable: true, rtt_ms: 0, trunk_state: "suspect" as const }, 250],
  ])("%s", (_, change, window_ms) => {
    const run = new Run(route("wan", change), route("lte"));
    expect(run.effects).toContainEqual({ type: "arm", timer: "no_response", attempt: 1, after_ms: window_ms });
  });

  test("over UDP five transmissions leave within the window, none over TCP", () => {
    for (const rtt_ms of [0, 20, 80, 300, 600]) {
      for (const path_state of ["up", "degraded", "suspect"] as const) {
        for (const first_response_p99_ms of [undefined, 20, 150, 2000]) {
          const { window_ms, retransmit_at_ms } = responseWindow(
            route("x", { rtt_ms, path_state, first_response_p99_ms }),
          );
          expect(retransmit_at_ms).toHaveLength(4);
          expect([...retransmit_at_ms].sort((a, b) => a - b)).toEqual(retransmit_at_ms);
          expect(retransmit_at_ms[0]).toBeGreaterThan(0);
          expect(retransmit_at_ms[3]).toBeLessThan(window_ms);
        }
      }
    }
    expect(responseWindow(route("x", { reliable: true })).retransmit_at_ms).toEqual([]);
  });

  test("0 of 500 calls is hedged wrongly at 5 % loss each way, over 1000 such runs at most 10", () => {
    // xorshift: the same every time.
    let seed = 88_172_645_463_325n;
    const random = () => {
      seed ^= (seed << 13n) & 0xffff_ffff_ffff_ffffn;
      seed ^= seed >> 7n;
      seed ^= (seed << 17n) & 0xffff_ffff_ffff_ffffn;
      return Number(seed % 1_000_003n) / 1_000_003;
    };
    const rtt_ms = 20;
    const { window_ms, retransmit_at_ms } = responseWindow(route("x", { rtt_ms }));
    let hedged = 0;
    for (let call = 0; call < 500_000; call++) {
      const answered = [0, ...retransmit_at_ms].some(
        (at) => at + rtt_ms <= window_ms && random() >= 0.05 && random() >= 0.05,
      );
      if (!answered) hedged++;
    }
    expect(hedged).toBeLessThanOrEqual(10);
  });

  test("the attempt sets off a burst of probes", () => {
    expect(new Run(route("wan")).effects).toContainEqual({ type: "probe", attempt: 1, trunk: "wan" });
  });

  test("a send error starts the next at once", () => {
    const run = new Run(route("wan"), route("lte")).feed({ type: "send_error", attempt: 1 });
    expect(run.started).toEqual(["wan", "lte"]);
  });

  test("an attempt that was hedged and then fails starts nothing more while another lives", () => {
    const run = new Run(route("a"), route("b"), route("c")).timer("no_response", 1).refuse(1, 500);
    expect(run.started).toEqual(["a", "b"]);
    run.refuse(2, 500);
    expect(run.started).toEqual(["a", "b", "c"]);
  });
});

describe("after a 100", () => {
  test("the ring deadline of the carrier profile, then the next beside it", () => {
    const run = new Run(route("wan", { ring_deadline_ms: 7000 }), route("lte")).ring(1, 100);
    expect(run.last).toContainEqual({ type: "arm", timer: "ring", attempt: 1, after_ms: 7000 });
    // The window that was open is over.
    expect(run.timer("no_response", 1).started).toEqual(["wan"]);
    expect(run.timer("ring", 1).started).toEqual(["wan", "lte"]);
    expect(ringDeadline(route("x", { path_state: "suspect" }))).toBe(5000);
  });

  test("180 is progress: no deadline any more", () => {
    const run = new Run(route("wan"), route("lte")).ring(1, 100).ring(1);
    expect(run.last).toContainEqual({ type: "disarm", attempt: 1 });
    expect(run.timer("ring", 1).started).toEqual(["wan"]);
  });

  test("183 is believed for another deadline, and as long as sound comes", () => {
    const run = new Run(route("wan"), route("lte")).ring(1, 183, true);
    expect(run.last).toContainEqual({ type: "arm", timer: "progress", attempt: 1, after_ms: 10_000 });
    run.timer("progress", 1);
    expect(run.last).toEqual([{ type: "check_media", attempt: 1 }]);
    expect(run.feed({ type: "media", attempt: 1, flowing: true }).started).toEqual(["wan"]);
    expect(run.feed({ type: "media", attempt: 1, flowing: false }).started).toEqual(["wan", "lte"]);
  });

  test("the caller is told ringing once, and hears one attempt's early media at a time", () => {
    const run = new Run(route("wan"), route("lte")).ring(1).timer("no_response", 1);
    run
      .facts(route("wan", { path_state: "down" }))
      .ring(2)
      .ring(2, 183, true)
      .ring(1, 183, true);
    expect(run.kinds(run.effects).filter((type) => type === "ring_caller")).toHaveLength(1);
    expect(run.effects.filter(({ type }) => type === "early_media")).toEqual([{ type: "early_media", attempt: 2 }]);
    run.refuse(2, 503).ring(1, 183, true);
    expect(run.last).toContainEqual({ type: "early_media", attempt: 1 });
  });
});

describe("when a verdict turns suspect or down", () => {
  test.each(["trying", "proceeding", "ringing"])("an attempt that is %s is hedged at once", (phase) => {
    const run = new Run(route("wan"), route("lte"), route("third"));
    if (phase === "proceeding") run.ring(1, 100);
    if (phase === "ringing") run.ring(1);
    run.facts(route("wan", { path_state: "suspect" }));
    expect(run.started).toEqual(["wan", "lte"]);
    // Worse news of the same path starts nothing more.
    expect(run.facts(route("wan", { path_state: "down" })).started).toEqual(["wan", "lte"]);
  });

  test("a trunk that turns bad on a good path counts alike", () => {
    const run = new Run(route("wan"), route("lte")).facts(route("wan", { trunk_state: "down" }));
    expect(run.started).toEqual(["wan", "lte"]);
  });

  test("an answered one is looked at within 5 s: with sound nothing is said, without the caller is told", () => {
    const run = new Run(route("wan"), route("lte")).feed({ type: "answer", attempt: 1, fork: "a" });
    run.facts(route("wan", { path_state: "down" }));
    expect(run.last).toEqual([{ type: "arm", timer: "path_lost", attempt: 0, after_ms: PATH_LOST_MS }]);
    run.timer("path_lost").feed({ type: "media", attempt: 1, flowing: true });
    expect(run.kinds(run.effects)).not.toContain("announce_dial_again");
    run.timer("path_lost").feed({ type: "media", attempt: 1, flowing: false });
    expect(run.last).toContainEqual({ type: "announce_dial_again", trunk: "wan" });
    expect(run.last).toContainEqual(expect.objectContaining({ type: "record", outcome: "path_lost" }));
    expect(run.state.name).toBe("answered");
    run.facts(route("wan"));
    expect(run.timer("path_lost").last).toEqual([]);
  });

  test("a route that comes back while all is silent is tried afresh", () => {
    const run = new Run(route("wan", { path_state: "down" })).timer("no_response", 1).facts(route("wan"));
    expect(run.started).toEqual(["wan", "wan"]);
    expect(run.kinds()).toContain("cancel");
  });
});

describe("a final response other than 2xx", () => {
  test.each([486, 603, 600, 500, 503, 404, 302])("%i advances the plan", (status) => {
    expect(new Run(route("wan"), route("lte")).refuse(1, status).started).toEqual(["wan", "lte"]);
  });

  test("424 is tried again without location, once", () => {
    const run = new Run(route("wan"), route("lte")).refuse(1, 424);
    expect(run.last).toContainEqual(expect.objectContaining({ type: "resend", attempt: 1, location: false }));
    expect(run.started).toEqual(["wan"]);
    expect(run.refuse(1, 424).started).toEqual(["wan", "lte"]);
  });

  test("415 and the like advance; in the next round that route gets no location", () => {
    const run = new Run(route("wan")).refuse(1, 415).timer("round");
    expect(run.effects.filter(({ type }) => type === "start")).toMatchObject([{ location: true }, { location: false }]);
  });

  test("a challenge that the box can answer is answered on the same attempt, once", () => {
    const run = new Run(route("wan"), route("lte")).refuse(1, 407, "box");
    expect(run.last).toContainEqual(expect.objectContaining({ type: "resend", attempt: 1, credentials: true }));
    expect(run.refuse(1, 407, "box").started).toEqual(["wan", "lte"]);
  });

  test("a nonce that went stale is answered anew, but not for ever", () => {
    const run = new Run(route("wan"), route("lte"))
      .refuse(1, 401, "box")
      .refuse(1, 401, "stale")
      .refuse(1, 401, "stale");
    expect(run.started).toEqual(["wan"]);
    expect(run.refuse(1, 401, "stale").started).toEqual(["wan", "lte"]);
  });

  test("a challenge for the caller is relayed only when no other attempt lives; the call survives it", () => {
    const run = new Run(route("pbx"), route("lte")).refuse(1, 407, "caller");
    expect(run.started).toEqual(["pbx", "lte"]);
    expect(run.kinds(run.effects)).not.toContain("challenge_caller");
    run.refuse(2, 503);
    expect(run.last).toContainEqual({ type: "challenge_caller", attempt: 1 });
    run.feed({ type: "credentials" });
    expect(run.last).toContainEqual(expect.objectContaining({ type: "start", trunk: "pbx", credentials: true }));
    run.refuse(3, 403);
    expect(run.started).toEqual(["pbx", "lte", "pbx", "lte"]);
  });

  test("a challenged caller who does not come back ends it", () => {
    const run = new Run(route("pbx")).refuse(1, 407, "caller").timer("challenge");
    expect(run.state.name).toBe("ended");
    expect(finished(run.state)).toBe(true);
  });

  test("every route is tried in every round before the caller hears an error", () => {
    const run = new Run(route("wan"), route("lte"));
    for (let round = 1; round <= ROUNDS; round++) {
      run.refuse(2 * round - 1, 503).refuse(2 * round, 503);
      if (round < ROUNDS) {
        expect(run.kinds(run.effects)).not.toContain("refuse_caller");
        run.timer("round");
      }
    }
    expect(run.started).toEqual(["wan", "lte", "wan", "lte", "wan", "lte"]);
    expect(run.last).toContainEqual(expect.objectContaining({ type: "refuse_caller", status: 480 }));
  });

  test("a path that comes back ends the pause between rounds", () => {
    const run = new Run(route("wan", { path_state: "down" })).feed({ type: "send_error", attempt: 1 });
    expect(run.state.name).toBe("waiting");
    expect(run.facts(route("wan")).started).toEqual(["wan", "wan"]);
  });
});

describe("an engine that has just started", () => {
  test("tries a route as soon as there is a way to it, and does not wait for the next round", () => {
    const run = new Run(route("wan", { reachable: false })).feed({ type: "send_error", attempt: 1 });
    expect(run.state.name).toBe("waiting");
    expect(run.facts(route("wan")).started).toEqual(["wan", "wan"]);
    // What else becomes known of it starts nothing more.
    expect(run.facts(route("wan", { rtt_ms: 5 })).started).toEqual(["wan", "wan"]);
  });
});

describe("one leg is bridged to the caller", () => {
  test("others are cancelled, and recorded when they end", () => {
    const run = new Run(route("wan"), route("lte")).timer("no_response", 1);
    run.feed({ type: "answer", attempt: 2, fork: "b" });
    expect(run.last).toContainEqual({ type: "cancel", attempt: 1 });
    run.refuse(1, 487);
    expect(run.last).toContainEqual(expect.objectContaining({ type: "record", attempt: 1, outcome: "released" }));
  });

  test("a late answer is released and recorded", () => {
    const run = new Run(route("wan"), route("lte")).timer("no_response", 1);
    run.feed({ type: "answer", attempt: 2, fork: "b" }, { type: "answer", attempt: 1, fork: "a" });
    expect(run.last).toContainEqual({ type: "release", attempt: 1, fork: "a" });
    expect(run.last).toContainEqual(expect.objectContaining({ outcome: "late_answer_released" }));
  });

  test("another fork of the bridged attempt is released, a repeated answer is not", () => {
    const run = new Run(route("wan")).feed({ type: "answer", attempt: 1, fork: "a" });
    expect(run.feed({ type: "answer", attempt: 1, fork: "a" }).last).toEqual([]);
    run.feed({ type: "answer", attempt: 1, fork: "b" });
    expect(run.last).toContainEqual({ type: "release", attempt: 1, fork: "b" });
    expect(run.state.bridged).toEqual({ attempt: 1, fork: "a" });
  });

  test("an answer after the caller gave up is released", () => {
    const run = new Run(route("wan")).feed({ type: "caller_cancel" }, { type: "answer", attempt: 1, fork: "a" });
    expect(run.last).toContainEqual({ type: "release", attempt: 1, fork: "a" });
    expect(finished(run.state)).toBe(true);
  });
});

describe("scarce and down paths", () => {
  test("a down path is skipped, and tried last when nothing else answers", () => {
    const run = new Run(route("wan", { path_state: "down" }), route("lte"));
    expect(run.started).toEqual(["lte"]);
    expect(run.timer("no_response", 1).started).toEqual(["lte", "wan"]);
  });

  test("911 pre-empts other calls on a scarce path, before its INVITE", () => {
    const run = new Run(route("lte", { scarce: true, path: "lte" }));
    expect(run.kinds(run.effects).slice(0, 2)).toEqual(["preempt", "start"]);
  });
});

describe("the end", () => {
  test("only the caller or the PSAP ends an answered call", () => {
    const answered = () => new Run(route("wan")).feed({ type: "answer", attempt: 1, fork: "a" });
    const byCaller = answered().feed({ type: "caller_bye" });
    expect(byCaller.last).toContainEqual({ type: "hang_up_callee", attempt: 1, fork: "a" });
    expect(byCaller.last).toContainEqual(expect.objectContaining({ type: "ended", by: "caller" }));
    const byPsap = answered().feed({ type: "callee_bye", attempt: 1, fork: "a" });
    expect(byPsap.last).toContainEqual({ type: "hang_up_caller" });
    expect(byPsap.last).toContainEqual(expect.objectContaining({ type: "ended", by: "psap" }));
  });

  test("no route at all is said at once", () => {
    const run = new Run();
    expect(run.last).toContainEqual(expect.objectContaining({ type: "refuse_caller", status: 503 }));
    expect(finished(run.state)).toBe(true);
  });
});

describe("whatever happens in whatever order", () => {
  const health = fc.constantFrom("up", "degraded", "suspect", "down", "unknown") as fc.Arbitrary<
    RouteFacts["path_state"]
  >;
  const attempt = fc.integer({ min: 1, max: 8 });
  const fork = fc.constantFrom("a", "b");
  const input: fc.Arbitrary<AttemptsInput> = fc.oneof(
    fc.record({
      type: fc.constant("provisional" as const),
      attempt,
      status: fc.constantFrom(100, 180, 181, 182, 183, 199),
      early_media: fc.boolean(),
    }),
    fc.record({ type: fc.constant("answer" as const), attempt, fork }),
    fc.record({
      type: fc.constant("refusal" as const),
      attempt,
      status: fc.constantFrom(302, 401, 407, 415, 424, 486, 487, 503, 603),
      challenge: fc.constantFrom("box" as const, "stale" as const, "caller" as const, undefined),
    }),
    fc.record({ type: fc.constant("send_error" as const), attempt }),
    fc.record({ type: fc.constant("timeout" as const), attempt }),
    fc.record({
      type: fc.constant("timer" as const),
      timer: fc.constantFrom("no_response", "ring", "progress", "round", "path_lost", "challenge"),
      attempt,
    }),
    fc.record({ type: fc.constant("media" as const), attempt, flowing: fc.boolean() }),
    fc
      .record({
        trunk: fc.constantFrom("t0", "t1", "t2"),
        path_state: health,
        trunk_state: health,
        reachable: fc.boolean(),
      })
      .map(({ trunk, ...states }): AttemptsInput => ({ type: "facts", routes: [route(trunk, states)] })),
    fc.constant<AttemptsInput>({ type: "credentials" }),
    fc.constant<AttemptsInput>({ type: "caller_cancel" }),
    fc.constant<AttemptsInput>({ type: "caller_bye" }),
    fc.record({ type: fc.constant("callee_bye" as const), attempt, fork }),
  );

  /** What the machine promises, checked over the effects of one input. */
  function check(before: AttemptsState, given: AttemptsInput, run: Run): void {
    const alive = run.state.attempts.filter(
      ({ phase }) => phase !== "over" && phase !== "releasing" && phase !== "answered",
    );
    for (const effect of run.last) {
      if (effect.type === "refuse_caller" && effect.status !== 487) expect(alive).toEqual([]);
      if (effect.type === "challenge_caller") expect(alive).toEqual([]);
      if (effect.type === "start" || effect.type === "resend") expect(before.name).not.toBe("ended");
    }
    if (given.type === "answer" && before.attempts.some(({ id }) => id === given.attempt)) {
      const known = before.bridged?.attempt === given.attempt && before.bridged.fork === given.fork;
      const settled = run.kinds().filter((type) => type === "answer_caller" || type === "release");
      expect(settled).toHaveLength(known ? 0 : 1);
    }
    if (before.name === "answered" && run.state.name === "ended") {
      expect(["caller_bye", "callee_bye"]).toContain(given.type);
    }
    if (run.state.name === "answered" || run.state.name === "ended") expect(alive).toEqual([]);
    // Nothing is repeated for a call that is over, and an attempt that was given up is never bridged.
    if (before.name !== "ended" && run.state.name === "ended") {
      const releasing = run.state.attempts.flatMap(({ id, phase }) => (phase === "releasing" ? [id] : []));
      expect(run.last.flatMap((effect) => (effect.type === "quiet" ? [effect.attempt] : []))).toEqual(releasing);
    }
    for (const effect of run.last) {
      if (effect.type !== "answer_caller") continue;
      expect(before.attempts.find(({ id }) => id === effect.attempt)?.phase).not.toBe("over");
    }
  }

  test("never two bridged legs; every 2xx is bridged or released; no error while an attempt lives; it terminates", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ path_state: health, trunk_state: health, scarce: fc.boolean(), reachable: fc.boolean() }),
          { maxLength: 3 },
        ),
        fc.array(input, { maxLength: 60 }),
        (routes, inputs) => {
          const run = new Run(...routes.map((facts, i) => route(`t${i}`, facts)));
          for (const given of inputs) {
            const before = run.state;
            run.feed(given);
            check(before, given, run);
          }
          // Then every transaction comes to its end and every timer fires.
          for (let step = 0; step < 200 && !finished(run.state) && run.state.name !== "answered"; step++) {
            const open = run.state.attempts.find(({ phase }) => phase !== "over" && phase !== "answered");
            const before = run.state;
            const given: AttemptsInput =
              open !== undefined
                ? { type: "timeout", attempt: open.id }
                : { type: "timer", timer: run.state.name === "challenged" ? "challenge" : "round", attempt: 0 };
            run.feed(given);
            check(before, given, run);
          }
          for (const { id, phase } of run.state.attempts) {
            if (phase === "releasing") run.feed({ type: "timeout", attempt: id });
          }
          if (run.state.name === "answered") run.feed({ type: "caller_bye" });
          expect(finished(run.state)).toBe(true);
          expect(run.effects.filter(({ type }) => type === "answer_caller").length).toBeLessThanOrEqual(1);
          expect(run.effects.filter(({ type }) => type === "ended")).toHaveLength(1);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("an attempt that has not failed is never given up while nobody has answered and the caller waits", () => {
    fc.assert(
      fc.property(fc.array(input, { maxLength: 60 }), (inputs) => {
        const run = new Run(route("t0"), route("t1"), route("t2"));
        for (const given of inputs) {
          const before = run.state;
          run.feed(given);
          const cancelled = run.last.flatMap((effect) => (effect.type === "cancel" ? [effect.attempt] : []));
          const mayCancel = given.type === "answer" || given.type === "caller_cancel";
          // Only a fresh attempt on the same trunk takes an old, silent one's place.
          if (!mayCancel) {
            for (const id of cancelled) {
              const trunk = before.attempts.find((each) => each.id === id)?.trunk;
              expect(run.last).toContainEqual(expect.objectContaining({ type: "start", trunk }));
            }
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
