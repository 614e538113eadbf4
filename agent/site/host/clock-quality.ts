import { existsSync } from "node:fs";
import type { ClockQuality } from "../../base/events.ts";

/** Before this program was written the clock cannot be; a box without a battery clock wakes in 1970. */
const PROGRAM_WALL = Date.UTC(2026, 0, 1);

export function clockQuality(now_wall: number, synchronised = timesyncDone): ClockQuality {
  if (now_wall < PROGRAM_WALL) return "unset";
  return synchronised() ? "synchronised" : "holdover";
}

/** systemd-timesyncd and chrony's wait unit leave one of these behind. */
function timesyncDone(): boolean {
  return existsSync("/run/systemd/timesync/synchronized") || existsSync("/run/chrony/synchronized");
}
