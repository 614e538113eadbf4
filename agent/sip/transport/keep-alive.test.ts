import { beforeEach, describe, expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import type { Endpoint, Flow, TransportError } from "./flow.ts";
import { INTERVAL_MS, PONG_MS } from "./keep-alive.ts";
import { MemoryNetwork } from "./memory-network.ts";
import type { SipTransport } from "./sip-transport.ts";
import { answerBinding, bindingRequest, parseStun } from "./stun.ts";

/** RFC 5626 §4.4 on a network in memory: the box at .1, its trunk at .2. */
const BOX = "192.0.2.1";
const TRUNK = "192.0.2.2";
const GIVEN_UP_MS = 11_500;

let clock: ManualClock;
let network: MemoryNetwork;
let box: SipTransport;
let told: string[];

beforeEach(() => {
  clock = new ManualClock();
  network = new MemoryNetwork({ clock });
  box = network.transport();
  told = [];
});

function keep(flow: Flow): void {
  box.keepAlive(flow, {
    onPong: (rtt_ms) => void told.push(`pong ${rtt_ms}`),
    onMapped: (mapped, before) => void told.push(`mapped ${text(mapped)} before ${text(before)}`),
    onFailed: ({ detail }: TransportError) => void told.push(`failed: ${detail}`),
  });
}

const text = (end: Endpoint | undefined) => (end === undefined ? "nothing" : `${end.address}:${end.port}`);

describe("UDP", () => {
  async function flow(): Promise<Flow> {
    await box.listen({ protocol: "udp", address: BOX, port: 5070 });
    return box.flowTo({ protocol: "udp", address: TRUNK, port: 5060, local_address: BOX, local_port: 5070 });
  }

  /** A carrier whose NAT shows the box under an address that the test may change. */
  async function natted(seen: { address: string; port: number }, knowsStun = () => true) {
    const arrived: string[] = [];
    await network.datagrams.bind(
      { address: TRUNK, port: 5060 },
      {
        datagram(bytes, address, port) {
          const request = parseStun(bytes);
          arrived.push(request === undefined ? JSON.stringify(Buffer.from(bytes).toString()) : "stun");
          const answer = request === undefined || !knowsStun() ? undefined : answerBinding(request, seen);
          if (answer !== undefined) network.inject(answer, { address: TRUNK, port: 5060 }, { address, port });
        },
        failed: () => {},
      },
    );
    return arrived;
  }

  test("the mapped address is told before anything else happens, and again when the NAT has forgotten us", async () => {
    const seen = { address: "203.0.113.7", port: 40_001 };
    const way = await flow();
    await natted(seen);
    keep(way);
    clock.advance(0);
    expect(told).toEqual(["pong 0", "mapped 203.0.113.7:40001 before nothing"]);
    seen.port = 40_777;
    clock.advance(INTERVAL_MS);
    expect(told.slice(2)).toEqual(["pong 0", "mapped 203.0.113.7:40777 before 203.0.113.7:40001"]);
    clock.advance(INTERVAL_MS);
    expect(told.slice(4)).toEqual(["pong 0"]);
  });

  test("a peer that stops answering is told after five sendings, and asked on", async () => {
    const way = await flow();
    let knows = true;
    const arrived = await natted({ address: BOX, port: 5070 }, () => knows);
    keep(way);
    clock.advance(0);
    knows = false;
    told.length = 0;
    arrived.length = 0;
    clock.advance(INTERVAL_MS + GIVEN_UP_MS);
    expect(told).toEqual([expect.stringContaining("failed:")]);
    expect(arrived).toEqual(Array(5).fill("stun"));
    knows = true;
    clock.advance(INTERVAL_MS);
    expect(told.at(-1)).toBe("pong 0");
  });

  test("a peer that knows no STUN gets double CRLFs after two requests in vain, and is no failure", async () => {
    const way = await flow();
    const arrived = await natted({ address: BOX, port: 5070 }, () => false);
    keep(way);
    clock.advance(4 * (INTERVAL_MS + GIVEN_UP_MS));
    expect(told).toEqual([]);
    expect(arrived.filter((each) => each === "stun")).toHaveLength(10);
    expect(arrived.at(-1)).toBe(JSON.stringify("\r\n\r\n"));
  });

  test("somebody else's answer, or one to another question, is none", async () => {
    const way = await flow();
    keep(way);
    const stray = parseStun(bindingRequest("00".repeat(12)));
    const answer =
      stray === undefined
        ? new Uint8Array()
        : (answerBinding(stray, { address: "6.6.6.6", port: 6 }) ?? new Uint8Array());
    network.inject(answer, { address: TRUNK, port: 5060 }, { address: BOX, port: 5070 });
    network.inject(answer, { address: "192.0.2.66", port: 5060 }, { address: BOX, port: 5070 });
    clock.advance(100);
    expect(told).toEqual([]);
  });

  test("a phone that asks the SIP port is told where it is seen; a flood is answered up to a bound", async () => {
    await box.listen({ protocol: "udp", address: BOX, port: 5060 });
    const answers: (Endpoint | undefined)[] = [];
    const phone = await network.datagrams.bind(
      { address: "192.0.2.50", port: 5062 },
      { datagram: (bytes) => void answers.push(parseStun(bytes)?.mapped), failed: () => {} },
    );
    const ask = () => phone.send(bindingRequest("ab".repeat(12)), BOX, 5060, () => {});
    ask();
    clock.advance(0);
    expect(answers).toEqual([{ address: "192.0.2.50", port: 5062 }]);
    for (let i = 0; i < 2000; i++) ask();
    clock.advance(0);
    expect(answers.length).toBeLessThanOrEqual(500);
    expect(box.counters.received).toBe(0);
    clock.advance(1000);
    answers.length = 0;
    ask();
    clock.advance(0);
    expect(answers).toHaveLength(1);
  });

  test("what was stopped asks no more", async () => {
    const way = await flow();
    const arrived = await natted({ address: BOX, port: 5070 });
    const kept = box.keepAlive(way, {});
    clock.advance(0);
    kept.stop();
    clock.advance(10 * INTERVAL_MS);
    expect(arrived).toEqual(["stun"]);
  });
});

describe("TCP and TLS", () => {
  async function connected() {
    const trunk = network.transport();
    await trunk.listen({ protocol: "tcp", address: TRUNK, port: 5060 });
    const closed: (TransportError | undefined)[] = [];
    box.onFlowClosed((_, error) => closed.push(error));
    const connect = () => box.flowTo({ protocol: "tcp", address: TRUNK, port: 5060, local_address: BOX });
    const flow = connect();
    clock.advance(0);
    return { flow, closed, connect };
  }

  test("a ping goes out within 25 s, and the pong is told with its round trip", async () => {
    const { flow } = await connected();
    network.setPaths(BOX, TRUNK, { delay_ms: 30 });
    keep(flow);
    clock.advance(INTERVAL_MS + 60);
    expect(told).toEqual(["pong 60"]);
  });

  test("a peer that used to answer and does not within ten seconds has failed: the flow is closed at once", async () => {
    const { flow, closed } = await connected();
    keep(flow);
    clock.advance(INTERVAL_MS);
    expect(told).toEqual(["pong 0"]);
    network.setPaths(BOX, TRUNK, { cut: "black-hole" });
    clock.advance(INTERVAL_MS + PONG_MS);
    expect(told.at(-1)).toContain("no pong within 10000 ms");
    expect(flow.closed).toBe(true);
    expect(closed).toEqual([expect.objectContaining({ code: "ETIMEDOUT" })]);
  });

  test("that it answers is remembered for its next connection; a peer that never did is not failed for it", async () => {
    const { flow, connect } = await connected();
    network.setPath(TRUNK, BOX, { cut: "black-hole" });
    keep(flow);
    clock.advance(3 * (INTERVAL_MS + PONG_MS));
    expect(flow.closed).toBe(false);
    network.setPath(TRUNK, BOX, {});
    clock.advance(INTERVAL_MS + PONG_MS);
    expect(told.filter((line) => line.startsWith("pong")).length).toBeGreaterThan(0);
    box.close(flow);
    const second = connect();
    clock.advance(0);
    keep(second);
    network.setPaths(BOX, TRUNK, { cut: "black-hole" });
    clock.advance(INTERVAL_MS + PONG_MS);
    expect(second.closed).toBe(true);
  });
});
