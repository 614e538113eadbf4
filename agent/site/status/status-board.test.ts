import { beforeEach, describe, expect, test } from "vitest";
import { AlarmBoard, type AlarmChange } from "../../base/alarms.ts";
import type { Clock } from "../../base/clock.ts";
import { ManualClock } from "../../base/manual-clock.ts";
import type { EngineStatus, StatusDocument } from "../../base/status.ts";
import { StatusBoard } from "./status-board.ts";

const ENGINE: EngineStatus = {
  config: "snapshot",
  config_hash: "x",
  mode: "normal",
  mode_since_wall: 1,
  mode_reasons: [],
  calls_go_by: "wan",
  paths: [],
  trunks: [],
  phones: [],
  stuck_phones: [],
  calls: [],
  emergency: { state: "ready", reason: "", checks: [], routes: [] },
  site_location_lines: [],
  callback_until_wall: undefined,
  call_moves: [],
  drill: undefined,
  alarms: [{ code: "path.down", subject: "lte", severity: "major", detail: "", since_wall: 1 }],
  counters: {},
};

let clock: ManualClock;
let changes: AlarmChange[];
let board: StatusBoard;
let told: StatusDocument[];

function make(practice = false, modems = false, time: Clock = clock): StatusBoard {
  const alarms = new AlarmBoard(
    () => clock.wall(),
    (change) => changes.push(change),
  );
  const made = new StatusBoard({
    clock: time,
    practice,
    alarms,
    sources: {
      identity: () => ({
        org: { id: "o", name: "O" },
        site: { id: "s", name: "S", main_number: "" },
        box: { id: "b", version: "0", boot_id: "x" },
      }),
      power: () => ({ source: "unknown", since_wall: 0, ups: [], gpio: [] }),
      host: () => ({
        cpu_percent: Math.random(),
        cpu_temperature_c: undefined,
        memory_used_percent: undefined,
        disk_used_percent: undefined,
        uptime_s: clock.now(),
      }),
      noc: () => ({ state: "connected", since_wall: 0, broker: "n", path: "wan", waiting_events: 0 }),
      clockQuality: () => "synchronised",
      alarms: () => [],
      cellularExpected: () => modems,
    },
  });
  made.onChange((document) => told.push(document));
  return made;
}

beforeEach(() => {
  clock = new ManualClock();
  changes = [];
  told = [];
  board = make();
});

describe("a process", () => {
  test("that was never heard is unknown since we began to listen, and an alarm after five seconds", () => {
    const began = clock.wall();
    clock.advance(5000);
    expect(changes).toEqual([]);
    clock.advance(2000);
    expect(board.document().processes.engine).toEqual({ fresh: false, unknown_since_wall: began });
    expect(changes.map(({ change, alarm }) => [change, alarm.code, alarm.subject])).toEqual([
      ["raised", "process.down", "engine"],
      ["raised", "process.down", "media"],
    ]);
  });

  test("that falls silent takes what it said with it", () => {
    board.engineSaid(ENGINE);
    const heard = clock.wall();
    clock.advance(5000);
    expect(board.document().engine?.mode).toBe("normal");
    clock.advance(1);
    const { engine, processes, alarms } = board.document();
    expect(engine).toBeUndefined();
    expect(processes.engine.unknown_since_wall).toBe(heard);
    expect(alarms.map(({ code }) => code)).not.toContain("path.down");
  });

  test("that is heard again clears its alarm at once", () => {
    clock.advance(10_000);
    board.engineSaid(ENGINE);
    expect(changes.at(-1)).toMatchObject({ change: "cleared", alarm: { subject: "engine" } });
  });

  test("for modems is missed only where there are modems", () => {
    clock.advance(30_000);
    expect(changes.map(({ alarm }) => alarm.subject)).not.toContain("cellular");
    changes = [];
    board = make(false, true);
    clock.advance(30_000);
    expect(changes.map(({ alarm }) => alarm.subject)).toContain("cellular");
  });

  test("is not called silent by a board that stood still itself and has not read yet", () => {
    let skipped = 0;
    const machine = clock;
    const frozen = {
      now: () => machine.now() + skipped,
      wall: () => machine.wall() + skipped,
      after: (delay_ms: number, fire: () => void) => machine.after(delay_ms, fire),
    };
    board = make(false, false, frozen);
    board.engineSaid(ENGINE);
    board.heard("media");
    machine.advance(500);
    changes = [];
    skipped = 12_000;
    machine.advance(600);
    board.engineSaid(ENGINE);
    board.heard("media");
    machine.advance(1500);
    expect(changes.filter(({ change }) => change === "raised")).toEqual([]);
    board.close();
  });

  test("set to another wall time in between is judged by monotonic time", () => {
    board.engineSaid(ENGINE);
    clock.setWall(clock.wall() + 3_600_000);
    clock.advance(1000);
    expect(board.document().processes.engine.fresh).toBe(true);
  });
});

describe("listeners", () => {
  test("are told of a change once, with everything of that moment, and not of what only flickers", () => {
    board.engineSaid(ENGINE);
    board.engineSaid({ ...ENGINE, mode: "survivable" });
    clock.advance(1000);
    expect(told.map(({ engine }) => engine?.mode)).toEqual(["survivable"]);
    board.engineSaid({ ...ENGINE, mode: "survivable", counters: { requests: 5 } });
    clock.advance(2000);
    expect(told).toHaveLength(1);
  });

  test("are told when a process falls silent", () => {
    board.engineSaid(ENGINE);
    clock.advance(7000);
    expect(told.at(-1)?.engine).toBeUndefined();
  });
});

test("the cable exists in practice only", () => {
  board.cableIs("pulled");
  expect(board.document().cable).toBeUndefined();
  const practice = make(true);
  practice.cableIs("pulled");
  expect(practice.document()).toMatchObject({ practice: true, cable: { wan: "pulled" } });
});

test("closed, it leaves no timer behind", () => {
  board.close();
  expect(clock.pending).toBe(0);
});
