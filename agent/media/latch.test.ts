import { beforeEach, describe, expect, test } from "vitest";
import { Latch } from "./latch.ts";

let latch: Latch;
beforeEach(() => {
  latch = new Latch();
});

describe("symmetric RTP without RTP bleed", () => {
  test("until a peer is set nothing is accepted and nothing is sent", () => {
    expect(latch.accepts("192.0.2.1", 4000)).toBe(false);
    expect(latch.port).toBe(0);
  });

  test("before the first packet, the negotiated address is sent to", () => {
    latch.set("192.0.2.1", 4000, ["192.0.2.1"]);
    expect([latch.address, latch.port]).toEqual(["192.0.2.1", 4000]);
  });

  test("the first packet from an allowed address latches address and port, as behind NAT", () => {
    latch.set("10.0.0.5", 4000, ["10.0.0.5", "198.51.100.7"]);
    expect(latch.accepts("198.51.100.7", 31234)).toBe(true);
    expect([latch.address, latch.port]).toEqual(["198.51.100.7", 31234]);
  });

  test("a stranger does not latch, however early", () => {
    latch.set("192.0.2.1", 4000, ["192.0.2.1"]);
    expect(latch.accepts("203.0.113.66", 4000)).toBe(false);
    expect([latch.address, latch.port]).toEqual(["192.0.2.1", 4000]);
  });

  test("nothing relearns in mid-call: not another port, nor another allowed address", () => {
    latch.set("192.0.2.1", 4000, ["192.0.2.1", "198.51.100.7"]);
    latch.accepts("192.0.2.1", 4000);
    expect(latch.accepts("192.0.2.1", 4002)).toBe(false);
    expect(latch.accepts("198.51.100.7", 4000)).toBe(false);
    expect(latch.accepts("192.0.2.1", 4000)).toBe(true);
  });

  test("a new peer is learned anew and the old one refused", () => {
    latch.set("192.0.2.1", 4000, ["192.0.2.1"]);
    latch.accepts("192.0.2.1", 4000);
    latch.set("192.0.2.2", 5000, ["192.0.2.2"]);
    expect(latch.accepts("192.0.2.1", 4000)).toBe(false);
    expect(latch.accepts("192.0.2.2", 5002)).toBe(true);
  });

  test("after a re-INVITE, late packets from the port of before do not keep out the new one", () => {
    latch.set("192.0.2.1", 4000, ["192.0.2.1"]);
    latch.accepts("192.0.2.1", 4000);
    latch.set("192.0.2.1", 6000, ["192.0.2.1"]);
    expect(latch.accepts("192.0.2.1", 4000)).toBe(true);
    expect(latch.accepts("192.0.2.1", 6000)).toBe(true);
    expect([latch.address, latch.port]).toEqual(["192.0.2.1", 6000]);
    expect(latch.accepts("192.0.2.1", 4000)).toBe(false);
  });

  test("a peer on hold is heard but sent nothing", () => {
    latch.set("192.0.2.1", 0, ["192.0.2.1"]);
    expect(latch.accepts("192.0.2.1", 4000)).toBe(true);
    expect(latch.port).toBe(0);
  });

  test("a hint narrows what is allowed, but does not overrule a packet", () => {
    latch.set("10.0.0.5", 4001, ["10.0.0.5", "198.51.100.7"]);
    latch.suggest("198.51.100.7", 31235);
    expect([latch.address, latch.port]).toEqual(["198.51.100.7", 31235]);
    expect(latch.accepts("10.0.0.5", 4001)).toBe(false);
    expect(latch.accepts("198.51.100.7", 40000)).toBe(true);
    latch.suggest("10.0.0.5", 4001);
    expect([latch.address, latch.port]).toEqual(["198.51.100.7", 40000]);
  });
});
