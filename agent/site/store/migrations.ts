/**
 * Schema changes of the store, in order. They only add (tables, columns with defaults, indexes), so that an older
 * release can open a newer file after an update is rolled back. Each is named by what it brings and never edited.
 */
export interface Migration {
  readonly name: string;
  readonly sql: string;
}

export const MIGRATIONS: readonly Migration[] = [
  {
    name: "events-and-outbox",
    sql: `
      CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        wall INTEGER NOT NULL,
        type TEXT NOT NULL,
        subject TEXT NOT NULL,
        incident_id TEXT,
        call_id TEXT,
        emergency INTEGER NOT NULL,
        json TEXT NOT NULL
      ) STRICT;
      CREATE INDEX events_by_emergency ON events (emergency, seq);
      CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        emergency INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX outbox_by_emergency ON outbox (emergency, seq);
      CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;`,
  },
  {
    name: "alarm-history",
    sql: `
      CREATE TABLE alarms (
        code TEXT NOT NULL,
        subject TEXT NOT NULL,
        severity TEXT NOT NULL,
        detail TEXT NOT NULL,
        raised_wall INTEGER NOT NULL,
        cleared_wall INTEGER,
        PRIMARY KEY (code, subject, raised_wall)
      ) STRICT;`,
  },
  {
    name: "call-records",
    sql: `
      CREATE TABLE calls (
        event_id TEXT PRIMARY KEY,
        call_id TEXT,
        kind TEXT NOT NULL,
        caller TEXT NOT NULL,
        callee TEXT NOT NULL,
        trunk TEXT,
        path TEXT,
        ended_wall INTEGER NOT NULL,
        duration_ms INTEGER NOT NULL,
        ended_by TEXT NOT NULL,
        cause TEXT NOT NULL,
        practice INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX calls_by_end ON calls (ended_wall);`,
  },
  {
    name: "drill-records",
    sql: `
      CREATE TABLE drills (
        drill TEXT PRIMARY KEY,
        ended_wall INTEGER NOT NULL,
        reason TEXT NOT NULL,
        json TEXT NOT NULL
      ) STRICT;`,
  },
];
