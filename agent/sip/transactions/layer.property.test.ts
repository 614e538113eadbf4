import fc from "fast-check";
import { expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import { type Accept2xx, startAccept2xx } from "../dialogs/accept-2xx.ts";
import { buildRequest, buildResponse } from "../messages/build.ts";
import { callIdOf } from "../messages/headers.ts";
import { MemoryNetwork } from "../transport/memory-network.ts";
import { TransactionLayer } from "./layer.ts";

const ALICE = "192.0.2.1";
const BOB = "192.0.2.2";

/** One request: when it starts, what the server says and when, whether and when the client cancels. */
const exchange = fc.record({
  method: fc.constantFrom("INVITE", "INVITE", "OPTIONS", "REGISTER"),
  start_ms: fc.nat(5_000),
  /** Answered so long after the request; never, if undefined. */
  provisional_ms: fc.option(fc.nat(3_000), { nil: undefined }),
  final_ms: fc.option(fc.nat(20_000), { nil: undefined }),
  status: fc.constantFrom(200, 302, 404, 486, 503, 603),
  cancel_ms: fc.option(fc.nat(20_000), { nil: undefined }),
  paced: fc.constantFrom<readonly number[]>([], [40, 80, 130, 200]),
});

const weather = fc.record({
  seed: fc.nat(),
  loss: fc.constantFrom(0, 0.05, 0.3, 0.7, 1),
  duplicate: fc.constantFrom(0, 0.3),
  delay_ms: fc.nat(200),
  jitter_ms: fc.constantFrom(0, 30, 1_500),
  protocol: fc.constantFrom("udp" as const, "udp" as const, "tcp" as const),
  /** The network changes so long after the start: a reset of all connections, or an error for each sending. */
  broken_ms: fc.option(fc.nat(20_000), { nil: undefined }),
});

test("whatever the network does, every transaction ends as the RFC says and leaves no timer behind", async () => {
  await fc.assert(
    fc.asyncProperty(weather, fc.array(exchange, { minLength: 1, maxLength: 5 }), async (net, exchanges) => {
      const clock = new ManualClock();
      const network = new MemoryNetwork({ clock, seed: net.seed });
      network.setPaths(ALICE, BOB, net);
      const { protocol } = net;
      const aliceTransport = network.transport();
      const bobTransport = network.transport();
      await aliceTransport.listen({ protocol, address: ALICE, port: 5060 });
      await bobTransport.listen({ protocol, address: BOB, port: 5060 });
      const thrown: unknown[] = [];
      const onHandlerError = (error: unknown) => void thrown.push(error);
      const alice = new TransactionLayer({ transport: aliceTransport, clock, onHandlerError });
      const bob = new TransactionLayer({ transport: bobTransport, clock, onHandlerError });

      const told = exchanges.map(() => ({ provisional: 0, success: 0, failure: 0, timeout: 0, error: 0 }));
      const offered = exchanges.map(() => 0);
      const repeating = new Map<string, Accept2xx>();

      bob.onRequest((server) => {
        const number = Number(callIdOf(server.request));
        const plan = exchanges[number];
        if (plan === undefined) throw new Error("a request that nobody sent");
        offered[number] = (offered[number] ?? 0) + 1;
        const respond = (status: number) => {
          if (server.state !== "Proceeding" && server.state !== "Trying") return;
          const response = buildResponse(server.request, status, { toTag: `b${number}` });
          if (plan.method !== "INVITE" || status < 200 || status >= 300) server.respond(response);
          else {
            const handlers = { send: () => server.respond(response), onTimeout: () => {} };
            repeating.set(String(number), startAccept2xx({ clock, ...handlers }));
          }
        };
        server.onCancel(() => respond(487));
        if (plan.provisional_ms !== undefined) clock.after(plan.provisional_ms, () => respond(180));
        if (plan.final_ms !== undefined) clock.after(plan.final_ms, () => respond(plan.status));
        // A phone does not ring for ever.
        clock.after(120_000, () => respond(480));
      });
      bob.onAck((ack) => repeating.get(callIdOf(ack) ?? "")?.acknowledged());

      for (const [number, plan] of exchanges.entries()) {
        const count = told[number];
        if (count === undefined) continue;
        clock.after(plan.start_ms, () => {
          const parts = {
            uri: `sip:bob@${BOB}`,
            from: "<sip:a@b>;tag=a",
            to: "<sip:b@b>",
            callId: String(number),
            cseq: 1,
          };
          const flow = aliceTransport.flowTo({ protocol, address: BOB, port: 5060, local_address: ALICE });
          const client = alice.request(
            buildRequest({ ...parts, method: plan.method }),
            flow,
            {
              onProvisional: () => void count.provisional++,
              onFinal: (response) => {
                if (response.status >= 300) count.failure++;
                else count.success++;
                if (plan.method === "INVITE" && response.status < 300) {
                  alice.sendAck(buildRequest({ ...parts, method: "ACK" }), flow);
                }
              },
              onTimeout: () => void count.timeout++,
              onTransportError: () => void count.error++,
            },
            { retransmit_at_ms: plan.paced },
          );
          if (plan.cancel_ms !== undefined) clock.after(plan.cancel_ms, () => client.cancel());
          // An INVITE that has a provisional response waits for as long as its user does.
          clock.after(180_000, () => client.cancel());
        });
      }
      if (net.broken_ms !== undefined) {
        clock.after(net.broken_ms, () => {
          if (protocol === "tcp") network.resetConnections(ALICE, BOB);
          else network.setPath(ALICE, BOB, { cut: { error: "ENETUNREACH" } });
        });
      }

      clock.advance(300_000);

      expect(thrown).toEqual([]);
      expect([alice.size.clients, bob.size.servers, bob.size.clients, alice.size.servers]).toEqual([0, 0, 0, 0]);
      expect(clock.pending).toBe(0);
      for (const [number, count] of told.entries()) {
        const plan = exchanges[number];
        if (plan === undefined) continue;
        const { success, failure, timeout, error } = count;
        // One ending each; an INVITE's 2xx may come several times, and an ACK may fail after its final.
        expect(failure).toBeLessThanOrEqual(1);
        expect(timeout).toBeLessThanOrEqual(1);
        expect(Math.min(success, 1) + failure + timeout + (failure === 0 ? error : 0)).toBe(1);
        if (plan.method !== "INVITE") expect(success).toBeLessThanOrEqual(1);
        expect(offered[number]).toBeLessThanOrEqual(1);
        const untroubled = (protocol === "tcp" || net.loss === 0) && net.broken_ms === undefined;
        if (untroubled) {
          expect(offered[number]).toBe(1);
          expect(error).toBe(0);
          if (plan.final_ms !== undefined && plan.cancel_ms === undefined) expect(success + failure).toBeGreaterThan(0);
        }
      }
    }),
    { numRuns: 300 },
  );
});
