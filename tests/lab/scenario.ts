/** What a scenario is, and the record it leaves: a timeline for people, measured values for machines. */
import { now } from "./deadline.ts";
import type { Lab } from "./lab.ts";
import type { Layout } from "./network.ts";

export interface ScenarioLayout extends Layout {
  /** How the telephones are set up before `run`: through the box, straight to the cloud, or left to the scenario. */
  readonly telephones: "box" | "cloud" | "later";
  /** Whether the box is started before `run`. */
  readonly box_running: boolean;
  /** The site has a 911 trunk of its own over the WAN, tried between the cloud and LTE. */
  readonly direct_trunk?: boolean;
  /** The baresip telephones, the cloud and the LTE trunk are spoken to over TCP. */
  readonly tcp?: boolean;
}

export interface Scenario {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  readonly layout: ScenarioLayout;
  /** Played by `npm test` too. */
  readonly short?: boolean;
  /** The whole run is ended as failed after this; default 120 s. */
  readonly deadline_ms?: number;
  run(lab: Lab): Promise<void>;
}

export interface StepRecord {
  readonly name: string;
  readonly started_ms: number;
  readonly took_ms: number;
  readonly failure?: string;
}

export type Measured = Readonly<Record<string, readonly number[]>>;

export interface RunRecord {
  readonly scenario: string;
  readonly repetition: number;
  readonly passed: boolean;
  readonly duration_ms: number;
  readonly setup_ms: number;
  readonly steps: readonly StepRecord[];
  /** Every value in the order it was measured; keys end in their unit. */
  readonly measured: Measured;
  readonly failure?: string;
  /** Directory with logs, captures and configurations; kept after a failure. */
  readonly evidence?: string;
}

/** A step that did not come out as it must; its message is meant for a person. */
export class Unmet extends Error {}

export function expect(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Unmet(message);
}

/** Keeps and prints what happens, in seconds since the lab stood. */
export class Timeline {
  readonly steps: StepRecord[] = [];
  readonly measured: Record<string, number[]> = {};
  readonly #start = now();
  readonly #print: (line: string) => void;
  #depth = 0;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  async step<T>(name: string, act: () => Promise<T>): Promise<T> {
    const started = now();
    this.#depth++;
    try {
      const result = await act();
      this.#depth--;
      this.steps.push({ name, started_ms: started - this.#start, took_ms: now() - started });
      this.#line(started, `${name} (${now() - started} ms)`);
      return result;
    } catch (error) {
      this.#depth--;
      const failure = error instanceof Error ? error.message : String(error);
      this.steps.push({ name, started_ms: started - this.#start, took_ms: now() - started, failure });
      this.#line(started, `FAILED ${name}: ${failure}`);
      throw error;
    }
  }

  note(text: string): void {
    this.#line(now(), text);
  }

  measure(key: string, value: number): void {
    const rounded = Math.round(value * 100) / 100;
    this.measured[key] = [...(this.measured[key] ?? []), rounded];
    this.#line(now(), `measured ${key} = ${rounded}`);
  }

  #line(at: number, text: string): void {
    const seconds = ((at - this.#start) / 1000).toFixed(3).padStart(8);
    this.#print(`${seconds}  ${"  ".repeat(this.#depth)}${text}`);
  }
}
