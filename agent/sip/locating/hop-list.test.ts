import { describe, expect, test } from "vitest";
import { hopAnswered, hopFailed, inOrder, isBehind, NO_HOPS, relocated } from "./hop-list.ts";
import type { Hop } from "./locate.ts";

const hop = (n: number): Hop => ({ transport: "udp", address: `192.0.2.${n}`, port: 5060, server_name: "x.example" });
const [a, b, c] = [hop(1), hop(2), hop(3)];
const of = (...hops: Hop[]) => relocated(NO_HOPS, hops);

describe("the servers of a peer (RFC 3263 §4.3)", () => {
  test("one that failed stands behind the others for a minute, and in front again afterwards", () => {
    const list = hopFailed(of(a, b, c), a, 1_000);
    expect(inOrder(list, 1_000)).toEqual([b, c, a]);
    expect(inOrder(list, 60_999)).toEqual([b, c, a]);
    expect(inOrder(list, 61_000)).toEqual([a, b, c]);
  });

  test("each failure doubles the time, up to ten minutes; an answer forgives", () => {
    let list = of(a, b);
    for (let n = 0; n < 8; n++) list = hopFailed(list, a, 0);
    expect(isBehind(list, a, 599_999)).toBe(true);
    expect(isBehind(list, a, 600_000)).toBe(false);
    expect(isBehind(hopFailed(hopAnswered(list, a), a, 0), a, 60_000)).toBe(false);
  });

  test("Retry-After is obeyed where it asks for more", () => {
    expect(isBehind(hopFailed(of(a, b), a, 0, 300), a, 299_999)).toBe(true);
    expect(isBehind(hopFailed(of(a, b), a, 0, 1e9), a, 600_000)).toBe(false);
  });

  test("when all have failed, the one that failed first is tried first", () => {
    const list = hopFailed(hopFailed(of(a, b), b, 0), a, 500);
    expect(inOrder(list, 1_000)).toEqual([b, a]);
  });

  test("a new draw among the same servers moves nobody; a new server takes its place; what is gone stays last", () => {
    expect(inOrder(relocated(of(a, b), [b, a]), 0)).toEqual([a, b]);
    expect(inOrder(relocated(of(a, b), [c, a]), 0)).toEqual([c, a, b]);
    expect(inOrder(relocated(of(a, b), []), 0)).toEqual([a, b]);
  });

  test("priorities that the name servers change are followed, also among the same servers", () => {
    const list = of({ ...a, rank: 10 }, { ...b, rank: 20 }, { ...c, rank: 20 });
    const swapped = relocated(list, [
      { ...c, rank: 10 },
      { ...b, rank: 10 },
      { ...a, rank: 20 },
    ]);
    expect(inOrder(swapped, 0).map(({ address }) => address)).toEqual([b, c, a].map(({ address }) => address));
  });
});
