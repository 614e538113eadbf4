/** What the steps of the attempts machine are made of. */
import type { AttemptOutcome } from "../../base/events.ts";
import { go, type Transition } from "../../base/fsm.ts";
import { healthOf, type RouteFacts, responseWindow } from "./attempt-timing.ts";
import type { Attempt, AttemptPhase, AttemptsEffect, AttemptsState } from "./attempts-state.ts";

export type Step = Transition<AttemptsState, AttemptsEffect>;

/** How long the first pause between two rounds is; the second is twice as long. */
export const ROUND_PAUSE_MS = 1000;

export const isAlive = ({ phase }: Attempt): boolean =>
  phase !== "over" && phase !== "releasing" && phase !== "answered";

/** Runs `next` on what `step` left, keeping the effects of both. */
export function andThen(step: Step, next: (state: AttemptsState) => Step): Step {
  const after = next(step.state);
  return { state: after.state, effects: [...step.effects, ...after.effects] };
}

export function change(state: AttemptsState, attempt: Attempt, to: Partial<Attempt>): AttemptsState {
  return { ...state, attempts: state.attempts.map((each) => (each.id === attempt.id ? { ...each, ...to } : each)) };
}

export function record(attempt: Attempt, outcome: AttemptOutcome, status?: number): AttemptsEffect {
  return { type: "record", attempt: attempt.id, trunk: attempt.trunk, outcome, status, hedged: attempt.hedged };
}

export function factsOf(state: AttemptsState, trunk: string): RouteFacts | undefined {
  return state.routes.find((route) => route.trunk === trunk);
}

/** Starts the next route of this round: in the plan's order, those that are down last. */
export function advance(state: AttemptsState): Step {
  if (state.name !== "calling") return go(state);
  const left = state.routes.filter(({ trunk }) => !state.started.includes(trunk));
  const next = left.find((route) => healthOf(route) !== "down") ?? left[0];
  return next === undefined ? go(state) : begin(state, next, false);
}

export function begin(state: AttemptsState, route: RouteFacts, credentials: boolean): Step {
  const attempt: Attempt = {
    id: state.attempts.length + 1,
    trunk: route.trunk,
    phase: "trying",
    hedged: false,
    location: !state.without_location.includes(route.trunk),
    proofs: credentials ? 1 : 0,
  };
  const { window_ms, retransmit_at_ms } = responseWindow(route);
  const next: AttemptsState = {
    ...state,
    attempts: [...state.attempts, attempt],
    started: [...state.started.filter((trunk) => trunk !== route.trunk), route.trunk],
  };
  const effects: AttemptsEffect[] = [];
  if (route.scarce) effects.push({ type: "preempt", path: route.path });
  effects.push(
    {
      type: "start",
      attempt: attempt.id,
      trunk: route.trunk,
      location: attempt.location,
      credentials,
      retransmit_at_ms,
    },
    { type: "probe", attempt: attempt.id, trunk: route.trunk },
    record(attempt, "trying"),
    { type: "arm", timer: "no_response", attempt: attempt.id, after_ms: window_ms },
  );
  return go(next, ...effects);
}

const UNANSWERED: Readonly<Partial<Record<AttemptPhase, AttemptOutcome>>> = {
  trying: "no_response",
  proceeding: "trying",
  progressing: "trying",
  ringing: "ringing",
};

/** Goes on with this attempt and starts the next one beside it, once. */
export function hedge(state: AttemptsState, attempt: Attempt): Step {
  const outcome = UNANSWERED[attempt.phase];
  if (attempt.hedged || outcome === undefined) return go(state);
  const hedged: Attempt = { ...attempt, hedged: true };
  return andThen(go(change(state, attempt, { hedged: true }), record(hedged, outcome)), advance);
}

export function cancelAll(state: AttemptsState, list: readonly Attempt[]): Step {
  let next = state;
  const effects: AttemptsEffect[] = [];
  for (const attempt of list) {
    next = change(next, attempt, { phase: "releasing" });
    effects.push({ type: "disarm", attempt: attempt.id }, { type: "cancel", attempt: attempt.id });
  }
  return go(next, ...effects);
}

export function nextRound(state: AttemptsState): Step {
  return andThen(
    go({ ...state, name: "calling", round: state.round + 1, started: [] }, { type: "disarm", attempt: 0 }),
    advance,
  );
}
