import { describe, expect, test } from "vitest";
import { parseAuthorization, parseChallenge } from "../auth/digest.ts";
import { headerList, parseContentType, parseCSeq, removeFirst } from "./headers.ts";
import type { SipRequest } from "./message.ts";
import { parseMultipart } from "./multipart.ts";
import { parseNameAddr } from "./name-addr.ts";
import { parseParams } from "./params.ts";
import { parseMessage } from "./parse.ts";
import { printMessage } from "./print.ts";
import { editSdp, readSdp } from "./sdp.ts";
import { quote, unquote } from "./syntax.ts";
import { escapeUser, parseUri, sameUri, unescapeText } from "./uri.ts";
import { parseVia } from "./via.ts";
import { decodeText, encodeText } from "./wire-text.ts";

/**
 * Work must grow with the input, not with its square. 100,000 characters are a few milliseconds of linear work and ten
 * seconds or more of quadratic work (10^10 steps), so that a bound of one second of CPU tells them apart anywhere.
 */
const SIZE = 100_000;
const BOUND_MS = 1_000;

const many = (unit: string) => unit.repeat(Math.ceil(SIZE / unit.length));

const UNITS = [
  " ",
  "\t",
  ",",
  ";",
  ";a",
  ";a=",
  '"',
  '\\"',
  "\\",
  "<",
  ">",
  "<>",
  "a",
  "a,",
  "a=b,",
  ":",
  "@",
  "a@",
  "?",
  "&a",
  "%",
  "%4",
  "%41",
  "/",
  "/ ",
  "[",
  "::",
  ".",
  "-",
  "a-",
  "0",
  "\r\n ",
  "\n",
  "\r",
  "\r\n",
  "a:\r\n",
  "--b",
  "\r\n--b",
  "\r\n--b\r\n",
  "é",
  "\u{1F600}",
  "\uDC80",
  "m=audio 1 RTP/AVP 0\r\n",
  "c=IN IP4 1.1.1.1\r\n",
  "a=x\r\n",
  "v=",
];

type Reader = (text: string) => unknown;

const HEADER_PREFIXES = [
  "",
  '"',
  "<",
  "a",
  "sip:",
  "sip:a@",
  "SIP/2.0/UDP ",
  "Digest ",
  "Digest a=",
  "multipart/mixed;boundary=",
];
const HEADER_READERS: readonly (readonly [string, Reader])[] = [
  ["decodeText and encodeText", (text) => encodeText(decodeText(encodeText(text)))],
  ["quote and unquote", (text) => unquote(quote(text))],
  ["parseParams", parseParams],
  ["parseUri", parseUri],
  ["sameUri", (text) => sameUri(text, text)],
  ["unescapeText and escapeUser", (text) => escapeUser(unescapeText(text))],
  ["parseNameAddr", parseNameAddr],
  ["parseVia", parseVia],
  ["parseCSeq", parseCSeq],
  ["parseContentType", parseContentType],
  ["headerList", (text) => headerList(request(text), "X")],
  ["removeFirst", (text) => removeFirst(request(text), "X")],
  ["printMessage", (text) => printMessage(request(text))],
  ["parseMessage", (text) => parseMessage(encodeText(text))],
  ["parseMessage of headers", (text) => parseMessage(encodeText(`OPTIONS sip:a SIP/2.0\r\nX: ${text}\r\n\r\n`))],
  ["parseMultipart", (text) => parseMultipart("multipart/mixed;boundary=b", encodeText(text))],
  ["parseMultipart of a type", (text) => parseMultipart(text, encodeText("--b\r\n\r\n--b--"))],
  ["parseChallenge", parseChallenge],
  ["parseAuthorization", parseAuthorization],
];

const ATTRIBUTES =
  "fmtp:0 |imageattr:1 send |simulcast:|simulcast:send |source-filter: |floorid:|mediaclk:|ptime:1|rtcp:1 IN IP4 |candidate:";
const SDP_PREFIXES = ["", "m=audio ", "o=", "c=IN IP4 ", ...ATTRIBUTES.split("|").map((attribute) => `a=${attribute}`)];
const SDP_READERS: readonly (readonly [string, Reader])[] = [
  ["readSdp", readSdp],
  ["editSdp", (text) => editSdp(text, [{ address: "192.0.2.1", port: 4000 }])],
];

function request(value: string): SipRequest {
  return { kind: "request", method: "INFO", uri: "sip:a", headers: [{ name: "X", value }], body: new Uint8Array(0) };
}

/** The second ending fits no grammar, so that a reader that can go back over the text has a reason to. */
const ENDINGS = ["", '\0"<'];

function expectLinear(prefixes: readonly string[], reader: Reader): void {
  for (const prefix of prefixes) {
    for (const unit of UNITS) {
      for (const ending of ENDINGS) {
        const text = prefix + many(unit) + ending;
        const before = process.cpuUsage();
        reader(text);
        const cpu_ms = process.cpuUsage(before).user / 1000;
        expect(cpu_ms, `${JSON.stringify(prefix)}, ${JSON.stringify(unit)} repeated`).toBeLessThan(BOUND_MS);
      }
    }
  }
}

describe("time grows with the input, not with its square", () => {
  test.each(HEADER_READERS)("%s", { timeout: 60_000 }, (_, reader) => expectLinear(HEADER_PREFIXES, reader));
  test.each(SDP_READERS)("%s", { timeout: 60_000 }, (_, reader) => expectLinear(SDP_PREFIXES, reader));
});
