import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { HealthState } from "../../base/events.ts";
import { IDLE, type PlanEffect, type PlanInput, type PlanState, plan } from "./connection-plan.ts";

const WAN_LTE = [
  { broker: "noc", path: "wan" },
  { broker: "noc", path: "lte" },
];

/** Feeds inputs one by one; answers the last state and all effects. */
function run(...inputs: PlanInput[]): { state: PlanState; effects: PlanEffect[] } {
  const effects: PlanEffect[] = [];
  let state = IDLE;
  for (const input of inputs) {
    const next = plan(state, input);
    state = next.state;
    effects.push(...next.effects);
  }
  return { state, effects };
}

const candidates: PlanInput = { kind: "candidates", candidates: WAN_LTE };
const health = (wan: HealthState, lte: HealthState = "up"): PlanInput => ({ kind: "health", health: { wan, lte } });
const connected = (attempt: number): PlanInput => ({ kind: "connected", attempt });
const ended = (attempt: number): PlanInput => ({ kind: "ended", attempt });
const connect = (attempt: number, path: string): PlanEffect => ({
  kind: "connect",
  attempt,
  candidate: { broker: "noc", path },
});

describe("connecting", () => {
  test("tries the preferred path first while nothing is known", () => {
    expect(run(candidates).effects).toEqual([connect(1, "wan")]);
  });

  test("starts over LTE when the WAN is known to be down", () => {
    expect(run(health("down"), candidates).effects).toEqual([connect(1, "lte")]);
  });

  test("tries the other path at once when the first does not answer", () => {
    expect(run(candidates, ended(1)).effects).toEqual([connect(1, "wan"), connect(2, "lte")]);
  });

  test("rests longer and longer when nobody answers, and tries every path, also the one said to be down", () => {
    const inputs: PlanInput[] = [health("down"), candidates];
    for (let attempt = 1; attempt <= 20; attempt++) inputs.push(ended(attempt), { kind: "retry" });
    const { effects } = run(...inputs);
    const rests = effects.filter((effect) => effect.kind === "rest").map((effect) => effect.for_ms);
    expect(rests[0]).toBe(500);
    expect(rests).toEqual([...rests].sort((a, b) => a - b));
    expect(rests.at(-1)).toBe(30_000);
    const paths = effects.filter((effect) => effect.kind === "connect").map((effect) => effect.candidate.path);
    expect(paths).toContain("wan");
    expect(paths).toContain("lte");
  });

  test("a path that comes up ends the rest at once", () => {
    const { effects } = run(health("down", "down"), candidates, ended(1), ended(2), health("up", "down"));
    expect(effects.slice(-2)).toEqual([{ kind: "rest", for_ms: 1000 }, connect(3, "wan")]);
  });

  test("an attempt over a path that turns suspect is given up for a path that is up", () => {
    const { effects } = run(health("up"), candidates, health("suspect"));
    expect(effects).toEqual([connect(1, "wan"), { kind: "drop", attempt: 1 }, connect(2, "lte")]);
  });
});

describe("moving", () => {
  test("goes to LTE when the WAN turns suspect, new connection first, and then drops the old", () => {
    const { effects, state } = run(health("up"), candidates, connected(1), health("suspect"), connected(2));
    expect(effects).toEqual([connect(1, "wan"), connect(2, "lte"), { kind: "drop", attempt: 1 }]);
    expect(state.current).toEqual({ attempt: 2, candidate: 1 });
  });

  test("stays where it is when the WAN is well again before LTE has answered", () => {
    const { effects, state } = run(health("up"), candidates, connected(1), health("suspect"), health("up"));
    expect(effects.at(-1)).toEqual({ kind: "drop", attempt: 2 });
    expect(state.current).toEqual({ attempt: 1, candidate: 0 });
  });

  test("comes home when the WAN is up again", () => {
    const { effects } = run(health("down"), candidates, connected(1), health("up"), connected(2));
    expect(effects.slice(-2)).toEqual([connect(2, "wan"), { kind: "drop", attempt: 1 }]);
  });

  test("keeps a connection that works while its path's verdict is only unknown", () => {
    const { effects } = run(candidates, connected(1), health("unknown", "up"));
    expect(effects).toEqual([connect(1, "wan")]);
  });

  test("keeps a connection over a path said to be down when no other is better", () => {
    const { effects } = run(candidates, connected(1), health("down", "down"));
    expect(effects).toEqual([connect(1, "wan")]);
  });

  test("goes to the other path when the connection is lost, whatever the verdicts", () => {
    const { effects } = run(health("up"), candidates, connected(1), ended(1));
    expect(effects.at(-1)).toEqual(connect(2, "lte"));
  });

  test("a late answer of an attempt that was given up is dropped", () => {
    const { effects } = run(health("up"), candidates, health("down"), connected(1));
    expect(effects.at(-1)).toEqual({ kind: "drop", attempt: 1 });
  });

  test("new candidates end what was held", () => {
    const { effects } = run(candidates, connected(1), { kind: "candidates", candidates: [] });
    expect(effects.at(-1)).toEqual({ kind: "drop", attempt: 1 });
  });
});

test("whatever happens, at most one connection stands, one is tried, and something is always under way", () => {
  const verdict = fc.constantFrom<HealthState>("up", "degraded", "suspect", "down", "unknown");
  const step = fc.oneof(
    fc.record({ kind: fc.constant("health" as const), health: fc.record({ wan: verdict, lte: verdict }) }),
    fc.record({ kind: fc.constant("connected" as const), back: fc.nat(2) }),
    fc.record({ kind: fc.constant("ended" as const), back: fc.nat(2) }),
    fc.record({ kind: fc.constant("retry" as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let { state } = plan(IDLE, candidates);
      const open = new Set([1]);
      for (const step of steps) {
        const attempt = state.attempts - ("back" in step ? step.back : 0);
        if (step.kind === "ended") open.delete(attempt);
        const next = plan(state, step.kind === "health" || step.kind === "retry" ? step : { kind: step.kind, attempt });
        for (const effect of next.effects) {
          if (effect.kind === "connect") open.add(effect.attempt);
          if (effect.kind === "drop") open.delete(effect.attempt);
        }
        state = next.state;
        const held = [state.current, state.pending].filter((item) => item !== undefined);
        expect(held.length).toBeLessThanOrEqual(2);
        expect(held.length > 0 || state.resting).toBe(true);
        for (const { attempt: holding } of held) expect(open.has(holding) || step.kind === "connected").toBe(true);
      }
    }),
  );
});
