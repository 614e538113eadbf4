import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Header, SipRequest } from "./message.ts";
import { type Part, parseMultipart, partHeader, printMultipart } from "./multipart.ts";
import { editSdp, sdpOf, withSdp } from "./sdp.ts";

const bodies = (parts: readonly Part[]) => parts.map((part) => Buffer.from(part.body).toString("latin1"));
const parse = (type: string, body: string) => parseMultipart(type, Buffer.from(body, "latin1"));

describe("reading multipart bodies", () => {
  test("preamble and epilogue are no parts; folded and compact part headers are read", () => {
    const parts = parse(
      'Multipart/Mixed ; boundary="gc0p4Jq0M2Yt08jU534c0p" ; x=y',
      "preamble\r\n--gc0p4Jq0M2Yt08jU534c0p  \r\nContent-Type: application/pidf+xml;\r\n charset=utf-8\r\n" +
        "Content-ID: <loc@box>\r\n\r\n<presence/>\r\n--gc0p4Jq0M2Yt08jU534c0p\r\nc: application/sdp\r\n\r\nv=0\r\n" +
        "\r\n--gc0p4Jq0M2Yt08jU534c0p--\r\nepilogue --gc0p4Jq0M2Yt08jU534c0p\r\n",
    );
    expect(bodies(parts)).toEqual(["<presence/>", "v=0\r\n"]);
    const [location, sdp] = parts;
    expect(location && partHeader(location, "content-type")).toBe("application/pidf+xml; charset=utf-8");
    expect(location && partHeader(location, "Content-ID")).toBe("<loc@box>");
    expect(sdp && partHeader(sdp, "Content-Type")).toBe("application/sdp");
  });

  test("boundaries with blanks, colons and escapes in quotes", () => {
    expect(bodies(parse('multipart/mixed;boundary="a b:\\"c"', '--a b:"c\r\n\r\n1\r\n--a b:"c--'))).toEqual(["1"]);
  });

  test("text that only starts like the boundary is content", () => {
    expect(bodies(parse("multipart/mixed;boundary=b", "--b\r\n\r\n--bx\r\n--b y\r\n x --b\r\n\r\n--b--\r\n"))).toEqual([
      "--bx\r\n--b y\r\n x --b\r\n",
    ]);
  });

  test("parts without headers, without content, and lines that end with LF", () => {
    expect(bodies(parse("multipart/mixed;boundary=b", "--b\r\n\r\n\r\n--b\r\n\r\nx\r\n--b--"))).toEqual(["", "x"]);
    expect(bodies(parse("multipart/mixed;boundary=b", "--b\nA: b\n\nx\n--b--\n"))).toEqual(["x"]);
    expect(bodies(parse("multipart/mixed;boundary=b", "--b\r\n--b--"))).toEqual([""]);
  });

  test("a body that breaks off gives what came", () => {
    expect(bodies(parse("multipart/mixed;boundary=b", "--b\r\nA: b\r\n\r\nhalf"))).toEqual(["half"]);
    expect(bodies(parse("multipart/mixed;boundary=b", "--b\r\nA: b"))).toEqual([""]);
    expect(bodies(parse("multipart/mixed;boundary=b", "--b\r\n"))).toEqual([""]);
  });

  test.each([
    ["text/plain;boundary=b", "--b\r\n\r\nx\r\n--b--"],
    ["multipart/mixed", "--b\r\n\r\nx\r\n--b--"],
    ['multipart/mixed;boundary=""', "--\r\n\r\nx\r\n----"],
    ["multipart/mixed;boundary=b", "nothing"],
    ["multipart/mixed;boundary=b", "--b--\r\n"],
    ["nonsense", "x"],
  ])("%s with %j has no parts", (type, body) => {
    expect(parse(type, body)).toEqual([]);
  });
});

describe("printing multipart bodies", () => {
  test("what is printed reads back, whatever the parts hold", () => {
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.constantFrom("--b", "\r\n--b\r\n", "--b--", "\r\n", "").map((each) => Uint8Array.from(Buffer.from(each))),
    );
    const part = fc.record({ headers: fc.constant([{ name: "Content-Type", value: "a/b" }]), body });
    fc.assert(
      fc.property(
        fc.array(part, { minLength: 1, maxLength: 5 }),
        fc.constantFrom("b", undefined, "x y"),
        (parts, boundary) => {
          const printed = printMultipart(parts, boundary === undefined ? {} : { boundary });
          const back = parseMultipart(printed.contentType, printed.body);
          expect(back.map((each) => [each.headers, [...each.body]])).toEqual(
            parts.map((each) => [each.headers, [...each.body]]),
          );
        },
      ),
    );
  });

  test("subtype and boundary", () => {
    const printed = printMultipart([{ headers: [], body: Buffer.from("x") }], {
      subtype: "alternative",
      boundary: "b",
    });
    expect(printed.contentType).toBe("multipart/alternative;boundary=b");
    expect(Buffer.from(printed.body).toString()).toBe("--b\r\n\r\nx\r\n--b--\r\n");
  });
});

describe("a phone's multipart INVITE", () => {
  /** bchars of RFC 2046 §5.1.1: most of them have to be quoted in Content-Type. */
  const boundaries = fc
    .string({ unit: fc.constantFrom(..."aZ09'()+_,-./:=? "), minLength: 1, maxLength: 30 })
    .map((text) => text.trim())
    .filter((text) => text !== "");
  const types = fc.constantFrom(
    "application/pidf+xml",
    "application/ISUP;version=nxv3",
    "text/plain",
    "application/EmergencyCallData.DeviceInfo+xml",
    "message/sipfrag",
  );
  const other = fc.record({
    headers: fc.constantFrom(
      [],
      [{ name: "Content-ID", value: "<loc@phone.example>" }],
      [{ name: "content-disposition", value: "by-reference; handling=optional" }],
    ),
    type: types,
    body: fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.constant(Uint8Array.from(Buffer.from("<presence/>\r\n--x\r\n"))),
    ),
  });
  const SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

  test("its session is found and edited in place, and no other byte changes, whatever stands around it", () => {
    fc.assert(
      fc.property(
        boundaries,
        fc.array(other, { maxLength: 3 }),
        fc.array(other, { maxLength: 2 }),
        fc.constantFrom("", "preamble\r\n", "This is multipart.\r\n\r\n"),
        fc.constantFrom("", "\r\n", "\r\nepilogue"),
        fc.constantFrom("", "  \t"),
        (boundary, before, after, preamble, epilogue, padding) => {
          fc.pre(![...before, ...after].some(({ body }) => Buffer.from(body).includes(`--${boundary}`)));
          fc.pre(!SDP.includes(`--${boundary}`));
          const print = (sdp: string) => {
            const part = (headers: readonly Header[], body: Uint8Array) =>
              Buffer.concat([
                Buffer.from(
                  `--${boundary}${padding}\r\n${headers.map(({ name, value }) => `${name}: ${value}\r\n`).join("")}\r\n`,
                ),
                body,
                Buffer.from("\r\n"),
              ]);
            const others = (list: typeof before) =>
              list.map(({ headers, type, body }) => part([...headers, { name: "Content-Type", value: type }], body));
            return Buffer.concat([
              Buffer.from(preamble),
              ...others(before),
              part([{ name: "Content-Type", value: "application/sdp" }], Buffer.from(sdp)),
              ...others(after),
              Buffer.from(`--${boundary}--${epilogue}`),
            ]);
          };
          const message: SipRequest = {
            kind: "request",
            method: "INVITE",
            uri: "sip:911@box",
            headers: [{ name: "Content-Type", value: `multipart/mixed; boundary="${boundary}"; x=y` }],
            body: print(SDP),
          };
          expect(sdpOf(message)).toBe(SDP);
          const moved = editSdp(SDP, [{ address: "10.20.0.5", port: 20_000 }]);
          const edited = withSdp(message, moved);
          expect(Buffer.from(edited.body).toString("latin1")).toBe(print(moved).toString("latin1"));
          expect(edited.headers).toEqual(message.headers);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
