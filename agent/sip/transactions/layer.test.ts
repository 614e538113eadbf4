import { describe, expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import { buildRequest, buildResponse } from "../messages/build.ts";
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
  aliceTransport.tap((direction, bytes) => {
    if (direction === "out") sentByAlice.push(`${clock.now()} ${Buffer.from(bytes).toString().split(" ", 1)[0]}`);
  });
  return { clock, network, aliceTransport, bobTransport, alice, bob, toBob, transactions, acks, sentByAlice };
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
