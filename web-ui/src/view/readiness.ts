import type { Readiness } from "../../../agent/base/status.ts";
import type { At } from "./page-view.ts";
import { type EngineOr, isUnknown, type Known, known, type Text, type Tile, type Tone, unknownTile } from "./text.ts";

const STATE_TONE: Readonly<Record<Readiness["state"], Tone>> = {
  ready: "good",
  one_path: "warn",
  not_ready: "bad",
  unknown: "unknown",
};

/** Whether 911 could be called now: never "works", since only a call proves that. */
export function emergencyTile(engine: EngineOr, at: At): Tile {
  const { t } = at.words;
  const title = t("emergency.title");
  if (isUnknown(engine)) return unknownTile(title, engine, at);
  const { state, reason, checks, routes } = engine.emergency;
  const lines: Text[] = [];
  if (state === "not_ready") lines.push({ text: t("emergency.not_ready_said") });
  if (checks.length > 0 && checks.every(({ ok }) => ok === true)) lines.push({ text: t("emergency.all_pass") });
  else lines.push({ text: reason, verbatim: true });
  if (routes.length > 0) lines.push({ text: t("emergency.routes", { routes: routes.join(" → ") }) });
  return {
    title,
    tone: STATE_TONE[state] ?? "unknown",
    headline: at.words.named("emergency.", state),
    lines,
  };
}

export interface CheckRow {
  readonly key: string;
  readonly tone: Tone;
  readonly verdict: string;
  readonly what: string;
  readonly detail: string;
}

export function checkRows(engine: EngineOr, at: At): Known<readonly CheckRow[]> {
  const { t } = at.words;
  return known(engine, at, ({ emergency }) =>
    emergency.checks.map(({ name, ok, detail }) => ({
      key: name,
      tone: ok === true ? "good" : ok === false ? "bad" : "unknown",
      verdict: t(
        ok === true ? "emergency.check_passed" : ok === false ? "emergency.check_failed" : "emergency.check_unknown",
      ),
      what: at.words.named("check.", name),
      detail,
    })),
  );
}

/** The site's address in dispatch lines, which a phone without a location of its own sends. */
export function addressTile(engine: EngineOr, at: At): Tile {
  const { t } = at.words;
  const title = t("address.title");
  if (isUnknown(engine)) return unknownTile(title, engine, at);
  const [first, ...rest] = engine.site_location_lines;
  if (first === undefined) {
    return { title, tone: "bad", headline: t("address.none"), lines: [{ text: t("address.none_said") }] };
  }
  return {
    title,
    tone: "quiet",
    headline: first,
    lines: [...rest.map((text) => ({ text, verbatim: true })), { text: t("address.own") }],
  };
}
