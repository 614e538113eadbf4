import { expect, test } from "vitest";
import { ManualClock } from "../base/manual-clock.ts";
import { buildRequest } from "../sip/messages/build.ts";
import { CloudContacts } from "./cloud-contacts.ts";

function register(contact: string, headers: readonly { name: string; value: string }[] = []) {
  return buildRequest({
    method: "REGISTER",
    uri: "sip:pbx.example",
    from: "<sip:101@pbx.example>;tag=a",
    to: "<sip:101@pbx.example>",
    callId: "c",
    cseq: 1,
    contact,
    headers,
  });
}

test("a contact is kept with its Path until it lapses, and named in the 200 with what is left", () => {
  const clock = new ManualClock();
  const contacts = new CloudContacts(clock);
  const path = { name: "Path", value: "<sip:token@127.10.0.2:5062;lr>" };
  const made = contacts.register("101", register("<sip:101@127.0.0.101>", [path, { name: "Expires", value: "60" }]));
  expect(made.contacts).toEqual(["<sip:101@127.0.0.101>;expires=60"]);
  expect(contacts.of("101").map(({ uri, path: kept }) => [uri, kept])).toEqual([
    ["sip:101@127.0.0.101", ["<sip:token@127.10.0.2:5062;lr>"]],
  ]);
  clock.advance(20_000);
  expect(contacts.register("101", register("<sip:101@127.0.0.9>;expires=0")).contacts).toEqual([
    "<sip:101@127.0.0.101>;expires=40",
  ]);
  clock.advance(40_000);
  expect(contacts.of("101")).toEqual([]);
});

test("the same contact is renewed, expires=0 takes it away, * takes all", () => {
  const contacts = new CloudContacts(new ManualClock());
  contacts.register("101", register("<sip:101@127.0.0.101>;expires=60"));
  contacts.register("101", register("<sip:101@127.0.0.101>;expires=90"));
  contacts.register("101", register("<sip:101@127.0.0.102>"));
  expect(contacts.of("101")).toHaveLength(2);
  contacts.register("101", register("<sip:101@127.0.0.102>;expires=0"));
  expect(contacts.of("101").map(({ uri }) => uri)).toEqual(["sip:101@127.0.0.101"]);
  contacts.register("101", register("*", [{ name: "Expires", value: "0" }]));
  expect(contacts.of("101")).toEqual([]);
});

test("a Contact that cannot be read changes nothing", () => {
  const contacts = new CloudContacts(new ManualClock());
  contacts.register("101", register("<sip:101@127.0.0.101>"));
  expect(contacts.register("101", register("<sip:")).ok).toBe(false);
  expect(contacts.of("101")).toHaveLength(1);
});
