import { createSocket } from "node:dgram";
import { decode, encode } from "dns-packet";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { PathResolver } from "./resolver.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

/** A name server on loopback that knows one name, with a time to live of its choosing. */
async function nameServer() {
  const state = { silent: false, address: "203.0.113.7", asked: [] as string[], sources: new Set<string>() };
  const socket = createSocket("udp4");
  cleanups.push(() => socket.close());
  socket.on("message", (bytes, from) => {
    const query = decode(bytes);
    const [question] = query.questions ?? [];
    if (question === undefined) return;
    state.asked.push(`${question.type} ${question.name}`);
    state.sources.add(from.address);
    if (state.silent) return;
    const known = question.name === "trunk.example" && question.type === "A";
    const answers = known ? [{ type: "A" as const, name: question.name, ttl: 1, data: state.address }] : [];
    const head = { type: "response" as const, id: query.id ?? 0, questions: query.questions ?? [] };
    socket.send(encode({ ...head, answers }), from.port, from.address);
  });
  await new Promise<void>((bound) => socket.bind(0, "127.0.0.1", bound));
  return { state, server: `127.0.0.1:${socket.address().port}` };
}

describe("names on a path", () => {
  test("are asked of the path's own servers from its own address", async () => {
    const { state, server } = await nameServer();
    const resolver = new PathResolver(systemClock, [server]);
    expect(await resolver.resolve("Trunk.Example", "127.0.0.7")).toEqual(["203.0.113.7"]);
    expect([...state.sources]).toEqual(["127.0.0.7"]);
  });

  test("are asked once by many, and answered from the cache while fresh", async () => {
    const { state, server } = await nameServer();
    const resolver = new PathResolver(systemClock, [server]);
    await Promise.all([resolver.resolve("trunk.example", undefined), resolver.resolve("trunk.example", undefined)]);
    await resolver.resolve("trunk.example", undefined);
    expect(state.asked.sort()).toEqual(["A trunk.example", "AAAA trunk.example"]);
  });

  test("stay known when their server is dead", async () => {
    const { state, server } = await nameServer();
    let now = 0;
    const resolver = new PathResolver({ ...systemClock, now: () => now }, [server]);
    await resolver.resolve("trunk.example", undefined);
    now = 7_200_000;
    state.silent = true;
    expect(await resolver.resolve("trunk.example", undefined)).toEqual(["203.0.113.7"]);
  });

  test("that nobody knows are no addresses, and literals need no server", async () => {
    const { state, server } = await nameServer();
    const resolver = new PathResolver(systemClock, [server]);
    expect(await resolver.resolve("nowhere.example", undefined)).toEqual([]);
    state.asked.length = 0;
    expect(await resolver.resolve("2001:db8::5", undefined)).toEqual(["2001:db8::5"]);
    expect(state.asked).toEqual([]);
  });
});
