import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import Sqlite from "better-sqlite3";
import { type HoldfastEvent, isEventLike } from "../../base/events.ts";
import { MIGRATIONS } from "./migrations.ts";

/**
 * Adapter: better-sqlite3. Opens the store's file in WAL with synchronous=FULL (an acknowledged row survives a power
 * cut), brings its schema up to date, and sets a damaged file aside.
 */
export type Database = Sqlite.Database;

/** Waiting for another connection's lock blocks this process; calls are elsewhere, but page and NOC are here. */
const LOCK_WAIT_MS = 50;
const KEPT_QUARANTINED = 3;
/** Numbers looked for in a damaged file: more events than this are not kept. */
const SALVAGE_REACH = 101_000;

/** Thrown when the file is there but is not a sound database. */
export class CorruptError extends Error {}

/** Throws {@link CorruptError} for a damaged file, SQLite's own error for everything else. */
export function openDatabase(file: string, nowWall: number): Database {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const database = new Sqlite(file, { timeout: LOCK_WAIT_MS });
  try {
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = FULL");
    database.pragma("journal_size_limit = 16777216");
    const verdict = database.pragma("quick_check(1)", { simple: true });
    if (verdict !== "ok") throw new CorruptError(String(verdict));
    migrate(database, nowWall);
    return database;
  } catch (error) {
    database.close();
    throw isCorruption(error) ? new CorruptError(error instanceof Error ? error.message : String(error)) : error;
  }
}

/** SQLite's extended result code, such as `SQLITE_FULL`; undefined for errors that are not SQLite's. */
export function sqliteCode(error: unknown): string | undefined {
  return error instanceof Sqlite.SqliteError ? error.code : undefined;
}

/** True for errors that say the file's content is damaged, as opposed to the disk being full, locked or read-only. */
export function isCorruption(error: unknown): boolean {
  if (error instanceof CorruptError) return true;
  const code = sqliteCode(error) ?? "";
  return code.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB";
}

/** An event as it was stored. Throws {@link CorruptError}: a page can be damaged in a way that only its content shows. */
export function parseStored(json: string): HoldfastEvent {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    // Named below.
  }
  if (!isEventLike(value)) throw new CorruptError("a stored event cannot be read");
  return value;
}

/** Renames the file with its WAL aside and answers the new name. The newest three such files are kept. */
export function quarantine(file: string, nowWall: number): string {
  const stamp = new Date(nowWall).toISOString().replaceAll(/[:.]/g, "-");
  let aside = `${file}.quarantined-${stamp}`;
  for (let n = 2; existsSync(aside); n++) aside = `${file}.quarantined-${stamp}-${n}`;
  for (const suffix of ["-wal", "-shm", ""]) {
    if (existsSync(file + suffix)) renameSync(file + suffix, aside + suffix);
  }
  const folder = dirname(file);
  const prefix = `${basename(file)}.quarantined-`;
  const old = readdirSync(folder)
    .filter((name) => name.startsWith(prefix) && !name.endsWith("-wal") && !name.endsWith("-shm"))
    .sort()
    .slice(0, -KEPT_QUARANTINED);
  for (const name of old)
    for (const suffix of ["", "-wal", "-shm"]) rmSync(join(folder, name + suffix), { force: true });
  return aside;
}

/** The undelivered events of an open database as JSON, oldest first; stops where damage begins. */
export function readUndelivered(database: Database): string[] {
  const found: string[] = [];
  try {
    const rows = database.prepare<[], { json: string }>(
      "SELECT json FROM events WHERE seq IN (SELECT seq FROM outbox) ORDER BY seq",
    );
    for (const row of rows.iterate()) if (typeof row.json === "string") found.push(row.json);
  } catch {
    // What was read before the damage is worth keeping; the rest cannot be had.
  }
  return found;
}

/**
 * What can still be read of a damaged file's undelivered events, oldest first. Numbers up to `last` may have been given
 * out. Each is looked for by itself, because damage in one page ends every ordered reading.
 */
export function salvage(file: string, last: number): string[] {
  let database: Database | undefined;
  try {
    database = new Sqlite(file, { timeout: LOCK_WAIT_MS });
    const found = new Map<number, string>();
    const event = database.prepare<[number], string>("SELECT json FROM events WHERE seq = ?").pluck();
    const waits = database.prepare<[number], number>("SELECT 1 FROM outbox WHERE seq = ?").pluck();
    for (let seq = Math.max(1, last - SALVAGE_REACH); seq <= last; seq++) {
      const json = readOr(undefined, () => event.get(seq));
      // Where the outbox cannot be read the event goes again: the NOC knows repetitions by their id.
      if (typeof json === "string" && readOr(1, () => waits.get(seq)) !== undefined) found.set(seq, json);
    }
    return [...found.values()];
  } catch {
    return [];
  } finally {
    database?.close();
  }
}

function readOr<T>(otherwise: T, read: () => T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

function migrate(database: Database, nowWall: number): void {
  database.exec("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, applied_wall INTEGER NOT NULL) STRICT");
  const done = new Set(database.prepare<[], string>("SELECT name FROM migrations").pluck().all());
  for (const { name, sql } of MIGRATIONS) {
    if (done.has(name)) continue;
    database.transaction(() => {
      database.exec(sql);
      database.prepare("INSERT INTO migrations (name, applied_wall) VALUES (?, ?)").run(name, Math.round(nowWall));
    })();
  }
}
