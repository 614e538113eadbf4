/** Numbers since start, by name. */
export class Counters {
  readonly #values = new Map<string, number>();

  count(name: string): void {
    this.#values.set(name, (this.#values.get(name) ?? 0) + 1);
  }

  all(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#values);
  }
}
