import { type Answer as DnsAnswer, decode, encode, type Packet } from "dns-packet";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import type { AskServer, DnsQuestion } from "./dns-client.ts";
import { PathResolver, type PeerName } from "./resolver.ts";

const SERVER = "203.0.113.53";
const OTHER = "203.0.113.54";

const peer = (host: string, more: Partial<PeerName> = {}): PeerName => ({
  host,
  port: undefined,
  transport: "udp",
  secure: false,
  supported: ["udp"],
  ...more,
});

type Zone = Record<string, readonly DnsAnswer[]>;

const a = (name: string, data: string, ttl = 60): DnsAnswer => ({ type: "A", name, ttl, data });
const cname = (name: string, data: string): DnsAnswer => ({ type: "CNAME", name, ttl: 60, data });
const srv = (name: string, priority: number, target: string): DnsAnswer => ({
  type: "SRV",
  name,
  ttl: 60,
  data: { priority, weight: 0, port: 5060, target },
});

/** Name servers on paper: what each answers, or that it is silent. */
function world(zone: Zone, servers: readonly string[] = [SERVER]) {
  const clock = new ManualClock();
  const asked: DnsQuestion[] = [];
  const state = { zone, silent: new Set<string>(), drops: "", flags: 0, mangle: (packet: Packet): Packet => packet };
  const ask: AskServer = (question) =>
    new Promise((resolve) => {
      asked.push(question);
      if (state.silent.has(question.server)) {
        clock.after(question.timeout_ms, () => resolve(undefined));
        return;
      }
      const query = decode(Buffer.from(question.bytes));
      const [wanted] = query.questions ?? [];
      if (wanted?.type === state.drops) {
        clock.after(question.timeout_ms, () => resolve(undefined));
        return;
      }
      const answers = state.zone[`${wanted?.type} ${wanted?.name}`];
      const packet = state.mangle({
        type: "response",
        id: query.id ?? 0,
        flags: answers === undefined ? 3 | state.flags : state.flags,
        questions: query.questions ?? [],
        answers: [...(answers ?? [])],
      });
      const bytes = encode(packet);
      resolve(question.matches(bytes) ? bytes : undefined);
    });
  const resolver = new PathResolver({ clock, servers, random: () => 0, ask });
  /** Lets time pass until what was asked has come to its end. */
  const settled = async <T>(promise: Promise<T>): Promise<T> => {
    let done = false;
    const wait = promise.finally(() => {
      done = true;
    });
    for (let n = 0; n < 400 && !done; n++) {
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
      if (!done) clock.advance(50);
    }
    return wait;
  };
  const addresses = async (host: string, more: Partial<PeerName> = {}) =>
    (await settled(resolver.locate(peer(host, more), "198.51.100.2"))).hops.map(({ address }) => address);
  const names = () =>
    asked.map(({ bytes }) => decode(Buffer.from(bytes)).questions?.[0]).map((q) => `${q?.type} ${q?.name}`);
  return { clock, resolver, state, asked, names, addresses, settled, ask };
}

const TRUNK: Zone = { "A trunk.example": [a("trunk.example", "203.0.113.7")] };

describe("names on a path", () => {
  test("are asked of the path's own servers from its own address, only for the family it has", async () => {
    const { addresses, asked, names } = world(TRUNK);
    expect(await addresses("Trunk.Example")).toEqual(["203.0.113.7"]);
    expect(new Set(asked.map(({ local_address, server }) => `${server} ${local_address}`))).toEqual(
      new Set([`${SERVER} 198.51.100.2`]),
    );
    expect(names()).toEqual(["SRV _sip._udp.trunk.example", "A trunk.example"]);
  });

  test("with a port, and literals, need no more than they say", async () => {
    const { addresses, names } = world(TRUNK);
    expect(await addresses("198.51.100.60")).toEqual(["198.51.100.60"]);
    expect(names()).toEqual([]);
    await addresses("trunk.example", { port: 5070 });
    expect(names()).toEqual(["A trunk.example"]);
  });

  test("are asked once by many, and answered from the cache while fresh", async () => {
    const { resolver, settled, addresses, names } = world(TRUNK);
    const both = [resolver.locate(peer("trunk.example"), undefined), resolver.locate(peer("trunk.example"), undefined)];
    await settled(Promise.all(both));
    await settled(resolver.locate(peer("trunk.example"), undefined));
    await addresses("trunk.example");
    expect(names().sort()).toEqual(["A trunk.example", "AAAA trunk.example", "SRV _sip._udp.trunk.example"]);
  });

  test.each([
    ["a time to live of 0 holds for 30 s", 0, 30_000],
    ["one of a week for an hour", 604_800, 3_600_000],
  ])("%s", async (_, ttl, holds_ms) => {
    const { addresses, names, clock } = world({ "A trunk.example": [a("trunk.example", "203.0.113.7", ttl)] });
    await addresses("trunk.example", { port: 5060 });
    clock.advance(holds_ms - 1_000);
    await addresses("trunk.example", { port: 5060 });
    expect(names()).toHaveLength(1);
    clock.advance(2_000);
    await addresses("trunk.example", { port: 5060 });
    expect(names()).toHaveLength(2);
  });

  test("that there is no SRV is remembered too", async () => {
    const { addresses, names, clock } = world(TRUNK);
    await addresses("trunk.example");
    clock.advance(25_000);
    await addresses("trunk.example");
    expect(names().filter((name) => name.startsWith("SRV"))).toHaveLength(1);
  });
});

describe("names when DNS is dead", () => {
  test("stay known, and say since when", async () => {
    const { addresses, clock, state, resolver, settled } = world(TRUNK);
    await addresses("trunk.example");
    const learned = clock.wall();
    clock.advance(7_200_000);
    state.silent.add(SERVER);
    const located = await settled(resolver.locate(peer("trunk.example"), "198.51.100.2"));
    expect(located.hops[0]?.address).toBe("203.0.113.7");
    expect(located.stale_since_wall).toBe(learned);
  });

  test("are known from memory at once, without asking", async () => {
    const { addresses, state, resolver, asked } = world(TRUNK);
    await addresses("trunk.example");
    state.silent.add(SERVER);
    const before = asked.length;
    expect(resolver.known(peer("trunk.example"), "198.51.100.2").hops).toHaveLength(1);
    expect(asked).toHaveLength(before);
  });

  test("are found after a restart", async () => {
    const before = world({
      ...TRUNK,
      "SRV _sip._udp.trunk.example": [srv("_sip._udp.trunk.example", 1, "trunk.example")],
    });
    await before.addresses("trunk.example");
    const after = world({});
    after.state.silent.add(SERVER);
    after.resolver.restore(before.resolver.remembered());
    expect(await after.addresses("trunk.example")).toEqual(["203.0.113.7"]);
  });

  test("a damaged memory is left out, not believed", () => {
    const { resolver } = world({});
    const known = { name: "trunk.example", learned_wall: Date.UTC(2026, 0, 1) };
    resolver.restore([
      { ...known, type: "A", records: "{" },
      { ...known, type: "SRV", records: `{"srv":[{"target":5}]}` },
      { ...known, type: "A", records: `{"addresses":["not an address"]}` },
      { ...known, type: "MX" as never, records: `{"addresses":[]}` },
    ]);
    expect(resolver.known(peer("trunk.example"), undefined).hops).toEqual([]);
    expect(resolver.remembered()).toEqual([]);
  });

  test("a server that says the name has gone is believed only while another answer is to be had", async () => {
    const { addresses, clock, state } = world(TRUNK);
    await addresses("trunk.example");
    clock.advance(7_200_000);
    state.zone = {};
    expect(await addresses("trunk.example")).toEqual(["203.0.113.7"]);
  });

  test("the second server is asked half a second after the first, and SERVFAIL asks it at once with the next", async () => {
    const { addresses, state, asked } = world(TRUNK, [SERVER, OTHER]);
    state.silent.add(SERVER);
    expect(await addresses("trunk.example", { port: 5060 })).toEqual(["203.0.113.7"]);
    expect(asked.map(({ server }) => server)).toEqual([SERVER, OTHER]);
  });

  test("a server that drops questions for SRV and answers others is enough", async () => {
    const { addresses, state } = world(TRUNK);
    state.drops = "SRV";
    expect(await addresses("trunk.example")).toEqual(["203.0.113.7"]);
  });

  test("once every server is silent, further names do not wait for them", async () => {
    const { resolver, state, settled, asked, clock } = world(TRUNK);
    state.silent.add(SERVER);
    await settled(resolver.locate(peer("trunk.example"), undefined));
    const before = asked.length;
    const started = clock.now();
    await settled(resolver.locate(peer("other.example"), undefined));
    expect([asked.length - before, clock.now() - started]).toEqual([0, 0]);
  });
});

describe("hostile name servers", () => {
  test("a CNAME is followed, a loop of them is not", async () => {
    const chain = [cname("trunk.example", "a.example"), cname("a.example", "b.example"), a("b.example", "203.0.113.7")];
    const { addresses, state } = world({ "A trunk.example": chain });
    expect(await addresses("trunk.example", { port: 5060 })).toEqual(["203.0.113.7"]);
    state.zone = { "A loop.example": [cname("loop.example", "a.example"), cname("a.example", "loop.example")] };
    expect(await addresses("loop.example", { port: 5060 })).toEqual([]);
  });

  test("records of other names are not read", async () => {
    const { addresses } = world({ "A trunk.example": [a("thief.example", "203.0.113.66")] });
    expect(await addresses("trunk.example", { port: 5060 })).toEqual([]);
  });

  test("an answer to another question, or with another id, is passed over", async () => {
    const { addresses, state } = world(TRUNK);
    state.mangle = (packet) => ({ ...packet, id: (packet.id ?? 0) ^ 1 });
    expect(await addresses("trunk.example", { port: 5060 })).toEqual([]);
    state.mangle = (packet) => ({ ...packet, questions: [{ type: "A", name: "else.example" }] });
    expect(await addresses("trunk.example", { port: 5060 })).toEqual([]);
  });

  test("thousands of records are cut off; addresses of everybody and nobody are not used", async () => {
    const many = Array.from({ length: 3_000 }, (_, i) => a("trunk.example", `203.0.${i >> 8}.${i & 255}`));
    const { addresses, state } = world({ "A trunk.example": many });
    expect((await addresses("trunk.example", { port: 5060 })).length).toBeLessThanOrEqual(16);
    state.zone = { "A odd.example": ["0.0.0.0", "255.255.255.255", "224.0.0.1"].map((data) => a("odd.example", data)) };
    expect(await addresses("odd.example", { port: 5060 })).toEqual([]);
  });

  test("an answer that was cut is asked for again over TCP", async () => {
    const { addresses, state, asked } = world(TRUNK);
    state.mangle = (packet) => (asked.at(-1)?.protocol === "udp" ? { ...packet, flags: 0x0200, answers: [] } : packet);
    expect(await addresses("trunk.example", { port: 5060 })).toEqual(["203.0.113.7"]);
    expect(asked.map(({ protocol }) => protocol)).toEqual(["udp", "tcp"]);
  });

  test("the memory for names is bounded", async () => {
    const zone: Zone = {};
    for (let n = 0; n < 300; n++) zone[`A n${n}.example`] = [a(`n${n}.example`, "203.0.113.7")];
    const { addresses, resolver } = world(zone);
    for (let n = 0; n < 300; n++) await addresses(`n${n}.example`, { port: 5060 });
    expect(resolver.remembered().length).toBeLessThanOrEqual(256);
  });
});
