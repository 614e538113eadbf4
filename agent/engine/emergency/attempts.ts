import type { AttemptOutcome } from "../../base/events.ts";
import { go } from "../../base/fsm.ts";
import { responseWindow, ringDeadline } from "./attempt-timing.ts";
import { media, newFacts, watchPath } from "./attempts-health.ts";
import {
  type Attempt,
  type AttemptsEffect,
  type AttemptsInput,
  type AttemptsState,
  type AttemptTimer,
  type Challenged,
  ROUNDS,
} from "./attempts-state.ts";
import {
  advance,
  andThen,
  begin,
  cancelAll,
  change,
  factsOf,
  hedge,
  isAlive,
  nextRound,
  ROUND_PAUSE_MS,
  record,
  type Step,
} from "./attempts-steps.ts";

/** How long a challenged caller may take to come back. */
export const CHALLENGE_MS = 32_000;
/** How often one attempt proves itself: once, and again where the nonce went stale meanwhile. */
const PROOFS = 3;
/** 424 Bad Location Information (RFC 6442 §4.2): the same route at once without it. */
const BAD_LOCATION = 424;
/** Refusals that a body of two parts may cause: in the next round this route gets the call without location. */
const BODY_REFUSED = new Set([413, 415, 488, 513]);

/**
 * The attempts of one emergency call, as a pure machine. What it holds to, always:
 * - at most one leg is bridged to the caller, ever;
 * - every attempt ends bridged or released, and each release is recorded;
 * - the caller is told an error only when no attempt lives and every route has been tried in every round;
 * - once answered, only the PSAP or the caller ends the call.
 */
export function attempts(state: AttemptsState, input: AttemptsInput): Step {
  switch (input.type) {
    case "start":
      return state.routes.length === 0
        ? end(state, "box", "no route is configured", {
            type: "refuse_caller",
            status: 503,
            reason: "No route for emergency calls is configured",
          })
        : advance(state);
    case "caller_cancel":
      return callerCancel(state);
    case "caller_bye":
      return callerBye(state);
    case "callee_bye":
      return calleeBye(state, input.attempt, input.fork);
    case "facts":
      return newFacts(state, input.routes);
    case "credentials":
      return state.name === "challenged" ? comeBack(state) : go(state);
    case "timer":
      if (input.timer === "round" || input.timer === "challenge" || input.timer === "path_lost") {
        return callTimer(state, input.timer);
      }
      break;
    default:
      break;
  }
  const attempt = state.attempts.find(({ id }) => id === input.attempt);
  if (attempt === undefined) return go(state);
  switch (input.type) {
    case "provisional":
      return provisional(state, attempt, input.status, input.early_media);
    case "answer":
      return input.mute === true && isAlive(attempt) && state.name === "calling"
        ? unusable(state, attempt, input.fork)
        : answer(state, attempt, input.fork);
    case "refusal":
      return refusal(state, attempt, input.status, input.challenge);
    case "send_error":
      return failed(state, attempt, "send_error", undefined);
    case "timeout":
      return failed(state, attempt, "no_response", undefined);
    case "media":
      return media(state, attempt, input.flowing);
    case "timer":
      return attemptTimer(state, attempt, input.timer);
  }
}

function provisional(state: AttemptsState, attempt: Attempt, status: number, early_media: boolean): Step {
  // An attempt that is being cancelled, or already answered, has nothing to tell the caller.
  if (!isAlive(attempt) || state.name !== "calling") return go(state);
  const facts = factsOf(state, attempt.trunk);
  if (status === 100 || status === 199) {
    if (attempt.phase !== "trying" || facts === undefined) return go(state);
    return go(
      change(state, attempt, { phase: "proceeding" }),
      { type: "disarm", attempt: attempt.id },
      { type: "arm", timer: "ring", attempt: attempt.id, after_ms: ringDeadline(facts) },
    );
  }
  const rings = status === 180 || status === 182;
  const effects: AttemptsEffect[] = [];
  let next = state;
  if (rings && attempt.phase !== "ringing") {
    next = change(next, attempt, { phase: "ringing" });
    effects.push({ type: "disarm", attempt: attempt.id }, record(attempt, "ringing", status));
  } else if (!rings && (attempt.phase === "trying" || attempt.phase === "proceeding")) {
    // 183 and then silence happens: it is believed for as long again as a 100, and longer while there is sound.
    next = change(next, attempt, { phase: "progressing" });
    effects.push({ type: "disarm", attempt: attempt.id }, record(attempt, "trying", status));
    if (facts !== undefined) {
      effects.push({ type: "arm", timer: "progress", attempt: attempt.id, after_ms: ringDeadline(facts) });
    }
  }
  const heard = next.attempts.find(({ id }) => id === next.early);
  if (early_media && (heard === undefined || !isAlive(heard))) {
    next = { ...next, early: attempt.id, ringing: true };
    effects.push({ type: "early_media", attempt: attempt.id });
  } else if (!next.ringing) {
    next = { ...next, ringing: true };
    effects.push({ type: "ring_caller", attempt: attempt.id });
  }
  return go(next, ...effects);
}

function answer(state: AttemptsState, attempt: Attempt, fork: string): Step {
  const { bridged } = state;
  if (bridged?.attempt === attempt.id && bridged.fork === fork) return go(state);
  // One that was given up after a send error has no ports any more.
  const late = attempt.phase === "over";
  if (late || state.name === "answered" || state.name === "ended" || state.name === "challenged") {
    const over = attempt.id === bridged?.attempt ? state : change(state, attempt, { phase: "over" });
    return go(
      over,
      { type: "disarm", attempt: attempt.id },
      { type: "release", attempt: attempt.id, fork },
      record(attempt, "late_answer_released", 200),
    );
  }
  const others = state.attempts.filter((each) => each.id !== attempt.id && isAlive(each));
  const next: AttemptsState = {
    ...change(state, attempt, { phase: "answered" }),
    name: "answered",
    bridged: { attempt: attempt.id, fork },
  };
  const answered = go<AttemptsState, AttemptsEffect>(
    next,
    { type: "disarm", attempt: 0 },
    { type: "disarm", attempt: attempt.id },
    { type: "answer_caller", attempt: attempt.id, fork },
    record(attempt, "answered", 200),
  );
  const facts = factsOf(state, attempt.trunk);
  return andThen(
    andThen(answered, (after) => cancelAll(after, others)),
    (after) => (facts === undefined ? go(after) : watchPath(after, facts)),
  );
}

/** Who has answered cannot be heard: another route may do better. */
function unusable(state: AttemptsState, attempt: Attempt, fork: string): Step {
  const released: AttemptsEffect = { type: "release", attempt: attempt.id, fork };
  return andThen(go(state, released), (next) => failed(next, attempt, "refused", 200));
}

function refusal(state: AttemptsState, attempt: Attempt, status: number, challenge: Challenged | undefined): Step {
  if (!isAlive(attempt)) return failed(state, attempt, "refused", status);
  const { proofs } = attempt;
  if ((challenge === "box" && proofs === 0) || (challenge === "stale" && proofs < PROOFS)) {
    return again(change(state, attempt, { proofs: proofs + 1 }), attempt.id, status);
  }
  if (status === BAD_LOCATION && attempt.location) {
    const without = { ...state, without_location: [...state.without_location, attempt.trunk] };
    return again(change(without, attempt, { location: false }), attempt.id, status);
  }
  const noted: AttemptsState = {
    ...state,
    without_location:
      BODY_REFUSED.has(status) && attempt.location
        ? [...state.without_location, attempt.trunk]
        : state.without_location,
    challenged: challenge === "caller" ? attempt.id : state.challenged,
  };
  return failed(noted, attempt, "refused", status);
}

/** The same attempt anew, with what the refusal asked for. */
function again(state: AttemptsState, id: number, status: number): Step {
  const attempt = state.attempts.find((each) => each.id === id);
  const facts = attempt === undefined ? undefined : factsOf(state, attempt.trunk);
  if (attempt === undefined || facts === undefined) return go(state);
  const { window_ms, retransmit_at_ms } = responseWindow(facts);
  return go(
    change(state, attempt, { phase: "trying" }),
    record(attempt, "refused", status),
    { type: "disarm", attempt: id },
    {
      type: "resend",
      attempt: id,
      trunk: attempt.trunk,
      location: attempt.location,
      credentials: attempt.proofs > 0,
      retransmit_at_ms,
    },
    { type: "arm", timer: "no_response", attempt: id, after_ms: window_ms },
  );
}

/** An attempt has come to its end without an answer. */
function failed(state: AttemptsState, attempt: Attempt, outcome: AttemptOutcome, status: number | undefined): Step {
  if (attempt.phase === "over" || attempt.phase === "answered") return go(state);
  const told: AttemptOutcome = attempt.phase === "releasing" ? "released" : outcome;
  const over = go<AttemptsState, AttemptsEffect>(
    { ...change(state, attempt, { phase: "over" }), early: state.early === attempt.id ? undefined : state.early },
    { type: "disarm", attempt: attempt.id },
    record(attempt, told, status),
  );
  if (state.name !== "calling" || attempt.phase === "releasing") return over;
  // A hedged attempt has its successor already, unless that one has ended as well.
  const others = over.state.attempts.some(isAlive);
  const went = attempt.hedged && others ? over : andThen(over, advance);
  return andThen(went, settle);
}

/** When nothing lives and nothing is left to start: ask the caller for credentials, try all again, or give up. */
function settle(state: AttemptsState): Step {
  if (state.name !== "calling" || state.attempts.some(isAlive)) return go(state);
  if (state.challenged !== undefined) {
    return go(
      { ...state, name: "challenged" },
      { type: "challenge_caller", attempt: state.challenged },
      { type: "arm", timer: "challenge", attempt: 0, after_ms: CHALLENGE_MS },
    );
  }
  if (state.round < ROUNDS) {
    return go(
      { ...state, name: "waiting" },
      { type: "arm", timer: "round", attempt: 0, after_ms: ROUND_PAUSE_MS * state.round },
    );
  }
  return end(state, "box", "no route took the call", {
    type: "refuse_caller",
    status: 480,
    reason: "No route took the emergency call",
  });
}

/** The caller's new INVITE: first where it was asked for credentials, then everything once more. */
function comeBack(state: AttemptsState): Step {
  const asked = state.attempts.find(({ id }) => id === state.challenged);
  const route = asked === undefined ? undefined : factsOf(state, asked.trunk);
  const fresh: AttemptsState = { ...state, name: "calling", started: [], challenged: undefined, ringing: false };
  const disarmed = go<AttemptsState, AttemptsEffect>(fresh, { type: "disarm", attempt: 0 });
  return andThen(disarmed, (next) => (route === undefined ? advance(next) : begin(next, route, true)));
}

function end(
  state: AttemptsState,
  by: "caller" | "psap" | "box",
  cause: string,
  ...effects: readonly AttemptsEffect[]
): Step {
  const releasing = state.attempts.filter(({ phase }) => phase === "releasing");
  return go(
    { ...state, name: "ended" },
    { type: "disarm", attempt: 0 },
    ...releasing.map(({ id }): AttemptsEffect => ({ type: "quiet", attempt: id })),
    ...effects,
    { type: "ended", by, cause },
  );
}

function callerCancel(state: AttemptsState): Step {
  if (state.name !== "calling" && state.name !== "waiting") return go(state);
  const alive = state.attempts.filter(isAlive);
  return andThen(cancelAll(state, alive), (next) =>
    end(next, "caller", "cancelled", { type: "refuse_caller", status: 487, reason: "Request Terminated" }),
  );
}

function callerBye(state: AttemptsState): Step {
  const { bridged } = state;
  if (state.name !== "answered" || bridged === undefined) return go(state);
  return hangUp(state, bridged.attempt, "caller", { type: "hang_up_callee", ...bridged });
}

function calleeBye(state: AttemptsState, attempt: number, fork: string): Step {
  const { bridged } = state;
  if (state.name !== "answered" || bridged?.attempt !== attempt || bridged.fork !== fork) return go(state);
  return hangUp(state, attempt, "psap", { type: "hang_up_caller" });
}

function hangUp(state: AttemptsState, id: number, by: "caller" | "psap", effect: AttemptsEffect): Step {
  const over: AttemptsState = {
    ...state,
    attempts: state.attempts.map((each) => (each.id === id ? { ...each, phase: "over" } : each)),
  };
  return end(over, by, "hung up", { type: "disarm", attempt: id }, effect);
}

function attemptTimer(state: AttemptsState, attempt: Attempt, timer: AttemptTimer): Step {
  if (timer === "no_response" && attempt.phase === "trying") return hedge(state, attempt);
  if (timer === "ring" && attempt.phase === "proceeding") return hedge(state, attempt);
  if (timer === "progress" && attempt.phase === "progressing" && !attempt.hedged) {
    return go(state, { type: "check_media", attempt: attempt.id });
  }
  return go(state);
}

function callTimer(state: AttemptsState, timer: "round" | "challenge" | "path_lost"): Step {
  if (timer === "round") return state.name === "waiting" ? nextRound(state) : go(state);
  if (timer === "challenge") {
    return state.name === "challenged" ? end(state, "caller", "did not come back with credentials") : go(state);
  }
  const { bridged } = state;
  return state.name === "answered" && bridged !== undefined && state.path_lost !== "no"
    ? go(state, { type: "check_media", attempt: bridged.attempt })
    : go(state);
}
