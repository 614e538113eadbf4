import type { Clock, Timer } from "./clock.ts";

interface Pending {
  readonly at: number;
  readonly order: number;
  readonly fire: () => void;
  /** Neither fired nor cancelled. */
  waits: boolean;
}

const isBefore = (a: Pending, b: Pending) => a.at < b.at || (a.at === b.at && a.order < b.order);

/** A clock that moves only when told to. Tests and simulations use it, so that none of them has to sleep. */
export class ManualClock implements Clock {
  #now: number;
  #wall: number;
  #order = 0;
  /** A binary heap, the next timer first; cancelled ones lie in it until they come up. */
  readonly #heap: Pending[] = [];
  #waiting = 0;

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
    const pending: Pending = { at: this.#now + Math.max(0, delay_ms), order: this.#order++, fire, waits: true };
    this.#push(pending);
    return { cancel: () => this.#settle(pending) };
  }

  /** Moves time forward, firing every timer that falls due, in order, including those set on the way. */
  advance(by_ms: number): void {
    const end = this.#now + by_ms;
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#settle(next);
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
    return this.#waiting;
  }

  #settle(pending: Pending): void {
    if (!pending.waits) return;
    pending.waits = false;
    this.#waiting--;
  }

  /** Takes the next timer that is due by `end` out of the heap. */
  #next(end: number): Pending | undefined {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (first.waits && first.at > end) return undefined;
      this.#pop();
      if (first.waits) return first;
    }
    return undefined;
  }

  #push(pending: Pending): void {
    this.#waiting++;
    const heap = this.#heap;
    let i = heap.push(pending) - 1;
    while (i > 0) {
      const above = (i - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || isBefore(parent, pending)) break;
      heap[i] = parent;
      i = above;
    }
    heap[i] = pending;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let i = 0;
    for (;;) {
      const left = heap[2 * i + 1];
      const right = heap[2 * i + 2];
      const lesser = right !== undefined && left !== undefined && isBefore(right, left) ? right : left;
      if (lesser === undefined || isBefore(last, lesser)) break;
      heap[i] = lesser;
      i = lesser === left ? 2 * i + 1 : 2 * i + 2;
    }
    heap[i] = last;
  }

  #move(to: number): void {
    this.#wall += to - this.#now;
    this.#now = to;
  }
}
