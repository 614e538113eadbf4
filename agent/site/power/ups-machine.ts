import { go, type Transition } from "../../base/fsm.ts";

/**
 * What is believed of one UPS. A change is believed when two readings in a row say it; readings that cannot be read
 * say nothing; after 15 s without a readable one nothing is known any more. The first readable one after that that
 * says "on line" is believed at once.
 */
export type UpsVerdict = "online" | "on_battery" | "low_battery" | "unknown";

export const SILENCE_MS = 15_000;
const AGREEING_READINGS = 2;

export interface UpsState {
  readonly verdict: UpsVerdict;
  /** What the last readings say, where that differs from the verdict, and how many of them in a row. */
  readonly candidate: UpsVerdict;
  readonly agreeing: number;
}

export type UpsInput =
  | { readonly type: "reading"; readonly utility_fail: boolean; readonly battery_low: boolean }
  | { readonly type: "silence_timeout" };

export type UpsEffect =
  /** Starts the timeout of {@link SILENCE_MS} anew. */
  | { readonly type: "await_reading" }
  /** Nothing readable came for that long: the line may be broken, so it is worth opening it again. */
  | { readonly type: "silent" }
  | { readonly type: "verdict"; readonly from: UpsVerdict; readonly to: UpsVerdict };

export const UPS_START: UpsState = { verdict: "unknown", candidate: "unknown", agreeing: 0 };

export function upsMachine(state: UpsState, input: UpsInput): Transition<UpsState, UpsEffect> {
  if (input.type === "silence_timeout") {
    const effects: UpsEffect[] = [{ type: "silent" }, { type: "await_reading" }];
    if (state.verdict !== "unknown") effects.unshift({ type: "verdict", from: state.verdict, to: "unknown" });
    return go(UPS_START, ...effects);
  }
  const awaiting = { type: "await_reading" } as const;
  const says = verdictOf(input);
  if (says === state.verdict) return go({ verdict: says, candidate: says, agreeing: 0 }, awaiting);
  const agreeing = says === state.candidate ? state.agreeing + 1 : 1;
  const known = state.verdict === "unknown" && says === "online";
  if (!known && agreeing < AGREEING_READINGS) return go({ ...state, candidate: says, agreeing }, awaiting);
  const news = { type: "verdict", from: state.verdict, to: says } as const;
  return go<UpsState, UpsEffect>({ verdict: says, candidate: says, agreeing: 0 }, awaiting, news);
}

/** A battery that is low while the mains are there is being charged, or old: it is not what the box runs on. */
function verdictOf({ utility_fail, battery_low }: { utility_fail: boolean; battery_low: boolean }): UpsVerdict {
  if (!utility_fail) return "online";
  return battery_low ? "low_battery" : "on_battery";
}
