import { describe, expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import type { HopFailure } from "../locating/hop-list.ts";
import { buildRequest, buildResponse } from "../messages/build.ts";
import type { SipRequest } from "../messages/message.ts";
import type { Flow } from "../transport/flow.ts";
import { MemoryNetwork } from "../transport/memory-network.ts";
import { requestWithFailover } from "./failover.ts";
import { TransactionLayer } from "./layer.ts";

const US = "192.0.2.100";

interface Server {
  readonly requests: SipRequest[];
  /** Statuses with which it answers; none: it is silent. */
  says: readonly number[];
  headers: readonly { name: string; value: string }[];
}

async function world(count: number) {
  const clock = new ManualClock();
  const network = new MemoryNetwork({ clock });
  const servers: Server[] = [];
  const flows: Flow[] = [];
  const transport = network.transport();
  await transport.listen({ protocol: "udp", address: US, port: 5060 });
  for (let n = 1; n <= count; n++) {
    const address = `192.0.2.${n}`;
    const own = network.transport();
    await own.listen({ protocol: "udp", address, port: 5060 });
    const server: Server = { requests: [], says: [200], headers: [] };
    new TransactionLayer({ transport: own, clock }).onRequest((transaction) => {
      server.requests.push(transaction.request);
      for (const status of server.says) {
        transaction.respond(
          buildResponse(transaction.request, status, { toTag: `s${n}`, headers: [...server.headers] }),
        );
      }
    });
    servers.push(server);
    flows.push(transport.flowTo({ protocol: "udp", address, port: 5060, local_address: US }));
  }
  const layer = new TransactionLayer({ transport, clock });
  const failures: HopFailure[] = [];
  const told: string[] = [];
  const peer = {
    alternative: (tried: readonly Flow[], failure: HopFailure) => {
      failures.push(failure);
      return flows.find((flow) => !tried.includes(flow));
    },
  };
  const send = (method: string, patience_ms?: number) => {
    const request = buildRequest({
      method,
      uri: "sip:x@peer.example",
      from: "<sip:a@b.example>;tag=1",
      to: "<sip:x@peer.example>",
      callId: "c1",
      cseq: 1,
      headers: [],
    });
    const [first] = flows;
    if (first === undefined) throw new Error("no server");
    return requestWithFailover(
      { layer, clock, servers: peer },
      request,
      first,
      {
        onProvisional: ({ status }) => void told.push(`${status}`),
        onFinal: ({ status }, flow) => void told.push(`${status} from ${flow.remote.address}`),
        onTimeout: () => void told.push("timeout"),
        onTransportError: () => void told.push("transport error"),
      },
      patience_ms === undefined ? {} : { patience_ms },
    );
  };
  const server = (n: number) => {
    const found = servers[n - 1];
    if (found === undefined) throw new Error("no such server");
    return found;
  };
  return { clock, network, server, send, told, failures };
}

const METHODS = ["INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE"] as const;

describe("a request to a peer with several servers (RFC 3263 §4.3)", () => {
  test.each(METHODS)("%s: 503 goes on to the next server, under another branch, and is not told", async (method) => {
    const { clock, server, send, told, failures } = await world(2);
    server(1).says = [503];
    server(1).headers = [{ name: "Retry-After", value: "120 (back soon)" }];
    send(method);
    clock.advance(50);
    expect(told).toEqual(["200 from 192.0.2.2"]);
    expect(failures).toEqual([{ kind: "refused", retry_after_s: 120 }]);
    const [one] = server(1).requests;
    const [two] = server(2).requests;
    const via = (request: SipRequest | undefined) => request?.headers[0]?.value;
    expect(via(one)).not.toBe(via(two));
    expect(two?.headers.slice(1)).toEqual(one?.headers.slice(1));
  });

  test.each(METHODS)("%s: a timeout goes on to the next server", async (method) => {
    const { clock, network, send, told } = await world(2);
    network.setPaths(US, "192.0.2.1", { cut: "black-hole" });
    send(method);
    clock.advance(31_000);
    expect(told).toEqual([]);
    clock.advance(1_100);
    expect(told).toEqual(["200 from 192.0.2.2"]);
  });

  test.each(METHODS)("%s: what the network refuses goes on to the next server", async (method) => {
    const { clock, network, send, told, failures } = await world(2);
    network.setPaths(US, "192.0.2.1", { cut: { error: "EHOSTUNREACH" } });
    send(method);
    clock.advance(50);
    expect(failures).toEqual([{ kind: "transport" }]);
    expect(told).toEqual(["200 from 192.0.2.2"]);
  });

  test("any other refusal is the peer's answer", async () => {
    const { clock, server, send, told } = await world(2);
    server(1).says = [486];
    send("INVITE");
    clock.advance(50);
    expect(told).toEqual(["486 from 192.0.2.1"]);
    expect(server(2).requests).toEqual([]);
  });

  test("when every server refuses, the last refusal is told, once", async () => {
    const { clock, server, send, told } = await world(3);
    for (const n of [1, 2, 3]) server(n).says = [503];
    send("INVITE");
    clock.advance(40_000);
    expect(told).toEqual(["503 from 192.0.2.3"]);
  });

  test("a call that is cancelled goes nowhere else", async () => {
    const { clock, server, send, told } = await world(2);
    server(1).says = [180];
    const sent = send("INVITE");
    clock.advance(20);
    sent.cancel();
    server(1).says = [503];
    clock.advance(40_000);
    expect(server(2).requests).toEqual([]);
    expect(told[0]).toBe("180");
    expect(told).toHaveLength(2);
  });

  test("silence beyond the patience tries the next server beside the first", async () => {
    const { clock, network, server, send, told, failures } = await world(2);
    network.setPaths(US, "192.0.2.1", { cut: "black-hole" });
    send("INVITE", 300);
    clock.advance(299);
    expect(server(2).requests).toHaveLength(0);
    clock.advance(50);
    expect(failures).toEqual([{ kind: "silent" }]);
    expect(told).toEqual(["200 from 192.0.2.2"]);
    clock.advance(40_000);
    expect(told).toEqual(["200 from 192.0.2.2"]);
  });

  test("one word is enough to be waited for", async () => {
    const { clock, server, send } = await world(2);
    server(1).says = [100];
    const sent = send("INVITE", 300);
    clock.advance(5_000);
    expect(sent.moveOn()).toBe(false);
    expect(server(2).requests).toHaveLength(0);
  });

  test("with one server everything is as without", async () => {
    const { clock, server, send, told } = await world(1);
    server(1).says = [503];
    send("INVITE", 300);
    clock.advance(50);
    expect(told).toEqual(["503 from 192.0.2.1"]);
  });
});
