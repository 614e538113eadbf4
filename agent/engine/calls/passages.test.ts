import { expect, test } from "vitest";
import { createEventFactory, type HoldfastEvent } from "../../base/events.ts";
import { ManualClock } from "../../base/manual-clock.ts";
import { buildRequest } from "../../sip/messages/build.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import type { Trunk } from "../trunks/trunk.ts";
import { NO_FILES } from "./moving/call-files.ts";
import { Passages } from "./passages.ts";
import type { Party } from "./proxy-parties.ts";

function passages() {
  const clock = new ManualClock();
  const origin = { org: "o", site: "s", box: "b", boot_id: "x", practice: false };
  const records: HoldfastEvent[] = [];
  const made = new Passages({
    clock,
    journal: NO_FILES,
    events: createEventFactory(
      clock,
      () => origin,
      () => "synchronised",
    ),
    record: (event) => void records.push(event),
    changed: () => {},
  });
  return { clock, made, records, types: () => records.map(({ type }) => type) };
}

const flow = {} as Flow;
const phone: Party = { kind: "phone", flow };
const cloud: Party = { kind: "trunk", flow, trunk: { id: "cloud", path: { id: "wan" } } as Trunk };
const invite = buildRequest({
  method: "INVITE",
  uri: "sip:102@pbx.example",
  from: "<sip:101@pbx.example>;tag=a",
  to: "<sip:102@pbx.example>",
  callId: "c1",
  cseq: 1,
});

test("the two halves of a call over the cloud are one call", () => {
  const { clock, made, records, types } = passages();
  made.started("near", invite, phone, cloud);
  made.started("far", invite, cloud, phone);
  made.ringing("far");
  made.ringing("near");
  made.answered("far");
  made.answered("near");
  expect(made.status()).toMatchObject([
    { kind: "outbound", state: "answered", caller: "101", callee: "102", path: "wan" },
  ]);
  // The clock is set back in the middle of the call.
  clock.setWall(clock.wall() - 3_600_000);
  clock.advance(61_000);
  made.ended("far", phone, "hung up");
  made.ended("near", cloud, "hung up");
  expect(types()).toEqual(["call.started", "call.answered", "call.ended"]);
  expect(records.at(-1)?.data).toMatchObject({ duration_ms: 61_000, ended_by: "callee", cause: "hung up" });
  expect(made.size).toBe(0);
});

test("a call that was asked for credentials is not counted twice", () => {
  const { made, types } = passages();
  made.started("first", invite, phone, cloud);
  made.challenged("first");
  made.started("second", invite, phone, cloud);
  made.ended("second", phone, "refused with 486");
  expect(types()).toEqual(["call.started", "call.ended"]);
});

test("phones that the PBX forks a call to are one call, which goes on when those that lost are told", () => {
  for (const from of [phone, cloud]) {
    const { made, types } = passages();
    if (from === phone) made.started("near", invite, phone, cloud);
    for (const leg of ["one", "two"]) made.started(leg, invite, cloud, phone);
    made.ringing("one");
    made.ringing("two");
    made.answered("one");
    if (from === phone) made.answered("near");
    made.ended("two", cloud, "cancelled");
    expect(made.status()).toMatchObject([{ state: "answered" }]);
    made.ended("one", phone, "hung up");
    expect(types()).toEqual(["call.started", "call.answered", "call.ended"]);
    expect(made.size).toBe(0);
  }
});

test("two forks that both answered are one call until the second is hung up", () => {
  const { made, types } = passages();
  made.started("near", invite, phone, cloud);
  for (const leg of ["one", "two"]) made.started(leg, invite, cloud, phone);
  for (const leg of ["one", "two", "near"]) made.answered(leg);
  made.ended("one", cloud, "hung up");
  expect(types()).toEqual(["call.started", "call.answered"]);
  made.ended("two", cloud, "hung up");
  expect(types()).toEqual(["call.started", "call.answered", "call.ended"]);
});

test("none of the phones takes a call from the cloud: it ends with the last", () => {
  const { made, types } = passages();
  for (const leg of ["one", "two"]) made.started(leg, invite, cloud, phone);
  made.ended("one", cloud, "refused with 486");
  expect(made.size).toBe(1);
  made.ended("two", cloud, "refused with 486");
  expect(types()).toEqual(["call.started", "call.ended"]);
});

test("of two phones that speak directly, the one that hung up is told by where it is", () => {
  const at = (address: string): Party => ({
    kind: "phone",
    flow: { remote: { address, port: 5060 } } as Extract<Party, { kind: "phone" }>["flow"],
  });
  for (const [by, who] of [
    ["10.0.0.1", "caller"],
    ["10.0.0.2", "callee"],
  ] as const) {
    const { made, records } = passages();
    made.started("leg", invite, at("10.0.0.1"), at("10.0.0.2"));
    made.answered("leg");
    made.ended("leg", at(by), "hung up");
    expect(records.at(-1)).toMatchObject({ type: "call.ended", data: { ended_by: who } });
  }
});
