import type { Mode } from "../../base/events.ts";
import { go, type Transition } from "../../base/fsm.ts";
import { type ReturnPolicy, returnWait } from "./return-policy.ts";

/**
 * The site's mode, as a pure machine. A PBX that can be reached is normal; none is survivable; a drill or Go Offline is
 * forced and ends by itself. Going home is slow: a PBX must be good for the hold-down (doubled by each flap; its
 * path's hold-down counts) while the site is `recovering`, no 911 call may be running, nor its callback window, and the
 * site's return policy must agree. In `recovering` the box still serves the phones itself.
 */
export interface ModeRules {
  readonly hold_down_ms: number;
  readonly hold_down_max_ms: number;
  /** After a start nobody has been heard yet: so long the site counts as normal before that means something. */
  readonly settle_ms: number;
  readonly policy: ReturnPolicy;
}

export interface PbxView {
  readonly id: string;
  readonly state: "up" | "degraded" | "suspect" | "down" | "unknown";
  /** Why, in a few words. */
  readonly detail: string;
  /** How long its path had been watched and good when the path came back just now; 0 when that is no news. */
  readonly watched_ms: number;
}

export interface Drill {
  readonly id: string;
  readonly by: string;
  readonly ends_ms: number;
}

export interface ModeState {
  readonly mode: Mode;
  readonly since_ms: number;
  readonly started_ms: number;
  readonly reasons: readonly string[];
  readonly pbxs: readonly PbxView[];
  /** Since when a PBX can be reached without a break. */
  readonly reachable_since_ms: number | undefined;
  readonly drill: Drill | undefined;
  /** A 911 call is running, or its callback window. */
  readonly busy_with_911: boolean;
  /** Other calls are up or being made. */
  readonly busy_with_calls: boolean;
  /** The cloud was lost since the site was last at home. After a mere drill the return policy has nothing to say. */
  readonly outage: boolean;
  readonly flaps: number;
  readonly returned_ms: number | undefined;
}

export type ModeInput = {
  readonly at_ms: number;
  /** Time of day at the site, ms since midnight; undefined while the clock cannot be trusted. */
  readonly of_day_ms?: number | undefined;
} & (
  | { readonly kind: "pbxs"; readonly pbxs: readonly PbxView[] }
  | { readonly kind: "emergency"; readonly busy: boolean }
  | { readonly kind: "calls"; readonly busy: boolean }
  | { readonly kind: "drill_start"; readonly drill: Drill }
  | { readonly kind: "drill_end"; readonly reason: "stopped" | "aborted_by_911" }
  | { readonly kind: "timeout" }
);

export type ModeEffect =
  | { readonly do: "changed"; readonly from: Mode; readonly to: Mode; readonly reasons: readonly string[] }
  | { readonly do: "drill_over"; readonly drill: Drill; readonly reason: "stopped" | "expired" | "aborted_by_911" }
  /** Feed `timeout` at this time; replaces the one before. */
  | { readonly do: "wake_at"; readonly at_ms: number };

type Step = Transition<ModeState, ModeEffect>;

export function initialMode(at_ms: number): ModeState {
  return {
    mode: "normal",
    since_ms: at_ms,
    started_ms: at_ms,
    reasons: ["just started"],
    pbxs: [],
    reachable_since_ms: undefined,
    drill: undefined,
    busy_with_911: false,
    busy_with_calls: false,
    outage: false,
    flaps: 0,
    returned_ms: undefined,
  };
}

export function modeMachine(rules: ModeRules) {
  return (state: ModeState, input: ModeInput): Step => {
    const effects: ModeEffect[] = [];
    const taken = take(state, input, effects);
    return settle(rules, state, taken, input, effects);
  };
}

/** How long a PBX must be good before the site goes home, ms. */
export function returnHold(rules: ModeRules, flaps: number): number {
  return Math.min(rules.hold_down_ms * 2 ** flaps, rules.hold_down_max_ms);
}

const reachable = (pbx: PbxView) => pbx.state === "up" || pbx.state === "degraded";

function take(state: ModeState, input: ModeInput, effects: ModeEffect[]): ModeState {
  switch (input.kind) {
    case "pbxs": {
      const good = input.pbxs.filter(reachable);
      // One hold-down is enough: what the path has served of its own counts.
      const watched_ms = Math.max(0, ...good.map((pbx) => pbx.watched_ms));
      return {
        ...state,
        pbxs: input.pbxs,
        reachable_since_ms: good.length > 0 ? (state.reachable_since_ms ?? input.at_ms - watched_ms) : undefined,
      };
    }
    case "emergency":
      return { ...state, busy_with_911: input.busy };
    case "calls":
      return { ...state, busy_with_calls: input.busy };
    case "drill_start":
      return state.drill === undefined ? { ...state, drill: input.drill } : state;
    case "drill_end":
      if (state.drill === undefined) return state;
      effects.push({ do: "drill_over", drill: state.drill, reason: input.reason });
      return { ...state, drill: undefined };
    case "timeout":
      if (state.drill === undefined || input.at_ms < state.drill.ends_ms) return state;
      effects.push({ do: "drill_over", drill: state.drill, reason: "expired" });
      return { ...state, drill: undefined };
  }
}

function settle(rules: ModeRules, before: ModeState, taken: ModeState, now: Moment, effects: ModeEffect[]): Step {
  const { at_ms } = now;
  const lost = taken.pbxs.length > 0 && taken.reachable_since_ms === undefined;
  // In doubt, and after a start, `normal` goes on; only what was lost has to be returned to.
  const state = lost && taken.mode !== "normal" ? { ...taken, outage: true } : taken;
  const { mode, reasons, wake_at_ms } = decide(rules, state, now);
  const wakes = [wake_at_ms, state.drill?.ends_ms].filter((time) => time !== undefined);
  const wake: ModeEffect[] = wakes.length > 0 ? [{ do: "wake_at", at_ms: Math.min(...wakes) }] : [];
  if (mode === before.mode) return go({ ...state, reasons }, ...effects, ...wake);
  let next: ModeState = { ...state, mode, since_ms: at_ms, reasons };
  if (mode === "normal") next = { ...next, returned_ms: at_ms, outage: false };
  if (mode === "survivable") next = { ...next, outage: true };
  if (mode === "survivable" && before.mode === "normal") {
    // A rehearsal is no flap; an outage soon after coming home is.
    const soon = before.returned_ms !== undefined && at_ms - before.returned_ms < rules.hold_down_max_ms;
    next = { ...next, flaps: soon ? before.flaps + 1 : 0 };
  }
  return go(next, ...effects, { do: "changed", from: before.mode, to: mode, reasons }, ...wake);
}

interface Decision {
  readonly mode: Mode;
  readonly reasons: readonly string[];
  readonly wake_at_ms?: number;
}

type Moment = Pick<ModeInput, "at_ms" | "of_day_ms">;

function decide(rules: ModeRules, state: ModeState, now: Moment): Decision {
  const { at_ms } = now;
  if (state.drill !== undefined) return { mode: "forced", reasons: [`drill by ${state.drill.by}`] };
  if (state.pbxs.length === 0) return { mode: "survivable", reasons: ["no cloud PBX is configured"] };
  const why = state.pbxs.map((pbx) => `${pbx.id} is ${pbx.state}${pbx.detail === "" ? "" : `: ${pbx.detail}`}`);
  const { reachable_since_ms } = state;
  if (reachable_since_ms === undefined) {
    if (state.mode !== "normal") return { mode: "survivable", reasons: why };
    // In doubt phones stay with the cloud: what it does not answer the registrar and 911 handle one by one.
    if (state.pbxs.some((pbx) => pbx.state === "suspect")) return { mode: "normal", reasons: why };
    const settled_ms = state.started_ms + rules.settle_ms;
    const unheard = state.pbxs.some((pbx) => pbx.state === "unknown");
    if (unheard && at_ms < settled_ms) return { mode: "normal", reasons: why, wake_at_ms: settled_ms };
    return { mode: "survivable", reasons: why };
  }
  const good = state.pbxs.filter(reachable).map((pbx) => `${pbx.id} can be reached`);
  if (state.mode === "normal") return { mode: "normal", reasons: good };
  // A drill ends where it began when nothing has happened meanwhile: the PBX was good all along.
  const home_ms = reachable_since_ms + returnHold(rules, state.flaps);
  if (at_ms < home_ms) {
    const left_s = Math.ceil((home_ms - at_ms) / 1000);
    return { mode: "recovering", reasons: [...good, `watched for ${left_s} s more`], wake_at_ms: home_ms };
  }
  if (state.busy_with_911) {
    return { mode: "recovering", reasons: [...good, "a 911 call or its callback window is not over"] };
  }
  const wait = state.outage
    ? returnWait(rules.policy, { busy: state.busy_with_calls, stable_ms: at_ms - home_ms, of_day_ms: now.of_day_ms })
    : undefined;
  if (wait !== undefined) {
    const { reason, wake_in_ms } = wait;
    return {
      mode: "recovering",
      reasons: [...good, reason],
      ...(wake_in_ms === undefined ? {} : { wake_at_ms: at_ms + wake_in_ms }),
    };
  }
  return { mode: "normal", reasons: good };
}
