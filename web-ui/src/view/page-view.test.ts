import { describe, expect, test } from "vitest";
import type { HoldfastEvent } from "../../../agent/base/events.ts";
import type { EngineStatus, Readiness, StatusDocument } from "../../../agent/base/status.ts";
import { plainWords } from "../testing/plain-words.ts";
import {
  cutEngineFixture,
  deviceFixture,
  emergencyCallFixture,
  engineFixture,
  modemFixture,
  NOW,
  silentFixture,
  statusFixture,
  stuckFixture,
} from "../testing/status-fixture.ts";
import { type Heard, pageView, type StateView } from "./page-view.ts";
import type { Tile } from "./text.ts";

const english = plainWords("en", "en-GB");
const spanish = plainWords("es", "es-ES");

function hearing(status: StatusDocument | undefined, changes: Partial<Heard> = {}): Heard {
  return { status, events: undefined, now_wall: NOW, heard_wall: NOW - 1000, silent: false, line: "live", ...changes };
}

function view(status: StatusDocument | undefined, changes: Partial<Heard> = {}) {
  return pageView(hearing(status, changes), english);
}

function stateOf(status: StatusDocument, changes: Partial<Heard> = {}): StateView {
  const { state } = view(status, changes);
  if (state === undefined) throw new Error("the page shows no state");
  return state;
}

const withEngine = (changes: Partial<EngineStatus>) => stateOf(statusFixture(engineFixture(changes)));
const readiness = (state: Readiness["state"], changes: Partial<Readiness> = {}) =>
  withEngine({
    emergency: { state, reason: "Only lte could carry 911.", checks: [], routes: ["lte-trunk"], ...changes },
  });
const texts = (tile: Tile) => tile.lines.map(({ text }) => text);

describe("how calls go", () => {
  test("by Internet in peace, with the mode and since when", () => {
    const { calls } = stateOf(statusFixture());
    expect(calls).toMatchObject({ tone: "good", headline: "Internet" });
    expect(texts(calls)).toEqual(["Normal operation since 14:32:07 (3 hr)."]);
  });

  test("by cellular after the cut, and why", () => {
    const { calls } = stateOf(statusFixture(cutEngineFixture()));
    expect(calls).toMatchObject({ tone: "warn", headline: "Cellular" });
    expect(texts(calls)).toEqual([
      "The box works without the cloud since 17:37:07 (5 min).",
      "cloud is down: path wan is down",
      "Internet: Down since 17:37:07 (5 min)",
    ]);
  });

  test("by a cellular voice call", () => {
    const engine = cutEngineFixture({ calls_go_by: "modem" });
    const paths = [{ ...engine.paths[0], id: "modem", kind: "modem", state: "up" }] as EngineStatus["paths"];
    const trunks = [
      { ...engine.trunks[1], path: "modem", state: "up", roles: ["main_number"] },
    ] as EngineStatus["trunks"];
    expect(stateOf(statusFixture({ ...engine, paths, trunks })).calls).toMatchObject({
      tone: "warn",
      headline: "Cellular voice",
    });
  });

  test("not at all", () => {
    const { calls } = withEngine({ calls_go_by: "not_possible", mode: "survivable" });
    expect(calls).toMatchObject({ tone: "bad", headline: "NOT POSSIBLE" });
    expect(texts(calls)[0]).toContain("No call can leave the building");
  });

  test.each([
    ["degraded", "warn", "Internet"],
    ["suspect", "warn", "Internet"],
    ["unknown", "unknown", "Unknown"],
  ] as const)("a way that is %s is not shown as good", (state, tone, headline) => {
    const paths = engineFixture().paths.map((path) => (path.id === "wan" ? { ...path, state } : path));
    expect(withEngine({ paths }).calls).toMatchObject({ tone, headline });
  });

  test("a chosen way whose trunk is not proven is unknown even if its path is up", () => {
    const trunks = engineFixture().trunks.map((trunk) => ({ ...trunk, state: "unknown" as const }));
    expect(withEngine({ trunks }).calls.tone).toBe("unknown");
  });

  test("offline on purpose is not shown as good", () => {
    const { calls } = stateOf(statusFixture(cutEngineFixture({ mode: "forced", mode_reasons: ["drill by cli"] })));
    expect(calls.tone).toBe("warn");
    expect(texts(calls)[0]).toMatch(/^Offline on purpose/);
  });
});

describe("911", () => {
  test("ready when every check passes", () => {
    const { emergency } = stateOf(statusFixture());
    expect(emergency).toMatchObject({ tone: "good", headline: "Ready" });
    expect(texts(emergency)).toEqual(["All checks pass.", "Would try in this order: cloud → lte-trunk."]);
  });

  test("ready with the first failing check named", () => {
    const { emergency } = readiness("ready", {
      reason: "911 from 103 would show the site's location only.",
      checks: [{ name: "phone_locations", ok: false, detail: "911 from 103 would show the site's location only." }],
    });
    expect(texts(emergency)[0]).toBe("911 from 103 would show the site's location only.");
  });

  test("ready by one path only", () => {
    const { emergency } = readiness("one_path");
    expect(emergency).toMatchObject({ tone: "warn", headline: "Ready, one path" });
    expect(texts(emergency)[0]).toBe("Only lte could carry 911.");
  });

  test("not ready says what to do first", () => {
    const { emergency } = readiness("not_ready", { routes: [] });
    expect(emergency).toMatchObject({ tone: "bad", headline: "NOT READY" });
    expect(texts(emergency)).toEqual(["Use a mobile phone for 911.", "Only lte could carry 911."]);
  });

  test("unknown", () => {
    expect(readiness("unknown").emergency).toMatchObject({ tone: "unknown", headline: "Unknown" });
  });

  test("its checks, each with verdict and words of the box", () => {
    const { checks } = readiness("one_path", {
      checks: [
        { name: "route", ok: true, detail: "911 can leave by lte-trunk." },
        { name: "second_path", ok: false, detail: "Only lte could carry 911." },
        { name: "media", ok: undefined, detail: "Not heard." },
        { name: "a_later_check", ok: true, detail: "" },
      ],
    });
    expect(checks).toMatchObject({
      known: true,
      value: [
        { tone: "good", verdict: "Passed", what: "A way out for 911" },
        { tone: "bad", verdict: "Failed", what: "A second, independent path" },
        { tone: "unknown", verdict: "Not known", what: "Sound (media relay)" },
        { what: "a_later_check" },
      ],
    });
  });

  test("the address in dispatch lines, or that there is none", () => {
    expect(stateOf(statusFixture()).address).toMatchObject({ tone: "quiet", headline: "Acme Dental" });
    expect(withEngine({ site_location_lines: [] }).address).toMatchObject({ tone: "bad", headline: "No address" });
  });
});

describe("a running 911 call", () => {
  const status = statusFixture(cutEngineFixture({ calls: [emergencyCallFixture()] }));

  test("extension, place, callback number, time and way", () => {
    expect(view(status).emergencies).toEqual([
      {
        key: "01JD000000000000000000CA11",
        headline: "911 call: answered",
        from: "Room 2 (102)",
        place: ["Acme Dental", "1776 E Colfax Avenue", "Floor 2, Room 2", "Denver, CO 80203 US"],
        callback: "+1 303 555 0100",
        started: "17:41:25",
        lasts: "42 sec ago",
        by: "lte-trunk / lte",
        last_known: undefined,
      },
    ]);
    expect(view(status).title).toMatch(/^911 CALL/);
  });

  test("from a phone that nobody knows, to a place that nobody knows, a number that is hidden", () => {
    const call = emergencyCallFixture({
      caller: "",
      location_lines: undefined,
      callback_number: "hidden",
      trunk: undefined,
      path: undefined,
    });
    expect(view(statusFixture(engineFixture({ calls: [call] }))).emergencies).toMatchObject([
      { from: "an unknown phone", place: [], callback: "Not shown on this page", by: "" },
    ]);
  });

  test("stays in sight when the box falls silent, as what was last known", () => {
    const [call] = view(status, { silent: true, heard_wall: NOW - 20_000 }).emergencies;
    expect(call?.last_known).toContain("17:41:47");
  });

  test("is over when the box says so, and calls back are announced", () => {
    const over = view(statusFixture(engineFixture({ callback_until_wall: NOW + 60_000 })));
    expect(over.emergencies).toEqual([]);
    expect(over.notices.map(({ text }) => text).join()).toContain("until 17:43:07");
  });
});

describe("nothing stale is shown as good", () => {
  test("before the box is heard there is no state at all", () => {
    expect(view(undefined)).toMatchObject({ state: undefined, title: "Unknown · Holdfast", stale: undefined });
  });

  test("a box that never answered", () => {
    const { stale, state } = view(undefined, { silent: true, heard_wall: NOW - 16_000 });
    expect(stale?.headline).toContain("since this page was opened at 17:41:51");
    expect(state).toBeUndefined();
  });

  test("after silence every part is unknown since the last word", () => {
    const said = view(statusFixture(cutEngineFixture()), { silent: true, heard_wall: NOW - 16_000 });
    expect(said.stale?.headline).toBe("Everything on this page is unknown since 17:41:51. The page keeps asking.");
    expect(said.title).toBe("Unknown · Denver clinic · Holdfast");
    expect(said.events_missing).toBe("What has happened since 17:41:51 is unknown.");
    const { state } = said;
    for (const tile of [
      state?.calls,
      state?.emergency,
      state?.address,
      state?.phones,
      state?.power,
      state?.signal,
      state?.noc,
    ]) {
      expect(tile).toMatchObject({ tone: "unknown", headline: "Unknown" });
      expect(tile?.lines[0]?.text).toBe("since 17:41:51 (16 sec)");
    }
    const lists = [
      state?.checks,
      state?.alarms.rows,
      state?.active,
      state?.phone_list,
      state?.paths,
      state?.trunks,
      state?.box.processes,
      state?.box.host,
    ];
    for (const list of lists) expect(list).toEqual({ known: false, since: "Unknown since 17:41:51" });
    expect(JSON.stringify(state)).not.toContain('"tone":"good"');
  });

  test("no engine: calls, 911, address, phones, paths and its alarms are unknown, the rest stands", () => {
    const state = stateOf(silentFixture("engine", NOW - 30_000));
    for (const tile of [state.calls, state.emergency, state.address, state.phones]) {
      expect(tile).toMatchObject({ tone: "unknown", headline: "Unknown" });
      expect(tile.lines[0]?.text).toBe("since 17:41:37 (30 sec)");
    }
    expect(state.active).toEqual({ known: false, since: "Unknown since 17:41:37" });
    expect(state.alarms.silent).toEqual(["Alarms of this part are unknown since 17:41:37: Calls (engine)"]);
    expect(state.alarms.none).toBe("No alarms from the parts that are heard.");
    expect(state.power.tone).toBe("good");
    expect(state.signal.tone).toBe("good");
  });

  test("no cellular process: the signal is unknown, calls stand", () => {
    const state = stateOf(silentFixture("cellular", NOW - 30_000));
    expect(state.signal).toMatchObject({ tone: "unknown", headline: "Unknown", bars: undefined });
    expect(state.calls.tone).toBe("good");
    expect(state.box.processes).toMatchObject({
      value: [
        { tone: "good" },
        { tone: "good" },
        { key: "cellular", tone: "unknown", state: "Unknown since 17:41:37" },
        {},
      ],
    });
  });

  test("the line that is left is named", () => {
    expect(view(statusFixture()).feed).toBe("Live. Last heard 17:42:06.");
    expect(view(statusFixture(), { line: "polling" }).feed).toContain("asks every 5 seconds");
    expect(view(statusFixture(), { silent: true }).feed).toBe("Not heard since 17:42:06.");
  });
});

describe("the NOC link is another matter than calls", () => {
  const noc = (changes: Partial<StatusDocument["noc"]>) => {
    const status = statusFixture();
    return stateOf({ ...status, noc: { ...status.noc, ...changes } });
  };

  test("connected", () => {
    expect(noc({}).noc).toMatchObject({ tone: "good", headline: "NOC hears the box" });
  });

  test.each(["connecting", "disconnected"] as const)("%s says that calls are not meant", (state) => {
    const said = noc({ state, waiting_events: 14 });
    expect(said.noc).toMatchObject({ tone: "warn", headline: "NOC cannot hear the box" });
    expect(texts(said.noc)).toContain("This does not say that the site cannot call.");
    expect(texts(said.noc)).toContain("Events waiting for the NOC: 14");
    expect(said.calls.tone).toBe("good");
  });

  test("not set up", () => {
    expect(noc({ state: "not_configured" }).noc).toMatchObject({ tone: "quiet", headline: "No NOC set up" });
  });
});

describe("power", () => {
  const { power } = statusFixture();
  const [ups] = power.ups;
  const powered = (changes: Partial<StatusDocument["power"]>) =>
    stateOf(statusFixture(engineFixture(), { power: { ...power, ...changes } })).power;

  test("mains, with the UPS's figures and the inputs in words", () => {
    expect(powered({})).toMatchObject({ tone: "good", headline: "Mains" });
    expect(texts(powered({}))).toEqual([
      "since 14:32:07 (3 hr)",
      "ups-1: charge 100 %",
      "Input 121 V, load 14 %, battery 13.6 V",
      "Cabinet door: closed",
    ]);
  });

  test("on battery, and nearly empty", () => {
    if (ups === undefined) throw new Error("the fixture has no UPS");
    expect(powered({ source: "battery" })).toMatchObject({ tone: "warn", headline: "On battery" });
    expect(powered({ source: "battery", ups: [{ ...ups, state: "low_battery" }] })).toMatchObject({
      tone: "bad",
      headline: "Battery nearly empty",
    });
  });

  test("unknown since when, and a UPS that does not answer", () => {
    if (ups === undefined) throw new Error("the fixture has no UPS");
    const silent = powered({
      source: "unknown",
      since_wall: NOW - 60_000,
      ups: [{ ...ups, state: "unknown", since_wall: NOW - 60_000 }],
    });
    expect(silent).toMatchObject({ tone: "unknown", headline: "Unknown" });
    expect(texts(silent).slice(0, 2)).toEqual([
      "Unknown since 17:41:07",
      "ups-1: does not answer since 17:41:07 (1 min)",
    ]);
    expect(texts(powered({ source: "unknown", ups: [], gpio: [] }))).toEqual(["No UPS and no mains input is set up."]);
  });

  test("an input whose state is not known", () => {
    const gpio = [{ id: "g", meaning: "mains_present", on: undefined }];
    expect(texts(powered({ gpio }))).toContain("Mains input: unknown");
  });
});

describe("cellular signal", () => {
  const measured = (changes: Parameters<typeof modemFixture>[0]) =>
    stateOf(statusFixture(engineFixture(), { cellular: { modems: [modemFixture(changes)], alarms: [] } })).signal;

  test.each([
    [-85, 4, "good"],
    [-97, 2, "good"],
    [-110, 1, "warn"],
    [-116, 0, "warn"],
  ] as const)("%d dBm is %d of 4 bars", (rsrp_dbm, bars, tone) => {
    expect(measured({ rsrp_dbm })).toMatchObject({ bars, tone, headline: `${bars} of 4 bars` });
  });

  test("bars, dBm and operator", () => {
    expect(texts(measured({}))).toEqual(["Mountain Mobile, LTE", "-97 dBm (RSRP)"]);
    expect(texts(measured({ practice: true }))).toContain("PRACTICE modem");
  });

  test("a measurement of long ago is not shown", () => {
    const old = measured({ measured_wall: NOW - 180_000 });
    expect(old).toMatchObject({ bars: undefined, tone: "unknown", headline: "Not measured" });
    expect(texts(old)).toContain("Last measured 17:39:07; too old to show.");
    expect(measured({ rsrp_dbm: undefined })).toMatchObject({ bars: undefined, tone: "unknown" });
  });

  test.each([
    ["missing", "bad", "Modem not found"],
    ["denied", "bad", "Network refuses"],
    ["failed", "bad", "Modem failed"],
    ["searching", "warn", "Searching for a network"],
    ["identifying", "warn", "Modem starting"],
  ] as const)("a modem that is %s", (state, tone, headline) => {
    expect(measured({ state })).toMatchObject({ tone, headline, bars: undefined });
  });

  test("a site without a cellular path", () => {
    const engine = engineFixture({ paths: engineFixture().paths.filter(({ kind }) => kind === "wan") });
    expect(stateOf({ ...silentFixture("cellular", NOW - 30_000), engine }).signal).toMatchObject({
      tone: "quiet",
      headline: "None set up",
    });
  });
});

describe("phones", () => {
  const phones = engineFixture().phones;

  test("n of m, and who is missing", () => {
    const some = phones.map((phone, index) => (index === 0 ? { ...phone, availability: "offline" as const } : phone));
    expect(withEngine({ phones: some }).phones).toMatchObject({
      tone: "warn",
      headline: "2 of 3",
      lines: [{ text: "Cannot be reached: Front desk." }],
    });
    const none = phones.map((phone) => ({ ...phone, availability: "unknown" as const }));
    expect(withEngine({ phones: none }).phones).toMatchObject({ tone: "bad", headline: "0 of 3" });
    expect(withEngine({ phones }).phones).toMatchObject({ tone: "good", headline: "3 of 3" });
    expect(withEngine({ phones: [] }).phones).toMatchObject({ tone: "quiet" });
  });

  test("a phone that is available in part counts, and says why; what is with the cloud by another way is told", () => {
    const [first] = phones;
    if (first === undefined) throw new Error("no phones");
    const device = deviceFixture({
      availability: "limited",
      registered_with: "box",
      evidence: [{ source: "register", verdict: "bad", detail: "not with the cloud since the return", at_wall: NOW }],
    });
    const { phones: tile, phone_list: list } = withEngine({
      phones: [{ ...first, availability: "limited", devices: [device], elsewhere: 2 }],
    });
    expect(tile).toMatchObject({ tone: "good", headline: "1 of 1" });
    expect(list).toMatchObject({
      value: [
        {
          tone: "warn",
          state: "Available in part",
          devices: [
            {
              text: "Desk phone, 10.20.0.101: Available in part, with the box alone",
              detail: "not with the cloud since the return",
            },
            {
              text: "2 more of this number are with the cloud by another way; an outage here takes them away.",
              detail: "",
            },
          ],
        },
      ],
    });
  });

  test("phones that are stuck are listed with address, model, since when and why; none while nobody knows", () => {
    expect(withEngine({}).stuck).toEqual({ known: true, value: [] });
    const stuck_phones = [stuckFixture(), stuckFixture({ why: "refused", sip_status: 403 })];
    expect(withEngine({ stuck_phones }).stuck).toMatchObject({
      value: [
        { number: "102", address: "10.20.0.102", model: "Yealink SIP-T54W 96.86.0.70", why: /^It has not asked/ },
        { why: "The cloud refuses it (SIP 403)" },
      ].map((row) => ({ ...row, why: row.why instanceof RegExp ? expect.stringMatching(row.why) : row.why })),
    });
    expect(stateOf(silentFixture("engine", NOW - 20_000)).stuck.known).toBe(false);
  });

  test("a long list of missing phones is cut short", () => {
    const many = Array.from({ length: 9 }, (_, index) => ({
      ...phones[0],
      extension: `e${index}`,
      number: `${index}`,
      name: `P${index}`,
      availability: "offline",
    }));
    const [line] = withEngine({ phones: many as unknown as EngineStatus["phones"] }).phones.lines;
    expect(line?.text).toBe("Cannot be reached: P0, P1, P2 and 6 more.");
  });

  test("whose place is the site's, and who has none", () => {
    const [first] = phones;
    if (first === undefined) throw new Error("the fixture has no phone");
    const { phone_list } = withEngine({
      phones: [...phones, { ...first, extension: "x", location_label: "", location_own: false }],
    });
    expect(phone_list).toMatchObject({
      value: [
        { place: "Front desk" },
        { place: "Room 2" },
        { place: "Front desk (the site's)" },
        { place: "No place" },
      ],
    });
  });
});

describe("calls that run now", () => {
  const call = { ...emergencyCallFixture(), location_lines: undefined, callback_number: undefined };

  test("by names of phones; outside numbers never", () => {
    const { active } = withEngine({
      calls: [
        { ...call, call_id: "1", kind: "internal", caller: "101", callee: "102", trunk: undefined, path: undefined },
        { ...call, call_id: "2", kind: "inbound", caller: "+13035559999", callee: "101", state: "ringing" },
        { ...call, call_id: "3", kind: "outbound", caller: "103", callee: "hidden" },
        { ...call, call_id: "4", kind: "emergency", caller: "101", callee: "911" },
      ],
    });
    expect(active).toMatchObject({
      value: [
        { kind: "Inside", parties: "Front desk (101) to Room 2 (102)", by: "" },
        { kind: "In", parties: "an outside number to Front desk (101)", state: "ringing" },
        { kind: "Out", parties: "Back office (103) to an outside number" },
        { kind: "911", parties: "Front desk (101) to 911", emergency: true },
      ],
    });
    expect(JSON.stringify(active)).not.toContain("5559999");
  });
});

describe("alarms", () => {
  const alarm = (
    code: "path.down" | "power.low_battery" | "noc.unreachable",
    severity: "major" | "critical" | "minor",
    since_wall: number,
  ) => ({ code, severity, since_wall, subject: "x", detail: "what happened here" }) as const;

  test("worst first, each with what to do", () => {
    const alarms = [
      alarm("noc.unreachable", "minor", NOW - 1000),
      alarm("path.down", "major", NOW - 60_000),
      alarm("power.low_battery", "critical", NOW - 120_000),
    ];
    const { rows } = stateOf(statusFixture(engineFixture(), { alarms })).alarms;
    expect(rows).toMatchObject({
      value: [
        { severity: "Critical", tone: "bad", action: "Restore the mains at once." },
        { severity: "Major", tone: "warn", detail: "what happened here", since: "since 17:41:07 (1 min)" },
        { severity: "Minor" },
      ],
    });
  });

  test("a code that the page does not know is shown by its name", () => {
    const alarms = [
      { ...alarm("path.down", "major", NOW), code: "later.alarm" },
    ] as unknown as StatusDocument["alarms"];
    expect(stateOf(statusFixture(engineFixture(), { alarms })).alarms.rows).toMatchObject({
      value: [{ meaning: "later.alarm", action: "", detail: "what happened here" }],
    });
  });
});

describe("paths and trunks", () => {
  test("state, since when, facts and evidence", () => {
    const { paths, trunks } = stateOf(statusFixture(cutEngineFixture()));
    expect(paths).toMatchObject({
      value: [
        { name: "wan", kind: "Internet", tone: "bad", state: "Down", facts: "", since: "since 17:37:07 (5 min)" },
        { name: "lte", kind: "Cellular data", tone: "good", facts: "round trip 61 ms" },
      ],
    });
    expect(paths).toMatchObject({
      value: [
        {
          evidence: [
            { source: "Link", verdict: "Good" },
            { source: "Echo", verdict: "Bad", detail: "10.40.0.9 is silent" },
          ],
        },
        {},
      ],
    });
    expect(trunks).toMatchObject({
      value: [
        {
          kind: "Cloud PBX",
          facts:
            "over wan, first answer within 48 ms (99 of 100 calls), not known yet whether running calls can move to another path",
        },
        { facts: "over lte, 911, main number, registered" },
      ],
    });
  });

  test("what a PBX permits for running calls: the best word that is known", () => {
    const refused = { trunk: "cloud", rung: "reinvite", outcome: "refused", status: 403, at_wall: NOW } as const;
    const proven = { trunk: "cloud", rung: "replaces", outcome: "permitted", at_wall: NOW } as const;
    const facts = (call_moves: EngineStatus["call_moves"]) =>
      JSON.stringify(stateOf(statusFixture(engineFixture({ call_moves }))).trunks);
    expect(facts([refused])).toContain("running calls cannot move to another path: refused with 403");
    expect(facts([refused, proven])).toContain("running calls move to another path: works");
  });
});

describe("practice", () => {
  const practice = statusFixture(engineFixture(), { practice: true, cable: { wan: "plugged" } });

  test("is in the title and on the page, with its cable", () => {
    expect(view(practice)).toMatchObject({ practice: true, desk: { cable: "plugged" } });
    expect(view(practice).title).toMatch(/^PRACTICE · /);
  });

  test("stays said when the box is silent; the cable is unknown then", () => {
    const silent = view(practice, { silent: true });
    expect(silent).toMatchObject({ practice: true, desk: { cable: undefined } });
    expect(silent.title).toMatch(/^PRACTICE · Unknown/);
  });

  test("a real site has no desk", () => {
    expect(view(statusFixture())).toMatchObject({ practice: false, desk: undefined });
  });
});

test("notices: drill, defaults and the clock", () => {
  const engine = engineFixture({ config: "defaults", drill: { id: "d", by: "noc", ends_wall: NOW + 600_000 } });
  const notices = view(statusFixture(engine, { clock_quality: "unset" })).notices.map(({ text }) => text);
  expect(notices).toHaveLength(3);
  expect(notices[0]).toContain("Drill by noc");
  expect(notices[0]).toContain("17:52:07");
});

test("what is spoken changes with the state and not with the time", () => {
  const status = statusFixture(cutEngineFixture());
  const first = view(status).spoken;
  expect(first).toBe("Denver clinic. Calls go by: Cellular. 911: Ready, one path. Phones online: 3 of 3. Alarms: 1.");
  expect(view(status, { now_wall: NOW + 3_600_000 }).spoken).toBe(first);
});

test("in Spanish the box's own English is marked as such", () => {
  const { state } = pageView(hearing(statusFixture(cutEngineFixture())), spanish);
  expect(state?.calls.headline).toBe("Red celular");
  expect(state?.calls.lines).toContainEqual({ text: "cloud is down: path wan is down", verbatim: true });
});

test("a page without any event yet tells that apart from one that could not read them", () => {
  expect(view(statusFixture()).events).toBeUndefined();
  expect(view(statusFixture(), { events: [] as readonly HoldfastEvent[] }).events).toEqual([]);
});
