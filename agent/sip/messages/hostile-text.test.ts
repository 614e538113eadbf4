import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chooseChallenge, parseAuthorization } from "../auth/digest.ts";
import { parseContentType, parseCSeq } from "./headers.ts";
import type { SipRequest } from "./message.ts";
import { parseMultipart } from "./multipart.ts";
import { parseNameAddr, printNameAddr } from "./name-addr.ts";
import { parseParams, printParams } from "./params.ts";
import { editSdp, readSdp, sdpOf, withSdp } from "./sdp.ts";
import { parseUri, printUri, sameUri, userOf } from "./uri.ts";
import { parseVia, printVia } from "./via.ts";
import { encodeText } from "./wire-text.ts";

const piece = fc.oneof(
  fc.constantFrom(
    ...'<>"\\;,:=@?&%[]()/ \t\r\n',
    ...["sip:", "sips:", "tel:", "urn:service:sos", "911", "a", "b.example", "192.0.2.1", "[2001:db8::1]", ":5060"],
    ...["tag=1", "lr", ";x=y", '"q"', "%41", "%zz", "é", "\uDCFF", "\u{1F600}", "SIP/2.0/UDP ", "nonce=", 'realm="r"'],
    ...["application/sdp", ";boundary=b", "--b", "\r\n--b\r\n", "\r\n--b--", "m=audio 1 RTP/AVP 0\r\n"],
    ...["c=IN IP4 ", "a=rtcp:1", "a=inactive\r\n", "o=- 1 1 IN IP4 x\r\n", "__proto__", "constructor"],
  ),
  fc.string({ unit: "binary", maxLength: 4 }),
);

const beginning = fc.constantFrom(
  "",
  "sip:a@b",
  "tel:911",
  "<sip:a@b>",
  '"a" <sip:a@b>',
  "a b <sip:a@b>",
  "SIP/2.0/UDP b",
  "sip / 3.0 / TLS b",
  "Digest ",
  "multipart/mixed;boundary=b",
  "--b\r\n",
);

/** Text made of what means something to the readers, so that much of it comes near to being right. */
const hostile = fc
  .tuple(beginning, fc.array(piece, { maxLength: 10 }))
  .map(([start, pieces]) => start + pieces.join(""));

describe("hostile text", () => {
  test("what a reader accepts prints as text that means the same to it", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const params = parseParams(text);
        if (params !== undefined) expect(parseParams(printParams(params))).toEqual(params);
        const uri = parseUri(text);
        if (uri !== undefined) {
          expect(parseUri(printUri(uri))).toEqual(uri);
          expect(sameUri(uri, printUri(uri))).toBe(true);
          userOf(uri);
        }
        const address = parseNameAddr(text);
        if (address !== undefined && !/[\r\n]/.test(address.displayName ?? "")) {
          expect(parseNameAddr(printNameAddr(address))).toEqual(address);
        }
        const via = parseVia(text);
        if (via !== undefined) expect(parseVia(printVia(via))).toEqual(via);
      }),
      { numRuns: 5_000 },
    );
  });

  test("nothing throws", () => {
    fc.assert(
      fc.property(hostile, hostile, (text, body) => {
        parseCSeq(text);
        parseContentType(text);
        parseAuthorization(text);
        chooseChallenge([text]);
        parseMultipart(text, encodeText(body));
        readSdp(body);
        editSdp(body, [{ address: "192.0.2.1", port: 4000 }]);
        const headers = [{ name: "Content-Type", value: text }];
        const request: SipRequest = { kind: "request", method: "INVITE", uri: text, headers, body: encodeText(body) };
        if (sdpOf(request) !== undefined) expect(sdpOf(withSdp(request, "v=0\r\n"))).toBe("v=0\r\n");
      }),
      { numRuns: 5_000 },
    );
  });
});
