/** One piece of the bench: a lab of its own in which some figures are measured. */
export interface JobContext {
  readonly directory: string;
  readonly runDirectory: string;
  readonly quick: boolean;
  readonly cores: number;
  print(line: string): void;
}

/** What a job brings back: values by name, all in the unit that the name ends in, and remarks for the reader. */
export interface Measurements {
  readonly values: Readonly<Record<string, readonly number[]>>;
  readonly notes: readonly string[];
}

export type JobOutcome = { readonly measured: Measurements } | { readonly failure: string };

export interface Job {
  readonly name: string;
  /** The figure it belongs to, as `--only` names it. */
  readonly figure: string;
  /** `alone`: nothing else runs meanwhile. `light`: sleeps most of the time, so that others may run beside it. */
  readonly share: "alone" | "timing" | "light";
  readonly deadline_ms: number;
  run(context: JobContext): Promise<Measurements>;
}

export class Results {
  readonly values: Record<string, number[]> = {};
  readonly notes: string[] = [];
  readonly #print: (line: string) => void;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  add(key: string, value: number): void {
    const known = this.values[key] ?? [];
    this.values[key] = known;
    known.push(Math.round(value * 1000) / 1000);
  }

  note(text: string): void {
    this.notes.push(text);
    this.#print(`note: ${text}`);
  }

  get measurements(): Measurements {
    return { values: this.values, notes: this.notes };
  }
}
