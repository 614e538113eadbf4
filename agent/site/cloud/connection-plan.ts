import type { HealthState } from "../../base/events.ts";
import { go, type Machine, type Transition } from "../../base/fsm.ts";

/** One way to the NOC: a broker over a path. Listed in order of preference. */
export interface Candidate {
  readonly broker: string;
  readonly path: string;
}

export interface PlanState {
  readonly candidates: readonly Candidate[];
  /** Verdict on each path; a path that is not here is unknown. */
  readonly health: Readonly<Record<string, HealthState>>;
  readonly current: { readonly attempt: number; readonly candidate: number } | undefined;
  readonly pending: { readonly attempt: number; readonly candidate: number } | undefined;
  /** Consecutive failures of each candidate since it, or its path, last did well. */
  readonly failures: readonly number[];
  /** A retry timer runs: nothing is tried until it fires or a path changes. */
  readonly resting: boolean;
  readonly attempts: number;
}

export type PlanInput =
  | { readonly kind: "candidates"; readonly candidates: readonly Candidate[] }
  | { readonly kind: "health"; readonly health: Readonly<Record<string, HealthState>> }
  | { readonly kind: "connected"; readonly attempt: number }
  /** The attempt came to nothing, or the connection it made is lost. */
  | { readonly kind: "ended"; readonly attempt: number }
  | { readonly kind: "retry" };

export type PlanEffect =
  | { readonly kind: "connect"; readonly attempt: number; readonly candidate: Candidate }
  /** Give up this attempt or connection; nothing can be said over it any more, or it is not needed. */
  | { readonly kind: "drop"; readonly attempt: number }
  | { readonly kind: "rest"; readonly for_ms: number };

const FIRST_REST_MS = 500;
const LONGEST_REST_MS = 30_000;

export const IDLE: PlanState = {
  candidates: [],
  health: {},
  current: undefined,
  pending: undefined,
  failures: [],
  resting: false,
  attempts: 0,
};

const RANK: Readonly<Record<HealthState, number>> = { up: 0, degraded: 0, unknown: 1, suspect: 2, down: 3 };

/**
 * Which connection to the NOC there should be. It leaves a path as soon as the verdict on it turns suspect or down
 * and another is better (not waiting for a keep-alive), and comes home as soon as a preferred path is up: the new
 * connection is made first, and takes the session over from the old. There is never a second standing connection.
 * When nobody answers, candidates take turns, with rests that grow to 30 s; a path that comes up ends the rest.
 */
export const plan: Machine<PlanState, PlanInput, PlanEffect> = (state, input) => {
  switch (input.kind) {
    case "candidates": {
      const drops = [state.current, state.pending]
        .filter((held) => held !== undefined)
        .map((held): PlanEffect => ({ kind: "drop", attempt: held.attempt }));
      const fresh: PlanState = {
        ...IDLE,
        health: state.health,
        attempts: state.attempts,
        candidates: input.candidates,
        failures: input.candidates.map(() => 0),
      };
      return prepend(drops, act(fresh));
    }
    case "health": {
      const recovered = (path: string) => rankOf(input.health, path) === 0 && rankOf(state.health, path) > 0;
      const changed = state.candidates.some(({ path }) => rankOf(input.health, path) !== rankOf(state.health, path));
      const failures = state.failures.map((count, i) => (recovered(state.candidates[i]?.path ?? "") ? 0 : count));
      return act({ ...state, health: input.health, failures, resting: changed ? false : state.resting });
    }
    case "connected": {
      if (state.current?.attempt === input.attempt) return go(state);
      if (state.pending?.attempt !== input.attempt) return go(state, { kind: "drop", attempt: input.attempt });
      const { current: old, pending } = state;
      const failures = state.failures.map((count, i) => (i === pending.candidate ? 0 : count));
      const next = act({ ...state, current: pending, pending: undefined, failures, resting: false });
      return old === undefined ? next : prepend([{ kind: "drop", attempt: old.attempt }], next);
    }
    case "ended": {
      const ended = [state.pending, state.current].find((held) => held?.attempt === input.attempt);
      if (ended === undefined) return go(state);
      const failures = state.failures.map((count, i) => (i === ended.candidate ? count + 1 : count));
      return act({
        ...state,
        failures,
        pending: state.pending === ended ? undefined : state.pending,
        current: state.current === ended ? undefined : state.current,
      });
    }
    case "retry":
      return act({ ...state, resting: false }, true);
  }
};

function act(state: PlanState, rested = false): Transition<PlanState, PlanEffect> {
  const wanted = want(state);
  const { pending } = state;
  if (pending !== undefined) {
    if (wanted === pending.candidate || (wanted !== undefined && !better(state, wanted, pending.candidate))) {
      return go(state);
    }
    return prepend([{ kind: "drop", attempt: pending.attempt }], act({ ...state, pending: undefined }));
  }
  if (wanted === undefined || state.resting) return go(state);
  const failed = state.failures[wanted] ?? 0;
  if (failed > 0 && !rested) {
    const rounds = Math.floor(state.failures.reduce((sum, count) => sum + count, 0) / state.candidates.length);
    const for_ms = Math.min(LONGEST_REST_MS, FIRST_REST_MS * 2 ** Math.min(rounds, 10));
    return go({ ...state, resting: true }, { kind: "rest", for_ms });
  }
  const candidate = state.candidates[wanted];
  if (candidate === undefined) return go(state);
  const attempt = state.attempts + 1;
  return go(
    { ...state, attempts: attempt, pending: { attempt, candidate: wanted } },
    { kind: "connect", attempt, candidate },
  );
}

/** The candidate that should be tried now; undefined when things are as they should be. */
function want(state: PlanState): number | undefined {
  const all = state.candidates.map((_, i) => i);
  const { current } = state;
  if (current === undefined) return first(state, all);
  const rank = rankAt(state, current.candidate);
  const improving = all.filter(
    (i) =>
      i !== current.candidate &&
      (rankAt(state, i) < rank ? rank >= 2 : rankAt(state, i) === 0 && i < current.candidate),
  );
  return first(state, improving);
}

/** Bad verdicts and failures both push a candidate back, so that one path's fine verdict cannot starve the other. */
function first(state: PlanState, among: readonly number[]): number | undefined {
  const cost = (i: number) => rankAt(state, i) + 2 * (state.failures[i] ?? 0);
  return among.reduce<number | undefined>(
    (best, i) => (best === undefined || cost(i) < cost(best) ? i : best),
    undefined,
  );
}

/** An attempt under way is given up for another only when its path's verdict is worse. */
function better(state: PlanState, wanted: number, pending: number): boolean {
  return rankAt(state, wanted) < rankAt(state, pending) && rankAt(state, pending) >= 2;
}

function rankAt(state: PlanState, candidate: number): number {
  return rankOf(state.health, state.candidates[candidate]?.path ?? "");
}

function rankOf(health: PlanState["health"], path: string): number {
  return RANK[health[path] ?? "unknown"];
}

function prepend(
  effects: readonly PlanEffect[],
  { state, effects: after }: Transition<PlanState, PlanEffect>,
): Transition<PlanState, PlanEffect> {
  return { state, effects: [...effects, ...after] };
}
