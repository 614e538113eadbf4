import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Frame, StreamFramer } from "./framing.ts";

function message(body = "", lengthLine = `Content-Length: ${Buffer.byteLength(body)}`): string {
  return `OPTIONS sip:a@example.com SIP/2.0\r\nCall-ID: 1\r\n${lengthLine}\r\n\r\n${body}`;
}

function show(frames: readonly Frame[]): string[] {
  return frames.map((frame) => {
    if (frame.type === "message") return Buffer.from(frame.bytes).toString();
    if (frame.type === "oversize") return "oversize";
    return frame.type === "broken" ? `broken ${frame.reason}` : "crlf";
  });
}

function push(...chunks: readonly string[]): string[] {
  const framer = new StreamFramer();
  return chunks.flatMap((chunk) => show(framer.push(Buffer.from(chunk))));
}

describe("message borders", () => {
  test("two messages in one segment, and one in two", () => {
    const [a, b] = [message("one"), message("two, längër")];
    expect(push(a + b)).toEqual([a, b]);
    expect(push(a.slice(0, 20), a.slice(20))).toEqual([a]);
  });

  test("Content-Length in any case, compact, folded, with odd white space", () => {
    for (const line of [
      "content-length:3",
      "L: 3",
      "l  :\t3 ",
      "CONTENT-LENGTH:\r\n 3",
      "Content-Length: 003",
      "l: 0000000000003",
    ]) {
      const text = message("abc", line);
      expect(push(text)).toEqual([text]);
    }
  });

  test("a Content-Length inside a body or another header's text does not count", () => {
    const text = message("Content-Length: 99\r\n\r\n", "Subject: x Content-Length: 7\r\nContent-Length: 22");
    expect(push(text)).toEqual([text]);
  });

  test("lines that end in a bare LF", () => {
    const text = "OPTIONS sip:a SIP/2.0\nl: 2\n\nhi";
    expect(push(text)).toEqual([text]);
  });

  test("however a stream is cut, the same frames come out", () => {
    const stream = `\r\n\r\n${message("x".repeat(300))}\r\n${message()}${message("z")}`;
    const whole = push(stream);
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length), { maxLength: 30 }), (cuts) => {
        const at = [0, ...cuts, stream.length].sort((a, b) => a - b);
        const pieces = at.slice(1).map((end, i) => stream.slice(at[i], end));
        expect(push(...pieces)).toEqual(whole);
      }),
    );
    expect(push(...stream)).toEqual(whole);
  });
});

describe("keep-alive", () => {
  test("each CRLF between messages is reported", () => {
    expect(push("\r\n\r\n")).toEqual(["crlf", "crlf"]);
    expect(push("\r", "\n")).toEqual(["crlf"]);
    expect(push(`${message("a")}\r\n${message("b")}`)).toEqual([message("a"), "crlf", message("b")]);
  });

  test("a megabyte of line feeds neither overflows nor counts", () => {
    const framer = new StreamFramer();
    expect(framer.push(Buffer.alloc(1_000_000, "\n"))).toEqual([]);
    expect(framer.phase).toBe("idle");
  });
});

describe("a stream without borders", () => {
  test.each([
    ["no Content-Length", "OPTIONS sip:a SIP/2.0\r\nCall-ID: 1\r\n\r\n", "no_content_length"],
    ["letters", message("", "Content-Length: abc"), "bad_content_length"],
    ["a negative one", message("", "Content-Length: -1"), "bad_content_length"],
    ["an empty one", message("", "Content-Length:"), "bad_content_length"],
    ["two that differ", message("", "Content-Length: 0\r\nl: 5"), "bad_content_length"],
    ["a body beyond all measure", message("", "Content-Length: 16777217"), "too_large"],
    ["a head that never ends", `OPTIONS sip:a SIP/2.0\r\nX: ${"y".repeat(66_000)}`, "too_large"],
  ])("%s breaks it", (_, text, reason) => {
    expect(push(text)).toEqual([`broken ${reason}`]);
  });

  test("nothing comes after the break", () => {
    expect(push(message("", "Content-Length: x"), message("a"))).toEqual(["broken bad_content_length"]);
  });
});

describe("a message larger than any may be", () => {
  const large = message("y".repeat(70_000));

  test("is passed over, and what follows it is as good as ever", () => {
    expect(push(`${message("a")}${large}${message("b")}`)).toEqual([message("a"), "oversize", message("b")]);
    expect(push(large, "\r\n", message("b"))).toEqual(["oversize", "crlf", message("b")]);
  });

  test("in pieces: nothing of it is kept, and it has not ended before its last byte", () => {
    const framer = new StreamFramer();
    const bytes = Buffer.from(large);
    for (let at = 0; at < bytes.length; at += 1000) {
      framer.push(bytes.subarray(at, at + 1000));
      expect(framer.phase).toBe(at === 0 || at + 1000 < bytes.length ? "body" : "idle");
    }
    expect(framer.push(Buffer.from(message("b"))).map(({ type }) => type)).toEqual(["message"]);
  });
});

test("a head is searched once, not again for each byte that follows", () => {
  const framer = new StreamFramer();
  // Quadratic searching or copying of 60,000 one-byte pieces would not come to an end within the test's time.
  for (const byte of Buffer.from(`OPTIONS sip:a SIP/2.0\r\nX: ${"y".repeat(60_000)}`)) framer.push(Uint8Array.of(byte));
  expect(framer.phase).toBe("head");
  expect(framer.push(Buffer.from("\r\nl: 1\r\n\r\n")).length).toBe(0);
  expect(framer.phase).toBe("body");
  expect(framer.push(Buffer.from("!"))).toHaveLength(1);
  expect(framer.phase).toBe("idle");
});

test("arbitrary bytes never throw", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (chunks) => {
      const framer = new StreamFramer();
      for (const chunk of chunks) framer.push(chunk);
    }),
  );
});
