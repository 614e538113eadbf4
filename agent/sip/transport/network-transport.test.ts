import { createServer } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { buildRequest, buildResponse } from "../messages/build.ts";
import { header } from "../messages/headers.ts";
import type { SipMessage, SipRequest } from "../messages/message.ts";
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
