import { describe, expect, test } from "vitest";
import { type RowPlan, rowOf } from "./rows.ts";
import { cell, short, table } from "./table.ts";

const plan: RowPlan = {
  name: "a delay",
  figure: "first-second",
  unit: "ms",
  judged: "max",
  limit: 300,
  holdfast: "h",
  kamailio: "k",
};

describe("the bench's table", () => {
  test("one slow trial of many misses a goal that is judged by the maximum", () => {
    const row = rowOf(plan, { h: [250, 260, 301], k: [480] });
    expect(row.verdict).toBe("missed");
    expect(row.goal).toBe("≤ 300 ms");
  });

  test("a missed figure stays in the table, with median, range and number", () => {
    const text = table([rowOf(plan, { h: [250, 260, 301], k: [480] })]);
    expect(text).toContain("260 (250–301), 3");
    expect(text).toContain("missed");
    expect(text).toContain("0.63×");
  });

  test("a total of none is a goal of none, met by none", () => {
    const total: RowPlan = { ...plan, unit: "calls", judged: "total", limit: 0 };
    expect(rowOf(total, { h: [0, 0, 0] })).toMatchObject({ goal: "0", verdict: "met" });
    expect(rowOf(total, { h: [0, 1, 0] })).toMatchObject({ verdict: "missed" });
    expect(cell(total, rowOf(total, { h: [0, 1, 0] }).holdfast)).toBe("1 of 3");
  });

  test("what was not measured is said to be so, and never met", () => {
    expect(rowOf(plan, {}).verdict).toBe("not measured");
  });

  test("a figure whose goal is later work is shown with it", () => {
    expect(rowOf({ ...plan, limit: undefined, later: 50 }, { h: [120] })).toMatchObject({
      goal: "later ≤ 50 ms",
      verdict: "shown",
    });
  });

  test("numbers keep the digits that mean something", () => {
    expect([0, 0.123, 12.34, 99.96, 1234.5].map(short)).toEqual(["0", "0.12", "12.3", "100", "1235"]);
  });
});
