/** The table as people read it. */
import type { Row, Side } from "./rows.ts";

/** Two digits that mean something, no more. */
export function short(value: number): string {
  const rounded =
    Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
  return rounded.includes(".") ? rounded.replace(/\.?0+$/, "") : rounded;
}

/** `median (min–max), n`; totals say of how many. */
export function cell(row: Pick<Row, "judged">, side: Side | undefined): string {
  if (side === undefined) return "–";
  if (row.judged === "total") return side.n === 1 ? short(side.value) : `${short(side.value)} of ${side.n}`;
  if (side.n === 1) return short(side.value);
  return `${short(side.median)} (${short(side.min)}–${short(side.max)}), ${side.n}`;
}

const HEADINGS = ["figure", "judged", "goal", "Holdfast", "Kamailio", "ratio", "verdict"] as const;

export function table(rows: readonly Row[]): string {
  const lines = rows.map((row) => [
    row.unit === "" ? row.name : `${row.name} [${row.unit}]`,
    row.judged,
    row.goal,
    cell(row, row.holdfast),
    cell(row, row.kamailio),
    row.ratio === undefined ? "–" : `${short(row.ratio)}×`,
    row.verdict,
  ]);
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...lines.map((line) => line[column]?.length ?? 0)),
  );
  const print = (cells: readonly string[]) =>
    `| ${cells.map((text, column) => text.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  return [print(HEADINGS), rule, ...lines.map(print)].join("\n");
}
