import type { HoldfastEvent } from "../../base/events.ts";
import { type Database, parseStored } from "./database.ts";

/** One event that the NOC has not acknowledged, with its number. */
export interface OutboxRow {
  readonly seq: number;
  readonly id: string;
  readonly emergency: boolean;
  readonly event: HoldfastEvent;
}

interface Row {
  seq: number;
  id: string;
  emergency: number;
  json: string;
}

export function readOutbox(
  database: Database,
  which: { readonly after: number; readonly until: number; readonly emergency: boolean; readonly limit: number },
): OutboxRow[] {
  return database
    .prepare<[number, number, number, number], Row>(
      `SELECT outbox.seq, outbox.id, outbox.emergency, events.json FROM outbox JOIN events USING (seq)
       WHERE outbox.emergency = ? AND outbox.seq > ? AND outbox.seq <= ? ORDER BY outbox.seq LIMIT ?`,
    )
    .all(which.emergency ? 1 : 0, which.after, which.until, which.limit)
    .map(({ json, ...row }) => ({ ...row, emergency: row.emergency === 1, event: parseStored(json) }));
}

export function countOutbox(database: Database): number {
  return database.prepare<[], number>("SELECT count(*) FROM outbox").pluck().get() ?? 0;
}

/** Forgets acknowledged events, in one transaction. Ids that are not known are nothing special: acks are repeated. */
export function removeFromOutbox(database: Database, ids: readonly string[]): number {
  const remove = database.prepare("DELETE FROM outbox WHERE id = ?");
  return database.transaction(() => ids.reduce((sum, id) => sum + remove.run(id).changes, 0))();
}
