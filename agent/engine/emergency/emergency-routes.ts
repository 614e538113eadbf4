import type { Trunk } from "../trunks/trunk.ts";
import type { RouteFacts } from "./attempt-timing.ts";

/** What the attempts machine needs to know of a trunk now. */
export function routeFacts(trunk: Trunk, lost: ReadonlySet<string>): RouteFacts {
  const { path, stream, profile } = trunk;
  const flow = trunk.lastResort ?? trunk.flow;
  // With its location in it the INVITE is too large for a datagram, and takes the connection that stands beside.
  const streamed = stream !== undefined && profile.location === "value";
  return {
    trunk: trunk.id,
    path: path.id,
    scarce: path.kind !== "wan",
    path_state: lost.has(path.id) ? "down" : path.health.state,
    trunk_state: trunk.health.state,
    reachable: flow !== undefined && !flow.closed,
    reliable: flow?.reliable === true || streamed,
    rtt_ms: path.rtt_ms,
    first_response_p99_ms: trunk.first_response_p99_ms,
    ring_deadline_ms: profile.ring_deadline_ms,
  };
}
