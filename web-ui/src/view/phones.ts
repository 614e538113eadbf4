import type { PhoneStatus } from "../../../agent/base/status.ts";
import type { At } from "./page-view.ts";
import { type EngineOr, isUnknown, type Known, known, type Tile, type Tone, unknownTile } from "./text.ts";

const NAMED = 3;

export function phonesTile(engine: EngineOr, at: At): Tile {
  const { t, list } = at.words;
  const title = t("phones.title");
  if (isUnknown(engine)) return unknownTile(title, engine, at);
  const { phones } = engine;
  const missing = phones.filter(({ availability }) => availability !== "online");
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
  readonly place: string;
  /** Its place is the site's or none: somebody should give it one. */
  readonly place_own: boolean;
}

export function phoneRows(engine: EngineOr, at: At): Known<readonly PhoneRow[]> {
  return known(engine, at, ({ phones }) => phones.map((phone) => phoneRow(phone, at)));
}

function phoneRow(phone: PhoneStatus, { words }: At): PhoneRow {
  const { availability, location_label: place, location_own } = phone;
  return {
    key: phone.extension,
    number: phone.number,
    name: phone.name,
    tone: availability === "online" ? "good" : availability === "offline" ? "warn" : "unknown",
    state: words.named("phone.", availability),
    place: place === "" ? words.t("phones.no_place") : location_own ? place : words.t("phones.site_place", { place }),
    place_own: location_own,
  };
}
