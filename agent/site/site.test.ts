import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../base/clock.ts";
import { createEventFactory, type HoldfastEvent } from "../base/events.ts";
import { connectLink, type LinkClient, type LinkServer, serveLink } from "../base/link/link.ts";
import { silentLog } from "../base/log.ts";
import { readSnapshot, type Snapshot } from "../base/snapshot.ts";
import type { EngineStatus } from "../base/status.ts";
import { type RunningSite, startSite } from "./site.ts";

const FIXTURE = readFileSync(new URL("../../tests/fixtures/site.yaml", import.meta.url), "utf8");
const event = createEventFactory(
  systemClock,
  () => ({ org: "acme", site: "denver", box: "box-1", boot_id: "boot", practice: true }),
  () => "synchronised",
);
const ENGINE: EngineStatus = {
  config: "snapshot",
  config_hash: "x",
  mode: "normal",
  mode_since_wall: 1,
  mode_reasons: [],
  calls_go_by: "wan",
  paths: [],
  trunks: [],
  phones: [],
  stuck_phones: [],
  calls: [],
  emergency: { state: "ready", reason: "", checks: [], routes: [] },
  site_location_lines: [],
  callback_until_wall: undefined,
  call_moves: [],
  drill: undefined,
  alarms: [{ code: "path.down", subject: "lte", severity: "major", detail: "no carrier", since_wall: 1 }],
  counters: {},
};

const undo: (() => Promise<unknown> | unknown)[] = [];
let folder: string;
let file: string;
let port: number;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "site-"));
  mkdirSync(join(folder, "run"));
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as { port: number }).port;
  await new Promise((resolve) => server.close(resolve));
  file = join(folder, "site.yaml");
  write();
});

afterEach(async () => {
  for (const work of undo.splice(0).reverse()) await work();
  rmSync(folder, { recursive: true, force: true });
});

/** The fixture without its broker and modem, on loopback. */
function write(change: (text: string) => string = (text) => text): void {
  const text = FIXTURE.replace(/\n {2}brokers:[^\n]*/, "\n  brokers: []").replace(/\nmodems:[^\n]*/, "");
  writeFileSync(file, change(`${text}\nweb: { address: 127.0.0.1, port: ${port} }\n`));
}

async function until<T>(probe: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function start(): Promise<RunningSite> {
  const site = await startSite({
    config_file: file,
    state_dir: join(folder, "state"),
    run_dir: join(folder, "run"),
    practice: true,
    lan: false,
    boot_id: "boot",
    clock: systemClock,
    log: silentLog,
    web_root: join(folder, "dist"),
  });
  undo.push(() => site.close());
  return site;
}

/** An engine that says what it is told to and keeps what it is sent. */
function engine(): { link: LinkClient; snapshots: Snapshot[] } {
  const snapshots: Snapshot[] = [];
  const link = connectLink({
    socket_path: join(folder, "run", "site.sock"),
    journal_file: join(folder, "run", "engine.journal"),
    name: "engine",
    boot_id: "boot",
    clock: systemClock,
    log: silentLog,
    handlers: {
      telemetry(type, data) {
        if (type === "site.snapshot") snapshots.push(data as Snapshot);
      },
      ask: async (type) => {
        if (type !== "drill.start") throw new Error("not asked here");
        return { drill: "d1", ends_wall: 5 } as never;
      },
    },
  });
  undo.push(() => link.close());
  return { link, snapshots };
}

const get = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).json() as Promise<unknown>;
const post = (path: string, body: object) =>
  fetch(`http://127.0.0.1:${port}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
const snapshotOnDisk = () => {
  const found = readSnapshot(join(folder, "state", "snapshot.json"), true);
  return "snapshot" in found ? found.snapshot : undefined;
};
const codes = (site: RunningSite) => site.status().alarms.map(({ code }) => code);

describe("with the engine", () => {
  test("an engine that connects is given the snapshot, which is on disk as well", async () => {
    await start();
    const { snapshots } = engine();
    const given = await until(() => snapshots[0]);
    expect(given.config.site.id).toBe("denver");
    expect(snapshotOnDisk()?.config_hash).toBe(given.config_hash);
    expect(statSync(join(folder, "state", "snapshot.json")).mode & 0o077).toBe(0);
  });

  test("its records are stored and acknowledged, its status and alarms are shown", async () => {
    const site = await start();
    const { link } = engine();
    await until(() => link.connected);
    link.record(event("emergency.callback", "ext-101", { from: "psap", extension: "ext-101" }));
    link.telemetry("engine.status", ENGINE);
    await until(() => link.waiting === 0);
    await until(() => site.status().engine);
    expect(site.status().processes.engine.fresh).toBe(true);
    expect(codes(site)).toContain("path.down");
    const recent = (await get("/api/v1/events/recent")) as HoldfastEvent[];
    expect(recent.map(({ type }) => type)).toContain("emergency.callback");
  });

  test("records written while the site process was away arrive when it is back", async () => {
    const { link } = engine();
    link.record(event("emergency.callback", "ext-101", { from: "psap", extension: "ext-101" }));
    expect(link.waiting).toBe(1);
    await start();
    await until(() => link.waiting === 0);
  });

  test("its bindings are in the snapshot that a later engine starts from", async () => {
    await start();
    const { link } = engine();
    await until(() => link.connected);
    const callback = {
      call_id: "c",
      extension: "ext-101",
      aor: undefined,
      presented_number: "+13035550100",
      trunk: "lte-trunk",
      started_wall: 1,
      until_wall: 2,
    };
    link.telemetry("engine.bindings", { bindings: [], callbacks: [callback] });
    await until(() => snapshotOnDisk()?.callbacks.length === 1);
  });

  test("silent for five seconds is unknown since it was last heard, its part is gone and an alarm says so", async () => {
    const site = await start();
    const { link } = engine();
    await until(() => link.connected);
    link.telemetry("engine.status", ENGINE);
    await until(() => site.status().engine);
    const heard = systemClock.wall();
    await until(() => codes(site).includes("process.down") && site.status().engine === undefined);
    expect(site.status().processes.engine.fresh).toBe(false);
    expect(Math.abs((site.status().processes.engine.unknown_since_wall ?? 0) - heard)).toBeLessThan(500);
    expect(codes(site)).not.toContain("path.down");
    link.telemetry("engine.status", ENGINE);
    await until(() => site.status().processes.engine.fresh);
  });

  test("a drill asked for over HTTP reaches it", async () => {
    await start();
    const { link } = engine();
    await until(() => link.connected);
    const response = await post("/api/v1/drill/start", {});
    expect([response.status, await response.json()]).toEqual([200, { drill: "d1", ends_wall: 5 }]);
  });

  test("the command line asks over the socket for status and drills", async () => {
    await start();
    const { link: running } = engine();
    await until(() => running.connected);
    const link = connectLink({
      socket_path: join(folder, "run", "site.sock"),
      name: "cli",
      boot_id: "",
      clock: systemClock,
      log: silentLog,
      handlers: {},
    });
    undo.push(() => link.close());
    await until(() => link.connected);
    expect((await link.ask("status.read", {})).site.id).toBe("denver");
    expect(await link.ask("drill.start", { by: "ann", duration_ms: 1000 })).toEqual({ drill: "d1", ends_wall: 5 });
  });
});

describe("the site file", () => {
  test("changed for the better is applied while running and sent to the engine", async () => {
    const site = await start();
    const { snapshots } = engine();
    await until(() => snapshots.length === 1);
    write((text) => text.replace("Denver clinic", "Denver dental clinic"));
    await until(() => snapshots.length === 2);
    expect(site.status().site.name).toBe("Denver dental clinic");
    expect(snapshotOnDisk()?.config.site.name).toBe("Denver dental clinic");
  });

  test("changed for the worse raises an alarm that names the key; the last good one stays in force", async () => {
    const site = await start();
    write((text) => text.replace("layout: one_armed", "layout: round"));
    await until(() => codes(site).includes("config.rejected"));
    expect(site.status().alarms.find(({ code }) => code === "config.rejected")?.detail).toContain("box.layout");
    expect(snapshotOnDisk()?.config.box.layout).toBe("one_armed");
    write();
    await until(() => !codes(site).includes("config.rejected"));
  });

  test("bad at the start: the last good one is in force", async () => {
    await (await start()).close();
    write((text) => text.slice(0, 400));
    const site = await start();
    expect(site.status().site.name).toBe("Denver clinic");
    expect(codes(site)).toContain("config.rejected");
    const { snapshots } = engine();
    await until(() => snapshots[0]);
    expect(((await get("/api/v1/status")) as { site: { id: string } }).site.id).toBe("denver");
  });

  test("missing on a box that never had one: the process runs, and says that it is not configured", async () => {
    rmSync(file);
    const site = await start();
    expect(site.status().site.id).toBe("unconfigured");
    expect(codes(site)).toContain("config.rejected");
    expect(snapshotOnDisk()).toBeUndefined();
  });
});

describe("the disk", () => {
  test("with a damaged database and a damaged snapshot the process starts, sets the one aside and writes the other anew", async () => {
    mkdirSync(join(folder, "state"));
    writeFileSync(join(folder, "state", "holdfast.db"), "no database");
    writeFileSync(join(folder, "state", "snapshot.json"), "no snapshot");
    const site = await start();
    expect(codes(site)).toContain("store.quarantined");
    expect(snapshotOnDisk()?.config.site.id).toBe("denver");
    await until(async () =>
      ((await get("/api/v1/events/recent")) as HoldfastEvent[]).some(({ type }) => type === "store.quarantined"),
    );
  });

  test("that cannot be written raises an alarm, and the process serves on", async () => {
    mkdirSync(join(folder, "state"));
    mkdirSync(join(folder, "state", "holdfast.db"));
    const site = await start();
    expect(codes(site)).toContain("store.failing");
    const { link } = engine();
    await until(() => link.connected);
    link.record(event("emergency.callback", "ext-101", { from: "psap", extension: "ext-101" }));
    await until(async () =>
      ((await get("/api/v1/events/recent")) as HoldfastEvent[]).some(({ type }) => type === "emergency.callback"),
    );
    expect(link.waiting).toBe(1);
    rmSync(join(folder, "state", "holdfast.db"), { recursive: true });
    await until(() => link.waiting === 0);
    expect(codes(site)).not.toContain("store.failing");
  });
});

describe("the live stream", () => {
  async function listen(headers: Record<string, string> = {}) {
    const abort = new AbortController();
    undo.push(() => abort.abort());
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/events`, { headers, signal: abort.signal });
    const state = { text: "" };
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    void (async () => {
      for (;;) {
        const part = await reader?.read().catch(() => undefined);
        if (part === undefined || part.done) return;
        state.text += part.value;
      }
    })();
    const messages = () =>
      state.text
        .split("\n\n")
        .filter((message) => message.includes("data: "))
        .map((message) => ({
          event: /^event: (.*)$/m.exec(message)?.[1],
          id: /^id: (.*)$/m.exec(message)?.[1],
          data: JSON.parse(/^data: (.*)$/m.exec(message)?.[1] ?? "null"),
        }));
    return { response, messages };
  }

  test("begins with the status, tells changes, events with their numbers, and a beat", async () => {
    await start();
    const { link } = engine();
    await until(() => link.connected);
    const { response, messages } = await listen();
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    await until(() => messages()[0]?.event === "status");
    link.telemetry("engine.status", { ...ENGINE, mode: "survivable" });
    await until(() => messages().some(({ event, data }) => event === "status" && data.engine?.mode === "survivable"));
    link.record(event("emergency.callback", "ext-101", { from: "+13035550199", extension: "ext-101" }));
    const told = await until(() => messages().find(({ data }) => data.type === "emergency.callback"));
    expect(told.id).toBe(String(told.data.seq));
    await until(() => messages().some(({ event }) => event === "beat"));
  });

  test("tells a reader who comes back what it missed", async () => {
    await start();
    const { link } = engine();
    for (let i = 0; i < 3; i++) link.record(event("emergency.callback", `p${i}`, { from: "psap", extension: "x" }));
    await until(() => link.waiting === 0);
    const all = ((await get("/api/v1/events/recent")) as HoldfastEvent[]).map(({ seq }) => seq).sort((a, b) => a - b);
    const { messages } = await listen({ "last-event-id": String(all[0]) });
    await until(() => messages().filter(({ event }) => event === "event").length >= all.length - 1);
    expect(
      messages()
        .filter(({ event }) => event === "event")
        .map(({ id }) => Number(id)),
    ).toEqual(all.slice(1));
  });
});

describe("in practice", () => {
  async function practiceWorld(): Promise<{ server: LinkServer; asked: unknown[] }> {
    const asked: unknown[] = [];
    const server: LinkServer = await serveLink(
      {
        socket_path: join(folder, "run", "practice.sock"),
        name: "practice",
        boot_id: "boot",
        clock: systemClock,
        log: silentLog,
        handlers: {
          ask: async (type, question) => {
            asked.push([type, question]);
            if (type === "practice.cable") {
              server.telemetry("site", "practice.status", question as { wan: "pulled" });
              return question as never;
            }
            return { ok: true, lines: ["101 dials 911"] } as never;
          },
        },
      },
      (peer, connected) => {
        if (peer === "site" && connected) server.telemetry("site", "practice.status", { wan: "plugged" });
      },
    );
    undo.push(() => server.close());
    return { server, asked };
  }

  test("the cable is shown as the practice world has it and pulled from the page", async () => {
    const { asked } = await practiceWorld();
    const site = await start();
    await until(() => site.status().cable?.wan === "plugged");
    expect((await post("/api/v1/practice/cable", { wan: "pulled" })).status).toBe(200);
    await until(() => site.status().cable?.wan === "pulled");
    const call = await post("/api/v1/practice/call", { from: "101", to: "911" });
    expect(await call.json()).toEqual({ ok: true, lines: ["101 dials 911"] });
    expect(asked).toEqual([
      ["practice.cable", { wan: "pulled" }],
      ["practice.call", { from: "101", to: "911" }],
    ]);
  });

  test("every event of this process says practice", async () => {
    await start();
    const recent = await until(async () => {
      const events = (await get("/api/v1/events/recent")) as HoldfastEvent[];
      return events.length > 0 && events;
    });
    expect(recent.every(({ practice }) => practice)).toBe(true);
  });
});
