import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cseqOf, header, headerList, headerValues } from "../../agent/sip/messages/headers.ts";
import type { SipMessage, SipRequest } from "../../agent/sip/messages/message.ts";
import { parseMultipart } from "../../agent/sip/messages/multipart.ts";
import { parseNameAddr, tagOf } from "../../agent/sip/messages/name-addr.ts";
import { paramValue } from "../../agent/sip/messages/params.ts";
import { parseMessage } from "../../agent/sip/messages/parse.ts";
import { printMessage } from "../../agent/sip/messages/print.ts";
import { editSdp, readSdp, sdpOf } from "../../agent/sip/messages/sdp.ts";
import { parseUri, userOf } from "../../agent/sip/messages/uri.ts";
import { parseVia, topVia } from "../../agent/sip/messages/via.ts";
import { IPV6, RFC4475, row } from "./tables.ts";

/** The RFCs' own lists: section and name of every message, in their order. */
const OF_RFC4475 = `
3.1.1.1 wsinv 3.1.1.2 intmeth 3.1.1.3 esc01 3.1.1.4 escnull 3.1.1.5 esc02 3.1.1.6 lwsdisp 3.1.1.7 longreq 3.1.1.8 dblreq
3.1.1.9 semiuri 3.1.1.10 transports 3.1.1.11 mpart01 3.1.1.12 unreason 3.1.1.13 noreason
3.1.2.1 badinv01 3.1.2.2 clerr 3.1.2.3 ncl 3.1.2.4 scalar02 3.1.2.5 scalarlg 3.1.2.6 quotbal 3.1.2.7 ltgtruri
3.1.2.8 lwsruri 3.1.2.9 lwsstart 3.1.2.10 trws 3.1.2.11 escruri 3.1.2.12 baddate 3.1.2.13 regbadct 3.1.2.14 badaspec
3.1.2.15 baddn 3.1.2.16 badvers 3.1.2.17 mismatch01 3.1.2.18 mismatch02 3.1.2.19 bigcode
3.2.1 badbranch
3.3.1 insuf 3.3.2 unkscm 3.3.3 novelsc 3.3.4 unksm2 3.3.5 bext01 3.3.6 invut 3.3.7 regaut01 3.3.8 multi01 3.3.9 mcl01
3.3.10 bcast 3.3.11 zeromf 3.3.12 cparam01 3.3.13 cparam02 3.3.14 regescrt 3.3.15 sdp01
3.4.1 inv2543`;
const OF_RFC5118 = `
4.1 ipv6-good 4.2 ipv6-bad 4.3 port-ambiguous 4.4 port-unambiguous 4.5 via-received-param-with-delim
4.5 via-received-param-no-delim 4.6 ipv6-in-sdp 4.7 mult-ip-in-header 4.8 mult-ip-in-sdp 4.9 ipv4-mapped-ipv6
4.10 ipv6-bug-abnf-3-colons 4.10 ipv6-correct-abnf-2-colons`;

const listed = (text: string) => text.trim().split(/\s+/).join(" ");

function read(name: string): SipMessage {
  const result = parseMessage(row(name).bytes);
  if (!result.ok) throw new Error(`${name}: ${result.error.code}: ${result.error.detail}`);
  return result.message;
}

const request = (name: string) => read(name) as SipRequest;
const uriOf = (name: string, field: string) =>
  parseUri(parseNameAddr(headerList(read(name), field)[0] ?? "")?.uri ?? "");

describe("no message is left out", () => {
  test("RFC 4475: all 49, under their names and sections", () => {
    expect(RFC4475.map(({ section, name }) => `${section} ${name}`).join(" ")).toBe(listed(OF_RFC4475));
    expect(RFC4475).toHaveLength(49);
  });

  test("RFC 5118: all 12, under their names and sections", () => {
    expect(IPV6.map(({ section, name }) => `${section} ${name}`).join(" ")).toBe(listed(OF_RFC5118));
    expect(IPV6).toHaveLength(12);
  });

  test("every row says what the RFC wants and what we do, and its bytes are its own", () => {
    const rows = [...RFC4475, ...IPV6];
    for (const { title, rfc, ours } of rows) expect([title, rfc, ours].every((text) => text !== "")).toBe(true);
    expect(new Set(rows.map(({ bytes }) => bytes.toString("latin1"))).size).toBe(rows.length);
    for (const { name, bytes } of rows) {
      expect(bytes.includes("\r\n\r\n"), name).toBe(true);
      expect(/[^\r]\n/.test(bytes.toString("latin1").split("\r\n\r\n")[0] ?? ""), name).toBe(false);
    }
  });
});

describe("each message is read, or refused for what is wrong with it", () => {
  test.each([...RFC4475, ...IPV6])("$section $name: $title ($parsed)", ({ bytes, parsed }) => {
    const result = parseMessage(bytes);
    expect(result.ok ? "accepted" : result.error.code).toBe(parsed);
  });
});

describe("each message that is read is printed with nothing lost", () => {
  test.each([...RFC4475, ...IPV6].filter(({ parsed }) => parsed === "accepted"))("$section $name", ({ name }) => {
    const message = read(name);
    const again = parseMessage(printMessage(message));
    if (!again.ok) throw new Error(again.error.detail);
    const had = message.headers.some(({ name }) => /^(content-length|l)$/i.test(name));
    expect(again.message.headers.slice(0, message.headers.length)).toEqual(message.headers);
    expect(again.message.headers).toHaveLength(message.headers.length + (had ? 0 : 1));
    expect({ ...again.message, headers: [], body: [...again.message.body] }).toEqual({
      ...message,
      headers: [],
      body: [...message.body],
    });
  });
});

describe("each message, damaged", () => {
  const hit = fc.tuple(
    fc.nat(),
    fc.constantFrom(0, 9, 10, 13, 32, 34, 44, 58, 59, 60, 62, 64, 92, 127, 0xc3, 0xff),
    fc.nat(3),
  );

  test("is read or refused, never throws, and what is read prints as something that is read", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...RFC4475, ...IPV6),
        fc.array(hit, { minLength: 1, maxLength: 6 }),
        ({ bytes }, hits) => {
          let damaged = Buffer.from(bytes);
          for (const [at, byte, how] of hits) {
            const i = at % Math.max(1, damaged.length);
            // Another byte in its place, one more, one less, or the rest cut off.
            const rest = damaged.subarray(how === 1 ? i : i + 1);
            const middle = how < 2 ? Buffer.of(byte) : Buffer.alloc(0);
            damaged = how === 3 ? damaged.subarray(0, i) : Buffer.concat([damaged.subarray(0, i), middle, rest]);
          }
          const result = parseMessage(damaged);
          if (!result.ok) return;
          const { message } = result;
          sdpOf(message);
          for (const name of ["Via", "Contact", "Route", "Record-Route", "To", "From"]) {
            for (const value of headerList(message, name)) parseNameAddr(value);
          }
          expect(parseMessage(printMessage(message))).toMatchObject({ ok: true, message: { kind: message.kind } });
        },
      ),
      { numRuns: 4000 },
    );
  });
});

describe("what the valid messages mean", () => {
  test("wsinv: lists, folds, quotes, escapes and blanks", () => {
    const message = read("wsinv");
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
    expect(contact?.displayName).toBe('Quoted string ""');
    expect(contact?.params.map(({ name }) => name)).toEqual(["newparam", "secondparam", "q"]);
    expect(paramValue(contact?.params ?? [], "Q")).toBe("0.33");
    expect(message.body).toHaveLength(150);
  });

  test("intmeth: every character that a token, a user part and a quoted string may hold", () => {
    const message = request("intmeth");
    expect(message.method).toBe("!interesting-Method0123456789_*+`.%indeed'~");
    expect(parseUri(message.uri)).toMatchObject({
      user: "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*",
      password: "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)",
      host: "example.com",
    });
    expect(parseNameAddr(header(message, "To") ?? "")?.displayName).toBe("BEL:\x07 NUL:\0 DEL:\x7f");
    const from = parseNameAddr(header(message, "From") ?? "");
    expect(from?.displayName).toBe("token1~` token2'+_ token3*%!.-");
    expect(paramValue(from?.params ?? [], "fromParam''~+*_!.-%")).toBe("работающий");
    expect(tagOf(message, "From")).toBe("_token~1'+`*%!-.");
    expect(header(message, "extensionheader-!.%*+_`'~")).toBe("\uFEFF大停電");
  });

  test("esc01: escapes belong to a name and are resolved once only", () => {
    const uri = parseUri(request("esc01").uri);
    expect(uri).toMatchObject({ host: "example.net", user: "sips%3Auser%40example.com" });
    expect(uri && userOf(uri)).toBe("sips:user@example.com");
    const contact = uriOf("esc01", "Contact");
    expect(contact && userOf(contact)).toBe("caller");
    expect(contact?.params).toEqual([{ name: "%6C%72" }, { name: "n%61me", value: "v%61lue%25%34%31" }]);
    expect(paramValue(contact?.params ?? [], "lr")).toBeUndefined();
  });

  test("escnull: an escaped NUL is a character like others", () => {
    expect(headerList(read("escnull"), "Contact")).toHaveLength(2);
    const to = uriOf("escnull", "To");
    expect(to && userOf(to)).toBe("null-\0-null");
  });

  test("esc02: a percent sign is no escape in a method, a display name, a branch or a header's name", () => {
    const message = request("esc02");
    expect(message.method).toBe("RE%47IST%45R");
    expect(parseNameAddr(header(message, "To") ?? "")?.displayName).toBe("%Z%45");
    expect(headerList(message, "Contact")).toEqual([
      "<sip:alias1@host1.example.com>",
      "<sip:alias3@host3.example.com>",
    ]);
    expect(paramValue(topVia(message)?.params ?? [], "branch")).toBe("z9hG4bK209%fzsnel234");
  });

  test("lwsdisp: no blank between display name and bracket", () => {
    expect(parseNameAddr(header(read("lwsdisp"), "From") ?? "")).toMatchObject({
      displayName: "caller",
      uri: "sip:caller@example.com",
    });
  });

  test("longreq: nothing is cut", () => {
    const message = read("longreq");
    expect(headerList(message, "Via")).toHaveLength(34);
    expect(tagOf(message, "From")).toBe(`12${"982".repeat(50)}424`);
    expect(uriOf("longreq", "To")?.params).toHaveLength(3);
    expect(header(message, "Call-ID")).toHaveLength("longreq.onelongcallid".length + 120);
  });

  test("dblreq: what follows the message in a datagram is ignored", () => {
    expect(request("dblreq").method).toBe("REGISTER");
    expect(read("dblreq").body).toHaveLength(0);
  });

  test("semiuri: semicolons in a user part are no parameters of the URI", () => {
    const uri = parseUri(request("semiuri").uri);
    expect(uri?.params).toEqual([]);
    expect(uri && userOf(uri)).toBe("user;par=u@example.net");
  });

  test("transports: known and unknown ones in Via", () => {
    const transports = headerList(read("transports"), "Via").map((value) => parseVia(value)?.transport);
    expect(transports).toEqual(["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
  });

  test("mpart01: both parts, the binary one whole, and the message prints as the very same bytes", () => {
    const message = read("mpart01");
    const parts = parseMultipart(header(message, "Content-Type") ?? "", message.body);
    expect(parts.map(({ body }) => body.length)).toEqual([5, 342]);
    expect(Buffer.from(parts[0]?.body ?? []).toString()).toBe("Hello");
    expect(parts[1]?.body[0]).toBe(0x30);
    expect(Buffer.from(printMessage(message)).equals(row("mpart01").bytes)).toBe(true);
  });

  test("unreason and noreason: any reason phrase, or none", () => {
    expect(read("unreason")).toMatchObject({ reason: "= 2**3 * 5**2 но сто девяносто девять - простое" });
    expect(read("noreason")).toMatchObject({ status: 100, reason: "" });
    expect(Buffer.from(printMessage(read("noreason"))).toString()).toMatch(/^SIP\/2\.0 100 \r\n/);
  });

  test("cparam01 and cparam02: a parameter of the Contact, and one of its URI", () => {
    expect(parseNameAddr(header(read("cparam01"), "Contact") ?? "")).toEqual({
      uri: "sip:+19725552222@gw1.example.net",
      params: [{ name: "unknownparam" }],
    });
    expect(parseNameAddr(header(read("cparam02"), "Contact") ?? "")).toEqual({
      uri: "sip:+19725552222@gw1.example.net;unknownparam",
      params: [],
    });
  });

  test("regescrt: a header within a URI is the URI's", () => {
    expect(uriOf("regescrt", "Contact")?.headers).toEqual([{ name: "Route", value: "%3Csip:sip.example.com%3E" }]);
  });

  test("baddn and badaspec: what is read of names and addresses that break the grammar", () => {
    expect(parseNameAddr(header(read("baddn"), "From") ?? "")?.uri).toBe("sip:a.g.bell@example.com");
    expect(parseNameAddr(header(read("badaspec"), "To") ?? "")).toMatchObject({
      displayName: "Watson, Thomas",
      uri: "sip:t.watson@example.org",
    });
  });
});

describe("what the IPv6 messages mean", () => {
  test("brackets part an address from its port", () => {
    expect(parseUri(request("ipv6-good").uri)).toMatchObject({ host: "[2001:db8::10]" });
    expect(parseUri(request("port-ambiguous").uri)?.host).toBe("[2001:db8::10:5070]");
    expect(parseUri(request("port-ambiguous").uri)?.port).toBeUndefined();
    expect(parseUri(request("port-unambiguous").uri)).toMatchObject({ host: "[2001:db8::10]", port: 5070 });
    expect(topVia(read("ipv6-good"))?.host).toBe("[2001:db8::9:1]");
    expect(uriOf("ipv6-good", "Contact")?.host).toBe("[2001:db8::1]");
  });

  test("received is read with brackets and without", () => {
    const received = (name: string) => paramValue(topVia(read(name))?.params ?? [], "received");
    expect(received("via-received-param-with-delim")).toBe("[2001:db8::9:255]");
    expect(received("via-received-param-no-delim")).toBe("2001:db8::9:255");
  });

  test("both families in one list of Vias", () => {
    const vias = headerValues(read("mult-ip-in-header"), "Via").map((value) => parseVia(value)?.host);
    expect(vias).toEqual(["[2001:db8::9:1]", "192.0.2.1", "[2001:db8::9:255]"]);
  });

  test("SDP has addresses without brackets, of either family, for the session or for each medium", () => {
    const sdp = (name: string) => readSdp(sdpOf(read(name)) ?? "");
    const addresses = (name: string) => sdp(name)?.media.map(({ address }) => address);
    expect(addresses("ipv6-in-sdp")).toEqual(["2001:db8::20", "2001:db8::20"]);
    expect(addresses("mult-ip-in-sdp")).toEqual(["192.0.2.1", "2001:db8::1"]);
    expect(addresses("ipv4-mapped-ipv6")).toEqual(["::ffff:192.0.2.2", "::ffff:192.0.2.2"]);
    const edited = editSdp(sdpOf(read("mult-ip-in-sdp")) ?? "", [{ address: "10.0.0.1", port: 4000 }, undefined]);
    expect(edited).toContain("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 10.0.0.1\r\n");
    expect(edited).toContain("m=video 6024 RTP/AVP 107\r\nc=IN IP6 2001:db8::1\r\n");
  });

  test("three colons are taken as they come, two are right", () => {
    expect(parseUri(request("ipv6-bug-abnf-3-colons").uri)?.host).toBe("[2001:db8:::192.0.2.1]");
    expect(parseUri(request("ipv6-correct-abnf-2-colons").uri)?.host).toBe("[2001:db8::192.0.2.1]");
  });
});
