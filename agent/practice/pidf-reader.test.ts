import fc from "fast-check";
import { expect, test } from "vitest";
import { buildRequest } from "../sip/messages/build.ts";
import { printMultipart } from "../sip/messages/multipart.ts";
import { encodeText } from "../sip/messages/wire-text.ts";
import { addressOf, addressText, civicIn } from "./pidf-reader.ts";

const PIDF = `<?xml version="1.0"?><p:presence xmlns:p="urn:ietf:params:xml:ns:pidf"><dm:device><gp:geopriv>
<gp:location-info><cl:civicAddress xml:lang="en"><cl:country>US</cl:country><cl:A3>Old &amp; New</cl:A3>
<cl:RD>Rehearsal</cl:RD><cl:STS>Street</cl:STS><cl:HNO>100</cl:HNO><cl:FLR>2</cl:FLR><cl:ROOM>204</cl:ROOM>
</cl:civicAddress></gp:location-info></gp:geopriv></dm:device></p:presence>`;

function invite(headers: readonly { name: string; value: string }[], body: Uint8Array, contentType: string) {
  return buildRequest({
    method: "INVITE",
    uri: "sip:911@psap.example",
    from: "<sip:101@pbx.example>;tag=a",
    to: "<sip:911@psap.example>",
    callId: "c",
    cseq: 1,
    headers,
    body,
    contentType,
  });
}

const part = (id: string, text: string) => ({
  headers: [
    { name: "Content-Type", value: "application/pidf+xml" },
    { name: "Content-ID", value: `<${id}>` },
  ],
  body: encodeText(text),
});

test("the address that Geolocation points to is read, whatever the prefix of its namespace", () => {
  const { contentType, body } = printMultipart([
    { headers: [{ name: "Content-Type", value: "application/sdp" }], body: encodeText("v=0\r\n") },
    part("other", PIDF.replace("204", "9")),
    part("wanted", PIDF),
  ]);
  const read = addressOf(invite([{ name: "Geolocation", value: "<cid:wanted>" }], body, contentType));
  expect(read).toEqual({
    country: "US",
    A3: "Old & New",
    RD: "Rehearsal",
    STS: "Street",
    HNO: "100",
    FLR: "2",
    ROOM: "204",
  });
  expect(addressText(read ?? {})).toBe("100 Rehearsal Street, floor 2, room 204, Old & New");
});

test("a call that brings no address has none", () => {
  expect(addressOf(invite([], encodeText("v=0\r\n"), "application/sdp"))).toBeUndefined();
  expect(civicIn("<civicAddress></civicAddress>")).toBeUndefined();
});

test("no text makes the reader throw", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 400 }), (text) => {
      civicIn(`<civicAddress>${text}</civicAddress>`);
      civicIn(text);
    }),
  );
});
