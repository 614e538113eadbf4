import type { Alarm, AlarmBoard } from "../../base/alarms.ts";
import { type Clock, every, type Timer } from "../../base/clock.ts";
import type { ClockQuality } from "../../base/events.ts";
import type {
  CellularStatus,
  EngineStatus,
  HostStatus,
  NocStatus,
  PowerStatus,
  StatusDocument,
} from "../../base/status.ts";
import { freshness, type LastHeard, SILENCE_MS, type Watched } from "./freshness.ts";
import { significant } from "./significant.ts";

const TICK_MS = 1000;
/** A tick this late means that this process itself stood still. */
const STOOD_STILL_MS = 3000;
/** Changes of one moment are told together. */
const COALESCE_MS = 250;

/** What the board asks for when it is read. */
export interface StatusSources {
  identity(): Pick<StatusDocument, "org" | "site" | "box">;
  power(): PowerStatus;
  host(): HostStatus;
  noc(): NocStatus;
  clockQuality(): ClockQuality;
  /** Alarms of parts of this process that keep a board of their own. */
  alarms(): readonly Alarm[];
  /** True where modems are configured, so that silence of the cellular process matters. */
  cellularExpected(): boolean;
}

/**
 * Puts the one status document together. What a silent process last said is not repeated: its part is undefined and
 * its freshness says since when. A silent process is also an alarm.
 */
export class StatusBoard {
  readonly #clock: Clock;
  readonly #practice: boolean;
  readonly #alarms: AlarmBoard;
  readonly #sources: StatusSources;
  readonly #started: LastHeard;
  readonly #heard = new Map<Watched, LastHeard>();
  readonly #listeners = new Set<(document: StatusDocument) => void>();
  readonly #ticks: Timer;
  #engine: EngineStatus | undefined;
  #cellular: CellularStatus | undefined;
  #cable: "plugged" | "pulled" | undefined;
  #told = "";
  #turn: Timer | undefined;
  #tickedAt_ms: number;

  constructor(options: { clock: Clock; practice: boolean; alarms: AlarmBoard; sources: StatusSources }) {
    this.#clock = options.clock;
    this.#practice = options.practice;
    this.#alarms = options.alarms;
    this.#sources = options.sources;
    this.#started = this.#moment();
    this.#tickedAt_ms = this.#started.at_ms;
    this.#ticks = every(this.#clock, TICK_MS, () => this.#tick());
  }

  engineSaid(status: EngineStatus): void {
    this.#engine = status;
    this.heard("engine");
  }

  cellularSaid(status: CellularStatus): void {
    this.#cellular = status;
    this.heard("cellular");
  }

  cableIs(wan: "plugged" | "pulled" | undefined): void {
    this.#cable = wan;
    this.touch();
  }

  /** A sign of life, with or without news. */
  heard(process: Watched): void {
    this.#heard.set(process, this.#moment());
    this.#alarms.clear("process.down", process);
    this.touch();
  }

  /** Something may have changed; listeners are told shortly, if it has. */
  touch(): void {
    this.#turn ??= this.#clock.after(COALESCE_MS, () => {
      this.#turn = undefined;
      this.#tell();
    });
  }

  /** Called with the document whenever something a reader would care about has changed. */
  onChange(listener: (document: StatusDocument) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The engine's word, if it is fresh. */
  get engine(): EngineStatus | undefined {
    return this.#fresh("engine").fresh ? this.#engine : undefined;
  }

  document(): StatusDocument {
    const processes = {
      engine: this.#fresh("engine"),
      media: this.#fresh("media"),
      cellular: this.#fresh("cellular"),
      site: { fresh: true, unknown_since_wall: undefined },
    };
    const engine = processes.engine.fresh ? this.#engine : undefined;
    const cellular = processes.cellular.fresh ? this.#cellular : undefined;
    return {
      v: 1,
      practice: this.#practice,
      now_wall: this.#clock.wall(),
      clock_quality: this.#sources.clockQuality(),
      ...this.#sources.identity(),
      processes,
      engine,
      cellular,
      power: this.#sources.power(),
      host: this.#sources.host(),
      noc: this.#sources.noc(),
      alarms: [
        ...(engine?.alarms ?? []),
        ...(cellular?.alarms ?? []),
        ...this.#alarms.active(),
        ...this.#sources.alarms(),
      ],
      cable: this.#practice && this.#cable !== undefined ? { wan: this.#cable } : undefined,
    };
  }

  close(): void {
    this.#ticks.cancel();
    this.#turn?.cancel();
    this.#listeners.clear();
  }

  #moment(): LastHeard {
    return { at_ms: this.#clock.now(), at_wall: this.#clock.wall() };
  }

  #fresh(process: Watched) {
    return freshness(process, this.#heard.get(process), this.#started, this.#clock.now());
  }

  #tick(): void {
    const now = this.#clock.now();
    const stoodStill = now - this.#tickedAt_ms > STOOD_STILL_MS;
    this.#tickedAt_ms = now;
    // What the others said meanwhile is still to be read; nobody is called silent before that.
    if (stoodStill) return;
    for (const process of ["engine", "media", "cellular"] as const) {
      const expected = process !== "cellular" || this.#sources.cellularExpected();
      const since = this.#heard.get(process) ?? this.#started;
      const silent = expected && this.#clock.now() - since.at_ms > SILENCE_MS[process];
      this.#alarms.set("process.down", process, silent, `The ${process} process has not been heard.`);
    }
    this.#tell();
  }

  #tell(): void {
    const document = this.document();
    const digest = significant(document);
    if (digest === this.#told) return;
    this.#told = digest;
    for (const listener of this.#listeners) listener(document);
  }
}
