import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FastifyInstance } from "fastify";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { HoldfastError } from "../../base/errors.ts";
import { createEventFactory, type HoldfastEvent } from "../../base/events.ts";
import { silentLog } from "../../base/log.ts";
import { ManualClock } from "../../base/manual-clock.ts";
import type { CallStatus, EngineStatus, StatusDocument } from "../../base/status.ts";
import type { Role } from "../operations/operations.ts";
import { type ApiContext, buildApi } from "./app.ts";

const clock = new ManualClock();
const make = createEventFactory(
  clock,
  () => ({ org: "acme", site: "denver", box: "box-1", boot_id: "boot", practice: false }),
  () => "synchronised",
);
const TOKEN = "token-of-the-drill-operator";
const call: CallStatus = {
  call_id: "c1",
  kind: "emergency",
  state: "answered",
  caller: "+13035550177",
  callee: "911",
  trunk: "lte-trunk",
  path: "lte",
  since_wall: 1,
  location_lines: ["1776 E Colfax Avenue"],
  callback_number: "+13035550100",
};
const engine: EngineStatus = {
  config: "snapshot",
  config_hash: "x",
  mode: "normal",
  mode_since_wall: 1,
  mode_reasons: [],
  calls_go_by: "wan",
  paths: [{ id: "wan", kind: "wan", state: "up", since_wall: 1, evidence: [], rtt_ms: 20, loss_percent: undefined }],
  trunks: [],
  phones: [],
  stuck_phones: [],
  calls: [call],
  emergency: { state: "ready", reason: "", checks: [], routes: ["cloud"] },
  site_location_lines: [],
  callback_until_wall: undefined,
  call_moves: [],
  drill: undefined,
  alarms: [],
  counters: { requests: 7 },
};
const document: StatusDocument = {
  v: 1,
  practice: false,
  now_wall: 1,
  clock_quality: "synchronised",
  org: { id: "acme", name: "Acme" },
  site: { id: "denver", name: "Denver", main_number: "+13035550100" },
  box: { id: "box-1", version: "1.2.3", boot_id: "boot" },
  processes: {
    engine: { fresh: true, unknown_since_wall: undefined },
    media: { fresh: true, unknown_since_wall: undefined },
    cellular: { fresh: false, unknown_since_wall: 5 },
    site: { fresh: true, unknown_since_wall: undefined },
  },
  engine,
  cellular: undefined,
  power: { source: "unknown", since_wall: 0, ups: [], gpio: [] },
  host: {
    cpu_percent: 3,
    cpu_temperature_c: undefined,
    memory_used_percent: undefined,
    disk_used_percent: undefined,
    uptime_s: 9,
  },
  noc: { state: "connected", since_wall: 1, broker: "noc", path: "wan", waiting_events: 4 },
  alarms: [],
  cable: undefined,
};
const events: HoldfastEvent[] = [
  {
    ...make("call.started", "101", {
      direction: "outbound",
      caller: "101",
      callee: "+13035550199",
      trunk: undefined,
      path: undefined,
    }),
    seq: 1,
  },
];

let folder: string;
let shown: StatusDocument;
let asked: [string, unknown][];
let app: FastifyInstance;

function context(practice: boolean): ApiContext {
  const answer = async (type: string, question: unknown) => {
    asked.push([type, question]);
    if (type === "drill.stop") throw new HoldfastError("link.closed", "The engine is not connected.");
    return { drill: "d1", ends_wall: 1 } as never;
  };
  return {
    practice,
    version: "1.2.3",
    log: silentLog,
    operations: {
      practice,
      ports: { status: () => shown, drillMaxMs: () => 60_000, engine: answer, practice: answer },
    },
    store: {
      recentEvents: () => events,
      eventsAfter: (seq) => events.filter((event) => event.seq > seq),
      calls: () => [],
      drills: () => [],
      callCounts: () => ({ emergency: 2 }),
      undelivered_dropped: 0,
      fault: undefined,
    },
    stream: {
      clock,
      status: () => shown,
      onStatus: () => () => {},
      onEvent: () => () => {},
      eventsAfter: (seq) => events.filter((event) => event.seq > seq),
      lastSeq: 1,
    },
    ownHosts: () => new Set(["box-1", "10.20.0.5"]),
    rolesOf: (token) => new Set<Role>(token === TOKEN ? ["drill_operator"] : []),
    locations: () => [],
    description: () => "<root/>",
    web_root: join(folder, "dist"),
  };
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "web-"));
  mkdirSync(join(folder, "dist"));
  writeFileSync(join(folder, "dist", "index.html"), "the page");
  writeFileSync(join(folder, "secret"), "not for the web");
  shown = document;
  asked = [];
  app = await buildApi(context(false));
});

afterEach(async () => {
  await app.close();
  rmSync(folder, { recursive: true });
});

const bearer = { authorization: `Bearer ${TOKEN}` };

describe("reading", () => {
  test("anybody on the LAN reads the status, without callers' numbers", async () => {
    const response = await app.inject({
      url: "/api/v1/status",
      headers: { host: "box-1:8080" },
      remoteAddress: "10.20.0.9",
    });
    expect(response.statusCode).toBe(200);
    expect(response.body).not.toContain("5550177");
    expect(response.json().engine.calls[0]).toMatchObject({
      caller: "hidden",
      callee: "911",
      location_lines: ["1776 E Colfax Avenue"],
      callback_number: "+13035550100",
    });
    expect(response.json().site.main_number).toBe("+13035550100");
  });

  test("with a role's token the numbers are there", async () => {
    const response = await app.inject({ url: "/api/v1/status", headers: bearer });
    expect(response.json().engine.calls[0].caller).toBe("+13035550177");
  });

  test("recent events hide numbers as well", async () => {
    expect((await app.inject({ url: "/api/v1/events/recent" })).json()[0].data).toMatchObject({
      caller: "101",
      callee: "hidden",
    });
    expect((await app.inject({ url: "/api/v1/events/recent", headers: bearer })).json()[0].data.callee).toBe(
      "+13035550199",
    );
  });

  test("call and drill records need a role", async () => {
    for (const url of ["/api/v1/calls", "/api/v1/drills"]) {
      expect((await app.inject({ url })).statusCode).toBe(403);
      expect((await app.inject({ url, headers: bearer })).statusCode).toBe(200);
    }
  });

  test("metrics say what is known, and that 911 is not ready when the engine is silent", async () => {
    const known = (await app.inject({ url: "/metrics" })).body;
    expect(known).toContain("holdfast_emergency_ready 1");
    expect(known).toContain('holdfast_path_state{path="wan",kind="wan",state="up"} 1');
    expect(known).toContain("holdfast_phones_stuck 0");
    expect(known).toContain('holdfast_extensions{availability="online"} 0');
    expect(known).not.toContain("5550");
    shown = { ...document, engine: undefined };
    const silent = (await app.inject({ url: "/metrics" })).body;
    expect(silent).toContain("holdfast_emergency_ready 0");
    expect(silent).toContain('holdfast_emergency_state{state="unknown"} 1');
    expect(silent).not.toContain("holdfast_path_state{");
  });

  test("the interface's description names the role of every route", async () => {
    const { paths } = (await app.inject({ url: "/api/v1/openapi.json" })).json();
    expect(paths["/api/v1/drill/start"].post["x-holdfast-roles"]).toEqual(["drill_operator", "noc", "installer"]);
    for (const methods of Object.values<Record<string, Record<string, unknown>>>(paths)) {
      for (const route of Object.values(methods)) expect(route["x-holdfast-roles"]).toBeDefined();
    }
  });
});

describe("acting", () => {
  const start = (headers: Record<string, string>, remoteAddress = "10.20.0.9") =>
    app.inject({
      method: "POST",
      url: "/api/v1/drill/start",
      headers: { host: "box-1:8080", ...headers },
      payload: { duration_ms: 5000 },
      remoteAddress,
    });

  test("needs the role's token, on a real site from loopback as well", async () => {
    expect((await start({})).statusCode).toBe(403);
    expect((await start({}, "127.0.0.1")).statusCode).toBe(403);
    expect((await start({ authorization: "Bearer wrong-token-of-somebody" })).statusCode).toBe(403);
    expect(asked).toEqual([]);
    expect((await start(bearer)).statusCode).toBe(200);
    expect(asked).toEqual([["drill.start", { by: "drill_operator", duration_ms: 5000 }]]);
  });

  test("from another site's page is refused, even with a token", async () => {
    expect((await start({ ...bearer, origin: "http://evil.example" })).statusCode).toBe(403);
    expect((await start({ ...bearer, origin: "null" })).statusCode).toBe(403);
    expect((await start({ ...bearer, "sec-fetch-site": "cross-site" })).statusCode).toBe(403);
    expect((await start({ ...bearer, origin: "http://box-1:8080", "sec-fetch-site": "same-origin" })).statusCode).toBe(
      200,
    );
    expect(asked).toHaveLength(1);
  });

  test("with a question of the wrong shape is refused", async () => {
    const send = (payload: object) =>
      app.inject({ method: "POST", url: "/api/v1/drill/start", headers: bearer, payload });
    expect((await send({ duration_ms: "5000" })).statusCode).toBe(400);
    expect((await send({ surprise: 1 })).statusCode).toBe(400);
    expect(asked).toEqual([]);
  });

  test("while the engine is away answers 503 and says so", async () => {
    const response = await app.inject({ method: "POST", url: "/api/v1/drill/stop", headers: bearer, payload: {} });
    expect(response.statusCode).toBe(503);
    expect(response.json()).toMatchObject({ error: "link.closed" });
  });

  test("practice routes do not exist on a real site", async () => {
    const response = await app.inject({
      method: "POST",
      url: "/api/v1/practice/cable",
      headers: bearer,
      payload: { wan: "pulled" },
    });
    expect(response.statusCode).toBe(404);
  });

  test("in practice somebody on this machine has every role, somebody on the LAN none", async () => {
    const practice = await buildApi(context(true));
    const pull = (remoteAddress: string) =>
      practice.inject({
        method: "POST",
        url: "/api/v1/practice/cable",
        headers: { host: "localhost:8080" },
        payload: { wan: "pulled" },
        remoteAddress,
      });
    expect((await pull("10.20.0.9")).statusCode).toBe(403);
    expect((await pull("127.0.0.1")).statusCode).toBe(200);
    expect(asked).toEqual([["practice.cable", { wan: "pulled" }]]);
    await practice.close();
  });

  test("too often is slowed down", async () => {
    const codes = new Set<number>();
    for (let i = 0; i < 40; i++) codes.add((await start(bearer)).statusCode);
    expect(codes).toEqual(new Set([200, 429]));
  });
});

describe("a browser that is led astray", () => {
  test("by a name that is not the box's gets nothing (DNS rebinding)", async () => {
    const ask = (host: string) => app.inject({ url: "/api/v1/status", headers: { host } });
    expect((await ask("evil.example")).statusCode).toBe(421);
    expect((await ask("203.0.113.9:8080")).statusCode).toBe(421);
    for (const host of ["box-1", "BOX-1:8080", "10.20.0.5:8080", "127.0.0.1:8080", "[::1]:8080", "localhost"]) {
      expect((await ask(host)).statusCode).toBe(200);
    }
  });

  test("may not run foreign scripts or be framed", async () => {
    const { headers, body } = await app.inject({ url: "/" });
    expect(body).toBe("the page");
    expect(headers["content-security-policy"]).toContain("default-src 'self'");
    expect(headers["content-security-policy"]).toContain("frame-ancestors 'none'");
    expect(headers["x-content-type-options"]).toBe("nosniff");
  });

  test("finds no files outside the page's folder", async () => {
    for (const url of ["/../secret", "/..%2fsecret", "/%2e%2e/secret", "/%2e%2e%2fsecret", "//../secret"]) {
      const { statusCode, body } = await app.inject({ url });
      expect(statusCode).toBeGreaterThanOrEqual(400);
      expect(body).not.toContain("not for the web");
    }
  });
});
