import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { holdAlone } from "./only-one.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-one-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Another program that holds the socket until it is killed. */
async function another(socket: string) {
  const code = `const { holdAlone } = await import(${JSON.stringify(new URL("./only-one.ts", import.meta.url).href)});
    process.send(await holdAlone(${JSON.stringify(socket)})); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const held = await new Promise((resolve) => child.once("message", resolve));
  return {
    held,
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

test("a second program on the same directories is told that it is the second", async () => {
  const socket = join(folder, "alone.sock");
  const first = await another(socket);
  expect(first.held).toBe(true);
  expect(await holdAlone(socket)).toBe(false);
  await first.kill();
});

test("a socket left behind by a killed program is taken over", async () => {
  const socket = join(folder, "alone.sock");
  const first = await another(socket);
  await first.kill();
  expect(await holdAlone(socket)).toBe(true);
  expect(await holdAlone(socket)).toBe(false);
});

test("a file that is no socket is replaced, a folder that cannot be written is an error", async () => {
  const socket = join(folder, "alone.sock");
  writeFileSync(socket, "");
  expect(await holdAlone(socket)).toBe(true);
  await expect(holdAlone(join(folder, "missing", "alone.sock"))).rejects.toThrow();
});
