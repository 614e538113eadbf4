import type { Clock, Timer } from "./clock.ts";

interface Pending {
  at: number;
  order: number;
  fire: () => void;
}

/** A clock that moves only when told to. Tests and simulations use it, so that none of them has to sleep. */
export class ManualClock implements Clock {
  #now: number;
  #wall: number;
  #order = 0;
  readonly #pending = new Set<Pending>();

  constructor(start_ms = 0, wall_ms = Date.UTC(2026, 0, 1)) {
    this.#now = start_ms;
    this.#wall = wall_ms;
  }

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#wall;
  }

  after(delay_ms: number, fire: () => void): Timer {
    const pending: Pending = { at: this.#now + Math.max(0, delay_ms), order: this.#order++, fire };
    this.#pending.add(pending);
    return { cancel: () => void this.#pending.delete(pending) };
  }

  /** Moves time forward, firing every timer that falls due, in order, including those set on the way. */
  advance(by_ms: number): void {
    const end = this.#now + by_ms;
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#pending.delete(next);
      this.#move(next.at);
      next.fire();
    }
    this.#move(end);
  }

  /** Sets the wall clock alone, as an operator or NTP would. */
  setWall(wall_ms: number): void {
    this.#wall = wall_ms;
  }

  /** Number of timers still waiting; a test of "nothing is left behind" asks for 0. */
  get pending(): number {
    return this.#pending.size;
  }

  #next(end: number): Pending | undefined {
    let first: Pending | undefined;
    for (const pending of this.#pending) {
      if (pending.at > end) continue;
      if (first === undefined || pending.at < first.at || (pending.at === first.at && pending.order < first.order)) {
        first = pending;
      }
    }
    return first;
  }

  #move(to: number): void {
    this.#wall += to - this.#now;
    this.#now = to;
  }
}
