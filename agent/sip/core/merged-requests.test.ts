import { describe, expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import { buildRequest, buildResponse } from "../messages/build.ts";
import { TransactionLayer } from "../transactions/layer.ts";
import type { ServerTransaction } from "../transactions/server-transaction.ts";
import { MemoryNetwork } from "../transport/memory-network.ts";
import { MergedRequests } from "./merged-requests.ts";

async function server() {
  const clock = new ManualClock();
  const network = new MemoryNetwork({ clock });
  const here = network.transport();
  await here.listen({ protocol: "udp", address: "192.0.2.1", port: 5060 });
  const there = network.transport();
  await there.listen({ protocol: "udp", address: "192.0.2.2", port: 5060 });
  const taken: ServerTransaction[] = [];
  const merged = new MergedRequests();
  const verdicts: boolean[] = [];
  new TransactionLayer({ transport: here, clock }).onRequest((tx) => {
    taken.push(tx);
    verdicts.push(merged.isMerged(tx));
  });
  const client = new TransactionLayer({ transport: there, clock });
  const flow = there.flowTo({ protocol: "udp", address: "192.0.2.1", port: 5060 });
  const send = (parts: { to?: string; cseq?: number; tag?: string } = {}) => {
    const request = buildRequest({
      method: "OPTIONS",
      uri: "sip:a@192.0.2.1",
      from: `<sip:b@192.0.2.2>;tag=${parts.tag ?? "1"}`,
      to: parts.to ?? "<sip:a@192.0.2.1>",
      callId: "same",
      cseq: parts.cseq ?? 1,
    });
    client.request(request, flow, { onFinal() {}, onTimeout() {}, onTransportError() {} });
    clock.advance(1);
  };
  return { clock, taken, verdicts, send };
}

describe("merged requests (RFC 3261 §8.2.2.2)", () => {
  test("the same request by another way is one while the first is under way", async () => {
    const { verdicts, send } = await server();
    send();
    send();
    expect(verdicts).toEqual([false, true]);
  });

  test("another CSeq, another From tag and a request inside a dialog are none", async () => {
    const { verdicts, send } = await server();
    send();
    send({ cseq: 2 });
    send({ tag: "2" });
    send({ to: "<sip:a@192.0.2.1>;tag=x" });
    send({ to: "<sip:a@192.0.2.1>;tag=x" });
    expect(verdicts).toEqual([false, false, false, false, false]);
  });

  test("once the first is through, the same is a new one", async () => {
    const { clock, taken, verdicts, send } = await server();
    send();
    const [first] = taken;
    first?.respond(buildResponse(first.request, 200));
    clock.advance(40_000);
    send();
    expect(verdicts).toEqual([false, false]);
  });
});
