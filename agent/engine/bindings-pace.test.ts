import { expect, test } from "vitest";
import { ManualClock } from "../base/manual-clock.ts";
import { BindingsPace } from "./bindings-pace.ts";

function pace() {
  const clock = new ManualClock();
  const start = clock.now();
  const kept: number[] = [];
  const onDisk: number[] = [];
  const bindings = new BindingsPace(clock, {
    keep: () => void kept.push(clock.now() - start),
    toDisk: () => void onDisk.push(clock.now() - start),
  });
  return { clock, bindings, kept, onDisk };
}

test("who comes alone is written at once: a kill just after the phone's 200 loses nobody", () => {
  const { clock, bindings, kept, onDisk } = pace();
  bindings.changed(true);
  clock.advance(0);
  expect([kept, onDisk]).toEqual([[0], [0]]);
});

test("five hundred that come within a second are written ten times", () => {
  const { clock, bindings, kept } = pace();
  for (let n = 0; n < 500; n++) {
    bindings.changed(true);
    clock.advance(2);
  }
  clock.advance(100);
  expect(kept.length).toBeLessThanOrEqual(11);
  expect(kept.at(-1)).toBeGreaterThanOrEqual(998);
});

test("refreshes go to disk once a minute, and the last of them is not forgotten until the next", () => {
  const { clock, bindings, kept, onDisk } = pace();
  bindings.changed(false);
  clock.advance(10_000);
  bindings.changed(false);
  clock.advance(10_000);
  expect([kept, onDisk]).toEqual([[5000, 15_000], [5000]]);
  clock.advance(3_600_000);
  expect(onDisk).toEqual([5000, 65_000]);
});

test("somebody who comes after a refresh does not wait for it", () => {
  const { clock, bindings, onDisk } = pace();
  bindings.changed(false);
  clock.advance(1000);
  bindings.changed(true);
  clock.advance(0);
  expect(onDisk).toEqual([1000]);
});
