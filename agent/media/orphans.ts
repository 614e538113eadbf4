/** Which endpoints a dead engine has left behind for good. Nothing is decided while an engine is connected. */

/** Long enough for the engine to be restarted and to ask for what it owns. */
export const ORPHAN_SILENCE_MS = 60_000;
/** An emergency call's endpoints outlive a PSAP's hold or a mute phone. */
export const EMERGENCY_SILENCE_MS = 600_000;
/** How often to look. */
export const REAP_INTERVAL_MS = 5_000;

export interface OrphanCandidate {
  readonly emergency: boolean;
  /** When RTP was last accepted at either end of its bridge, or else it was opened; clock ms. */
  readonly lastLife_ms: number;
}

/** `orphaned_ms`: since when no engine is connected. Silence counts from then at the earliest: a held call has none. */
export function isLeftBehind(candidate: OrphanCandidate, orphaned_ms: number, now_ms: number): boolean {
  const silent_ms = now_ms - Math.max(candidate.lastLife_ms, orphaned_ms);
  return silent_ms >= (candidate.emergency ? EMERGENCY_SILENCE_MS : ORPHAN_SILENCE_MS);
}
