import { beforeEach, expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import { MemoryNetwork } from "../../sip/transport/memory-network.ts";
import type { SipTransport } from "../../sip/transport/sip-transport.ts";
import { StreamBeside } from "./stream-beside.ts";

const BOX = "192.0.2.1";
const CARRIER = "192.0.2.2";
const THERE = { protocol: "tcp", address: CARRIER, port: 5060, local_address: BOX } as const;
const TEN_MIN_MS = 600_000;

let clock: ManualClock;
let network: MemoryNetwork;
let carrier: SipTransport;
let beside: StreamBeside;
let connections: number;

beforeEach(() => {
  clock = new ManualClock();
  network = new MemoryNetwork({ clock });
  const transport = network.transport();
  carrier = network.transport();
  beside = new StreamBeside({ clock, transport });
  connections = 0;
  transport.onFlowClosed((flow) => {
    connections++;
    beside.flowClosed(flow);
  });
});

test("stands once the peer has answered and takes connections", async () => {
  await carrier.listen({ protocol: "tcp", address: CARRIER, port: 5060 });
  expect(beside.flow).toBeUndefined();
  beside.stand(THERE);
  expect(beside.flow).toBeUndefined();
  clock.advance(0);
  expect(beside.flow?.remote).toEqual({ address: CARRIER, port: 5060 });
});

test("a peer that takes none is asked again after ten minutes, not at every answer", async () => {
  for (let i = 0; i < 50; i++) {
    beside.stand(THERE);
    clock.advance(1000);
  }
  expect(connections).toBe(1);
  await carrier.listen({ protocol: "tcp", address: CARRIER, port: 5060 });
  clock.advance(TEN_MIN_MS);
  expect(beside.flow).toBeDefined();
});

test("a connection that was lost is made anew within seconds", async () => {
  await carrier.listen({ protocol: "tcp", address: CARRIER, port: 5060 });
  beside.stand(THERE);
  clock.advance(0);
  beside.stand(THERE);
  network.resetConnections(BOX, CARRIER);
  expect(beside.flow).toBeUndefined();
  clock.advance(5000);
  expect(beside.flow).toBeDefined();
});

test("another server of the trunk has its own; none is left when it falls", async () => {
  await carrier.listen({ protocol: "tcp", address: CARRIER, port: 5060 });
  await carrier.listen({ protocol: "tcp", address: CARRIER, port: 5062 });
  beside.stand(THERE);
  clock.advance(0);
  beside.stand({ ...THERE, port: 5062 });
  clock.advance(0);
  expect(beside.flow?.remote.port).toBe(5062);
  beside.fall();
  expect(beside.flow).toBeUndefined();
  clock.advance(TEN_MIN_MS);
  expect(beside.flow).toBeUndefined();
});
