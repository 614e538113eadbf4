import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createEventFactory, type HoldfastEvent } from "../../base/events.ts";
import { silentLog } from "../../base/log.ts";
import { ManualClock } from "../../base/manual-clock.ts";
import { type Database, openDatabase } from "./database.ts";
import { Store } from "./store.ts";

const clock = new ManualClock();
const make = createEventFactory(
  clock,
  () => ({ org: "acme", site: "denver", box: "box-1", boot_id: "boot", practice: false }),
  () => "synchronised",
);
const ordinary = (line: string): HoldfastEvent =>
  make("gpio.changed", line, { line, meaning: "mains_present", on: true });
const emergency = (): HoldfastEvent => make("emergency.callback", "ext-101", { from: "psap", extension: "ext-101" });

let folder: string;
let file: string;
let handle: Database | undefined;
let faults: (string | undefined)[];
let quarantined: string[];
const opened: Store[] = [];

function open(events_kept?: number): Store {
  const store = new Store({
    file,
    clock,
    log: silentLog,
    onFault: (detail) => faults.push(detail),
    onQuarantined: (name) => quarantined.push(name),
    open(name, wall) {
      handle = openDatabase(name, wall);
      return handle;
    },
    ...(events_kept === undefined ? {} : { events_kept }),
  });
  store.open();
  opened.push(store);
  return store;
}

/** All of the outbox, ordinary events. */
const waiting = (store: Store) =>
  store.outbox({ after: 0, until: Number.MAX_SAFE_INTEGER, emergency: false, limit: 1000 });

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "store-"));
  file = join(folder, "holdfast.db");
  faults = [];
  quarantined = [];
});

afterEach(() => {
  for (const store of opened.splice(0)) store.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("events", () => {
  test("are numbered from 1 without gaps, also across a restart", () => {
    const first = open();
    for (const line of ["a", "b", "c"]) first.add(ordinary(line));
    clock.advance(0);
    first.close();
    const second = open();
    second.add(ordinary("d"));
    clock.advance(0);
    expect(second.eventsAfter(0, 10).map((event) => [event.seq, event.subject])).toEqual([
      [1, "a"],
      [2, "b"],
      [3, "c"],
      [4, "d"],
    ]);
  });

  test("are acknowledged to their sender only once they are on disk", () => {
    const store = open();
    let acknowledged = 0;
    store.add(ordinary("a"), () => acknowledged++);
    expect(acknowledged).toBe(0);
    clock.advance(0);
    expect(acknowledged).toBe(1);
    const other = new Sqlite(file, { readonly: true });
    expect(other.prepare("SELECT count(*) AS n FROM events").get()).toEqual({ n: 1 });
    other.close();
  });

  test("sent again by a sender's journal are stored once and acknowledged again", () => {
    const store = open();
    const event = ordinary("a");
    let acknowledged = 0;
    store.add(event, () => acknowledged++);
    clock.advance(0);
    store.add(event, () => acknowledged++);
    clock.advance(0);
    expect(acknowledged).toBe(2);
    expect(store.eventsAfter(0, 10)).toHaveLength(1);
    expect(store.waiting).toBe(1);
  });

  test("of another release's shape are kept and hold nothing up", () => {
    const store = open();
    store.add({ ...make("call.ended", "x", {} as never), call_id: { not: "text" } as never });
    store.add(ordinary("after"));
    clock.advance(0);
    expect(store.eventsAfter(0, 10).map((event) => event.subject)).toEqual(["x", "after"]);
    expect(faults).toEqual([]);
  });

  test("give call records and drill records", () => {
    const store = open();
    store.add(
      make(
        "call.ended",
        "101",
        {
          direction: "internal",
          caller: "101",
          callee: "102",
          trunk: undefined,
          path: undefined,
          duration_ms: 1500.4,
          ended_by: "caller",
          cause: "normal",
        },
        { call_id: "call-1" },
      ),
    );
    const record = {
      drill: "d1",
      by: "ann",
      started_wall: 1,
      ended_wall: 2,
      detection_ms: 40,
      calls: 1,
      practice: true,
    };
    store.add(make("drill.ended", "d1", { drill: "d1", reason: "stopped", record }));
    clock.advance(0);
    expect(store.calls(5)).toMatchObject([{ call_id: "call-1", kind: "internal", callee: "102", duration_ms: 1500 }]);
    expect(store.callCounts()).toEqual({ internal: 1 });
    expect(store.drills(5)).toMatchObject([{ drill: "d1", reason: "stopped", record }]);
  });
});

describe("the outbox", () => {
  test("keeps an event until it is acknowledged, also across a restart", () => {
    const first = open();
    const [a, b] = [ordinary("a"), ordinary("b")];
    first.add(a);
    first.add(b);
    clock.advance(0);
    first.acknowledge([a.id]);
    clock.advance(0);
    first.close();
    const second = open();
    expect(waiting(second).map((row) => row.id)).toEqual([b.id]);
    expect(second.waiting).toBe(1);
  });

  test("hands out emergency events by themselves, so that they can go first", () => {
    const store = open();
    store.add(ordinary("a"));
    store.add(emergency());
    clock.advance(0);
    const rows = store.outbox({ after: 0, until: 99, emergency: true, limit: 10 });
    expect(rows.map((row) => row.seq)).toEqual([2]);
  });
});

describe("retention", () => {
  test("gives up delivered events first, then ordinary undelivered ones, counted, and emergency events last", () => {
    const store = open(5);
    const delivered = ordinary("delivered");
    store.add(emergency());
    store.add(delivered);
    clock.advance(0);
    store.acknowledge([delivered.id]);
    for (const line of ["b", "c", "d", "e"]) store.add(ordinary(line));
    clock.advance(0);
    expect(store.eventsAfter(0, 20).map((event) => event.seq)).toEqual([1, 3, 4, 5, 6]);
    expect(store.undelivered_dropped).toBe(0);
    for (const line of ["f", "g"]) store.add(ordinary(line));
    clock.advance(0);
    expect(store.eventsAfter(0, 20).map((event) => event.seq)).toEqual([1, 5, 6, 7, 8]);
    expect(store.undelivered_dropped).toBe(2);
  });
});

describe("a disk that does not take it", () => {
  test("locked by another connection: events wait, their sender is not told, and all is stored once the lock is gone", () => {
    const store = open();
    const other = new Sqlite(file);
    other.exec("BEGIN IMMEDIATE");
    let acknowledged = 0;
    store.add(ordinary("a"), () => acknowledged++);
    clock.advance(0);
    expect(acknowledged).toBe(0);
    expect(faults).toHaveLength(1);
    expect(store.recentEvents(5).map((event) => event.seq)).toEqual([0]);
    expect(store.unsaved()).toHaveLength(1);
    other.exec("COMMIT");
    other.close();
    clock.advance(1000);
    expect(acknowledged).toBe(1);
    expect(faults.at(-1)).toBeUndefined();
    expect(store.unsaved()).toHaveLength(0);
  });

  test("full: SQLite refuses, events wait, and all is stored when there is room again", () => {
    const store = open();
    store.add(ordinary("a"));
    clock.advance(0);
    // A page limit makes SQLite itself report SQLITE_FULL, as a full disk does.
    const pages = handle?.pragma("page_count", { simple: true });
    handle?.pragma(`max_page_count = ${String(pages)}`);
    let acknowledged = 0;
    const many = Array.from({ length: 100 }, (_, i) => ordinary(`line-${i}`));
    for (const event of many) store.add(event, () => acknowledged++);
    clock.advance(0);
    expect(faults).toEqual([expect.stringContaining("full")]);
    expect(acknowledged).toBe(0);
    expect(store.eventsAfter(0, 200)).toHaveLength(1);
    handle?.pragma("max_page_count = 100000");
    clock.advance(1000);
    expect(acknowledged).toBe(100);
    expect(faults.at(-1)).toBeUndefined();
    expect(store.eventsAfter(0, 200).map((event) => event.seq)).toEqual(Array.from({ length: 101 }, (_, i) => i + 1));
  });

  test("read-only: SQLite refuses, events wait, and all is stored when it may be written again", () => {
    const store = open();
    handle?.pragma("query_only = ON");
    let acknowledged = 0;
    store.add(ordinary("a"), () => acknowledged++);
    clock.advance(0);
    expect(faults).toEqual([expect.stringContaining("readonly")]);
    expect(acknowledged).toBe(0);
    clock.advance(1000);
    expect(acknowledged).toBe(1);
    expect(faults.at(-1)).toBeUndefined();
  });

  test("no folder to write in: nothing throws, the fault is told once, and it recovers by itself", () => {
    writeFileSync(join(folder, "in-the-way"), "");
    file = join(folder, "in-the-way", "holdfast.db");
    const store = open();
    let acknowledged = 0;
    store.add(ordinary("a"), () => acknowledged++);
    clock.advance(3000);
    expect(faults).toHaveLength(1);
    expect(acknowledged).toBe(0);
    rmSync(join(folder, "in-the-way"));
    clock.advance(5000);
    expect(acknowledged).toBe(1);
    expect(faults.at(-1)).toBeUndefined();
  });
});

describe("a damaged database", () => {
  test("in the text of one event alone is noticed when it is read, and costs that event alone", () => {
    const store = open();
    for (const line of ["a", "b", "c"]) store.add(ordinary(line));
    clock.advance(0);
    handle?.prepare("UPDATE events SET json = ? WHERE seq = 2").run('{"v":1,broken');
    expect(waiting(store)).toEqual([]);
    clock.advance(0);
    expect(quarantined).toHaveLength(1);
    expect(waiting(store).map((row) => row.event.subject)).toEqual(["a", "c"]);
    expect(store.recentEvents(5)).toHaveLength(2);
  });

  test("in pages here and there gives back the undelivered events of all other pages", () => {
    const first = open();
    for (let i = 0; i < 2000; i++) first.add(ordinary(`line-${i}`));
    clock.advance(0);
    first.close();
    const bytes = readFileSync(file);
    const pages = bytes.length / 4096;
    // Pages of events alone: the roots of the tables stand in the first ones.
    for (let page = Math.floor(pages / 2); page < pages; page += 10) {
      if (bytes[page * 4096] === 13) bytes.fill(0x5a, page * 4096, (page + 1) * 4096);
    }
    writeFileSync(file, bytes);
    const second = open();
    clock.advance(0);
    expect(quarantined).toHaveLength(1);
    expect(second.waiting).toBeGreaterThan(1600);
    expect(second.waiting).toBeLessThan(2000);
  });

  test("that is no database at all is set aside and a new one begun; numbers go on rising", () => {
    const first = open();
    for (const line of ["a", "b", "c"]) first.add(ordinary(line));
    clock.advance(0);
    first.close();
    writeFileSync(file, "this was a database once");
    const second = open();
    expect(quarantined).toHaveLength(1);
    expect(readFileSync(quarantined[0] ?? "", "utf8")).toBe("this was a database once");
    second.add(ordinary("d"));
    clock.advance(0);
    expect(second.eventsAfter(0, 10)[0]?.seq).toBeGreaterThan(3);
    expect(faults).toEqual([]);
  });

  test("of which the outbox can still be read gives its undelivered events to the new one, with their numbers", () => {
    const first = open();
    const events = Array.from({ length: 200 }, (_, i) => ordinary(`line-${i}`));
    for (const event of events) first.add(event);
    clock.advance(0);
    first.close();
    // Damages the last page of the file only: what stands before it can be read.
    const bytes = readFileSync(file);
    bytes.fill(0x5a, bytes.length - 4096);
    writeFileSync(file, bytes);
    const second = open();
    clock.advance(0);
    expect(quarantined).toHaveLength(1);
    const rows = waiting(second);
    expect(rows.length).toBeGreaterThan(50);
    expect(rows[0]).toMatchObject({ seq: 1, id: events[0]?.id });
  });

  test("set aside often does not fill the disk", () => {
    for (let i = 0; i < 6; i++) {
      writeFileSync(file, `damage ${i}`);
      open().close();
      clock.advance(1);
    }
    expect(readdirSync(folder).filter((name) => name.includes("quarantined"))).toHaveLength(3);
  });

  test("removed beneath the running process is begun anew with the undelivered events", () => {
    const store = open();
    const event = ordinary("a");
    store.add(event);
    clock.advance(0);
    rmSync(file);
    clock.advance(5000);
    expect(waiting(store).map((row) => row.id)).toEqual([event.id]);
    store.close();
    expect(waiting(open()).map((row) => row.id)).toEqual([event.id]);
  });

  test("with tables of a later release opens, so that an update can be rolled back", () => {
    open().close();
    const later = new Sqlite(file);
    later.exec("CREATE TABLE later (x); ALTER TABLE events ADD COLUMN later TEXT;");
    later.prepare("INSERT INTO migrations VALUES ('later', 1)").run();
    later.close();
    const store = open();
    store.add(ordinary("a"));
    clock.advance(0);
    expect(store.lastSeq).toBe(1);
    expect(quarantined).toEqual([]);
  });
});
