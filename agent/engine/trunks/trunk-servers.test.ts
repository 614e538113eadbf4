import { type Answer, decode, encode } from "dns-packet";
import { afterEach, describe, expect, test } from "vitest";
import { AlarmBoard } from "../../base/alarms.ts";
import { parseConfig } from "../../base/config/load.ts";
import { createEventFactory, type HoldfastEvent } from "../../base/events.ts";
import { silentLog } from "../../base/log.ts";
import { ManualClock } from "../../base/manual-clock.ts";
import type { KnownName } from "../../base/snapshot.ts";
import { buildResponse } from "../../sip/messages/build.ts";
import type { SipRequest } from "../../sip/messages/message.ts";
import { TransactionLayer } from "../../sip/transactions/layer.ts";
import { MemoryNetwork } from "../../sip/transport/memory-network.ts";
import type { AskServer } from "../paths/dns-client.ts";
import { SitePaths } from "../paths/site-paths.ts";
import { SiteTrunks } from "./site-trunks.ts";

const BOX = "198.51.100.2";
const FIRST = "198.51.100.60";
const SECOND = "198.51.100.61";

const site = (transport: string) => `
v: 1
org: { id: o, name: O }
site: { id: s, name: S, location: l, main_number: "+13035550100" }
box: { id: b }
lans: [{ id: lan, address: 127.0.0.5, subnets: [127.0.0.0/24] }]
paths: [{ id: lte, kind: lte, address: ${BOX}, dns_servers: [198.51.100.53] }]
trunks: [{ id: line, path: lte, roles: [emergency, main_number], host: carrier.example, transport: ${transport}, carrier_profile: p }]
carrier_profiles: [{ id: p }]
locations: [{ id: l, label: L, civic: { country: US } }]
`;

const srv = (service: string, priority: number, target: string): Answer => ({
  type: "SRV",
  name: service,
  ttl: 60,
  data: { priority, weight: 0, port: 5060, target },
});
const naptr = (preference: number, services: string, replacement: string): Answer => ({
  type: "NAPTR",
  name: "carrier.example",
  ttl: 60,
  data: { order: 1, preference, flags: "s", services, regexp: "", replacement },
});
const two = (service: string) => [srv(service, 10, "one.carrier.example"), srv(service, 20, "two.carrier.example")];
const ZONE: Record<string, readonly Answer[]> = {
  "NAPTR carrier.example": [
    naptr(20, "SIP+D2U", "_sip._udp.carrier.example"),
    naptr(10, "SIP+D2T", "_sip._tcp.carrier.example"),
  ],
  "SRV _sip._udp.carrier.example": two("_sip._udp.carrier.example"),
  "SRV _sip._tcp.carrier.example": two("_sip._tcp.carrier.example"),
  "A one.carrier.example": [{ type: "A", name: "one.carrier.example", ttl: 60, data: FIRST }],
  "A two.carrier.example": [{ type: "A", name: "two.carrier.example", ttl: 60, data: SECOND }],
};

async function run(clock: ManualClock, ms: number, step = 50): Promise<void> {
  for (let t = 0; t < ms; t += step) {
    clock.advance(Math.min(step, ms - t));
    for (let n = 0; n < 30; n++) await Promise.resolve();
  }
}

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function world(options: { transport?: string; dead?: boolean; names?: readonly KnownName[] } = {}) {
  const clock = new ManualClock(1_000);
  const network = new MemoryNetwork({ clock });
  const record: HoldfastEvent[] = [];
  const loaded = parseConfig(site(options.transport ?? "udp"), "test");
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults));
  const dns = { dead: options.dead ?? false, zone: ZONE };
  const ask: AskServer = (question) =>
    new Promise((resolve) => {
      const query = decode(Buffer.from(question.bytes));
      const [wanted] = query.questions ?? [];
      const answers = dns.zone[`${wanted?.type} ${wanted?.name}`];
      if (dns.dead) clock.after(question.timeout_ms, () => resolve(undefined));
      else {
        const head = { type: "response" as const, id: query.id ?? 0, questions: query.questions ?? [] };
        resolve(encode({ ...head, flags: answers === undefined ? 3 : 0, answers: [...(answers ?? [])] }));
      }
    });
  const server = async (address: string) => {
    const transport = network.transport();
    await transport.listen({ protocol: "udp", address, port: 5060 });
    await transport.listen({ protocol: "tcp", address, port: 5060 });
    const it = { address, requests: [] as SipRequest[], status: 200 };
    new TransactionLayer({ transport, clock }).onRequest((transaction) => {
      it.requests.push(transaction.request);
      transaction.respond(buildResponse(transaction.request, it.status));
    });
    return it;
  };
  const first = await server(FIRST);
  const second = await server(SECOND);
  const transport = network.transport();
  const transactions = new TransactionLayer({ transport, clock });
  const common = {
    config: loaded.config,
    clock,
    log: silentLog,
    alarms: new AlarmBoard(
      () => clock.wall(),
      () => {},
    ),
    events: createEventFactory(
      clock,
      () => ({ org: "o", site: "s", box: "b", boot_id: "x", practice: false }),
      () => "unset",
    ),
    record: (event: HoldfastEvent) => void record.push(event),
  };
  const paths = new SitePaths({
    ...common,
    ip: { ask: async () => ({ ok: false, error: "none" }), onChange() {}, close() {} },
    openSocket: () => ({ send() {}, close() {} }),
    random: () => 0.5,
    ask,
    names: { lte: options.names ?? [] },
  });
  const trunks = new SiteTrunks({
    ...common,
    transport,
    transactions,
    paths,
    first_response_p99_ms: {},
    random: () => 0.5,
  });
  paths.start();
  trunks.start();
  cleanups.push(async () => {
    paths.close();
    await trunks.close();
  });
  const line = trunks.get("line");
  if (line === undefined) throw new Error("no trunk");
  const cut = (address: string, on: boolean) => network.setPaths(BOX, address, { cut: on ? "black-hole" : "none" });
  return { clock, network, first, second, line, paths, trunks, cut, record, dns };
}

describe("a trunk whose name has two servers", () => {
  test("uses the one that SRV prefers", async () => {
    const { clock, line, first, second } = await world();
    await run(clock, 3_000);
    expect(line.flow?.remote.address).toBe(FIRST);
    expect(line.health.state).toBe("up");
    expect(first.requests.length).toBeGreaterThan(0);
    expect(second.requests).toEqual([]);
  });

  test("takes the transport that NAPTR prefers where the site leaves the choice", async () => {
    const { clock, line } = await world({ transport: "auto" });
    await run(clock, 3_000);
    expect(line.flow?.protocol).toBe("tcp");
    expect(line.contact("x")).toContain(";transport=tcp");
  });

  test("goes to the second when the first falls silent, and is never down meanwhile", async () => {
    const { clock, line, cut, record } = await world();
    await run(clock, 3_000);
    cut(FIRST, true);
    line.observe({ kind: "no_response", method: "INVITE" });
    await run(clock, 3_000);
    expect(line.flow?.remote.address).toBe(SECOND);
    expect(line.health.state).toBe("up");
    expect(record.some((event) => event.type === "trunk.health" && event.data.to === "down")).toBe(false);
  });

  test("goes to the second when the first refuses all work", async () => {
    const { clock, line, first } = await world();
    await run(clock, 3_000);
    first.status = 503;
    await run(clock, 200_000, 500);
    expect(line.flow?.remote.address).toBe(SECOND);
    expect(line.health.state).toBe("up");
  });

  test("goes to the second at once when the first lets go of its connection and takes no new one", async () => {
    const { clock, network, line } = await world({ transport: "tcp" });
    await run(clock, 3_000);
    network.setPaths(BOX, FIRST, { cut: { error: "ECONNREFUSED" } });
    network.resetConnections(BOX, FIRST);
    await run(clock, 500);
    expect(line.flow?.remote.address).toBe(SECOND);
    expect(line.flow?.connected).toBe(true);
  });

  test("goes back once the first answers again, not before", async () => {
    const { clock, line, cut, first } = await world();
    await run(clock, 3_000);
    cut(FIRST, true);
    line.observe({ kind: "no_response", method: "INVITE" });
    await run(clock, 240_000, 500);
    expect(line.flow?.remote.address).toBe(SECOND);
    cut(FIRST, false);
    const before = first.requests.length;
    await run(clock, 400_000, 500);
    expect(line.flow?.remote.address).toBe(FIRST);
    expect(first.requests.length).toBeGreaterThan(before);
  });

  test("does not go back while the site may not, as in a 911 call", async () => {
    const { clock, line, cut, trunks } = await world({ transport: "tcp" });
    let busy = true;
    trunks.returnsWhen(() => !busy);
    await run(clock, 3_000);
    cut(FIRST, true);
    line.observe({ kind: "no_response", method: "INVITE" });
    await run(clock, 5_000);
    const flow = line.flow;
    expect(flow?.remote.address).toBe(SECOND);
    cut(FIRST, false);
    await run(clock, 900_000, 500);
    expect(line.flow).toBe(flow);
    expect(flow?.closed).toBe(false);
    busy = false;
    await run(clock, 60_000, 500);
    expect(line.flow?.remote.address).toBe(FIRST);
  });

  test("going back leaves the connection open that calls were made over, and knows what comes by it", async () => {
    const { clock, line, cut, trunks } = await world({ transport: "tcp" });
    await run(clock, 3_000);
    cut(FIRST, true);
    line.observe({ kind: "no_response", method: "INVITE" });
    await run(clock, 5_000);
    const left = line.flow;
    cut(FIRST, false);
    await run(clock, 400_000, 500);
    expect(line.flow?.remote.address).toBe(FIRST);
    expect(left?.closed).toBe(false);
    expect(left !== undefined && trunks.of(left)?.id).toBe("line");
  });

  test("is not led away from a server that works by name servers that lie, but follows them to one that answers", async () => {
    const { clock, line, dns } = await world();
    await run(clock, 3_000);
    const lie = { type: "A" as const, name: "one.carrier.example", ttl: 60, data: "198.51.100.99" };
    const only = [srv("_sip._udp.carrier.example", 10, "one.carrier.example")];
    dns.zone = { ...ZONE, "SRV _sip._udp.carrier.example": only, "A one.carrier.example": [lie] };
    const flow = line.flow;
    for (let t = 0; t < 900_000; t += 500) {
      await run(clock, 500, 500);
      expect(line.flow).toBe(flow);
    }
    dns.zone = { ...dns.zone, "A one.carrier.example": [{ ...lie, data: SECOND }] };
    await run(clock, 700_000, 500);
    expect(line.flow?.remote.address).toBe(SECOND);
  });

  test("follows priorities that are swapped", async () => {
    const { clock, line, dns } = await world();
    await run(clock, 3_000);
    const service = "_sip._udp.carrier.example";
    const swapped = [srv(service, 20, "one.carrier.example"), srv(service, 10, "two.carrier.example")];
    dns.zone = { ...ZONE, [`SRV ${service}`]: swapped };
    await run(clock, 400_000, 500);
    expect(line.flow?.remote.address).toBe(SECOND);
  });

  test("is down when both are silent, and up when either is back", async () => {
    const { clock, line, cut } = await world();
    await run(clock, 3_000);
    cut(FIRST, true);
    cut(SECOND, true);
    line.observe({ kind: "no_response", method: "INVITE" });
    await run(clock, 5_000);
    expect(line.health.state).toBe("down");
    cut(SECOND, false);
    await run(clock, 400_000, 500);
    expect(line.health.state).toBe("up");
    expect(line.flow?.remote.address).toBe(SECOND);
  });

  test.each([
    ["first", "udp", FIRST],
    ["second", "udp", SECOND],
    ["first", "tcp", FIRST],
    ["second", "tcp", SECOND],
  ])("both silent for an hour: the %s over %s is in use within a minute of its return", async (_, transport, back) => {
    const { clock, line, cut } = await world({ transport });
    await run(clock, 3_000);
    cut(FIRST, true);
    cut(SECOND, true);
    line.observe({ kind: "no_response", method: "INVITE" });
    await run(clock, 3_600_000, 500);
    expect(line.health.state).toBe("down");
    cut(back, false);
    let took_ms = 0;
    for (; line.health.state !== "up" && took_ms < 900_000; took_ms += 500) await run(clock, 500, 500);
    expect(took_ms).toBeLessThanOrEqual(60_000);
    expect(line.flow?.remote.address).toBe(back);
  });

  test("a dialog stays with the server that made it", async () => {
    const { clock, line, cut } = await world();
    await run(clock, 3_000);
    expect(line.towards(FIRST)).toBeUndefined();
    expect(line.towards(SECOND)?.remote.address).toBe(SECOND);
    expect(line.towards("203.0.113.1")).toBeUndefined();
    cut(FIRST, true);
    line.observe({ kind: "no_response", method: "INVITE" });
    await run(clock, 3_000);
    // The first has just failed: a request of its dialogs is better off at the second.
    expect(line.towards(FIRST)).toBeUndefined();
  });

  test("answers of either are its own", async () => {
    const { clock, line, trunks } = await world();
    await run(clock, 3_000);
    const flow = line.flow;
    if (flow === undefined) throw new Error("no flow");
    expect(trunks.of({ ...flow, id: "x", remote: { address: SECOND, port: 5060 } })?.id).toBe("line");
    expect(trunks.of({ ...flow, id: "x", remote: { address: "203.0.113.1", port: 5060 } })).toBeUndefined();
  });
});

describe("a start with dead name servers", () => {
  test("finds the trunk by what they said before, at once, and shows that it is old", async () => {
    const before = await world();
    await run(before.clock, 3_000);
    const names = before.paths.names().lte ?? [];
    const { clock, line } = await world({ dead: true, names });
    await run(clock, 1_000);
    expect(line.flow?.remote.address).toBe(FIRST);
    await run(clock, 20_000);
    expect(line.health.state).toBe("up");
    expect(line.health.evidence.find(({ source }) => source === "dns")).toMatchObject({ verdict: "bad" });
  });

  test("without a memory waits for them, and is found when they are back", async () => {
    const { clock, line, dns } = await world({ dead: true });
    await run(clock, 30_000);
    expect(line.flow).toBeUndefined();
    dns.dead = false;
    await run(clock, 15_000);
    expect(line.flow?.remote.address).toBe(FIRST);
  });
});
