import { createSocket } from "node:dgram";
import { createServer, type Socket } from "node:net";
import { decode, encode } from "dns-packet";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { answersQuestion, encodeQuestion, readAnswer } from "./dns-answer.ts";
import { askOver } from "./dns-client.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

const question = { name: "trunk.example", type: "A" } as const;

function answerTo(bytes: Buffer, truncated: boolean): Buffer {
  const query = decode(bytes);
  return encode({
    type: "response",
    id: query.id ?? 0,
    flags: truncated ? 0x0200 : 0,
    questions: query.questions ?? [],
    answers: truncated ? [] : [{ type: "A", name: "trunk.example", ttl: 1, data: "203.0.113.7" }],
  });
}

/** A name server on loopback: over UDP it cuts every answer, over TCP it sends it in two pieces. */
async function nameServer() {
  const sources = new Set<string>();
  const udp = createSocket("udp4");
  udp.on("message", (bytes, from) => {
    sources.add(from.address);
    udp.send(answerTo(bytes, true), from.port, from.address);
  });
  await new Promise<void>((bound) => udp.bind(0, "127.0.0.1", bound));
  const { port } = udp.address();
  const tcp = createServer((socket: Socket) => {
    socket.on("error", () => {});
    sources.add(socket.remoteAddress ?? "");
    socket.once("data", (bytes) => {
      const answer = answerTo(bytes.subarray(2), false);
      socket.write(Buffer.from([answer.length >> 8, answer.length & 255]));
      socket.write(answer);
    });
  });
  await new Promise<void>((bound) => tcp.listen(port, "127.0.0.1", bound));
  cleanups.push(
    () => udp.close(),
    () => void tcp.close(),
  );
  return { server: `127.0.0.1:${port}`, sources };
}

const ask = (server: string, protocol: "udp" | "tcp") =>
  askOver(systemClock)({
    bytes: encodeQuestion(7, question),
    server,
    protocol,
    local_address: "127.0.0.7",
    timeout_ms: 2_000,
    matches: (bytes) => answersQuestion(bytes, 7, question),
  });

describe("a question to a name server", () => {
  test("leaves from the path's address, over UDP and over TCP", async () => {
    const { server, sources } = await nameServer();
    const cut = await ask(server, "udp");
    expect(cut && readAnswer(cut, question)).toEqual({ kind: "truncated" });
    const whole = await ask(server, "tcp");
    expect(whole && readAnswer(whole, question)).toMatchObject({ kind: "found", ttl_s: 1 });
    expect([...sources]).toEqual(["127.0.0.7"]);
  });

  test("to nobody comes back empty", async () => {
    expect(await ask("127.0.0.1:9", "tcp")).toBeUndefined();
  });
});
