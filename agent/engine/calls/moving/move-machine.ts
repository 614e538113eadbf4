import { go, type Machine, type Transition } from "../../../base/fsm.ts";

/**
 * How a running call leaves a dead path, in the order in which it is tried: a re-INVITE to the same edge over another
 * path; a new dialog in the old one's place (INVITE with Replaces, RFC 3891). What is left is to hold and tell.
 */
export type Rung = "reinvite" | "replaces";
export const RUNGS: readonly Rung[] = ["reinvite", "replaces"];

export type RungOutcome = "permitted" | "refused" | "no_answer";

/** RFC 3261 §14.1 has 491 tried again after 0 to 4 s; with a far end whose own offer is lost it lasts up to 32 s. */
const GLARE_TRIES = 12;

export interface MoveState {
  readonly name: "settled" | "opening" | "asking" | "waiting" | "held" | "over";
  /** The trunk, or detour, over which the call's media goes. */
  readonly on: string;
  /** `on` cannot be reached. */
  readonly lost: boolean;
  /** Where it is being moved to, with the rungs that are left; the first is the one being tried. */
  readonly to?: string;
  readonly rungs: readonly Rung[];
  readonly tries: number;
  /** The phone hears that it is on hold. */
  readonly told: boolean;
}

export type MoveInput =
  /** What carries the call is gone; `to`: what else leads to its far end. */
  | { readonly type: "lost"; readonly to: string | undefined; readonly rungs: readonly Rung[] }
  /** What carries the call is reachable again. */
  | { readonly type: "back" }
  /** While the call is on hold another way has come up. */
  | { readonly type: "way"; readonly to: string; readonly rungs: readonly Rung[] }
  | { readonly type: "opened" }
  | { readonly type: "no_media" }
  /** 2xx with a description; it may be late. */
  | { readonly type: "answered"; readonly rung: Rung }
  /** Any other final response, or none at all: 408 and 503 as in RFC 3261 §8.1.3.1. */
  | { readonly type: "refused"; readonly rung: Rung; readonly status: number }
  /** Nothing was heard in the time that the caller can be left without sound. */
  | { readonly type: "silent" }
  /** The wait after 491 is over. */
  | { readonly type: "retry" }
  | { readonly type: "ended" };

export type MoveEffect =
  | { readonly type: "open"; readonly to: string }
  | { readonly type: "ask"; readonly rung: Rung; readonly to: string }
  /** The far end takes its media over `to` from now on. */
  | { readonly type: "use"; readonly rung: Rung; readonly to: string }
  /** The ports opened for the move are not needed. */
  | { readonly type: "drop" }
  | { readonly type: "wait" }
  | { readonly type: "hold" }
  | { readonly type: "resume" }
  /** The far end has to be asked whether it still knows the call. */
  | { readonly type: "probe" }
  | { readonly type: "learn"; readonly rung: Rung; readonly outcome: RungOutcome; readonly status: number | undefined }
  /** The far end knows the call no more. */
  | { readonly type: "end_phone"; readonly cause: string };

export function settledOn(trunk: string): MoveState {
  return { name: "settled", on: trunk, lost: false, rungs: [], tries: 0, told: false };
}

/** A request of the box's own is open, or about to be: another offer of either side would cross it (RFC 3261 §14.1). */
export function isBusy({ name }: MoveState): boolean {
  return name === "opening" || name === "asking" || name === "waiting";
}

export const moving: Machine<MoveState, MoveInput, MoveEffect> = (state, input) => {
  if (state.name === "over") return go(state);
  switch (input.type) {
    case "lost":
      if (state.lost) return go(state);
      return start({ ...state, lost: true }, input.to, input.rungs);
    case "way":
      return state.name === "held" ? start(state, input.to, input.rungs) : go(state);
    case "back": {
      if (!state.lost) return go(state);
      if (state.name !== "held") return go({ ...state, lost: false });
      return settle({ ...state, lost: false }, { type: "drop" }, { type: "probe" });
    }
    case "opened":
      return state.name === "opening" ? ask(state) : go(state);
    case "no_media":
      return state.name === "opening" ? giveUp(state) : go(state);
    case "answered":
      return answered(state, input.rung);
    case "refused":
      return refused(state, input.rung, input.status);
    case "silent": {
      const [rung] = state.rungs;
      if (state.name !== "asking" || rung === undefined) return go(state);
      return next(state, { type: "learn", rung, outcome: "no_answer", status: undefined });
    }
    case "retry":
      return state.name === "waiting" ? ask(state) : go(state);
    case "ended":
      return go({ ...state, name: "over", rungs: [] }, { type: "drop" });
  }
};

function start(state: MoveState, to: string | undefined, rungs: readonly Rung[]): Transition<MoveState, MoveEffect> {
  if (to === undefined || rungs.length === 0) return giveUp(state);
  return go({ ...state, name: "opening", to, rungs, tries: 0 }, { type: "open", to });
}

function ask(state: MoveState): Transition<MoveState, MoveEffect> {
  const [rung] = state.rungs;
  if (rung === undefined || state.to === undefined) return giveUp(state);
  return go({ ...state, name: "asking", tries: state.tries + 1 }, { type: "ask", rung, to: state.to });
}

function answered(state: MoveState, rung: Rung): Transition<MoveState, MoveEffect> {
  const { to } = state;
  if (to === undefined || state.name === "settled") return go(state);
  const use: MoveEffect = { type: "use", rung, to };
  return settle({ ...state, on: to, lost: false }, { type: "learn", rung, outcome: "permitted", status: 200 }, use);
}

function refused(state: MoveState, rung: Rung, status: number): Transition<MoveState, MoveEffect> {
  if (status === 481 && rung === "reinvite" && state.name !== "settled") {
    return go(
      { ...state, name: "over", rungs: [] },
      { type: "drop" },
      { type: "end_phone", cause: "the far end has ended the call" },
    );
  }
  if (state.name !== "asking" || state.rungs[0] !== rung) return go(state);
  if (status === 491 && state.tries < GLARE_TRIES) return go({ ...state, name: "waiting" }, { type: "wait" });
  const outcome = status === 408 || status === 503 ? "no_answer" : "refused";
  return next(state, { type: "learn", rung, outcome, status });
}

/** The next rung, or none: what was asked may still be answered late, and is then taken. */
function next(state: MoveState, learned: MoveEffect): Transition<MoveState, MoveEffect> {
  const rungs = state.rungs.slice(1);
  const { state: after, effects } = rungs.length > 0 ? ask({ ...state, rungs, tries: 0 }) : giveUp({ ...state, rungs });
  return { state: after, effects: [learned, ...effects] };
}

function giveUp(state: MoveState): Transition<MoveState, MoveEffect> {
  // The path may have come back while the far end was asked.
  if (!state.lost) return settle(state, { type: "drop" });
  return go({ ...state, name: "held", rungs: [], told: true }, ...(state.told ? [] : [{ type: "hold" } as const]));
}

function settle(state: MoveState, ...effects: readonly MoveEffect[]): Transition<MoveState, MoveEffect> {
  const { to: _, ...rest } = state;
  const resume: readonly MoveEffect[] = state.told ? [{ type: "resume" }] : [];
  return { state: { ...rest, name: "settled", rungs: [], tries: 0, told: false }, effects: [...effects, ...resume] };
}
