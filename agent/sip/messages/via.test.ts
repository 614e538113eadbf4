import { describe, expect, test } from "vitest";
import type { SipRequest } from "./message.ts";
import { paramValue } from "./params.ts";
import { parseVia, printVia, topVia } from "./via.ts";

describe("Via", () => {
  test.each([
    ["SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport", "UDP", "192.0.2.1", 5060],
    ["SIP/2.0/TCP [2001:db8::1]:5061;branch=z9hG4bK1", "TCP", "[2001:db8::1]", 5061],
    ["SIP/2.0/UDP [2001:db8::1];received=[2001:db8::9]", "UDP", "[2001:db8::1]", undefined],
    ["SIP/2.0/UDP [2001:db8::1];received=2001:db8::9", "UDP", "[2001:db8::1]", undefined],
    ["SIP/2.0/UDP pc_33.example.com", "UDP", "pc_33.example.com", undefined],
    ["SIP/2.0/Unknown host.example;x", "Unknown", "host.example", undefined],
    ["SIP/7.0/UDP host.example", "UDP", "host.example", undefined],
  ])("%s prints as it was read", (text, transport, host, port) => {
    const via = parseVia(text);
    expect(via).toMatchObject({ transport, host });
    expect(via?.port).toBe(port);
    expect(via && printVia(via)).toBe(text);
  });

  test("blanks around slashes, colon, semicolons and equals signs", () => {
    const via = parseVia("SIP  / 2.0  /  TCP     spindle.example.com : 5062  ;  branch  =   z9hG4bK9ikj8");
    expect(via && printVia(via)).toBe("SIP/2.0/TCP spindle.example.com:5062;branch=z9hG4bK9ikj8");
  });

  test.each([
    [""],
    ["SIP/2.0/UDP"],
    ["SIP/2.0/UDP "],
    ["SIP/2.0 192.0.2.1"],
    ["UDP 192.0.2.1"],
    ["SIP/2.0/UDP 192.0.2.1:99999"],
    ["SIP/2.0/UDP 192.0.2.1 192.0.2.2"],
    ['SIP/2.0/UDP 192.0.2.1;branch="x'],
  ])("%j is refused", (text) => {
    expect(parseVia(text)).toBeUndefined();
  });

  test("the topmost of several in one line and in several lines", () => {
    const request: SipRequest = {
      kind: "request",
      method: "OPTIONS",
      uri: "sip:a",
      headers: [
        { name: "v", value: "SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b" },
        { name: "Via", value: "SIP/2.0/UDP c" },
      ],
      body: new Uint8Array(0),
    };
    expect(topVia(request)?.host).toBe("a");
    expect(paramValue(topVia(request)?.params ?? [], "branch")).toBe("z9hG4bK1");
  });
});
