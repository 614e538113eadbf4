import { describe, expect, test } from "vitest";
import { header, headerValues } from "../messages/headers.ts";
import type { SipRequest } from "../messages/message.ts";
import { parseVia } from "../messages/via.ts";
import { responseTarget, stampReceived } from "./via-route.ts";

const SOURCE = { address: "198.51.100.7", port: 40_123 };

function withVia(...values: readonly string[]): SipRequest {
  const headers = values.map((value) => ({ name: "v", value }));
  return { kind: "request", method: "OPTIONS", uri: "sip:a", headers, body: new Uint8Array(0) };
}

function stamped(value: string, source = SOURCE): string | undefined {
  const request = withVia(value);
  return stampReceived(request, source) ? header(request, "Via") : undefined;
}

describe("the top Via of a received request", () => {
  test("from its own address it stays as it is", () => {
    const via = "SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1;x=y";
    expect(stamped(via)).toBe(via);
  });
  test("from another address than sent-by, or by name, it learns received", () => {
    for (const host of ["10.0.0.1:5060", "pc.example.com", "[2001:db8::1]:5060"]) {
      expect(stamped(`SIP/2.0/UDP ${host};branch=z9hG4bK1`)).toBe(
        `SIP/2.0/UDP ${host};branch=z9hG4bK1;received=198.51.100.7`,
      );
    }
  });
  test("that asks for rport learns both, even from its own address", () => {
    expect(stamped("SIP/2.0/UDP 198.51.100.7;rport;branch=z9hG4bK1")).toBe(
      "SIP/2.0/UDP 198.51.100.7;rport=40123;branch=z9hG4bK1;received=198.51.100.7",
    );
  });
  test("a received or rport that the client wrote itself does not count", () => {
    expect(stamped("SIP/2.0/UDP 198.51.100.7;received=203.0.113.5;branch=z9hG4bK1")).toBe(
      "SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1",
    );
    expect(stamped("SIP/2.0/UDP 10.0.0.1;received=203.0.113.5;rport=9;branch=z9hG4bK1")).toBe(
      "SIP/2.0/UDP 10.0.0.1;received=198.51.100.7;rport=40123;branch=z9hG4bK1",
    );
  });
  test("an IPv6 sent-by is compared by value, not by spelling", () => {
    const via = "SIP/2.0/UDP [2001:DB8:0::1]:5060;branch=z9hG4bK1";
    expect(stamped(via, { address: "2001:db8::1", port: 5060 })).toBe(via);
    expect(stamped("SIP/2.0/UDP [2001:db8::2];branch=z9hG4bK1", { address: "2001:db8::1", port: 5060 })).toContain(
      ";received=2001:db8::1",
    );
  });
  test("only the first of several elements is touched", () => {
    const second = 'SIP/2.0/TCP b.example.com;branch=z9hG4bK2;x="a, b"';
    const request = withVia(`SIP/2.0/UDP pc.example.com;rport;branch=z9hG4bK1, ${second}`, "SIP/2.0/UDP c.example.com");
    expect(stampReceived(request, SOURCE)).toBe(true);
    expect(headerValues(request, "Via")).toEqual([
      `SIP/2.0/UDP pc.example.com;rport=40123;branch=z9hG4bK1;received=198.51.100.7, ${second}`,
      "SIP/2.0/UDP c.example.com",
    ]);
  });
  test("that cannot be read is told", () => {
    expect([stamped("nonsense"), stamped(""), stampReceived(withVia(), SOURCE)]).toEqual([undefined, undefined, false]);
  });
});

describe("where a response goes", () => {
  const target = (text: string, protocol: "udp" | "tcp" | "tls" = "udp") => {
    const via = parseVia(text);
    return via === undefined ? undefined : responseTarget(via, protocol);
  };
  test.each([
    ["rport and received", "SIP/2.0/UDP a.example.com:5070;received=192.0.2.5;rport=4000", "192.0.2.5", 4000],
    ["received, at sent-by's port", "SIP/2.0/UDP a.example.com:5070;received=192.0.2.5", "192.0.2.5", 5070],
    ["received, at the usual port", "SIP/2.0/UDP a.example.com;received=192.0.2.5", "192.0.2.5", 5060],
    ["sent-by", "SIP/2.0/UDP 192.0.2.6:5080;branch=1", "192.0.2.6", 5080],
    [
      "rport, never maddr",
      "SIP/2.0/UDP 192.0.2.6:5080;maddr=192.0.2.9;received=192.0.2.5;rport=4000",
      "192.0.2.5",
      4000,
    ],
    ["IPv6", "SIP/2.0/UDP [2001:DB8::6]:5080", "2001:db8::6", 5080],
    [
      "IPv6 received, bracketed by an old client",
      "SIP/2.0/UDP a.example.com;received=[2001:db8::7]",
      "2001:db8::7",
      5060,
    ],
    ["an rport that is no port", "SIP/2.0/UDP 192.0.2.6;rport=99999", "192.0.2.6", 5060],
  ])("by %s", (_, via, address, port) => {
    expect(target(via)).toEqual({ address, port });
  });
  test("a new connection goes to sent-by's port, not to rport, and not to maddr", () => {
    const via = "SIP/2.0/TCP a.example.com;received=192.0.2.5;rport=4000;maddr=192.0.2.9";
    expect(target(via, "tcp")).toEqual({ address: "192.0.2.5", port: 5060 });
    expect(target(via.replace("TCP", "TLS"), "tls")).toEqual({ address: "192.0.2.5", port: 5061 });
  });
  test("a name alone is no target", () => {
    expect(target("SIP/2.0/UDP a.example.com")).toBeUndefined();
  });
});
