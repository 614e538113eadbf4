import type { AttemptOutcome } from "../../base/events.ts";
import { go, type Transition } from "../../base/fsm.ts";
import { healthOf, type RouteFacts, responseWindow, ringDeadline } from "./attempt-timing.ts";

/**
 * The attempts of one emergency call, as a pure machine. What it holds to, always:
 * - at most one leg is bridged to the caller, ever;
 * - every attempt ends bridged or released, and each release is recorded;
 * - the caller is told an error only when no attempt lives and every route has been tried in every round;
 * - once answered, only the PSAP or the caller ends the call.
 */
export interface Attempt {
  /** 1, 2, … in the order of starting. */
  readonly id: number;
  readonly trunk: string;
  readonly phase: AttemptPhase;
  /** The next attempt was started because of this one, while it went on. */
  readonly hedged: boolean;
  /** Location goes with it. */
  readonly location: boolean;
  /** Credentials have been given once. */
  readonly authenticated: boolean;
}

export type AttemptPhase =
  /** Sent; nothing came back. */
  | "trying"
  /** 100. */
  | "proceeding"
  /** 181, 183 and the like: the far side works on it. */
  | "progressing"
  /** 180 or 182. */
  | "ringing"
  | "answered"
  /** Cancelled, its final response is awaited. */
  | "releasing"
  | "over";

export interface AttemptsState {
  readonly name:
    | "calling"
    /** Every route failed; another round begins after a pause. */
    | "waiting"
    /** The caller was asked for credentials and may come back with them. */
    | "challenged"
    | "answered"
    | "ended";
  /** In the plan's order. */
  readonly routes: readonly RouteFacts[];
  readonly attempts: readonly Attempt[];
  /** Trunks that were started in this round. */
  readonly started: readonly string[];
  readonly round: number;
  /** The attempt whose early media the caller hears. */
  readonly early: number | undefined;
  readonly ringing: boolean;
  readonly bridged: { readonly attempt: number; readonly fork: string } | undefined;
  /** Trunks that refused location (424) or its body: from now on without. */
  readonly without_location: readonly string[];
  /** The last attempt whose challenge only the caller could answer. */
  readonly challenged: number | undefined;
  /** The bridged leg's path is bad since the last verdict. */
  readonly path_lost: "no" | "suspected" | "announced";
}

export type AttemptTimer = "no_response" | "ring" | "progress" | "round" | "path_lost" | "challenge";

export type AttemptsInput =
  | { readonly type: "start" }
  | {
      readonly type: "provisional";
      readonly attempt: number;
      readonly status: number;
      /** It carried SDP: the caller can hear it. */
      readonly early_media: boolean;
    }
  /** A 2xx. `fork` is its To-tag: a proxy on the way may bring several. */
  | { readonly type: "answer"; readonly attempt: number; readonly fork: string }
  /** A final response other than 2xx; `challenge`: who can answer its 401 or 407, if it is one. */
  | {
      readonly type: "refusal";
      readonly attempt: number;
      readonly status: number;
      readonly challenge: "box" | "caller" | undefined;
    }
  | { readonly type: "send_error"; readonly attempt: number }
  /** The transaction ended without a final response. */
  | { readonly type: "timeout"; readonly attempt: number }
  | { readonly type: "timer"; readonly timer: AttemptTimer; readonly attempt: number }
  /** Health, delay or learned times changed. */
  | { readonly type: "facts"; readonly routes: readonly RouteFacts[] }
  /** Answer to `check_media`: whether sound comes in from that attempt. */
  | { readonly type: "media"; readonly attempt: number; readonly flowing: boolean }
  /** The caller came back with credentials. */
  | { readonly type: "credentials" }
  | { readonly type: "caller_cancel" }
  | { readonly type: "caller_bye" }
  | { readonly type: "callee_bye"; readonly attempt: number; readonly fork: string };

export type AttemptsEffect =
  | {
      readonly type: "start";
      readonly attempt: number;
      readonly trunk: string;
      readonly location: boolean;
      /** With the credentials that the caller gave. */
      readonly credentials: boolean;
      readonly retransmit_at_ms: readonly number[];
    }
  /** The same attempt again, with credentials of the box's own or without location. */
  | {
      readonly type: "resend";
      readonly attempt: number;
      readonly trunk: string;
      readonly location: boolean;
      readonly credentials: boolean;
      readonly retransmit_at_ms: readonly number[];
    }
  /** With the INVITE of this attempt a burst of probes on path and trunk leaves, judged within 250 ms. */
  | { readonly type: "probe"; readonly attempt: number; readonly trunk: string }
  /** Every other call on this path gives way now. */
  | { readonly type: "preempt"; readonly path: string }
  | { readonly type: "arm"; readonly timer: AttemptTimer; readonly attempt: number; readonly after_ms: number }
  /** All timers of an attempt; 0: those of the call. */
  | { readonly type: "disarm"; readonly attempt: number }
  | { readonly type: "ring_caller"; readonly attempt: number }
  | { readonly type: "early_media"; readonly attempt: number }
  | { readonly type: "answer_caller"; readonly attempt: number; readonly fork: string }
  | { readonly type: "cancel"; readonly attempt: number }
  /** ACK, and BYE at once. */
  | { readonly type: "release"; readonly attempt: number; readonly fork: string }
  | { readonly type: "hang_up_callee"; readonly attempt: number; readonly fork: string }
  | { readonly type: "hang_up_caller" }
  | { readonly type: "refuse_caller"; readonly status: number; readonly reason: string }
  | { readonly type: "challenge_caller"; readonly attempt: number }
  | { readonly type: "check_media"; readonly attempt: number }
  /** Tell the caller to hang up and dial again; the redial leaves this trunk's path out. */
  | { readonly type: "announce_dial_again"; readonly trunk: string }
  | {
      readonly type: "record";
      readonly attempt: number;
      readonly trunk: string;
      readonly outcome: AttemptOutcome;
      readonly status: number | undefined;
      readonly hedged: boolean;
    }
  | { readonly type: "ended"; readonly by: "caller" | "psap" | "box"; readonly cause: string };

type Step = Transition<AttemptsState, AttemptsEffect>;

/** After all routes failed everything is tried again, so often altogether and after so long each time. */
export const ROUNDS = 3;
export const ROUND_PAUSE_MS = 1000;
/** From a bad verdict on an answered call's path to the check of its sound; the caller is told within 5 s. */
export const PATH_LOST_MS = 4000;
const ANNOUNCE_AGAIN_MS = 10_000;
/** How long a challenged caller may take to come back. */
export const CHALLENGE_MS = 32_000;
/** 424 Bad Location Information (RFC 6442 §4.2): the same route at once without it. */
const BAD_LOCATION = 424;
/** Refusals that a body of two parts may cause: in the next round this route gets the call without location. */
const BODY_REFUSED = new Set([413, 415, 488, 513]);

export function attemptsOf(routes: readonly RouteFacts[]): AttemptsState {
  return {
    name: "calling",
    routes,
    attempts: [],
    started: [],
    round: 1,
    early: undefined,
    ringing: false,
    bridged: undefined,
    without_location: [],
    challenged: undefined,
    path_lost: "no",
  };
}

/** Nothing is left to do for any leg: the call object may go. */
export function finished(state: AttemptsState): boolean {
  return state.name === "ended" && state.attempts.every(({ phase }) => phase === "over");
}

const isAlive = ({ phase }: Attempt) => phase !== "over" && phase !== "releasing" && phase !== "answered";

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
      return answer(state, attempt, input.fork);
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

/** Runs `next` on what `step` left, keeping the effects of both. */
function then(step: Step, next: (state: AttemptsState) => Step): Step {
  const after = next(step.state);
  return { state: after.state, effects: [...step.effects, ...after.effects] };
}

function change(state: AttemptsState, attempt: Attempt, to: Partial<Attempt>): AttemptsState {
  return { ...state, attempts: state.attempts.map((each) => (each.id === attempt.id ? { ...each, ...to } : each)) };
}

function record(attempt: Attempt, outcome: AttemptOutcome, status?: number): AttemptsEffect {
  return { type: "record", attempt: attempt.id, trunk: attempt.trunk, outcome, status, hedged: attempt.hedged };
}

function factsOf(state: AttemptsState, trunk: string): RouteFacts | undefined {
  return state.routes.find((route) => route.trunk === trunk);
}

/** Starts the next route of this round: in the plan's order, those that are down last. */
function advance(state: AttemptsState): Step {
  if (state.name !== "calling") return go(state);
  const left = state.routes.filter(({ trunk }) => !state.started.includes(trunk));
  const next = left.find((route) => healthOf(route) !== "down") ?? left[0];
  return next === undefined ? go(state) : begin(state, next, false);
}

function begin(state: AttemptsState, route: RouteFacts, credentials: boolean): Step {
  const attempt: Attempt = {
    id: state.attempts.length + 1,
    trunk: route.trunk,
    phase: "trying",
    hedged: false,
    location: !state.without_location.includes(route.trunk),
    authenticated: credentials,
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
function hedge(state: AttemptsState, attempt: Attempt): Step {
  const outcome = UNANSWERED[attempt.phase];
  if (attempt.hedged || outcome === undefined) return go(state);
  const hedged: Attempt = { ...attempt, hedged: true };
  return then(go(change(state, attempt, { hedged: true }), record(hedged, outcome)), advance);
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
  if (state.name === "answered" || state.name === "ended" || state.name === "challenged") {
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
  return then(
    then(answered, (after) => cancelAll(after, others)),
    (after) => (facts === undefined ? go(after) : watchPath(after, facts)),
  );
}

function cancelAll(state: AttemptsState, list: readonly Attempt[]): Step {
  let next = state;
  const effects: AttemptsEffect[] = [];
  for (const attempt of list) {
    next = change(next, attempt, { phase: "releasing" });
    effects.push({ type: "disarm", attempt: attempt.id }, { type: "cancel", attempt: attempt.id });
  }
  return go(next, ...effects);
}

function refusal(
  state: AttemptsState,
  attempt: Attempt,
  status: number,
  challenge: "box" | "caller" | undefined,
): Step {
  if (!isAlive(attempt)) return failed(state, attempt, "refused", status);
  if (challenge === "box" && !attempt.authenticated) {
    return again(change(state, attempt, { authenticated: true }), attempt.id, status);
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
      credentials: attempt.authenticated,
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
  const went = attempt.hedged && others ? over : then(over, advance);
  return then(went, settle);
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

function nextRound(state: AttemptsState): Step {
  return then(
    go({ ...state, name: "calling", round: state.round + 1, started: [] }, { type: "disarm", attempt: 0 }),
    advance,
  );
}

/** The caller's new INVITE: first where it was asked for credentials, then everything once more. */
function comeBack(state: AttemptsState): Step {
  const asked = state.attempts.find(({ id }) => id === state.challenged);
  const route = asked === undefined ? undefined : factsOf(state, asked.trunk);
  const fresh: AttemptsState = { ...state, name: "calling", started: [], challenged: undefined, ringing: false };
  const disarmed = go<AttemptsState, AttemptsEffect>(fresh, { type: "disarm", attempt: 0 });
  return then(disarmed, (next) => (route === undefined ? advance(next) : begin(next, route, true)));
}

function end(
  state: AttemptsState,
  by: "caller" | "psap" | "box",
  cause: string,
  ...effects: readonly AttemptsEffect[]
): Step {
  return go({ ...state, name: "ended" }, { type: "disarm", attempt: 0 }, ...effects, { type: "ended", by, cause });
}

function callerCancel(state: AttemptsState): Step {
  if (state.name !== "calling" && state.name !== "waiting") return go(state);
  const alive = state.attempts.filter(isAlive);
  return then(cancelAll(state, alive), (next) =>
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

function media(state: AttemptsState, attempt: Attempt, flowing: boolean): Step {
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

const isBad = (facts: RouteFacts) => healthOf(facts) === "suspect" || healthOf(facts) === "down";
const RANK = { good: 0, degraded: 1, suspect: 2, down: 3 } as const;

function newFacts(state: AttemptsState, routes: readonly RouteFacts[]): Step {
  let step: Step = go({
    ...state,
    routes: state.routes.map((old) => routes.find(({ trunk }) => trunk === old.trunk) ?? old),
  });
  for (const now of routes) {
    const old = factsOf(state, now.trunk);
    if (old === undefined) continue;
    const worse = isBad(now) && RANK[healthOf(now)] > RANK[healthOf(old)];
    const better = isBad(old) && !isBad(now);
    if (worse) step = then(step, (next) => hedgeAll(next, now.trunk));
    if (better) step = then(step, (next) => recovered(next, now));
    step = then(step, (next) => watchPath(next, now));
  }
  return step;
}

/** A bad verdict: every unanswered attempt there is hedged at once. */
function hedgeAll(state: AttemptsState, trunk: string): Step {
  let step: Step = go(state);
  for (const { id } of state.attempts.filter((each) => each.trunk === trunk && isAlive(each))) {
    step = then(step, (next) => {
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
  return then(cancelAll(state, old), (next) => begin(next, route, false));
}

/** An answered call on a path that went bad: its sound is looked at, and the caller told, within 5 s. */
function watchPath(state: AttemptsState, facts: RouteFacts): Step {
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
