import type { HealthState } from "../../../agent/base/events.ts";
import type { EngineStatus } from "../../../agent/base/status.ts";
import type { At } from "./page-view.ts";

/** Repeated by colour, icon, word and border style. */
export type Tone = "good" | "warn" | "bad" | "unknown" | "quiet";

export interface Text {
  readonly text: string;
  /** As the box or a person wrote it: English, whatever the page's language. */
  readonly verbatim?: boolean;
}

export interface Tile {
  readonly title: string;
  readonly tone: Tone;
  readonly headline: string;
  readonly lines: readonly Text[];
}

export interface UnknownSince {
  readonly unknown_since: number;
}

export type Known<T> = { readonly known: true; readonly value: T } | { readonly known: false; readonly since: string };

/** The engine's word, or since when there is none. */
export type EngineOr = EngineStatus | UnknownSince;

export function isUnknown(part: object): part is UnknownSince {
  return "unknown_since" in part;
}

export const HEALTH_TONE: Readonly<Record<HealthState, Tone>> = {
  up: "good",
  degraded: "warn",
  suspect: "warn",
  down: "bad",
  unknown: "unknown",
};

export function unknownSince({ unknown_since }: UnknownSince, { words, now_wall }: At): string {
  return words.t("unknown.since", { time: words.time(unknown_since, now_wall) });
}

export function unknownTile(title: string, part: UnknownSince, at: At): Tile {
  const lines = [{ text: sinceText(part.unknown_since, at) }];
  return { title, tone: "unknown", headline: at.words.t("unknown"), lines };
}

export function known<P extends object, T>(part: P | UnknownSince, at: At, value: (part: P) => T): Known<T> {
  return isUnknown(part) ? { known: false, since: unknownSince(part, at) } : { known: true, value: value(part) };
}

/** "since 10:42:07 (5 min)" */
export function sinceText(wall: number, { words, now_wall }: At): string {
  return words.t("since", { time: words.time(wall, now_wall), duration: words.duration(now_wall - wall) });
}
