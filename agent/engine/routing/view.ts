import type { Mode } from "../../base/events.ts";
import type { Trunks } from "../trunks/trunk.ts";
import type { RoutingView } from "./plan-types.ts";

/** What planning may see of the trunks now. A path in `lost` counts as down: an answered 911 call died on it just now. */
export function routingView(mode: Mode, trunks: Trunks, lost: ReadonlySet<string> = new Set()): RoutingView {
  const inUse = trunks.pbxs();
  // PBX targets in the order in which they are used now; what is down keeps its place behind.
  const ordered = [...inUse, ...trunks.all().filter((trunk) => !inUse.includes(trunk))];
  return {
    mode,
    trunks: ordered.map(({ id, kind, roles, health, path }) => ({
      id,
      kind,
      roles,
      state: health.state,
      path: {
        id: path.id,
        kind: path.kind,
        state: lost.has(path.id) ? "down" : path.health.state,
        dead_media: path.dead_media,
      },
    })),
  };
}
