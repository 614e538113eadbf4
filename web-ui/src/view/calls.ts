import type { HealthState } from "../../../agent/base/events.ts";
import type { EngineStatus } from "../../../agent/base/status.ts";
import type { At } from "./page-view.ts";
import { party } from "./parties.ts";
import { type EngineOr, isUnknown, type Known, known, sinceText, type Text, type Tile, unknownTile } from "./text.ts";

const REASONS_SHOWN = 3;
/** Best first. */
const ORDER: readonly HealthState[] = ["up", "degraded", "suspect", "unknown", "down"];

/** How a call to the outside would leave now, and how sure that is. */
export function callsTile(engine: EngineOr, at: At): Tile {
  const { t } = at.words;
  const title = t("calls.title");
  if (isUnknown(engine)) return unknownTile(title, engine, at);
  const way = at.words.named("calls.", engine.calls_go_by);
  const lines: Text[] = [
    {
      text: t("mode.line", {
        mode: at.words.named("mode.", engine.mode),
        since: sinceText(engine.mode_since_wall, at),
      }),
    },
  ];
  if (engine.mode !== "normal") {
    for (const reason of engine.mode_reasons.slice(0, REASONS_SHOWN)) lines.push({ text: reason, verbatim: true });
  }
  const troubled = engine.paths.filter(({ state }) => state !== "up");
  for (const { kind, state, since_wall } of troubled) {
    const path = at.words.named("path.", kind);
    const since = sinceText(since_wall, at);
    lines.push({ text: t("calls.path", { path, state: at.words.named("health.", state), since }) });
  }
  if (engine.calls_go_by === "not_possible") {
    return { title, tone: "bad", headline: way, lines: [{ text: t("calls.not_possible_said") }, ...lines] };
  }
  switch (proof(engine)) {
    case "up":
      return { title, tone: engine.mode === "normal" ? "good" : "warn", headline: way, lines };
    case "degraded":
      return { title, tone: "warn", headline: way, lines: [{ text: t("calls.degraded") }, ...lines] };
    case "suspect":
      return { title, tone: "warn", headline: way, lines: [{ text: t("calls.suspect") }, ...lines] };
    default: {
      const text = t("calls.unproven", { way });
      return { title, tone: "unknown", headline: t("unknown"), lines: [{ text }, ...lines] };
    }
  }
}

/** Health of the best trunk, its path included, by which calls would go; that a way is chosen does not prove it. */
function proof({ calls_go_by, mode, trunks, paths }: EngineStatus): HealthState {
  const states = trunks
    .filter(({ kind, roles }) =>
      mode === "normal" ? kind === "pbx" : kind === "trunk" && roles.includes("main_number"),
    )
    .map((trunk) => ({ trunk, path: paths.find(({ id }) => id === trunk.path) }))
    .filter(({ path }) => path?.kind === calls_go_by)
    .map(({ trunk, path }) => worse(trunk.state, path?.state ?? "unknown"));
  return ORDER.find((state) => states.includes(state)) ?? "unknown";
}

function worse(one: HealthState, other: HealthState): HealthState {
  return ORDER.indexOf(one) > ORDER.indexOf(other) ? one : other;
}

export interface CallRow {
  readonly key: string;
  readonly kind: string;
  readonly emergency: boolean;
  readonly parties: string;
  readonly state: string;
  readonly by: string;
  readonly since: string;
}

export function activeCalls(engine: EngineOr, at: At): Known<readonly CallRow[]> {
  return known(engine, at, ({ calls, phones }) =>
    calls.map((call) => ({
      key: call.call_id,
      kind: at.words.named("call.", call.kind),
      emergency: call.kind === "emergency",
      parties: at.words.t("active.line", {
        caller: party(call.caller, phones, at.words),
        callee: party(call.callee, phones, at.words),
      }),
      state: at.words.named("call.", call.state),
      by: [call.trunk, call.path].filter((part) => part !== undefined).join(" / "),
      since: sinceText(call.since_wall, at),
    })),
  );
}
