import { existsSync } from "node:fs";
import type { ClockQuality } from "./events.ts";

/** No clock was right before this program was written; a box without a battery clock wakes in 1970. */
const EARLIEST_WALL = Date.UTC(2026, 0, 1);
/** systemd-timesyncd and chrony's wait unit leave one of these on tmpfs once the clock is set. */
const MARKS = ["/run/systemd/timesync/synchronized", "/run/chrony/synchronized"];

/** How far wall times can be trusted. */
export function clockQuality(
  now_wall: number,
  synchronised = () => MARKS.some((file) => existsSync(file)),
): ClockQuality {
  if (now_wall < EARLIEST_WALL) return "unset";
  return synchronised() ? "synchronised" : "holdover";
}
