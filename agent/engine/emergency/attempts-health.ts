/** What new verdicts on paths and trunks do to the attempts of an emergency call, and the sound of an answered one. */
import { go } from "../../base/fsm.ts";
import { healthOf, type RouteFacts, ringDeadline } from "./attempt-timing.ts";
import type { Attempt, AttemptsEffect, AttemptsState } from "./attempts-state.ts";
import {
  andThen,
  begin,
  cancelAll,
  factsOf,
  hedge,
  isAlive,
  nextRound,
  ROUND_PAUSE_MS,
  record,
  type Step,
} from "./attempts-steps.ts";

/** From a bad verdict on an answered call's path to the check of its sound; the caller is told within 5 s. */
export const PATH_LOST_MS = 4000;
const ANNOUNCE_AGAIN_MS = 10_000;

const isBad = (facts: RouteFacts) => healthOf(facts) === "suspect" || healthOf(facts) === "down";
const usable = (facts: RouteFacts) => facts.reachable && !isBad(facts);
const RANK = { good: 0, degraded: 1, suspect: 2, down: 3 } as const;

export function newFacts(state: AttemptsState, routes: readonly RouteFacts[]): Step {
  let step: Step = go({
    ...state,
    routes: state.routes.map((old) => routes.find(({ trunk }) => trunk === old.trunk) ?? old),
  });
  for (const now of routes) {
    const old = factsOf(state, now.trunk);
    if (old === undefined) continue;
    const worse = isBad(now) && RANK[healthOf(now)] > RANK[healthOf(old)];
    const better = usable(now) && !usable(old);
    if (worse) step = andThen(step, (next) => hedgeAll(next, now.trunk));
    if (better) step = andThen(step, (next) => recovered(next, now));
    step = andThen(step, (next) => watchPath(next, now));
  }
  return step;
}

/** A bad verdict: every unanswered attempt there is hedged at once. */
function hedgeAll(state: AttemptsState, trunk: string): Step {
  let step: Step = go(state);
  for (const { id } of state.attempts.filter((each) => each.trunk === trunk && isAlive(each))) {
    step = andThen(step, (next) => {
      const attempt = next.attempts.find((each) => each.id === id);
      return attempt === undefined ? go(next) : hedge(next, attempt);
    });
  }
  return step;
}

/** A route came back while nobody has answered: it is tried afresh, rather than wait for an old INVITE's next repetition. */
function recovered(state: AttemptsState, route: RouteFacts): Step {
  if (state.name === "waiting") return nextRound(state);
  if (state.name !== "calling" || !state.started.includes(route.trunk)) return go(state);
  const alive = state.attempts.filter(isAlive);
  const hopeful = alive.some((each) => !each.hedged || each.phase !== "trying");
  if (hopeful) return go(state);
  const old = alive.filter((each) => each.trunk === route.trunk);
  return andThen(cancelAll(state, old), (next) => begin(next, route, false));
}

/** An answered call on a path that went bad: its sound is looked at, and the caller told, within 5 s. */
export function watchPath(state: AttemptsState, facts: RouteFacts): Step {
  const attempt = state.attempts.find(({ id }) => id === state.bridged?.attempt);
  if (state.name !== "answered" || attempt?.trunk !== facts.trunk) return go(state);
  const bad = facts.path_state === "suspect" || facts.path_state === "down";
  if (bad && state.path_lost === "no") {
    return go(
      { ...state, path_lost: "suspected" },
      { type: "arm", timer: "path_lost", attempt: 0, after_ms: PATH_LOST_MS },
    );
  }
  if (!bad && state.path_lost !== "no") {
    return go({ ...state, path_lost: "no" }, { type: "disarm", attempt: 0 });
  }
  return go(state);
}

/** What `check_media` found. */
export function media(state: AttemptsState, attempt: Attempt, flowing: boolean): Step {
  if (attempt.phase === "progressing") {
    const facts = factsOf(state, attempt.trunk);
    if (!flowing || facts === undefined) return hedge(state, attempt);
    return go(state, { type: "arm", timer: "progress", attempt: attempt.id, after_ms: ringDeadline(facts) });
  }
  if (state.name !== "answered" || state.bridged?.attempt !== attempt.id || state.path_lost === "no") return go(state);
  const armed = (after_ms: number): AttemptsEffect => ({ type: "arm", timer: "path_lost", attempt: 0, after_ms });
  if (flowing) return go(state, armed(ROUND_PAUSE_MS));
  const announce: AttemptsEffect = { type: "announce_dial_again", trunk: attempt.trunk };
  if (state.path_lost === "announced") return go(state, announce, armed(ANNOUNCE_AGAIN_MS));
  return go({ ...state, path_lost: "announced" }, announce, record(attempt, "path_lost"), armed(ANNOUNCE_AGAIN_MS));
}
