import type { HoldfastEvent } from "../../../agent/base/events.ts";
import type { StatusDocument } from "../../../agent/base/status.ts";
import type { Words } from "../words/words.ts";
import { type AlarmsView, alarmsView } from "./alarms.ts";
import { activeCalls, type CallRow, callsTile } from "./calls.ts";
import { type Emergency911, emergencyCalls } from "./emergency-calls.ts";
import { type EventRow, eventRow } from "./events.ts";
import { readable } from "./parties.ts";
import { type BoxView, boxView, type HealthRow, pathRows, trunkRows } from "./paths.ts";
import { type PhoneRow, phoneRows, phonesTile } from "./phones.ts";
import { addressTile, type CheckRow, checkRows, emergencyTile } from "./readiness.ts";
import { type StuckPhoneRow, stuckRows } from "./stuck-phones.ts";
import { nocTile, powerTile, type SignalTile, signalTile } from "./surroundings.ts";
import type { Known, Text, Tile } from "./text.ts";

/** What the page has heard so far. */
export interface Heard {
  readonly status: StatusDocument | undefined;
  /** Newest first; undefined until the list was read once. */
  readonly events: readonly HoldfastEvent[] | undefined;
  /** The moment now, as the box's clock has it, wall ms. */
  readonly now_wall: number;
  /** Box's wall time at which it was last heard (before that: at which the page was opened). */
  readonly heard_wall: number;
  /** Nothing was heard for so long that nothing on the page can be said to be so now. */
  readonly silent: boolean;
  readonly line: "live" | "polling";
}

/** Everything the page says, as text. */
export interface PageView {
  readonly title: string;
  readonly practice: boolean;
  readonly site: string;
  readonly org: string;
  readonly main_number: string;
  readonly box: string;
  readonly feed: string;
  readonly stale: { readonly headline: string; readonly meaning: string } | undefined;
  /** For those who hear the page instead of seeing it; changes only when the state does. */
  readonly spoken: string;
  readonly emergencies: readonly Emergency911[];
  readonly notices: readonly Text[];
  /** Undefined until the box was heard once. */
  readonly state: StateView | undefined;
  readonly events: readonly EventRow[] | undefined;
  /** Said above the list while the box is silent: what is in it happened, what is not may have. */
  readonly events_missing: string | undefined;
  /** Practice only. */
  readonly desk: { readonly cable: "plugged" | "pulled" | undefined } | undefined;
}

export interface StateView {
  readonly calls: Tile;
  readonly emergency: Tile;
  readonly checks: Known<readonly CheckRow[]>;
  readonly address: Tile;
  readonly phones: Tile;
  readonly power: Tile;
  readonly signal: SignalTile;
  readonly noc: Tile;
  readonly alarms: AlarmsView;
  readonly active: Known<readonly CallRow[]>;
  readonly phone_list: Known<readonly PhoneRow[]>;
  readonly stuck: Known<readonly StuckPhoneRow[]>;
  readonly paths: Known<readonly HealthRow[]>;
  readonly trunks: Known<readonly HealthRow[]>;
  readonly box: BoxView;
}

/**
 * From what was heard to what is said. What is not known now is said to be unknown, with the time since when: the
 * whole document when the box is silent, a process's part when that process is.
 */
export function pageView(heard: Heard, words: Words): PageView {
  const { status, now_wall, heard_wall, silent } = heard;
  const { t } = words;
  const at = { words, now_wall };
  const time = words.time(heard_wall, now_wall);
  const state = status === undefined ? undefined : stateView(silent ? { heard_wall } : status, at, status);
  const emergencies = emergencyCalls(status, silent ? heard_wall : undefined, at);
  const site = status?.site.name ?? t("page.name");
  return {
    title: pageTitle(heard, state, emergencies, words),
    practice: status?.practice === true,
    site,
    org: status?.org.name ?? "",
    main_number: status === undefined ? "" : t("page.main_number", { number: readable(status.site.main_number) }),
    box: status === undefined ? "" : t("page.box", { id: status.box.id, version: status.box.version }),
    feed: feedLine(heard, time, words),
    stale: silent
      ? {
          headline: t(status === undefined ? "stale.never" : "stale.since", { time }),
          meaning: t("stale.meaning"),
        }
      : undefined,
    spoken: state === undefined ? "" : spoken(site, state, words),
    emergencies,
    notices: silent || status === undefined ? [] : notices(status, at),
    state,
    events: heard.events?.map((event) => eventRow(event, status?.engine?.phones ?? [], at)),
    events_missing: silent ? t("events.missing", { time }) : undefined,
    desk:
      status?.practice === true
        ? { cable: silent || status.cable === undefined ? undefined : status.cable.wan }
        : undefined,
  };
}

/** The moment and the language in which something is said. */
export interface At {
  readonly words: Words;
  readonly now_wall: number;
}

/** `source` is the document while it stands, or since when nothing is known. */
function stateView(source: StatusDocument | { readonly heard_wall: number }, at: At, last: StatusDocument): StateView {
  const now = "heard_wall" in source ? undefined : source;
  const silent_since = "heard_wall" in source ? source.heard_wall : undefined;
  const engine = now?.engine ?? { unknown_since: silent_since ?? since(last, "engine") };
  const cellular = now?.cellular ?? { unknown_since: silent_since ?? since(last, "cellular") };
  const site = now ?? { unknown_since: silent_since ?? last.now_wall };
  return {
    calls: callsTile(engine, at),
    emergency: emergencyTile(engine, at),
    checks: checkRows(engine, at),
    address: addressTile(engine, at),
    phones: phonesTile(engine, at),
    power: powerTile("unknown_since" in site ? site : site.power, at),
    signal: signalTile(cellular, engine, at),
    noc: nocTile("unknown_since" in site ? site : site.noc, at),
    alarms: alarmsView(site, at),
    active: activeCalls(engine, at),
    phone_list: phoneRows(engine, at),
    stuck: stuckRows(engine, at),
    paths: pathRows(engine, at),
    trunks: trunkRows(engine, at),
    box: boxView(site, at),
  };
}

function since(document: StatusDocument, process: "engine" | "cellular"): number {
  return document.processes[process].unknown_since_wall ?? document.now_wall;
}

function pageTitle(heard: Heard, state: StateView | undefined, calls: readonly Emergency911[], words: Words): string {
  const { t } = words;
  const parts: string[] = [];
  if (heard.status?.practice) parts.push(t("page.practice"));
  if (state === undefined || heard.silent) parts.push(t("page.title_unknown"));
  else if (calls.length > 0) parts.push(t("page.title_call"));
  else parts.push(state.calls.headline, `911 ${state.emergency.headline}`);
  if (heard.status !== undefined) parts.push(heard.status.site.name);
  return [...parts, t("page.name")].join(" · ");
}

function feedLine(heard: Heard, time: string, { t }: Words): string {
  if (heard.silent) return t("feed.silent", { time });
  if (heard.status === undefined) return t("feed.waiting");
  return t(heard.line === "live" ? "feed.live" : "feed.polling", { time });
}

function spoken(site: string, { calls, emergency, phones, alarms }: StateView, { t }: Words): string {
  const { headline: phone } = phones;
  const count = alarms.rows.known ? alarms.rows.value.length : t("unknown");
  return t("spoken", { site, calls: calls.headline, emergency: emergency.headline, phones: phone, alarms: count });
}

function notices(status: StatusDocument, { words, now_wall }: At): Text[] {
  const { t } = words;
  const { engine } = status;
  const said: Text[] = [];
  const { drill, callback_until_wall: callback } = engine ?? {};
  if (callback !== undefined && callback > now_wall) {
    said.push({ text: t("notice.callback", { time: words.time(callback, now_wall) }) });
  }
  if (drill !== undefined) {
    said.push({ text: t("notice.drill", { by: drill.by, time: words.time(drill.ends_wall, now_wall) }) });
  }
  if (engine?.config === "defaults") said.push({ text: t("notice.defaults") });
  if (status.clock_quality === "unset") said.push({ text: t("notice.clock_unset") });
  if (status.clock_quality === "holdover") said.push({ text: t("notice.clock_holdover") });
  return said;
}
