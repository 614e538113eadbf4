import type { HealthState } from "../../base/events.ts";
import { go, type Transition } from "../../base/fsm.ts";

/**
 * Which of several PBX targets is in use (geo-redundancy), as a pure machine. The first usable one in the site file's order
 * takes over at once when the one in use is down; going back to a target that comes before it waits until that has been
 * good for the hold-down, doubled by each failure soon after a return, and until the site's policy allows it. What was
 * begun with a target stays with it: only new work follows the choice.
 */
export interface PbxFact {
  readonly id: string;
  /** Of target and path together. */
  readonly state: HealthState;
}

export interface PbxChoice {
  /** Undefined while no target is usable. */
  readonly current: string | undefined;
  readonly facts: readonly PbxFact[];
  /** Since when each has been good without a break, ms. */
  readonly good_since_ms: ReadonlyMap<string, number>;
  readonly returned_ms: number | undefined;
  readonly flaps: number;
}

export interface PbxChoiceRules {
  readonly hold_down_ms: number;
  readonly hold_down_max_ms: number;
}

export type PbxChoiceInput =
  | { readonly kind: "facts"; readonly at_ms: number; readonly facts: readonly PbxFact[]; readonly may_return: boolean }
  | { readonly kind: "timeout"; readonly at_ms: number; readonly may_return: boolean };

export type PbxChoiceEffect =
  | {
      readonly do: "chosen";
      readonly from: string | undefined;
      readonly to: string | undefined;
      readonly because: string;
    }
  /** Feed `timeout` at this time; replaces the one before. */
  | { readonly do: "wake_at"; readonly at_ms: number };

/** A policy that says "not yet" is asked again so often. */
const ASK_AGAIN_MS = 5_000;

export const NO_CHOICE: PbxChoice = {
  current: undefined,
  facts: [],
  good_since_ms: new Map(),
  returned_ms: undefined,
  flaps: 0,
};

const isGood = ({ state }: PbxFact) => state === "up" || state === "degraded";
const isUsable = ({ state }: PbxFact) => state !== "down";

export function pbxChoice(rules: PbxChoiceRules) {
  return (before: PbxChoice, input: PbxChoiceInput): Transition<PbxChoice, PbxChoiceEffect> => {
    const { at_ms, may_return } = input;
    const facts = input.kind === "facts" ? input.facts : before.facts;
    const good_since_ms = new Map(
      facts.filter(isGood).map(({ id }) => [id, before.good_since_ms.get(id) ?? at_ms] as const),
    );
    const state: PbxChoice = { ...before, facts, good_since_ms };
    const inUse = facts.find(({ id }) => id === before.current);
    if (inUse === undefined || !isUsable(inUse)) {
      const next = facts.find(isGood) ?? facts.find(isUsable);
      return leave(rules, state, next?.id, at_ms);
    }
    const better = facts.slice(0, facts.indexOf(inUse)).find(isGood);
    if (better === undefined) return go(state);
    const due_ms = (good_since_ms.get(better.id) ?? at_ms) + holdDown(rules, state.flaps);
    if (at_ms < due_ms) return go(state, { do: "wake_at", at_ms: due_ms });
    if (!may_return) return go(state, { do: "wake_at", at_ms: at_ms + ASK_AGAIN_MS });
    const because = `${better.id} has been good for the hold-down`;
    return go(
      { ...state, current: better.id, returned_ms: at_ms },
      { do: "chosen", from: before.current, to: better.id, because },
    );
  };
}

function leave(
  rules: PbxChoiceRules,
  state: PbxChoice,
  to: string | undefined,
  at_ms: number,
): Transition<PbxChoice, PbxChoiceEffect> {
  const { current: from } = state;
  if (from === to) return go(state);
  const soon = state.returned_ms !== undefined && at_ms - state.returned_ms < rules.hold_down_max_ms;
  const flaps = from === undefined ? state.flaps : soon ? state.flaps + 1 : 0;
  const because = from === undefined ? `${to} can be reached` : `${from} is down`;
  return go({ ...state, current: to, flaps }, { do: "chosen", from, to, because });
}

function holdDown({ hold_down_ms, hold_down_max_ms }: PbxChoiceRules, flaps: number): number {
  return Math.min(hold_down_ms * 2 ** Math.min(flaps, 20), Math.max(hold_down_ms, hold_down_max_ms));
}

/**
 * The targets for new work, the one in use first, those that are down left out. In doubt a target that is proven good is
 * asked before the one in use.
 */
export function pbxOrder({ current, facts }: PbxChoice): readonly string[] {
  const usable = facts.filter(isUsable);
  const rank = (fact: PbxFact) => (fact.state === "suspect" ? 2 : fact.id === current ? 0 : 1);
  return [...usable].sort((a, b) => rank(a) - rank(b)).map(({ id }) => id);
}
