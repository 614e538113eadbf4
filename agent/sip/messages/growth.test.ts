import { describe, expect, test } from "vitest";
import { parseAuthorization, parseChallenge } from "../auth/digest.ts";
import { StreamFramer } from "../transport/framing.ts";
import { headerList, parseContentType, parseCSeq, removeFirst } from "./headers.ts";
import type { SipRequest } from "./message.ts";
import { parseMultipart } from "./multipart.ts";
import { parseNameAddr } from "./name-addr.ts";
import { parseParams } from "./params.ts";
import { LIMITS, parseMessage } from "./parse.ts";
import { printMessage } from "./print.ts";
import { editSdp, readSdp, sdpOf, withSdp } from "./sdp.ts";
import { quote, unquote } from "./syntax.ts";
import { escapeUser, parseUri, sameUri, unescapeText } from "./uri.ts";
import { parseVia } from "./via.ts";
import { decodeText, encodeText } from "./wire-text.ts";

/**
 * Twice the input must not take more than 2.5 times as long. It is doubled twice, and the mean of both counts, lest a step
 * (a cache that is full, a heap's next generation) pass for growth. CPU time is measured, each size many times and in
 * turns, and the least of it counts: what else the machine does can only add. What still looks wrong is measured again, for
 * noise passes and a square does not: there the ratio is four, every time.
 */
const RATIO = 2.5;
const ROUNDS = 5;
const TRIES = 8;
/** What is through with the larger input in this time did no square of anything: that would be millions of steps. */
const AT_ONCE_US = 100;
/** Shorter measurements would be the clock's grain. */
const LEAST_US = 600;

function cpu_us(work: () => void, times: number): number {
  const before = process.cpuUsage();
  for (let i = 0; i < times; i++) work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

/** How much longer it takes for twice the input. */
function growth(make: (size: number) => () => void, size: number): number {
  const small = make(size);
  const large = make(4 * size);
  let times = 1;
  // Also warms the code up.
  while (cpu_us(small, times) < LEAST_US && times < 100_000) times *= 2;
  let ratio = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < TRIES && ratio > RATIO; attempt++) {
    let one = Number.POSITIVE_INFINITY;
    let four = Number.POSITIVE_INFINITY;
    for (let round = 0; round < ROUNDS; round++) {
      one = Math.min(one, cpu_us(small, times));
      four = Math.min(four, cpu_us(large, times));
    }
    if (four / times < AT_ONCE_US) return 1;
    ratio = Math.min(ratio, Math.sqrt(four / one));
  }
  return ratio;
}

const SIZE = 8_000;
/** Of what makes an object of each line: more of them, and collecting garbage is what is measured. */
const LINES_SIZE = 2_000;
const fill = (unit: string, size: number) => unit.repeat(Math.ceil(size / unit.length)).slice(0, size);

/** What an attacker repeats, with what stands before and after it. */
const SHAPES: readonly (readonly [what: string, before: string, unit: string, after: string])[] = [
  ["commas", "a", ",", "\0"],
  ["elements", "", "a,", '"'],
  ["quotes", "", '"', "<"],
  ["quoted pairs", '"', "\\\\", '\0"'],
  ["escaped quotes", '"', '\\"', ""],
  ["angle brackets", "", "<", ">"],
  ["pairs of angle brackets", "", "<>", '"'],
  ["nested parentheses", "", "(", ")"],
  ["parameters", "<sip:a@b>", ";a=b", '"'],
  ["quoted parameters", "<sip:a@b>", ';a="b"', "\\"],
  ["empty parameters", "a", ";", "<"],
  ["blanks", "a", " ", "<"],
  ["tabs before a bracket", "", "\t", "<sip:a>"],
  ["at signs", "sip:", "a@", "b"],
  ["URI headers", "sip:a@b?", "a=b&", "<"],
  ["escapes", "sip:", "%41", "@b"],
  ["broken escapes", "sip:", "%4", "@b"],
  ["Vias", "", "SIP/2.0/UDP a;branch=b,", "SIP/2.0"],
  ["colons", "sip:a@[", ":", "]"],
  ["digits", "", "0", " INVITE"],
  ["digest parameters", "Digest ", 'a="b",', "x"],
  ["digest commas", "Digest ", ",", "="],
];

const carry = (value: string): SipRequest => ({
  kind: "request",
  method: "INFO",
  uri: "sip:a",
  headers: [{ name: "X", value }],
  body: new Uint8Array(0),
});

const READERS: readonly (readonly [name: string, read: (text: string) => unknown])[] = [
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
  ["parseChallenge", parseChallenge],
  ["parseAuthorization", parseAuthorization],
  ["headerList", (text) => headerList(carry(text), "X")],
  ["printMessage", (text) => printMessage(carry(text))],
  [
    "removeFirst until none is left",
    (text) => {
      const request = carry(text);
      while (removeFirst(request, "X") !== undefined);
    },
  ],
];

test("a reader whose work is the square of its input is found out", () => {
  const square = (size: number) => {
    const text = fill("ab,", size);
    return () => {
      for (let rest = text; rest !== ""; rest = rest.slice(3)) rest.split(",");
    };
  };
  expect(growth(square, 600)).toBeGreaterThan(RATIO);
});

describe("one header field", () => {
  test.each(READERS)("%s", { timeout: 120_000 }, (_, read) => {
    for (const [what, before, unit, after] of SHAPES) {
      const make = (size: number) => {
        const text = before + fill(unit, size) + after;
        return () => void read(text);
      };
      expect(growth(make, SIZE), what).toBeLessThanOrEqual(RATIO);
    }
  });
});

test("parameters of two URIs that have no name in common", { timeout: 60_000 }, () => {
  const uri = (letter: string, size: number) =>
    `sip:a@b${Array.from({ length: size / 8 }, (_, i) => `;${letter}${i.toString().padStart(6, "0")}`).join("")}`;
  const make = (size: number) => {
    const [left, right] = [parseUri(uri("p", size)), parseUri(uri("q", size))];
    return () => void (left !== undefined && right !== undefined && sameUri(left, right));
  };
  expect(growth(make, SIZE)).toBeLessThanOrEqual(RATIO);
});

const START = "INFO sip:a@b SIP/2.0\r\n";
const REST =
  "Via: SIP/2.0/UDP a;branch=z9hG4bKb\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: c\r\nCSeq: 1 INFO\r\n";
/** A quarter of the size a message may have: four times that is still looked at. */
const MESSAGE = LIMITS.message_bytes / 4 - 500;
/** Lines of a length that the parser takes, as many as it takes. */
const line = (name: string, unit: string, size: number) => `${name}: ${fill(unit, size)}\r\n`;

const HEADS: readonly (readonly [what: string, head: (size: number) => string])[] = [
  ["many headers", (size) => "X: y\r\n".repeat(size / 260)],
  ["one long line", (size) => `X: ${fill("y", size)}\r\n`],
  ["folded lines", (size) => `X: y${fill("\r\n z", size)}\r\n`],
  ["folds that are empty", (size) => `X:${fill("\r\n ", size)}y\r\n`],
  ["folds of carriage returns", (size) => `X: y${fill("\r \n\t", size)}\r\n`],
  ["long Vias", (size) => line("Via", "SIP/2.0/UDP a;branch=b, ", 3_900).repeat(Math.round(size / 3_972))],
  ["Contacts of quotes", (size) => line("Contact", '"a\\"", ', 3_900).repeat(Math.round(size / 3_972))],
  ["lines without a colon", (size) => fill("xyz\r\n", size - (size % 5))],
  ["colons", (size) => `${fill(":", size)}\r\n`],
  ["line feeds alone", (size) => `X: y\n${fill("a:\n", size - (size % 3))}`],
  ["bytes that are not UTF-8", (size) => `X: ${fill("\uDCFF", size)}\r\n`],
];

describe("one message", () => {
  test.each(HEADS)("%s", { timeout: 120_000 }, (_, head) => {
    const make = (size: number) => {
      const bytes = encodeText(`${START}${head(size)}${REST}Content-Length: 0\r\n\r\n`);
      return () => void parseMessage(bytes);
    };
    expect(growth(make, MESSAGE)).toBeLessThanOrEqual(RATIO);
  });

  test("a message that never ends, and one of empty lines", { timeout: 60_000 }, () => {
    for (const unit of ["x", "\r\n", "\n", "\r", "\r\n "]) {
      const make = (size: number) => {
        const bytes = encodeText(START.trimEnd() + fill(unit, size));
        const empty = encodeText(fill(unit, size));
        return () => void [parseMessage(bytes), parseMessage(empty)];
      };
      expect(growth(make, MESSAGE), JSON.stringify(unit)).toBeLessThanOrEqual(RATIO);
    }
  });

  test("a stream, whole and byte by byte", { timeout: 60_000 }, () => {
    for (const unit of ["x", "\r\n", "\n", "X: y\r\n", "\r\n ", "l: 1\r\n", "\r", "X\nl:0\n\n"]) {
      const framed = (size: number, step: number) => {
        const bytes = encodeText(START + fill(unit, size));
        return () => {
          const framer = new StreamFramer();
          for (let at = 0; at < bytes.length; at += step) framer.push(bytes.subarray(at, at + step));
        };
      };
      expect(
        growth((size) => framed(size, size + 100), MESSAGE),
        unit,
      ).toBeLessThanOrEqual(RATIO);
      expect(
        growth((size) => framed(size, 1), 4_000),
        `${unit}, byte by byte`,
      ).toBeLessThanOrEqual(RATIO);
    }
  });
});

const TYPE = 'multipart/mixed;boundary="b"';

describe("one body", () => {
  const bodies: readonly (readonly [what: string, unit: string])[] = [
    ["boundaries", "\r\n--b\r\n"],
    ["what only begins like a boundary", "\r\n--bb"],
    ["dashes", "-"],
    ["lines", "\r\n"],
    ["part headers", "a: b\r\n"],
    ["folded part headers", "a: b\r\n c\r\n"],
    ["ends of boundaries", "\r\n--b--"],
    ["boundaries within a line", "--b"],
  ];
  test.each(bodies)("multipart: %s", { timeout: 60_000 }, (_, unit) => {
    const make = (size: number) => {
      const body = encodeText(`--b\r\n${fill(unit, size)}`);
      const request: SipRequest = { ...carry(""), headers: [{ name: "Content-Type", value: TYPE }], body };
      return () => void [parseMultipart(TYPE, body), sdpOf(request), withSdp(request, "v=0\r\n")];
    };
    expect(growth(make, SIZE)).toBeLessThanOrEqual(RATIO);
  });

  const lines = [
    "m=audio 1 RTP/AVP 0\r\n",
    "m=audio 1 RTP/AVP 0\r\nc=IN IP4 192.0.2.9\r\n",
    "c=IN IP4 192.0.2.9\r\n",
    "a=candidate:1 1 UDP 1 192.0.2.9 5000 typ host\r\n",
    "a=rtcp:5001 IN IP4 192.0.2.9\r\n",
    "a=fmtp:0 a;b;c\r\n",
    "a=rtpmap:0 PCMU/8000\r\n",
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n",
    "a=group:BUNDLE a b c\r\n",
    "o=a\r\n",
    "\r\n",
    "\n",
    "v",
    "=",
  ];
  test.each(lines)("SDP: %j", { timeout: 60_000 }, (unit) => {
    const make = (size: number) => {
      const sdp = `v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n${fill(unit, size - (size % unit.length))}`;
      return () => void [readSdp(sdp), editSdp(sdp, [{ address: "192.0.2.7", port: 4000 }])];
    };
    expect(growth(make, LINES_SIZE)).toBeLessThanOrEqual(RATIO);
  });

  test.each([" ", "a ", "1 ", "/", ";", "a=b;", ","])("one long SDP attribute of %j", { timeout: 60_000 }, (unit) => {
    for (const name of ["fmtp:0 ", "candidate:", "rtcp:1 IN IP4 ", "rtpmap:0 ", "crypto:1 ", "ssrc:1 ", "group:"]) {
      const make = (size: number) => {
        const sdp = `v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 1 RTP/AVP 0\r\na=${name}${fill(unit, size)}\r\n`;
        return () => void [readSdp(sdp), editSdp(sdp, [{ address: "192.0.2.7", port: 4000 }])];
      };
      expect(growth(make, SIZE), name).toBeLessThanOrEqual(RATIO);
    }
  });
});
