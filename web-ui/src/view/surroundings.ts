import type { CellularStatus, ModemStatus, NocStatus, PowerStatus } from "../../../agent/base/status.ts";
import type { At } from "./page-view.ts";
import {
  type EngineOr,
  isUnknown,
  sinceText,
  type Text,
  type Tile,
  type Tone,
  type UnknownSince,
  unknownTile,
} from "./text.ts";

/** Older than this a measured signal says nothing about now, ms. */
const SIGNAL_MEMORY_MS = 120_000;
/** RSRP at or above which one more bar is lit, dBm; the lowest is the one below which the box raises an alarm. */
const BARS_DBM = [-115, -105, -95, -85];

export function powerTile(power: PowerStatus | UnknownSince, at: At): Tile {
  const { t } = at.words;
  const title = t("power.title");
  if (isUnknown(power)) return unknownTile(title, power, at);
  const { source, since_wall, ups, gpio } = power;
  const low = ups.some(({ state }) => state === "low_battery");
  const lines: Text[] = [];
  if (source === "unknown" && ups.length === 0 && gpio.length === 0) lines.push({ text: t("power.none") });
  else if (source === "unknown")
    lines.push({ text: t("unknown.since", { time: at.words.time(since_wall, at.now_wall) }) });
  else lines.push({ text: sinceText(since_wall, at) });
  for (const each of ups) lines.push(...upsLines(each, at));
  for (const each of gpio) lines.push({ text: gpioText(each.meaning, each.on, at) });
  const tone: Tone = source === "mains" && !low ? "good" : low ? "bad" : source === "battery" ? "warn" : "unknown";
  const headline =
    source === "unknown" && !low ? t("unknown") : low ? t("power.low_battery") : at.words.named("power.", source);
  return { title, tone, headline, lines };
}

function upsLines(ups: PowerStatus["ups"][number], at: At): Text[] {
  const { t, number } = at.words;
  if (ups.state === "unknown")
    return [{ text: t("power.ups_unknown", { ups: ups.id, since: sinceText(ups.since_wall, at) }) }];
  const figure = (value: number | undefined, digits = 0) => (value === undefined ? "?" : number(value, digits));
  const { charge_percent: charge, input_v, load_percent, battery_v } = ups;
  const lines = [
    {
      text:
        charge === undefined
          ? t("power.charge_unknown", { ups: ups.id })
          : t("power.charge", { ups: ups.id, charge: number(charge) }),
    },
  ];
  if (input_v !== undefined || load_percent !== undefined || battery_v !== undefined) {
    const figures = { input: figure(input_v), load: figure(load_percent), battery: figure(battery_v, 1) };
    lines.push({ text: t("power.figures", figures) });
  }
  return lines;
}

/** One input in words: a door is open or closed, everything else is on or off. */
export function gpioText(meaning: string, on: boolean | undefined, { words }: At): string {
  const { t } = words;
  const [yes, no] =
    meaning === "door_open" ? (["gpio.open", "gpio.closed"] as const) : (["gpio.on", "gpio.off"] as const);
  return t("gpio.line", {
    what: words.named("gpio.", meaning),
    state: t(on === undefined ? "gpio.unknown" : on ? yes : no),
  });
}

export interface SignalTile extends Tile {
  /** 0 to 4; undefined when not measured lately. */
  readonly bars: number | undefined;
}

export function signalBars(rsrp_dbm: number): number {
  return BARS_DBM.filter((least) => rsrp_dbm >= least).length;
}

/** The first modem leads; others follow as lines. */
export function signalTile(cellular: CellularStatus | UnknownSince, engine: EngineOr, at: At): SignalTile {
  const { t } = at.words;
  const title = t("signal.title");
  const wired = !isUnknown(engine) && !engine.paths.some(({ kind }) => kind !== "wan");
  if (isUnknown(cellular) && !wired) return { ...unknownTile(title, cellular, at), bars: undefined };
  const modems = isUnknown(cellular) ? [] : cellular.modems;
  const [first, ...rest] = modems;
  if (first === undefined) {
    const lines = wired ? [{ text: t("signal.none_said") }] : [];
    return { title, tone: "quiet", headline: t("signal.none"), lines, bars: undefined };
  }
  const bars = freshRsrp(first, at);
  return {
    title,
    tone: modemTone(first, bars),
    headline: modemHeadline(first, bars, at),
    lines: [...modemLines(first, at), ...rest.flatMap((modem) => [{ text: modem.id }, ...modemLines(modem, at)])],
    bars,
  };
}

function freshRsrp({ state, rsrp_dbm, measured_wall }: ModemStatus, { now_wall }: At): number | undefined {
  if (state !== "registered" || rsrp_dbm === undefined || measured_wall === undefined) return undefined;
  return now_wall - measured_wall > SIGNAL_MEMORY_MS ? undefined : signalBars(rsrp_dbm);
}

function modemTone({ state }: ModemStatus, bars: number | undefined): Tone {
  if (state === "missing" || state === "denied" || state === "failed") return "bad";
  if (state !== "registered") return "warn";
  return bars === undefined ? "unknown" : bars >= 2 ? "good" : "warn";
}

function modemHeadline({ state }: ModemStatus, bars: number | undefined, { words }: At): string {
  if (state !== "registered") return words.named("modem.", state);
  return bars === undefined ? words.t("signal.unmeasured") : words.t("signal.bars", { bars });
}

function modemLines(modem: ModemStatus, at: At): Text[] {
  const { t, number } = at.words;
  const lines: Text[] = [];
  const { operator, technology, rsrp_dbm, rssi_dbm, measured_wall, state } = modem;
  const network = [operator, technology].filter((part) => part !== undefined && part !== "").join(", ");
  if (network !== "") lines.push({ text: network, verbatim: true });
  const old = measured_wall === undefined || at.now_wall - measured_wall > SIGNAL_MEMORY_MS;
  if (state === "registered" && old && measured_wall !== undefined) {
    lines.push({ text: t("signal.old", { time: at.words.time(measured_wall, at.now_wall) }) });
  } else if (!old && rsrp_dbm !== undefined) lines.push({ text: t("signal.rsrp", { dbm: number(rsrp_dbm) }) });
  else if (!old && rssi_dbm !== undefined) lines.push({ text: t("signal.rssi", { dbm: number(rssi_dbm) }) });
  if (state !== "registered") lines.push({ text: sinceText(modem.since_wall, at) });
  if (modem.practice) lines.push({ text: t("modem.practice") });
  return lines;
}

/** Whether the NOC can hear the box: another matter than whether the site can call, and said so. */
export function nocTile(noc: NocStatus | UnknownSince, at: At): Tile {
  const { t } = at.words;
  const title = t("noc.title");
  if (isUnknown(noc)) return unknownTile(title, noc, at);
  const since = sinceText(noc.since_wall, at);
  const lines: Text[] = [];
  if (noc.state === "connected") lines.push({ text: t("noc.via", { path: noc.path ?? "?", since }) });
  else if (noc.state === "connecting") lines.push({ text: t("noc.retrying", { since }) });
  else if (noc.state === "disconnected") lines.push({ text: since });
  if (noc.state === "connecting" || noc.state === "disconnected") lines.push({ text: t("noc.not_calls") });
  if (noc.waiting_events > 0) lines.push({ text: t("noc.waiting", { count: at.words.number(noc.waiting_events) }) });
  const tone: Tone = noc.state === "connected" ? "good" : noc.state === "not_configured" ? "quiet" : "warn";
  return { title, tone, headline: at.words.named("noc.", noc.state), lines };
}
