import { beforeEach, describe, expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import { buildRequest, buildResponse } from "../messages/build.ts";
import { header } from "../messages/headers.ts";
import type { SipRequest } from "../messages/message.ts";
import { printMessage } from "../messages/print.ts";
import type { Flow } from "../transport/flow.ts";
import { MemoryNetwork } from "../transport/memory-network.ts";
import type { SipTransport } from "../transport/sip-transport.ts";
import type { ClientHandlers } from "./client-transaction.ts";
import { printedBytes } from "./large-request.ts";
import { TransactionLayer } from "./layer.ts";

/** RFC 3261 §18.1.1, between the box and a carrier that listens on UDP and TCP. */
const BOX = "192.0.2.1";
const CARRIER = "192.0.2.2";

let clock: ManualClock;
let network: MemoryNetwork;
let transport: SipTransport;
let carrier: SipTransport;
let udp: Flow;
let stream: Flow | undefined;
let layer: TransactionLayer;
let arrived: string[];
let told: string[];

beforeEach(async () => {
  clock = new ManualClock();
  network = new MemoryNetwork({ clock });
  transport = network.transport();
  carrier = network.transport();
  for (const one of [
    [transport, BOX],
    [carrier, CARRIER],
  ] as const) {
    for (const protocol of ["udp", "tcp"] as const) await one[0].listen({ protocol, address: one[1], port: 5060 });
  }
  udp = transport.flowTo({ protocol: "udp", address: CARRIER, port: 5060, local_address: BOX });
  stream = transport.flowTo({ protocol: "tcp", address: CARRIER, port: 5060, local_address: BOX });
  clock.advance(0);
  layer = new TransactionLayer({ transport, clock, streamBeside: () => stream });
  arrived = [];
  told = [];
  carrier.onMessage((message, { protocol }) => {
    if (message.kind === "request")
      arrived.push(`${message.method} ${protocol} ${header(message, "Via")?.split(" ")[0]}`);
  });
});

const handlers: ClientHandlers = {
  onProvisional: ({ status }) => void told.push(`${status}`),
  onFinal: ({ status }) => void told.push(`${status}`),
  onTimeout: () => void told.push("timeout"),
  onTransportError: ({ code }) => void told.push(code),
};

function invite(body_bytes: number): SipRequest {
  return buildRequest({
    method: "INVITE",
    uri: `sip:911@${CARRIER}`,
    from: "<sip:a@example.com>;tag=1",
    to: "<sip:911@example.com>",
    callId: "c1",
    cseq: 1,
    headers: [{ name: "Content-Type", value: "text/plain" }],
    body: Buffer.alloc(body_bytes, "x"),
  });
}

describe("a request that is too large for a datagram", () => {
  test("goes over the standing connection, with TCP in its Via", () => {
    layer.request(invite(1300), udp, handlers);
    clock.advance(0);
    expect(arrived).toEqual(["INVITE tcp SIP/2.0/TCP"]);
  });

  test("goes over UDP in the same moment where none stands", () => {
    stream = undefined;
    layer.request(invite(1300), udp, handlers);
    clock.advance(0);
    expect(arrived).toEqual(["INVITE udp SIP/2.0/UDP"]);
  });

  test("goes over UDP after all, and nobody is told, when the connection breaks before any answer", () => {
    network.setPath(BOX, CARRIER, { cut: "black-hole" });
    layer.request(invite(1300), udp, handlers);
    network.resetConnections(BOX, CARRIER);
    network.setPath(BOX, CARRIER, {});
    clock.advance(500);
    expect(arrived).toEqual(["INVITE udp SIP/2.0/UDP"]);
    expect(told).toEqual([]);
  });

  test("is told as lost when the connection breaks after an answer: sent again it would ring twice", () => {
    carrier.onMessage((message, flow) => {
      if (message.kind === "request") carrier.send(flow, buildResponse(message, 180));
    });
    layer.request(invite(1300), udp, handlers);
    clock.advance(0);
    network.resetConnections(BOX, CARRIER);
    clock.advance(1000);
    expect(told).toEqual(["180", "ECONNRESET"]);
    expect(arrived).toHaveLength(1);
  });

  test("is not sent again when it was given up meanwhile", () => {
    network.setPath(BOX, CARRIER, { cut: "black-hole" });
    const transaction = layer.request(invite(1300), udp, handlers);
    transaction.abandon();
    network.resetConnections(BOX, CARRIER);
    network.setPath(BOX, CARRIER, {});
    clock.advance(1000);
    expect(arrived).toEqual([]);
  });

  test("its CANCEL follows it", () => {
    carrier.onMessage((message, flow) => {
      if (message.kind === "request" && message.method === "INVITE") carrier.send(flow, buildResponse(message, 180));
    });
    const transaction = layer.request(invite(1300), udp, handlers);
    clock.advance(0);
    transaction.cancel();
    clock.advance(0);
    expect(arrived.at(-1)).toBe("CANCEL tcp SIP/2.0/TCP");
  });
});

test("a small one stays on UDP, whatever stands beside", () => {
  layer.request(invite(300), udp, handlers);
  clock.advance(0);
  expect(arrived).toEqual(["INVITE udp SIP/2.0/UDP"]);
});

test("the bytes are counted as they are printed, a Content-Length aside", () => {
  const request = invite(700);
  request.headers.push({ name: "Subject", value: "Übung" });
  const more = printMessage(request).length - printedBytes(request);
  expect(more).toBeGreaterThanOrEqual(0);
  expect(more).toBeLessThan(30);
});
