import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCclk } from "./network-time.ts";

const utc = (line: string) => {
  const wall = parseCclk(line);
  return wall === undefined ? undefined : new Date(wall).toISOString();
};

describe("network time", () => {
  test("is local time with its zone in quarters of an hour", () => {
    expect(utc('+CCLK: "26/11/20,17:34:56-28"')).toBe("2026-11-21T00:34:56.000Z");
    expect(utc('+CCLK: "26/11/20,17:34:56+22"')).toBe("2026-11-20T12:04:56.000Z");
    expect(utc('+CCLK: "28/02/29,00:00:00+00"')).toBe("2028-02-29T00:00:00.000Z");
  });

  test.each([
    ["a modem's birthday", '+CCLK: "80/01/06,00:00:21+00"'],
    ["another's", '+CCLK: "70/01/01,00:00:21+00"'],
    ["a year before this program", '+CCLK: "24/12/31,23:59:59+00"'],
    ["no zone", '+CCLK: "26/11/20,17:34:56"'],
    ["a day that is not in its month", '+CCLK: "26/02/30,17:34:56+00"'],
    ["an hour too many", '+CCLK: "26/11/20,24:34:56+00"'],
    ["a month too many", '+CCLK: "26/13/20,04:34:56+00"'],
    ["a zone beyond the date line", '+CCLK: "26/11/20,17:34:56+99"'],
    ["nothing", "+CCLK: "],
  ])("%s is not time", (_, line) => {
    expect(parseCclk(line)).toBeUndefined();
  });

  test("nothing that comes makes it throw", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void parseCclk(`+CCLK: "${text}`)));
  });
});
