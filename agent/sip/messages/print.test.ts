import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Header, SipMessage } from "./message.ts";
import { parseMessage } from "./parse.ts";
import { printMessage } from "./print.ts";
import { encodeText } from "./wire-text.ts";

const tokenText = fc.string({ unit: fc.constantFrom(..."abcXYZ019-.!%*_+`'~"), minLength: 1, maxLength: 12 });
const anyText = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.string({ unit: fc.constantFrom(...' \t"\\<>;,:=@?%é日'), maxLength: 20 }),
);
/** A value as it can stand on one line: no line break, no blanks around it. */
const lineText = anyText.map((text) => text.replace(/[\r\n]/g, "").replace(/^[ \t]+|[ \t]+$/g, ""));
const quoted = anyText.map((text) => `"${text.replace(/[\r\n]/g, "").replace(/["\\]/g, "\\$&")}"`);
const host = fc.constantFrom("192.0.2.1", "[2001:db8::1]", "pbx.example.com", "a_b.example");
const uri = fc
  .tuple(
    fc.constantFrom("sip", "sips"),
    fc.option(tokenText),
    host,
    fc.option(fc.nat(65535)),
    fc.array(tokenText, { maxLength: 2 }),
  )
  .map(([scheme, user, at, port, params]) => {
    return `${scheme}:${user === null ? "" : `${user}@`}${at}${port === null ? "" : `:${port}`}${params.map((each) => `;${each}`).join("")}`;
  });
const address = fc
  .tuple(fc.option(fc.oneof(quoted, tokenText)), uri, tokenText)
  .map(([name, to, tag]) => `${name === null ? "" : `${name} `}<${to}>;tag=${tag}`);
const via = fc
  .tuple(fc.constantFrom("UDP", "TCP", "TLS"), host, fc.option(fc.nat(65535)), tokenText)
  .map(
    ([transport, at, port, branch]) =>
      `SIP/2.0/${transport} ${at}${port === null ? "" : `:${port}`};branch=z9hG4bK${branch}`,
  );

const RESERVED = /^(v|via|f|from|t|to|i|call-id|cseq|max-forwards|l|content-length|c|content-type)$/i;
const otherHeader = fc.record({ name: tokenText.filter((name) => !RESERVED.test(name)), value: lineText });

const parts = fc.record({
  method: tokenText.filter((method) => !/^SIP$/i.test(method)),
  uri,
  status: fc.integer({ min: 100, max: 699 }),
  reason: lineText,
  isRequest: fc.boolean(),
  via: fc.tuple(fc.constantFrom("Via", "v", "VIA"), fc.array(via, { minLength: 1, maxLength: 3 })),
  from: fc.tuple(fc.constantFrom("From", "f"), address),
  to: fc.tuple(fc.constantFrom("To", "t"), address),
  callId: tokenText,
  cseq: fc.nat(2 ** 31 - 1),
  others: fc.array(otherHeader, { maxLength: 6 }),
  order: fc.array(fc.nat(), { minLength: 16, maxLength: 16 }),
  body: fc.uint8Array({ maxLength: 40 }),
});

const message = parts.map((part): SipMessage => {
  const headers: Header[] = [
    { name: part.via[0], value: part.via[1].join(", ") },
    { name: part.from[0], value: part.from[1] },
    { name: part.to[0], value: part.to[1] },
    { name: "Call-ID", value: part.callId },
    { name: "CSeq", value: `${part.cseq} ${part.method}` },
    { name: "Content-Length", value: String(part.body.length) },
    ...part.others,
  ];
  const shuffled = headers
    .map((line, i) => ({ line, key: part.order[i] ?? 0 }))
    .sort((a, b) => a.key - b.key)
    .map(({ line }) => line);
  const common = { headers: shuffled, body: part.body };
  return part.isRequest
    ? { kind: "request", method: part.method, uri: part.uri, ...common }
    : { kind: "response", status: part.status, reason: part.reason, ...common };
});

/** A header line that a reader can neither split nor mend: any text that may stand there, UTF-8 or not. */
const value = fc.oneof(
  lineText,
  quoted,
  fc.constantFrom(
    '"a, \\"b\\" <c>" <sip:[2001:db8::1]:5070;x=y?h=%20>;q="\\\\"',
    ";;,,;;,;",
    "\uFEFF大停電",
    "Zo\u00eb \u00a0",
  ),
);
const names = (long: string, compact: string) => fc.constantFrom(long, long.toUpperCase(), long.toLowerCase(), compact);
/** Blanks as a grammar with SWS allows them around separators, within one line. */
const blanks = fc.constantFrom("", " ", "\t", "  ");

/** A legal message as bytes, its headers in any order, each with this colon and this end. */
function wireMessage(colon: string, end: string): fc.Arbitrary<Buffer> {
  return fc
    .record({
      method: tokenText.filter((each) => !/^SIP$/i.test(each)),
      uri: fc.oneof(uri, fc.constantFrom("tel:+1-303-555-0100;ext=1", "urn:service:sos", "sip:a%40b@[::1]:5070;lr")),
      status: fc.integer({ min: 100, max: 699 }),
      reason: fc.oneof(lineText, fc.constant("")),
      isRequest: fc.boolean(),
      vias: fc.array(fc.tuple(names("Via", "v"), fc.array(fc.tuple(via, blanks), { minLength: 1, maxLength: 3 })), {
        minLength: 1,
        maxLength: 3,
      }),
      from: fc.tuple(names("From", "f"), address),
      to: fc.tuple(names("To", "t"), address),
      callId: fc.tuple(
        names("Call-ID", "i"),
        fc.string({ unit: fc.constantFrom(..."aZ0-.!%*_+`'~()<>:\\\"/[]?{}@"), minLength: 1 }),
      ),
      cseq: fc.tuple(
        names("CSeq", "CSEQ"),
        fc.constantFrom("", "0", "000"),
        fc.nat(2 ** 31 - 1),
        fc.constantFrom(" ", "  ", "\t"),
      ),
      others: fc.array(
        fc.tuple(
          tokenText.filter((name) => !RESERVED.test(name)),
          value,
        ),
        { maxLength: 6 },
      ),
      order: fc.array(fc.nat(), { minLength: 16, maxLength: 16 }),
      length: names("Content-Length", "l"),
      body: fc.uint8Array({ maxLength: 40 }),
    })
    .map((part) => {
      const lines: [string, string][] = [
        ...part.vias.map(([name, list]): [string, string] => [
          name,
          list
            .map(([each, blank]) => each + blank)
            .join(",")
            .trim(),
        ]),
        part.from,
        part.to,
        part.callId,
        [part.cseq[0], `${part.cseq[1]}${part.cseq[2]}${part.cseq[3]}${part.method}`],
        [part.length, String(part.body.length)],
        ...part.others,
      ];
      const shuffled = lines
        .map((line, i) => ({ line, key: part.order[i] ?? i }))
        .sort((a, b) => a.key - b.key)
        .map(({ line: [name, text] }) => `${name}${colon}${text}${end}\r\n`);
      const start = part.isRequest
        ? `${part.method} ${part.uri} SIP/2.0\r\n`
        : `SIP/2.0 ${part.status} ${part.reason}\r\n`;
      return Buffer.concat([encodeText(`${start}${shuffled.join("")}\r\n`), part.body]);
    });
}

function split(bytes: Buffer): { start: string; head: string; body: string } {
  const text = bytes.toString("latin1");
  const startEnd = text.indexOf("\r\n") + 2;
  const headEnd = text.indexOf("\r\n\r\n") + 4;
  return { start: text.slice(0, startEnd), head: text.slice(startEnd, headEnd), body: text.slice(headEnd) };
}

/** Breaks lines at blanks inside values, as any sender may (RFC 3261 §7.3.1). */
function foldSome(bytes: Buffer, here: () => boolean): Buffer {
  const { start, head, body } = split(bytes);
  const folded = head.replace(/(?<=:[^\r\n]*[^\s:])[ \t]+(?=[^\s])/g, (blank) => (here() ? `\r\n${blank}` : blank));
  return Buffer.from(start + folded + body, "latin1");
}

/** The normal form that `printMessage` documents, by rules of its own: folds, colons, ends of lines. */
function normalised(bytes: Buffer): string {
  const { start, head, body } = split(bytes);
  const lines = head.replace(/[ \t]*(?:\r\n[ \t]+)+/g, " ").split("\r\n");
  const mended = lines.map((line) => line.replace(/^([^\s:]+)[ \t]*:[ \t]*([\s\S]*?)[ \t]*$/, "$1: $2"));
  return start + mended.join("\r\n") + body;
}

function parsed(bytes: Uint8Array): SipMessage {
  const result = parseMessage(bytes);
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.detail}`);
  return result.message;
}

const plain = (each: SipMessage) => ({ ...each, body: [...each.body] });

describe("printing", () => {
  test("what is printed reads back as the same message, and prints as the same bytes", () => {
    fc.assert(
      fc.property(message, (original) => {
        const bytes = printMessage(original);
        const back = parsed(bytes);
        expect(plain(back)).toEqual(plain(original));
        expect(Buffer.from(printMessage(back)).equals(bytes)).toBe(true);
      }),
      { numRuns: 1500 },
    );
  });

  test("bytes in the usual form print as the very same bytes", () => {
    fc.assert(
      fc.property(wireMessage(": ", ""), (bytes) => {
        expect(Buffer.from(printMessage(parsed(bytes))).toString("latin1")).toBe(bytes.toString("latin1"));
      }),
      { numRuns: 1500 },
    );
  });

  test("legal bytes in any form print as the same bytes but for the blanks and folds that mean nothing", () => {
    const colons = fc.constantFrom(":", " :", "\t: ", ":   ", ":\r\n ", " \t:\r\n\t", ": \r\n  ");
    const ends = fc.constantFrom("", " ", "\t ", " \r\n ");
    const odd = fc.tuple(colons, ends).chain(([colon, end]) => wireMessage(colon, end));
    const before = fc.constantFrom("", "\r\n", "\r\n\r\n");
    fc.assert(
      fc.property(odd, fc.array(fc.boolean(), { maxLength: 20 }), before, (bytes, folds, empty) => {
        let at = 0;
        const folded = foldSome(bytes, () => folds[at++ % Math.max(1, folds.length)] === true);
        const printed = Buffer.from(printMessage(parsed(Buffer.concat([Buffer.from(empty), folded]))));
        expect(printed.toString("latin1")).toBe(normalised(folded));
        // What is in its normal form stays as it is.
        expect(Buffer.from(printMessage(parsed(printed))).equals(printed)).toBe(true);
      }),
      { numRuns: 1500 },
    );
  });

  test("no bytes throw, and what is accepted prints as something that is accepted", () => {
    const garbage = fc.uint8Array({ maxLength: 200 });
    const damaged = fc
      .tuple(message, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 8 }), fc.nat())
      .map(([original, hits, cut]) => {
        const bytes = Buffer.from(printMessage(original));
        for (const [at, byte] of hits) bytes[at % bytes.length] = byte;
        return bytes.subarray(0, cut % 3 === 0 ? cut % bytes.length : bytes.length);
      });
    fc.assert(
      fc.property(fc.oneof(garbage, damaged), (bytes) => {
        const result = parseMessage(bytes);
        if (result.ok) expect(plain(parsed(printMessage(result.message)))).toMatchObject({ kind: result.message.kind });
      }),
      { numRuns: 3000 },
    );
  });

  test("Content-Length is corrected in its place and form, or added last", () => {
    const base = { kind: "request", method: "INFO", uri: "sip:a@b", body: Buffer.from("é") } as const;
    const text = (headers: Header[]) => Buffer.from(printMessage({ ...base, headers })).toString();
    expect(
      text([
        { name: "l", value: "99" },
        { name: "X", value: "y" },
      ]),
    ).toBe("INFO sip:a@b SIP/2.0\r\nl: 2\r\nX: y\r\n\r\né");
    expect(text([{ name: "X", value: "y" }])).toBe("INFO sip:a@b SIP/2.0\r\nX: y\r\nContent-Length: 2\r\n\r\né");
    expect(text([{ name: "Content-Length", value: "002" }])).toContain("Content-Length: 002\r\n");
    expect(
      text([
        { name: "l", value: "2" },
        { name: "Content-Length", value: "2" },
      ]),
    ).toBe("INFO sip:a@b SIP/2.0\r\nl: 2\r\n\r\né");
  });

  test("a line break in a name, a value, the URI or the reason cannot add a header", () => {
    const headers = [{ name: "X", value: "a\r\nEvil: 1" }];
    const body = new Uint8Array(0);
    const request = printMessage({ kind: "request", method: "INFO", uri: "sip:a\r\nEvil: 2", headers, body });
    const response = printMessage({ kind: "response", status: 200, reason: "OK\nEvil: 3", headers, body });
    expect(Buffer.from(request).toString()).not.toMatch(/^Evil/m);
    expect(Buffer.from(response).toString()).not.toMatch(/^Evil/m);
  });

  test("bytes that are not UTF-8 pass through headers unharmed", () => {
    const bytes = Buffer.from(
      'OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: "Zo\xeb" <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n' +
        "Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nX: \xff\xfe\x00\x7f\r\nContent-Length: 0\r\n\r\n",
      "latin1",
    );
    expect(Buffer.from(printMessage(parsed(bytes))).equals(bytes)).toBe(true);
  });
});
