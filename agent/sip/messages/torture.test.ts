import { describe, expect, test } from "vitest";
import { contentType, cseqOf, header, headerList } from "./headers.ts";
import type { SipMessage, SipRequest } from "./message.ts";
import { parseMultipart } from "./multipart.ts";
import { parseNameAddr, tagOf } from "./name-addr.ts";
import { paramValue } from "./params.ts";
import { parseMessage } from "./parse.ts";
import { printMessage } from "./print.ts";
import { parseUri, userOf } from "./uri.ts";
import { parseVia, topVia } from "./via.ts";

/**
 * Messages after the descriptions of RFC 4475 §3 (torture tests) and RFC 5118 §4 (IPv6), in our own words: each valid
 * one is read to the meaning that the RFC gives it and survives printing.
 */
function read(text: string, encoding: BufferEncoding = "utf8"): SipMessage {
  const bytes = Buffer.from(text.replaceAll("\n", "\r\n"), encoding);
  const result = parseMessage(bytes);
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.detail}`);
  const again = parseMessage(printMessage(result.message));
  if (!again.ok) throw new Error(`printed: ${again.error.code}: ${again.error.detail}`);
  expect(again.message.headers.map(({ value }) => value)).toEqual(result.message.headers.map(({ value }) => value));
  expect([...again.message.body]).toEqual([...result.message.body]);
  return result.message;
}

function options(...lines: string[]): string {
  const given = (name: string) => lines.some((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`));
  const method = lines[0]?.startsWith("!start ") ? (lines[0].slice(7).split(" ")[0] ?? "") : "OPTIONS";
  const start = lines[0]?.startsWith("!start ") ? lines.shift()?.slice(7) : "OPTIONS sip:user@example.com SIP/2.0";
  const base = [
    "Via: SIP/2.0/UDP host1.example.com;branch=z9hG4bKt",
    "Max-Forwards: 70",
    "From: <sip:caller@example.net>;tag=83f",
    "To: <sip:user@example.com>",
    "Call-ID: torture.1",
    `CSeq: 1 ${method}`,
    "Content-Length: 0",
  ].filter((line) => !given(line.slice(0, line.indexOf(":"))));
  return `${[start, ...base, ...lines].join("\n")}\n\n`;
}

describe("valid messages (RFC 4475 §3.1.1)", () => {
  test("folds, odd blanks, compact and unknown headers, quotes and lists all at once", () => {
    const message = read(
      [
        "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0",
        "TO :",
        " sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n",
        'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>',
        "  ;",
        "  tag = 98asjd8",
        "MaX-fOrWaRdS: 0068",
        "Call-ID: wsinv.ndaksdj@192.0.2.1",
        "Content-Length   : 6",
        "cseq: 0009",
        "  INVITE",
        "Via  : SIP  /   2.0",
        " /UDP",
        "    192.0.2.2;branch=390skdjuw",
        "s :",
        "NewFangledHeader:   newfangled value",
        " continued newfangled value",
        "UnknownHeaderWithUnusualValue: ;;,,;;,;",
        "Content-Type: application/sdp",
        "Route:",
        " <sip:services.example.com;lr;unknownwith=value;unknown-no-value>",
        "v:  SIP  / 2.0  / TCP     spindle.example.com   ;",
        "  branch  =   z9hG4bK9ikj8  ,",
        " SIP  /    2.0   / UDP  192.168.255.111   ; branch=",
        " z9hG4bK30239",
        'm:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =',
        "      newvalue ;",
        "  secondparam ; q = 0.33",
        "",
        "v=0\n\n\n",
      ].join("\n"),
    );
    expect(tagOf(message, "To")).toBe("1918181833n");
    expect(parseNameAddr(header(message, "From") ?? "")?.displayName).toBe('J Rosenberg \\"');
    expect(cseqOf(message)).toEqual({ seq: 9, method: "INVITE" });
    expect(header(message, "Subject")).toBe("");
    expect(header(message, "NewFangledHeader")).toBe("newfangled value continued newfangled value");
    expect(header(message, "UnknownHeaderWithUnusualValue")).toBe(";;,,;;,;");
    const vias = headerList(message, "Via").map((value) => parseVia(value));
    expect(vias.map((via) => [via?.transport, via?.host, paramValue(via?.params ?? [], "branch")])).toEqual([
      ["UDP", "192.0.2.2", "390skdjuw"],
      ["TCP", "spindle.example.com", "z9hG4bK9ikj8"],
      ["UDP", "192.168.255.111", "z9hG4bK30239"],
    ]);
    const contact = parseNameAddr(header(message, "Contact") ?? "");
    expect(paramValue(contact?.params ?? [], "Q")).toBe("0.33");
    expect(message.body.length).toBe(6);
  });

  test("every character that a token, a user part and a quoted string may hold", () => {
    const user = "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*";
    const uri = `sip:${user}:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com`;
    const message = read(
      options(
        `!start !interesting-Method0123456789_*+\`.%indeed'~ ${uri} SIP/2.0`,
        'To: "BEL:\\\x07 NUL:\\\x00 DEL:\\\x7F" <sip:1_unusual.URI~(to-be!sure)&isn\'t+it$/crazy?,/;;*@example.com>',
        "extensionHeader-!.%*+_`'~: \uFEFF大停電",
      ),
    );
    expect((message as SipRequest).method).toBe("!interesting-Method0123456789_*+`.%indeed'~");
    expect(parseUri((message as SipRequest).uri)).toMatchObject({ user, host: "example.com" });
    expect(parseNameAddr(header(message, "To") ?? "")?.displayName).toBe("BEL:\x07 NUL:\0 DEL:\x7f");
    expect(header(message, "extensionheader-!.%*+_`'~")).toBe("\uFEFF大停電");
  });

  test("escapes are part of a user's name and resolve once only", () => {
    const message = read(
      options(
        "!start INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0",
        "To: sip:%75se%72@example.com",
        "From: <sip:I%20have%20spaces@example.net>;tag=938",
        "Contact: <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>",
      ),
    );
    const uri = parseUri((message as SipRequest).uri);
    expect(uri).toMatchObject({ host: "example.net", user: "sips%3Auser%40example.com" });
    expect(uri && userOf(uri)).toBe("sips:user@example.com");
    const contact = parseUri(parseNameAddr(header(message, "Contact") ?? "")?.uri ?? "");
    expect(contact?.params).toEqual([{ name: "%6C%72" }, { name: "n%61me", value: "v%61lue%25%34%31" }]);
    expect(paramValue(contact?.params ?? [], "lr")).toBeUndefined();
  });

  test("an escaped NUL is a character like others", () => {
    const message = read(
      options(
        "To: sip:null-%00-null@example.com",
        "Contact: <sip:%00@host5.example.com>, <sip:%00%00@host5.example.com>",
      ),
    );
    expect(headerList(message, "Contact")).toHaveLength(2);
    const uri = parseUri(parseNameAddr(header(message, "To") ?? "")?.uri ?? "");
    expect(uri && userOf(uri)).toBe("null-\0-null");
  });

  test("a percent sign in a method is no escape", () => {
    const message = read(options("!start RE%47IST%45R sip:registrar.example.com SIP/2.0"));
    expect((message as SipRequest).method).toBe("RE%47IST%45R");
  });

  test("no blank between display name and bracket", () => {
    const message = read(options("From: caller<sip:caller@example.com>;tag=323"));
    expect(parseNameAddr(header(message, "From") ?? "")).toMatchObject({
      displayName: "caller",
      uri: "sip:caller@example.com",
    });
    expect(tagOf(message, "From")).toBe("323");
  });

  test("very long values", () => {
    const user = "amazinglylongcallername".repeat(40);
    const vias = Array.from({ length: 34 }, (_, i) => `v: SIP/2.0/TCP sip${i}.example.com`);
    const message = read(
      options(
        `From: "${user}" <sip:${user}@example.net>;tag=12${"9".repeat(200)}424;unknown${"param".repeat(60)}="${"long".repeat(100)}"`,
        `Call-ID: longreq.one${"really".repeat(20)}longcallid`,
        `Unknown-${"Long".repeat(20)}-Name: ${"value-".repeat(300)}`,
        ...vias,
      ),
    );
    expect(tagOf(message, "From")).toMatch(/^129+424$/);
    expect(headerList(message, "Via")).toHaveLength(35);
  });

  test("what follows the message in a datagram is ignored", () => {
    const first = options("!start REGISTER sip:example.com SIP/2.0", "Call-ID: first");
    const second = options("!start INVITE sip:joe@example.com SIP/2.0", "Call-ID: second");
    const message = read(first + second);
    expect(message).toMatchObject({ kind: "request", method: "REGISTER" });
    expect(message.body.length).toBe(0);
  });

  test("semicolons in a user part are not parameters of the URI", () => {
    const message = read(options("!start OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0"));
    const uri = parseUri((message as SipRequest).uri);
    expect(uri?.params).toEqual([]);
    expect(uri && userOf(uri)).toBe("user;par=u@example.net");
  });

  test("known and unknown transports in Via", () => {
    const names = ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"];
    const message = read(
      options(...names.map((name, i) => `Via: SIP/2.0/${name} t${i}.example.com;branch=z9hG4bK${i}`)),
    );
    expect(headerList(message, "Via").map((value) => parseVia(value)?.transport)).toEqual(names);
  });

  test("a multipart body with a binary part that holds NULs, line breaks and dashes", () => {
    const binary = "\x30\x82\0\r\n--7\r\n\xff\x00--";
    const body = [
      "--7a9cbec02ceef655\r\nContent-Type: text/plain\r\n\r\nHello\r\n",
      `--7a9cbec02ceef655\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n${binary}\r\n`,
      "--7a9cbec02ceef655--\r\n",
    ].join("");
    const head = options(
      "!start MESSAGE sip:kumiko@example.org SIP/2.0",
      "Content-Type: multipart/mixed;boundary=7a9cbec02ceef655",
      `Content-Length: ${body.length}`,
    );
    const bytes = Buffer.from(head.replaceAll("\n", "\r\n") + body, "latin1");
    const result = parseMessage(bytes);
    if (!result.ok) throw new Error(result.error.detail);
    const parts = parseMultipart(header(result.message, "Content-Type") ?? "", result.message.body);
    expect(parts.map((part) => Buffer.from(part.body).toString("latin1"))).toEqual(["Hello", binary]);
    expect(contentType(result.message)?.type).toBe("multipart/mixed");
    expect(Buffer.from(printMessage(result.message)).equals(bytes)).toBe(true);
  });

  test("a reason phrase in any language, or none", () => {
    expect(
      read(options("!start SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять - простое", "CSeq: 1 INVITE")),
    ).toMatchObject({
      reason: "= 2**3 * 5**2 но сто девяносто девять - простое",
    });
    expect(read(options("!start SIP/2.0 100 ", "CSeq: 1 INVITE"))).toMatchObject({ status: 100, reason: "" });
  });
});

describe("what other layers judge passes (RFC 4475 §3.1.2–3.4)", () => {
  test.each([
    ["a Date in another zone", ["Date: Fri, 01 Jan 2010 16:00:00 EST"]],
    ["an Expires beyond 32 bits", ["Expires: 100000000000000000000000000000"]],
    ["a Contact with a bare question mark", ["Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E"]],
    ["an empty branch after the cookie", ["Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK"]],
    ["an unknown scheme", ["!start OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0"]],
    ["a known scheme that is not SIP's", ["!start OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0"]],
    ["http in To and From", ["To: <http://example.com/x>", "From: <isbn:2983792873>;tag=1"]],
    ["unknown extensions required", ["Require: nothingSupportsThis, nothingSupportsThisEither"]],
    ["an unknown content type", ["Content-Type: application/unknownformat"]],
    ["an unknown authorization scheme", ["Authorization: NoOneKnowsThisScheme opaque-data=here"]],
    ["Max-Forwards zero", ["Max-Forwards: 0"]],
    ["headers inside the Request-URI", ["!start INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0"]],
    ["a display name that is no list of tokens", ["From: Bell, Alexander <sip:a.g.bell@example.com>;tag=43"]],
    ["blanks around the URI in brackets", ['To: "Watson, Thomas" < sip:t.watson@example.org >']],
    ["a broadcast address in Via", ["Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1"]],
  ] as [string, string[]][])("%s", (_, lines) => {
    read(options(...lines));
  });
});

describe("IPv6 (RFC 5118 §4)", () => {
  test("references in every place", () => {
    const message = read(
      options(
        "!start REGISTER sip:[2001:db8::10] SIP/2.0",
        "Via: SIP/2.0/UDP [2001:db8::9:1]:5060;received=[2001:db8::9:255];branch=z9hG4bKas3-111",
        "To: sip:user@[2001:db8::10:5070]",
        "Contact: <sip:caller@[2001:db8::1]:5071>",
      ),
    );
    expect(parseUri((message as SipRequest).uri)?.host).toBe("[2001:db8::10]");
    expect(topVia(message)).toMatchObject({ host: "[2001:db8::9:1]", port: 5060 });
    expect(paramValue(topVia(message)?.params ?? [], "received")).toBe("[2001:db8::9:255]");
    expect(parseUri(parseNameAddr(header(message, "To") ?? "")?.uri ?? "")).toMatchObject({
      host: "[2001:db8::10:5070]",
    });
    expect(parseUri(parseNameAddr(header(message, "Contact") ?? "")?.uri ?? "")).toMatchObject({ port: 5071 });
  });

  test("received without brackets, and IPv4 mapped into IPv6", () => {
    const message = read(
      options("Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;received=2001:db8::9:255;branch=z9hG4bKbh19"),
    );
    expect(topVia(message)?.host).toBe("[::ffff:192.0.2.10]");
    expect(paramValue(topVia(message)?.params ?? [], "received")).toBe("2001:db8::9:255");
  });

  test("an address without brackets in the Request-URI is answered with 400", () => {
    const result = parseMessage(
      Buffer.from(options("!start REGISTER sip:2001:db8::10 SIP/2.0").replaceAll("\n", "\r\n")),
    );
    expect(result).toMatchObject({
      ok: false,
      error: { code: "start_line", status: 400, request: { method: "REGISTER" } },
    });
  });
});
