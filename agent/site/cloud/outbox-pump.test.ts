import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createEventFactory, type HoldfastEvent } from "../../base/events.ts";
import { ManualClock } from "../../base/manual-clock.ts";
import type { OutboxRow } from "../store/outbox.ts";
import { OutboxPump } from "./outbox-pump.ts";

/** The outbox alone, in memory. */
class FakeStore {
  readonly rows = new Map<string, OutboxRow>();
  held: HoldfastEvent[] = [];
  lastSeq = 0;
  #listener: (event: HoldfastEvent) => void = () => {};

  put(event: HoldfastEvent): HoldfastEvent {
    const numbered = { ...event, seq: ++this.lastSeq };
    const emergency = event.type.startsWith("emergency.");
    this.rows.set(event.id, { seq: numbered.seq, id: event.id, emergency, event: numbered });
    this.#listener(numbered);
    return numbered;
  }

  outbox(which: { after: number; until: number; emergency: boolean; limit: number }): OutboxRow[] {
    return [...this.rows.values()]
      .filter(({ seq, emergency }) => emergency === which.emergency && seq > which.after && seq <= which.until)
      .slice(0, which.limit);
  }

  unsaved = () => this.held;
  acknowledge(ids: readonly string[]): void {
    for (const id of ids) this.rows.delete(id);
  }
  onStored(listener: (event: HoldfastEvent) => void): () => void {
    this.#listener = listener;
    return () => {};
  }
}

let clock: ManualClock;
let store: FakeStore;
let pump: OutboxPump;
let mode: "application" | "puback";
let sent: { seq: number; id: string; puback: () => void }[];
let stalled: number;

const make = createEventFactory(
  { now: () => 0, wall: () => 0, after: () => ({ cancel() {} }) },
  () => ({ org: "o", site: "s", box: "b", boot_id: "x", practice: false }),
  () => "unset",
);
const ordinary = () => store.put(make("gpio.changed", "l", { line: "l", meaning: "door_open", on: true }));
const urgent = () => store.put(make("emergency.callback", "e", { from: "psap", extension: "e" }));

function connect(replay_per_s = 100): void {
  pump.connect({
    replay_per_s,
    puback_within_ms: 5000,
    onStalled: () => stalled++,
    publish: (payload) =>
      new Promise((resolve) => {
        const { seq, id } = JSON.parse(payload) as HoldfastEvent;
        sent.push({ seq, id, puback: () => resolve() });
      }),
  });
}

/** The broker acknowledges everything, as often as anything more comes of it. */
async function pubackAll(from = 0): Promise<void> {
  for (let i = from; i < sent.length; i++) sent[i]?.puback();
  await new Promise((resolve) => setImmediate(resolve));
}

const numbers = () => sent.map(({ seq }) => seq);

beforeEach(() => {
  clock = new ManualClock(1_000_000);
  store = new FakeStore();
  mode = "application";
  sent = [];
  stalled = 0;
  pump = new OutboxPump({ clock, store, acknowledgedBy: () => mode });
});

afterEach(() => {
  pump.close();
  expect(clock.pending).toBe(0);
});

describe("the order", () => {
  test("emergencies first, then news, then the backlog, oldest first", () => {
    for (let i = 0; i < 5; i++) ordinary();
    clock.advance(60_000);
    ordinary();
    urgent();
    // A cut takes a while to be got round; what happened meanwhile is still news.
    clock.advance(20_000);
    connect();
    clock.advance(1000);
    expect(numbers()).toEqual([7, 6, 1, 2, 3, 4, 5]);
  });

  test("what happens during a replay does not wait for it", () => {
    for (let i = 0; i < 30; i++) ordinary();
    clock.advance(60_000);
    connect(10);
    clock.advance(1000);
    expect(numbers()).toHaveLength(10);
    ordinary();
    expect(numbers().at(-1)).toBe(31);
  });
});

describe("the backlog", () => {
  test("is replayed at the path's rate", async () => {
    for (let i = 0; i < 100; i++) ordinary();
    clock.advance(60_000);
    connect(20);
    for (let second = 1; second <= 3; second++) {
      for (let tick = 0; tick < 10; tick++) {
        clock.advance(100);
        await pubackAll();
      }
      expect(sent.length).toBe(20 * second);
    }
  });

  test("waits when the NOC application says nothing: 200 events, no more", async () => {
    for (let i = 0; i < 500; i++) ordinary();
    clock.advance(60_000);
    connect();
    for (let tick = 0; tick < 100; tick++) {
      clock.advance(100);
      await pubackAll();
    }
    expect(sent).toHaveLength(200);
    urgent();
    expect(numbers().at(-1)).toBe(501);
    pump.acknowledged(sent.slice(0, 50).map(({ id }) => id));
    clock.advance(1000);
    expect(sent.length).toBeGreaterThan(220);
  });
});

describe("an event", () => {
  test("stays in the outbox after PUBACK and leaves it by the application's word", async () => {
    const { id } = ordinary();
    connect();
    await pubackAll();
    expect(store.rows.size).toBe(1);
    pump.acknowledged([id]);
    expect(store.rows.size).toBe(0);
  });

  test("leaves it by PUBACK where the site file says so", async () => {
    mode = "puback";
    ordinary();
    connect();
    await pubackAll();
    expect(store.rows.size).toBe(0);
  });

  test("that nobody acknowledged is sent again after a minute, then after two", async () => {
    ordinary();
    connect();
    await pubackAll();
    clock.advance(59_000);
    expect(sent).toHaveLength(1);
    clock.advance(2000);
    expect(sent).toHaveLength(2);
    await pubackAll(1);
    clock.advance(100_000);
    expect(sent).toHaveLength(2);
    clock.advance(30_000);
    expect(sent).toHaveLength(3);
  });

  test("is sent again on the next connection", async () => {
    ordinary();
    connect();
    await pubackAll();
    pump.connect(undefined);
    connect();
    expect(numbers()).toEqual([1, 1]);
  });

  test("up to a number is acknowledged by what was sent, over whichever connection, and by nothing else", async () => {
    const first = ordinary();
    connect();
    await pubackAll();
    pump.connect(undefined);
    const second = ordinary();
    pump.acknowledgedUpTo(1000);
    expect([...store.rows.keys()]).toEqual([second.id]);
    connect();
    expect(sent.map(({ id }) => id)).toEqual([first.id, second.id]);
    pump.acknowledgedUpTo(1);
    expect([...store.rows.keys()]).toEqual([second.id]);
    pump.acknowledgedUpTo(2);
    expect(store.rows.size).toBe(0);
  });

  test("that cannot be written to disk is told without a number, once, and again with it", async () => {
    const held = make("path.health", "wan", { path: "wan", from: "up", to: "down", evidence: [] });
    store.held = [held];
    connect();
    clock.advance(1000);
    await pubackAll();
    expect(numbers()).toEqual([0]);
    store.held = [];
    store.put(held);
    expect(sent.map(({ id }) => id)).toEqual([held.id, held.id]);
    expect(numbers()).toEqual([0, 1]);
  });
});

test("of an emergency goes at once, however many others a full disk holds up", () => {
  connect();
  const held = (n: number) => make("gpio.changed", `${n}`, { line: "l", meaning: "door_open", on: true });
  const callback = make("emergency.callback", "e", { from: "psap", extension: "e" });
  store.held = [...Array.from({ length: 2000 }, (_, n) => held(n)), callback];
  clock.advance(100);
  expect(sent.map(({ id }) => id)).toContain(callback.id);
});

test("a broker that stops acknowledging is reported once", () => {
  ordinary();
  connect();
  clock.advance(4900);
  expect(stalled).toBe(0);
  clock.advance(10_000);
  expect(stalled).toBe(1);
});
