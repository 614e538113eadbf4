import { beforeEach, describe, expect, test } from "vitest";
import { type ByteStream, fromBytes, memoryCable, toBytes } from "../base/byte-stream.ts";
import { ManualClock } from "../base/manual-clock.ts";
import { type PracticeFamily, PracticeModem } from "./modem.ts";

let clock: ManualClock;
let modem: PracticeModem;
let line: ByteStream;
let heard: string;

function start(family: PracticeFamily) {
  clock = new ManualClock(0, Date.UTC(2026, 10, 21, 0, 34, 56));
  const [ours, theirs] = memoryCable(clock);
  line = ours;
  heard = "";
  line.onData((bytes) => {
    heard += fromBytes(bytes);
  });
  modem = new PracticeModem(clock, family);
  modem.plug(theirs);
}

/** The lines that come for one command, its echo included while that is on. */
function ask(command: string): string[] {
  heard = "";
  line.write(toBytes(`${command}\r`));
  clock.advance(100);
  return heard.split(/[\r\n]+/).filter((text) => text !== "");
}

beforeEach(() => start("simcom"));

describe("the practice modem", () => {
  test("echoes until it is told not to", () => {
    expect(ask("AT")).toEqual(["AT", "OK"]);
    expect(ask("ATE0")).toEqual(["ATE0", "OK"]);
    expect(ask("AT")).toEqual(["OK"]);
  });

  test.each(["simcom", "quectel"] as const)("says PRACTICE in every name it has (%s)", (family) => {
    start(family);
    ask("ATE0");
    for (const command of ["AT+CGMI", "AT+CGMM", "AT+CGMR", "AT+CGSN", "AT+COPS?"]) {
      expect(ask(command)[0]).toContain("PRACTICE");
    }
    expect(ask("ATI").filter((text) => text.includes("PRACTICE"))).toHaveLength(3);
  });

  test("reports its signal in the words of its maker", () => {
    ask("ATE0");
    expect(ask("AT+CSQ")).toEqual(["+CSQ: 28,99", "OK"]);
    expect(ask("AT+CESQ")).toEqual(["+CESQ: 99,99,255,255,22,54", "OK"]);
    expect(ask("AT+CPSI?")[0]).toMatch(/^\+CPSI: LTE,Online,.*,-90,-870,-570,15$/);
    expect(ask("AT+QCSQ")).toEqual(["ERROR"]);
    start("quectel");
    ask("ATE0");
    expect(ask("AT+QCSQ")).toEqual(['+QCSQ: "LTE",-57,-87,175,-9', "OK"]);
  });

  test("tells the network's time in local time", () => {
    expect(ask("AT+CCLK?")[1]).toBe('+CCLK: "26/11/20,17:34:56-28"');
  });

  test("names its faults as it was told to", () => {
    ask("ATE0");
    modem.sim(false);
    clock.advance(100);
    expect(heard).toContain("+CPIN: NOT READY");
    expect(ask("AT+CPIN?")).toEqual(["ERROR"]);
    ask("AT+CMEE=1");
    expect(ask("AT+CPIN?")).toEqual(["+CME ERROR: 10"]);
    ask("AT+CMEE=2");
    expect(ask("AT+CPIN?")).toEqual(["+CME ERROR: SIM not inserted"]);
  });

  test("reports registration when it changes, if it was asked to", () => {
    ask("ATE0");
    modem.registration("denied");
    clock.advance(100);
    expect(ask("AT+CEREG?")).toEqual(["+CEREG: 0,3", "OK"]);
    ask("AT+CEREG=2");
    heard = "";
    modem.registration("roaming");
    clock.advance(100);
    expect(heard).toBe('\r\n+CEREG: 5,"1A2B","0C0FFEE1",7\r\n');
  });

  test("without signal is not registered", () => {
    modem.signal(undefined);
    ask("ATE0");
    expect(ask("AT+CREG?")[0]).toBe("+CREG: 0,2");
    expect(ask("AT+CSQ")[0]).toBe("+CSQ: 99,99");
    expect(ask("AT+CPSI?")[0]).toBe("+CPSI: NO SERVICE,Online");
    expect(ask("AT+COPS?")[0]).toBe("+COPS: 0");
  });

  test("that hangs answers nothing; started anew it has forgotten its settings and says that it is ready", () => {
    ask("ATE0");
    modem.hang(true);
    expect(ask("AT")).toEqual([]);
    modem.hang(false);
    expect(ask("AT+CFUN=1,1")).toEqual(["OK"]);
    expect(ask("AT")).toEqual([]);
    clock.advance(2000);
    expect(heard).toContain("\r\nRDY\r\n");
    expect(ask("AT")).toEqual(["AT", "OK"]);
  });

  test("dials nobody", () => {
    ask("ATE0");
    expect(ask("ATD911;")).toEqual(["ERROR"]);
    expect(ask('AT+CMGS="911"')).toEqual(["ERROR"]);
  });
});
