import type { Evidence, HealthState } from "../../base/events.ts";
import { go, type Transition } from "../../base/fsm.ts";

/**
 * The verdict on one path, as a pure machine. A *witness* is whoever can show that the path works: an echo responder, a
 * DNS server beyond the gateway, a TCP canary, a trunk. Silence of one opens an *episode*: everybody is asked at once,
 * and the first sign of life ends it. Down fast, back slowly: after an outage the path must be good for the hold-down,
 * doubled on each flap. Without evidence a path is unknown, never up.
 */
export interface VerdictRules {
  /**
   * No sign of life this long after the asking began: suspect. `urgent` when a call waits, `quiet` otherwise; a path
   * whose round trip is longer gets that and 100 ms.
   */
  readonly suspect_after_ms: { readonly urgent: number; readonly quiet: number };
  /** No sign of life this long after the asking began, without an echo responder: down. */
  readonly confirm_after_ms: number;
  readonly hold_down_ms: number;
  readonly hold_down_max_ms: number;
  /** A path nobody has heard anything of for so long is unknown. */
  readonly stale_after_ms: number;
  /** Loss per exchange at which the path is degraded, and below which it no longer is, percent. */
  readonly degraded_loss_percent: readonly [number, number];
  /** Round trip likewise, ms. */
  readonly degraded_rtt_ms: readonly [number, number];
}

/**
 * 5 % loss each way is 9.75 % per exchange; over the 120 exchanges that loss is measured on, its standard deviation is
 * 2.7 %, so 20 % is 3.8 of them away and ordinary bad luck does not make a path degraded.
 */
export const DEFAULT_RULES: Omit<VerdictRules, "hold_down_ms" | "hold_down_max_ms" | "stale_after_ms"> = {
  suspect_after_ms: { urgent: 250, quiet: 250 },
  confirm_after_ms: 3_500,
  degraded_loss_percent: [20, 12],
  degraded_rtt_ms: [400, 300],
};

export interface Witness {
  /** The site named it to be believed alone (an echo responder). */
  readonly decisive: boolean;
  readonly last_alive_ms: number;
  /** Times it was silent while another witness spoke, since it last spoke itself. */
  readonly blamed: number;
  /** Silent while others spoke, too often: its silence says nothing until it has spoken this many times. */
  readonly distrusted: number;
}

export interface Episode {
  readonly reason: string;
  /** Signs of life sent before this time prove nothing. */
  readonly since_ms: number;
  readonly suspect_at_ms: number;
  /** Decisive witnesses whose silence was reported in it. */
  readonly silent: readonly string[];
  /** Whoever left unanswered what was sent since it began. One who was not asked is not in it. */
  readonly unanswered: readonly string[];
}

export interface Verdict {
  readonly state: HealthState;
  readonly since_ms: number;
  /** Latest evidence by key (a witness, `carrier`, `route`, …). */
  readonly evidence: ReadonlyMap<string, Evidence>;
  /** False: the machine knows that no packet can leave. Undefined: it cannot tell. */
  readonly link: boolean | undefined;
  readonly witnesses: ReadonlyMap<string, Witness>;
  readonly episode: Episode | undefined;
  /** While down by silence alone: what was asked between these times and is answered after all shows that it was wrong. */
  readonly condemned: { readonly since_ms: number; readonly at_ms: number; readonly flaps: number } | undefined;
  /** While down: signs of life without an episode lost since then. */
  readonly good_since_ms: number | undefined;
  /** How long it had been good when it last came back: its hold-down, which others need not wait out again. */
  readonly held_ms: number | undefined;
  readonly last_alive_ms: number | undefined;
  readonly flaps: number;
  /** When it last came back from down. */
  readonly returned_ms: number | undefined;
  /** Loses or delays too much. */
  readonly poor: boolean;
  /** While poor: since when it no longer loses or delays too much. */
  readonly calm_since_ms: number | undefined;
  /** SIP passes and sound does not. */
  readonly dead_media: boolean;
  readonly rtt_ms: number | undefined;
}

export type VerdictTimer = "suspect" | "confirm" | "hold_down" | "retry" | "stale";

interface Stamp {
  readonly at_ms: number;
  readonly at_wall: number;
}

export type VerdictInput = Stamp &
  (
    | {
        readonly kind: "link";
        /** Evidence: carrier, address, route. */
        readonly source: string;
        readonly usable: boolean | undefined;
        readonly detail: string;
      }
    /** Something worth showing that decides nothing, such as the gateway's neighbour state. */
    | { readonly kind: "note"; readonly source: string; readonly verdict: Evidence["verdict"]; readonly detail: string }
    | {
        readonly kind: "alive";
        readonly witness: string;
        readonly source: string;
        readonly decisive: boolean;
        /** When what was answered had been sent. */
        readonly sent_ms: number;
        readonly detail: string;
      }
    | {
        readonly kind: "silent";
        readonly witness: string;
        readonly source: string;
        readonly decisive: boolean;
        readonly sent_ms: number;
        readonly detail: string;
      }
    | { readonly kind: "suspect"; readonly reason: string }
    /** The confirming probes to the decisive witnesses have all been sent and none was answered in its time. */
    | { readonly kind: "burst_over"; readonly detail: string }
    | {
        readonly kind: "quality";
        /** Per exchange. */
        readonly loss_percent: number | undefined;
        readonly rtt_ms: number | undefined;
        /** Why sound counts as dead on this path; undefined: it does not. */
        readonly dead_media?: string | undefined;
      }
    | { readonly kind: "timeout"; readonly timer: VerdictTimer }
    /** The local address changed: what was learned was learned with another one. */
    | { readonly kind: "readdressed"; readonly detail: string }
  );

export type VerdictEffect =
  /** Ask every witness now. `urgent`: a call waits for the answer. */
  | { readonly do: "ask"; readonly urgent: boolean; readonly reason: string }
  | { readonly do: "stop_asking" }
  | { readonly do: "timer"; readonly timer: VerdictTimer; readonly at_ms: number }
  | { readonly do: "cancel"; readonly timer: VerdictTimer }
  | { readonly do: "changed"; readonly from: HealthState; readonly to: HealthState };

type Step = Transition<Verdict, VerdictEffect>;

/** Silences while others spoke before a decisive witness is no longer believed, and answers until it is again. */
const BLAMES = 3;
const REGAIN = 20;
/** A path that was poor has been good so long before it is called good: what swings does not flicker. */
const CALM_MS = 10_000;
/** A witness counts as one for so long after it last spoke. */
const WITNESS_MEMORY_MS = 600_000;
const EVIDENCE_LIMIT = 16;
const ACQUITTED_WITHIN_MS = 3_000;
/** A path that is down is asked again so often, also where probes in quiet times are rare. */
const RETRY_MS = 60_000;

export function initialVerdict(at_ms: number): Verdict {
  return {
    state: "unknown",
    since_ms: at_ms,
    evidence: new Map(),
    link: undefined,
    witnesses: new Map(),
    episode: undefined,
    condemned: undefined,
    good_since_ms: undefined,
    held_ms: undefined,
    last_alive_ms: undefined,
    flaps: 0,
    returned_ms: undefined,
    poor: false,
    calm_since_ms: undefined,
    dead_media: false,
    rtt_ms: undefined,
  };
}

export function verdictMachine(rules: VerdictRules) {
  return (verdict: Verdict, input: VerdictInput): Step => step(rules, verdict, input);
}

/** How long a path that is down must be good before it counts again, ms. */
export function holdDown(rules: VerdictRules, flaps: number): number {
  return Math.min(rules.hold_down_ms * 2 ** flaps, rules.hold_down_max_ms);
}

function step(rules: VerdictRules, verdict: Verdict, input: VerdictInput): Step {
  switch (input.kind) {
    case "link":
      return onLink(rules, verdict, input);
    case "note":
      return go(noted(verdict, input.source, input.source, input.verdict, input.detail, input.at_wall));
    case "alive":
      return onAlive(rules, verdict, input);
    case "silent":
      return onSilent(rules, verdict, input);
    case "suspect":
      return verdict.link === false
        ? go(verdict)
        : open(rules, verdict, input.reason, input.at_ms, true, undefined, input);
    case "burst_over":
      return onBurstOver(rules, verdict, input);
    case "quality":
      return onQuality(rules, verdict, input);
    case "timeout":
      return onTimeout(rules, verdict, input);
    case "readdressed": {
      const fresh = { ...initialVerdict(input.at_ms), flaps: verdict.flaps, returned_ms: verdict.returned_ms };
      const kept: Verdict = { ...fresh, link: verdict.link, state: verdict.state, since_ms: verdict.since_ms };
      return enter(kept, verdict.state === "down" ? "down" : "unknown", input.at_ms, { do: "stop_asking" });
    }
  }
}

function onLink(rules: VerdictRules, verdict: Verdict, input: VerdictInput & { kind: "link" }): Step {
  const judged = input.usable === undefined ? "unknown" : input.usable ? "good" : "bad";
  const next: Verdict = {
    ...noted(verdict, "link", input.source, judged, input.detail, input.at_wall),
    link: input.usable,
  };
  if (input.usable === false) return down(rules, next, input.at_ms);
  if (verdict.link !== false) return go(next);
  // The link is back. Whoever was never heard is unknown again; others must prove themselves through the hold-down.
  const ask: VerdictEffect = { do: "ask", urgent: false, reason: input.detail };
  if (next.last_alive_ms === undefined) return enter(next, "unknown", input.at_ms, ask);
  return go(next, ask);
}

function onAlive(rules: VerdictRules, verdict: Verdict, input: VerdictInput & { kind: "alive" }): Step {
  const { at_ms, at_wall } = input;
  const old = verdict.witnesses.get(input.witness);
  const witness: Witness = {
    decisive: input.decisive,
    last_alive_ms: at_ms,
    blamed: 0,
    distrusted: Math.max(0, (old?.distrusted ?? 0) - 1),
  };
  let next = noted(verdict, input.witness, input.source, "good", input.detail, at_wall);
  next = { ...next, last_alive_ms: at_ms, witnesses: new Map(next.witnesses).set(input.witness, witness) };
  // A packet that left before the link was lost proves nothing about now.
  if (next.link === false) return go(next);
  const effects: VerdictEffect[] = [];
  if (verdict.last_alive_ms === undefined || verdict.state === "unknown") {
    effects.push({ do: "timer", timer: "stale", at_ms: at_ms + rules.stale_after_ms });
  }
  if (next.episode !== undefined) {
    if (input.sent_ms < next.episode.since_ms) return go(next, ...effects);
    next = { ...blame(next, input.witness, at_wall), episode: undefined };
    effects.push({ do: "stop_asking" }, { do: "cancel", timer: "suspect" }, { do: "cancel", timer: "confirm" });
  }
  if (next.state === "down" && wasWrong(verdict, input)) {
    // It was slow, not dead: no hold-down, and no flap.
    const { flaps } = verdict.condemned ?? next;
    next = { ...next, flaps, good_since_ms: undefined, returned_ms: at_ms, held_ms: rules.hold_down_max_ms };
    effects.push({ do: "cancel", timer: "hold_down" });
  } else if (next.state === "down") {
    const good_since_ms = next.good_since_ms ?? at_ms;
    const until = good_since_ms + holdDown(rules, next.flaps);
    next = { ...next, good_since_ms };
    if (at_ms < until) return go(next, ...effects, { do: "timer", timer: "hold_down", at_ms: until });
    next = { ...next, good_since_ms: undefined, returned_ms: at_ms, held_ms: at_ms - good_since_ms };
    effects.push({ do: "cancel", timer: "hold_down" });
  }
  return enter(next, goodState(next), at_ms, ...effects);
}

/**
 * Packets that a full queue held back come late, but they come. Only echo responders can tell: what they are asked is sent
 * once, while SIP and TCP repeat, and a late answer there may be to a packet that was sent after an outage.
 */
function wasWrong({ condemned }: Verdict, { decisive, sent_ms, at_ms }: VerdictInput & { kind: "alive" }): boolean {
  if (!decisive || condemned === undefined || at_ms - condemned.at_ms > ACQUITTED_WITHIN_MS) return false;
  return sent_ms >= condemned.since_ms && sent_ms < condemned.at_ms;
}

function onSilent(rules: VerdictRules, verdict: Verdict, input: VerdictInput & { kind: "silent" }): Step {
  const next = noted(verdict, input.witness, input.source, "bad", input.detail, input.at_wall);
  if (next.link === false) return go(next);
  const witness = next.witnesses.get(input.witness);
  // Who never spoke, or is no longer believed, cannot testify by silence.
  if (witness === undefined || witness.distrusted > 0) return go(next);
  if (next.state === "down" && next.good_since_ms === undefined) return go(next);
  const decisive = input.decisive ? input.witness : undefined;
  return unanswered(open(rules, next, input.detail, input.sent_ms, false, decisive, input), input);
}

function unanswered({ state, effects }: Step, { witness, sent_ms }: { witness: string; sent_ms: number }): Step {
  const { episode } = state;
  if (episode === undefined || sent_ms < episode.since_ms || episode.unanswered.includes(witness)) {
    return { state, effects };
  }
  return { state: { ...state, episode: { ...episode, unanswered: [...episode.unanswered, witness] } }, effects };
}

function open(
  rules: VerdictRules,
  verdict: Verdict,
  reason: string,
  since_ms: number,
  urgent: boolean,
  silent: string | undefined,
  { at_ms }: Stamp,
): Step {
  const { urgent: soon, quiet } = rules.suspect_after_ms;
  const suspect_at_ms = at_ms + Math.max(urgent ? soon : quiet, (verdict.rtt_ms ?? 0) + 100);
  if (verdict.episode === undefined) {
    return go(
      {
        ...verdict,
        episode: {
          reason,
          since_ms,
          suspect_at_ms,
          silent: silent === undefined ? [] : [silent],
          unanswered: [],
        },
      },
      { do: "ask", urgent, reason },
      { do: "timer", timer: "suspect", at_ms: suspect_at_ms },
      { do: "timer", timer: "confirm", at_ms: at_ms + rules.confirm_after_ms },
    );
  }
  const { episode } = verdict;
  const known = silent === undefined || episode.silent.includes(silent);
  const next: Episode = {
    ...episode,
    silent: known ? episode.silent : [...episode.silent, silent],
    suspect_at_ms: Math.min(episode.suspect_at_ms, suspect_at_ms),
  };
  if (!urgent) return go({ ...verdict, episode: next });
  return go(
    { ...verdict, episode: next },
    { do: "ask", urgent, reason },
    ...(suspect_at_ms < episode.suspect_at_ms
      ? [{ do: "timer", timer: "suspect", at_ms: suspect_at_ms } as const]
      : []),
  );
}

/** Somebody spoke while decisive witnesses were silent: it is they who are in doubt, not the path. */
function blame(verdict: Verdict, speaker: string, at_wall: number): Verdict {
  const silent = verdict.episode?.silent ?? [];
  if (verdict.witnesses.get(speaker)?.decisive === true || silent.length === 0) return verdict;
  let next = verdict;
  for (const name of silent) {
    const witness = next.witnesses.get(name);
    if (witness === undefined) continue;
    const blamed = witness.blamed + 1;
    const lost = blamed >= BLAMES;
    next = {
      ...next,
      witnesses: new Map(next.witnesses).set(name, { ...witness, blamed, distrusted: lost ? REGAIN : 0 }),
    };
    if (lost) next = noted(next, name, "echo", "bad", `${name} is silent while ${speaker} answers`, at_wall);
  }
  return next;
}

function onBurstOver(rules: VerdictRules, verdict: Verdict, input: VerdictInput & { kind: "burst_over" }): Step {
  if (verdict.episode === undefined) return go(verdict);
  const believed = [...verdict.witnesses.values()].some((witness) => witness.decisive && witness.distrusted === 0);
  if (!believed) return go(verdict);
  return condemn(rules, noted(verdict, "echo", "echo", "bad", input.detail, input.at_wall), input.at_ms);
}

/** Down by silence: nobody knows that no packet can leave. */
function condemn(rules: VerdictRules, verdict: Verdict, at_ms: number): Step {
  const since_ms = verdict.episode?.since_ms ?? at_ms;
  const { state, effects } = down(rules, verdict, at_ms);
  if (verdict.state === "down") return go(state, ...effects);
  return go({ ...state, condemned: { since_ms, at_ms, flaps: verdict.flaps } }, ...effects);
}

function onQuality(rules: VerdictRules, verdict: Verdict, input: VerdictInput & { kind: "quality" }): Step {
  // Loss while nothing gets through is no property of the path that will come back.
  if (verdict.state === "down") return go(verdict);
  const over = (value: number | undefined, [enter, leave]: readonly [number, number]) =>
    value !== undefined && value >= (verdict.poor ? leave : enter);
  const bad = over(input.loss_percent, rules.degraded_loss_percent) || over(input.rtt_ms, rules.degraded_rtt_ms);
  const calm_since_ms = bad || !verdict.poor ? undefined : (verdict.calm_since_ms ?? input.at_ms);
  const poor = bad || (calm_since_ms !== undefined && input.at_ms - calm_since_ms < CALM_MS);
  const dead_media = input.dead_media !== undefined;
  let next: Verdict = { ...verdict, poor, calm_since_ms, dead_media, rtt_ms: input.rtt_ms };
  if (dead_media !== verdict.dead_media) {
    const detail = input.dead_media ?? "sound passes again, or nobody tried lately";
    next = noted(next, "media", "media", dead_media ? "bad" : "unknown", detail, input.at_wall);
  }
  if (poor !== verdict.poor) {
    const detail = `loss ${Math.round(input.loss_percent ?? 0)} %, round trip ${Math.round(input.rtt_ms ?? 0)} ms`;
    next = noted(next, "quality", "echo", poor ? "bad" : "good", detail, input.at_wall);
  }
  if (next.state !== "up" && next.state !== "degraded") return go(next);
  return enter(next, goodState(next), input.at_ms);
}

const goodState = ({ poor, dead_media }: Verdict) => (poor || dead_media ? "degraded" : "up");

function onTimeout(rules: VerdictRules, verdict: Verdict, input: VerdictInput & { kind: "timeout" }): Step {
  const { at_ms } = input;
  switch (input.timer) {
    case "suspect":
      if (verdict.episode === undefined || verdict.state === "down") return go(verdict);
      return enter(because(verdict, verdict.episode, input.at_wall), "suspect", at_ms);
    case "confirm": {
      if (verdict.episode === undefined) return go(verdict);
      // What is down comes back by an unbroken hold-down: there one voice that fails is enough.
      if (verdict.state === "down") return down(rules, verdict, at_ms);
      // Only who was asked can be missed: the probes of a trunk are capped.
      const { unanswered: asked } = verdict.episode;
      const heard = [...verdict.witnesses].flatMap(([name, witness]) =>
        asked.includes(name) && at_ms - witness.last_alive_ms < WITNESS_MEMORY_MS && witness.distrusted === 0
          ? [witness]
          : [],
      );
      if (heard.length >= 2 || heard.some((witness) => witness.decisive)) return condemn(rules, verdict, at_ms);
      // One voice alone may have fallen silent for reasons of its own, so the path stays under suspicion.
      return go({ ...verdict, episode: undefined }, { do: "stop_asking" });
    }
    case "hold_down":
      return go(verdict, { do: "ask", urgent: false, reason: "hold-down over" });
    case "retry":
      if (verdict.state !== "down") return go(verdict);
      return go(
        verdict,
        ...(verdict.link === false ? [] : [{ do: "ask", urgent: false, reason: "still down?" } as const]),
        { do: "timer", timer: "retry", at_ms: at_ms + RETRY_MS },
      );
    case "stale": {
      const due = (verdict.last_alive_ms ?? at_ms) + rules.stale_after_ms;
      if (at_ms < due) return go(verdict, { do: "timer", timer: "stale", at_ms: due });
      if (verdict.state === "down") return go(verdict);
      return enter({ ...verdict, episode: undefined }, "unknown", at_ms, { do: "stop_asking" });
    }
  }
}

function because(verdict: Verdict, episode: Episode, at_wall: number): Verdict {
  return noted(verdict, "episode", "probe", "bad", `${episode.reason}; no sign of life since`, at_wall);
}

function down(rules: VerdictRules, verdict: Verdict, at_ms: number): Step {
  const quiet: VerdictEffect[] = [
    { do: "stop_asking" },
    { do: "cancel", timer: "suspect" },
    { do: "cancel", timer: "confirm" },
    { do: "cancel", timer: "hold_down" },
  ];
  const next: Verdict = {
    ...verdict,
    episode: undefined,
    condemned: undefined,
    good_since_ms: undefined,
    poor: false,
    calm_since_ms: undefined,
    dead_media: false,
  };
  if (verdict.state === "down") return go(next, ...quiet);
  const soon = verdict.returned_ms !== undefined && at_ms - verdict.returned_ms < rules.hold_down_max_ms;
  const retry: VerdictEffect = { do: "timer", timer: "retry", at_ms: at_ms + RETRY_MS };
  return enter({ ...next, flaps: soon ? verdict.flaps + 1 : 0 }, "down", at_ms, ...quiet, retry);
}

function enter(verdict: Verdict, to: HealthState, at_ms: number, ...effects: VerdictEffect[]): Step {
  const from = verdict.state;
  if (from === to) return go(verdict, ...effects);
  const evidence = new Map(verdict.evidence);
  if (to === "up" || to === "degraded") evidence.delete("episode");
  return go({ ...verdict, evidence, state: to, since_ms: at_ms }, ...effects, { do: "changed", from, to });
}

function noted(
  verdict: Verdict,
  key: string,
  source: string,
  judged: Evidence["verdict"],
  detail: string,
  at_wall: number,
): Verdict {
  const evidence = new Map(verdict.evidence);
  evidence.set(key, { source, verdict: judged, detail, at_wall });
  for (const oldest of evidence.keys()) {
    if (evidence.size <= EVIDENCE_LIMIT) break;
    if (oldest !== "link") evidence.delete(oldest);
  }
  return { ...verdict, evidence };
}
