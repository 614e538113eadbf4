import { expect, test } from "vitest";
import { provesDomain, sipIdentities } from "./sip-identity.ts";

/** RFC 5922 §7.1: each row is a subjectAltName and the SIP domains that it makes. */
const ROWS: readonly (readonly [string, string | undefined, readonly string[]])[] = [
  ["a sip URI", "URI:sip:Example.com", ["example.com"]],
  ["sip URIs, and DNS names beside them that do not count", "DNS:a.example, URI:sip:b.example", ["b.example"]],
  ["DNS names where there is no sip URI", "DNS:A.example, DNS:b.example.", ["a.example", "b.example"]],
  ["a sips URI is none", "URI:sips:a.example", []],
  ["a user's URI is no domain's", "URI:sip:alice@a.example", []],
  ["a user's URI does not hide the DNS name", "URI:sip:alice@a.example, DNS:a.example", ["a.example"]],
  ["an address is no SIP domain", "IP Address:192.0.2.1", []],
  ["another scheme", "URI:https://a.example", []],
  ["a quoted value that pretends to be two", 'DNS:"a.example, DNS:b.example"', ["a.example, dns:b.example"]],
  ["no subjectAltName at all", undefined, []],
  ["rubbish", ':::,,,"', []],
];

for (const [name, altName, domains] of ROWS) {
  test(`${name}: ${altName}`, () => expect(sipIdentities(altName)).toEqual(domains));
}

test("names are compared whole and without case; a wildcard is only itself (RFC 5922 §7.2)", () => {
  const names = sipIdentities("DNS:*.provider.example, DNS:pbx.example");
  expect(provesDomain(names, "PBX.Example")).toBe(true);
  expect(provesDomain(names, "edge.provider.example")).toBe(false);
  expect(provesDomain(names, "*.provider.example")).toBe(true);
  expect(provesDomain(names, "example")).toBe(false);
});
