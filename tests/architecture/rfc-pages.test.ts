import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { scenarios } from "../lab/scenarios/all.ts";

const ROOT = new URL("../../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), "utf8");

const PAGE = read("docs/rfc3261.md");

/** RFC 3261's normative sections; one that is told by its parts has only these. */
const SECTIONS = `
7.1 7.2 7.3 7.4 7.5 8.1.1 8.1.2 8.1.3 8.2.1 8.2.2.1 8.2.2.2 8.2.2.3 8.2.3 8.2.4 8.2.6 8.2.7 8.3 9.1 9.2 10.2 10.3 11
12.1 12.2.1 12.2.2 12.3 13.2 13.3 14 15 16.2 16.3 16.4 16.5 16.6 16.7 16.8 16.9 16.10 16.11 16.12 17.1.1 17.1.2 17.1.3 17.1.4
17.2.1 17.2.2 17.2.3 17.2.4 18.1.1 18.1.2 18.2.1 18.2.2 18.3 18.4 19.1.1 19.1.2 19.1.4 19.1.5 19.1.6 19.2 19.3 20 21 22.1 22.2
22.3 22.4 23 25 26.2 26.3`;

/** The RFCs beside it that the box claims. */
const RFCS =
  "3262 3263 3311 3325 3326 3327 3428 3515 3581 3891 3903 4028 4488 5626 5627 5922 6026 6665 8760 4320 4475 5118";

interface Row {
  readonly section: string;
  readonly what: string;
  readonly files: string;
  readonly tests: string;
  readonly cells: number;
}

function rowsOf(text: string): Row[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("|") && !line.startsWith("| Section |") && !line.startsWith("| ---"))
    .map((line) => {
      const cells = line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim());
      const [section = "", what = "", files = "", tests = ""] = cells;
      return { section, what, files, tests, cells: cells.length };
    });
}

const rows = rowsOf(PAGE);
const isBuilt = ({ files }: Row) => files !== "not built";
const paths = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "");

/** `file` "title" and lab: `name`, one after the other. */
const TEST = /^(?:`([^`]+\.test\.ts)` "([^"]+)"|lab: `([^`]+)`)(?:; |$)/;

function references(cell: string): { file?: string; title?: string; scenario?: string }[] | undefined {
  const found: { file?: string; title?: string; scenario?: string }[] = [];
  for (let rest = cell; rest !== ""; ) {
    const match = TEST.exec(rest);
    if (match === null) return undefined;
    const [all, file, title, scenario] = match;
    found.push(scenario === undefined ? { file: file ?? "", title: title ?? "" } : { scenario });
    rest = rest.slice(all.length);
  }
  return found;
}

/** `title` is a whole string there: of `test` or `describe`, or a row of a table of tests. */
function hasTest(text: string, title: string): boolean {
  return ['"', "`", "'"].some((quote) => text.includes(quote + title + quote));
}

describe("docs/rfc3261.md tells the truth", () => {
  test("no cell is empty, and every row has four", () => {
    expect(rows.length).toBeGreaterThan(100);
    for (const row of rows) {
      expect(row.cells, row.section).toBe(4);
      for (const cell of [row.section, row.what, row.files, row.tests]) expect(cell, row.section).toMatch(/\w/);
    }
  });

  test("every file exists", () => {
    const missing = rows
      .filter(isBuilt)
      .flatMap(({ section, files }) => (paths(files).length === 0 ? [`${section}: no file`] : paths(files)))
      .filter((path) => !existsSync(new URL(path, ROOT)));
    expect(missing).toEqual([]);
  });

  test("every test file has the test that is named, every scenario is in the lab's list", () => {
    const names = new Set(scenarios.map(({ name }) => name));
    const wrong = rows.filter(isBuilt).flatMap(({ section, tests }) => {
      const named = references(tests);
      if (named === undefined || named.length === 0) return [`${section}: ${tests}`];
      return named.flatMap(({ file, title, scenario }) => {
        if (scenario !== undefined) return names.has(scenario) ? [] : [`${section}: no scenario ${scenario}`];
        if (file === undefined || !existsSync(new URL(file, ROOT))) return [`${section}: no ${file}`];
        return hasTest(read(file), title ?? "") ? [] : [`${section}: ${file} has no "${title}"`];
      });
    });
    expect(wrong).toEqual([]);
  });

  test("nothing that is named is skipped, put off or run alone", () => {
    const files = new Set(
      rows.filter(isBuilt).flatMap(({ tests }) => references(tests)?.flatMap(({ file }) => file ?? []) ?? []),
    );
    expect(files.size).toBeGreaterThan(30);
    expect(
      [...files].filter((file) => /\b(?:test|describe)(?:\.each)?\.(?:skip|todo|only|fails)\b\(?/.test(read(file))),
    ).toEqual([]);
  });

  test("what is not built says why, and names a place that exists or is to come", () => {
    for (const { section, tests } of rows.filter((row) => !isBuilt(row))) {
      expect(tests, section).toMatch(/\b(place|places) (is|are)\b/);
      for (const path of paths(tests).filter((each) => each.startsWith("agent/"))) {
        expect(existsSync(new URL(path, ROOT)), `${section}: ${path}`).toBe(true);
      }
    }
  });

  test("no section of RFC 3261 is left out", () => {
    const [, own = ""] = /\n## RFC 3261[^\n]*\n([\s\S]*?)\n## /.exec(PAGE) ?? [];
    const told = new Set(rowsOf(own).map(({ section }) => section.replace("§", "")));
    expect(
      SECTIONS.trim()
        .split(/\s+/)
        .filter((section) => !told.has(section)),
    ).toEqual([]);
    expect(told.has("Appendix A")).toBe(true);
  });

  test("each RFC has a heading with rows", () => {
    const parts = PAGE.split(/\n## /).slice(1);
    const without = RFCS.split(" ").filter(
      (rfc) => !parts.some((part) => part.split("\n")[0]?.includes(`RFC ${rfc}`) && rowsOf(part).length > 0),
    );
    expect(without).toEqual([]);
  });

  test("every file of agent/sip is named", () => {
    const named = new Set(rows.filter(isBuilt).flatMap(({ files }) => paths(files)));
    const files = readdirSync(new URL("agent/sip/", ROOT), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
      .map((name) => `agent/sip/${name}`);
    expect(files.filter((file) => !named.has(file)).sort()).toEqual([]);
  });
});
