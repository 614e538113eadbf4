import { describe, expect, test } from "vitest";
import { bareHost, escapeUser, parseUri, printUri, sameUri, unescapeText, userOf } from "./uri.ts";

describe("reading URIs", () => {
  test("all parts of a sip URI", () => {
    expect(parseUri("SIP:alice:secret@Example.COM:5070;transport=tcp;lr?Subject=a%20b&Priority=urgent")).toEqual({
      scheme: "sip",
      user: "alice",
      password: "secret",
      host: "Example.COM",
      port: 5070,
      params: [{ name: "transport", value: "tcp" }, { name: "lr" }],
      headers: [
        { name: "Subject", value: "a%20b" },
        { name: "Priority", value: "urgent" },
      ],
    });
  });

  test("a user part may hold semicolons, question marks and parameters of a number", () => {
    const uri = parseUri("sip:+12125551212;phone-context=example.com?x@gw.example.com;user=phone");
    expect(uri?.user).toBe("+12125551212;phone-context=example.com?x");
    expect(uri?.host).toBe("gw.example.com");
    expect(uri?.params).toEqual([{ name: "user", value: "phone" }]);
  });

  test("a mail address as user, its @ not escaped, as phones send it", () => {
    expect(parseUri("sip:bob@corp.example@192.0.2.1")).toMatchObject({ user: "bob@corp.example", host: "192.0.2.1" });
    expect(parseUri("sip:bob@192.0.2.1?Route=<x".replace("<", "%3C"))).toMatchObject({
      user: "bob",
      host: "192.0.2.1",
    });
    expect(parseUri("sip:a@h?To=b@c")).toMatchObject({ user: "a", host: "h" });
  });

  test("IPv6 references", () => {
    expect(parseUri("sip:[2001:db8::10]:5070")).toMatchObject({ host: "[2001:db8::10]", port: 5070 });
    expect(parseUri("sip:[2001:db8::10:5070]")).toMatchObject({ host: "[2001:db8::10:5070]" });
    expect(parseUri("sip:2001:db8::10")).toBeUndefined();
    expect(bareHost("[2001:db8::10]")).toBe("2001:db8::10");
    expect(bareHost("192.0.2.1")).toBe("192.0.2.1");
  });

  test("tel, urn and unknown schemes", () => {
    expect(parseUri("tel:911;phone-context=+1")).toEqual({
      scheme: "tel",
      user: "911",
      host: "",
      params: [{ name: "phone-context", value: "+1" }],
      headers: [],
    });
    expect(parseUri("urn:service:sos.fire")).toMatchObject({ scheme: "urn", opaque: "service:sos.fire" });
    expect(parseUri("nobodyKnowsThisScheme:totallyopaquecontent")).toMatchObject({
      scheme: "nobodyknowsthisscheme",
      opaque: "totallyopaquecontent",
    });
  });

  test("user parts are given with escapes resolved", () => {
    expect(userOf(parseUri("sip:%39%31%31@example.com") ?? { scheme: "", host: "", params: [], headers: [] })).toBe(
      "911",
    );
    expect(unescapeText("sips%3Auser%40example.com")).toBe("sips:user@example.com");
    expect(unescapeText("null-%00-null")).toBe("null-\0-null");
    expect(unescapeText("100%")).toBe("100%");
    expect(unescapeText("%39%FF%zz")).toBe("9%FF%zz");
    expect(escapeUser("a b@c:ü")).toBe("a%20b%40c%3A%C3%BC");
    expect(escapeUser("+1-212;x")).toBe("+1-212;x");
  });

  test.each([
    [""],
    ["sip:"],
    [":x"],
    ["alice"],
    ["sip:a b@c"],
    ["sip:a@"],
    ["sip:a@b:port"],
    ["sip:a@b:70000"],
    ["sip:a@[::1"],
    ["<sip:a@b>"],
    ["sip:a@b\r\nX: y"],
    ["1sip:a@b"],
    ["tel:"],
    ['sip:a"b@c'],
  ])("%j is refused", (text) => {
    expect(parseUri(text)).toBeUndefined();
  });

  test.each([
    ["sip:alice@example.com"],
    ["sips:[::1]:5061;transport=tls"],
    ["sip:a:b@c:1;x=;y?h=v&g"],
    ["sip:911@b;user=phone;a:b;[c]/&+$d=[/]:&+$%20"],
    ["tel:+1-201-555-0123;ext=5"],
    ["urn:service:sos"],
    ["sip:@example.com"],
    ["http://example.com/x?y=z"],
  ])("%s prints as it was read", (text) => {
    const uri = parseUri(text);
    expect(uri && printUri(uri)).toBe(text);
  });
});

describe("equivalence of URIs (RFC 3261 §19.1.4)", () => {
  test.each([
    ["sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"],
    ["sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"],
    ["sip:carol@chicago.com", "sip:carol@chicago.com;security=on"],
    [
      "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
      "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    ],
    [
      "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
      "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
    ],
    ["sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0:0:0:0:0:1]"],
    ["tel:+1-201-555-0123", "tel:+12015550123"],
    ["urn:service:sos", "URN:service:sos"],
  ])("%s is %s", (a, b) => {
    expect(sameUri(a, b)).toBe(true);
    expect(sameUri(b, a)).toBe(true);
  });

  test.each([
    ["SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"],
    ["sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"],
    ["sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"],
    ["sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"],
    ["sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"],
    ["sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"],
    ["sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;newparam=6"],
    ["sip:a@b", "sips:a@b"],
    ["sip:a:x@b", "sip:a:y@b"],
    ["sip:a@b;maddr=192.0.2.1", "sip:a@b"],
    ["sip:a@[2001:db8::1]", "sip:a@[2001:db8::2]"],
    ["tel:911", "tel:911;phone-context=+1"],
    ["nonsense", "nonsense"],
  ])("%s is not %s", (a, b) => {
    expect(sameUri(a, b)).toBe(false);
    expect(sameUri(b, a)).toBe(false);
  });
});
