import { describe, expect, test } from "vitest";
import { sum, summarise } from "./statistics.ts";

describe("statistics", () => {
  test("nothing measured has no summary", () => {
    expect(summarise([])).toBeUndefined();
  });

  test("the median of an even number of values is between the middle two, in whatever order they came", () => {
    expect(summarise([9, 1, 4, 2])).toEqual({ n: 4, median: 3, min: 1, max: 9 });
  });

  test("one value is its own median, minimum and maximum", () => {
    expect(summarise([7])).toEqual({ n: 1, median: 7, min: 7, max: 7 });
  });

  test("values are added up", () => {
    expect(sum([0, 1, 0, 1])).toBe(2);
  });
});
