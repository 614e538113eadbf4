import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../base/clock.ts";
import { parseConfig } from "../base/config/load.ts";
import type { HoldfastEvent } from "../base/events.ts";
import { serveLink } from "../base/link/link.ts";
import { silentLog } from "../base/log.ts";
import { configHash, writeSnapshot } from "../base/snapshot.ts";
import type { CellularStatus } from "../base/status.ts";
import { PracticeModem } from "../practice/modem.ts";
import { openPty } from "../practice/pty.ts";

const MAIN = new URL("./main.ts", import.meta.url).pathname;
const FIXTURE = readFileSync(new URL("../../tests/fixtures/site.yaml", import.meta.url), "utf8");

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const siteFile = (port: string, live = false) =>
  FIXTURE.replace("/dev/ttyUSB2", port).replace("live: true", `live: ${live}`);

function folders(site: string) {
  const folder = mkdtempSync(join(tmpdir(), "cellular-"));
  const config = join(folder, "site.yaml");
  writeFileSync(config, site);
  return { folder, config };
}

/** The process itself, as the supervisor starts it. Its log lines are collected. */
function start(at: { folder: string; config: string }, ...more: string[]) {
  const args = [MAIN, "--config", at.config, "--state-dir", at.folder, "--run-dir", at.folder, ...more];
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit", "ipc"] });
  let log = "";
  child.stdout?.on("data", (text) => {
    log += text;
  });
  const ended = once(child, "exit");
  ends.push(() => {
    child.kill("SIGKILL");
    return ended;
  });
  return {
    child,
    ended,
    get log() {
      return log;
    },
  };
}

async function modemOnAPty() {
  const { path, device } = await openPty(systemClock);
  const modem = new PracticeModem(systemClock);
  modem.plug(device);
  ends.push(() => modem.unplug());
  return { path, modem };
}

/** The site process, as far as cellular sees it. */
async function site(folder: string, acknowledging = true) {
  const events: HoldfastEvent[] = [];
  let status: CellularStatus | undefined;
  const server = await serveLink({
    socket_path: join(folder, "site.sock"),
    name: "site",
    boot_id: "b",
    clock: systemClock,
    log: silentLog,
    handlers: {
      telemetry: (type, data) => {
        if (type === "cellular.status") status = data as CellularStatus;
      },
      record: (event, acknowledge) => {
        events.push(event);
        if (acknowledging) acknowledge();
      },
    },
  });
  ends.push(() => server.close());
  return {
    server,
    events,
    get modem() {
      return status?.modems[0];
    },
    get alarms() {
      return status?.alarms.map(({ code }) => code);
    },
  };
}

/** A real process that waits five seconds for its modem before it complains; how soon is not judged here. */
const soon = (check: () => void) => vi.waitFor(check, { timeout: 15_000, interval: 20 });

describe("the cellular process, with the practice modem on a pseudo-terminal", () => {
  test("tells site what the modem is and measures, and what changes", { timeout: 20_000 }, async () => {
    const { path, modem } = await modemOnAPty();
    const at = folders(siteFile(path));
    const told = await site(at.folder);
    start(at, "--practice");
    await soon(() =>
      expect(told.modem).toMatchObject({
        id: "modem-1",
        path: "lte",
        state: "registered",
        model: "PRACTICE-7600",
        operator: "PRACTICE LTE",
        technology: "LTE",
        rsrp_dbm: -87,
        practice: true,
      }),
    );
    modem.registration("denied");
    await soon(() => expect(told.modem?.state).toBe("denied"));
    await soon(() => expect(told.alarms).toEqual(["cellular.no_service"]));
    modem.registration("home");
    await soon(() => expect(told.modem?.state).toBe("registered"));
    await soon(() => expect(told.alarms).toEqual([]));
    await soon(() =>
      expect(told.events.map(({ type, subject }) => `${type} ${subject}`)).toEqual([
        "box.started cellular",
        "modem.changed modem-1",
        "alarm.raised modem-1",
        "modem.changed modem-1",
        "alarm.cleared modem-1",
        "modem.changed modem-1",
      ]),
    );
    expect(told.events.every(({ practice, org, box }) => practice && org === "acme" && box === "box-1")).toBe(true);
  });

  test("does not need site, and loses no event while it is away", { timeout: 20_000 }, async () => {
    const { path } = await modemOnAPty();
    const at = folders(siteFile(path));
    const process = start(at, "--practice");
    await soon(() => expect(process.log).toContain('"state":"registered"'));
    const told = await site(at.folder);
    await soon(() => expect(told.modem?.state).toBe("registered"));
    await soon(() => expect(told.events.map(({ type }) => type)).toEqual(["box.started", "modem.changed"]));
  });

  test("runs on the last good site file when the file is broken, and applies it once it is mended", {
    timeout: 20_000,
  }, async () => {
    const { path } = await modemOnAPty();
    const text = siteFile(path);
    const at = folders("v: 1\nlive: [");
    const loaded = parseConfig(text, "site.yaml");
    if (!loaded.ok) throw new Error("the fixture is not valid");
    writeSnapshot(join(at.folder, "snapshot.json"), {
      v: 1,
      written_wall: 0,
      practice: true,
      config_hash: configHash(loaded.config),
      config: loaded.config,
      bindings: [],
      callbacks: [],
      first_response_p99_ms: {},
    });
    const told = await site(at.folder);
    start(at, "--practice");
    await soon(() => expect(told.modem?.state).toBe("registered"));
    writeFileSync(at.config, text.replace("id: modem-1", "id: modem-2"));
    await soon(() => expect(told.modem).toMatchObject({ id: "modem-2", state: "registered" }));
  });

  test("opens nothing outside practice unless the site file says live", { timeout: 20_000 }, async () => {
    const { path } = await modemOnAPty();
    const at = folders(siteFile(path, false));
    const told = await site(at.folder);
    const process = start(at);
    await soon(() => expect(process.log).toContain("config.not_live"));
    await soon(() => expect(told.events.map(({ type }) => type)).toEqual(["box.started"]));
    expect(told.modem).toBeUndefined();
    writeFileSync(at.config, siteFile(path, true));
    await soon(() => expect(told.modem).toMatchObject({ state: "registered", practice: false }));
  });

  test("opens no real port in practice, and says what it was", { timeout: 20_000 }, async () => {
    const at = folders(siteFile("/dev/null"));
    const told = await site(at.folder);
    const process = start(at, "--practice");
    await soon(() => expect(told.alarms).toEqual(["cellular.no_modem"]));
    expect(told.modem?.state).toBe("missing");
    expect(process.log).toContain("practice.forbidden");
  });

  test("ends when it is told to", { timeout: 20_000 }, async () => {
    const { path } = await modemOnAPty();
    const at = folders(siteFile(path));
    const { child, ended } = start(at, "--practice");
    const [message] = await once(child, "message");
    expect(message).toMatchObject({ ready: true });
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  });
});
