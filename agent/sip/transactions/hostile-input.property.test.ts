import fc from "fast-check";
import { expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import { buildRequest, buildResponse } from "../messages/build.ts";
import { printMessage } from "../messages/print.ts";
import { MemoryNetwork } from "../transport/memory-network.ts";
import { TransactionLayer } from "./layer.ts";

const BOX = "192.0.2.1";
const PHONE = "192.0.2.2";

function valid(method: string, branch: string): Buffer {
  return Buffer.from(
    printMessage(
      buildRequest({
        method,
        uri: "sip:911@example.com",
        from: "<sip:a@example.com>;tag=1",
        to: "<sip:911@example.com>",
        callId: "c1",
        cseq: 1,
        via: `SIP/2.0/UDP ${PHONE}:5060;branch=${branch};rport`,
        body: "v=0\r\n",
        contentType: "application/sdp",
      }),
    ),
  );
}

/** A message like a phone's, damaged: bytes changed, cut short, repeated or joined with others. */
const damaged = fc
  .tuple(
    fc.constantFrom("INVITE", "ACK", "CANCEL", "OPTIONS", "REGISTER"),
    fc.constantFrom("z9hG4bK1", "z9hG4bK2", "old"),
    fc.array(fc.tuple(fc.nat(500), fc.nat(255)), { maxLength: 6 }),
    fc.option(fc.nat(500), { nil: undefined }),
  )
  .map(([method, branch, changes, cut]) => {
    const bytes = valid(method, branch);
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
    return cut === undefined ? bytes : bytes.subarray(0, cut);
  });

const response = fc
  .tuple(fc.nat(999), fc.constantFrom("INVITE", "CANCEL", "x"), fc.string())
  .map(([status, method, junk]) =>
    Buffer.from(
      `SIP/2.0 ${status} ${junk}\r\nVia: SIP/2.0/UDP ${BOX};branch=z9hG4bK1\r\nCSeq: 1 ${method}\r\nCall-ID: c1\r\n\r\n`,
    ),
  );

const input = fc.oneof(
  damaged,
  response,
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
);

test("no bytes from outside throw, stick or leave a timer, by UDP or TCP", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("udp" as const, "tcp" as const),
      fc.array(fc.tuple(input, fc.nat(3_000)), { maxLength: 20 }),
      async (protocol, inputs) => {
        const clock = new ManualClock();
        const network = new MemoryNetwork({ clock });
        const thrown: unknown[] = [];
        const onHandlerError = (error: unknown) => void thrown.push(error);
        const box = network.transport({ onHandlerError });
        await box.listen({ protocol, address: BOX, port: 5060 });
        const layer = new TransactionLayer({ transport: box, clock, onHandlerError });
        layer.onRequest((transaction) => {
          transaction.onCancel(() => transaction.respond(buildResponse(transaction.request, 487)));
          clock.after(1_000, () => transaction.respond(buildResponse(transaction.request, 486)));
        });
        const phone = network.transport();
        await phone.listen({ protocol, address: PHONE, port: 5060 });
        for (const [bytes, wait_ms] of inputs) {
          const flow = phone.flowTo({ protocol, address: BOX, port: 5060, local_address: PHONE });
          phone.send(flow, bytes);
          clock.advance(wait_ms);
        }
        clock.advance(200_000);
        expect(thrown).toEqual([]);
        expect(layer.size).toEqual({ clients: 0, servers: 0 });
        expect(clock.pending).toBe(0);
        const { received, malformed, dropped } = box.counters;
        expect(malformed).toBeLessThanOrEqual(received);
        expect(dropped.malformed).toBeLessThanOrEqual(malformed);
      },
    ),
    { numRuns: 300 },
  );
});
