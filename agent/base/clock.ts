/**
 * Time is passed in, never taken. Domain code holds a {@link Clock}; only this file touches the runtime's timers.
 * Monotonic time is CLOCK_MONOTONIC in milliseconds since the machine's boot, so that processes can compare theirs.
 */
export interface Timer {
  /** Stops the timer; harmless when it has fired. */
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds (fractional) since boot. Never jumps. */
  now(): number;
  /** Wall-clock milliseconds since 1970; may jump when the clock is set. */
  wall(): number;
  /** Calls `fire` once, `delay_ms` from now (0 = next turn). */
  after(delay_ms: number, fire: () => void): Timer;
}

/** The machine's clock. Timers do not keep the process alive by themselves; sockets and servers do. */
export const systemClock: Clock = {
  now: () => Number(process.hrtime.bigint()) / 1e6,
  wall: () => Date.now(),
  after(delay_ms, fire) {
    const handle = setTimeout(fire, delay_ms);
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Calls `tick` every `interval_ms` until cancelled. The next interval starts after `tick` has returned. */
export function every(clock: Clock, interval_ms: number, tick: () => void): Timer {
  let timer: Timer;
  let cancelled = false;
  const arm = () => {
    timer = clock.after(interval_ms, () => {
      if (cancelled) return;
      tick();
      if (!cancelled) arm();
    });
  };
  arm();
  return {
    cancel() {
      cancelled = true;
      timer.cancel();
    },
  };
}
