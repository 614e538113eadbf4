import { describe, expect, test } from "vitest";
import type { EventData, EventType, HoldfastEvent } from "../../../agent/base/events.ts";
import { plainWords } from "../testing/plain-words.ts";
import { engineFixture, eventFixture, NOW } from "../testing/status-fixture.ts";
import { eventRow } from "./events.ts";

const at = { words: plainWords("en", "en-GB"), now_wall: NOW };
const { phones } = engineFixture();

function row<T extends EventType>(type: T, data: EventData[T]) {
  return eventRow(eventFixture(1, type, data), phones, at);
}

const call = { direction: "inbound", caller: "+13035559999", callee: "101", trunk: "lte-trunk", path: "lte" } as const;
const emergency = {
  dialled: "911",
  extension: "ext-102",
  caller_number: "+13035550100",
  source: "10.20.0.32:5060",
  location_id: "loc-room-2",
  location_version: 1,
  location_lines: ["1776 E Colfax Avenue", "Room 2"],
  location_trusted: true,
};
const attempt = { attempt: 2, trunk: "lte-trunk", path: "lte", sip_status: 503, after_ms: 90, hedged: true } as const;

describe("events in words", () => {
  test.each([
    [
      row("mode.changed", { from: "normal", to: "survivable", reasons: ["cloud is down"] }),
      "The box works without the cloud (before: Normal operation)",
    ],
    [
      row("path.health", { path: "wan", from: "suspect", to: "down", evidence: [] }),
      "Path wan: Down (before: In doubt)",
    ],
    [
      row("trunk.health", { trunk: "cloud", from: "unknown", to: "up", evidence: [] }),
      "Trunk cloud: Up (before: Unknown)",
    ],
    [
      row("trunk.availability", { id: "lte", from: "online", to: "limited", since_wall: 0, evidence: [] }),
      "Trunk lte: Available in part (before: Available)",
    ],
    [
      row("phone.stuck", {
        aor: "",
        extension: "ext-101",
        source: "10.20.0.101",
        user_agent: "Phone",
        since_wall: 0,
        why: "refused",
        sip_status: 403,
      }),
      "Front desk (101) is not back with the cloud: The cloud refuses it",
    ],
    [
      row("phone.home", { aor: "", extension: "ext-101", source: "10.20.0.101", after_ms: 1 }),
      "Front desk (101) is back with the cloud",
    ],
    [row("phones.returned", { phones: 0, home: 0, slowest_ms: undefined }), "None of 0 phones is back with the cloud"],
    [
      row("registration.removed", { aor: "", extension: "ext-101", reason: "expired" }),
      "Front desk (101) was not heard any more: registration expired",
    ],
    [row("call.started", call), "Call: an outside number to Front desk (101)"],
    [
      row("call.ended", { ...call, duration_ms: 65_000, ended_by: "caller", cause: "BYE" }),
      "Call ended after 1 min: an outside number to Front desk (101)",
    ],
    [row("emergency.started", emergency), "911 CALL from Room 2 (102), place: 1776 E Colfax Avenue, Room 2"],
    [
      row("emergency.started", { ...emergency, extension: undefined, location_lines: [] }),
      "911 CALL from an outside number",
    ],
    [row("emergency.attempt", { ...attempt, outcome: "refused" }), "911 attempt 2 on lte-trunk over lte: refused"],
    [
      row("emergency.answered", { ...emergency, trunk: "lte-trunk", path: "lte", after_ms: 812 }),
      "911 answered on lte-trunk over lte, 812 ms after dialling (Room 2 (102))",
    ],
    [
      row("emergency.ended", { ...emergency, duration_ms: 5000, ended_by: "psap", cause: "BYE" }),
      "911 call from Room 2 (102) ended after 5 sec",
    ],
    [row("emergency.callback", { from: "+13035559911", extension: "ext-102" }), "911 calls back; Room 2 (102) rings"],
    [
      row("alarm.raised", { code: "path.down", severity: "major", detail: "" }),
      "Alarm: A path out of the building is down.",
    ],
    [row("power.changed", { source: "unknown", charge_percent: undefined, detail: "" }), "Power: Unknown"],
    [row("gpio.changed", { line: "door", meaning: "door_open", on: true }), "Cabinet door: open"],
    [
      row("modem.changed", { modem: "m", state: "denied", operator: undefined, rsrp_dbm: undefined }),
      "Modem m: Network refuses",
    ],
    [row("config.rejected", { faults: ["site.location: unknown"] }), "The site file has errors and was not taken over"],
  ])("%#", (said, text) => {
    expect(said.text).toBe(text);
  });

  test("an extension is named by its id while the phones are not known", () => {
    const event = eventFixture(1, "registration.added", {
      aor: "",
      extension: "ext-101",
      device: undefined,
      source: "",
      trust: "full",
    });
    expect(eventRow(event, [], at).text).toBe("ext-101 registered");
  });

  test("outside numbers are shown nowhere", () => {
    const rows = [row("call.answered", call), row("emergency.callback", { from: "+13035559999", extension: "" })];
    expect(JSON.stringify(rows)).not.toContain("3035559999");
  });

  test("a running call that moved says where to and how fast", () => {
    const moved = { ...call, path: "lte", from_path: "wan", by: "reinvite", took_ms: 120 } as const;
    expect(row("call.moved", moved)).toMatchObject({
      tone: "good",
      text: expect.stringContaining("lte within 120 ms"),
    });
  });

  test("why a path went down stands beside it", () => {
    const evidence = [
      { source: "carrier", verdict: "good", detail: "link up", at_wall: NOW },
      { source: "echo", verdict: "bad", detail: "silent", at_wall: NOW },
    ] as const;
    expect(row("path.health", { path: "wan", from: "up", to: "down", evidence })).toMatchObject({
      detail: "silent",
      tone: "bad",
    });
  });

  test("a type that the page does not know yet", () => {
    const later = {
      ...eventFixture(1, "config.applied", { config_hash: "" }),
      type: "later.event",
    } as unknown as HoldfastEvent;
    expect(eventRow(later, phones, at).text).toBe("Event later.event");
  });

  test("a practice says so", () => {
    const event = eventFixture(1, "config.applied", { config_hash: "" }, { practice: true });
    expect(eventRow(event, phones, at).practice).toBe(true);
  });
});
