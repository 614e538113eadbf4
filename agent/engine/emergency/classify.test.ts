import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildRequest } from "../../sip/messages/build.ts";
import { siteConfig } from "../calls/testing/site.ts";
import { classify, classifyDialled, classifyReferTo, classifyUri } from "./classify.ts";

const rules = siteConfig();
const invite = (uri: string, headers: { name: string; value: string }[] = []) =>
  buildRequest({ method: "INVITE", uri, from: "<sip:101@pbx>;tag=a", to: "<sip:x@y>", callId: "c", cseq: 1, headers });

describe("what an emergency call is", () => {
  test.each([
    ["sip:911@box", "sos", "911", "direct"],
    ["sips:911@pbx.example;transport=tls", "sos", "911", "direct"],
    ["sip:911@10.20.0.5:5060;user=phone", "sos", "911", "direct"],
    ["sip:%39%31%31@box", "sos", "911", "direct"],
    ["sip:9%311@box", "sos", "911", "direct"],
    ["sip:9-1-1@box", "sos", "911", "direct"],
    ["sip:9.1.1@box", "sos", "911", "direct"],
    ["sip:(911)@box", "sos", "911", "direct"],
    ["sip:911;phone-context=+1@box;user=phone", "sos", "911", "direct"],
    ["sip:911%3Bphone-context=x@box", "sos", "911", "direct"],
    ["sip:911:secret@box", "sos", "911", "direct"],
    ["sip:911@box?Subject=help", "sos", "911", "direct"],
    ["sip:911%23@box", "sos", "911", "direct"],
    ["sip:9911##@box", "sos", "911", "outside_prefix"],
    ["tel:911", "sos", "911", "direct"],
    ["tel:911;phone-context=pbx.example", "sos", "911", "direct"],
    ["TEL:9-1-1", "sos", "911", "direct"],
    ["sip:9911@box", "sos", "911", "outside_prefix"],
    ["tel:9911", "sos", "911", "outside_prefix"],
    ["sip:+911@box", "sos", "911", "plus"],
    ["sip:+1911@box", "sos", "911", "plus"],
    ["sip:%2B911@box", "sos", "911", "plus"],
    ["urn:service:sos", "sos", "911", "service_urn"],
    ["URN:Service:SOS.Police", "sos", "911", "service_urn"],
    ["urn:service:sos.fire", "sos", "911", "service_urn"],
    ["urn:service:test.sos", "test", "933", "service_urn"],
    ["urn:service:test.sos.ambulance", "test", "933", "service_urn"],
    ["sip:933@box", "test", "933", "direct"],
    ["sip:9933@box", "test", "933", "outside_prefix"],
  ])("%s", (uri, kind, digits, how) => {
    expect(classify(invite(uri), rules)).toEqual({ class: kind, digits, how });
  });

  test.each([
    "sip:101@box",
    "sip:1911@box",
    "sip:9110@box",
    "sip:0911@box",
    "sip:91911@box",
    "sip:911911@box",
    "sip:alice911@box",
    "sip:box",
    "sip:911.example.com",
    "tel:+13035550911",
    "urn:service:counseling",
    "urn:service:sosx",
    "urn:uuid:911",
    "mailto:911@x",
    "",
    "sip:",
    "sip:@box",
    "sip:%@box",
  ])("not %s", (uri) => {
    expect(classify(invite(uri), rules)).toBeUndefined();
  });

  test("behind a strict router the last Route is the target", () => {
    const routed = invite("sip:10.20.0.5", [{ name: "Route", value: "<sip:edge.example>, <sip:911@pbx.example>" }]);
    expect(classify(routed, rules)?.digits).toBe("911");
    const elsewhere = invite("sip:101@pbx.example", [{ name: "Route", value: "<sip:911@pbx.example;lr>" }]);
    expect(classify(elsewhere, rules)).toBeUndefined();
  });

  test("the site's own numbers count: 112 where it is listed", () => {
    const config = siteConfig({
      emergency: {
        ...rules.emergency,
        numbers: [{ digits: "112", class: "sos" }],
        outside_prefixes: ["0"],
      },
    });
    expect(classifyDialled("112", config)?.digits).toBe("112");
    expect(classifyDialled("0112", config)?.how).toBe("outside_prefix");
    expect(classifyDialled("911", config)).toBeUndefined();
    expect(classifyUri("urn:service:sos", config)?.digits).toBe("112");
  });

  test("transfers to 911 are known", () => {
    const refer = invite("sip:102@box", [{ name: "Refer-To", value: '"Help" <sip:911@box?Replaces=a%3Bto-tag%3Db>' }]);
    expect(classifyReferTo(refer, rules)?.digits).toBe("911");
  });

  test("no text makes it throw, and separators never hide a number", () => {
    fc.assert(fc.property(fc.string(), (text) => void classifyUri(text, rules)));
    fc.assert(
      fc.property(fc.array(fc.constantFrom("-", ".", "(", ")", "", " "), { minLength: 4, maxLength: 4 }), (s) => {
        expect(classifyDialled(`${s[0]}9${s[1]}1${s[2]}1${s[3]}`, rules)?.class).toBe("sos");
      }),
    );
  });
});
