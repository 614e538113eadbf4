import type { Database } from "./database.ts";

export interface Dropped {
  readonly events: number;
  /** Of those, how many the NOC had not acknowledged. */
  readonly undelivered: number;
}

const CALL_RECORDS_KEPT = 100_000;

/**
 * Brings the events down to `limit`. What goes first: delivered ordinary events, then undelivered ordinary ones, then
 * emergency events (delivered before undelivered); within each, the oldest. Runs in the caller's transaction.
 */
export function trimEvents(database: Database, limit: number): Dropped {
  const count = database.prepare<[], number>("SELECT count(*) FROM events").pluck().get() ?? 0;
  let excess = count - limit;
  if (excess <= 0) return { events: 0, undelivered: 0 };
  // A little more than needed goes at once, so that a full store does not trim at every event.
  excess += Math.floor(limit / 100);
  const dropped = { events: 0, undelivered: 0 };
  for (const emergency of [0, 1]) {
    for (const delivered of [true, false]) {
      if (excess <= 0) break;
      const seqs = database
        .prepare<[number, number], number>(
          `SELECT seq FROM events WHERE emergency = ? AND seq ${delivered ? "NOT IN" : "IN"} (SELECT seq FROM outbox)
           ORDER BY seq LIMIT ?`,
        )
        .pluck()
        .all(emergency, excess);
      const fromEvents = database.prepare("DELETE FROM events WHERE seq = ?");
      const fromOutbox = database.prepare("DELETE FROM outbox WHERE seq = ?");
      for (const seq of seqs) {
        fromEvents.run(seq);
        fromOutbox.run(seq);
      }
      excess -= seqs.length;
      dropped.events += seqs.length;
      if (!delivered) dropped.undelivered += seqs.length;
    }
  }
  database
    .prepare(
      "DELETE FROM calls WHERE event_id IN (SELECT event_id FROM calls ORDER BY ended_wall DESC LIMIT -1 OFFSET ?)",
    )
    .run(CALL_RECORDS_KEPT);
  database
    .prepare(
      `DELETE FROM alarms WHERE cleared_wall IS NOT NULL AND rowid NOT IN
         (SELECT rowid FROM alarms ORDER BY raised_wall DESC LIMIT 10000)`,
    )
    .run();
  return dropped;
}
