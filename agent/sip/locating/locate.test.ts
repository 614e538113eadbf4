import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { answered, type Hop, type Locating, locate, questionsOf, type Sought } from "./locate.ts";
import type { Question, Records } from "./records.ts";
import { weightedOrder } from "./weighted-order.ts";

/** A zone: records by `TYPE name`. */
type Zone = Readonly<Record<string, readonly unknown[]>>;

const naptr = (order: number, preference: number, service: string, replacement: string, flags = "s") => ({
  order,
  preference,
  flags,
  service,
  regexp: "",
  replacement,
});
const srv = (priority: number, weight: number, port: number, target: string) => ({ priority, weight, port, target });

const ANY: Sought = {
  host: "carrier.example",
  port: undefined,
  transport: undefined,
  secure: false,
  supported: ["udp", "tcp", "tls"],
  families: [4],
};

function recordsOf(zone: Zone, { name, type }: Question): Records {
  const found = zone[`${type} ${name}`] ?? [];
  if (type === "NAPTR") return { type, naptr: found as never };
  if (type === "SRV") return { type, srv: found as never };
  return { type, addresses: found as never };
}

function resolve(zone: Zone, sought: Partial<Sought> = {}, random: () => number = () => 0) {
  const asked: string[] = [];
  let locating: Locating = locate({ ...ANY, ...sought });
  while (locating.phase !== "located") {
    const questions = questionsOf(locating);
    asked.push(...questions.map(({ name, type }) => `${type} ${name}`));
    locating = answered(
      locating,
      questions.map((question) => ({ question, records: recordsOf(zone, question) })),
      random,
    );
  }
  return { hops: locating.hops, asked };
}

const short = (hops: readonly Hop[]) => hops.map(({ transport, address, port }) => `${transport} ${address}:${port}`);

const ZONE: Zone = {
  "NAPTR carrier.example": [
    naptr(20, 10, "SIP+D2U", "_sip._udp.carrier.example"),
    naptr(10, 20, "SIP+D2T", "_sip._tcp.carrier.example"),
    naptr(10, 10, "SIPS+D2T", "_sips._tcp.carrier.example"),
    naptr(5, 10, "SIP+D2S", "_sip._sctp.carrier.example"),
    naptr(1, 10, "E2U+sip", "_sip._udp.carrier.example", "u"),
  ],
  "SRV _sips._tcp.carrier.example": [srv(10, 0, 5061, "a.carrier.example")],
  "SRV _sip._tcp.carrier.example": [srv(10, 0, 5060, "a.carrier.example"), srv(20, 0, 5070, "b.carrier.example")],
  "SRV _sip._udp.carrier.example": [srv(10, 0, 5060, "b.carrier.example")],
  "A a.carrier.example": ["192.0.2.1"],
  "AAAA a.carrier.example": ["2001:db8::1"],
  "A b.carrier.example": ["192.0.2.2", "192.0.2.3"],
  "A carrier.example": ["192.0.2.9"],
};

describe("locating a SIP server (RFC 3263 §4)", () => {
  test("§4.1: a numeric host needs no name server; UDP, or TLS for sips, at the transport's port", () => {
    const at = { host: "192.0.2.7" };
    expect(resolve(ZONE, at)).toEqual({
      asked: [],
      hops: [{ transport: "udp", address: "192.0.2.7", port: 5060, server_name: "192.0.2.7" }],
    });
    expect(short(resolve(ZONE, { ...at, secure: true }).hops)).toEqual(["tls 192.0.2.7:5061"]);
    expect(short(resolve(ZONE, { ...at, transport: "tcp", port: 6000 }).hops)).toEqual(["tcp 192.0.2.7:6000"]);
    expect(short(resolve(ZONE, { host: "[2001:DB8::7]", families: [6] }).hops)).toEqual(["udp 2001:db8::7:5060"]);
  });

  test("§4.1, §4.2: a name with a port is asked for addresses alone", () => {
    expect(resolve(ZONE, { port: 5080 })).toEqual({
      asked: ["A carrier.example"],
      hops: [{ transport: "udp", address: "192.0.2.9", port: 5080, server_name: "carrier.example" }],
    });
    expect(short(resolve(ZONE, { port: 5080, secure: true }).hops)).toEqual(["tls 192.0.2.9:5080"]);
  });

  test("§4.1: NAPTR says which transport comes first, by order and then preference, among those that can be spoken", () => {
    expect(short(resolve(ZONE).hops)).toEqual([
      "tls 192.0.2.1:5061",
      "tcp 192.0.2.1:5060",
      "tcp 192.0.2.2:5070",
      "tcp 192.0.2.3:5070",
      "udp 192.0.2.2:5060",
      "udp 192.0.2.3:5060",
    ]);
    expect(short(resolve(ZONE, { supported: ["udp"] }).hops)).toEqual(["udp 192.0.2.2:5060", "udp 192.0.2.3:5060"]);
  });

  test("§4.1: sips takes TLS alone", () => {
    expect(short(resolve(ZONE, { secure: true }).hops)).toEqual(["tls 192.0.2.1:5061"]);
  });

  test("§4.1: a NAPTR of a secure service that leads into another domain is not believed", () => {
    const forged = { ...ZONE, "NAPTR carrier.example": [naptr(1, 1, "SIPS+D2T", "_sips._tcp.thief.example")] };
    const { asked } = resolve(forged, { secure: true });
    expect(asked).not.toContain("SRV _sips._tcp.thief.example");
    expect(asked).toContain("SRV _sips._tcp.carrier.example");
  });

  test("§4.1: without NAPTR, SRV is asked for each transport, in the site's order", () => {
    const { "NAPTR carrier.example": _, ...zone } = ZONE;
    const { asked, hops } = resolve(zone, { supported: ["tcp", "udp"] });
    expect(asked.slice(0, 3)).toEqual([
      "NAPTR carrier.example",
      "SRV _sip._tcp.carrier.example",
      "SRV _sip._udp.carrier.example",
    ]);
    expect(short(hops)[0]).toBe("tcp 192.0.2.1:5060");
  });

  test("§4.2: a transport that is named skips NAPTR; without SRV the name itself is asked, at the default port", () => {
    expect(resolve(ZONE, { transport: "tcp" }).asked[0]).toBe("SRV _sip._tcp.carrier.example");
    expect(resolve({ "A carrier.example": ["192.0.2.9"] }, { transport: "tls" })).toEqual({
      asked: ["SRV _sips._tcp.carrier.example", "A carrier.example"],
      hops: [{ transport: "tls", address: "192.0.2.9", port: 5061, server_name: "carrier.example" }],
    });
  });

  test("RFC 2782: a target of `.` says that the service is not there, and nothing else is tried", () => {
    const zone = { "SRV _sip._udp.carrier.example": [srv(0, 0, 0, "")], "A carrier.example": ["192.0.2.9"] };
    expect(resolve(zone, { transport: "udp" }).hops).toEqual([]);
  });

  test("RFC 5922: the certificate must name what was asked for, whatever DNS led to", () => {
    expect(new Set(resolve(ZONE).hops.map(({ server_name }) => server_name))).toEqual(new Set(["carrier.example"]));
  });

  test("addresses of the family that packets leave with, both where the box has both", () => {
    expect(short(resolve(ZONE, { families: [6] }).hops)[0]).toBe("tls 2001:db8::1:5061");
    expect(resolve(ZONE, { families: [4, 6], transport: "tcp" }).hops).toHaveLength(4);
  });

  test("thousands of records end in a few servers", () => {
    const many = Array.from({ length: 5000 }, (_, i) => srv(1, 1, 5060, `h${i}.carrier.example`));
    const zone = Object.fromEntries(many.map(({ target }) => [`A ${target}`, ["192.0.2.1", "192.0.2.2", "192.0.2.3"]]));
    const { asked, hops } = resolve({ ...zone, "SRV _sip._udp.carrier.example": many }, { transport: "udp" });
    expect(asked.length).toBeLessThanOrEqual(9);
    expect(hops.length).toBeLessThanOrEqual(16);
  });

  test("whatever the name servers say, it ends after three rounds and never throws", () => {
    const text = fc.oneof(
      fc.constantFrom("", ".", "carrier.example", "_sip._udp.carrier.example", "192.0.2.1"),
      fc.string(),
    );
    const number = fc.integer({ min: -1, max: 70_000 });
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            order: number,
            preference: number,
            flags: text,
            service: fc.constantFrom("SIP+D2U", "SIPS+D2T", "x"),
            regexp: text,
            replacement: text,
          }),
        ),
        fc.array(fc.record({ priority: number, weight: fc.nat(65_535), port: number, target: text })),
        fc.array(text),
        (naptrs, srvs, addresses) => {
          let locating = locate(ANY);
          let rounds = 0;
          while (locating.phase !== "located" && rounds++ < 5) {
            const answers = questionsOf(locating).map((question) => ({
              question,
              records:
                question.type === "NAPTR"
                  ? { type: question.type, naptr: naptrs }
                  : question.type === "SRV"
                    ? { type: question.type, srv: srvs }
                    : { type: question.type, addresses },
            }));
            locating = answered(locating, answers, Math.random);
          }
          expect(locating.phase).toBe("located");
          expect(rounds).toBeLessThanOrEqual(3);
        },
      ),
    );
  });
});

describe("the weighted order of SRV records (RFC 2782)", () => {
  test("lower priorities come first, each record once", () => {
    const records = [srv(20, 0, 1, "c"), srv(10, 60, 1, "a"), srv(10, 20, 1, "b"), srv(10, 0, 1, "z")];
    const order = weightedOrder(records, Math.random);
    expect(order).toHaveLength(4);
    expect(order.at(-1)?.target).toBe("c");
    expect(new Set(order)).toEqual(new Set(records));
  });

  test("within a priority the first is drawn in proportion to its weight", () => {
    // A generator of its own (mulberry32), so that the same draws are made in every run.
    let seed = 42;
    const random = () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
    };
    const records = [srv(1, 60, 1, "a"), srv(1, 30, 1, "b"), srv(1, 10, 1, "c"), srv(1, 0, 1, "z")];
    const first: Record<string, number> = { a: 0, b: 0, c: 0, z: 0 };
    const second: Record<string, number> = { a: 0, b: 0, c: 0, z: 0 };
    const draws = 20_000;
    for (let n = 0; n < draws; n++) {
      const [one, two] = weightedOrder(records, random);
      first[one?.target ?? ""] = (first[one?.target ?? ""] ?? 0) + 1;
      second[two?.target ?? ""] = (second[two?.target ?? ""] ?? 0) + 1;
    }
    const share = (counts: Record<string, number>, key: string) => (counts[key] ?? 0) / draws;
    // 0 … 100 are 101 numbers: 0 is z's, 1 … 60 are a's. Standard deviation of a share: at most 0.0035.
    expect(Math.abs(share(first, "a") - 60 / 101)).toBeLessThan(0.015);
    expect(Math.abs(share(first, "b") - 30 / 101)).toBeLessThan(0.015);
    expect(Math.abs(share(first, "c") - 10 / 101)).toBeLessThan(0.01);
    expect(share(first, "z")).toBeGreaterThan(0.005);
    expect(share(first, "z")).toBeLessThan(0.016);
    // Those that were passed over are drawn again, among themselves.
    expect(share(second, "b")).toBeGreaterThan(share(second, "c"));
  });

  test("records that all weigh nothing keep their order", () => {
    const records = [srv(1, 0, 1, "a"), srv(1, 0, 1, "b")];
    expect(weightedOrder(records, () => 0.99)).toEqual(records);
  });
});
