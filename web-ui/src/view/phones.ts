import type { DeviceStatus, PhoneStatus } from "../../../agent/base/status.ts";
import type { Words } from "../words/words.ts";
import type { At } from "./page-view.ts";
import { type EngineOr, isUnknown, type Known, known, type Tile, type Tone, unknownTile } from "./text.ts";

const NAMED = 3;

export function phonesTile(engine: EngineOr, at: At): Tile {
  const { t, list } = at.words;
  const title = t("phones.title");
  if (isUnknown(engine)) return unknownTile(title, engine, at);
  const { phones } = engine;
  const missing = phones.filter(({ availability }) => availability === "offline" || availability === "unknown");
  const headline = t("phones.headline", {
    online: at.words.number(phones.length - missing.length),
    all: at.words.number(phones.length),
  });
  if (phones.length === 0) return { title, tone: "quiet", headline, lines: [{ text: t("phones.none") }] };
  if (missing.length === 0) return { title, tone: "good", headline, lines: [{ text: t("phones.all") }] };
  const names = list(missing.slice(0, NAMED).map(({ name, number }) => name || number));
  const more = missing.length - NAMED;
  const said = more > 0 ? t("phones.more", { names, count: more }) : names;
  const tone: Tone = missing.length === phones.length ? "bad" : "warn";
  return { title, tone, headline, lines: [{ text: t("phones.offline", { names: said }) }] };
}

export interface PhoneRow {
  readonly key: string;
  readonly number: string;
  readonly name: string;
  readonly tone: Tone;
  readonly state: string;
  /** Its telephones, one a line, with what is wrong with each as the box says it. */
  readonly devices: readonly { readonly key: string; readonly text: string; readonly detail: string }[];
  readonly place: string;
  /** Its place is the site's or none: somebody should give it one. */
  readonly place_own: boolean;
}

export function phoneRows(engine: EngineOr, at: At): Known<readonly PhoneRow[]> {
  return known(engine, at, ({ phones }) => phones.map((phone) => phoneRow(phone, at)));
}

function phoneRow(phone: PhoneStatus, { words }: At): PhoneRow {
  const { availability, location_label: place, location_own, elsewhere } = phone;
  const devices = phone.devices.map((device) => deviceRow(device, words));
  if (elsewhere > 0) {
    const text = words.t(elsewhere === 1 ? "phones.elsewhere_one" : "phones.elsewhere_more", { count: elsewhere });
    devices.push({ key: "elsewhere", text, detail: "" });
  }
  return {
    key: phone.extension,
    number: phone.number,
    name: phone.name,
    tone: availability === "online" ? "good" : availability === "unknown" ? "unknown" : "warn",
    state: words.named("phone.", availability),
    devices,
    place: place === "" ? words.t("phones.no_place") : location_own ? place : words.t("phones.site_place", { place }),
    place_own: location_own,
  };
}

function deviceRow({ id, label, availability, address, registered_with, evidence }: DeviceStatus, { t, named }: Words) {
  const where = address ?? t("phones.no_address");
  const state = named("phone.", availability);
  const text =
    registered_with === undefined
      ? t("phones.device", { label, where, state })
      : t(`phones.device_${registered_with}`, { label, where, state });
  const bad = evidence.filter(({ verdict }) => verdict === "bad").map(({ detail }) => detail);
  return { key: id, text, detail: bad.join("; ") };
}
