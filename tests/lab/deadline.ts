/** Waiting: every wait in the lab ends in the thing awaited or in an error that names it. */
export class AwaitedTooLong extends Error {}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Wall-clock milliseconds; the same clock as the captures' time stamps. */
export const now = (): number => Date.now();

/** Settles as `promise` does, or rejects after `deadline_ms` saying what was awaited. */
export async function within<T>(what: string, deadline_ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new AwaitedTooLong(`waited ${deadline_ms} ms for ${what}; it did not come`)),
      deadline_ms,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks `probe` again and again, for state that has no event of its own, until it returns something. */
export async function until<T>(
  what: string,
  deadline_ms: number,
  probe: () => T | undefined | Promise<T | undefined>,
  every_ms = 20,
): Promise<T> {
  const end = performance.now() + deadline_ms;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    if (performance.now() >= end) throw new AwaitedTooLong(`waited ${deadline_ms} ms for ${what}; it did not come`);
    await sleep(every_ms);
  }
}

/**
 * A growing list that can be waited on: what has come stays, and a waiter sees both the past (from `from` on) and the
 * future, so that nothing is missed between an action and the wait for its effect.
 */
export class Journal<T> {
  readonly entries: T[] = [];
  readonly #waiting = new Set<(entry: T) => void>();

  /** The place to give as `from`, to see only what comes after this moment. */
  get mark(): number {
    return this.entries.length;
  }

  push(entry: T): void {
    this.entries.push(entry);
    for (const notify of [...this.#waiting]) notify(entry);
  }

  find(matches: (entry: T) => boolean, from = 0): T | undefined {
    for (let i = from; i < this.entries.length; i++) {
      const entry = this.entries[i];
      if (entry !== undefined && matches(entry)) return entry;
    }
    return undefined;
  }

  since(from: number): readonly T[] {
    return this.entries.slice(from);
  }

  async next(what: string, deadline_ms: number, matches: (entry: T) => boolean, from = 0): Promise<T> {
    const found = this.find(matches, from);
    if (found !== undefined) return found;
    let notify: ((entry: T) => void) | undefined;
    try {
      return await within(
        what,
        deadline_ms,
        new Promise<T>((resolve) => {
          notify = (entry) => {
            if (matches(entry)) resolve(entry);
          };
          this.#waiting.add(notify);
        }),
      );
    } finally {
      if (notify !== undefined) this.#waiting.delete(notify);
    }
  }
}
