import type { ModemState } from "../base/events.ts";
import { go, type Transition } from "../base/fsm.ts";
import type { Registration } from "./parse/registration.ts";

/**
 * What is believed of one modem. It is `missing` until its port opens, `identifying` until it has said what it is,
 * then what the network says. Three timeouts in a row mean that it hangs: `failed`, and it is reset, at growing
 * intervals, until it answers. A modem that is `failed` stays so until it has said again what it is.
 */
export interface ModemBelief {
  readonly state: ModemState;
  /** Why, for people. */
  readonly reason: string;
  /** Commands in a row that were not answered. */
  readonly timeouts: number;
  /** Resets in a row that did not help. */
  readonly resets: number;
}

export type ModemInput =
  | { readonly type: "opened" }
  | { readonly type: "lost"; readonly why: string }
  /** A command had a result, good or bad. */
  | { readonly type: "answered" }
  | { readonly type: "timed_out" }
  | { readonly type: "identified" }
  /** It started again by itself and has forgotten what it was told. */
  | { readonly type: "restarted" }
  | { readonly type: "sim_fault"; readonly why: string }
  | { readonly type: "registration"; readonly of: readonly Registration[] };

export type ModemEffect =
  /** Tell it how to talk and ask what it is. */
  | { readonly type: "identify" }
  /** Ask for registration and signal, now and from time to time. */
  | { readonly type: "poll" }
  | { readonly type: "stop" }
  /** Tell it to start anew, and open the port again after that time. */
  | { readonly type: "reset"; readonly reopen_after_ms: number };

export const MODEM_START: ModemBelief = { state: "missing", reason: "not opened yet", timeouts: 0, resets: 0 };

const TIMEOUTS_TO_RESET = 3;
const FIRST_RESET_MS = 10_000;
const LONGEST_RESET_MS = 300_000;

export function modemMachine(belief: ModemBelief, input: ModemInput): Transition<ModemBelief, ModemEffect> {
  switch (input.type) {
    case "opened":
      if (belief.state === "failed") return go({ ...belief, timeouts: 0 }, { type: "identify" });
      return go({ ...belief, state: "identifying", reason: "", timeouts: 0 }, { type: "identify" });
    case "lost":
      return go({ ...MODEM_START, reason: input.why }, { type: "stop" });
    case "answered":
      return go({ ...belief, timeouts: 0 });
    case "timed_out":
      return timedOut(belief);
    case "identified":
      return go({ state: "searching", reason: "", timeouts: 0, resets: 0 }, { type: "poll" });
    case "restarted":
      if (belief.state === "missing") return go(belief);
      return go(
        { ...belief, state: "identifying", reason: "it has just started", timeouts: 0 },
        { type: "stop" },
        { type: "identify" },
      );
    case "sim_fault":
      return listening(belief) ? go({ ...belief, state: "failed", reason: input.why }) : go(belief);
    case "registration":
      return listening(belief) ? go({ ...belief, ...registered(input.of) }) : go(belief);
  }
}

/** The network's word counts only of a modem that has been identified since it was opened. */
function listening({ state, resets }: ModemBelief): boolean {
  return state !== "missing" && state !== "identifying" && resets === 0;
}

function timedOut(belief: ModemBelief): Transition<ModemBelief, ModemEffect> {
  if (belief.state === "missing") return go(belief);
  const timeouts = belief.timeouts + 1;
  if (timeouts < TIMEOUTS_TO_RESET) return go({ ...belief, timeouts });
  const reopen_after_ms = Math.min(FIRST_RESET_MS * 2 ** Math.min(belief.resets, 10), LONGEST_RESET_MS);
  return go<ModemBelief, ModemEffect>(
    { state: "failed", reason: "it does not answer", timeouts: 0, resets: belief.resets + 1 },
    { type: "stop" },
    { type: "reset", reopen_after_ms },
  );
}

/** A modem asks in several domains (CREG, CEREG); being served in one of them is being served. */
function registered(of: readonly Registration[]): Pick<ModemBelief, "state" | "reason"> {
  if (of.includes("home")) return { state: "registered", reason: "" };
  if (of.includes("roaming")) return { state: "registered", reason: "roaming" };
  if (of.includes("denied")) return { state: "denied", reason: "the network denies registration" };
  if (of.includes("emergency_only")) return { state: "denied", reason: "the network takes emergency calls only" };
  if (of.includes("searching")) return { state: "searching", reason: "" };
  return { state: "searching", reason: "it does not look for a network" };
}
