import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Part, parseMultipart, partHeader, printMultipart } from "./multipart.ts";

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
