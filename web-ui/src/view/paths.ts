import type { Evidence } from "../../../agent/base/events.ts";
import type { EngineStatus, HostStatus, PathStatus, StatusDocument, TrunkStatus } from "../../../agent/base/status.ts";
import type { At } from "./page-view.ts";
import { type EngineOr, HEALTH_TONE, type Known, known, sinceText, type Tone, type UnknownSince } from "./text.ts";

export interface EvidenceRow {
  readonly key: string;
  readonly tone: Tone;
  readonly verdict: string;
  readonly source: string;
  readonly detail: string;
  readonly time: string;
}

/** A path or a trunk. */
export interface HealthRow {
  readonly key: string;
  readonly name: string;
  readonly kind: string;
  readonly tone: Tone;
  readonly state: string;
  readonly since: string;
  readonly facts: string;
  readonly evidence: readonly EvidenceRow[];
}

export function pathRows(engine: EngineOr, at: At): Known<readonly HealthRow[]> {
  return known(engine, at, ({ paths }) =>
    paths.map((path) => ({
      ...common(path, at),
      kind: at.words.named("path.", path.kind),
      facts: pathFacts(path, at),
    })),
  );
}

export function trunkRows(engine: EngineOr, at: At): Known<readonly HealthRow[]> {
  return known(engine, at, ({ trunks, call_moves }) =>
    trunks.map((trunk) => ({
      ...common(trunk, at),
      kind: at.words.named("trunk.", trunk.kind),
      facts: [trunkFacts(trunk, at), movesFact(trunk, call_moves, at)].filter((fact) => fact !== "").join(", "),
    })),
  );
}

function common({ id, state, since_wall, evidence }: PathStatus | TrunkStatus, at: At) {
  return {
    key: id,
    name: id,
    tone: HEALTH_TONE[state] ?? "unknown",
    state: at.words.named("health.", state),
    since: sinceText(since_wall, at),
    evidence: evidence.map((each, index) => evidenceRow(each, index, at)),
  };
}

function evidenceRow({ source, verdict, detail, at_wall }: Evidence, index: number, at: At): EvidenceRow {
  return {
    key: `${index} ${source}`,
    tone: verdict === "good" ? "good" : verdict === "bad" ? "bad" : "unknown",
    verdict: at.words.named("evidence.", verdict),
    source: at.words.named("evidence.source.", source),
    detail,
    time: at.words.time(at_wall, at.now_wall),
  };
}

/** What was measured before a path went down says nothing about now. */
function pathFacts({ state, rtt_ms, loss_percent }: PathStatus, { words }: At): string {
  const facts: string[] = [];
  if (state === "down" || state === "unknown") return "";
  if (rtt_ms !== undefined) facts.push(words.t("paths.rtt", { ms: words.number(rtt_ms) }));
  if (loss_percent !== undefined) facts.push(words.t("paths.loss", { percent: words.number(loss_percent, 1) }));
  return facts.join(", ");
}

function trunkFacts({ path, roles, registered, first_response_p99_ms: p99 }: TrunkStatus, { words }: At): string {
  const { t } = words;
  const facts = [t("paths.over", { path }), ...roles.map((role) => words.named("role.", role))];
  if (registered !== undefined) facts.push(t(registered ? "paths.registered" : "paths.unregistered"));
  if (p99 !== undefined) facts.push(t("paths.first_response", { ms: words.number(p99) }));
  return facts.join(", ");
}

/** Whether a call that is up outlives the path: the best word there is, and how old it is. */
function movesFact({ id, kind }: TrunkStatus, moves: EngineStatus["call_moves"], { words, now_wall }: At): string {
  const known = moves.filter(({ trunk }) => trunk === id);
  const best =
    known.find(({ outcome }) => outcome === "permitted") ?? known.toSorted((a, b) => b.at_wall - a.at_wall)[0];
  if (best === undefined) return kind === "pbx" ? words.t("paths.moves.unknown") : "";
  const time = words.time(best.at_wall, now_wall);
  return words.t(`paths.moves.${best.outcome}`, { time, status: words.number(best.status ?? 0) });
}

export interface BoxView {
  readonly processes: Known<
    readonly { readonly key: string; readonly name: string; readonly tone: Tone; readonly state: string }[]
  >;
  readonly host: Known<string>;
}

export function boxView(status: StatusDocument | UnknownSince, at: At): BoxView {
  const { t, time } = at.words;
  return {
    processes: known(status, at, ({ processes }) =>
      (["engine", "media", "cellular", "site"] as const).map((key) => {
        const { fresh, unknown_since_wall: since } = processes[key];
        const state = fresh
          ? t("process.running")
          : t("unknown.since", { time: time(since ?? at.now_wall, at.now_wall) });
        return { key, name: at.words.named("process.", key), tone: fresh ? "good" : "unknown", state };
      }),
    ),
    host: known(status, at, ({ host }) => hostText(host, at)),
  };
}

function hostText(host: HostStatus, { words }: At): string {
  const { t, number, duration, list } = words;
  const { cpu_percent: cpu, cpu_temperature_c: celsius, memory_used_percent: memory, disk_used_percent: disk } = host;
  const facts: string[] = [];
  if (cpu !== undefined) facts.push(t("box.cpu", { percent: number(cpu) }));
  if (celsius !== undefined) facts.push(t("box.cpu_temperature", { celsius: number(celsius) }));
  if (memory !== undefined) facts.push(t("box.memory", { percent: number(memory) }));
  if (disk !== undefined) facts.push(t("box.disk", { percent: number(disk) }));
  facts.push(t("box.uptime", { duration: duration(host.uptime_s * 1000) }));
  return list(facts);
}
