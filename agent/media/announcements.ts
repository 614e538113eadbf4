/** The announcements shipped with the relay. They are read once, at start: nothing waits for a disk in a call. */
import { readFileSync } from "node:fs";
import { SAMPLE_RATE_HZ } from "./g711.ts";
import { ANNOUNCEMENTS, type AnnouncementName } from "./relay.ts";
import { readWav } from "./wav.ts";

/** Linear samples at 8000 Hz by announcement name. */
export type Announcements = ReadonlyMap<string, Int16Array>;

/** Reads every announcement; one that is missing or unreadable is left out, and named to `onMissing`. */
export function loadAnnouncements(onMissing: (name: AnnouncementName, reason: string) => void): Announcements {
  const loaded = new Map<string, Int16Array>();
  for (const name of Object.keys(ANNOUNCEMENTS) as AnnouncementName[]) {
    const result = readAnnouncement(name);
    if ("reason" in result) onMissing(name, result.reason);
    else loaded.set(name, result.samples);
  }
  return loaded;
}

/** One announcement's linear samples at 8000 Hz, or why there are none. */
export function readAnnouncement(name: AnnouncementName): { samples: Int16Array } | { reason: string } {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(new URL(`./announcements/${name}.wav`, import.meta.url));
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error) };
  }
  const result = readWav(bytes);
  if (!result.ok) return { reason: result.reason };
  const { sample_rate_hz, samples } = result.audio;
  if (sample_rate_hz !== SAMPLE_RATE_HZ) return { reason: `${sample_rate_hz} Hz instead of ${SAMPLE_RATE_HZ}` };
  return { samples };
}
