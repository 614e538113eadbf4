import { describe, expect, test } from "vitest";
import {
  appendHeader,
  callIdOf,
  canonicalName,
  contentType,
  cseqOf,
  header,
  headerList,
  headerValues,
  prependHeader,
  removeFirst,
  removeHeader,
  setHeader,
} from "./headers.ts";
import type { Header, SipRequest } from "./message.ts";

function request(...lines: string[]): SipRequest {
  const headers = lines.map((line): Header => {
    const colon = line.indexOf(":");
    return { name: line.slice(0, colon), value: line.slice(colon + 1).trim() };
  });
  return { kind: "request", method: "INVITE", uri: "sip:a@b", headers, body: new Uint8Array(0) };
}

const lines = (message: SipRequest) => message.headers.map(({ name, value }) => `${name}: ${value}`);

describe("header names", () => {
  test.each([
    ["v", "Via"],
    ["V", "Via"],
    ["vIA", "Via"],
    ["i", "Call-ID"],
    ["CALL-ID", "Call-ID"],
    ["cseq", "CSeq"],
    ["www-authenticate", "WWW-Authenticate"],
    ["x", "Session-Expires"],
    ["x-my-own", "X-My-Own"],
    ["z", "Z"],
    ["__proto__", "__proto__"],
    ["constructor", "Constructor"],
  ])("%s is %s", (name, canonical) => {
    expect(canonicalName(name)).toBe(canonical);
  });
});

describe("looking at headers", () => {
  const message = request(
    "v: SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b",
    'm: "x, y" <sip:a@b;x=1,2>, <sip:c@d>',
    "VIA: SIP/2.0/UDP c",
    "contact: <sip:e@f>,,",
    "i: id@host",
    "cseq: 009 INVITE",
    'c: Application/SDP ; charset="utf-8"',
  );

  test("compact, long and oddly written names are one", () => {
    expect(header(message, "Via")).toBe("SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b");
    expect(headerValues(message, "v")).toEqual(["SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b", "SIP/2.0/UDP c"]);
    expect(header(message, "Route")).toBeUndefined();
    expect(callIdOf(message)).toBe("id@host");
  });

  test("list elements over all lines, commas in quotes and brackets kept, empty ones left out", () => {
    expect(headerList(message, "Contact")).toEqual(['"x, y" <sip:a@b;x=1,2>', "<sip:c@d>", "<sip:e@f>"]);
    expect(headerList(message, "Via")).toEqual(["SIP/2.0/UDP a;branch=1", "SIP/2.0/UDP b", "SIP/2.0/UDP c"]);
  });

  test("CSeq and Content-Type", () => {
    expect(cseqOf(message)).toEqual({ seq: 9, method: "INVITE" });
    expect(contentType(message)).toEqual({ type: "application/sdp", params: [{ name: "charset", value: '"utf-8"' }] });
    expect(cseqOf(request("CSeq: 2147483647 ACK"))).toEqual({ seq: 2147483647, method: "ACK" });
    for (const bad of ["2147483648 ACK", "-1 ACK", "1", "ACK 1", "1 A B", "0x1 ACK", "36893488147419103232 ACK"]) {
      expect(cseqOf(request(`CSeq: ${bad}`)), bad).toBeUndefined();
    }
    expect(contentType(request("Content-Type: text"))).toBeUndefined();
  });
});

describe("changing headers", () => {
  test("setHeader replaces the first in its place and form, and drops the others", () => {
    const message = request("A: 1", "m: <sip:a>", "B: 2", "Contact: <sip:b>");
    setHeader(message, "Contact", "<sip:z>");
    setHeader(message, "Expires", "60");
    expect(lines(message)).toEqual(["A: 1", "m: <sip:z>", "B: 2", "Expires: 60"]);
  });

  test("append goes after the last, prepend before the first of the name", () => {
    const message = request("Via: b", "Route: <x>", "v: c", "To: t");
    prependHeader(message, "Via", "a");
    appendHeader(message, "Via", "d");
    appendHeader(message, "X", "end");
    prependHeader(message, "Y", "top");
    expect(lines(message)).toEqual(["Y: top", "Via: a", "Via: b", "Route: <x>", "v: c", "Via: d", "To: t", "X: end"]);
  });

  test("removeHeader takes every line, removeFirst the first element only", () => {
    const message = request("Via: a, b", "Route: <sip:p;lr>", "v: c", "Route: ,", "Route: <q>, <r>");
    expect(removeFirst(message, "Via")).toBe("a");
    expect(removeFirst(message, "Via")).toBe("b");
    expect(removeFirst(message, "Route")).toBe("<sip:p;lr>");
    expect(removeFirst(message, "Route")).toBe("<q>");
    expect(lines(message)).toEqual(["v: c", "Route: <r>"]);
    removeHeader(message, "VIA");
    expect(lines(message)).toEqual(["Route: <r>"]);
    expect(removeFirst(message, "Via")).toBeUndefined();
  });
});
