import { existsSync } from "node:fs";
import type { ClockQuality } from "../base/events.ts";

/** No clock of ours was right before this. */
const EARLIEST_WALL = Date.UTC(2026, 0, 1);
const SYNCHRONISED = "/run/systemd/timesync/synchronized";

/** How far wall times can be trusted: systemd-timesyncd leaves a mark (on a tmpfs) once it has set the clock. */
export function clockQuality(wall: number): ClockQuality {
  if (wall < EARLIEST_WALL) return "unset";
  return existsSync(SYNCHRONISED) ? "synchronised" : "holdover";
}
