import { connect, createServer, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { ManualClock } from "../../base/manual-clock.ts";
import { buildRequest, buildResponse } from "../messages/build.ts";
import { header } from "../messages/headers.ts";
import type { SipMessage, SipRequest } from "../messages/message.ts";
import { printMessage } from "../messages/print.ts";
import type { Flow, TransportError } from "./flow.ts";
import { networkTransport } from "./network-transport.ts";
import type { SipTransport } from "./sip-transport.ts";
import type { AllowGuard, TransportLimits } from "./transport.ts";

/** These use the machine's own loopback sockets; each waits for an event, none for time. */
const open: SipTransport[] = [];

function transport(
  options: { readonly allow?: AllowGuard; readonly limits?: Partial<TransportLimits> } = {},
): SipTransport {
  const made = networkTransport({ clock: systemClock, ...options });
  open.push(made);
  return made;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.shutdown()));
});

function options(via: string): SipRequest {
  return buildRequest({
    method: "OPTIONS",
    uri: "sip:b@example.com",
    from: "<sip:a@example.com>;tag=1",
    to: "<sip:b@example.com>",
    callId: "c1",
    cseq: 1,
    via,
  });
}

function nextMessage(from: SipTransport): Promise<{ message: SipMessage; flow: Flow; bytes: Uint8Array }> {
  return new Promise((resolve) => from.onMessage((message, flow, bytes) => resolve({ message, flow, bytes })));
}

for (const [family, address] of [
  ["IPv4", "127.0.0.1"],
  ["IPv6", "::1"],
] as const) {
  for (const protocol of ["udp", "tcp"] as const) {
    test(`a request and its response cross ${protocol} over ${family}`, async () => {
      const a = transport();
      const b = transport();
      await a.listen({ protocol, address, port: 0 });
      const at = await b.listen({ protocol, address, port: 0 });
      const arrived = nextMessage(b);
      const answered = nextMessage(a);
      const flow = a.flowTo({ protocol, address, port: at.port, local_address: address });
      a.send(flow, options(`SIP/2.0/${protocol.toUpperCase()} pc.example.com;branch=z9hG4bKx;rport`));
      const { message, flow: back } = await arrived;
      expect(message.kind).toBe("request");
      expect(header(message, "Via")).toContain(`received=${address}`);
      expect(header(message, "Via")).toContain(`rport=${back.remote.port}`);
      if (message.kind === "request") b.send(back, buildResponse(message, 200));
      expect((await answered).message).toMatchObject({ kind: "response", status: 200 });
      expect((await answered).flow.remote).toEqual({ address, port: at.port });
    });
  }
}

describe("errors come at once", () => {
  test("a UDP destination without a route is told within a turn of the event loop", async () => {
    const a = transport();
    await a.listen({ protocol: "udp", address: "127.0.0.1", port: 0 });
    // A socket bound to loopback cannot reach another network: the kernel refuses the datagram itself.
    const flow = a.flowTo({ protocol: "udp", address: "192.0.2.1", port: 5060, local_address: "127.0.0.1" });
    let turned = false;
    setImmediate(() => {
      turned = true;
    });
    const error = await new Promise<TransportError>((resolve) => a.send(flow, new Uint8Array([65]), resolve));
    expect(["EINVAL", "ENETUNREACH", "EHOSTUNREACH", "EPERM"]).toContain(error.code);
    expect(turned).toBe(false);
    expect(a.counters.dropped.send_error).toBe(1);
  });

  test("a refused TCP connection closes its flow with ECONNREFUSED", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const bound = server.address();
    const port = bound !== null && typeof bound === "object" ? bound.port : 0;
    await new Promise<void>((resolve) => server.close(() => resolve()));
    const a = transport();
    const closed = new Promise<TransportError | undefined>((resolve) => a.onFlowClosed((_, error) => resolve(error)));
    const flow = a.flowTo({ protocol: "tcp", address: "127.0.0.1", port, local_address: "127.0.0.1" });
    expect(flow.connected).toBe(false);
    expect(await closed).toMatchObject({ code: "ECONNREFUSED" });
    expect(flow.closed).toBe(true);
  });

  test("a local address that is not on the machine is refused, not replaced", async () => {
    const a = transport();
    await a.listen({ protocol: "udp", address: "127.0.0.1", port: 0 });
    const udp = a.flowTo({ protocol: "udp", address: "127.0.0.1", port: 5060, local_address: "192.0.2.9" });
    expect(udp.closed).toBe(true);
    const error = await new Promise<TransportError>((resolve) => a.send(udp, new Uint8Array([65]), resolve));
    expect(error.code).toBe("ENOSOCKET");
    const closed = new Promise<TransportError | undefined>((resolve) => a.onFlowClosed((_, reason) => resolve(reason)));
    a.flowTo({ protocol: "tcp", address: "127.0.0.1", port: 5060, local_address: "192.0.2.9" });
    expect(await closed).toMatchObject({ code: "EADDRNOTAVAIL" });
  });
});

describe("TCP peers that misbehave", () => {
  async function listening(limits: Partial<TransportLimits> = {}) {
    const b = transport({ limits });
    const at = await b.listen({ protocol: "tcp", address: "127.0.0.1", port: 0 });
    return { b, at };
  }

  function dial(port: number): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port }, () => resolve(socket));
      socket.on("error", reject);
    });
  }

  function ended(socket: Socket): Promise<void> {
    return new Promise((resolve) => {
      socket.resume();
      socket.on("close", () => resolve());
    });
  }

  test("a reset by the peer closes the flow", async () => {
    const { b, at } = await listening();
    const closed = new Promise<Flow>((resolve) => b.onFlowClosed((flow) => resolve(flow)));
    const socket = await dial(at.port);
    socket.resetAndDestroy();
    expect((await closed).closed).toBe(true);
  });

  test("an end by the peer closes the flow we opened", async () => {
    const server = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const bound = server.address();
    const a = transport();
    const closed = new Promise<TransportError | undefined>((resolve) => a.onFlowClosed((_, error) => resolve(error)));
    const flow = a.flowTo({
      protocol: "tcp",
      address: "127.0.0.1",
      port: bound !== null && typeof bound === "object" ? bound.port : 0,
    });
    expect(await closed).toBeUndefined();
    expect(flow.closed).toBe(true);
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });

  test("the ninth connection of one source takes the place of the one that never said anything, the others stay", async () => {
    const { b, at } = await listening();
    let heard = nextMessage(b);
    const speaking = await dial(at.port);
    speaking.write(printMessage(options("SIP/2.0/TCP x;branch=z9hG4bKx")));
    await heard;
    const silent = await dial(at.port);
    const sockets: Socket[] = [];
    for (let n = 2; n < 8; n++) sockets.push(await dial(at.port));
    const gone = ended(silent);
    const ninth = await dial(at.port);
    await gone;
    expect(b.counters.dropped.connection_limit).toBe(1);
    heard = nextMessage(b);
    ninth.write(printMessage(options("SIP/2.0/TCP x;branch=z9hG4bKy")));
    await heard;
    sockets.push(speaking, ninth);
    expect(sockets.every((socket) => !socket.destroyed)).toBe(true);
    for (const socket of sockets) socket.destroy();
  });

  test("who was refused and never ends its half is cut off, and holds its place until then", async () => {
    const clock = new ManualClock();
    const b = networkTransport({ clock });
    open.push(b);
    const at = await b.listen({ protocol: "tcp", address: "127.0.0.1", port: 0 });
    const stubborn = (): Promise<Socket> =>
      new Promise((resolve, reject) => {
        const socket = connect({ host: "127.0.0.1", port: at.port, allowHalfOpen: true });
        socket.on("error", () => {});
        socket.once("error", reject);
        socket.on("end", () => resolve(socket));
        socket.resume();
        socket.write("OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP x\r\n\r\n");
      });
    /** It is told of the reset only once it writes. */
    const cut = (socket: Socket) =>
      new Promise<void>((resolve) => {
        socket.once("close", resolve);
        const write = () => {
          if (!socket.destroyed) socket.write("x", () => setImmediate(write));
        };
        write();
      });
    const refused: Socket[] = [];
    for (let n = 0; n < 9; n++) refused.push(await stubborn());
    const [first] = refused;
    if (first === undefined) throw new Error("nothing was refused");
    await cut(first);
    expect(b.counters.dropped).toMatchObject({ framing: 9, connection_limit: 1 });
    clock.advance(2_000);
    await Promise.all(refused.slice(1).map(cut));
    expect(clock.pending).toBe(0);
  });

  test("a message in pieces of one byte is put together, its answer comes back on the connection", async () => {
    const { b, at } = await listening();
    b.onMessage((message, flow) => {
      if (message.kind === "request") b.send(flow, buildResponse(message, 200));
    });
    const socket = await dial(at.port);
    const answer = new Promise<string>((resolve) => socket.once("data", (data) => resolve(data.toString())));
    socket.setNoDelay(true);
    for (const byte of printMessage(options("SIP/2.0/TCP 10.0.0.1;branch=z9hG4bK1;rport"))) {
      await new Promise<void>((written) => socket.write(Uint8Array.of(byte), () => written()));
    }
    expect(await answer).toMatch(/^SIP\/2\.0 200 OK\r\nVia: SIP\/2\.0\/TCP 10\.0\.0\.1;/);
    socket.destroy();
  });

  test("a message that never ends costs its connection", async () => {
    const { b, at } = await listening({ message_ms: 30 });
    const socket = await dial(at.port);
    socket.write("OPTIONS sip:a SIP/2.0\r\nVia");
    await ended(socket);
    expect(b.counters.dropped.slow).toBe(1);
  });

  test("a peer that does not read is told as ENOBUFS, not kept in memory", async () => {
    const { b, at } = await listening({ unsent_bytes: 200_000 });
    const arrived = nextMessage(b);
    const socket = await dial(at.port);
    socket.pause();
    socket.write(printMessage(options("SIP/2.0/TCP 10.0.0.1;branch=z9hG4bK1")));
    const { flow } = await arrived;
    const errors: TransportError[] = [];
    const chunk = new Uint8Array(60_000);
    while (errors.length === 0) {
      b.send(flow, chunk, (error) => errors.push(error));
      await new Promise((turn) => setImmediate(turn));
    }
    expect(errors[0]?.code).toBe("ENOBUFS");
    socket.destroy();
  });
});

test("200 phones that send in the same moment are all heard", async () => {
  const a = transport();
  const b = transport();
  await a.listen({ protocol: "udp", address: "127.0.0.1", port: 0 });
  const at = await b.listen({ protocol: "udp", address: "127.0.0.1", port: 0 });
  let heard = 0;
  const all = new Promise<void>((resolve) => {
    b.onMessage(() => {
      heard++;
      if (heard === 200) resolve();
    });
  });
  const flow = a.flowTo({ protocol: "udp", address: "127.0.0.1", port: at.port, local_address: "127.0.0.1" });
  const message = options("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1");
  for (let n = 0; n < 200; n++) a.send(flow, message);
  await all;
  expect(heard).toBe(200);
});
