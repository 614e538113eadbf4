import { expect, test } from "vitest";
import type { EngineStatus, StatusDocument } from "../../base/status.ts";
import { heartbeatPayload, overall, replyPayload, statePayload } from "./payloads.ts";

const fresh = { fresh: true, unknown_since_wall: undefined };
const engine: EngineStatus = {
  config: "snapshot",
  config_hash: "x",
  mode: "normal",
  mode_since_wall: 1,
  mode_reasons: [],
  calls_go_by: "wan",
  paths: [
    { id: "wan", kind: "wan", state: "up", since_wall: 1, evidence: [], rtt_ms: 1, loss_percent: 0 },
    {
      id: "lte",
      kind: "lte",
      state: "unknown",
      since_wall: 1,
      evidence: [],
      rtt_ms: undefined,
      loss_percent: undefined,
    },
  ],
  trunks: [],
  phones: [],
  stuck_phones: [],
  calls: [],
  emergency: { state: "ready", reason: "", checks: [], routes: [] },
  site_location_lines: [],
  callback_until_wall: undefined,
  call_moves: [],
  drill: undefined,
  alarms: [],
  counters: {},
};
const document: StatusDocument = {
  v: 1,
  practice: false,
  now_wall: Date.UTC(2026, 0, 2),
  clock_quality: "synchronised",
  org: { id: "o", name: "O" },
  site: { id: "s", name: "S", main_number: "" },
  box: { id: "b", version: "0", boot_id: "x" },
  processes: { engine: fresh, media: fresh, cellular: fresh, site: fresh },
  engine,
  cellular: undefined,
  power: { source: "unknown", since_wall: 0, ups: [], gpio: [] },
  host: { cpu_percent: 1, cpu_temperature_c: undefined, memory_used_percent: 2, disk_used_percent: 3, uptime_s: 4 },
  noc: { state: "connected", since_wall: 0, broker: "n", path: "wan", waiting_events: 0 },
  alarms: [],
  cable: undefined,
};
const beat = (from: StatusDocument): Record<string, unknown> =>
  JSON.parse(heartbeatPayload(from, { interval_s: 30, seq: 7 }));

test("a heartbeat is flat, and says nothing of what is unknown", () => {
  const flat = beat(document);
  for (const value of Object.values(flat)) expect(["string", "number", "boolean"]).toContain(typeof value);
  expect(flat).toMatchObject({ ts: "2026-01-02T00:00:00.000Z", interval_s: 30, seq: 7, wan_up: 1, emergency_ready: 1 });
  for (const key of ["lte_up", "on_battery", "rsrp_dbm", "cpu_temperature_c"]) expect(flat).not.toHaveProperty(key);
});

test("a heartbeat of a box whose engine is silent claims nothing good", () => {
  const flat = beat({
    ...document,
    engine: undefined,
    processes: { ...document.processes, engine: { fresh: false, unknown_since_wall: 1 } },
  });
  expect(flat).toMatchObject({ overall: "unknown", call_path: "unknown", emergency_ready: 0, engine_fresh: 0 });
  for (const key of ["wan_up", "phones_on", "calls"]) expect(flat).not.toHaveProperty(key);
});

test("one word for the fleet wall", () => {
  const word = (change: Partial<EngineStatus>) => overall({ ...document, engine: { ...engine, ...change } });
  expect(word({})).toBe("operational");
  expect(word({ mode: "survivable" })).toBe("reduced");
  expect(word({ emergency: { ...engine.emergency, state: "one_path" } })).toBe("reduced");
  expect(word({ calls_go_by: "not_possible" })).toBe("not_ready");
  expect(word({ emergency: { ...engine.emergency, state: "not_ready" } })).toBe("not_ready");
});

test("every message of a rehearsal says PRACTICE", () => {
  expect(beat({ ...document, practice: true })).toMatchObject({ practice: true, notice: "PRACTICE" });
  const birth = { boot_id: "x", version: "0", practice: true, wall: 0 };
  expect(JSON.parse(statePayload("online", birth))).toMatchObject({ practice: true, notice: "PRACTICE" });
});

test("a rehearsal's replies say PRACTICE like every other message", () => {
  expect(JSON.parse(replyPayload({ v: 1, ok: true }, true))).toEqual({
    v: 1,
    ok: true,
    practice: true,
    notice: "PRACTICE",
  });
  expect(JSON.parse(replyPayload({ v: 1, ok: true }, false))).toEqual({ v: 1, ok: true, practice: false });
});
