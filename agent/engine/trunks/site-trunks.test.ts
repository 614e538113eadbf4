import { afterEach, describe, expect, test } from "vitest";
import { AlarmBoard } from "../../base/alarms.ts";
import { parseConfig } from "../../base/config/load.ts";
import type { SiteConfig } from "../../base/config/schema.ts";
import { createEventFactory, type HoldfastEvent } from "../../base/events.ts";
import { silentLog } from "../../base/log.ts";
import { ManualClock } from "../../base/manual-clock.ts";
import { buildResponse } from "../../sip/messages/build.ts";
import { header } from "../../sip/messages/headers.ts";
import type { SipRequest, SipResponse } from "../../sip/messages/message.ts";
import { TransactionLayer } from "../../sip/transactions/layer.ts";
import type { MemoryNat } from "../../sip/transport/memory-nat.ts";
import { MemoryNetwork } from "../../sip/transport/memory-network.ts";
import { SitePaths } from "../paths/site-paths.ts";
import { SiteTrunks } from "./site-trunks.ts";

const PBX = "127.0.1.10";
const CARRIER = "127.0.2.10";
const BOX_WAN = "127.0.1.1";
const BOX_LTE = "127.0.2.1";

const SITE = (transport: "udp" | "tcp", registration: boolean) => `
v: 1
org: { id: o, name: O }
site: { id: s, name: S, location: l, main_number: "+13035550100" }
box: { id: b }
lans: [{ id: lan, address: 127.0.0.5, subnets: [127.0.0.0/24] }]
paths:
  - { id: wan, kind: wan, address: ${BOX_WAN} }
  - { id: lte, kind: lte, address: ${BOX_LTE} }
pbx_targets: [{ id: cloud, path: wan, domain: pbx.example, host: ${PBX} }]
trunks:
  - { id: carrier, path: lte, roles: [emergency, main_number], host: ${CARRIER}, transport: ${transport}, carrier_profile: p
      ${registration ? ', registration: { aor: "sip:main@carrier.example", username: u, password: p, expires_s: 300 }' : ""} }
carrier_profiles: [{ id: p }]
locations: [{ id: l, label: L, civic: { country: US } }]
`;

function site(transport: "udp" | "tcp" = "udp", registration = false): SiteConfig {
  const loaded = parseConfig(SITE(transport, registration), "test");
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults));
  return loaded.config;
}

interface Peer {
  readonly requests: SipRequest[];
  answer: (request: SipRequest) => SipResponse | undefined;
}

/** Lets promises settle, then moves the clock, so often that both kinds of waiting get on. */
async function run(clock: ManualClock, ms: number, step = 50): Promise<void> {
  for (let t = 0; t < ms; t += step) {
    clock.advance(Math.min(step, ms - t));
    for (let n = 0; n < 5; n++) await Promise.resolve();
  }
}

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function world(
  config: SiteConfig,
  learned: Record<string, number> = {},
  prepare: (network: MemoryNetwork) => void = () => {},
) {
  const clock = new ManualClock(1_000);
  const network = new MemoryNetwork({ clock, seed: 3 });
  prepare(network);
  const record: HoldfastEvent[] = [];
  const events = createEventFactory(
    clock,
    () => ({ org: "o", site: "s", box: "b", boot_id: "x", practice: false }),
    () => "unset",
  );
  const alarms = new AlarmBoard(
    () => clock.wall(),
    () => {},
  );
  const peer = async (address: string): Promise<Peer> => {
    const transport = network.transport();
    await transport.listen({ protocol: "udp", address, port: 5060 });
    await transport.listen({ protocol: "tcp", address, port: 5060 });
    const it: Peer = { requests: [], answer: (request) => buildResponse(request, 200) };
    const layer = new TransactionLayer({ transport, clock });
    layer.onRequest((transaction) => {
      it.requests.push(transaction.request);
      const response = it.answer(transaction.request);
      if (response !== undefined) transaction.respond(response);
    });
    return it;
  };
  const pbx = await peer(PBX);
  const carrier = await peer(CARRIER);
  const transport = network.transport();
  const transactions = new TransactionLayer({ transport, clock });
  const common = {
    config,
    clock,
    log: silentLog,
    alarms,
    events,
    record: (event: HoldfastEvent) => void record.push(event),
  };
  const paths = new SitePaths({
    ...common,
    ip: { ask: async () => ({ ok: false, error: "none" }), onChange() {}, close() {} },
    openSocket: () => ({ send() {}, close() {} }),
    random: () => 0.5,
  });
  const trunks = new SiteTrunks({
    ...common,
    transport,
    transactions,
    paths,
    first_response_p99_ms: learned,
    random: () => 0.5,
  });
  paths.start();
  trunks.start();
  cleanups.push(async () => {
    paths.close();
    await trunks.close();
  });
  const get = (id: string) => {
    const trunk = trunks.all().find((each) => each.id === id);
    if (trunk === undefined) throw new Error(id);
    return trunk;
  };
  return {
    clock,
    network,
    pbx,
    carrier,
    transport,
    paths,
    trunks,
    cloud: get("cloud"),
    line: get("carrier"),
    record,
    alarms,
  };
}

describe("a trunk", () => {
  test("is up, and its path with it, when its peer answers OPTIONS, with an error too", async () => {
    const { clock, pbx, cloud, paths } = await world(site());
    pbx.answer = (request) => buildResponse(request, 404);
    expect(cloud.health.state).toBe("unknown");
    await run(clock, 2_000);
    expect(cloud.health.state).toBe("up");
    expect(paths.get("wan")?.health.state).toBe("up");
    expect(pbx.requests[0]?.method).toBe("OPTIONS");
  });

  test("sends from its own local port, which is not 5060", async () => {
    const { clock, cloud } = await world(site());
    await run(clock, 1_000);
    expect(cloud.flow?.local).toEqual({ address: BOX_WAN, port: 5062 });
    expect(cloud.contact("abc")).toBe(`sip:abc@${BOX_WAN}:5062`);
  });

  test("is asked at most every 15 s in quiet times, and far less over LTE", async () => {
    const { clock, pbx, carrier } = await world(site());
    await run(clock, 600_000, 500);
    expect(pbx.requests.length).toBeLessThanOrEqual(41);
    expect(pbx.requests.length).toBeGreaterThan(20);
    expect(carrier.requests.length).toBeLessThanOrEqual(7);
  });

  test("that has been down for minutes is asked less often, and soon when its path comes back", async () => {
    const { clock, pbx, cloud } = await world(site());
    await run(clock, 2_000);
    pbx.answer = () => undefined;
    await run(clock, 330_000, 500);
    expect(cloud.health.state).toBe("down");
    const before = new Set(pbx.requests.map((request) => header(request, "Call-ID"))).size;
    await run(clock, 600_000, 500);
    const asked = new Set(pbx.requests.map((request) => header(request, "Call-ID"))).size - before;
    expect(asked).toBeLessThanOrEqual(20);
    expect(asked).toBeGreaterThanOrEqual(12);
    pbx.answer = (request) => buildResponse(request, 200);
    await run(clock, 46_000, 500);
    expect(cloud.health.state).toBe("up");
  });

  test("that falls silent is down within 5 s of the first unanswered OPTIONS", async () => {
    const { clock, network, cloud, pbx } = await world(site());
    await run(clock, 2_000);
    network.setPaths(BOX_WAN, PBX, { cut: "black-hole" });
    const asked = pbx.requests.length;
    expect(asked).toBeGreaterThan(0);
    await run(clock, 23_500);
    const downAt = cloud.health;
    expect(downAt.state).toBe("down");
  });

  test("that lets a call wait without a response is suspect after 1 s and down after 5 s", async () => {
    const { clock, network, cloud } = await world(site());
    await run(clock, 2_000);
    network.setPaths(BOX_WAN, PBX, { cut: "black-hole" });
    cloud.observe({ kind: "no_response", method: "INVITE" });
    await run(clock, 1_000);
    expect(cloud.health.state).toBe("suspect");
    await run(clock, 4_000);
    expect(cloud.health.state).toBe("down");
  });

  test("is asked three times in a second when in doubt, at most 20 times an hour", async () => {
    const { clock, pbx, cloud } = await world(site());
    await run(clock, 2_000);
    for (let n = 0; n < 40; n++) {
      cloud.observe({ kind: "no_response", method: "INVITE" });
      await run(clock, 2_000);
    }
    expect(cloud.health.state).toBe("up");
    // 20 bursts of three, and those of quiet times.
    expect(pbx.requests.length).toBeLessThanOrEqual(60 + 8);
    expect(pbx.requests.length).toBeGreaterThanOrEqual(60);
  });

  test("that answers stays up however many calls ask it in an hour: silence counts only where something was asked", async () => {
    const { clock, cloud, paths } = await world(site());
    await run(clock, 2_000);
    const seen = new Set<string>();
    for (let n = 0; n < 40; n++) {
      paths.get("wan")?.suspect("an emergency call waits for its first response");
      await run(clock, 6_000);
      seen.add(cloud.health.state).add(paths.get("wan")?.health.state ?? "");
    }
    for (let n = 0; n < 10; n++) {
      cloud.observe({ kind: "no_response", method: "INVITE" });
      for (let s = 0; s < 6; s++) {
        await run(clock, 1_000);
        seen.add(cloud.health.state);
      }
    }
    expect([...seen]).toEqual(["up"]);
  });

  test("that is dead goes down also when this hour's bursts are used up", async () => {
    const { clock, network, cloud, paths } = await world(site());
    await run(clock, 2_000);
    for (let n = 0; n < 21; n++) {
      paths.get("wan")?.suspect("an emergency call waits for its first response");
      await run(clock, 2_000);
    }
    network.setPaths(BOX_WAN, PBX, { cut: "black-hole" });
    paths.get("wan")?.suspect("an emergency call waits for its first response");
    await run(clock, 5_000);
    expect(cloud.health.state).toBe("down");
  });

  test("that answers 503 to everything goes down, and the path does not", async () => {
    const { clock, pbx, cloud, paths, alarms } = await world(site());
    await run(clock, 2_000);
    pbx.answer = (request) => buildResponse(request, 503);
    cloud.observe({ kind: "first_response", method: "INVITE", after_ms: 20, status: 503 });
    await run(clock, 5_000);
    expect(cloud.health.state).toBe("down");
    expect(paths.get("wan")?.health.state).toBe("up");
    expect(alarms.active().map((alarm) => `${alarm.code} ${alarm.subject}`)).toEqual(["trunk.down cloud"]);
  });

  test("comes back when it answers again", async () => {
    const { clock, network, cloud } = await world(site());
    await run(clock, 2_000);
    network.setPaths(BOX_WAN, PBX, { cut: "black-hole" });
    cloud.observe({ kind: "no_response", method: "INVITE" });
    await run(clock, 30_000, 250);
    expect(cloud.health.state).toBe("down");
    network.setPaths(BOX_WAN, PBX, { cut: "none" });
    await run(clock, 30_000, 250);
    expect(cloud.health.state).toBe("up");
  });

  test("survives 20 % loss each way for an hour without a false verdict", async () => {
    const { clock, network, cloud, record } = await world(site());
    await run(clock, 2_000);
    network.setPaths(BOX_WAN, PBX, { loss: 0.2 });
    await run(clock, 3_600_000, 1_000);
    expect(cloud.health.state).not.toBe("down");
    expect(record.filter((event) => event.type === "trunk.health" && event.data.to === "down")).toEqual([]);
  }, 30_000);

  test("survives 40 % loss each way for four hours, though its bursts are soon used up", async () => {
    const { clock, network, cloud, record } = await world(site());
    await run(clock, 3_000);
    network.setPaths(BOX_WAN, PBX, { loss: 0.4 });
    await run(clock, 14_400_000, 250);
    expect(record.filter((e) => e.type === "trunk.health" && e.data.trunk === "cloud" && e.data.to === "down")).toEqual(
      [],
    );
    expect(cloud.health.state).not.toBe("down");
  });

  test("learns how long its peer takes to the first response", async () => {
    const { cloud, trunks, line } = await world(site(), { carrier: 700 });
    expect(line.first_response_p99_ms).toBe(700);
    for (let n = 1; n <= 19; n++) cloud.observe({ kind: "first_response", method: "INVITE", after_ms: n, status: 100 });
    expect(cloud.first_response_p99_ms).toBeUndefined();
    cloud.observe({ kind: "first_response", method: "INVITE", after_ms: 90, status: 100 });
    expect(cloud.first_response_p99_ms).toBe(90);
    expect(trunks.learned().first_response_p99_ms).toEqual({ cloud: 90, carrier: 700 });
  });

  test("owns what comes from its peer to its port, and nothing else", async () => {
    const { clock, network, transport, trunks, cloud } = await world(site());
    await run(clock, 2_000);
    const flows: (string | undefined)[] = [];
    transport.onMessage((message, flow) => {
      if (message.kind === "request") flows.push(trunks.of(flow)?.id);
    });
    const hail = async (address: string, to: string, port: number) => {
      const stranger = network.transport();
      await stranger.listen({ protocol: "udp", address, port: 6_000 });
      const flow = stranger.flowTo({ protocol: "udp", address: to, port, local_address: address });
      stranger.send(
        flow,
        new TextEncoder().encode(
          `OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP ${address}:6000;branch=z9hG4bK${port}${address}\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:x>\r\nCall-ID: ${address}${port}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n`,
        ),
      );
      await run(clock, 100);
    };
    await hail(PBX, BOX_WAN, 5062);
    await hail("127.0.9.9", BOX_WAN, 5062);
    expect(flows).toEqual([cloud.id, undefined]);
  });
});

describe("two PBX targets", () => {
  const twoPbxs = (): SiteConfig => {
    const config = structuredClone(site()) as SiteConfig;
    const [first] = config.pbx_targets;
    if (first !== undefined) config.pbx_targets.push({ ...first, id: "cloud-2", host: CARRIER });
    return config;
  };
  const inUse = (trunks: SiteTrunks) => trunks.status().find(({ in_use }) => in_use)?.id;

  test("the second is in use once the first is down, and the first again after its hold-down and by the site's policy", async () => {
    const { clock, network, trunks } = await world(twoPbxs());
    let may = false;
    trunks.returnsWhen(() => may);
    await run(clock, 3_000);
    expect(trunks.pbxs().map(({ id }) => id)).toEqual(["cloud", "cloud-2"]);
    network.setPaths(BOX_WAN, PBX, { cut: "black-hole" });
    trunks.get("cloud")?.observe({ kind: "no_response", method: "INVITE" });
    await run(clock, 1_500);
    // In doubt new work goes to the other one already.
    expect(trunks.pbxs()[0]?.id).toBe("cloud-2");
    expect(inUse(trunks)).toBe("cloud");
    await run(clock, 4_000);
    expect(trunks.pbxs().map(({ id }) => id)).toEqual(["cloud-2"]);
    expect(inUse(trunks)).toBe("cloud-2");
    network.setPaths(BOX_WAN, PBX, { cut: "none" });
    await run(clock, 90_000, 500);
    expect(trunks.get("cloud")?.health.state).toBe("up");
    expect(inUse(trunks)).toBe("cloud-2");
    may = true;
    await run(clock, 6_000, 500);
    expect(inUse(trunks)).toBe("cloud");
  });
});

describe("a trunk's availability", () => {
  const told = (record: readonly HoldfastEvent[], id: string) =>
    record.flatMap((event) => (event.type === "trunk.availability" && event.data.id === id ? [event.data] : []));

  test("is online when it answers and is registered, and offline with evidence when it falls silent", async () => {
    const { clock, carrier, record, line } = await world(site("udp", true));
    await run(clock, 3_000);
    expect(told(record, "carrier").at(-1)).toMatchObject({ to: "online" });
    expect(line.status().availability).toBe("online");
    carrier.answer = () => undefined;
    line.observe({ kind: "no_response", method: "INVITE" });
    await run(clock, 6_000);
    expect(told(record, "carrier").map(({ to }) => to)).toEqual(["limited", "online", "limited", "offline"]);
    expect(
      told(record, "carrier")
        .at(-1)
        ?.evidence.some(({ verdict }) => verdict === "bad"),
    ).toBe(true);
  });

  test("is limited while the registrar refuses: calls go out, none comes in", async () => {
    const { clock, carrier, record } = await world(site("udp", true));
    carrier.answer = (request) => buildResponse(request, request.method === "REGISTER" ? 403 : 200);
    await run(clock, 3_000);
    expect(told(record, "carrier").map(({ to }) => to)).toEqual(["limited"]);
  });
});

describe("a trunk over TCP", () => {
  test("has a standing connection, and makes a new one when that breaks", async () => {
    const { clock, network, line, carrier } = await world(site("tcp"));
    await run(clock, 2_000);
    const first = line.flow;
    expect(first?.connected).toBe(true);
    expect(line.health.state).toBe("up");
    network.resetConnections(BOX_LTE, CARRIER);
    await run(clock, 3_000);
    expect(line.flow?.connected).toBe(true);
    expect(line.flow?.id).not.toBe(first?.id);
    expect(line.health.state).toBe("up");
    expect(carrier.requests.length).toBeGreaterThanOrEqual(2);
  });
});

describe("a peer that ends the connection after each response", () => {
  test("is not asked for ever more of them, however often the engine looks at its flow", async () => {
    const { clock, network, line, carrier, trunks } = await world(site("tcp", true));
    trunks.onChange(() => void line.flow);
    carrier.answer = (request) => {
      clock.after(10, () => network.resetConnections(BOX_LTE, CARRIER));
      return buildResponse(request, 200);
    };
    await run(clock, 5_000, 10);
    carrier.requests.length = 0;
    await run(clock, 60_000, 10);
    // Each connection brings a REGISTER and an OPTIONS or two.
    expect(carrier.requests.length).toBeGreaterThan(2);
    expect(carrier.requests.length).toBeLessThanOrEqual(60);
  });
});

describe("a trunk over TCP in a black hole", () => {
  test("is down, and has a fresh connection and registration soon after the hole is gone", async () => {
    const { clock, network, line, carrier } = await world(site("tcp", true));
    await run(clock, 2_000);
    const before = line.flow?.id;
    network.setPaths(BOX_LTE, CARRIER, { cut: "black-hole" });
    line.observe({ kind: "no_response", method: "INVITE" });
    await run(clock, 5_000);
    expect(line.health.state).toBe("down");
    expect(line.registration?.registered).toBe(false);
    await run(clock, 300_000, 500);
    expect(line.health.state).toBe("down");
    const registered = carrier.requests.filter(({ method }) => method === "REGISTER").length;
    network.setPaths(BOX_LTE, CARRIER, { cut: "none" });
    await run(clock, 40_000, 250);
    expect(line.health.state).toBe("up");
    expect(line.flow?.id).not.toBe(before);
    expect(line.registration?.registered).toBe(true);
    expect(carrier.requests.filter(({ method }) => method === "REGISTER").length).toBe(registered + 1);
  });
});

describe("a trunk's registration", () => {
  const challenge = (request: SipRequest) =>
    buildResponse(request, 401, {
      headers: [
        {
          name: "WWW-Authenticate",
          value: `Digest realm="carrier.example", nonce="n1", algorithm=MD5, qop="auth"`,
        },
      ],
    });
  const registers = (peer: Peer) => peer.requests.filter((request) => request.method === "REGISTER");

  test("answers the digest challenge and refreshes at about 80 % of what was granted", async () => {
    const { clock, carrier, line } = await world(site("udp", true));
    carrier.answer = (request) =>
      request.method !== "REGISTER" || header(request, "Authorization") !== undefined
        ? buildResponse(request, 200, { headers: [{ name: "Expires", value: "120" }] })
        : challenge(request);
    await run(clock, 2_000);
    expect(line.registration).toEqual({ aor: "sip:main@carrier.example", registered: true });
    expect(registers(carrier)).toHaveLength(2);
    await run(clock, 92_000, 500);
    expect(registers(carrier)).toHaveLength(2);
    await run(clock, 10_000, 500);
    expect(registers(carrier)).toHaveLength(3);
    // The refresh carries the nonce it has, counted on.
    expect(header(registers(carrier)[2] as SipRequest, "Authorization")).toContain("nc=00000002");
  });

  test("that is refused raises an alarm and does not hammer the registrar", async () => {
    const { clock, carrier, line, alarms } = await world(site("udp", true));
    carrier.answer = (request) => (request.method === "REGISTER" ? challenge(request) : buildResponse(request, 200));
    await run(clock, 120_000, 500);
    expect(line.registration?.registered).toBe(false);
    expect(registers(carrier)).toHaveLength(2);
    expect(alarms.active().map((alarm) => alarm.code)).toContain("trunk.refused");
    expect(line.health.state).toBe("up");
  });

  test("asks again with the expiry that a 423 demands", async () => {
    const { clock, carrier, line } = await world(site("udp", true));
    carrier.answer = (request) => {
      if (request.method !== "REGISTER") return buildResponse(request, 200);
      return header(request, "Expires") === "300"
        ? buildResponse(request, 423, { headers: [{ name: "Min-Expires", value: "900" }] })
        : buildResponse(request, 200, { headers: [{ name: "Expires", value: "900" }] });
    };
    await run(clock, 2_000);
    expect(line.registration?.registered).toBe(true);
  });

  test("is made anew when its connection breaks", async () => {
    const { clock, network, carrier, line } = await world(site("tcp", true));
    await run(clock, 2_000);
    expect(line.registration?.registered).toBe(true);
    const before = registers(carrier).length;
    network.resetConnections(BOX_LTE, CARRIER);
    await run(clock, 3_000);
    expect(registers(carrier).length).toBe(before + 1);
    expect(line.registration?.registered).toBe(true);
  });
});

describe("a trunk's registration through NATs (RFC 5626, RFC 3581)", () => {
  const registers = (peer: Peer) => peer.requests.filter((request) => request.method === "REGISTER");
  const contactOf = (request: SipRequest | undefined) =>
    (request === undefined ? undefined : header(request, "Contact")) ?? "";
  const accepts = (request: SipRequest, ...more: { name: string; value: string }[]) =>
    buildResponse(request, 200, {
      headers: request.method === "REGISTER" ? [{ name: "Expires", value: "300" }, ...more] : [],
    });

  test("names the box by an instance that is the same after a restart, and asks for outbound", async () => {
    const [one, two] = [await world(site("udp", true)), await world(site("udp", true))];
    await run(one.clock, 2_000);
    await run(two.clock, 2_000);
    const [first] = registers(one.carrier);
    expect(contactOf(first)).toMatch(/;\+sip\.instance="<urn:uuid:[0-9a-f-]{36}>";reg-id=1$/);
    const [again] = registers(two.carrier);
    expect(contactOf(again)).toBe(contactOf(first));
    expect(header(first as SipRequest, "Supported")).toBe("path, outbound");
  });

  test("where outbound is granted, dialogs are to come back over the same flow", async () => {
    const { clock, carrier, line } = await world(site("udp", true));
    carrier.answer = (request) => accepts(request, { name: "Require", value: "outbound" });
    expect(line.contact("x")).not.toContain(";ob");
    await run(clock, 2_000);
    expect(line.contact("x")).toContain(";ob");
  });

  test("is made without outbound when the first hop cannot do it (439)", async () => {
    const { clock, carrier, line } = await world(site("udp", true));
    carrier.answer = (request) =>
      request.method === "REGISTER" && contactOf(request).includes("reg-id")
        ? buildResponse(request, 439)
        : accepts(request);
    await run(clock, 2_000);
    expect(line.registration?.registered).toBe(true);
    expect(registers(carrier)).toHaveLength(2);
    expect(header(registers(carrier)[1] as SipRequest, "Supported")).toBe("path");
  });

  const NAT = "203.0.113.9";
  /** Of the contact that the registrar has, where a call from outside would be sent. */
  const registeredPort = (peer: Peer) => Number(/:(\d+)>/.exec(contactOf(registers(peer).at(-1)))?.[1]);

  test("is made anew with the address that the registrar sees, and the other one taken off", async () => {
    const { clock, carrier, line } = await behindNat(60_000);
    await run(clock, 7_000);
    const contacts = registers(carrier).map(contactOf);
    expect(contacts.at(-1)).toMatch(/^<sip:main@203\.0\.113\.9:40001>;expires=300/);
    expect(contacts.length).toBeLessThanOrEqual(2);
    if (contacts.length === 2) expect(contacts.at(-1)).toContain(`, <sip:main@${BOX_LTE}:5070>;expires=0`);
    expect(line.registration?.registered).toBe(true);
    expect(line.contact("x")).toBe(`sip:x@${NAT}:40001`);
  });

  test("keeps the way in open through a NAT that forgets in 10 s, once it has learned that", async () => {
    const { clock, carrier, line, nat } = await behindNat(10_000);
    await run(clock, 120_000, 250);
    const ports = new Set<string>();
    for (let minute = 0; minute < 10; minute++) {
      await run(clock, 60_000, 250);
      ports.add(line.contact("x"));
      expect(nat.in(registeredPort(carrier))?.address, `minute ${minute}`).toBe(BOX_LTE);
    }
    expect(ports.size).toBe(1);
    expect(line.registration?.registered).toBe(true);
  });

  test("registers anew within seconds when the NAT has lost everything", async () => {
    const { clock, carrier, line, nat } = await behindNat(60_000);
    await run(clock, 30_000, 250);
    nat.forgetAll();
    await run(clock, 31_000, 250);
    const port = registeredPort(carrier);
    expect(nat.in(port)?.address).toBe(BOX_LTE);
    expect(line.contact("x")).toBe(`sip:x@${NAT}:${port}`);
  });

  test("does not register without end through a NAT that gives another port every time", async () => {
    const { clock, carrier } = await behindNat(0);
    await run(clock, 600_000, 500);
    expect(registers(carrier).length).toBeLessThanOrEqual(125);
  });

  test("sends keep-alives as often as the registrar asks for", async () => {
    const { clock, carrier, nat } = await behindNat(12_000);
    carrier.answer = (request) => accepts(request, { name: "Flow-Timer", value: "11" });
    await run(clock, 60_000, 250);
    const port = registeredPort(carrier);
    for (let n = 0; n < 20; n++) {
      await run(clock, 7_300, 100);
      expect(nat.in(port)?.address).toBe(BOX_LTE);
    }
  });

  test("over TCP names the connection by the address that the registrar sees, and without a NAT the listening port", async () => {
    const seenFrom = (response: SipResponse, address: string): SipResponse => ({
      ...response,
      headers: response.headers.map(({ name, value }) =>
        name === "Via"
          ? {
              name,
              value: value.replace(/;rport=\d+/, ";rport=41000").replace(/;received=[^;]+/, `;received=${address}`),
            }
          : { name, value },
      ),
    });
    const { clock, carrier, line } = await world(site("tcp", true));
    carrier.answer = (request) => accepts(request);
    await run(clock, 7_000);
    expect(line.contact("x")).toBe(`sip:x@${BOX_LTE}:5070;transport=tcp`);
    const other = await world(site("tcp", true));
    other.carrier.answer = (request) => seenFrom(accepts(request), NAT);
    await run(other.clock, 7_000);
    expect(other.line.contact("x")).toBe(`sip:x@${NAT}:41000;transport=tcp`);
    expect(contactOf(registers(other.carrier).at(-1))).toContain(`@${NAT}:41000;transport=tcp>`);
  });

  async function behindNat(forgets_ms: number) {
    let nat: MemoryNat | undefined;
    const made = await world(site("udp", true), {}, (network) => {
      nat = network.masquerade(BOX_LTE, NAT, forgets_ms);
    });
    if (nat === undefined) throw new Error("no NAT");
    made.carrier.answer = (request) => accepts(request);
    return { ...made, nat };
  }
});
