import { describe, expect, test } from "vitest";
import { header } from "./headers.ts";
import type { SipMessage, SipRequest } from "./message.ts";
import { bodyStart, LIMITS, type ParseError, parseMessage, skipEmptyLines } from "./parse.ts";

const BASE = [
  "OPTIONS sip:box@192.0.2.1 SIP/2.0",
  "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKp",
  "Max-Forwards: 70",
  "From: <sip:101@192.0.2.1>;tag=f",
  "To: <sip:box@192.0.2.1>",
  "Call-ID: c1@192.0.2.9",
  "CSeq: 7 OPTIONS",
  "Content-Length: 0",
];

/** The base message with lines replaced by the name they start with, or added ("+…"), or left out ("-Name"). */
function variant(...changes: string[]): Buffer {
  const lines = [...BASE];
  for (const change of changes) {
    if (change.startsWith("+")) lines.push(change.slice(1));
    else {
      const remove = change.startsWith("-");
      const key = remove ? `${change.slice(1)}:` : `${change.slice(0, change.indexOf(":"))}:`;
      const at = lines.findIndex((line) => line.startsWith(key));
      if (remove) lines.splice(at, 1);
      else lines[at] = change;
    }
  }
  return wire(lines);
}

function wire(lines: readonly string[], body = ""): Buffer {
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${body}`, "utf8");
}

function withStart(line: string): Buffer {
  return wire([line, ...BASE.slice(1)]);
}

function accepted(bytes: Uint8Array): SipMessage {
  const result = parseMessage(bytes);
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.detail}`);
  return result.message;
}

function refused(bytes: Uint8Array): ParseError {
  const result = parseMessage(bytes);
  if (result.ok) throw new Error("was accepted");
  return result.error;
}

describe("reading a message", () => {
  test("a request", () => {
    const message = accepted(wire([...BASE.slice(0, -1), "X-Unknown:  kept  ", "Content-Length: 4"], "body and more"));
    expect(message).toMatchObject({ kind: "request", method: "OPTIONS", uri: "sip:box@192.0.2.1" });
    expect(header(message, "X-Unknown")).toBe("kept");
    expect(message.body.toString()).toBe("body");
  });

  test.each([
    ["SIP/2.0 200 OK", 200, "OK"],
    ["SIP/2.0 180 ", 180, ""],
    ["SIP/2.0 180", 180, ""],
    ["sip/2.0 486 Busy  Here ", 486, "Busy  Here "],
    [
      "SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять - простое",
      200,
      "= 2**3 * 5**2 но сто девяносто девять - простое",
    ],
  ])("the status line %j", (line, status, reason) => {
    expect(accepted(withStart(line))).toMatchObject({ kind: "response", status, reason });
  });

  test("empty lines before the start line are ignored", () => {
    expect(accepted(Buffer.concat([Buffer.from("\r\n\r\n\n"), variant()])).kind).toBe("request");
  });

  test("a fold and the blanks around it are one space; a value may start on the next line", () => {
    const message = accepted(
      variant("+Subject: I know you're there,\r\n   pick up   \t\r\n\t the phone", "+Organization:\r\n x"),
    );
    expect(header(message, "Subject")).toBe("I know you're there, pick up the phone");
    expect(header(message, "Organization")).toBe("x");
  });

  test("a folded line of blanks only does not end the headers", () => {
    const message = accepted(variant("+Subject: a\r\n  \r\n b", "+X: y"));
    expect(header(message, "Subject")).toBe("a b");
    expect(header(message, "X")).toBe("y");
  });

  test("blanks before the colon, an empty value, a value with colons", () => {
    const message = accepted(variant("+X-A \t:1", "+X-B:", "+X-C: a:b:c"));
    expect([header(message, "X-A"), header(message, "X-B"), header(message, "X-C")]).toEqual(["1", "", "a:b:c"]);
  });

  test("lines that end with a bare LF are read like others, and the framer's search agrees", () => {
    const bytes = Buffer.from(variant().toString().replaceAll("\r\n", "\n"));
    expect(header(accepted(bytes), "Call-ID")).toBe("c1@192.0.2.9");
    expect(bodyStart(bytes)).toBe(bytes.length);
    expect(bodyStart(Buffer.from("a\n\r\nb\r\n\r\n"))).toBe(4);
    expect(bodyStart(Buffer.from("a\r\n\nb\n\n"))).toBe(4);
    expect(bodyStart(Buffer.from("x\r\n\r\na\r\n\r\nb"), 5)).toBe(10);
    expect(bodyStart(Buffer.from("a\r\nb\r\n"))).toBe(-1);
    expect(skipEmptyLines(Buffer.from("\r\n\r\nA\r\n"))).toBe(4);
  });

  test("without Content-Length the body is the rest of the datagram", () => {
    const lines = BASE.slice(0, -1);
    expect(accepted(wire(lines, "rest\r\n")).body.toString()).toBe("rest\r\n");
  });

  test("a 2543 request without Max-Forwards and branch is taken", () => {
    expect(accepted(variant("-Max-Forwards", "Via: SIP/2.0/UDP 192.0.2.9")).kind).toBe("request");
  });

  test.each(["300", "-1", "", "many"])("Max-Forwards %j is as good as none (RFC 4475 §3.1.2.4)", (value) => {
    expect(accepted(variant(`Max-Forwards: ${value}`)).kind).toBe("request");
  });

  test("a response's Max-Forwards means nothing", () => {
    expect(accepted(wire(["SIP/2.0 200 OK", BASE[1] ?? "", "Max-Forwards: 300", ...BASE.slice(3)])).kind).toBe(
      "response",
    );
  });

  test("of a response only the top Via must be readable", () => {
    const lines = ["SIP/2.0 200 OK", ...BASE.slice(1)];
    expect(accepted(wire([...lines, "Via: nonsense"])).kind).toBe("response");
    expect(refused(wire(["SIP/2.0 200 OK", "Via: nonsense", ...BASE.slice(2)])).code).toBe("header_value");
  });
});

describe("malformed requests that are answered", () => {
  test.each([
    // What is wrong, the change, the code, the status.
    ["an unbalanced quote in To", ['To: "Mr. J. User <sip:j@example.com>'], "header_value", 400],
    ["an unbalanced quote in From", ['From: "x <sip:a@b>;tag=1'], "header_value", 400],
    ["a blank inside the To URI", ['To: "Watson" <sip:t. watson@example.org>'], "header_value", 400],
    ["a CSeq number of 2^31", ["CSeq: 2147483648 OPTIONS"], "header_value", 400],
    ["a CSeq that is no number", ["CSeq: one OPTIONS"], "header_value", 400],
    ["a CSeq of another method", ["CSeq: 7 INVITE"], "header_value", 400],
    ["a CSeq method in other case", ["CSeq: 7 options"], "header_value", 400],
    ["Max-Forwards twice", ["+Max-Forwards: 70"], "repeated_header", 400],
    ["a Call-ID of two words", ["Call-ID: a b"], "header_value", 400],
    ["an empty Call-ID", ["Call-ID:"], "header_value", 400],
    ["a negative Content-Length", ["Content-Length: -999"], "header_value", 400],
    ["a Content-Length beyond what came", ["Content-Length: 1"], "body_too_short", 400],
    ["a huge Content-Length", ["Content-Length: 99999999999999999999"], "header_value", 400],
    ["Content-Length twice", ["+l: 0"], "repeated_header", 400],
    ["CSeq twice", ["+CSeq: 8 OPTIONS"], "repeated_header", 400],
    ["Call-ID twice, once compact", ["+i: c2"], "repeated_header", 400],
    ["From twice", ["+f: <sip:x@y>;tag=2"], "repeated_header", 400],
    ["Content-Type twice", ["+c: a/b", "+Content-Type: a/b"], "repeated_header", 400],
    ["a second Via that cannot be read", ["+Via: SIP/2.0/UDP"], "header_value", 400],
    ["an empty element in Via", ["Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKp;;,;,,"], "header_value", 400],
    ["a line without a colon", ["+nonsense"], "header_line", 400],
    ["a header name that is no token", ["+Bad Name: x"], "header_line", 400],
    ["a line that starts with a colon", ["+: x"], "header_line", 400],
    ["a bare CR in a value", ["+Subject: a\rVia: b"], "header_line", 400],
    ["a line of more than 8 KiB", [`+Subject: ${"x".repeat(LIMITS.line_bytes)}`], "line_too_long", 513],
    [
      "folds of more than 8 KiB together",
      [`+Subject: x${"\r\n y".repeat(LIMITS.line_bytes / 4)}`],
      "line_too_long",
      513,
    ],
    ["no From", ["-From"], "missing_header", 400],
    ["no To", ["-To"], "missing_header", 400],
    ["no Call-ID", ["-Call-ID"], "missing_header", 400],
    ["no CSeq", ["-CSeq"], "missing_header", 400],
    ["more than 256 header lines", Array.from({ length: 256 }, (_, i) => `+X-${i}: x`), "too_many_headers", 513],
  ] as [string, string[], string, number][])("%s", (_, changes, code, status) => {
    const error = refused(variant(...changes));
    expect(error).toMatchObject({ code, status });
    expect(error.request?.kind).toBe("request");
    expect(header(error.request as SipRequest, "Via")).toContain("192.0.2.9");
    expect(error.detail.length).toBeLessThanOrEqual(120);
  });

  test.each([
    ["a Request-URI in angle brackets", "OPTIONS <sip:user@example.com> SIP/2.0", "start_line", 400],
    ["a blank inside the Request-URI", "OPTIONS sip:user@example.com; lr SIP/2.0", "start_line", 400],
    ["several blanks between the parts", "OPTIONS  sip:user@example.com  SIP/2.0", "start_line", 400],
    ["a blank at the end", "OPTIONS sip:user@example.com SIP/2.0 ", "start_line", 400],
    ["no scheme", "OPTIONS user SIP/2.0", "start_line", 400],
    ["a sip URI without a host", "OPTIONS sip:user@ SIP/2.0", "start_line", 400],
    ["an unknown version", "OPTIONS sip:user@example.com SIP/7.0", "version", 505],
    ["a version of two digits", "OPTIONS sip:user@example.com SIP/2.00001", "version", 505],
    ["a version that is none", "OPTIONS sip:user@example.com HTTP/1.1", "start_line", 400],
  ])("%s", (_, line, code, status) => {
    const error = refused(withStart(line));
    expect(error).toMatchObject({ code, status });
    expect(error.request?.method).toBe("OPTIONS");
  });

  test("a message of more than 64 KiB", () => {
    const error = refused(
      wire([...BASE.slice(0, -1), `Content-Length: ${LIMITS.message_bytes}`], "x".repeat(LIMITS.message_bytes)),
    );
    expect(error).toMatchObject({ code: "too_large", status: 513 });
    expect(error.request?.method).toBe("OPTIONS");
  });
});

describe("malformed messages that are dropped", () => {
  test.each([
    ["no Via", ["-Via"], "missing_header"],
    ["a top Via that cannot be read", ["Via: SIP/2.0/UDP"], "header_value"],
    [
      "a top Via that cannot be read before one that can",
      ["Via: garbage", "+Via: SIP/2.0/UDP 192.0.2.9"],
      "header_value",
    ],
  ] as [string, string[], string][])("%s", (_, changes, code) => {
    const error = refused(variant(...changes));
    expect(error.code).toBe(code);
    expect(error.request).toBeUndefined();
  });

  test("an ACK is never answered", () => {
    const lines = ["ACK sip:a@b SIP/2.0", ...BASE.slice(1, 6), "CSeq: x ACK"];
    const error = refused(wire(lines));
    expect(error.code).toBe("header_value");
    expect(error.request).toBeUndefined();
  });

  test.each([
    ["a status of more than three digits", "SIP/2.0 4294967301 better not break the receiver"],
    ["a status outside 100 to 699", "SIP/2.0 700 Seven"],
    ["a status of two digits", "SIP/2.0 99 Low"],
    ["a response of another version", "SIP/7.0 200 OK"],
    ["one word", "OPTIONS"],
    ["two words", "OPTIONS sip:a@b"],
    ["a method that is no token", "OPT<IONS sip:a@b SIP/2.0"],
    ["a blank before the method", " OPTIONS sip:a@b SIP/2.0"],
    ["HTTP", "GET / HTTP/1.1".slice(0, 5)],
  ])("%s", (_, line) => {
    const error = refused(withStart(line));
    expect(error.code).toBe("start_line");
    expect(error.request).toBeUndefined();
  });

  test("a response with a body that breaks off", () => {
    const error = refused(wire(["SIP/2.0 200 OK", ...BASE.slice(1, -1), "Content-Length: 10"], "short"));
    expect(error.code).toBe("body_too_short");
    expect(error.request).toBeUndefined();
  });

  test.each([
    ["nothing", "", "empty"],
    ["a keep-alive", "\r\n\r\n", "empty"],
    ["headers without an end", "OPTIONS sip:a@b SIP/2.0\r\nVia: x\r\n", "no_end_of_headers"],
    ["binary", "\0\x01\x02\xff", "no_end_of_headers"],
    ["more than 64 KiB of nothing", "x".repeat(LIMITS.message_bytes + 1), "too_large"],
    ["more than 64 KiB of headers", `A: ${"b\r\nA: ".repeat(20_000)}\r\n\r\n`, "too_large"],
  ])("%s", (_, text, code) => {
    expect(refused(Buffer.from(text, "latin1"))).toMatchObject({ code });
  });
});
