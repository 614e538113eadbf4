import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Clock, every, type Timer } from "../../base/clock.ts";
import { errorText } from "../../base/errors.ts";
import type { HoldfastEvent } from "../../base/events.ts";
import type { Log } from "../../base/log.ts";
import type { OpenAlarm } from "../status/forgotten-alarms.ts";
import {
  type Database,
  isCorruption,
  openDatabase,
  parseStored,
  quarantine,
  readUndelivered,
  salvage,
  sqliteCode,
} from "./database.ts";
import { countOutbox, type OutboxRow, readOutbox, removeFromOutbox } from "./outbox.ts";
import { type CallRecord, countCalls, deriveRecords, readCalls, readDrills, type StoredDrill } from "./records.ts";
import { trimEvents } from "./retention.ts";
import { SequenceReserve } from "./sequence.ts";

const RETRY_MS = 1000;
const CHECK_MS = 5000;
/** Events that wait in memory while the disk cannot be written; the senders' journals hold what does not fit. */
const UNSAVED_LIMIT = 20_000;
const BATCH = 500;
const EVENTS_KEPT = 100_000;

export interface StoreOptions {
  readonly file: string;
  readonly clock: Clock;
  readonly log: Log;
  /** A text while the store cannot be written, undefined once it can again. Called on change only. */
  onFault(detail: string | undefined): void;
  /** A damaged database was set aside under this name and a new one begun. */
  onQuarantined(file: string, detail: string): void;
  /** Events kept; see retention.ts for what goes first. */
  readonly events_kept?: number;
  /** How the file is opened. */
  readonly open?: typeof openDatabase;
}

interface Unsaved {
  readonly event: HoldfastEvent;
  readonly done: (() => void) | undefined;
}

/**
 * The box's memory: events, the outbox to the NOC, and what is derived from them. Nothing here throws at its caller:
 * what cannot be written waits and is tried again every second, and its sender is told only once it is on disk.
 * Events of one turn share one transaction, because a synchronous commit costs milliseconds.
 */
export class Store {
  readonly #options: StoreOptions;
  readonly #sequence: SequenceReserve;
  readonly #unsaved: Unsaved[] = [];
  readonly #removals = new Set<string>();
  readonly #listeners = new Set<(event: HoldfastEvent) => void>();
  #checks: Timer | undefined;
  #database: Database | undefined;
  #inode = 0;
  #lastSeq = 0;
  #waiting = 0;
  #fault: string | undefined;
  #turn: Timer | undefined;
  #closed = false;
  /** Events that retention gave up before the NOC acknowledged them. */
  undelivered_dropped = 0;
  /** Events not taken because too many were waiting for the disk; their senders keep them. */
  refused = 0;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#sequence = new SequenceReserve(join(dirname(options.file), "sequence"));
  }

  /** Opens the file, or begins trying to. Faults are reported from here on. */
  open(): void {
    this.#attempt(() => this.#open());
    this.#checks = every(this.#options.clock, CHECK_MS, () => this.#check());
  }

  /** Takes an event. `done` is called once it is on disk (also when it already was: events are known by their id). */
  add(event: HoldfastEvent, done?: () => void): void {
    if (typeof event.id !== "string" || typeof event.type !== "string") return;
    if (this.#unsaved.length >= UNSAVED_LIMIT) {
      this.refused++;
      return;
    }
    // Numbers are given here alone.
    this.#unsaved.push({ event: event.seq === 0 ? event : { ...event, seq: 0 }, done });
    this.#soon(this.#fault === undefined ? 0 : RETRY_MS);
  }

  /** Called with each new event once it is on disk and numbered, in the order of the numbers. */
  onStored(listener: (event: HoldfastEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** Events that the NOC has not acknowledged, those not yet on disk included. */
  get waiting(): number {
    return this.#waiting + this.#unsaved.length;
  }

  get fault(): string | undefined {
    return this.#fault;
  }

  /** Events after number `after`, oldest first. */
  eventsAfter(after: number, limit: number): HoldfastEvent[] {
    return this.#read([], (database) =>
      database
        .prepare<[number, number], string>("SELECT json FROM events WHERE seq > ? ORDER BY seq LIMIT ?")
        .pluck()
        .all(after, limit)
        .map(parseStored),
    );
  }

  /** The newest events, newest first; those that could not be written yet come first and have number 0. */
  recentEvents(limit: number): HoldfastEvent[] {
    const stored = this.#read([] as HoldfastEvent[], (database) =>
      database
        .prepare<[number], string>("SELECT json FROM events ORDER BY seq DESC LIMIT ?")
        .pluck()
        .all(limit)
        .map(parseStored),
    );
    const unsaved = this.#unsaved.slice(-limit).map((item) => item.event);
    return [...unsaved.reverse(), ...stored].slice(0, limit);
  }

  /** Events for the NOC with numbers in (after, until], oldest first. */
  outbox(which: { after: number; until: number; emergency: boolean; limit: number }): OutboxRow[] {
    return this.#read([], (database) => readOutbox(database, which));
  }

  /** Events that cannot be written now; the NOC may still hear of them, unnumbered. */
  unsaved(): readonly HoldfastEvent[] {
    return this.#fault === undefined ? [] : this.#unsaved.map((item) => item.event);
  }

  /** The NOC has these events. Written together shortly after; an acknowledgement lost on the way only costs a resend. */
  acknowledge(ids: readonly string[]): void {
    for (const id of ids) this.#removals.add(id);
    if (this.#removals.size > 0) this.#soon(this.#fault === undefined ? 0 : RETRY_MS);
  }

  calls(limit: number): CallRecord[] {
    return this.#read([], (database) => readCalls(database, limit));
  }

  callCounts(): Record<string, number> {
    return this.#read({}, countCalls);
  }

  /** Alarms on record as raised and not cleared. */
  openAlarms(): OpenAlarm[] {
    return this.#read([], (database) =>
      database
        .prepare<[], OpenAlarm>(
          "SELECT code, subject, severity, detail, raised_wall FROM alarms WHERE cleared_wall IS NULL LIMIT 1000",
        )
        .all(),
    );
  }

  drills(limit: number): StoredDrill[] {
    return this.#read([], (database) => readDrills(database, limit));
  }

  /** Writes what waits and closes the file. */
  close(): void {
    if (this.#closed) return;
    this.#flush();
    this.#closed = true;
    this.#turn?.cancel();
    this.#checks?.cancel();
    this.#database?.close();
    this.#database = undefined;
  }

  #soon(delay_ms: number): void {
    if (this.#closed) return;
    this.#turn ??= this.#options.clock.after(delay_ms, () => {
      this.#turn = undefined;
      this.#flush();
    });
  }

  #flush(): void {
    while (this.#unsaved.length > 0 || this.#removals.size > 0) {
      if (!this.#attempt(() => this.#write())) {
        this.#soon(RETRY_MS);
        return;
      }
    }
  }

  #write(): void {
    const database = this.#open();
    const batch = this.#unsaved.slice(0, BATCH);
    const removals = [...this.#removals];
    if (removals.length > 0) removeFromOutbox(database, removals);
    for (const id of removals) this.#removals.delete(id);
    let seq = this.#lastSeq;
    this.#sequence.cover(seq + batch.length);
    const stored: HoldfastEvent[] = [];
    const kept = this.#options.events_kept ?? EVENTS_KEPT;
    database.transaction(() => {
      const known = database.prepare<[string], number>("SELECT 1 FROM events WHERE id = ?").pluck();
      for (const { event } of batch) {
        if (known.get(event.id) !== undefined) continue;
        // An event saved out of a damaged file keeps the number that the NOC may already know.
        const numbered = { ...event, seq: event.seq > 0 ? event.seq : ++seq };
        insertEvent(database, numbered, this.#options.log);
        stored.push(numbered);
      }
      database
        .prepare(
          "INSERT INTO counters (name, value) VALUES ('seq', ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        )
        .run(seq);
      if (stored.length > 0) {
        const dropped = trimEvents(database, kept);
        if (dropped.undelivered > 0) {
          this.undelivered_dropped += dropped.undelivered;
          this.#options.log.warn("store: undelivered events dropped, too many are waiting", { ...dropped });
        }
      }
    })();
    this.#lastSeq = seq;
    this.#unsaved.splice(0, batch.length);
    this.#waiting = countOutbox(database);
    for (const item of batch) item.done?.();
    for (const event of stored) for (const listener of this.#listeners) listener(event);
  }

  /** Runs one piece of work; false when the disk did not take it. Damage sets the file aside and counts as "again". */
  #attempt(work: () => void): boolean {
    try {
      work();
      this.#setFault(undefined);
      return true;
    } catch (error) {
      return isCorruption(error) ? this.#attemptReplacing(error) : this.#failed(error);
    }
  }

  #attemptReplacing(damage: unknown): boolean {
    try {
      this.#replace(errorText(damage));
      this.#setFault(undefined);
      return true;
    } catch (error) {
      return this.#failed(error);
    }
  }

  #failed(error: unknown): false {
    this.#letGo(error);
    this.#setFault(errorText(error));
    return false;
  }

  #open(): Database {
    if (this.#database !== undefined) return this.#database;
    const { file, clock } = this.#options;
    const database = (this.#options.open ?? openDatabase)(file, clock.wall());
    const counted = database
      .prepare<[], number>(
        "SELECT max((SELECT coalesce(max(seq), 0) FROM events), coalesce(max(value), 0)) FROM counters WHERE name = 'seq'",
      )
      .pluck()
      .get();
    const empty = (counted ?? 0) === 0;
    this.#lastSeq = empty ? this.#sequence.next - 1 : (counted ?? 0);
    this.#waiting = countOutbox(database);
    this.#inode = statSync(file).ino;
    this.#database = database;
    return database;
  }

  /** Sets the damaged file aside, begins a new one and takes along what the NOC has not had. */
  #replace(detail: string): void {
    const { file, clock, log } = this.#options;
    this.#database?.close();
    this.#database = undefined;
    const aside = quarantine(file, clock.wall());
    const rescued = this.#requeue(salvage(aside, this.#sequence.next - 1));
    this.#open();
    log.error("store: damaged database set aside", { file: aside, detail, rescued });
    this.#options.onQuarantined(aside, detail);
    this.#soon(0);
  }

  #requeue(lines: readonly string[]): number {
    const rescued: Unsaved[] = [];
    for (const line of lines.slice(-UNSAVED_LIMIT)) {
      try {
        rescued.push({ event: parseStored(line), done: undefined });
      } catch {
        // A damaged row; its neighbours may be whole.
      }
    }
    this.#unsaved.unshift(...rescued);
    return rescued.length;
  }

  /** Somebody removed or replaced the file beneath us: SQLite would go on writing into a file without a name. */
  #check(): void {
    if (this.#database !== undefined && inodeOf(this.#options.file) !== this.#inode) {
      this.#options.log.error("store: the database file was removed or replaced; starting over");
      const lines = readUndelivered(this.#database);
      this.#letGo(undefined);
      this.#requeue(lines);
      this.#attempt(() => this.#open());
    }
    if (this.#database === undefined) this.#attempt(() => this.#open());
    if (this.#unsaved.length > 0) this.#soon(0);
  }

  /** After an I/O error the handle cannot be trusted (a failed fsync is not repeated); full and locked are harmless. */
  #letGo(error: unknown): void {
    if (/^SQLITE_(BUSY|LOCKED|FULL)/.test(sqliteCode(error) ?? "")) return;
    try {
      this.#database?.close();
    } catch {
      // It is being given up.
    }
    this.#database = undefined;
  }

  #setFault(detail: string | undefined): void {
    if ((detail === undefined) === (this.#fault === undefined)) return;
    this.#fault = detail;
    if (detail === undefined) this.#options.log.info("store: writable again");
    else this.#options.log.error("store: cannot be written", { detail });
    this.#options.onFault(detail);
  }

  #read<T>(otherwise: T, work: (database: Database) => T): T {
    if (this.#database === undefined) return otherwise;
    try {
      return work(this.#database);
    } catch (error) {
      this.#options.log.error("store: read failed", { detail: errorText(error) });
      // Damage found while reading is dealt with like damage found while writing.
      if (isCorruption(error)) this.#attemptReplacing(error);
      return otherwise;
    }
  }
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function inodeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.ino ?? 0;
}

function insertEvent(database: Database, event: HoldfastEvent, log: Log): void {
  const emergency = event.type.startsWith("emergency.") ? 1 : 0;
  database
    .prepare(
      "INSERT INTO events (seq, id, wall, type, subject, incident_id, call_id, emergency, json) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .run(
      event.seq,
      event.id,
      Math.round(Number(event.wall)) || 0,
      event.type,
      textOf(event.subject) ?? "",
      textOf(event.incident_id),
      textOf(event.call_id),
      emergency,
      JSON.stringify(event),
    );
  database.prepare("INSERT INTO outbox (seq, id, emergency) VALUES (?, ?, ?)").run(event.seq, event.id, emergency);
  try {
    deriveRecords(database, event);
  } catch (error) {
    // An event of an unexpected shape (another release's) is kept as it is; it must not hold up the others.
    const code = sqliteCode(error);
    if (code !== undefined && !code.startsWith("SQLITE_CONSTRAINT")) throw error;
    log.warn("store: nothing derived from an event of unexpected shape", { id: event.id, type: event.type });
  }
}
