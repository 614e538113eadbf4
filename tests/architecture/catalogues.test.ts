import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ALARMS } from "../../agent/base/alarms.ts";
import { ERRORS } from "../../agent/base/errors.ts";
import { siteFilePage } from "../../scripts/site-file-page.ts";

/** Rows of a Markdown table as lists of cell texts, header and rule left out. */
function tableRows(file: string): string[][] {
  const text = readFileSync(new URL(`../../docs/${file}`, import.meta.url), "utf8");
  return text
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

describe("the documentation says what the catalogues say", () => {
  test("errors", () => {
    expect(tableRows("errors.md")).toEqual(
      Object.entries(ERRORS).map(([code, { meaning, action }]) => [`\`${code}\``, meaning, action]),
    );
  });

  test("alarms", () => {
    expect(tableRows("alarms.md")).toEqual(
      Object.entries(ALARMS).map(([code, { severity, meaning, action }]) => [`\`${code}\``, severity, meaning, action]),
    );
  });

  test("the site file", () => {
    const page = readFileSync(new URL("../../docs/site-file.md", import.meta.url), "utf8");
    expect(page).toBe(siteFilePage());
  });
});
