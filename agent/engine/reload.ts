import type { SiteConfig } from "../base/config/schema.ts";

/** What is built once from the site file: sockets, probes, registrations. The rest is looked up when it is needed. */
const BUILT_ONCE = ["lans", "paths", "pbx_targets", "trunks", "carrier_profiles", "failover", "media"] as const;

/** Whether a changed site file needs a rebuild, which waits for a moment without calls. */
export function needsRebuild(before: SiteConfig, after: SiteConfig): boolean {
  if (BUILT_ONCE.some((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]))) return true;
  return JSON.stringify(before.box) !== JSON.stringify(after.box);
}
