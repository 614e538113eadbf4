import type { Freshness } from "../../base/status.ts";

export type Watched = "engine" | "media" | "cellular";

/** Longest silence of a process before what it said is no longer shown, ms. Engine and media speak every 2 s. */
export const SILENCE_MS: Readonly<Record<Watched, number>> = { engine: 5000, media: 5000, cellular: 15000 };

/** When a process was last heard, on both clocks: silence is measured on one, shown on the other. */
export interface LastHeard {
  readonly at_ms: number;
  readonly at_wall: number;
}

/** A process never heard counts as silent since `started`, the moment we began to listen. */
export function freshness(
  process: Watched,
  heard: LastHeard | undefined,
  started: LastHeard,
  now_ms: number,
): Freshness {
  if (heard !== undefined && now_ms - heard.at_ms <= SILENCE_MS[process]) {
    return { fresh: true, unknown_since_wall: undefined };
  }
  return { fresh: false, unknown_since_wall: (heard ?? started).at_wall };
}
