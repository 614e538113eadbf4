import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalAddress, inBrackets, ipFamily } from "./ip-address.ts";

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
  ["[2001:db8::1]", "2001:db8::1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["::", "::"],
  ["0:0:0:0:0:0:0:1", "::1"],
  ["1::", "1::"],
  ["fe80::1%eth0", "fe80::1%eth0"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["::ffff:c000:207", "192.0.2.7"],
  ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
])("%s is written %s", (text, canonical) => {
  expect(canonicalAddress(text)).toBe(canonical);
});

test.each([
  "",
  "192.0.2",
  "192.0.2.256",
  "192.0.2.01",
  "1.2.3.4.5",
  "example.com",
  ":",
  ":::",
  "1::2::3",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7::8:9",
  "12345::",
  "1.2.3.4::",
  "g::1",
])("%j is no IP literal", (text) => {
  expect([canonicalAddress(text), ipFamily(text)]).toEqual([undefined, undefined]);
});

test("every way to write an IPv6 address has the same canonical form, of the same family", () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      const canonical = canonicalAddress(text);
      expect(canonical).toBeDefined();
      if (canonical === undefined) return;
      expect(canonicalAddress(inBrackets(canonical))).toBe(canonical);
      if (canonical.includes(":")) expect(new URL(`http://[${text}]/`).hostname).toBe(`[${canonical}]`);
    }),
  );
});
