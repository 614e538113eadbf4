import type { Evidence, HealthState } from "../../base/events.ts";
import { go, type Transition } from "../../base/fsm.ts";

/**
 * The verdict on one trunk, as a pure machine. Any SIP response shows that the peer lives, 4xx included; 503 and 429
 * say that it refuses work. Silence or refusal opens an episode with a burst of OPTIONS; the path is asked by its own
 * witnesses at the same time, and when those answer the trunk is to blame. Over a path that is down every trunk is.
 */
export interface TrunkVerdict {
  readonly state: HealthState;
  readonly since_ms: number;
  readonly evidence: ReadonlyMap<string, Evidence>;
  readonly path_down: boolean;
  readonly episode: TrunkEpisode | undefined;
  readonly last_alive_ms: number | undefined;
}

export interface TrunkEpisode {
  readonly since_ms: number;
  readonly reason: string;
  /** It began with more than a suspicion or one unanswered call: silence now counts although nothing more is asked. */
  readonly founded: boolean;
}

export type TrunkTimer = "suspect" | "down" | "stale";

interface Stamp {
  readonly at_ms: number;
  readonly at_wall: number;
}

export type TrunkInput = Stamp &
  (
    | {
        readonly kind: "response";
        /** `options`, `register`, `invite`. */
        readonly source: string;
        readonly status: number;
        readonly sent_ms: number;
        readonly detail: string;
      }
    | { readonly kind: "silent"; readonly source: string; readonly sent_ms: number; readonly detail: string }
    /** The kernel would not send, or the connection broke. */
    | { readonly kind: "unsendable"; readonly source: string; readonly detail: string }
    /** `urgent`: a call waits for the answer. */
    | { readonly kind: "doubt"; readonly reason: string; readonly urgent: boolean }
    /** Worth showing, and decides nothing. */
    | { readonly kind: "note"; readonly source: string; readonly verdict: Evidence["verdict"]; readonly detail: string }
    /** The burst was not sent: no question, so no silence. */
    | { readonly kind: "unasked" }
    | { readonly kind: "path"; readonly down: boolean; readonly detail: string }
    | { readonly kind: "timeout"; readonly timer: TrunkTimer }
  );

export type TrunkEffect =
  /** A few OPTIONS in quick succession. */
  | { readonly do: "burst"; readonly reason: string; readonly urgent: boolean; readonly founded: boolean }
  /** One OPTIONS soon, spread over the boxes: the path is back. */
  | { readonly do: "greet" }
  | { readonly do: "timer"; readonly timer: TrunkTimer; readonly at_ms: number }
  | { readonly do: "cancel"; readonly timer: TrunkTimer }
  | { readonly do: "changed"; readonly from: HealthState; readonly to: HealthState };

export interface TrunkRules {
  /** No answer this long after the burst began: suspect, down. With up to 1 s until silence is noticed: within 5 s. */
  readonly suspect_after_ms: number;
  readonly down_after_ms: number;
  readonly stale_after_ms: number;
}

type Step = Transition<TrunkVerdict, TrunkEffect>;

/** Statuses that mean: alive, but not for you now (RFC 3261 §21.5.4; 429 as HTTP-minded peers use it). */
const REFUSALS = new Set([429, 503]);

export function isRefusal(status: number): boolean {
  return REFUSALS.has(status);
}

export function initialTrunkVerdict(at_ms: number): TrunkVerdict {
  return {
    state: "unknown",
    since_ms: at_ms,
    evidence: new Map(),
    path_down: false,
    episode: undefined,
    last_alive_ms: undefined,
  };
}

export function trunkMachine(rules: TrunkRules) {
  return (verdict: TrunkVerdict, input: TrunkInput): Step => step(rules, verdict, input);
}

function step(rules: TrunkRules, verdict: TrunkVerdict, input: TrunkInput): Step {
  const { at_ms } = input;
  switch (input.kind) {
    case "response": {
      if (isRefusal(input.status)) {
        const next = noted(verdict, input.source, "bad", input.detail, input);
        return verdict.path_down ? go(next) : open(rules, next, input.detail, input.sent_ms, at_ms);
      }
      const next = { ...noted(verdict, input.source, "good", input.detail, input), last_alive_ms: at_ms };
      // What was sent before the doubt began, or by a path that is still held down, does not end it.
      if (verdict.path_down) return go(next);
      if (verdict.episode !== undefined && input.sent_ms < verdict.episode.since_ms) return go(next);
      return enter({ ...next, episode: undefined }, "up", at_ms, ...quiet, {
        do: "timer",
        timer: "stale",
        at_ms: at_ms + rules.stale_after_ms,
      });
    }
    case "silent": {
      const next = noted(verdict, input.source, "bad", input.detail, input);
      const founded = input.source === "options";
      return verdict.path_down ? go(next) : open(rules, next, input.detail, input.sent_ms, at_ms, { founded });
    }
    case "unsendable": {
      const next = noted(verdict, input.source, "bad", input.detail, input);
      if (verdict.path_down) return go(next);
      const opened = open(rules, next, input.detail, at_ms, at_ms);
      if (verdict.state === "down") return opened;
      const suspected = enter(opened.state, "suspect", at_ms);
      return go(suspected.state, ...opened.effects, ...suspected.effects);
    }
    case "doubt":
      return verdict.path_down
        ? go(verdict)
        : open(rules, verdict, input.reason, at_ms, at_ms, { founded: false, urgent: input.urgent });
    case "note":
      return go(noted(verdict, input.source, input.verdict, input.detail, input));
    case "unasked":
      return verdict.episode === undefined || verdict.episode.founded
        ? go(verdict)
        : go({ ...verdict, episode: undefined }, ...quiet);
    case "path": {
      if (input.down === verdict.path_down) return go(verdict);
      const judged = input.down ? "bad" : "good";
      const next = {
        ...noted(verdict, "path", judged, input.detail, input),
        path_down: input.down,
        episode: undefined,
      };
      if (input.down) return enter(next, "down", at_ms, ...quiet);
      return enter(next, "unknown", at_ms, { do: "greet" });
    }
    case "timeout":
      return onTimeout(rules, verdict, input);
  }
}

const quiet: readonly TrunkEffect[] = [
  { do: "cancel", timer: "suspect" },
  { do: "cancel", timer: "down" },
];

function open(
  rules: TrunkRules,
  verdict: TrunkVerdict,
  reason: string,
  since_ms: number,
  at_ms: number,
  { founded = true, urgent = false } = {},
): Step {
  // One that is down is asked at the ordinary pace until it answers.
  if (verdict.episode !== undefined || verdict.state === "down") return go(verdict);
  return go(
    { ...verdict, episode: { since_ms, reason, founded } },
    { do: "burst", reason, urgent, founded },
    { do: "timer", timer: "suspect", at_ms: at_ms + rules.suspect_after_ms },
    { do: "timer", timer: "down", at_ms: at_ms + rules.down_after_ms },
  );
}

function onTimeout(rules: TrunkRules, verdict: TrunkVerdict, input: TrunkInput & { kind: "timeout" }): Step {
  const { at_ms } = input;
  switch (input.timer) {
    case "suspect":
      return verdict.episode === undefined ? go(verdict) : enter(verdict, "suspect", at_ms);
    case "down":
      if (verdict.episode === undefined) return go(verdict);
      return enter({ ...verdict, episode: undefined }, "down", at_ms, ...quiet);
    case "stale": {
      const due = (verdict.last_alive_ms ?? at_ms) + rules.stale_after_ms;
      if (at_ms < due) return go(verdict, { do: "timer", timer: "stale", at_ms: due });
      return verdict.state === "down"
        ? go(verdict)
        : enter({ ...verdict, episode: undefined }, "unknown", at_ms, ...quiet);
    }
  }
}

function enter(verdict: TrunkVerdict, to: HealthState, at_ms: number, ...effects: readonly TrunkEffect[]): Step {
  const from = verdict.state;
  if (from === to) return go(verdict, ...effects);
  return go({ ...verdict, state: to, since_ms: at_ms }, ...effects, { do: "changed", from, to });
}

function noted(
  verdict: TrunkVerdict,
  source: string,
  judged: Evidence["verdict"],
  detail: string,
  { at_wall }: Stamp,
): TrunkVerdict {
  const evidence = new Map(verdict.evidence).set(source, { source, verdict: judged, detail, at_wall });
  return { ...verdict, evidence };
}
