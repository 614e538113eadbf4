import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Clock, systemClock } from "../base/clock.ts";
import { connectLink } from "../base/link/link.ts";
import { type Log, silentLog } from "../base/log.ts";
import { ManualClock } from "../base/manual-clock.ts";
import { type MediaProcess, startMedia } from "./media-process.ts";
import { EMERGENCY_SILENCE_MS, ORPHAN_SILENCE_MS, REAP_INTERVAL_MS } from "./orphans.ts";
import { US_TONES } from "./relay.ts";
import { ANSWER_WITHIN_MS, connectRelay, type RelayClient } from "./relay-client.ts";
import { UdpPeer } from "./udp-peer.ts";

const HERE = "127.0.0.1";
const MAIN = new URL("./main.ts", import.meta.url).pathname;
const CLIENT = new URL("./relay-client.ts", import.meta.url).pathname;
const CLOCK = new URL("../base/clock.ts", import.meta.url).pathname;
const LOG = new URL("../base/log.ts", import.meta.url).pathname;

let folder: string;
let cleanUp: (() => unknown)[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "media-"));
  cleanUp = [];
});

afterEach(async () => {
  for (const step of cleanUp.reverse()) await step();
  rmSync(folder, { recursive: true });
});

async function peer(): Promise<UdpPeer> {
  const opened = await UdpPeer.open(HERE);
  cleanUp.push(() => opened.close());
  return opened;
}

function basics(clock: Clock = systemClock) {
  return { socket_path: join(folder, "media.sock"), name: "engine" as const, boot_id: "boot", clock, log: silentLog };
}

/** Resolves once the client has reached the media process. */
async function engine(): Promise<RelayClient> {
  const connected = Promise.withResolvers<void>();
  const client = connectRelay(basics(), (up) => {
    if (up) connected.resolve();
  });
  cleanUp.push(() => client.disconnect());
  await connected.promise;
  return client;
}

/** A real child process; `lines` gives its standard output line by line. */
function child(...args: string[]): { process: ChildProcess; line: (holding: string) => Promise<string> } {
  const started = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  cleanUp.push(async () => {
    if (started.exitCode !== null || started.signalCode !== null) return;
    started.kill("SIGKILL");
    await once(started, "exit");
  });
  const lines = createInterface({ input: started.stdout })[Symbol.asyncIterator]();
  return {
    process: started,
    async line(holding) {
      for (let next = await lines.next(); next.done !== true; next = await lines.next()) {
        if (next.value.includes(holding)) return next.value;
      }
      throw new Error(`it ended without saying "${holding}"`);
    },
  };
}

function mediaArguments(): string[] {
  return ["--run-dir", folder, "--port-min", "31000", "--port-max", "31099", "--practice"];
}

describe("the media process is killed in the middle of a call", () => {
  test("its successor gets ports, peers and bridge back, and audio goes on both ways", async () => {
    const first = child(MAIN, ...mediaArguments());
    await first.line('"msg":"ready"');
    const phone = await peer();
    const psap = await peer();
    const relay = await engine();
    const open = async (id: string, port: number) => {
      const opened = await relay.open({ id, call_id: "911", local_address: HERE, emergency: true });
      await relay.setPeer(id, { address: HERE, port, accept_from: [HERE] });
      return opened.port;
    };
    const phonePort = await open("phone", phone.port);
    const psapPort = await open("psap", psap.port);
    await relay.bridge("phone", "psap");
    await open("ended", 9);
    first.process.kill("SIGKILL");
    await once(first.process, "exit");
    await relay.close("ended").catch(() => {});
    const second = child(MAIN, ...mediaArguments());
    await second.line('"msg":"engine connected"');
    await expect
      .poll(async () => (await relay.list().catch(() => [])).map(({ id, port, bridged_to }) => [id, port, bridged_to]))
      .toEqual([
        ["phone", phonePort, "psap"],
        ["psap", psapPort, "phone"],
      ]);
    phone.sendRtp({ ssrc: 1, sequence: 1 }, phonePort);
    expect(await psap.nextRtp()).toMatchObject({ ssrc: 1, sequence: 1 });
    psap.sendRtp({ ssrc: 2, sequence: 1 }, psapPort);
    expect(await phone.nextRtp()).toMatchObject({ ssrc: 2, sequence: 1 });
  });
});

describe("the engine is killed in the middle of a call", () => {
  test("audio goes on both ways, and the next engine adopts the call and ends it", async () => {
    const media = child(MAIN, ...mediaArguments());
    await media.line('"msg":"ready"');
    const phone = await peer();
    const psap = await peer();
    const script = join(folder, "engine.ts");
    writeFileSync(
      script,
      `import { connectRelay } from ${JSON.stringify(CLIENT)};
import { systemClock } from ${JSON.stringify(CLOCK)};
import { silentLog } from ${JSON.stringify(LOG)};
const named = ${JSON.stringify({ ...basics(), clock: undefined, log: undefined })};
const relay = connectRelay({ ...named, clock: systemClock, log: silentLog }, async (up) => {
  if (!up) return;
  const ports = [];
  for (const [id, port] of [["phone", ${phone.port}], ["psap", ${psap.port}]] as const) {
    ports.push((await relay.open({ id, call_id: "911", local_address: "${HERE}", emergency: true })).port);
    await relay.setPeer(id, { address: "${HERE}", port, accept_from: ["${HERE}"] });
  }
  await relay.bridge("phone", "psap");
  console.log(JSON.stringify({ ports }));
});
`,
    );
    const first = child(script);
    const { ports } = JSON.parse(await first.line("ports")) as { ports: [number, number] };
    const [phonePort, psapPort] = ports;
    const talk = async (sequence: number) => {
      phone.sendRtp({ ssrc: 1, sequence }, phonePort);
      expect(await psap.nextRtp()).toMatchObject({ ssrc: 1, sequence });
      psap.sendRtp({ ssrc: 2, sequence }, psapPort);
      expect(await phone.nextRtp()).toMatchObject({ ssrc: 2, sequence });
    };
    await talk(1);

    first.process.kill("SIGKILL");
    await media.line("engine gone");
    await talk(2);

    const second = await engine();
    const left = await second.list();
    expect(left).toMatchObject([
      {
        id: "phone",
        call_id: "911",
        port: phonePort,
        bridged_to: "psap",
        packets_in: 2,
        packets_out: 2,
        emergency: true,
      },
      {
        id: "psap",
        call_id: "911",
        port: psapPort,
        bridged_to: "phone",
        packets_in: 2,
        packets_out: 2,
        emergency: true,
      },
    ]);
    expect(await second.open({ id: "phone", call_id: "911", local_address: HERE, emergency: true })).toEqual({
      port: phonePort,
    });
    await talk(3);
    await second.closeCall("911");
    expect(await second.list()).toEqual([]);

    media.process.kill("SIGTERM");
    expect(await once(media.process, "exit")).toEqual([0, null]);
  });

  test("a configuration that is wrong ends the process with the reason", async () => {
    const wrong = spawn(process.execPath, [MAIN, "--run-dir", folder, "--port-min", "x"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    wrong.stderr.on("data", (text) => {
      said += text;
    });
    expect(await once(wrong, "close")).toEqual([2, null]);
    expect(said).toMatch(/^media: .*--port-min/);
  });
});

describe("endpoints that nobody owns", () => {
  let clock: ManualClock;
  let media: MediaProcess;
  let engineGone: PromiseWithResolvers<void>;

  beforeEach(async () => {
    clock = new ManualClock(1000);
    engineGone = Promise.withResolvers();
    const log: Log = {
      ...silentLog,
      info: (message) => void (message.startsWith("engine gone") && engineGone.resolve()),
    };
    media = await startMedia(
      {
        socket_path: join(folder, "media.sock"),
        port_min: 32000,
        port_max: 32099,
        boot_id: "boot",
        practice: true,
        lan: false,
      },
      clock,
      log,
    );
    cleanUp.push(() => media.close());
  });

  const open = async (id: string, emergency: boolean) => {
    await media.relay.open({ id, call_id: id, local_address: HERE, emergency });
  };
  const ids = async () => (await media.relay.list()).map((endpoint) => endpoint.id);

  test("are closed, ordinary ones after a minute, emergency ones after ten", async () => {
    await open("call", false);
    await open("911", true);
    clock.advance(ORPHAN_SILENCE_MS - REAP_INTERVAL_MS);
    expect(await ids()).toEqual(["call", "911"]);
    clock.advance(REAP_INTERVAL_MS);
    expect(await ids()).toEqual(["911"]);
    clock.advance(EMERGENCY_SILENCE_MS - ORPHAN_SILENCE_MS - REAP_INTERVAL_MS);
    expect(await ids()).toEqual(["911"]);
    clock.advance(REAP_INTERVAL_MS);
    expect(await ids()).toEqual([]);
  });

  test("stay, however silent, while an engine is connected; another process is no engine", async () => {
    await open("call", false);
    const client = await engine();
    await client.list();
    clock.advance(ORPHAN_SILENCE_MS * 100);
    expect(await ids()).toEqual(["call"]);
    client.disconnect();
    await engineGone.promise;
    const reached = Promise.withResolvers<void>();
    const cli = connectLink({ ...basics(), name: "cli", handlers: {} }, () => reached.resolve());
    cleanUp.push(() => cli.close());
    await reached.promise;
    expect(await cli.ask("media.call", { method: "list", args: [] })).toMatchObject([{ id: "call" }]);
    clock.advance(ORPHAN_SILENCE_MS + REAP_INTERVAL_MS);
    expect(await ids()).toEqual([]);
  });
});

describe("the engine's side", () => {
  test("every refusal comes with its code, whatever was sent", async () => {
    const media = await startMedia(
      {
        socket_path: join(folder, "media.sock"),
        port_min: 33000,
        port_max: 33001,
        boot_id: "boot",
        practice: true,
        lan: false,
      },
      systemClock,
      silentLog,
    );
    cleanUp.push(() => media.close());
    const relay = await engine();
    const spec = { id: "a", call_id: "c", local_address: HERE, emergency: false };
    expect(relay.connected).toBe(true);
    expect((await relay.open(spec)).port).toBe(33000);
    await expect(relay.open({ ...spec, id: "b" })).rejects.toMatchObject({
      name: "HoldfastError",
      code: "media.no_port",
    });
    await expect(relay.bridge("a", "b")).rejects.toMatchObject({ code: "media.unknown_endpoint" });
    await expect(relay.setPeer("a", { address: "192.0.2.1", port: 4000, accept_from: [] })).rejects.toMatchObject({
      code: "practice.forbidden",
    });
    const malformed = { address: HERE, port: "4000", accept_from: [] } as unknown as Parameters<
      typeof relay.setPeer
    >[1];
    await expect(relay.setPeer("a", malformed)).rejects.toMatchObject({ code: "media.refused" });
    await relay.play("a", { payload_type: 0, sound: US_TONES.busy });
    await relay.stop("a");
    await relay.unbridge("a");
    await relay.close("a");
    expect(await relay.list()).toEqual([]);
    const link = connectLink({ ...basics(), handlers: {} }, () => link.connected && asked.resolve());
    const asked = Promise.withResolvers<void>();
    cleanUp.push(() => link.close());
    await asked.promise;
    for (const method of ["constructor", "reap", "connected", ""]) {
      await expect(link.ask("media.call", { method, args: [] })).rejects.toMatchObject({ code: "media.refused" });
    }
  });

  test("without a media process it is told at once", async () => {
    const relay = connectRelay(basics());
    cleanUp.push(() => relay.disconnect());
    expect(relay.connected).toBe(false);
    await expect(relay.list()).rejects.toMatchObject({ name: "HoldfastError", code: "media.unreachable" });
  });

  test("a media process that hangs costs 150 ms and no more", async () => {
    const media = child(MAIN, ...mediaArguments());
    await media.line('"msg":"ready"');
    const clock = new ManualClock();
    const connected = Promise.withResolvers<void>();
    const relay = connectRelay(basics(clock), () => connected.resolve());
    cleanUp.push(() => relay.disconnect());
    await connected.promise;
    media.process.kill("SIGSTOP");
    const answer = relay.open({ id: "a", call_id: "c", local_address: HERE, emergency: true });
    const settled = expect(answer).rejects.toMatchObject({ code: "media.unreachable" });
    clock.advance(ANSWER_WITHIN_MS);
    await settled;
  });
});
