import { describe, expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import { startAccept2xx } from "../dialogs/accept-2xx.ts";
import { buildRequest, buildResponse } from "../messages/build.ts";
import { header, headerValues, removeHeader, setHeader } from "../messages/headers.ts";
import type { SipRequest, SipResponse } from "../messages/message.ts";
import type { TransportError } from "../transport/flow.ts";
import { MemoryNetwork } from "../transport/memory-network.ts";
import type { ClientHandlers } from "./client-transaction.ts";
import { TransactionLayer } from "./layer.ts";
import type { ServerTransaction } from "./server-transaction.ts";

const ALICE = "192.0.2.1";
const BOB = "192.0.2.2";
let calls = 0;

function request(method: string, parts: { readonly branch?: string } = {}): SipRequest {
  return buildRequest({
    method,
    uri: `sip:bob@${BOB}`,
    from: "<sip:alice@example.com>;tag=a1",
    to: "<sip:bob@example.com>",
    callId: `call-${++calls}`,
    cseq: 1,
    ...(parts.branch === undefined ? {} : { via: `SIP/2.0/UDP ${ALICE}:5060;branch=${parts.branch}` }),
  });
}

interface Seen {
  provisional: number[];
  final: number[];
  finals: SipResponse[];
  timeouts: number;
  errors: TransportError[];
}

function watcher(): Seen & { handlers: ClientHandlers } {
  const seen: Seen = { provisional: [], final: [], finals: [], timeouts: 0, errors: [] };
  return Object.assign(seen, {
    handlers: {
      onProvisional: (response: SipResponse) => void seen.provisional.push(response.status),
      onFinal: (response: SipResponse) => {
        seen.final.push(response.status);
        seen.finals.push(response);
      },
      onTimeout: () => void seen.timeouts++,
      onTransportError: (error: TransportError) => void seen.errors.push(error),
    },
  });
}

async function pair(protocol: "udp" | "tcp" = "udp") {
  const clock = new ManualClock();
  const network = new MemoryNetwork({ clock });
  const aliceTransport = network.transport();
  const bobTransport = network.transport();
  await aliceTransport.listen({ protocol, address: ALICE, port: 5060 });
  await bobTransport.listen({ protocol, address: BOB, port: 5060 });
  const alice = new TransactionLayer({ transport: aliceTransport, clock });
  const bob = new TransactionLayer({ transport: bobTransport, clock });
  const toBob = aliceTransport.flowTo({ protocol, address: BOB, port: 5060, local_address: ALICE });
  const transactions: ServerTransaction[] = [];
  const acks: SipRequest[] = [];
  bob.onRequest((transaction) => void transactions.push(transaction));
  bob.onAck((ack) => void acks.push(ack));
  const sentByAlice: string[] = [];
  const sentByBob: string[] = [];
  const firstWords = (bytes: Uint8Array) => Buffer.from(bytes).toString().replace("SIP/2.0 ", "").split(" ", 1)[0];
  aliceTransport.tap((direction, bytes) => {
    if (direction === "out") sentByAlice.push(`${clock.now()} ${firstWords(bytes)}`);
  });
  bobTransport.tap((direction, bytes) => {
    if (direction === "out") sentByBob.push(`${clock.now()} ${firstWords(bytes)}`);
  });
  return {
    clock,
    network,
    aliceTransport,
    bobTransport,
    alice,
    bob,
    toBob,
    transactions,
    acks,
    sentByAlice,
    sentByBob,
  };
}

describe("a request and its response", () => {
  for (const protocol of ["udp", "tcp"] as const) {
    test(`OPTIONS is answered over ${protocol} and nothing stays behind`, async () => {
      const { clock, alice, bob, toBob, transactions } = await pair(protocol);
      const seen = watcher();
      alice.request(request("OPTIONS"), toBob, seen.handlers);
      clock.advance(1);
      const [transaction] = transactions;
      transaction?.respond(buildResponse(transaction.request, 200));
      clock.advance(1);
      expect(seen.final).toEqual([200]);
      clock.advance(32_000);
      expect(clock.pending).toBe(0);
      expect([alice.size, bob.size]).toEqual([
        { clients: 0, servers: 0 },
        { clients: 0, servers: 0 },
      ]);
    });
  }
});

function only(transactions: readonly ServerTransaction[]): ServerTransaction {
  const [transaction] = transactions;
  if (transaction === undefined || transactions.length !== 1) throw new Error(`${transactions.length} transactions`);
  return transaction;
}

describe("INVITE client", () => {
  test("repeats by Timer A and gives up by Timer B", async () => {
    const { clock, network, alice, toBob, sentByAlice } = await pair();
    network.setPath(ALICE, BOB, { cut: "black-hole" });
    const seen = watcher();
    alice.request(request("INVITE"), toBob, seen.handlers);
    clock.advance(31_999);
    expect(sentByAlice).toEqual([0, 500, 1500, 3500, 7500, 15_500, 31_500].map((at) => `${at} INVITE`));
    expect(seen.timeouts).toBe(0);
    clock.advance(1);
    expect(seen).toMatchObject({ timeouts: 1, errors: [], final: [] });
    expect(clock.pending).toBe(0);
  });

  test("keeps a paced schedule, then Timer A's pace", async () => {
    const { clock, network, alice, toBob, sentByAlice } = await pair();
    network.setPath(ALICE, BOB, { cut: "black-hole" });
    alice.request(request("INVITE"), toBob, watcher().handlers, { retransmit_at_ms: [40, 80, 130, 200] });
    clock.advance(2000);
    expect(sentByAlice).toEqual([0, 40, 80, 130, 200, 700, 1700].map((at) => `${at} INVITE`));
  });

  test("a lost INVITE is repaired by the paced repetition within milliseconds", async () => {
    const { clock, network, alice, toBob, transactions } = await pair();
    network.setPath(ALICE, BOB, { loss: 1 });
    alice.request(request("INVITE"), toBob, watcher().handlers, { retransmit_at_ms: [40, 80] });
    clock.advance(39);
    network.setPath(ALICE, BOB, {});
    clock.advance(1);
    expect(transactions).toHaveLength(1);
  });

  test("each 2xx of a forked INVITE is handed up, and Timer M ends the transaction", async () => {
    const { clock, alice, toBob, transactions } = await pair();
    const seen = watcher();
    const client = alice.request(request("INVITE"), toBob, seen.handlers);
    clock.advance(1);
    const server = only(transactions);
    server.respond(buildResponse(server.request, 200, { toTag: "fork-1" }));
    clock.advance(100);
    server.respond(buildResponse(server.request, 200, { toTag: "fork-2" }));
    clock.advance(100);
    expect(seen.finals.map((response) => /tag=(.*)/.exec(header(response, "To") ?? "")?.[1])).toEqual([
      "fork-1",
      "fork-2",
    ]);
    expect(client.state).toBe("Accepted");
    clock.advance(32_000);
    expect(client.state).toBe("Terminated");
    expect(clock.pending).toBe(0);
  });

  test("a final other than 2xx gets its ACK from the layer, with the INVITE's branch and Route", async () => {
    const { clock, alice, bob, toBob, transactions, acks, bobTransport } = await pair();
    const got: SipRequest[] = [];
    bobTransport.onMessage((message) => {
      if (message.kind === "request") got.push(message);
    });
    const invite = request("INVITE");
    invite.headers.push({ name: "Route", value: "<sip:proxy.example.com;lr>" });
    alice.request(invite, toBob, watcher().handlers);
    clock.advance(1);
    const server = only(transactions);
    server.respond(buildResponse(server.request, 486, { toTag: "b1" }));
    clock.advance(1);
    const ack = got.find(({ method }) => method === "ACK");
    if (ack === undefined) throw new Error("no ACK");
    expect(headerValues(ack, "Via")).toEqual(headerValues(server.request, "Via"));
    expect(header(ack, "Route")).toBe("<sip:proxy.example.com;lr>");
    expect(header(ack, "To")).toContain("tag=b1");
    expect(server.state).toBe("Confirmed");
    expect(acks).toEqual([]);
    clock.advance(40_000);
    expect([clock.pending, alice.size.clients, bob.size.servers]).toEqual([0, 0, 0]);
  });

  test("the message given is left as it was; what goes out asks for rport (RFC 3581 §3) under a branch of its own", async () => {
    const { alice, toBob } = await pair();
    const invite = request("INVITE");
    const before = JSON.stringify(invite.headers);
    const client = alice.request(invite, toBob, watcher().handlers);
    expect(JSON.stringify(invite.headers)).toBe(before);
    expect(headerValues(client.request, "Via")).toHaveLength(1);
    expect(header(client.request, "Via")).toMatch(
      /^SIP\/2\.0\/UDP 192\.0\.2\.1:5060;rport;branch=z9hG4bK[a-z0-9]{16}$/,
    );
  });

  test("a response with a Via more than its request had is a stray one (§8.1.3.3)", async () => {
    const { clock, alice, toBob, transactions } = await pair();
    const seen = watcher();
    const strays: number[] = [];
    alice.onStrayResponse((response) => void strays.push(response.status));
    alice.request(request("OPTIONS"), toBob, seen.handlers);
    clock.advance(1);
    const server = only(transactions);
    const response = buildResponse(server.request, 200);
    response.headers.splice(1, 0, { name: "Via", value: "SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKother" });
    server.respond(response);
    clock.advance(1);
    expect([seen.final, strays]).toEqual([[], [200]]);
  });

  test("a response counts for the request whose branch and method it bears, and for no other (§17.1.3)", async () => {
    const { clock, alice, bobTransport, toBob, transactions } = await pair();
    const [invite, options] = [watcher(), watcher()];
    const strays: string[] = [];
    alice.onStrayResponse((response) => void strays.push(header(response, "CSeq") ?? ""));
    alice.request(request("INVITE"), toBob, invite.handlers);
    alice.request(request("OPTIONS"), toBob, options.handlers);
    clock.advance(1);
    const [first, second] = transactions;
    if (first === undefined || second === undefined) throw new Error("not both have arrived");
    const send = (status: number, of: ServerTransaction, changes: Readonly<Record<string, string>>) => {
      const response = buildResponse(of.request, status);
      for (const [name, value] of Object.entries(changes)) setHeader(response, name, value);
      bobTransport.send(of.flow, response);
      clock.advance(1);
    };
    send(480, first, { CSeq: "1 OPTIONS" });
    send(481, second, { CSeq: "1 INVITE" });
    send(482, second, { Via: (header(second.request, "Via") ?? "").replace(/branch=z9hG4bK./, "branch=z9hG4bK") });
    expect([strays, invite.final, options.final]).toEqual([["1 OPTIONS", "1 INVITE", "1 OPTIONS"], [], []]);
    send(200, second, {});
    send(486, first, {});
    expect([invite.final, options.final]).toEqual([[486], [200]]);
  });

  test("an abandoned transaction sends and tells nothing more, and a late response is a stray one", async () => {
    const { clock, alice, toBob, transactions, sentByAlice } = await pair();
    const seen = watcher();
    const strays: number[] = [];
    alice.onStrayResponse((response) => void strays.push(response.status));
    const client = alice.request(request("INVITE"), toBob, seen.handlers);
    clock.advance(1);
    client.abandon();
    const server = only(transactions);
    server.respond(buildResponse(server.request, 200));
    clock.advance(40_000);
    expect(sentByAlice).toEqual(["0 INVITE"]);
    expect([seen.final, strays]).toEqual([[], [200]]);
    expect(clock.pending).toBe(0);
  });
});

describe("an INVITE of an earlier process", () => {
  test.each([
    ["proceeding", ["0 CANCEL"]],
    ["calling", ["0 INVITE"]],
    ["lost", []],
  ] as const)("is taken up under its old branch: %s", async (resumed, sent) => {
    const { clock, alice, toBob, transactions, sentByAlice } = await pair();
    const first = alice.request(request("INVITE"), toBob, watcher().handlers);
    clock.advance(10);
    const server = only(transactions);
    server.onCancel(() => server.respond(buildResponse(server.request, 487)));
    if (resumed === "proceeding") server.respond(buildResponse(server.request, 180));
    clock.advance(10);
    first.abandon();
    sentByAlice.length = 0;
    const seen = watcher();
    alice.resumeInvite(first.request, toBob, seen.handlers, resumed).cancel();
    expect(sentByAlice.map((line) => line.replace(/^\d+/, "0"))).toEqual(sent);
    if (resumed === "lost") server.respond(buildResponse(server.request, 180));
    clock.advance(300);
    expect(transactions).toHaveLength(1);
    expect(seen.final).toEqual([487]);
  });
});

describe("CANCEL", () => {
  test("is held until the first provisional, then ends the call with 487", async () => {
    const { clock, network, alice, bob, toBob, transactions, sentByAlice } = await pair();
    network.setPath(ALICE, BOB, { delay_ms: 50 });
    const seen = watcher();
    let cancels = 0;
    bob.onRequest((transaction) => {
      transactions.push(transaction);
      transaction.onCancel(() => {
        cancels++;
        transaction.respond(buildResponse(transaction.request, 487));
      });
    });
    const client = alice.request(request("INVITE"), toBob, seen.handlers);
    client.cancel();
    clock.advance(240);
    expect(sentByAlice).toEqual(["0 INVITE"]);
    clock.advance(200);
    // The server's own 100 after 200 ms lets it go.
    expect(sentByAlice).toEqual(["0 INVITE", "250 CANCEL", "300 ACK"]);
    expect([cancels, seen.final]).toEqual([1, [487]]);
    clock.advance(64_000);
    expect([clock.pending, alice.size.clients, bob.size.servers]).toEqual([0, 0, 0]);
  });

  test("that crosses a 200 changes nothing: the 2xx is handed up", async () => {
    const { clock, network, alice, toBob, transactions } = await pair();
    network.setPaths(ALICE, BOB, { delay_ms: 50 });
    const seen = watcher();
    const client = alice.request(request("INVITE"), toBob, seen.handlers);
    clock.advance(60);
    const server = only(transactions);
    let cancelled = false;
    server.onCancel(() => {
      cancelled = true;
    });
    server.respond(buildResponse(server.request, 180));
    clock.advance(60);
    client.cancel();
    server.respond(buildResponse(server.request, 200));
    clock.advance(120);
    expect([seen.final, cancelled]).toEqual([[200], false]);
    clock.advance(64_000);
    expect(clock.pending).toBe(0);
  });

  test("that matches nothing gets 481", async () => {
    const { clock, aliceTransport, toBob, sentByBob } = await pair();
    aliceTransport.send(toBob, request("CANCEL", { branch: "z9hG4bKnone" }));
    clock.advance(1);
    expect(sentByBob).toEqual(["0 481"]);
  });

  test("of another request than INVITE gets 200 and stops nothing (§9.2)", async () => {
    const { clock, aliceTransport, toBob, transactions, sentByBob } = await pair();
    aliceTransport.send(toBob, request("MESSAGE", { branch: "z9hG4bKm" }));
    clock.advance(1);
    const server = only(transactions);
    let told = false;
    server.onCancel(() => {
      told = true;
    });
    server.respond(buildResponse(server.request, 100));
    aliceTransport.send(toBob, request("CANCEL", { branch: "z9hG4bKm" }));
    clock.advance(1);
    expect(sentByBob.map((sent) => sent.split(" ")[1])).toEqual(["100", "200"]);
    expect([told, server.state]).toEqual([false, "Proceeding"]);
  });

  test("gets 200 with the To tag of the INVITE's responses, and its Reason goes along", async () => {
    const { clock, alice, toBob, transactions, aliceTransport } = await pair();
    const oks: SipResponse[] = [];
    aliceTransport.onMessage((message) => {
      if (message.kind === "response" && header(message, "CSeq")?.endsWith("CANCEL")) oks.push(message);
    });
    const client = alice.request(request("INVITE"), toBob, watcher().handlers);
    clock.advance(1);
    const server = only(transactions);
    let reason: string | undefined;
    server.onCancel((cancel) => {
      reason = header(cancel, "Reason");
    });
    server.respond(buildResponse(server.request, 180, { toTag: "b7" }));
    clock.advance(1);
    client.cancel([{ name: "Reason", value: "SIP;cause=200" }]);
    clock.advance(1);
    expect(oks).toHaveLength(1);
    expect(oks[0]?.status).toBe(200);
    expect(oks[0] && header(oks[0], "To")).toContain("tag=b7");
    expect(reason).toBe("SIP;cause=200");
  });

  test("that the peer answers but does not act upon ends the INVITE after 64*T1", async () => {
    const { clock, alice, toBob, transactions } = await pair();
    const seen = watcher();
    const client = alice.request(request("INVITE"), toBob, seen.handlers);
    clock.advance(1);
    const server = only(transactions);
    server.respond(buildResponse(server.request, 180));
    clock.advance(999);
    client.cancel();
    clock.advance(31_999);
    expect(seen.timeouts).toBe(0);
    clock.advance(1);
    expect(seen.timeouts).toBe(1);
  });
});

describe("server transactions", () => {
  test("a silent user is covered by a 100 after 200 ms", async () => {
    const { clock, alice, toBob, sentByBob } = await pair();
    const seen = watcher();
    alice.request(request("INVITE"), toBob, seen.handlers);
    clock.advance(300);
    expect([sentByBob, seen.provisional]).toEqual([["200 100"], [100]]);
  });

  test("a repeated request reaches the user once and gets the same bytes again", async () => {
    const { clock, aliceTransport, bobTransport, toBob, transactions } = await pair();
    const out: string[] = [];
    bobTransport.tap((direction, bytes) => {
      if (direction === "out") out.push(Buffer.from(bytes).toString());
    });
    const register = request("REGISTER", { branch: "z9hG4bKr1" });
    aliceTransport.send(toBob, register);
    clock.advance(1);
    const server = only(transactions);
    server.respond(buildResponse(server.request, 200));
    aliceTransport.send(toBob, register);
    aliceTransport.send(toBob, register);
    clock.advance(1);
    expect(transactions).toHaveLength(1);
    expect(out).toHaveLength(3);
    expect(new Set(out).size).toBe(1);
  });

  test("the same branch from another sent-by, and another method, are other transactions", async () => {
    const { clock, aliceTransport, toBob, transactions } = await pair();
    const from = (host: string, method: string) => {
      const made = request(method);
      made.headers.unshift({ name: "Via", value: `SIP/2.0/UDP ${host};branch=z9hG4bKsame;rport` });
      aliceTransport.send(toBob, made);
    };
    from("192.0.2.1:5060", "OPTIONS");
    from("pc.example.com", "OPTIONS");
    from("PC.example.com", "OPTIONS");
    from("192.0.2.1:5060", "INFO");
    clock.advance(1);
    expect(transactions).toHaveLength(3);
  });

  test("a client of RFC 2543 is matched without a branch, its ACK by the To tag", async () => {
    const { clock, aliceTransport, toBob, transactions, acks, sentByBob } = await pair();
    const invite = request("INVITE");
    invite.headers.unshift({ name: "Via", value: "SIP/2.0/UDP 192.0.2.1:5060" });
    aliceTransport.send(toBob, invite);
    aliceTransport.send(toBob, invite);
    clock.advance(1);
    const server = only(transactions);
    server.respond(buildResponse(server.request, 404, { toTag: "b9" }));
    const ackWith = (tag: string): SipRequest => {
      const headers = invite.headers.map((line) =>
        line.name === "To" ? { name: "To", value: `<sip:bob@example.com>;tag=${tag}` } : line,
      );
      const ack: SipRequest = { ...invite, method: "ACK", headers };
      removeHeader(ack, "CSeq");
      ack.headers.push({ name: "CSeq", value: "1 ACK" });
      return ack;
    };
    aliceTransport.send(toBob, ackWith("other"));
    clock.advance(1);
    expect([server.state, acks.length]).toEqual(["Completed", 1]);
    aliceTransport.send(toBob, ackWith("b9"));
    clock.advance(1);
    expect([server.state, acks.length]).toEqual(["Confirmed", 1]);
    expect(sentByBob).toEqual(["1 404"]);
  });

  test("a 2xx repeated by the core stops at the ACK, which the layer hands up", async () => {
    const { clock, network, alice, bob, toBob, transactions, acks, sentByBob } = await pair();
    network.setPath(BOB, ALICE, { cut: "black-hole" });
    let resend: (() => void) | undefined;
    const client = alice.request(request("INVITE"), toBob, {
      ...watcher().handlers,
      onFinal: () => {
        if (resend === undefined) resend = alice.sendAck(request("ACK"), toBob);
        else resend();
      },
    });
    clock.advance(1);
    const server = only(transactions);
    const ok = buildResponse(server.request, 200);
    const accepted = startAccept2xx({ clock, send: () => server.respond(ok), onTimeout: () => {} });
    bob.onAck((ack) => {
      acks.push(ack);
      accepted.acknowledged();
    });
    clock.advance(1600);
    network.setPath(BOB, ALICE, {});
    clock.advance(10_000);
    expect(sentByBob).toEqual(["1 200", "501 200", "1501 200", "3501 200"]);
    expect([acks.length, accepted.state, client.state]).toEqual([1, "Acknowledged", "Accepted"]);
    clock.advance(40_000);
    expect(clock.pending).toBe(0);
  });

  test("a user who throws spoils neither the transaction nor the next one", async () => {
    const clock = new ManualClock();
    const network = new MemoryNetwork({ clock });
    const bobTransport = network.transport();
    await bobTransport.listen({ protocol: "udp", address: BOB, port: 5060 });
    const thrown: unknown[] = [];
    const bob = new TransactionLayer({ transport: bobTransport, clock, onHandlerError: (error) => thrown.push(error) });
    bob.onRequest((transaction) => {
      if (transaction.request.method === "INVITE") throw new Error("mistake");
      transaction.respond(buildResponse(transaction.request, 200));
    });
    const aliceTransport = network.transport();
    await aliceTransport.listen({ protocol: "udp", address: ALICE, port: 5060 });
    const alice = new TransactionLayer({ transport: aliceTransport, clock });
    const toBob = aliceTransport.flowTo({ protocol: "udp", address: BOB, port: 5060 });
    const seen = watcher();
    alice.request(request("INVITE"), toBob, seen.handlers);
    alice.request(request("OPTIONS"), toBob, seen.handlers);
    clock.advance(300);
    expect([seen.final, seen.provisional, thrown.length]).toEqual([[200], [100], 1]);
  });
});

describe("transport errors", () => {
  for (const code of ["ENETUNREACH", "EHOSTUNREACH"]) {
    test(`${code} on UDP ends the request in the same moment`, async () => {
      const { clock, network, alice, toBob } = await pair();
      network.setPath(ALICE, BOB, { cut: { error: code } });
      const seen = watcher();
      alice.request(request("INVITE"), toBob, seen.handlers);
      expect(seen.errors).toEqual([]);
      clock.advance(0);
      expect(seen.errors).toMatchObject([{ code }]);
      expect([clock.pending, alice.size.clients]).toEqual([0, 0]);
    });
  }

  test("a route that goes while an INVITE is repeated ends it with the next repetition", async () => {
    const { clock, network, alice, toBob } = await pair();
    network.setPath(ALICE, BOB, { cut: "black-hole" });
    const seen = watcher();
    alice.request(request("INVITE"), toBob, seen.handlers, { retransmit_at_ms: [40, 80] });
    clock.advance(50);
    network.setPath(ALICE, BOB, { cut: { error: "ENETUNREACH" } });
    clock.advance(30);
    expect(seen.errors).toMatchObject([{ code: "ENETUNREACH" }]);
  });

  test("no socket on the asked local address is an error, never another path", async () => {
    const { clock, alice, aliceTransport, sentByAlice } = await pair();
    const seen = watcher();
    const flow = aliceTransport.flowTo({ protocol: "udp", address: BOB, port: 5060, local_address: "198.51.100.1" });
    alice.request(request("INVITE"), flow, seen.handlers);
    clock.advance(0);
    expect([seen.errors.map(({ code }) => code), sentByAlice]).toEqual([["ENOSOCKET"], []]);
  });

  test("a refused connection ends every request that waits for it", async () => {
    const { clock, alice, aliceTransport } = await pair("tcp");
    const seen = watcher();
    const flow = aliceTransport.flowTo({ protocol: "tcp", address: BOB, port: 5999, local_address: ALICE });
    alice.request(request("INVITE"), flow, seen.handlers);
    alice.request(request("OPTIONS"), flow, seen.handlers);
    clock.advance(0);
    expect(seen.errors.map(({ code }) => code)).toEqual(["ECONNREFUSED", "ECONNREFUSED"]);
    expect([clock.pending, flow.closed]).toEqual([0, true]);
  });

  test("a connection into a black hole is given up after the time for connecting", async () => {
    const { clock, network, alice, toBob } = await pair("tcp");
    network.setPaths(ALICE, BOB, { cut: "black-hole" });
    const seen = watcher();
    alice.request(request("INVITE"), toBob, seen.handlers);
    clock.advance(9_999);
    expect(seen.errors).toEqual([]);
    clock.advance(1);
    expect(seen.errors).toMatchObject([{ code: "ETIMEDOUT" }]);
  });

  test("a lost connection ends requests that wait for a final response, and no others", async () => {
    const { clock, network, alice, toBob, transactions } = await pair("tcp");
    const [calling, ringing, answered] = [watcher(), watcher(), watcher()];
    for (const seen of [calling, ringing, answered]) alice.request(request("INVITE"), toBob, seen.handlers);
    clock.advance(1);
    const [, second, third] = transactions;
    second?.respond(buildResponse(second.request, 180));
    third?.respond(buildResponse(third.request, 200));
    clock.advance(1);
    network.resetConnections(ALICE, BOB);
    expect([calling, ringing, answered].map(({ errors }) => errors.map(({ code }) => code))).toEqual([
      ["ECONNRESET"],
      ["ECONNRESET"],
      [],
    ]);
  });

  test("a response whose connection is gone goes by a new one to the Via's sent-by", async () => {
    const { clock, network, alice, toBob, transactions } = await pair("tcp");
    alice.request(request("OPTIONS"), toBob, watcher().handlers);
    const strays: number[] = [];
    alice.onStrayResponse((response) => void strays.push(response.status));
    clock.advance(1);
    const server = only(transactions);
    network.resetConnections(ALICE, BOB);
    server.respond(buildResponse(server.request, 200));
    clock.advance(1);
    expect(strays).toEqual([200]);
  });

  test("so does one that comes after a provisional had gone by the old one", async () => {
    const { clock, network, alice, toBob, transactions } = await pair("tcp");
    alice.request(request("INVITE"), toBob, watcher().handlers);
    const strays: number[] = [];
    alice.onStrayResponse((response) => void strays.push(response.status));
    clock.advance(1);
    const server = only(transactions);
    server.respond(buildResponse(server.request, 180));
    clock.advance(1);
    network.resetConnections(ALICE, BOB);
    server.respond(buildResponse(server.request, 200));
    clock.advance(1);
    expect(strays).toEqual([200]);
  });

  test("a response that cannot be sent is told to the server's user", async () => {
    const { clock, network, alice, toBob, transactions } = await pair();
    alice.request(request("INVITE"), toBob, watcher().handlers);
    clock.advance(1);
    const server = only(transactions);
    const codes: string[] = [];
    server.onTransportError(({ code }) => void codes.push(code));
    network.setPath(BOB, ALICE, { cut: { error: "EHOSTUNREACH" } });
    server.respond(buildResponse(server.request, 180));
    clock.advance(0);
    expect([codes, server.state]).toEqual([["EHOSTUNREACH"], "Proceeding"]);
  });
});
