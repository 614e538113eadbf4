/** So long without a word from the box, and nothing on the page can be said to be so now, ms. Beats come every 5 s. */
export const SILENT_AFTER_MS = 15_000;

/** A moment on both of the reader's clocks: the steady one stands still while the machine sleeps, the other may be set. */
export interface Moment {
  readonly steady_ms: number;
  readonly wall_ms: number;
}

/** Time since `then`, by whichever clock says more, ms: in doubt the page has heard nothing. */
export function elapsed(then: Moment, now: Moment): number {
  return Math.max(0, now.steady_ms - then.steady_ms, now.wall_ms - then.wall_ms);
}

export function isSilent(heard: Moment, now: Moment): boolean {
  return elapsed(heard, now) > SILENT_AFTER_MS;
}
