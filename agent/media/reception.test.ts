import { describe, expect, test } from "vitest";
import { Reception } from "./reception.ts";
import { printRtp } from "./rtp.ts";

function received(...packets: readonly { readonly sequence: number; readonly ssrc?: number }[]): Reception {
  const reception = new Reception();
  for (const { sequence, ssrc = 7 } of packets) {
    const bytes = printRtp({
      marker: false,
      payload_type: 0,
      sequence,
      timestamp: 0,
      ssrc,
      payload: new Uint8Array(0),
    });
    reception.take(Buffer.from(bytes));
  }
  return reception;
}
const run = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ sequence: (from + i) & 0xffff }));

describe("loss of a stream", () => {
  test("nothing came, nothing is lost", () => expect(received().lost).toBe(0));
  test("a whole stream, over the wrap of its numbers", () => expect(received(...run(65_500, 200)).lost).toBe(0));
  test("packets that are missing, over the wrap too", () => {
    expect(received(...run(65_500, 30), ...run(65_533, 40)).lost).toBe(3);
  });
  test("late packets are not lost, in whatever order", () => {
    expect(received({ sequence: 1 }, { sequence: 4 }, { sequence: 3 }, { sequence: 2 }).lost).toBe(0);
  });
  test("a new source starts anew, and what the old one lost stays lost", () => {
    expect(
      received({ sequence: 1 }, { sequence: 5 }, { sequence: 40_000, ssrc: 8 }, { sequence: 40_001, ssrc: 8 }).lost,
    ).toBe(3);
  });
  test("numbers that jump are a restart, not thousands of lost packets", () => {
    expect(received(...run(100, 10), ...run(30_000, 10)).lost).toBe(0);
  });
});
