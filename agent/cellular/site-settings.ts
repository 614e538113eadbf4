import { statSync } from "node:fs";
import { join } from "node:path";
import { type Clock, every } from "../base/clock.ts";
import { faultText, loadConfig } from "../base/config/load.ts";
import type { SiteConfig } from "../base/config/schema.ts";
import type { Log } from "../base/log.ts";
import { readSnapshot } from "../base/snapshot.ts";

const LOOK_EVERY_MS = 2000;

/**
 * The site file as this process needs it. While the file has errors, the last good one stands: the one in force, or at
 * start that of the snapshot that `site` keeps. Telling people of the errors is `site`'s work.
 */
export function followSiteFile(options: {
  readonly file: string;
  readonly state_dir: string;
  readonly practice: boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly onConfig: (config: SiteConfig) => void;
}): { stop(): void } {
  const { file, log, onConfig } = options;
  let seen = "";
  let any = false;
  const look = () => {
    const stat = statSync(file, { throwIfNoEntry: false, bigint: true });
    const now = stat === undefined ? "none" : `${stat.ino} ${stat.size} ${stat.mtimeNs}`;
    if (now === seen) return;
    seen = now;
    const loaded = loadConfig(file);
    if (loaded.ok) {
      any = true;
      onConfig(loaded.config);
      return;
    }
    log.warn("site file not applied", { faults: loaded.faults.slice(0, 5).map(faultText) });
    if (any) return;
    const last = readSnapshot(join(options.state_dir, "snapshot.json"), options.practice);
    if (!("snapshot" in last)) return;
    any = true;
    onConfig(last.snapshot.config);
  };
  look();
  const looks = every(options.clock, LOOK_EVERY_MS, look);
  return { stop: () => looks.cancel() };
}
