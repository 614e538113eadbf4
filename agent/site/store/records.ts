import type { DrillRecord, HoldfastEvent } from "../../base/events.ts";
import type { Database } from "./database.ts";

/** One ended call, as lists and reports show it. */
export interface CallRecord {
  readonly call_id: string | undefined;
  readonly kind: "internal" | "outbound" | "inbound" | "emergency";
  readonly caller: string;
  readonly callee: string;
  readonly trunk: string | undefined;
  readonly path: string | undefined;
  readonly ended_wall: number;
  readonly duration_ms: number;
  readonly ended_by: string;
  readonly cause: string;
  readonly practice: boolean;
}

export interface StoredDrill {
  readonly drill: string;
  readonly ended_wall: number;
  readonly reason: string;
  readonly record: DrillRecord;
}

/** Derives the tables that lists are read from out of one event. Runs in the event's own transaction. */
export function deriveRecords(database: Database, event: HoldfastEvent): void {
  const wall = Math.round(event.wall);
  switch (event.type) {
    case "alarm.raised":
      database
        .prepare("INSERT OR IGNORE INTO alarms (code, subject, severity, detail, raised_wall) VALUES (?, ?, ?, ?, ?)")
        .run(event.data.code, event.subject, event.data.severity, event.data.detail, wall);
      return;
    case "alarm.cleared":
      database
        .prepare("UPDATE alarms SET cleared_wall = ? WHERE code = ? AND subject = ? AND cleared_wall IS NULL")
        .run(wall, event.data.code, event.subject);
      return;
    case "call.ended": {
      const { direction, caller, callee, trunk, path, duration_ms, ended_by, cause } = event.data;
      insertCall(database, event, {
        kind: direction,
        caller,
        callee,
        trunk,
        path,
        duration_ms,
        ended_by,
        cause,
      });
      return;
    }
    case "emergency.ended": {
      const { dialled, extension, caller_number, duration_ms, ended_by, cause } = event.data;
      const answered = database
        .prepare<[string | null], { trunk: string | null; path: string | null }>(
          `SELECT json ->> '$.data.trunk' AS trunk, json ->> '$.data.path' AS path FROM events
           WHERE emergency = 1 AND type = 'emergency.answered' AND call_id = ? ORDER BY seq DESC LIMIT 1`,
        )
        .get(event.call_id ?? null);
      insertCall(database, event, {
        kind: "emergency",
        caller: extension ?? caller_number,
        callee: dialled,
        trunk: answered?.trunk ?? undefined,
        path: answered?.path ?? undefined,
        duration_ms,
        ended_by,
        cause,
      });
      return;
    }
    case "drill.ended":
      database
        .prepare("INSERT OR IGNORE INTO drills (drill, ended_wall, reason, json) VALUES (?, ?, ?, ?)")
        .run(event.data.drill, wall, event.data.reason, JSON.stringify(event.data.record));
      return;
    default:
  }
}

function insertCall(
  database: Database,
  event: HoldfastEvent,
  call: Omit<CallRecord, "call_id" | "ended_wall" | "practice">,
): void {
  database
    .prepare(
      `INSERT OR IGNORE INTO calls
         (event_id, call_id, kind, caller, callee, trunk, path, ended_wall, duration_ms, ended_by, cause, practice)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      event.id,
      event.call_id ?? null,
      call.kind,
      call.caller,
      call.callee,
      call.trunk ?? null,
      call.path ?? null,
      Math.round(event.wall),
      Math.round(call.duration_ms),
      call.ended_by,
      call.cause,
      event.practice ? 1 : 0,
    );
}

interface CallRow {
  call_id: string | null;
  kind: CallRecord["kind"];
  caller: string;
  callee: string;
  trunk: string | null;
  path: string | null;
  ended_wall: number;
  duration_ms: number;
  ended_by: string;
  cause: string;
  practice: number;
}

/** Ended calls, newest first. */
export function readCalls(database: Database, limit: number): CallRecord[] {
  return database
    .prepare<[number], CallRow>("SELECT * FROM calls ORDER BY ended_wall DESC, event_id DESC LIMIT ?")
    .all(limit)
    .map((row) => ({
      call_id: row.call_id ?? undefined,
      kind: row.kind,
      caller: row.caller,
      callee: row.callee,
      trunk: row.trunk ?? undefined,
      path: row.path ?? undefined,
      ended_wall: row.ended_wall,
      duration_ms: row.duration_ms,
      ended_by: row.ended_by,
      cause: row.cause,
      practice: row.practice === 1,
    }));
}

/** How many calls of each kind have ended, for counters that must only rise. */
export function countCalls(database: Database): Record<string, number> {
  const rows = database
    .prepare<[], { kind: string; count: number }>("SELECT kind, count(*) AS count FROM calls GROUP BY kind")
    .all();
  return Object.fromEntries(rows.map((row) => [row.kind, row.count]));
}

/** Drill records, newest first. */
export function readDrills(database: Database, limit: number): StoredDrill[] {
  return database
    .prepare<[number], { drill: string; ended_wall: number; reason: string; json: string }>(
      "SELECT drill, ended_wall, reason, json FROM drills ORDER BY ended_wall DESC LIMIT ?",
    )
    .all(limit)
    .map(({ json, ...row }) => ({ ...row, record: JSON.parse(json) as DrillRecord }));
}
