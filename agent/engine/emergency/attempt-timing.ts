import type { HealthState } from "../../base/events.ts";

/** What is known of a route when an attempt on it starts or its health changes. */
export interface RouteFacts {
  readonly trunk: string;
  readonly path: string;
  /** Carries few calls at once (cellular): 911 takes it from any other call. */
  readonly scarce: boolean;
  readonly path_state: HealthState;
  readonly trunk_state: HealthState;
  /** There is a way to send to it: a socket on the path, the peer's address. */
  readonly reachable: boolean;
  /** Over TCP or TLS. */
  readonly reliable: boolean;
  readonly rtt_ms: number | undefined;
  /** Learned p99 of INVITE → first response. */
  readonly first_response_p99_ms: number | undefined;
  readonly ring_deadline_ms: number;
}

export type RouteHealth = "good" | "degraded" | "suspect" | "down";

/** The worse of path and trunk. Not knowing counts as good: only trying tells. */
export function healthOf({ path_state, trunk_state }: RouteFacts): RouteHealth {
  const states = [path_state, trunk_state];
  if (states.includes("down")) return "down";
  if (states.includes("suspect")) return "suspect";
  return states.includes("degraded") ? "degraded" : "good";
}

/** How much of a deadline is given: half on a suspect route (or a down one, tried last), three quarters on a degraded one. */
const PATIENCE: Readonly<Record<RouteHealth, number>> = { good: 1, degraded: 0.75, suspect: 0.5, down: 0.5 };

export interface ResponseWindow {
  /** Without any response by then the next attempt starts. */
  readonly window_ms: number;
  /** When the INVITE is repeated over UDP; empty over TCP and TLS. */
  readonly retransmit_at_ms: readonly number[];
}

const REPETITIONS = 4;

/**
 * How long an attempt may go without any response. UDP: max(250 ms, learned p99 + 100 ms), or RTT + 300 ms until
 * learned; TCP and TLS: RTT + 500 ms. Over UDP the INVITE goes out five times within the window, early enough that the
 * last one can still be answered in it: at 5 % loss each way an exchange fails with 9.75 %, five in a row with 1e-5.
 */
export function responseWindow(facts: RouteFacts): ResponseWindow {
  const rtt_ms = facts.rtt_ms ?? 0;
  const patience = PATIENCE[healthOf(facts)];
  if (facts.reliable) return { window_ms: Math.round((rtt_ms + 500) * patience), retransmit_at_ms: [] };
  const learned_ms = facts.first_response_p99_ms;
  const full_ms = learned_ms === undefined ? rtt_ms + 300 : Math.max(250, learned_ms + 100);
  const window_ms = Math.round(full_ms * patience);
  const answer_ms = learned_ms ?? rtt_ms + 50;
  const last_ms = Math.min(Math.max(window_ms - answer_ms, window_ms * 0.4), window_ms * 0.8);
  const retransmit_at_ms = Array.from({ length: REPETITIONS }, (_, i) => Math.round((last_ms * (i + 1)) / REPETITIONS));
  return { window_ms, retransmit_at_ms };
}

/** How long a route may take from its 100 to ringing. */
export function ringDeadline(facts: RouteFacts): number {
  return Math.round(facts.ring_deadline_ms * PATIENCE[healthOf(facts)]);
}
