import { describe, expect, test } from "vitest";
import { buildAck, buildCancel, buildRequest, buildResponse, reasonPhrase } from "./build.ts";
import { header, headerValues } from "./headers.ts";
import type { SipMessage } from "./message.ts";
import { tagOf } from "./name-addr.ts";
import { parseMessage } from "./parse.ts";
import { printMessage } from "./print.ts";

const text = (message: SipMessage) => Buffer.from(printMessage(message)).toString();

const invite = buildRequest({
  method: "INVITE",
  uri: "sip:911@psap.example.com",
  via: "SIP/2.0/UDP 192.0.2.1:5080;branch=z9hG4bKa;rport",
  route: ["<sip:edge.example.com;lr>", { uri: "sip:core.example.com;lr", params: [] }],
  from: { displayName: 'Desk "1"', uri: "sip:101@example.com", params: [{ name: "tag", value: "f1" }] },
  to: "<sip:911@example.com>",
  callId: "call-1",
  cseq: 12,
  contact: { uri: "sip:101@192.0.2.1:5080", params: [] },
  headers: [{ name: "Record-Route", value: "<sip:box.example.com;lr>" }],
  contentType: "text/plain",
  body: "é",
});
const twice = { ...invite, headers: [...invite.headers, { name: "Via", value: "SIP/2.0/UDP 192.0.2.9" }] };

describe("requests", () => {
  test("the headers of RFC 3261 §8.1.1, Max-Forwards 70, a right Content-Length", () => {
    expect(text(invite)).toBe(
      [
        "INVITE sip:911@psap.example.com SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.1:5080;branch=z9hG4bKa;rport",
        "Route: <sip:edge.example.com;lr>",
        "Route: <sip:core.example.com;lr>",
        "Max-Forwards: 70",
        'From: "Desk \\"1\\"" <sip:101@example.com>;tag=f1',
        "To: <sip:911@example.com>",
        "Call-ID: call-1",
        "CSeq: 12 INVITE",
        "Contact: <sip:101@192.0.2.1:5080>",
        "Record-Route: <sip:box.example.com;lr>",
        "Content-Type: text/plain",
        "Content-Length: 2",
        "",
        "é",
      ].join("\r\n"),
    );
    expect(parseMessage(printMessage(invite)).ok).toBe(true);
  });
});

describe("responses (RFC 3261 §8.2.6)", () => {
  test("every Via, From, Call-ID and CSeq are copied, To gets the tag", () => {
    const response = buildResponse(twice, 180, { toTag: "t1", headers: [{ name: "X", value: "y" }] });
    expect(text(response)).toBe(
      [
        "SIP/2.0 180 Ringing",
        "Via: SIP/2.0/UDP 192.0.2.1:5080;branch=z9hG4bKa;rport",
        "Via: SIP/2.0/UDP 192.0.2.9",
        "Record-Route: <sip:box.example.com;lr>",
        'From: "Desk \\"1\\"" <sip:101@example.com>;tag=f1',
        "To: <sip:911@example.com>;tag=t1",
        "Call-ID: call-1",
        "CSeq: 12 INVITE",
        "X: y",
        "Content-Length: 0",
        "",
        "",
      ].join("\r\n"),
    );
  });

  test("a 100 has no To-tag and copies Timestamp; neither it nor a final error has a Record-Route", () => {
    const stamped = { ...invite, headers: [...invite.headers, { name: "Timestamp", value: "54" }] };
    const trying = buildResponse(stamped, 100, { toTag: "no" });
    expect(tagOf(trying, "To")).toBeUndefined();
    expect(header(trying, "Timestamp")).toBe("54");
    expect(header(trying, "Record-Route")).toBeUndefined();
    const busy = buildResponse(stamped, 486);
    expect(header(busy, "Record-Route")).toBeUndefined();
    expect(header(busy, "Timestamp")).toBeUndefined();
    expect(tagOf(busy, "To")).toMatch(/^[a-z0-9]{16}$/);
  });

  test("a tag that To already has stays; To without brackets and an unreadable To get one too", () => {
    const withTo = (to: string) => ({
      ...invite,
      headers: [...invite.headers.filter(({ name }) => name !== "To"), { name: "t", value: to }],
    });
    const toOf = (to: string) => header(buildResponse(withTo(to), 200, { toTag: "new" }), "To");
    expect(toOf("<sip:a@b>;tag=old")).toBe("<sip:a@b>;tag=old");
    expect(toOf("sip:a@b;x=y")).toBe("sip:a@b;x=y;tag=new");
    expect(toOf('"open <sip:a@b>')).toBe('"open <sip:a@b>;tag=new');
  });

  test("the 400 to a malformed request reads back as a response", () => {
    const bad = Buffer.from(text(invite).replace("Max-Forwards: 70", "Max-Forwards 70"));
    const result = parseMessage(bad);
    if (result.ok || result.error.request === undefined) throw new Error("should be answerable");
    const response = buildResponse(result.error.request, result.error.status, {
      reason: "Bad Header Line",
      toTag: "t",
    });
    expect(parseMessage(printMessage(response))).toMatchObject({
      ok: true,
      message: { status: 400, reason: "Bad Header Line" },
    });
  });

  test("phrases: known, unknown of a known class", () => {
    expect(reasonPhrase(424)).toBe("Bad Location Information");
    expect(reasonPhrase(499)).toBe("Bad Request");
    expect(reasonPhrase(699)).toBe("Busy Everywhere");
    expect(reasonPhrase(999)).toBe("Unknown");
  });
});

describe("ACK and CANCEL of one hop", () => {
  test("ACK to a non-2xx (RFC 3261 §17.1.1.3): To of the response, one Via, Route and Request-URI of the INVITE", () => {
    const ack = buildAck(twice, buildResponse(twice, 486, { toTag: "t1" }));
    expect(ack).toMatchObject({ method: "ACK", uri: "sip:911@psap.example.com" });
    expect(headerValues(ack, "Via")).toEqual(["SIP/2.0/UDP 192.0.2.1:5080;branch=z9hG4bKa;rport"]);
    expect(headerValues(ack, "Route")).toEqual(["<sip:edge.example.com;lr>", "<sip:core.example.com;lr>"]);
    expect(header(ack, "To")).toBe("<sip:911@example.com>;tag=t1");
    expect(header(ack, "From")).toBe(header(invite, "From"));
    expect(header(ack, "CSeq")).toBe("12 ACK");
    expect(ack.body.length).toBe(0);
    expect(parseMessage(printMessage(ack)).ok).toBe(true);
  });

  test("CANCEL (RFC 3261 §9.1): To of the request, no tag, and a Reason when given", () => {
    const cancel = buildCancel(twice, [{ name: "Reason", value: "SIP;cause=200" }]);
    expect(headerValues(cancel, "Via")).toHaveLength(1);
    expect(header(cancel, "To")).toBe("<sip:911@example.com>");
    expect(header(cancel, "CSeq")).toBe("12 CANCEL");
    expect(header(cancel, "Reason")).toBe("SIP;cause=200");
    expect(header(cancel, "Content-Type")).toBeUndefined();
    expect(parseMessage(printMessage(cancel)).ok).toBe(true);
  });
});
