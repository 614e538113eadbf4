import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SipRequest } from "./message.ts";
import { parseNameAddr, printNameAddr, tagOf } from "./name-addr.ts";

describe("addresses with names", () => {
  test.each([
    ['"Alice \\"A\\" \\\\" <sip:alice@example.com;lr>;tag=1', 'Alice "A" \\', "sip:alice@example.com;lr"],
    ["Front  Desk <sip:101@example.com>;tag=1", "Front Desk", "sip:101@example.com"],
    ["<sip:a@b>;tag=1", undefined, "sip:a@b"],
    ["sip:a@b;tag=1", undefined, "sip:a@b"],
    ['"" <sip:a@b> ; tag = 1', "", "sip:a@b"],
    ['"日本"<sip:a@b>;tag=1', "日本", "sip:a@b"],
    ["Zoë <sip:a@b>;tag=1", "Zoë", "sip:a@b"],
    ["Bell, Alexander <sip:a@b>;tag=1", "Bell, Alexander", "sip:a@b"],
    ['"<sip:joe@big.org>" <sip:joe@really.big.com>;tag=1', "<sip:joe@big.org>", "sip:joe@really.big.com"],
    ["caller<sip:caller@example.com>;tag=1", "caller", "sip:caller@example.com"],
    ["<tel:911>;tag=1", undefined, "tel:911"],
    ["<urn:service:sos>;tag=1", undefined, "urn:service:sos"],
  ])("%s", (text, displayName, uri) => {
    const parsed = parseNameAddr(text);
    expect(parsed?.displayName).toBe(displayName);
    expect(parsed?.uri).toBe(uri);
    expect(parsed?.params).toEqual([{ name: "tag", value: "1" }]);
  });

  test("a display name that should have quotes and has none is read all the same", () => {
    expect(parseNameAddr("Smith; Room 12 <sip:101@pbx.example>;tag=a")).toEqual({
      displayName: "Smith; Room 12",
      uri: "sip:101@pbx.example",
      params: [{ name: "tag", value: "a" }],
    });
    expect(parseNameAddr("Smith, John <sip:101@pbx.example>")?.displayName).toBe("Smith, John");
    expect(parseNameAddr("sip:101@pbx.example;x=<y>")).toBeUndefined();
  });

  test("without brackets a semicolon starts the header's parameters, with them the URI's stay inside", () => {
    expect(parseNameAddr("sip:a@b;lr")?.params).toEqual([{ name: "lr" }]);
    expect(parseNameAddr("<sip:a@b;lr>")).toEqual({ uri: "sip:a@b;lr", params: [] });
  });

  test.each([
    [""],
    ["*"],
    ['"open <sip:a@b>'],
    ["<sip:a@b"],
    ["<>"],
    ["< sip:a b@c >"],
    ['"a" b <sip:a@b>'],
    ['"a"'],
    ["<sip:a@b>x"],
    ["sip:a@b?Route=x"],
    ["sip:a@b,sip:c@d"],
    ["alice"],
    ["<alice@example.com>"],
    ['<sip:a@b>;tag="1'],
  ])("%j is no address", (text) => {
    expect(parseNameAddr(text)).toBeUndefined();
  });

  test("any display name without line breaks prints and reads back", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (name) => {
        const displayName = name.replace(/[\r\n]/g, "");
        const address = { displayName, uri: "sip:a@b", params: [{ name: "tag", value: "x" }] };
        expect(parseNameAddr(printNameAddr(address))).toEqual(address);
      }),
    );
  });

  test("tags of From and To, in compact form too", () => {
    const request: SipRequest = {
      kind: "request",
      method: "BYE",
      uri: "sip:a@b",
      headers: [
        { name: "f", value: '"x;tag=no" <sip:a@b;tag=no>;TAG=yes' },
        { name: "To", value: "<sip:a@b>" },
      ],
      body: new Uint8Array(0),
    };
    expect(tagOf(request, "From")).toBe("yes");
    expect(tagOf(request, "To")).toBeUndefined();
  });
});
