import type { CallbackEntry } from "../../base/snapshot.ts";

/** Entries kept; the oldest go first. */
const LIMIT = 200;

/** Who called 911 lately, presenting which number: a return call has to reach that phone. */
export class CallbackLedger {
  #entries: readonly CallbackEntry[] = [];

  entries(now_wall: number): readonly CallbackEntry[] {
    return this.#entries.filter(({ until_wall }) => until_wall > now_wall);
  }

  /** Adds an entry, or puts it in the place of the one of the same call. */
  put(entry: CallbackEntry): void {
    this.#entries = [...this.#entries.filter(({ call_id }) => call_id !== entry.call_id), entry].slice(-LIMIT);
  }

  /** Entries from a snapshot or a journal; what is known already stays as it is. */
  adopt(entries: readonly CallbackEntry[]): void {
    const known = new Set(this.#entries.map(({ call_id }) => call_id));
    this.#entries = [...entries.filter(({ call_id }) => !known.has(call_id)), ...this.#entries].slice(-LIMIT);
  }

  /** The latest caller who presented this number. */
  callerOf(number: string | undefined, now_wall: number): CallbackEntry | undefined {
    return this.entries(now_wall)
      .filter(({ presented_number }) => presented_number === number)
      .sort((a, b) => b.started_wall - a.started_wall)[0];
  }

  /** The latest call, whatever number it presented. */
  latest(now_wall: number): CallbackEntry | undefined {
    return [...this.entries(now_wall)].sort((a, b) => b.started_wall - a.started_wall)[0];
  }

  until(now_wall: number): number | undefined {
    const ends = this.entries(now_wall).map(({ until_wall }) => until_wall);
    return ends.length === 0 ? undefined : Math.max(...ends);
  }
}
