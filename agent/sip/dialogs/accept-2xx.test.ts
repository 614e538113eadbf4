import { expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import { startAccept2xx } from "./accept-2xx.ts";

function accepting() {
  const clock = new ManualClock();
  const log: string[] = [];
  const accepted = startAccept2xx({
    clock,
    send: () => void log.push(`${clock.now()} send`),
    onAcknowledged: () => void log.push(`${clock.now()} acknowledged`),
    onTimeout: () => void log.push(`${clock.now()} timeout`),
  });
  return { clock, log, accepted };
}

test("the 2xx is repeated from T1 doubling up to T2, and given up at 64*T1", () => {
  const { clock, log, accepted } = accepting();
  clock.advance(100_000);
  expect(log).toEqual([
    ...[0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500].map((at) => `${at} send`),
    "32000 timeout",
  ]);
  expect([accepted.state, clock.pending]).toEqual(["Failed", 0]);
});

test("the ACK stops it, once", () => {
  const { clock, log, accepted } = accepting();
  clock.advance(600);
  accepted.acknowledged();
  accepted.acknowledged();
  clock.advance(100_000);
  expect(log).toEqual(["0 send", "500 send", "600 acknowledged"]);
  expect([accepted.state, clock.pending]).toEqual(["Acknowledged", 0]);
});

test("a call that ended otherwise stops it in silence", () => {
  const { clock, log, accepted } = accepting();
  accepted.stop();
  accepted.acknowledged();
  clock.advance(100_000);
  expect(log).toEqual(["0 send"]);
  expect(clock.pending).toBe(0);
});
