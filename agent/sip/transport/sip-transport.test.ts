import { describe, expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import { buildRequest, buildResponse } from "../messages/build.ts";
import { header } from "../messages/headers.ts";
import type { SipMessage, SipRequest } from "../messages/message.ts";
import type { ParseError } from "../messages/parse.ts";
import type { Flow, TransportError } from "./flow.ts";
import { MemoryNetwork } from "./memory-network.ts";
import type { AllowGuard, TransportLimits } from "./transport.ts";

const BOX = "192.0.2.1";
const LTE = "198.51.100.1";
const PEER = "192.0.2.2";

function request(via: string, method = "OPTIONS"): SipRequest {
  return buildRequest({
    method,
    uri: "sip:b@example.com",
    from: "<sip:a@example.com>;tag=1",
    to: "<sip:b@example.com>",
    callId: "c1",
    cseq: 1,
    via,
  });
}

/** The box with sockets on two addresses, and a peer with one; each over UDP and TCP. */
async function site(options: { readonly allow?: AllowGuard; readonly limits?: Partial<TransportLimits> } = {}) {
  const clock = new ManualClock();
  const network = new MemoryNetwork({ clock });
  const box = network.transport(options);
  const peer = network.transport();
  const listeners = [
    await box.listen({ protocol: "udp", address: BOX, port: 5060 }),
    await box.listen({ protocol: "udp", address: LTE, port: 5062 }),
    await box.listen({ protocol: "tcp", address: BOX, port: 5060 }),
  ];
  await peer.listen({ protocol: "udp", address: PEER, port: 5060 });
  await peer.listen({ protocol: "tcp", address: PEER, port: 5060 });
  const atBox: { message: SipMessage; flow: Flow }[] = [];
  const atPeer: { message: SipMessage; flow: Flow }[] = [];
  const malformed: ParseError[] = [];
  const closed: { flow: Flow; error: TransportError | undefined }[] = [];
  box.onMessage((message, flow) => void atBox.push({ message, flow }));
  peer.onMessage((message, flow) => void atPeer.push({ message, flow }));
  box.onMalformed((error) => void malformed.push(error));
  box.onFlowClosed((flow, error) => void closed.push({ flow, error }));
  const toBox = (protocol: "udp" | "tcp") => peer.flowTo({ protocol, address: BOX, port: 5060, local_address: PEER });
  return { clock, network, box, peer, listeners, atBox, atPeer, malformed, closed, toBox };
}

function bytes(text: string): Uint8Array {
  return Buffer.from(text.replaceAll("\n", "\r\n"));
}

describe("the path to leave by", () => {
  test("UDP leaves from the address asked for, and from no other", async () => {
    const { clock, box, atPeer } = await site();
    for (const local_address of [BOX, LTE]) {
      const flow = box.flowTo({ protocol: "udp", address: PEER, port: 5060, local_address });
      expect(flow.local.address).toBe(local_address);
      box.send(flow, request("SIP/2.0/UDP x;branch=z9hG4bK1"));
    }
    clock.advance(0);
    expect(atPeer.map(({ flow }) => flow.remote)).toEqual([
      { address: BOX, port: 5060 },
      { address: LTE, port: 5062 },
    ]);
  });

  test("an address that is not bound, a wrong port or a socket that has closed gives no flow", async () => {
    const { clock, box, atPeer, listeners } = await site();
    const codes: string[] = [];
    const attempt = (flow: Flow) => {
      expect(flow.closed).toBe(true);
      box.send(flow, request("SIP/2.0/UDP x;branch=z9hG4bK1"), ({ code }) => void codes.push(code));
    };
    const to = { protocol: "udp", address: PEER, port: 5060 } as const;
    attempt(box.flowTo({ ...to, local_address: "203.0.113.9" }));
    attempt(box.flowTo({ ...to, local_address: BOX, local_port: 5062 }));
    attempt(box.flowTo({ ...to, address: "pbx.example.com" }));
    const standing = box.flowTo({ ...to, local_address: LTE });
    expect(standing.closed).toBe(false);
    await listeners[1]?.close();
    attempt(standing);
    attempt(box.flowTo({ ...to, local_address: LTE }));
    clock.advance(0);
    expect(codes).toEqual(["ENOSOCKET", "ENOSOCKET", "EINVAL", "ECLOSED", "ENOSOCKET"]);
    expect(atPeer).toEqual([]);
  });

  test("without an address asked for, a socket of the same family is taken", async () => {
    const { box } = await site();
    await box.listen({ protocol: "udp", address: "2001:db8::1", port: 5060 });
    const to = (address: string) => box.flowTo({ protocol: "udp", address, port: 5060 }).local.address;
    expect([to(PEER), to("2001:DB8:0::2")]).toEqual([BOX, "2001:db8::1"]);
  });

  test("the same UDP ends are the same flow, in and out", async () => {
    const { clock, box, peer, atBox, toBox } = await site();
    peer.send(toBox("udp"), request("SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK1"));
    clock.advance(0);
    const flow = box.flowTo({ protocol: "udp", address: PEER, port: 5060, local_address: BOX });
    expect(atBox[0]?.flow).toBe(flow);
    expect(flow.id).toBe("udp:192.0.2.1:5060>192.0.2.2:5060");
  });

  test("an occupied port is refused with sip.listen", async () => {
    const { box } = await site();
    await expect(box.listen({ protocol: "udp", address: BOX, port: 5060 })).rejects.toMatchObject({
      code: "sip.listen",
    });
    await expect(box.listen({ protocol: "tls", address: BOX, port: 5061 })).rejects.toMatchObject({
      code: "sip.listen",
    });
  });
});

describe("TCP connections", () => {
  test("are reused between the same ends, and started anew when closed", async () => {
    const { clock, box } = await site();
    const to = { protocol: "tcp", address: PEER, port: 5060, local_address: BOX } as const;
    const flow = box.flowTo(to);
    expect([flow.connected, flow.closed]).toEqual([false, false]);
    expect(box.flowTo(to)).toBe(flow);
    clock.advance(0);
    expect([flow.connected, box.flowTo(to) === flow]).toEqual([true, true]);
    expect(box.flowTo({ ...to, local_address: LTE })).not.toBe(flow);
    box.close(flow);
    expect([flow.connected, flow.closed]).toEqual([false, true]);
    const next = box.flowTo(to);
    expect([next === flow, next.id === flow.id]).toEqual([false, false]);
  });

  test("that came in serve for requests to the same remote port", async () => {
    const { clock, box, peer, atBox, atPeer, toBox } = await site();
    peer.send(toBox("tcp"), request("SIP/2.0/TCP 192.0.2.2;branch=z9hG4bK1"));
    clock.advance(0);
    const { flow } = atBox[0] ?? {};
    if (flow === undefined) throw new Error("nothing came");
    expect(box.flowTo({ protocol: "tcp", ...flow.remote, local_address: BOX })).toBe(flow);
    box.send(flow, request("SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK2"));
    clock.advance(0);
    expect(atPeer).toHaveLength(1);
  });

  test("what is written while connecting goes out in order", async () => {
    const { clock, network, box, atPeer } = await site();
    network.setPaths(BOX, PEER, { delay_ms: 30 });
    const flow = box.flowTo({ protocol: "tcp", address: PEER, port: 5060, local_address: BOX });
    for (const branch of ["1", "2", "3"]) box.send(flow, request(`SIP/2.0/TCP x;branch=z9hG4bK${branch}`));
    clock.advance(89);
    expect(atPeer).toEqual([]);
    clock.advance(1);
    expect(atPeer.map(({ message }) => /branch=z9hG4bK(\d)/.exec(header(message, "Via") ?? "")?.[1])).toEqual([
      "1",
      "2",
      "3",
    ]);
  });

  test("a refusal, a reset and an end in order are told once, each with its reason", async () => {
    const { clock, network, box, peer, closed, toBox } = await site();
    const refused = box.flowTo({ protocol: "tcp", address: PEER, port: 6000, local_address: BOX });
    clock.advance(0);
    const reset = box.flowTo({ protocol: "tcp", address: PEER, port: 5060, local_address: BOX });
    clock.advance(0);
    network.resetConnections(BOX, PEER);
    clock.advance(0);
    const inbound = toBox("tcp");
    clock.advance(0);
    peer.close(inbound);
    clock.advance(0);
    expect(closed.map(({ error }) => error?.code)).toEqual(["ECONNREFUSED", "ECONNRESET", undefined]);
    const later: string[] = [];
    for (const flow of [refused, reset]) box.send(flow, bytes("\n\n"), ({ code }) => void later.push(code));
    clock.advance(0);
    expect(later).toEqual(["ECONNREFUSED", "ECONNRESET"]);
    expect(closed.slice(0, 2).map(({ flow }) => flow)).toEqual([refused, reset]);
    expect(clock.pending).toBe(0);
  });

  test("from one source are limited to eight: who was heard of longest ago makes room for the newest", async () => {
    const { clock, box, peer } = await site();
    const dial = (local_port: number) =>
      peer.flowTo({ protocol: "tcp", address: BOX, port: 5060, local_address: PEER, local_port });
    const flows = Array.from({ length: 8 }, (_, n) => dial(7000 + n));
    for (const flow of flows) {
      peer.send(flow, request("SIP/2.0/TCP x;branch=z9hG4bK1"));
      clock.advance(10);
    }
    const [first, second] = flows;
    if (first !== undefined) peer.send(first, bytes("\n\n"));
    clock.advance(10);
    const ninth = dial(7100);
    clock.advance(0);
    expect(ninth.connected).toBe(true);
    expect(flows.filter((flow) => !flow.connected)).toEqual([second]);
    expect(box.counters.dropped.connection_limit).toBe(1);
  });

  test("altogether are limited too, and a newcomer always gets in: of the silent ones the oldest goes", async () => {
    const { clock, box, network } = await site({ limits: { connections: 4 } });
    const dial = (host: number) =>
      network.transport().flowTo({ protocol: "tcp", address: BOX, port: 5060, local_address: `203.0.113.${host}` });
    const telephone = network.transport();
    const way = telephone.flowTo({ protocol: "tcp", address: BOX, port: 5060, local_address: PEER });
    telephone.send(way, request("SIP/2.0/TCP x;branch=z9hG4bK1"));
    clock.advance(0);
    const flood = Array.from({ length: 30 }, (_, n) => {
      const flow = dial(n + 1);
      clock.advance(1);
      return flow;
    });
    expect(flood.filter((flow) => flow.connected)).toEqual(flood.slice(-3));
    expect(way.connected).toBe(true);
    expect(box.counters.dropped.connection_limit).toBe(27);
  });

  test("a message that trickles is cut off after 5 s for its head, and 5 s for its body", async () => {
    const { clock, box, peer, closed, toBox } = await site();
    const flow = toBox("tcp");
    peer.send(flow, bytes("OPTIONS sip:a SIP/2.0\nVia"));
    clock.advance(4_900);
    peer.send(flow, bytes(": SIP/2.0/TCP x\nContent-Length: 5\n\n"));
    clock.advance(4_900);
    expect(closed).toEqual([]);
    peer.send(flow, bytes("ab"));
    clock.advance(100);
    expect(closed.map(({ error }) => error?.code)).toEqual(["ETIMEDOUT"]);
    expect(box.counters.dropped.slow).toBe(1);
    expect(clock.pending).toBe(0);
  });

  test("an idle connection stays", async () => {
    const { clock, closed, toBox } = await site();
    const flow = toBox("tcp");
    clock.advance(3_600_000);
    expect([flow.connected, closed.length, clock.pending]).toEqual([true, 0, 0]);
  });

  test("a ping gets its pong, and the message parser sees neither", async () => {
    const { clock, box, peer, atBox, toBox } = await site();
    const pongs: Flow[] = [];
    peer.onPong((flow) => void pongs.push(flow));
    const flow = toBox("tcp");
    peer.send(flow, bytes("\n\n"));
    clock.advance(0);
    peer.send(flow, bytes("\n"));
    clock.advance(0);
    peer.send(flow, bytes("\n"));
    clock.advance(0);
    expect(pongs).toEqual([flow, flow]);
    expect([atBox.length, box.counters.received]).toEqual([0, 0]);
  });
});

describe("responses", () => {
  test("go to received and rport by the socket the request came to", async () => {
    const { clock, box, peer, atBox, atPeer } = await site();
    await peer.listen({ protocol: "udp", address: PEER, port: 40_000 });
    const from = peer.flowTo({ protocol: "udp", address: LTE, port: 5062, local_address: PEER, local_port: 40_000 });
    peer.send(from, request("SIP/2.0/UDP 10.0.0.9:5060;rport;branch=z9hG4bK1"));
    clock.advance(0);
    const { message, flow } = atBox[0] ?? {};
    if (message?.kind !== "request" || flow === undefined) throw new Error("nothing came");
    box.send(flow, buildResponse(message, 200));
    clock.advance(0);
    expect(atPeer[0]?.flow.local).toEqual({ address: PEER, port: 40_000 });
    expect(atPeer[0]?.flow.remote).toEqual({ address: LTE, port: 5062 });
  });

  test("without rport go to sent-by's port", async () => {
    const { clock, box, peer, atBox, atPeer } = await site();
    await peer.listen({ protocol: "udp", address: PEER, port: 40_000 });
    const from = peer.flowTo({ protocol: "udp", address: BOX, port: 5060, local_address: PEER, local_port: 40_000 });
    peer.send(from, request("SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK1"));
    clock.advance(0);
    const { message, flow } = atBox[0] ?? {};
    if (message?.kind !== "request" || flow === undefined) throw new Error("nothing came");
    box.send(flow, buildResponse(message, 200));
    clock.advance(0);
    expect(atPeer[0]?.flow.local).toEqual({ address: PEER, port: 5060 });
  });

  test("over TCP go by the same connection, or by a new one from the same address when it is gone", async () => {
    const { clock, network, box, peer, atBox, atPeer, toBox } = await site();
    peer.send(toBox("tcp"), request("SIP/2.0/TCP 192.0.2.2:5060;branch=z9hG4bK1;rport"));
    clock.advance(0);
    const { message, flow } = atBox[0] ?? {};
    if (message?.kind !== "request" || flow === undefined) throw new Error("nothing came");
    const response = buildResponse(message, 200);
    expect(box.flowForResponse(response, flow)).toBe(flow);
    network.resetConnections(BOX, PEER);
    box.send(flow, response);
    clock.advance(0);
    expect(atPeer).toHaveLength(1);
    expect(atPeer[0]?.flow.remote.address).toBe(BOX);
    expect(atPeer[0]?.flow.local.port).toBe(5060);
  });
});

describe("malformed input", () => {
  const answerable = (method: string) =>
    bytes(
      `${method} sip:b@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK1\nMax-Forwards: many\nFrom: <sip:a@a>;tag=1\nTo: <sip:b@b>\nCall-ID: 1\nCSeq: 1 ${method}\nContent-Length: 999\n\n`,
    );

  test("an answerable request gets one 400 and is not handed up", async () => {
    const { clock, box, peer, atBox, atPeer, malformed, toBox } = await site();
    peer.send(toBox("udp"), answerable("OPTIONS"));
    clock.advance(10_000);
    expect(atPeer.map(({ message }) => message.kind === "response" && message.status)).toEqual([400]);
    expect([atBox.length, malformed.length]).toEqual([0, 1]);
    expect(box.counters).toMatchObject({ received: 1, malformed: 1, sent: 1, dropped: { malformed: 0 } });
    expect(clock.pending).toBe(0);
  });

  test("an ACK and garbage get nothing and are counted", async () => {
    const { clock, box, peer, atPeer, malformed, toBox } = await site();
    peer.send(toBox("udp"), answerable("ACK"));
    peer.send(toBox("udp"), bytes("GET / HTTP/1.1\nHost: x\n\n"));
    peer.send(toBox("udp"), bytes("SIP/2.0 abc\n\n"));
    clock.advance(10_000);
    expect([atPeer.length, malformed.length]).toEqual([0, 3]);
    expect(box.counters).toMatchObject({ received: 3, malformed: 3, sent: 0, dropped: { malformed: 3 } });
  });

  test("keep-alives over UDP are no messages", async () => {
    const { clock, box, peer, toBox } = await site();
    for (const keepAlive of ["\n\n", "\n", "\0\0\0\0", "\x00\x01\x00\x00stun"])
      peer.send(toBox("udp"), bytes(keepAlive));
    peer.send(toBox("udp"), new Uint8Array(0));
    clock.advance(0);
    expect(box.counters).toMatchObject({ received: 0, malformed: 0 });
  });

  test("a TCP stream without Content-Length gets a 400, then the connection ends", async () => {
    const { clock, box, peer, atPeer, closed, toBox } = await site();
    const flow = toBox("tcp");
    peer.send(
      flow,
      bytes(
        "OPTIONS sip:b SIP/2.0\nVia: SIP/2.0/TCP 192.0.2.2:5060;branch=z9hG4bK1\nFrom: <sip:a@a>;tag=1\nTo: <sip:b@b>\nCall-ID: 1\nCSeq: 1 OPTIONS\n\n",
      ),
    );
    clock.advance(0);
    expect(atPeer.map(({ message }) => message.kind === "response" && message.status)).toEqual([400]);
    expect(closed.map(({ error }) => error?.code)).toEqual(["EPROTO"]);
    expect([flow.closed, box.counters.dropped.framing]).toEqual([true, 1]);
  });

  test("a request that is too large over TCP gets a 513, and the connection goes on carrying all the others", async () => {
    const { clock, box, peer, atPeer, atBox, closed, toBox } = await site();
    const flow = toBox("tcp");
    const options = (length: number) =>
      `OPTIONS sip:b SIP/2.0\nVia: SIP/2.0/TCP 192.0.2.2:5060;branch=z9hG4bK${length}\nFrom: <sip:a@a>;tag=1\nTo: <sip:b@b>\nCall-ID: 1\nCSeq: 1 OPTIONS\nContent-Length: ${length}\n\n${"y".repeat(length)}`;
    peer.send(flow, bytes(options(100_000) + options(2)));
    clock.advance(0);
    expect(atPeer.map(({ message }) => message.kind === "response" && message.status)).toEqual([513]);
    expect(atBox.map(({ message }) => message.body.length)).toEqual([2]);
    expect([closed.length, flow.closed, box.counters.dropped.framing]).toEqual([0, false, 1]);
  });

  test("a well-framed malformed message leaves the connection standing", async () => {
    const { clock, peer, atPeer, atBox, toBox } = await site();
    const flow = toBox("tcp");
    peer.send(
      flow,
      bytes(
        "OPTIONS sip:b SIP/2.0\nVia: SIP/2.0/TCP 192.0.2.2;branch=z9hG4bK1\nFrom: <sip:a@a>;tag=1\nTo: <sip:b@b>\nCall-ID: 1\nCSeq: 1 OPTIONS x\nContent-Length: 0\n\n",
      ),
    );
    peer.send(flow, request("SIP/2.0/TCP 192.0.2.2;branch=z9hG4bK2"));
    clock.advance(0);
    expect([atBox.length, flow.connected]).toEqual([1, true]);
    expect(atPeer.every(({ message }) => message.kind === "response" && message.status === 400)).toBe(true);
  });
});

describe("the guard", () => {
  const localOnly: AllowGuard = (kind, address) => {
    if (address !== BOX && address !== LTE) throw new Error(`${kind} ${address} forbidden`);
  };

  test("forbids listening, connecting and sending before anything is opened", async () => {
    const { clock, box, atPeer } = await site({ allow: localOnly });
    await expect(box.listen({ protocol: "udp", address: "0.0.0.0", port: 5060 })).rejects.toThrow(
      "listen 0.0.0.0 forbidden",
    );
    expect(() => box.flowTo({ protocol: "tcp", address: PEER, port: 5060 })).toThrow("connect 192.0.2.2 forbidden");
    expect(() => box.flowTo({ protocol: "udp", address: PEER, port: 5060 })).toThrow("send 192.0.2.2 forbidden");
    clock.advance(0);
    expect(atPeer).toEqual([]);
  });

  test("a response goes back to its request's source, wherever the Via would lead it", async () => {
    const { clock, box, peer, atBox, atPeer, toBox } = await site({ allow: localOnly });
    peer.send(toBox("udp"), request("SIP/2.0/UDP 192.0.2.2:5060;maddr=203.0.113.1;branch=z9hG4bK1"));
    clock.advance(0);
    const { message, flow } = atBox[0] ?? {};
    if (message?.kind !== "request" || flow === undefined) throw new Error("nothing came");
    const codes: string[] = [];
    box.send(flow, buildResponse(message, 200), ({ code }) => void codes.push(code));
    clock.advance(0);
    expect([codes, atPeer.length]).toEqual([[], 1]);
  });
});

test("a tap sees the bytes of every message in both directions", async () => {
  const { clock, box, peer, atBox, toBox } = await site();
  const seen: string[] = [];
  box.tap(
    (direction, data, flow) =>
      void seen.push(`${direction} ${flow.protocol} ${Buffer.from(data).toString().split(" ", 2)[0]}`),
  );
  peer.send(toBox("udp"), request("SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK1"));
  clock.advance(0);
  const { message, flow } = atBox[0] ?? {};
  if (message?.kind !== "request" || flow === undefined) throw new Error("nothing came");
  box.send(flow, buildResponse(message, 200));
  expect(seen).toEqual(["in udp OPTIONS", "out udp SIP/2.0"]);
});

test("shutting down closes every flow and leaves no timer", async () => {
  const { clock, box, closed } = await site();
  const udp = box.flowTo({ protocol: "udp", address: PEER, port: 5060, local_address: BOX });
  const connecting = box.flowTo({ protocol: "tcp", address: PEER, port: 5060, local_address: BOX });
  await box.shutdown();
  clock.advance(0);
  expect([udp.closed, connecting.closed, closed.length, clock.pending]).toEqual([true, true, 1, 0]);
});
