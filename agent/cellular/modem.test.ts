import { beforeEach, describe, expect, test } from "vitest";
import { memoryCable } from "../base/byte-stream.ts";
import { silentLog } from "../base/log.ts";
import { ManualClock } from "../base/manual-clock.ts";
import { type PracticeFamily, PracticeModem } from "../practice/modem.ts";
import { Modem } from "./modem.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

let clock: ManualClock;
let device: PracticeModem;
let modem: Modem;
let present: boolean;
let news: string[];

const run = async (ms: number) => {
  for (let done = 0; done < ms; done += 10) {
    await turn();
    clock.advance(10);
  }
  await turn();
};

function start(family: PracticeFamily = "simcom") {
  device = new PracticeModem(clock, family);
  modem = new Modem({
    id: "m1",
    path: "lte",
    practice: true,
    clock,
    log: silentLog,
    open: async () => {
      if (!present) throw new Error("no such device");
      const [ours, theirs] = memoryCable(clock);
      device.plug(theirs);
      return ours;
    },
    onChange: () => {},
    onNews: (state, operator, rsrp) => news.push(`${state} ${operator} ${rsrp}`),
    onSignal: () => {},
  });
}

beforeEach(() => {
  clock = new ManualClock(0, Date.UTC(2026, 10, 20, 12));
  present = true;
  news = [];
});

describe("a modem", () => {
  test.each([
    ["simcom", "PRACTICE-7600", "PRACTICE-LE20B04"],
    ["quectel", "PRACTICE-EC25", "PRACTICE-R06A08"],
  ] as const)("of %s is identified and its network, signal and time are read", async (family, model, firmware) => {
    start(family);
    await run(1000);
    expect(modem.status()).toMatchObject({
      id: "m1",
      path: "lte",
      state: "registered",
      model,
      firmware,
      operator: "PRACTICE LTE",
      technology: "LTE",
      rsrp_dbm: -87,
      rsrq_db: -9,
      rssi_dbm: -57,
      practice: true,
    });
    // The clock of a modem has whole seconds.
    expect(Math.abs(modem.status().network_time_offset_ms ?? Number.NaN)).toBeLessThan(2000);
    expect(news).toEqual(["registered PRACTICE LTE -87"]);
    modem.stop();
  });

  test("that loses the network says so at once, and again when it is served", async () => {
    start();
    await run(1000);
    device.signal(undefined);
    await run(300);
    expect(modem.status()).toMatchObject({ state: "searching", operator: undefined, rsrp_dbm: undefined });
    device.signal({ rsrp_dbm: -120 });
    await run(300);
    expect(modem.status()).toMatchObject({ state: "registered", rsrp_dbm: -120 });
    expect(news).toEqual([
      "registered PRACTICE LTE -87",
      "searching undefined undefined",
      "registered PRACTICE LTE -120",
    ]);
    modem.stop();
  });

  test("follows a falling signal without being told", async () => {
    start();
    await run(1000);
    device.signal({ rsrp_dbm: -101 });
    await run(6000);
    expect(modem.status().rsrp_dbm).toBe(-101);
    expect(news).toHaveLength(1);
    modem.stop();
  });

  test.each([
    ["denied", "denied"],
    ["emergency_only", "denied"],
    ["searching", "searching"],
    ["roaming", "registered"],
  ] as const)("whose registration is %s is %s", async (registration, state) => {
    start();
    device.registration(registration);
    await run(1000);
    expect(modem.status().state).toBe(state);
    modem.stop();
  });

  test("without a SIM is failed and says why, until one is put in", async () => {
    start();
    device.sim(false);
    await run(1000);
    expect(modem.belief).toMatchObject({ state: "failed", reason: "no SIM is inserted" });
    expect(modem.status().model).toBe("PRACTICE-7600");
    device.sim(true);
    await run(500);
    expect(modem.status().state).toBe("registered");
    modem.stop();
  });

  test("that hangs is failed within half a minute, is reset, and is found when it answers", async () => {
    start();
    await run(1000);
    device.hang(true);
    await run(25_000);
    expect(modem.belief).toMatchObject({ state: "failed", reason: "it does not answer" });
    expect(modem.status()).toMatchObject({ model: undefined, rsrp_dbm: undefined });
    expect(device.resetsIgnored).toBeGreaterThanOrEqual(1);
    await run(60_000);
    expect(modem.status().state).toBe("failed");
    device.hang(false);
    await run(200_000);
    expect(modem.status().state).toBe("registered");
    expect(news).toEqual(["registered PRACTICE LTE -87", "failed undefined undefined", "registered PRACTICE LTE -87"]);
    modem.stop();
  }, 30_000);

  test("that starts by itself is asked anew", async () => {
    start();
    await run(1000);
    device.restart();
    await run(5000);
    expect(modem.status()).toMatchObject({ state: "registered", rsrp_dbm: -87 });
    modem.stop();
  });

  test("that is pulled out is missing, and is found when it is back", async () => {
    start();
    await run(15_000);
    present = false;
    device.unplug();
    await run(100);
    expect(modem.status()).toMatchObject({ state: "missing", model: undefined, operator: undefined });
    present = true;
    await run(3000);
    expect(modem.status().state).toBe("registered");
    expect(news).toEqual(["registered PRACTICE LTE -87", "missing undefined undefined", "registered PRACTICE LTE -87"]);
    modem.stop();
  });

  test("that was reset and does not come back is missing", async () => {
    start();
    await run(1000);
    device.hang(true);
    await run(25_000);
    present = false;
    device.unplug();
    await run(40_000);
    expect(modem.belief).toMatchObject({ state: "missing" });
    modem.stop();
  }, 20_000);

  test("leaves no timer behind when it is stopped", async () => {
    start();
    await run(2000);
    modem.stop();
    device.unplug();
    await run(5000);
    expect(clock.pending).toBe(0);
  });
});
