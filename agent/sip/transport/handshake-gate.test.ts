import { expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import { HandshakeGate } from "./handshake-gate.ts";

const LIMITS = { at_once: 6, per_source: 3, per_second: 10, handshake_ms: 5_000 };

function gate() {
  const clock = new ManualClock();
  const made = new HandshakeGate(clock, LIMITS);
  const told: string[] = [];
  const enter = (source: string, name: string) =>
    made.enter(source, {
      begin: () => void told.push(`${name} begins`),
      drop: (reason) => void told.push(`${name} ${reason}`),
    });
  return { clock, made, told, enter };
}

test("a source pushes out its own oldest handshake, not another's", () => {
  const { told, enter } = gate();
  enter("a", "a1");
  for (const name of ["b1", "b2", "b3", "b4"]) enter("b", name);
  expect(told).toEqual(["a1 begins", "b1 begins", "b2 begins", "b3 begins", "b1 crowded", "b4 begins"]);
});

test("many sources together push out the oldest, so that a newcomer always gets in", () => {
  const { made, told, enter } = gate();
  for (let i = 0; i < 50; i++) enter(`source-${i}`, `${i}`);
  expect(made.size).toBe(LIMITS.at_once);
  enter("phone", "phone");
  expect(told).toContain("0 crowded");
  expect(told.filter((line) => line.endsWith("crowded"))).toHaveLength(45);
});

test("a handshake that does not finish is ended in time, and one that does leaves its place", () => {
  const { clock, made, told, enter } = gate();
  enter("a", "slow");
  const leave = enter("a", "quick");
  leave();
  leave();
  expect(made.size).toBe(1);
  clock.advance(LIMITS.handshake_ms);
  expect(told).toEqual(["slow begins", "quick begins", "slow slow"]);
  expect(made.size).toBe(0);
});

test("so many begin each second, in the order they came; the rest wait", () => {
  const { clock, told, enter } = gate();
  for (let i = 0; i < 20; i++) enter(`early-${i}`, `early ${i}`)();
  told.length = 0;
  for (const name of ["x", "y", "z"]) enter(name, name);
  expect(told).toEqual([]);
  clock.advance(1000 / LIMITS.per_second);
  expect(told).toEqual(["x begins"]);
  clock.advance(2 * (1000 / LIMITS.per_second));
  expect(told).toEqual(["x begins", "y begins", "z begins"]);
});

test("in a crowd of strangers who has finished before goes first and makes no room; half of the others may finish", () => {
  const { clock, told, enter } = gate();
  enter("phone", "phone")(true);
  for (let i = 0; i < 40; i++) enter(`source-${i}`, `${i}`);
  told.length = 0;
  const leave = enter("phone", "again");
  for (let i = 40; i < 80; i++) enter(`source-${i}`, `${i}`);
  clock.advance(1000 / LIMITS.per_second);
  expect(told.filter((line) => line.startsWith("again"))).toEqual(["again begins"]);
  for (let i = 80; i < 120; i++) enter(`source-${i}`, `${i}`);
  expect(told.filter((line) => line.startsWith("again"))).toEqual(["again begins"]);
  leave(true);
  told.length = 0;
  clock.advance(1000 / LIMITS.per_second);
  const [begun] = told;
  for (let i = 120; i < 160; i++) enter(`source-${i}`, `${i}`);
  expect(begun).toMatch(/^\d+ begins$/);
  expect(told).not.toContain(begun?.replace("begins", "crowded"));
});

test("closing ends all", () => {
  const { made, told, enter } = gate();
  enter("a", "a");
  made.close();
  expect(told).toEqual(["a begins", "a crowded"]);
  expect(made.size).toBe(0);
});
