import { describe, expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import { NonceBook } from "./nonce-book.ts";

function book(options: { lifetime_ms?: number; capacity?: number } = {}) {
  const clock = new ManualClock(1_000);
  return { clock, nonces: new NonceBook({ clock, ...options }) };
}

describe("nonces", () => {
  test("no two are alike, and challenges alone keep nothing", () => {
    const { nonces } = book();
    expect(new Set(Array.from({ length: 1000 }, () => nonces.issue())).size).toBe(1000);
    expect(nonces.size).toBe(0);
  });

  test("counts that overtake each other on the way are each taken once", () => {
    const { nonces } = book();
    const nonce = nonces.issue();
    const uses = [1, 3, 2, 3, 2, 5, 4, 1].map((nc) => nonces.use(nonce, nc));
    expect(uses).toEqual(["fresh", "fresh", "fresh", "replayed", "replayed", "fresh", "fresh", "replayed"]);
  });

  test("a count that is far behind is too late, a great leap ahead is not", () => {
    const { nonces } = book();
    const nonce = nonces.issue();
    expect(nonces.use(nonce, 100)).toBe("fresh");
    expect(nonces.use(nonce, 69)).toBe("fresh");
    expect(nonces.use(nonce, 68)).toBe("replayed");
    expect(nonces.use(nonce, 0xffffffff)).toBe("fresh");
    expect(nonces.use(nonce, 101)).toBe("replayed");
    expect(nonces.use(nonce, 0xfffffffe)).toBe("fresh");
    expect(nonces.use(nonce, 0xffffffff)).toBe("replayed");
  });

  test("a leap of more than the window forgets what was seen before it, not what lies between", () => {
    const { nonces } = book();
    const nonce = nonces.issue();
    expect([1, 34, 33, 33, 34, 2].map((nc) => nonces.use(nonce, nc))).toEqual([
      "fresh",
      "fresh",
      "fresh",
      "replayed",
      "replayed",
      "replayed",
    ]);
  });

  test("every count of a long series is taken once and only once", () => {
    const { nonces } = book();
    const nonce = nonces.issue();
    for (let nc = 1; nc <= 200; nc++) {
      expect(nonces.use(nonce, nc)).toBe("fresh");
      for (let back = 0; back < 40 && nc - back > 0; back++) expect(nonces.use(nonce, nc - back)).toBe("replayed");
    }
  });

  test("a nonce expires after its lifetime, used or not", () => {
    const { clock, nonces } = book({ lifetime_ms: 10_000 });
    const used = nonces.issue();
    const unused = nonces.issue();
    clock.advance(10_000);
    expect(nonces.use(used, 1)).toBe("fresh");
    clock.advance(1);
    expect(nonces.use(used, 2)).toBe("expired");
    expect(nonces.use(unused, 1)).toBe("expired");
    expect(nonces.size).toBe(0);
  });

  test("the book stays within its capacity, and who is pushed out cannot be replayed", () => {
    const { clock, nonces } = book({ capacity: 3 });
    const all = Array.from({ length: 5 }, () => {
      clock.advance(1);
      return nonces.issue();
    });
    for (const nonce of all) expect(nonces.use(nonce, 1)).toBe("fresh");
    expect(nonces.size).toBe(3);
    expect(all.map((nonce) => nonces.use(nonce, 1))).toEqual([
      "expired",
      "expired",
      "replayed",
      "replayed",
      "replayed",
    ]);
    expect(all.map((nonce) => nonces.use(nonce, 2))).toEqual(["expired", "expired", "fresh", "fresh", "fresh"]);
  });

  test("expired nonces make room", () => {
    const { clock, nonces } = book({ lifetime_ms: 1_000 });
    for (let i = 0; i < 10; i++) nonces.use(nonces.issue(), 1);
    clock.advance(1_001);
    nonces.use(nonces.issue(), 1);
    expect(nonces.size).toBe(1);
  });

  test("a nonce that was tampered with is unknown", () => {
    const { nonces } = book();
    const nonce = nonces.issue();
    for (const forged of [`1${nonce}`, `${nonce}x`, nonce.slice(0, -1), nonce.toUpperCase(), ".", "..", "a.b.c", ""]) {
      expect(nonces.use(forged, 1)).toBe("unknown");
    }
    expect(nonces.use(nonce, 1)).toBe("fresh");
  });
});
