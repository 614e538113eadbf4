import type { Trunk } from "../trunks/trunk.ts";
import type { RouteFacts } from "./attempt-timing.ts";

/** What the attempts machine needs to know of a trunk now. */
export function routeFacts(trunk: Trunk, lost: ReadonlySet<string>): RouteFacts {
  const { path, flow } = trunk;
  return {
    trunk: trunk.id,
    path: path.id,
    scarce: path.kind !== "wan",
    path_state: lost.has(path.id) ? "down" : path.health.state,
    trunk_state: trunk.health.state,
    reachable: flow !== undefined && !flow.closed,
    reliable: flow?.reliable ?? false,
    rtt_ms: path.rtt_ms,
    first_response_p99_ms: trunk.first_response_p99_ms,
    ring_deadline_ms: trunk.profile.ring_deadline_ms,
  };
}
