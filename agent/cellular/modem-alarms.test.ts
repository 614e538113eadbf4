import { describe, expect, test } from "vitest";
import { modemAlarms, SIGNAL_START, weakSignal } from "./modem-alarms.ts";

const raised = (condition: Partial<Parameters<typeof modemAlarms>[1]>) =>
  [...modemAlarms("m1", { state: "searching", reason: "", unserved_ms: 0, answering: true, ...condition })].flatMap(
    ([code, detail]) => (detail === undefined ? [] : [`${code}: ${detail}`]),
  );

describe("alarms of a modem", () => {
  test("a missing one is missed after five seconds", () => {
    expect(raised({ state: "missing", reason: "not opened yet", answering: false, unserved_ms: 4000 })).toEqual([]);
    expect(raised({ state: "missing", reason: "no such device", answering: false, unserved_ms: 5000 })).toEqual([
      "cellular.no_modem: Modem m1: no such device.",
    ]);
  });

  test("searching is an alarm after half a minute, denial and a missing SIM at once", () => {
    expect(raised({ unserved_ms: 29_000 })).toEqual([]);
    expect(raised({ unserved_ms: 30_000 })).toEqual(["cellular.no_service: Modem m1: searching."]);
    expect(raised({ state: "denied", reason: "the network denies registration" })).toHaveLength(1);
    expect(raised({ state: "failed", reason: "no SIM is inserted" })).toEqual([
      "cellular.no_service: Modem m1: no SIM is inserted.",
    ]);
  });

  test("a registered one has none", () => {
    expect(raised({ state: "registered" })).toEqual([]);
  });
});

test("a signal is weak after three readings below -115 dBm, until -112", () => {
  const readings = [-116, -116, -110, -116, -117, -118, -114, -113, -112, -116];
  let state = SIGNAL_START;
  const weak = readings.map((rsrp) => {
    state = weakSignal(state, rsrp);
    return state.weak;
  });
  expect(weak).toEqual([false, false, false, false, false, true, true, true, false, false]);
  expect(weakSignal({ weak: true, readings: 3 }, undefined).weak).toBe(false);
});
