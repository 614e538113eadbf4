import { describe, expect, test } from "vitest";
import { buildRequest, type RequestParts } from "../messages/build.ts";
import { header } from "../messages/headers.ts";
import type { Header, SipResponse } from "../messages/message.ts";
import { printMultipart } from "../messages/multipart.ts";
import { validateForProxy } from "./proxy-validation.ts";
import { inspectRequest, type UasAbilities } from "./uas-inspection.ts";

const ABILITIES: UasAbilities = {
  methods: ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"],
  schemes: ["sip", "sips", "tel"],
  extensions: ["100rel"],
  contentTypes: ["application/sdp"],
};

function request(parts: Partial<RequestParts> = {}) {
  return buildRequest({
    method: "INVITE",
    uri: "sip:a@b.example",
    from: "<sip:c@d.example>;tag=1",
    to: "<sip:a@b.example>",
    callId: "x",
    cseq: 1,
    ...parts,
  });
}

const inspect = (parts: Partial<RequestParts>) => inspectRequest(request(parts), ABILITIES);
const withHeader = (name: string, value: string): { headers: Header[] } => ({ headers: [{ name, value }] });
const told = (response: SipResponse | undefined, name: string) =>
  response === undefined ? undefined : [response.status, header(response, name)];

describe("what a user agent server refuses (RFC 3261 §8.2)", () => {
  test("a method that it does not allow is 405, one that nobody knows 501, both with Allow", () => {
    const allow = "INVITE, ACK, CANCEL, BYE, OPTIONS";
    expect(told(inspect({ method: "PUBLISH" }), "Allow")).toEqual([405, allow]);
    expect(told(inspect({ method: "invite" }), "Allow")).toEqual([501, allow]);
  });

  test("a scheme that it does not know is 416", () => {
    expect(inspect({ uri: "mailto:a@b.example" })?.status).toBe(416);
    expect(inspect({ uri: "TEL:911" })).toBeUndefined();
  });

  test("an extension that it does not have is 420 with Unsupported, in no ACK or CANCEL", () => {
    const require = withHeader("Require", "100REL, foo, bar");
    expect(told(inspect(require), "Unsupported")).toEqual([420, "foo, bar"]);
    expect(inspect({ ...require, method: "ACK" })).toBeUndefined();
    expect(inspect({ ...require, method: "CANCEL" })).toBeUndefined();
  });

  test("a body that it cannot read is 415 with Accept, unless it may be left unread", () => {
    const body = { body: "x", contentType: "text/x" };
    expect(told(inspect(body), "Accept")).toEqual([415, "application/sdp"]);
    expect(inspect({ ...body, ...withHeader("Content-Disposition", "render;handling=optional") })).toBeUndefined();
    expect(inspect({ body: "v=0", contentType: "Application/SDP;charset=utf-8" })).toBeUndefined();
    expect(inspect({ body: "x", contentType: "no type" })?.status).toBe(415);
  });

  test("a body in a coding is 415 with Accept-Encoding", () => {
    const zipped = inspect({ body: "x", contentType: "application/sdp", ...withHeader("Content-Encoding", "gzip") });
    expect(told(zipped, "Accept-Encoding")).toEqual([415, "identity"]);
  });

  test("of a multipart body one part that it reads is enough", () => {
    const part = (type: string) => ({ headers: [{ name: "Content-Type", value: type }], body: Buffer.from("x") });
    const pidf = printMultipart([part("application/pidf+xml"), part("application/sdp")]);
    expect(inspect({ body: pidf.body, contentType: pidf.contentType })).toBeUndefined();
    const other = printMultipart([part("application/pidf+xml")]);
    expect(inspect({ body: other.body, contentType: other.contentType })?.status).toBe(415);
  });

  test("a caller that takes no SDP is 406", () => {
    expect(inspect(withHeader("Accept", "text/nobodyKnowsThis"))?.status).toBe(406);
    expect(inspect(withHeader("Accept", ""))?.status).toBe(406);
    expect(inspect(withHeader("Accept", "application/sdp;q=0"))?.status).toBe(406);
    for (const fine of ["application/sdp", "text/x, application/*", "*/*"]) {
      expect(inspect(withHeader("Accept", fine))).toBeUndefined();
    }
  });
});

describe("what a proxy refuses (RFC 3261 §16.3)", () => {
  const validate = (parts: Partial<RequestParts>) =>
    validateForProxy(request(parts), { schemes: ["sip", "urn"], extensions: ["privacy"] });

  test("an unknown scheme, headers in the Request-URI, an unknown Proxy-Require", () => {
    expect(validate({ uri: "http://a" })?.status).toBe(416);
    expect(validate({ uri: "sip:a@b?Route=%3Csip:c%3E" })?.status).toBe(400);
    expect(told(validate(withHeader("Proxy-Require", "privacy, foo")), "Unsupported")).toEqual([420, "foo"]);
  });

  test("Require is the endpoint's matter, and Proxy-Require counts in no ACK", () => {
    expect(validate(withHeader("Require", "foo"))).toBeUndefined();
    expect(validate({ method: "ACK", ...withHeader("Proxy-Require", "foo") })).toBeUndefined();
    expect(validate({ uri: "urn:service:sos" })).toBeUndefined();
  });
});
