import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ROLES } from "../operations/operations.ts";
import { loadTokens, rolesOf } from "./tokens.ts";

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tokens-"));
  file = join(folder, "tokens.json");
});

afterEach(() => rmSync(folder, { recursive: true }));

test("the first start makes one token per role, readable by the box's user alone; later starts keep them", () => {
  const first = loadTokens(file);
  expect(first.made).toBe(true);
  expect(first.tokens.map(({ role }) => role)).toEqual([...ROLES]);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(loadTokens(file)).toEqual({ tokens: first.tokens, made: false });
});

test("a token stands for its role and nothing else for any", () => {
  const { tokens } = loadTokens(file);
  for (const { role, token } of tokens) expect([...rolesOf(tokens, token)]).toEqual([role]);
  for (const wrong of ["", "x", tokens[0]?.token.slice(1) ?? "", `${tokens[0]?.token}x`]) {
    expect(rolesOf(tokens, wrong).size).toBe(0);
  }
});

test("a damaged file, or one with short tokens, is made anew rather than believed", () => {
  for (const text of [
    "{",
    "[]",
    '{"tokens":[{"role":"noc","token":"short"}]}',
    '{"tokens":[{"role":"king","token":"0123456789abcdef"}]}',
  ]) {
    writeFileSync(file, text);
    expect(loadTokens(file).made).toBe(true);
  }
});
