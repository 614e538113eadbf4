import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TestNumber } from "./test-number.ts";

describe("a test number", () => {
  test.each(["933", "+13035550199", "7911555", "2025550123"])("%s may be dialled by a drill", (text) => {
    expect(new TestNumber(text).digits).toBe(text.replace("+", ""));
  });

  test.each([
    "911",
    "9911",
    "9-1-1",
    "9 1 1",
    "+911",
    "1911",
    "tel:911",
    "sip:911@pbx.example",
    "sip:%39%31%31@pbx.example",
    "９１１",
    "٩١١",
    "urn:service:sos",
    "URN:service:SOS.fire",
    "112",
    "0112",
    "999",
    "WYY",
    "",
  ])("%s is refused", (text) => {
    expect(() => new TestNumber(text)).toThrow(/emergency/);
  });

  test("the site's own emergency numbers are refused too", () => {
    expect(() => new TestNumber("5555", ["5555"])).toThrow(/emergency/);
    expect(() => new TestNumber("95555", ["5555"])).toThrow(/emergency/);
  });

  test("separators never let an emergency number through", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(" ", "-", ".", "(", ")", "/"), { minLength: 2, maxLength: 8 }), (noise) => {
        const text = ["9", "1", "1"].map((digit, i) => digit + (noise[i] ?? "")).join("");
        expect(() => new TestNumber(text)).toThrow(/emergency/);
      }),
    );
  });
});
