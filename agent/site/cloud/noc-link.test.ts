import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, connect as dial, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Aedes } from "aedes";
import { connectAsync, type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AlarmBoard } from "../../base/alarms.ts";
import { systemClock } from "../../base/clock.ts";
import { parseConfig } from "../../base/config/load.ts";
import type { SiteConfig } from "../../base/config/schema.ts";
import { createEventFactory, type HoldfastEvent } from "../../base/events.ts";
import { silentLog } from "../../base/log.ts";
import type { StatusDocument } from "../../base/status.ts";
import type { Operations } from "../operations/operations.ts";
import { Store } from "../store/store.ts";
import { NocLink } from "./noc-link.ts";
import { topicsOf } from "./topics.ts";

const peers = process.env.HOLDFAST_PEERS !== "no";
const WAN = "127.0.0.2";
const LTE = "127.0.0.3";
const topics = topicsOf("acme", "denver", "box-1");
const make = createEventFactory(
  systemClock,
  () => ({ org: "acme", site: "denver", box: "box-1", boot_id: "boot", practice: true }),
  () => "synchronised",
);
const gpio = (line: string) => make("gpio.changed", line, { line, meaning: "mains_present", on: true });

const undo: (() => Promise<unknown> | unknown)[] = [];
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "noc-"));
});

afterEach(async () => {
  for (const work of undo.splice(0).reverse()) await work();
  rmSync(folder, { recursive: true, force: true });
});

/** Resolves when the probe gives something; the test's own time-out is the deadline. */
async function until<T>(probe: () => T | undefined | false): Promise<T> {
  for (;;) {
    const value = probe();
    if (value !== undefined && value !== false) return value;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function siteConfig(port: number, acknowledge: "application" | "puback" = "application"): SiteConfig {
  const fixture = readFileSync(new URL("../../../tests/fixtures/site.yaml", import.meta.url), "utf8")
    .replace(/noc:[^\n]*\n[^\n]*brokers[^\n]*\n/, "NOC\n")
    .replace(
      "NOC\n",
      `noc:\n  acknowledge: ${acknowledge}\n  heartbeat_wan_ms: 1000\n  brokers: [{ id: noc, host: 127.0.0.1, port: ${port}, paths: [wan, lte] }]\n`,
    )
    .replace("address: 10.20.0.5,\n      gateway", `address: ${WAN},\n      gateway`)
    .replace("address: 10.50.0.5", `address: ${LTE}`);
  const result = parseConfig(fixture, "site.yaml");
  if (!result.ok) throw new Error(JSON.stringify(result.faults));
  return result.config;
}

function document(): StatusDocument {
  const away = { fresh: false, unknown_since_wall: 1 };
  return {
    v: 1,
    practice: true,
    now_wall: systemClock.wall(),
    clock_quality: "synchronised",
    org: { id: "acme", name: "Acme" },
    site: { id: "denver", name: "Denver", main_number: "+13035550100" },
    box: { id: "box-1", version: "0", boot_id: "boot" },
    processes: { engine: away, media: away, cellular: away, site: { fresh: true, unknown_since_wall: undefined } },
    engine: undefined,
    cellular: undefined,
    power: { source: "unknown", since_wall: 0, ups: [], gpio: [] },
    host: {
      cpu_percent: undefined,
      cpu_temperature_c: undefined,
      memory_used_percent: undefined,
      disk_used_percent: undefined,
      uptime_s: 1,
    },
    noc: { state: "connected", since_wall: 0, broker: "noc", path: "wan", waiting_events: 0 },
    alarms: [],
    cable: undefined,
  };
}

function startBox(config: SiteConfig): { store: Store; link: NocLink; drills: unknown[] } {
  const store = new Store({
    file: join(folder, "box.db"),
    clock: systemClock,
    log: silentLog,
    onFault() {},
    onQuarantined() {},
  });
  store.open();
  const drills: unknown[] = [];
  const operations: Operations = {
    practice: true,
    ports: {
      status: document,
      drillMaxMs: () => 60_000,
      engine: async (type, question) => {
        drills.push([type, question]);
        return { drill: "d1", ends_wall: 1 } as never;
      },
      practice: async () => {
        throw new Error("not asked here");
      },
    },
  };
  const link = new NocLink({
    clock: systemClock,
    log: silentLog,
    alarms: new AlarmBoard(
      () => 0,
      () => {},
    ),
    store,
    operations,
    boot_id: "boot",
    version: "0",
    practice: true,
    status: document,
    onChange() {},
  });
  link.configure(config);
  undo.push(async () => {
    await link.close();
    store.close();
  });
  return { store, link, drills };
}

interface Heard {
  readonly topic: string;
  readonly retained: boolean;
  readonly body: Record<string, unknown> & { seq?: number; id?: string };
}

/** The NOC application: hears everything, acknowledges when told to. */
async function startNoc(port: number, options: { acknowledge: boolean }, clientId = "noc-app") {
  const client: MqttClient = await connectAsync(`mqtt://127.0.0.1:${port}`, { clientId, clean: true });
  const heard: Heard[] = [];
  client.on("message", (topic, payload, packet) => {
    if (topics.commandOf(topic) !== undefined) return;
    const body = JSON.parse(payload.toString()) as Heard["body"];
    heard.push({ topic, retained: packet.retain, body });
    if (options.acknowledge && topic === topics.event) client.publish(topics.ack, JSON.stringify({ ids: [body.id] }));
  });
  await client.subscribeAsync("holdfast/v1/#", { qos: 1 });
  const stop = () => client.endAsync(true);
  undo.push(stop);
  return {
    heard,
    client,
    stop,
    events: () => heard.filter(({ topic }) => topic === topics.event).map(({ body }) => body),
    on: (topic: string) => heard.filter((message) => message.topic === topic).map(({ body }) => body),
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

class Mosquitto {
  readonly port: number;
  #process: ChildProcess | undefined;

  constructor(port: number) {
    this.port = port;
    undo.push(() => this.kill("SIGKILL"));
  }

  async start(): Promise<void> {
    const file = join(folder, "mosquitto.conf");
    writeFileSync(
      file,
      `listener ${this.port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location ${folder}/\nuser root\n`,
    );
    const child = spawn("mosquitto", ["-c", file, "-v"], { stdio: ["ignore", "ignore", "pipe"] });
    this.#process = child;
    let text = "";
    child.stderr.on("data", (chunk) => {
      text += chunk;
    });
    await until(() => text.includes("running"));
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await gone;
  }
}

/** Lets each path through or swallows it without a word, by the address that its packets come from. */
class Cable {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Set<{ from: string; near: Socket; far: Socket }>();
  readonly #cut = new Set<string>();
  /** New connections are hung up on. */
  shut = false;
  /** Addresses that connections came from, in order. */
  readonly arrivals: string[] = [];

  constructor(port: number, broker_port: number) {
    this.port = port;
    this.#server = createServer((near) => {
      if (this.shut) {
        near.destroy();
        return;
      }
      const from = near.remoteAddress ?? "";
      this.arrivals.push(from);
      const far = dial({ host: "127.0.0.1", port: broker_port });
      const pair = { from, near, far };
      this.#pairs.add(pair);
      near.on("data", (chunk) => this.#cut.has(from) || far.write(chunk));
      far.on("data", (chunk) => this.#cut.has(from) || near.write(chunk));
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        socket.on("error", () => {});
        socket.on("close", () => this.#cut.has(from) || other.destroy());
      }
    });
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.port, "127.0.0.1", resolve));
    undo.push(() => {
      for (const { near, far } of this.#pairs) {
        near.destroy();
        far.destroy();
      }
      return new Promise((resolve) => this.#server.close(resolve));
    });
  }

  cut(from: string): void {
    this.#cut.add(from);
  }

  /** Connections of that path that the broker still holds. */
  standing(from: string): number {
    return [...this.#pairs].filter((pair) => pair.from === from && !pair.near.destroyed).length;
  }
}

describe.skipIf(!peers)("with Mosquitto", () => {
  async function lab(acknowledge: boolean, mode: "application" | "puback" = "application") {
    const broker = new Mosquitto(await freePort());
    await broker.start();
    const cable = new Cable(await freePort(), broker.port);
    await cable.open();
    const noc = await startNoc(broker.port, { acknowledge });
    const box = startBox(siteConfig(cable.port, mode));
    return { broker, cable, noc, ...box };
  }

  test("birth, status and heartbeat are told, marked PRACTICE, from the WAN path's own address", async () => {
    const { noc, cable, broker } = await lab(true);
    const birth = await until(() => noc.on(topics.state)[0]);
    expect(birth).toMatchObject({ state: "online", path: "wan", boot_id: "boot", practice: true, notice: "PRACTICE" });
    await until(() => noc.on(topics.heartbeat).length > 1);
    expect(noc.on(topics.heartbeat)[1]).toMatchObject({ seq: 2, interval_s: 1, emergency_ready: 0, practice: true });
    expect(noc.on(topics.status)[0]).toMatchObject({ v: 1, notice: "PRACTICE" });
    expect(cable.arrivals).toEqual([WAN]);
    // Whoever comes later finds state and status, and no old heartbeat.
    const late = await startNoc(broker.port, { acknowledge: false }, "late");
    await until(() => late.heard.filter(({ retained }) => retained).length >= 2);
    expect(new Set(late.heard.filter(({ retained }) => retained).map(({ topic }) => topic))).toEqual(
      new Set([topics.state, topics.status]),
    );
  });

  test("an event leaves the outbox by the NOC application's acknowledgement, not by the broker's", async () => {
    const { noc, store } = await lab(false);
    await until(() => noc.on(topics.state).length > 0);
    const event = gpio("a");
    store.add(event);
    await until(() => noc.events().length === 1);
    expect(store.waiting).toBe(1);
    noc.client.publish(topics.ack, JSON.stringify({ up_to_seq: 99 }));
    await until(() => store.waiting === 0);
  });

  test("where the site file says puback, the broker's word is enough", async () => {
    const { noc, store } = await lab(false, "puback");
    store.add(gpio("a"));
    await until(() => noc.events().length === 1);
    await until(() => store.waiting === 0);
  });

  test("broker killed after its PUBACK: nothing is lost", async () => {
    const broker = new Mosquitto(await freePort());
    await broker.start();
    const cable = new Cable(await freePort(), broker.port);
    await cable.open();
    const { store } = startBox(siteConfig(cable.port));
    // Nobody is subscribed: the broker acknowledges and forgets, and its death takes the rest along.
    const listener = await startNoc(broker.port, { acknowledge: false });
    const sent = Array.from({ length: 100 }, (_, i) => gpio(`line-${i}`));
    for (const event of sent) store.add(event);
    await until(() => listener.events().length === 100);
    await listener.stop();
    await broker.kill("SIGKILL");
    expect(store.waiting).toBe(100);
    // The application is there before the box is: what nobody hears is sent again after a minute only.
    cable.shut = true;
    await broker.start();
    const second = await startNoc(broker.port, { acknowledge: true });
    cable.shut = false;
    await until(() => store.waiting === 0);
    expect(new Set(second.events().map(({ id }) => id))).toEqual(new Set(sent.map(({ id }) => id)));
  });

  test("the WAN goes silent and is judged down: the event reaches the NOC over LTE within 3 s, and only one connection stands", async () => {
    const { noc, cable, store, link } = await lab(true);
    link.pathsAre({ wan: "up", lte: "up" });
    await until(() => noc.on(topics.state).length > 0);
    cable.cut(WAN);
    const cut_ms = systemClock.now();
    const event = make("path.health", "wan", { path: "wan", from: "up", to: "down", evidence: [] });
    store.add(event);
    link.pathsAre({ wan: "down", lte: "up" });
    await until(() => noc.events().some(({ id }) => id === event.id));
    expect(systemClock.now() - cut_ms).toBeLessThan(3000);
    await until(() => cable.standing(WAN) === 0);
    expect(cable.arrivals).toEqual([WAN, LTE]);
    expect(link.status).toMatchObject({ state: "connected", path: "lte" });
    await until(() => store.waiting === 0);
    expect(noc.on(topics.state).map(({ state }) => state)).not.toContain("offline");
    expect(noc.on(topics.state).at(-1)).toMatchObject({ state: "online", path: "lte" });
  });

  test("comes home when the WAN is up again, without a moment of being offline", async () => {
    const { noc, cable, link } = await lab(true);
    link.pathsAre({ wan: "down", lte: "up" });
    await until(() => link.status.path === "lte");
    link.pathsAre({ wan: "up", lte: "up" });
    await until(() => noc.on(topics.state).some(({ path }) => path === "wan"));
    await until(() => cable.standing(LTE) === 0);
    expect(noc.on(topics.state).map(({ state }) => state)).not.toContain("offline");
    expect(link.status.path).toBe("wan");
  });

  test("the WAN goes silent and nobody judges it: unanswered events move the connection to LTE", async () => {
    const { noc, cable, store } = await lab(true);
    await until(() => noc.on(topics.state).length > 0);
    cable.cut(WAN);
    store.add(gpio("a"));
    await until(() => noc.events().length === 1);
    expect(cable.arrivals).toContain(LTE);
  });

  test("emergency events go ahead of a backlog, and the backlog follows oldest first", async () => {
    const broker = new Mosquitto(await freePort());
    const { store } = startBox(siteConfig(broker.port));
    for (let i = 0; i < 60; i++) store.add(gpio(`line-${i}`));
    await until(() => store.lastSeq === 60);
    const urgent = make("emergency.callback", "ext-101", { from: "psap", extension: "ext-101" });
    store.add(urgent);
    await until(() => store.lastSeq === 61);
    await broker.start();
    const noc = await startNoc(broker.port, { acknowledge: true });
    await until(() => store.waiting === 0);
    const first = noc.events().map(({ seq }) => seq ?? 0);
    expect(first[0]).toBe(61);
    expect(first.slice(1)).toEqual([...first.slice(1)].sort((a, b) => a - b));
  });

  test("commands are carried out once, in time, from the allow-list, and answered", async () => {
    const { noc, drills } = await lab(true);
    await until(() => noc.on(topics.state).length > 0);
    const replies = () => noc.on(topics.reply("drill.start"));
    const command = (id: string, expires_in_ms: number) =>
      JSON.stringify({ id, expires_wall: systemClock.wall() + expires_in_ms, args: { duration_ms: 5000 } });
    const send = async (name: string, payload: string) =>
      noc.client.publishAsync(`holdfast/v1/acme/denver/box-1/cmd/${name}`, payload, { qos: 1 });
    await send("drill.start", command("one", 10_000));
    await until(() => replies().length === 1);
    expect(replies()[0]).toMatchObject({ id: "one", ok: true, answer: { drill: "d1" } });
    await send("drill.start", command("one", 10_000));
    await send("drill.start", command("two", -1));
    await send("drill.start", "not json");
    await send("practice.cable", command("three", 10_000));
    await until(() => noc.on(topics.reply("practice.cable")).length === 1);
    expect(replies().map(({ ok }) => ok)).toEqual([true, false, false]);
    expect(noc.on(topics.reply("practice.cable"))[0]).toMatchObject({ ok: false, error: "operation.refused" });
    expect(drills).toEqual([["drill.start", { by: "noc", duration_ms: 5000 }]]);
  });
});

describe("with a broker that speaks MQTT 3.1.1 only", () => {
  async function startAedes() {
    const aedes = await Aedes.createBroker();
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      aedes.handle(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    undo.push(async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
      await new Promise((resolve) => server.close(resolve));
    });
    return (server.address() as { port: number }).port;
  }

  test("it is spoken to in 3.1.1, and events are delivered and acknowledged", async () => {
    const port = await startAedes();
    const noc = await startNoc(port, { acknowledge: true });
    const { store, link } = startBox(siteConfig(port));
    await until(() => link.status.state === "connected");
    const event: HoldfastEvent = gpio("a");
    store.add(event);
    await until(() => noc.events().some(({ id }) => id === event.id));
    await until(() => store.waiting === 0);
  });

  test("after a move to the other path the retained state is online, whatever the old connection's will said", async () => {
    const port = await startAedes();
    const noc = await startNoc(port, { acknowledge: true });
    const { link } = startBox(siteConfig(port));
    await until(() => link.status.state === "connected");
    link.pathsAre({ wan: "down", lte: "up" });
    await until(() => link.status.path === "lte");
    await until(() => {
      const last = noc.on(topics.state).at(-1);
      return last?.state === "online" && last.path === "lte";
    });
    const late = await startNoc(port, { acknowledge: false }, "late");
    await until(() => late.on(topics.state).length > 0);
    expect(late.on(topics.state)[0]).toMatchObject({ state: "online", path: "lte" });
  });
});
