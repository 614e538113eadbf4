import { describe, expect, test } from "vitest";
import type { OpenMediaSocket } from "./datagram.ts";
import { PortRange } from "./port-range.ts";

/** A machine whose ports in `taken` belong to another program; `bound` are ours. */
function machine(taken: readonly number[] = []) {
  const bound = new Set<number>();
  const open: OpenMediaSocket = async (address, port) => {
    if (address !== "127.0.0.1") throw Object.assign(new Error("not here"), { code: "EADDRNOTAVAIL" });
    if (bound.has(port) || taken.includes(port)) throw Object.assign(new Error("taken"), { code: "EADDRINUSE" });
    bound.add(port);
    return { port, send() {}, close: () => void bound.delete(port) };
  };
  return { bound, open };
}

const nothing = () => {};

describe("media ports", () => {
  test("RTP gets an even port and RTCP the next, whatever parity the range begins with", async () => {
    const { open, bound } = machine();
    const range = new PortRange(20001, 20005, open);
    const pairs = [await range.openPair("127.0.0.1", true, nothing, nothing)];
    pairs.push(await range.openPair("127.0.0.1", true, nothing, nothing));
    expect(pairs.map((pair) => pair.rtp.port).sort()).toEqual([20002, 20004]);
    expect([...bound].sort()).toEqual([20002, 20003, 20004, 20005]);
    await expect(range.openPair("127.0.0.1", true, nothing, nothing)).rejects.toMatchObject({ code: "media.no_port" });
  });

  test("a pair whose ports another program holds is passed over, and nothing of it stays open", async () => {
    const { open, bound } = machine([20000, 20003]);
    const range = new PortRange(20000, 20005, open);
    const pair = await range.openPair("127.0.0.1", true, nothing, nothing);
    expect(pair.rtp.port).toBe(20004);
    expect([...bound].sort()).toEqual([20004, 20005]);
    await expect(range.openPair("127.0.0.1", true, nothing, nothing)).rejects.toMatchObject({ code: "media.no_port" });
    pair.close();
    expect(bound.size).toBe(0);
    expect((await range.openPair("127.0.0.1", true, nothing, nothing)).rtp.port).toBe(20004);
  });

  test("the last quarter, at most eight pairs, is kept for emergency calls", async () => {
    const { open } = machine();
    const range = new PortRange(20000, 20007, open);
    for (let i = 0; i < 3; i++) await range.openPair("127.0.0.1", false, nothing, nothing);
    await expect(range.openPair("127.0.0.1", false, nothing, nothing)).rejects.toMatchObject({ code: "media.no_port" });
    await range.openPair("127.0.0.1", true, nothing, nothing);
  });

  test("an address that is not on this machine is refused after one attempt", async () => {
    let attempts = 0;
    const { open } = machine();
    const range = new PortRange(20000, 20099, (...args) => {
      attempts++;
      return open(...args);
    });
    await expect(range.openPair("192.0.2.1", true, nothing, nothing)).rejects.toMatchObject({
      code: "media.no_port",
      detail: expect.stringContaining("192.0.2.1"),
    });
    expect(attempts).toBe(1);
  });

  test("ports are spread over the range, so that they are hard to guess", async () => {
    const { open } = machine();
    const range = new PortRange(20000, 29999, open);
    const ports: number[] = [];
    for (let i = 0; i < 32; i++) ports.push((await range.openPair("127.0.0.1", true, nothing, nothing)).rtp.port);
    const steps = new Set(ports.map((port, i) => port - (ports[i - 1] ?? 0)));
    expect(steps.size).toBeGreaterThan(16);
  });
});
