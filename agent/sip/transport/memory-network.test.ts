import { expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import { buildRequest } from "../messages/build.ts";
import { MemoryNetwork, type PathConditions } from "./memory-network.ts";

const A = "192.0.2.1";
const B = "192.0.2.2";

/** Sends `count` datagrams 10 ms apart from A to B and returns what arrived: time and number. */
async function run(conditions: Partial<PathConditions>, seed = 1, count = 100): Promise<string[]> {
  const clock = new ManualClock();
  const network = new MemoryNetwork({ clock, seed });
  const a = network.transport();
  const b = network.transport();
  await a.listen({ protocol: "udp", address: A, port: 5060 });
  await b.listen({ protocol: "udp", address: B, port: 5060 });
  const arrived: string[] = [];
  b.onMessage((message) => {
    if (message.kind === "request") arrived.push(`${clock.now().toFixed(1)} ${message.uri}`);
  });
  network.setPath(A, B, conditions);
  const flow = a.flowTo({ protocol: "udp", address: B, port: 5060 });
  for (let n = 0; n < count; n++) {
    const parts = {
      method: "INFO",
      from: "<sip:a@a>;tag=1",
      to: "<sip:b@b>",
      callId: "1",
      cseq: n,
      via: `SIP/2.0/UDP ${A}`,
    };
    a.send(flow, buildRequest({ ...parts, uri: `sip:${n}@b` }));
    clock.advance(10);
  }
  clock.advance(10_000);
  return arrived;
}

test("a good path delivers all, in order, after its delay", async () => {
  const arrived = await run({ delay_ms: 25 }, 1, 3);
  expect(arrived).toEqual(["25.0 sip:0@b", "35.0 sip:1@b", "45.0 sip:2@b"]);
});

test("loss, duplicates and jitter happen about as often as told, and the same for the same seed", async () => {
  expect((await run({ loss: 0.2 }, 7, 500)).length / 500).toBeCloseTo(0.8, 1);
  expect((await run({ duplicate: 0.2 }, 7, 500)).length / 500).toBeCloseTo(1.2, 1);
  const jittered = await run({ jitter_ms: 200 });
  const numbers = jittered.map((line) => Number(/sip:(\d+)/.exec(line)?.[1]));
  expect(numbers).not.toEqual([...numbers].sort((x, y) => x - y));
  expect([...numbers].sort((x, y) => x - y)).toEqual(Array.from({ length: 100 }, (_, n) => n));
  expect(await run({ loss: 0.3, jitter_ms: 200, duplicate: 0.1 }, 3)).toEqual(
    await run({ loss: 0.3, jitter_ms: 200, duplicate: 0.1 }, 3),
  );
  expect(await run({ loss: 0.3 }, 3)).not.toEqual(await run({ loss: 0.3 }, 4));
});

test("a cut has its direction, and the most particular rule counts", async () => {
  expect(await run({ cut: "black-hole" })).toEqual([]);
  const clock = new ManualClock();
  const network = new MemoryNetwork({ clock });
  const a = network.transport();
  const b = network.transport();
  await a.listen({ protocol: "udp", address: A, port: 5060 });
  await b.listen({ protocol: "udp", address: B, port: 5060 });
  network.setPath("*", "*", { cut: { error: "ENETUNREACH" } });
  network.setPath(A, B, {});
  const errors: string[] = [];
  const send = (from: typeof a, address: string) =>
    from.send(from.flowTo({ protocol: "udp", address, port: 5060 }), new Uint8Array([65]), ({ code }) =>
      errors.push(code),
    );
  send(a, B);
  clock.advance(0);
  expect(errors).toEqual([]);
  send(b, A);
  clock.advance(0);
  expect(errors).toEqual(["ENETUNREACH"]);
});

test("TCP through a black hole arrives when it opens, in order", async () => {
  const clock = new ManualClock();
  const network = new MemoryNetwork({ clock });
  const a = network.transport();
  const b = network.transport();
  await b.listen({ protocol: "tcp", address: B, port: 5060 });
  const uris: string[] = [];
  b.onMessage((message) => {
    if (message.kind === "request") uris.push(message.uri);
  });
  const flow = a.flowTo({ protocol: "tcp", address: B, port: 5060, local_address: A });
  clock.advance(0);
  network.setPath(A, B, { cut: "black-hole" });
  for (const n of [1, 2]) {
    const parts = {
      method: "INFO",
      from: "<sip:a@a>;tag=1",
      to: "<sip:b@b>",
      callId: "1",
      cseq: n,
      via: `SIP/2.0/TCP ${A}`,
    };
    a.send(flow, buildRequest({ ...parts, uri: `sip:${n}@b` }));
  }
  clock.advance(1_000);
  expect(uris).toEqual([]);
  network.setPath(A, B, {});
  clock.advance(1_000);
  expect(uris).toEqual(["sip:1@b", "sip:2@b"]);
  expect(clock.pending).toBe(0);
});
