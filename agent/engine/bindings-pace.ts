import type { Clock, Timer } from "../base/clock.ts";

/** A storm of registrations is written ten times a second; the first one, and any that comes alone, at once. */
const URGENT_MS = 100;
const RELAXED_MS = 5000;
/** Refreshes alone wear the disk no more than once a minute: after a power cut they are forgiven two (binding-store.ts). */
const TO_DISK_MS = 60_000;

export interface BindingsWriters {
  /** To the tmpfs, for an engine that is killed. */
  keep(): void;
  /** To `site`, which has the disk. */
  toDisk(): void;
}

/** When what the engine knows of its phones is written. Whatever has changed is on its way to both places. */
export class BindingsPace {
  readonly #clock: Clock;
  readonly #writers: BindingsWriters;
  #timer: { readonly due_ms: number; readonly timer: Timer } | undefined;
  #kept_ms = Number.NEGATIVE_INFINITY;
  #toDisk_ms = Number.NEGATIVE_INFINITY;
  /** Somebody came or went since the last writing to disk; else only expiries have changed. */
  #urgent = false;

  constructor(clock: Clock, writers: BindingsWriters) {
    this.#clock = clock;
    this.#writers = writers;
  }

  /** `urgent`: somebody came, went or moved, and has not just refreshed. */
  changed(urgent: boolean): void {
    this.#urgent ||= urgent;
    const now = this.#clock.now();
    this.#at(urgent ? Math.max(now, this.#kept_ms + URGENT_MS) : now + RELAXED_MS);
  }

  /** Both, now. */
  flush(): void {
    this.#urgent = true;
    this.#write();
  }

  #at(due_ms: number): void {
    if (this.#timer !== undefined && this.#timer.due_ms <= due_ms) return;
    this.#timer?.timer.cancel();
    this.#timer = { due_ms, timer: this.#clock.after(due_ms - this.#clock.now(), () => this.#write()) };
  }

  #write(): void {
    this.#timer?.timer.cancel();
    this.#timer = undefined;
    const now = this.#clock.now();
    this.#kept_ms = now;
    this.#writers.keep();
    if (!this.#urgent && now - this.#toDisk_ms < TO_DISK_MS) {
      this.#at(this.#toDisk_ms + TO_DISK_MS);
      return;
    }
    this.#urgent = false;
    this.#toDisk_ms = now;
    this.#writers.toDisk();
  }
}
