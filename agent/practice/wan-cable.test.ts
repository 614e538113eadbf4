import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import type { DatagramAdapter } from "../sip/transport/sockets.ts";
import { WanCable } from "./wan-cable.ts";

const BOX = "127.10.0.2";

function recorder(): { adapter: DatagramAdapter; sent: string[]; arrive(from: string): void } {
  const sent: string[] = [];
  let arrive: (from: string) => void = () => {};
  const adapter: DatagramAdapter = {
    bind: (local, events) => {
      arrive = (from) => events.datagram(new Uint8Array(1), from, 5060);
      return Promise.resolve({
        local,
        send: (_bytes, address) => void sent.push(address),
        close: () => Promise.resolve(),
      });
    },
  };
  return { adapter, sent, arrive: (from) => arrive(from) };
}

describe("the WAN cable", () => {
  test("while pulled, datagrams between the box and the world behind it are lost both ways without an error", async () => {
    const cable = new WanCable(BOX);
    const { adapter, sent, arrive } = recorder();
    const received: string[] = [];
    const errors: unknown[] = [];
    const socket = await cable
      .datagrams(adapter)
      .bind(
        { address: "127.10.0.10", port: 5060 },
        { datagram: (_bytes, from) => void received.push(from), failed: (error) => void errors.push(error) },
      );
    const exchange = () => {
      arrive(BOX);
      socket.send(new Uint8Array(1), BOX, 5062, (error) => void errors.push(error));
    };
    exchange();
    cable.set("pulled");
    exchange();
    cable.set("plugged");
    exchange();
    expect([received.length, sent.length, errors]).toEqual([2, 2, []]);
  });

  test("while pulled, the cloud's parts still reach each other", async () => {
    const cable = new WanCable(BOX);
    const { adapter, sent, arrive } = recorder();
    const received: string[] = [];
    const socket = await cable
      .datagrams(adapter)
      .bind(
        { address: "127.10.0.10", port: 5060 },
        { datagram: (_bytes, from) => void received.push(from), failed: () => {} },
      );
    cable.set("pulled");
    arrive("127.10.0.20");
    socket.send(new Uint8Array(1), "127.10.0.20", 5060, () => {});
    expect([received, sent]).toEqual([["127.10.0.20"], ["127.10.0.20"]]);
  });

  test("a TCP stream stands still while pulled and goes on where it stood", async () => {
    const cable = new WanCable(BOX);
    const connection = new PassThrough();
    const through = cable.stream(connection);
    const bytes: string[] = [];
    through.on("data", (chunk: Buffer) => void bytes.push(chunk.toString()));
    connection.write("before ");
    await turn();
    cable.set("pulled");
    connection.write("during ");
    await turn();
    expect(bytes.join("")).toBe("before ");
    cable.set("plugged");
    connection.write("after");
    await turn();
    expect(bytes.join("")).toBe("before during after");
  });

  test("a connection that ends while pulled is still open for the other side until the cable is back", async () => {
    const cable = new WanCable(BOX);
    const connection = new PassThrough();
    const through = cable.stream(connection);
    let closed = false;
    through.on("close", () => {
      closed = true;
    });
    through.resume();
    cable.set("pulled");
    connection.destroy();
    await turn();
    expect(closed).toBe(false);
    cable.set("plugged");
    await turn();
    expect(closed).toBe(true);
  });

  test("what the other side throws away while pulled is not told to the box before the cable is back", async () => {
    const cable = new WanCable(BOX);
    const connection = new PassThrough();
    const through = cable.stream(connection);
    cable.set("pulled");
    through.destroy();
    await turn();
    expect(connection.destroyed).toBe(false);
    cable.set("plugged");
    await turn();
    expect(connection.destroyed).toBe(true);
  });

  test("listeners hear of changes only", () => {
    const cable = new WanCable(BOX);
    const heard: string[] = [];
    const off = cable.onChange((state) => void heard.push(state));
    cable.set("plugged");
    cable.set("pulled");
    cable.set("pulled");
    off();
    cable.set("plugged");
    expect(heard).toEqual(["pulled"]);
  });
});

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}
