import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MegatecLines, parseQ1 } from "./megatec.ts";

describe("a Q1 reply", () => {
  test("of a line-interactive UPS on mains", () => {
    expect(parseQ1("(230.1 229.8 230.1 021 49.9 27.3 31.0 00001000")).toEqual({
      input_v: 230.1,
      fault_v: 229.8,
      output_v: 230.1,
      load_percent: 21,
      frequency_hz: 49.9,
      battery_v: 27.3,
      temperature_c: 31,
      utility_fail: false,
      battery_low: false,
      bypass: false,
      failed: false,
      standby: true,
      testing: false,
      shutting_down: false,
      beeper: false,
    });
  });

  test("of an on-line UPS tells volts of one cell", () => {
    const reading = parseQ1("(208.4 140.0 208.4 034 59.9 2.05 35.0 00110000");
    expect(reading).toMatchObject({ battery_v: 2.05, standby: false, bypass: true, failed: true });
  });

  test("on battery, battery low, beeping", () => {
    expect(parseQ1("(000.0 231.0 219.0 040 50.1 21.2 33.5 11001001")).toMatchObject({
      utility_fail: true,
      battery_low: true,
      beeper: true,
    });
  });

  test("has unknown fields as @ or dashes", () => {
    expect(parseQ1("(@@@.@ ---.- 120.0 @@@ 60.0 @@.@ --.- 00001000")).toMatchObject({
      input_v: undefined,
      fault_v: undefined,
      output_v: 120,
      load_percent: undefined,
      battery_v: undefined,
      temperature_c: undefined,
      utility_fail: false,
    });
  });

  test.each([
    ["cut short", "(230.1 229.8 230.1 021 49.9 27.3 31.0 1000"],
    ["without its bits", "(230.1 229.8 230.1 021 49.9 27.3 31.0"],
    ["with a field too many", "(230.1 229.8 230.1 021 49.9 27.3 31.0 00001000 1"],
    ["with a character lost", "(230.1 229.8 230.1 021 49.9 27.3 31.0 1000100"],
    ["two that ran together", "(230.1 229.8 230.1 0(230.1 229.8 230.1 021 49.9 27.3 31.0 10001000"],
    ["with bits other than 0 and 1", "(230.1 229.8 230.1 021 49.9 27.3 31.0 1000x000"],
    ["with a letter in a number", "(23o.1 229.8 230.1 021 49.9 27.3 31.0 10001000"],
    ["with a voltage that cannot be", "(9999.0 229.8 230.1 021 49.9 27.3 31.0 10001000"],
    ["that is the question sent back", "Q1"],
    ["of another protocol", "(NAK"],
    ["that is empty", ""],
  ])("%s says nothing", (_, line) => {
    expect(parseQ1(line)).toBeUndefined();
  });

  test("never throws, whatever comes over the line", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const text = Buffer.from(bytes).toString("latin1");
        for (const line of new MegatecLines().push(text)) parseQ1(line);
        parseQ1(`(${text}`);
      }),
    );
  });

  test("garbled in any one character is a reply with other numbers or none, never a power failure", () => {
    const good = "(230.1 229.8 230.1 021 49.9 27.3 31.0 00001000";
    const bits = good.length - 8;
    fc.assert(
      fc.property(fc.nat(bits - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        const line = good.slice(0, at) + String.fromCharCode(byte) + good.slice(at + 1);
        expect(parseQ1(line)?.utility_fail ?? false).toBe(false);
      }),
    );
  });
});

describe("lines", () => {
  test("are put together from pieces", () => {
    const lines = new MegatecLines();
    expect(lines.push("(230.")).toEqual([]);
    expect(lines.push("1 x\r\nQ1\r")).toEqual(["(230.1 x", "Q1"]);
  });

  test("without an end are not kept for ever", () => {
    const lines = new MegatecLines();
    for (let i = 0; i < 1000; i++) lines.push("x".repeat(100));
    expect(lines.push("\r(a\r")).toEqual(["", "(a"]);
  });
});
