/** What a scenario is, and the record it leaves: a timeline for people, measured values for machines. */
import { now } from "./deadline.ts";
import type { Lab } from "./lab.ts";
import type { Layout } from "./network.ts";

const DEADLINE_MS = 120_000;

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

/** A lab that stands for several scenarios, which are played in it one after the other. */
export interface Stage {
  readonly name: string;
  readonly layout: ScenarioLayout;
  /** Once, when the lab stands: further peers, further accounts. */
  prepare?(lab: Lab): Promise<void>;
  /** After each scenario: throws unless the lab is as the next one must find it. */
  settled(lab: Lab): Promise<void>;
}

interface Told {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** Played by `npm test` too. */
  readonly short?: boolean;
  /** The run is ended as failed after this, ms; see `deadlineOf`. */
  readonly deadline_ms?: number;
  run(lab: Lab): Promise<void>;
}

/** Played in a lab of its own, or on a stage, which it must leave as it found it. */
export type Scenario = Told & ({ readonly layout: ScenarioLayout } | { readonly stage: Stage });

export const stageOf = (scenario: Scenario): Stage | undefined => ("stage" in scenario ? scenario.stage : undefined);

export const layoutOf = (scenario: Scenario): ScenarioLayout =>
  "stage" in scenario ? scenario.stage.layout : scenario.layout;

/** Time for one scenario, ms; set-up and clean-up are not in it. */
export const deadlineOf = (scenario: Scenario): number => scenario.deadline_ms ?? DEADLINE_MS;

/** Where a run inside the namespaces leaves its record. */
export const recordFile = (scenario: string): string => `${scenario}.run.json`;

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
