import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { decode, encode, type Packet, type RecordType } from "dns-packet";
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type Clock, systemClock } from "../../base/clock.ts";
import type { SiteConfig } from "../../base/config/schema.ts";
import type { Mode } from "../../base/events.ts";
import { silentLog } from "../../base/log.ts";
import { ManualClock } from "../../base/manual-clock.ts";
import type { AskServer } from "../paths/dns-client.ts";
import type { Path, Paths } from "../paths/path.ts";
import { decide, mayAsk } from "./answers.ts";
import { Names } from "./names.ts";

const OWN = { names: ["sip.branch.example"], address: "10.77.1.2", sip_port: 5060 };

const query = (name: string, type: RecordType): Packet => ({
  type: "query",
  id: 7,
  questions: [{ type, name, class: "IN" }],
});

describe("the box's own names", () => {
  test("have its address on the LAN that asks, whatever the case of the question", () => {
    const decision = decide(query("SIP.Branch.Example", "A"), OWN);
    expect(decision).toMatchObject({ kind: "own", answers: [{ type: "A", data: "10.77.1.2", ttl: 30 }] });
  });

  test("have SRV and NAPTR records that lead to the SIP port", () => {
    expect(decide(query("_sip._udp.sip.branch.example", "SRV"), OWN)).toMatchObject({
      answers: [{ data: { port: 5060, target: "sip.branch.example" } }],
    });
    expect(decide(query("sip.branch.example", "NAPTR"), OWN)).toMatchObject({
      answers: [
        { data: { services: "SIP+D2U", replacement: "_sip._udp.sip.branch.example" } },
        { data: { services: "SIP+D2T", replacement: "_sip._tcp.sip.branch.example" } },
      ],
    });
  });

  test("have TLS last where the LAN serves it", () => {
    const tls = { ...OWN, tls_port: 5061 };
    expect(decide(query("sip.branch.example", "NAPTR"), tls)).toMatchObject({
      answers: [{}, {}, { data: { services: "SIPS+D2T", replacement: "_sips._tcp.sip.branch.example" } }],
    });
    expect(decide(query("_sips._tcp.sip.branch.example", "SRV"), tls)).toMatchObject({
      answers: [{ data: { port: 5061 } }],
    });
    expect(decide(query("_sips._tcp.sip.branch.example", "SRV"), OWN)).toEqual({ kind: "own", answers: [] });
  });

  test("without IPv6 answer AAAA with no data, so that a phone does not wait", () => {
    expect(decide(query("sip.branch.example", "AAAA"), OWN)).toEqual({ kind: "own", answers: [] });
  });

  test("are not confused with names that only end alike", () => {
    expect(decide(query("notsip.branch.example", "A"), OWN).kind).toBe("forward");
    expect(decide(query("branch.example", "A"), OWN).kind).toBe("forward");
  });

  test("zone transfers and ANY are refused, answers dropped", () => {
    expect(decide(query("sip.branch.example", "AXFR"), OWN)).toEqual({ kind: "refuse", rcode: "REFUSED" });
    expect(decide({ ...query("sip.branch.example", "A"), type: "response" }, OWN)).toEqual({ kind: "drop" });
    expect(decide({ type: "query", id: 1, questions: [] }, OWN)).toEqual({ kind: "refuse", rcode: "FORMERR" });
  });

  test("may be asked from the LAN's subnets only", () => {
    expect(mayAsk("10.77.1.44", ["10.77.1.0/24"])).toBe(true);
    expect(mayAsk("10.77.2.44", ["10.77.1.0/24"])).toBe(false);
    expect(mayAsk("fd00::5", ["fd00::/64", "10.0.0.0/8"])).toBe(true);
    expect(mayAsk("::ffff:1.2.3.4.5", ["0.0.0.0/0"])).toBe(false);
  });
});

const running: Names[] = [];
afterEach(async () => {
  for (const names of running.splice(0)) await names.close();
});

async function serve(options: {
  wan: "up" | "down";
  ask: AskServer;
  subnets?: string[];
  mode?: Mode;
  servers?: string[];
  clock?: Clock;
}) {
  const path = (id: string, kind: "wan" | "lte", state: string) =>
    ({ id, kind, localAddress: undefined, health: { state } }) as unknown as Path;
  const all = [path("lte", "lte", "up"), path("wan", "wan", options.wan)];
  const paths: Paths = { get: () => undefined, all: () => all, onChange() {} };
  const config = {
    box: { sip_names: OWN.names },
    lans: [{ address: "127.0.0.1", subnets: options.subnets ?? ["127.0.0.0/8"], sip_port: 5060, dns_port: 0 }],
    pbx_targets: [
      { domain: "pbx.example", host: "edge.pbx.example" },
      { domain: "pbx.example", host: "203.0.113.10" },
    ],
    paths: [
      { id: "wan", dns_servers: options.servers ?? ["203.0.113.53"] },
      { id: "lte", dns_servers: ["198.51.100.53"] },
    ],
  } as unknown as SiteConfig;
  const names = new Names({
    config,
    clock: options.clock ?? systemClock,
    log: silentLog,
    paths,
    ask: options.ask,
    mode: () => options.mode ?? "normal",
  });
  running.push(names);
  await names.start();
  return { names, port: names.ports[0] ?? 0 };
}

function askUdp(port: number, bytes: Uint8Array, wait_ms = 2_000): Promise<Packet | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    const timer = setTimeout(() => {
      socket.close();
      resolve(undefined);
    }, wait_ms);
    socket.on("message", (answer) => {
      clearTimeout(timer);
      socket.close();
      resolve(decode(answer));
    });
    socket.send(bytes, port, "127.0.0.1");
  });
}

const never: AskServer = async () => undefined;

describe("the box's DNS server", () => {
  test("answers for its name over UDP and TCP while everything else is dead", async () => {
    const { port } = await serve({ wan: "down", ask: never });
    const bytes = encode(query("sip.branch.example", "A"));
    expect(await askUdp(port, bytes)).toMatchObject({ id: 7, flag_aa: true, answers: [{ data: "127.0.0.1" }] });
    const overTcp = await new Promise<Packet>((resolve, reject) => {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", reject);
      socket.on("data", (chunk) => {
        socket.destroy();
        resolve(decode(chunk.subarray(2)));
      });
      socket.write(Buffer.from([0, bytes.length]));
      socket.write(bytes);
    });
    expect(overTcp).toMatchObject({ answers: [{ data: "127.0.0.1" }] });
  });

  test("passes other names on to the WAN's server and its answer back", async () => {
    const asked: string[] = [];
    const ask: AskServer = async ({ bytes, server, matches }) => {
      asked.push(server);
      const question = decode(Buffer.from(bytes));
      const answer = encode({
        type: "response",
        id: question.id ?? 0,
        questions: question.questions ?? [],
        answers: [{ type: "A", name: "ntp.example", ttl: 60, data: "203.0.113.9" }],
      });
      expect(matches(answer)).toBe(true);
      return answer;
    };
    const { port } = await serve({ wan: "up", ask });
    expect(await askUdp(port, encode(query("ntp.example", "A")))).toMatchObject({ answers: [{ data: "203.0.113.9" }] });
    expect(asked).toEqual(["203.0.113.53"]);
  });

  test("says SERVFAIL at once when the WAN is down, and spends no cellular data", async () => {
    const asked: string[] = [];
    const { port } = await serve({
      wan: "down",
      ask: async ({ server }) => {
        asked.push(server);
        return undefined;
      },
    });
    expect(await askUdp(port, encode(query("ntp.example", "A")))).toMatchObject({ rcode: "SERVFAIL" });
    expect(asked).toEqual([]);
  });

  describe("for the cloud PBX's names", () => {
    const cloud: AskServer = async ({ bytes }) => {
      const { id = 0, questions = [] } = decode(Buffer.from(bytes));
      const [question] = questions;
      if (question === undefined) return undefined;
      const answers =
        question.type === "A" ? [{ type: "A" as const, name: question.name, ttl: 86_400, data: "203.0.113.10" }] : [];
      return encode({ type: "response", id, questions, answers });
    };

    test("passes on what the WAN's servers say in normal mode, for a short time", async () => {
      const { port } = await serve({ wan: "up", ask: cloud });
      expect(await askUdp(port, encode(query("pbx.example", "A")))).toMatchObject({
        answers: [{ data: "203.0.113.10", ttl: 60 }],
      });
    });

    test.each([
      ["the cloud is away", { wan: "up", mode: "survivable", ask: cloud }],
      ["nobody can say", { wan: "up", mode: "normal", ask: never }],
      ["the WAN is down", { wan: "down", mode: "normal", ask: cloud }],
    ] as const)("says that it is the box when %s: A, SRV and NAPTR", async (_, options) => {
      const { port } = await serve(options);
      const ask = (name: string, type: RecordType) => askUdp(port, encode(query(name, type)));
      expect(await ask("Edge.PBX.example", "A")).toMatchObject({ answers: [{ data: "127.0.0.1", ttl: 30 }] });
      expect(await ask("_sip._udp.pbx.example", "SRV")).toMatchObject({
        answers: [{ data: { port: 5060, target: "pbx.example" } }],
      });
      expect(await ask("pbx.example", "NAPTR")).toMatchObject({
        answers: [{ data: { services: "SIP+D2U" } }, { data: { services: "SIP+D2T" } }],
      });
      expect(await ask("pbx.example", "AAAA")).toMatchObject({ rcode: "NOERROR", answers: [] });
    });

    test.each(["REFUSED", "NXDOMAIN", "SERVFAIL"])(
      "says that it is the box when the WAN's server says %s",
      async (rcode) => {
        const flags = { SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 }[rcode] ?? 0;
        const refuse: AskServer = async ({ bytes }) => {
          const { id = 0, questions = [] } = decode(Buffer.from(bytes));
          return encode({ type: "response", id, flags, questions });
        };
        const { port } = await serve({ wan: "up", mode: "normal", ask: refuse });
        expect(await askUdp(port, encode(query("edge.pbx.example", "A")))).toMatchObject({
          rcode: "NOERROR",
          answers: [{ data: "127.0.0.1" }],
        });
        // That there is no such service may well be true.
        expect((await askUdp(port, encode(query("_sip._udp.pbx.example", "SRV"))))?.answers).toHaveLength(
          rcode === "NXDOMAIN" ? 0 : 1,
        );
      },
    );

    test("does not wait for a server that is silent before it asks the next one", async () => {
      const clock = new ManualClock();
      const servers = ["203.0.113.53", "203.0.113.54"];
      const second: AskServer = (question) => {
        if (question.server === servers[1]) return cloud(question);
        clock.advance(400);
        return new Promise(() => {});
      };
      const { port } = await serve({ wan: "up", ask: second, servers, clock });
      const answer = askUdp(port, encode(query("pbx.example", "A")));
      await vi.waitFor(() => expect(clock.pending).toBe(2));
      clock.advance(0);
      expect(await answer).toMatchObject({ answers: [{ data: "203.0.113.10" }] });
    });

    test("other names under the PBX's domain stay the cloud's", async () => {
      const { port } = await serve({ wan: "up", mode: "survivable", ask: cloud });
      expect(await askUdp(port, encode(query("www.pbx.example", "A")))).toMatchObject({
        answers: [{ data: "203.0.113.10", ttl: 86_400 }],
      });
    });
  });

  test.each([
    [undefined, true],
    [512, true],
    [100, true],
    [1_232, false],
    [4_096, false],
  ])("cuts an answer that is longer than the client takes (EDNS %s)", async (udpPayloadSize, cut) => {
    const long: AskServer = async ({ bytes }) => {
      const { id = 0, questions = [] } = decode(Buffer.from(bytes));
      const answers = Array.from({ length: 40 }, (_, i) => ({
        type: "A" as const,
        name: "ntp.example",
        ttl: 60,
        data: `203.0.113.${i + 1}`,
      }));
      return encode({ type: "response", id, questions, answers });
    };
    const { port } = await serve({ wan: "up", ask: long });
    const opt = { type: "OPT" as const, name: "." as const, udpPayloadSize: udpPayloadSize ?? 0 };
    const rest = { flags: 0, flag_do: false, ednsVersion: 0, options: [], extendedRcode: 0 };
    const additionals = udpPayloadSize === undefined ? [] : [{ ...opt, ...rest }];
    const answer = await askUdp(port, encode({ ...query("ntp.example", "A"), additionals }));
    expect(answer).toMatchObject({ flag_tc: cut });
    expect(answer?.answers).toHaveLength(cut ? 0 : 40);
  });

  test("says nothing to strangers", async () => {
    const { names, port } = await serve({ wan: "up", ask: never, subnets: ["10.77.1.0/24"] });
    expect(await askUdp(port, encode(query("sip.branch.example", "A")), 200)).toBeUndefined();
    expect(names.counters.dropped).toBe(1);
  });

  test("outlives whatever bytes it is sent", async () => {
    const { names, port } = await serve({ wan: "down", ask: never });
    const socket = createSocket("udp4");
    const good = encode(query("sip.branch.example", "A"));
    // One turn of the event loop for each, so that none is lost to a full socket buffer.
    const send = (bytes: Uint8Array) =>
      new Promise((sent) => socket.send(bytes, port, "127.0.0.1", () => setImmediate(sent)));
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), fc.nat(good.length - 1), async (noise, at) => {
        await send(noise);
        const bent = Buffer.from(good);
        bent[at] = noise[0] ?? 0xc0;
        await send(bent);
      }),
      { numRuns: 300 },
    );
    expect(await askUdp(port, good)).toMatchObject({ answers: [{ data: "127.0.0.1" }] });
    expect(Object.values(names.counters).reduce((a, b) => a + b)).toBe(601);
    socket.close();
  });
});
