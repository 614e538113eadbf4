import type { Clock, Timer } from "../../base/clock.ts";

/** A timer this late means the process stood still; what has arrived meanwhile waits in the sockets. */
const STALL_MS = 30;
const GRACE_MS = 20;

/**
 * Calls `fire` at `at_ms` (monotonic). When the process stood still past it, first lets it read what has arrived, so
 * that nobody is judged silent whose answer lies in a buffer.
 */
export function deadline(clock: Clock, at_ms: number, fire: () => void): Timer {
  let timer = clock.after(Math.max(0, at_ms - clock.now()), () => {
    if (clock.now() - at_ms <= STALL_MS) fire();
    else timer = clock.after(GRACE_MS, fire);
  });
  return { cancel: () => timer.cancel() };
}
