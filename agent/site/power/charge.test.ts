import { describe, expect, test } from "vitest";
import { blocksOf, chargePercent } from "./charge.ts";
import { parseQ1, type Q1Reading } from "./megatec.ts";

function reading(battery: string, bits: string): Q1Reading {
  const parsed = parseQ1(`(000.0 231.0 219.0 040 50.1 ${battery} 33.5 ${bits}`);
  if (parsed === undefined) throw new Error("the test's own line is wrong");
  return parsed;
}

const ON_BATTERY = "10001001";

describe("charge", () => {
  test("is not known on mains, where the charger sets the voltage", () => {
    expect(chargePercent(reading("27.3", "00001000"), 2)).toBeUndefined();
  });

  test("is not known when the UPS does not tell the voltage", () => {
    expect(chargePercent(reading("@@.@", ON_BATTERY), 2)).toBeUndefined();
  });

  test.each([
    ["25.2", 100],
    ["23.1", 50],
    ["21.0", 0],
    ["20.4", 0],
  ])("of a 24 V battery at %s V is %i %%", (volts, percent) => {
    expect(chargePercent(reading(volts, ON_BATTERY), 2)).toBe(percent);
  });

  test("of an on-line UPS comes from the volts of one cell", () => {
    expect(chargePercent(reading("2.10", "10000001"), undefined)).toBe(100);
    expect(chargePercent(reading("1.75", "10000001"), undefined)).toBe(0);
  });

  test("of a battery whose number of cells is not certain is not known", () => {
    expect(blocksOf(51.5, false)).toBeUndefined();
    expect(chargePercent(reading("51.5", ON_BATTERY), undefined)).toBeUndefined();
    expect(chargePercent(reading("51.5", ON_BATTERY), 5)).toBe(0);
    expect(chargePercent(reading("51.5", ON_BATTERY), 4)).toBe(100);
  });

  test("is not known when it contradicts the UPS's own low-battery bit", () => {
    expect(chargePercent(reading("25.0", "11001001"), 2)).toBeUndefined();
    expect(chargePercent(reading("21.2", "11001001"), 2)).toBe(5);
  });
});

describe("the number of 12 V blocks", () => {
  test.each([
    [13.6, 1],
    [27.3, 2],
    [41, 3],
    [54.6, 4],
    [82, 6],
    [109, 8],
  ])("on charge at %f V is %i", (volts, blocks) => {
    expect(blocksOf(volts, true)).toBe(blocks);
  });

  test("is not guessed for voltages between", () => {
    expect(blocksOf(18, true)).toBeUndefined();
    expect(blocksOf(2.27, true)).toBeUndefined();
  });
});
