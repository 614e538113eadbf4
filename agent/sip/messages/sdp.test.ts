import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildRequest } from "./build.ts";
import { header } from "./headers.ts";
import { parseMultipart } from "./multipart.ts";
import { parseMessage } from "./parse.ts";
import { printMessage } from "./print.ts";
import { editSdp, readSdp, sdpOf, withSdp } from "./sdp.ts";

const sdp = (...lines: string[]) => `${lines.join("\r\n")}\r\n`;
const TOP = ["v=0", "o=alice 2890844526 2890844527 IN IP4 192.0.2.1", "s=-"];
const RELAY = { address: "10.0.0.9", port: 30_000 };

describe("looking at a description", () => {
  test("origin, media, payloads, addresses", () => {
    const view = readSdp(
      sdp(
        ...TOP,
        "c=IN IP4 192.0.2.1",
        "t=0 0",
        "m=audio 49170 RTP/AVP 0 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=ptime:20",
        "a=rtcp:53020 IN IP6 2001:db8::1",
        "m=audio 49180/2 RTP/SAVP 111",
        "c=IN IP6 2001:db8::2",
        "a=rtpmap:111 opus/48000/2",
        "a=rtcp-mux",
        "a=sendonly",
      ),
    );
    expect(view.origin).toEqual({
      username: "alice",
      sessionId: "2890844526",
      sessionVersion: "2890844527",
      address: "192.0.2.1",
    });
    expect(view.media).toEqual([
      {
        type: "audio",
        port: 49170,
        protocol: "RTP/AVP",
        formats: ["0", "101"],
        address: "192.0.2.1",
        rtcp: { port: 53020, address: "2001:db8::1" },
        rtcpMux: false,
        direction: "sendrecv",
        held: false,
        codecs: [
          { payload: 0, name: "PCMU", rate: 8000 },
          { payload: 101, name: "telephone-event", rate: 8000 },
        ],
        fmtp: [{ payload: 101, config: "0-15" }],
        ptime_ms: 20,
        encrypted: false,
        ice: false,
        keys: [],
      },
      {
        type: "audio",
        port: 49180,
        protocol: "RTP/SAVP",
        formats: ["111"],
        address: "2001:db8::2",
        rtcpMux: true,
        direction: "sendonly",
        held: false,
        codecs: [{ payload: 111, name: "opus", rate: 48000, channels: 2 }],
        fmtp: [],
        encrypted: true,
        ice: false,
        keys: [],
      },
    ]);
  });

  test.each([
    ["the unspecified IPv4 address", ["c=IN IP4 0.0.0.0", "m=audio 5000 RTP/AVP 0"], true, "sendrecv"],
    ["the unspecified IPv6 address", ["c=IN IP6 ::", "m=audio 5000 RTP/AVP 0"], true, "sendrecv"],
    ["a session that is inactive", ["c=IN IP4 192.0.2.1", "a=inactive", "m=audio 5000 RTP/AVP 0"], true, "inactive"],
    ["media that is inactive", ["c=IN IP4 192.0.2.1", "m=audio 5000 RTP/AVP 0", "a=inactive"], true, "inactive"],
    [
      "media that says otherwise than the session",
      ["c=IN IP4 192.0.2.1", "a=inactive", "m=audio 5000 RTP/AVP 0", "a=sendrecv"],
      false,
      "sendrecv",
    ],
    ["sendonly", ["c=IN IP4 192.0.2.1", "m=audio 5000 RTP/AVP 0", "a=sendonly"], false, "sendonly"],
  ] as [string, string[], boolean, string][])("held or not: %s", (_, lines, held, direction) => {
    expect(readSdp(sdp(...TOP, ...lines)).media[0]).toMatchObject({ held, direction });
  });

  test("crypto, fingerprint and candidates show", () => {
    const [crypto] = readSdp(sdp("m=audio 1 RTP/AVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc")).media;
    const [dtls] = readSdp(sdp("a=fingerprint:sha-256 AA:BB", "m=audio 1 RTP/AVP 0")).media;
    const [ice] = readSdp(sdp("m=audio 1 RTP/AVP 0", "a=candidate:1 1 UDP 2130706431 192.0.2.1 1 typ host")).media;
    expect([crypto?.encrypted, dtls?.encrypted, ice?.encrypted]).toEqual([true, true, false]);
    expect(ice?.ice).toBe(true);
  });

  test("text that is no description does not throw, and sections keep their number", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(fc.string(), fc.constantFrom("m=", "m=audio", "m=audio x RTP/AVP", "c=IN", "a=rtcp:", "o=a")),
          { maxLength: 12 },
        ),
        (lines) => {
          const text = lines.join("\n");
          const sections = text.split(/\r\n|\r|\n/).filter((line) => line.startsWith("m=")).length;
          expect(readSdp(text).media).toHaveLength(sections);
          expect(readSdp(editSdp(text, [RELAY, RELAY])).media).toHaveLength(sections);
        },
      ),
    );
  });
});

describe("pointing media elsewhere", () => {
  test("a session-level address moves when all its media move to one place", () => {
    const text = sdp(
      ...TOP,
      "c=IN IP4 192.0.2.1",
      "t=0 0",
      "m=audio 4000 RTP/AVP 0",
      "a=rtcp:4001",
      "m=video 5000 RTP/AVP 96",
    );
    expect(editSdp(text, [RELAY, { ...RELAY, port: 30_002 }])).toBe(
      sdp(...TOP, "c=IN IP4 10.0.0.9", "t=0 0", "m=audio 30000 RTP/AVP 0", "a=rtcp:30001", "m=video 30002 RTP/AVP 96"),
    );
  });

  test("only one of two moves: it gets a line of its own after m= and i=", () => {
    const text = sdp(
      ...TOP,
      "c=IN IP4 192.0.2.1",
      "t=0 0",
      "m=audio 4000 RTP/AVP 0",
      "i=voice",
      "b=AS:64",
      "m=video 5000 RTP/AVP 96",
    );
    expect(editSdp(text, [RELAY])).toBe(
      sdp(
        ...TOP,
        "c=IN IP4 192.0.2.1",
        "t=0 0",
        "m=audio 30000 RTP/AVP 0",
        "i=voice",
        "c=IN IP4 10.0.0.9",
        "b=AS:64",
        "m=video 5000 RTP/AVP 96",
      ),
    );
    expect(readSdp(editSdp(text, [RELAY])).media.map(({ address }) => address)).toEqual(["10.0.0.9", "192.0.2.1"]);
  });

  test("two media to two addresses", () => {
    const text = sdp(...TOP, "c=IN IP4 192.0.2.1", "m=audio 4000 RTP/AVP 0", "m=audio 4002 RTP/AVP 0");
    const edited = editSdp(text, [RELAY, { address: "2001:db8::5", port: 7000 }]);
    expect(readSdp(edited).media.map(({ address, port }) => [address, port])).toEqual([
      ["10.0.0.9", 30_000],
      ["2001:db8::5", 7000],
    ]);
    expect(edited).toContain("c=IN IP6 2001:db8::5\r\n");
    expect(edited).toContain("c=IN IP4 192.0.2.1\r\n");
  });

  test("media-level addresses change in place and the session's stays when nobody moves from it", () => {
    const text = sdp(
      ...TOP,
      "c=IN IP4 192.0.2.1",
      "m=audio 4000/2 RTP/AVP 0",
      "c=IN IP4 224.2.1.1/127",
      "m=video 0 RTP/AVP 96",
    );
    expect(editSdp(text, [RELAY, RELAY])).toBe(
      sdp(...TOP, "c=IN IP4 192.0.2.1", "m=audio 30000/2 RTP/AVP 0", "c=IN IP4 10.0.0.9", "m=video 0 RTP/AVP 96"),
    );
  });

  test("a=rtcp with an address, its own RTCP port, from IPv6 to IPv4 and back", () => {
    const top = (address: string) => TOP.map((line) => line.replace(/IN IP4 .*/, `IN ${address}`));
    const media = (port: number, rtcp: number, address: string) => [
      `c=IN ${address}`,
      `m=audio ${port} RTP/AVP 0`,
      `a=rtcp:${rtcp} IN ${address}`,
    ];
    const six = sdp(...top("IP6 2001:db8::1"), ...media(4000, 53_020, "IP6 2001:db8::1"));
    const four = sdp(...top("IP4 10.0.0.9"), ...media(30_000, 30_005, "IP4 10.0.0.9"));
    expect(editSdp(six, [{ ...RELAY, rtcpPort: 30_005 }])).toBe(four);
    expect(editSdp(four, [{ address: "2001:db8::1", port: 4000, rtcpPort: 53_020 }])).toBe(six);
  });

  test("the origin follows into the other IP family, for phones judge by it; within one family it stays", () => {
    const offer = "v=0\r\no=a 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    const six = editSdp(offer, [{ address: "2001:db8::1", port: 6000 }]);
    expect(six).toContain("o=a 1 2 IN IP6 2001:db8::1\r\n");
    expect(editSdp(six, [{ address: "198.51.100.1", port: 7000 }])).toContain("o=a 1 2 IN IP4 198.51.100.1\r\n");
    expect(editSdp(offer, [{ address: "198.51.100.1", port: 7000 }])).toContain("o=a 1 2 IN IP4 192.0.2.1\r\n");
    expect(editSdp(offer, [undefined])).toBe(offer);
  });

  test("a held stream keeps its unspecified address, refused and removed media keep port 0", () => {
    const session = sdp(...TOP, "c=IN IP4 0.0.0.0", "m=audio 4000 RTP/AVP 0", "a=sendonly");
    expect(editSdp(session, [RELAY])).toBe(sdp(...TOP, "c=IN IP4 0.0.0.0", "m=audio 30000 RTP/AVP 0", "a=sendonly"));
    const media = sdp(...TOP, "c=IN IP4 192.0.2.1", "m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.0");
    expect(editSdp(media, [RELAY])).toBe(
      sdp(...TOP, "c=IN IP4 192.0.2.1", "m=audio 30000 RTP/AVP 0", "c=IN IP4 0.0.0.0"),
    );
    const refused = sdp(...TOP, "c=IN IP4 192.0.2.1", "m=audio 0 RTP/AVP 0", "a=inactive");
    expect(editSdp(refused, [RELAY])).toBe(refused);
    const inactive = sdp(...TOP, "c=IN IP4 192.0.2.1", "m=audio 4000 RTP/AVP 0", "a=inactive");
    expect(editSdp(inactive, [RELAY])).toBe(sdp(...TOP, "c=IN IP4 10.0.0.9", "m=audio 30000 RTP/AVP 0", "a=inactive"));
  });

  test("no c= line anywhere: one is put in", () => {
    expect(editSdp("m=audio 4000 RTP/AVP 0", [RELAY])).toBe("m=audio 30000 RTP/AVP 0\r\nc=IN IP4 10.0.0.9\r\n");
    expect(editSdp("m=audio 4000 RTP/AVP 0\n", [RELAY])).toBe("m=audio 30000 RTP/AVP 0\nc=IN IP4 10.0.0.9\n");
  });

  test("a=rtcp that names the RTP port, as under rtcp-mux, follows it", () => {
    const text = sdp(...TOP, "c=IN IP4 192.0.2.1", "m=audio 4000 RTP/AVP 0", "a=rtcp:4000", "a=rtcp-mux");
    expect(editSdp(text, [RELAY])).toContain("a=rtcp:30000\r\n");
  });

  const ICE = [
    ...[...TOP, "a=ice-lite", "a=ice-ufrag:ses", "c=IN IP4 192.0.2.9", "m=audio 4000 RTP/AVP 0"],
    ...["a=ice-ufrag:8hhY", "a=ice-pwd:asd88fgpdd777uzjYhagZg", "a=ice-options:trickle"],
    "a=candidate:1 1 UDP 2130706431 10.0.1.1 4000 typ host",
    "a=candidate:1 2 UDP 2130706430 10.0.1.1 4001 typ host",
    "a=candidate:2 1 UDP 1694498815 192.0.2.9 45664 typ srflx raddr 10.0.1.1 rport 4000 generation 0",
    "a=candidate:3 1 TCP 1000 10.0.1.1 9 typ host tcptype active",
    ...["a=remote-candidates:1 10.0.0.9 30000", "a=end-of-candidates", "a=ice-x", "a=icecream:1"],
  ];

  test("where the relay passes ICE's checks, one candidate of each component is left, at the target", () => {
    const edited = editSdp(sdp(...ICE), [RELAY], "relayed");
    expect(edited).toBe(
      sdp(
        ...[...TOP, "a=ice-lite", "a=ice-ufrag:ses", "c=IN IP4 10.0.0.9", "m=audio 30000 RTP/AVP 0"],
        ...["a=ice-ufrag:8hhY", "a=ice-pwd:asd88fgpdd777uzjYhagZg", "a=ice-options:trickle"],
        "a=candidate:1 1 UDP 2130706431 10.0.0.9 30000 typ host",
        "a=candidate:1 2 UDP 2130706430 10.0.0.9 30001 typ host",
        ...["a=end-of-candidates", "a=ice-x", "a=icecream:1"],
      ),
    );
    const reflexive = sdp(...ICE.filter((line) => !line.startsWith("a=candidate:1")));
    expect(editSdp(reflexive, [RELAY], "relayed")).toContain(
      "a=candidate:2 1 UDP 1694498815 10.0.0.9 30000 typ host generation 0\r\n",
    );
  });

  test("elsewhere nothing is said of ICE", () => {
    expect(editSdp(sdp(...ICE), [RELAY])).toBe(
      sdp(...TOP, "c=IN IP4 10.0.0.9", "m=audio 30000 RTP/AVP 0", "a=icecream:1"),
    );
    expect(editSdp(sdp(...ICE), [undefined])).toBe(sdp(...ICE));
  });

  test("keys, unknown attributes, odd line breaks and bytes that are not UTF-8 stay byte for byte", () => {
    const text = [
      "v=0\r\n",
      "o=- 1 1 IN IP4 192.0.2.1\n",
      "s= \u00e9 \uDCFF\r\n",
      "c=IN IP4 192.0.2.1\r\n",
      "m=audio 4000 RTP/SAVP 0\r\n",
      "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4\r\n",
      "a=x-mine: m=audio 4000 c=IN IP4 192.0.2.1  \r\n",
      "\r\n",
      "a=last",
    ].join("");
    const expected = text.replace("c=IN IP4 192.0.2.1\r\nm=audio 4000", "c=IN IP4 10.0.0.9\r\nm=audio 30000");
    expect(editSdp(text, [RELAY])).toBe(expected);
    expect(editSdp(text, [])).toBe(text);
    expect(editSdp(text, [undefined])).toBe(text);
  });

  test("any description without targets comes back as it was", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(editSdp(text, [])).toBe(text);
      }),
    );
  });

  test("what is read after an edit is what was asked for", () => {
    const address = fc.constantFrom("192.0.2.1", "10.1.2.3", "2001:db8::7");
    const target = fc.record({ address, port: fc.integer({ min: 1024, max: 65_000 }) });
    const media = fc.record({
      own: fc.option(address),
      port: fc.constantFrom(0, 4000, 5000),
      target: fc.option(target),
    });
    fc.assert(
      fc.property(fc.option(address), fc.array(media, { minLength: 1, maxLength: 4 }), (session, all) => {
        const line = (each: string) => `c=IN ${each.includes(":") ? "IP6" : "IP4"} ${each}`;
        const text = sdp(
          ...TOP,
          ...(session === null ? [] : [line(session)]),
          ...all.flatMap(({ own, port }) => [`m=audio ${port} RTP/AVP 0`, ...(own === null ? [] : [line(own)])]),
        );
        const before = readSdp(text).media;
        const after = readSdp(
          editSdp(
            text,
            all.map((each) => each.target ?? undefined),
          ),
        ).media;
        all.forEach(({ port, target }, i) => {
          if (port !== 0 && target !== null) expect(after[i]).toMatchObject(target);
          else if (port !== 0) expect(after[i]).toEqual(before[i]);
          else expect(after[i]?.port).toBe(0);
        });
      }),
    );
  });
});

describe("the description inside a message", () => {
  const body = sdp(...TOP, "c=IN IP4 192.0.2.1", "m=audio 4000 RTP/AVP 0");
  const request = (contentType: string | undefined, content: string, ...headers: [string, string][]) => {
    const message = buildRequest({
      method: "INVITE",
      uri: "sip:911@a",
      via: "SIP/2.0/UDP a",
      from: "<sip:a@a>;tag=1",
      to: "<sip:911@a>",
      callId: "1",
      cseq: 1,
      headers: headers.map(([name, value]) => ({ name, value })),
      body: content,
      ...(contentType === undefined ? {} : { contentType }),
    });
    const result = parseMessage(printMessage(message));
    if (!result.ok) throw new Error(result.error.detail);
    return result.message;
  };
  const TYPE = 'multipart/mixed; boundary="uniq-boundary.1"';
  const mixed = (inner: string) =>
    "preamble\r\n--uniq-boundary.1\r\nContent-Type: application/pidf+xml\r\nContent-ID: <l@a>\r\n\r\n<presence>--uniq</presence>\r\n" +
    `--uniq-boundary.1\r\nContent-Type: application/sdp\r\nContent-Length: ${inner.length}\r\n\r\n${inner}\r\n--uniq-boundary.1--\r\nepilogue`;

  test("as the whole body", () => {
    const message = request("Application/SDP; charset=utf-8", body);
    expect(sdpOf(message)).toBe(body);
    const edited = withSdp(message, "v=1\r\n");
    expect(sdpOf(edited)).toBe("v=1\r\n");
    expect(header(edited, "Content-Type")).toBe("Application/SDP; charset=utf-8");
    expect(sdpOf(message)).toBe(body);
  });

  test("after a PIDF-LO in a multipart body: everything around it stays, its own Content-Length follows", () => {
    const message = request(TYPE, mixed(body));
    expect(sdpOf(message)).toBe(body);
    const edited = withSdp(message, "v=1\r\ns=new\r\n");
    expect(Buffer.from(edited.body).toString()).toBe(mixed("v=1\r\ns=new\r\n"));
    expect(edited.headers).toEqual(message.headers);
    expect(Buffer.from(printMessage(edited)).toString()).toContain(`Content-Length: ${edited.body.length}\r\n`);
  });

  test("in a multipart body inside another", () => {
    const outer = (inner: string) => `--o\r\nContent-Type: ${TYPE}\r\n\r\n${mixed(inner)}\r\n--o--`;
    const message = request("multipart/mixed;boundary=o", outer(body));
    expect(sdpOf(message)).toBe(body);
    expect(Buffer.from(withSdp(message, "v=1").body).toString()).toBe(outer("v=1"));
  });

  test("an early-session description, an encoded one and other bodies are not it", () => {
    expect(
      sdpOf(request("application/sdp", body, ["Content-Disposition", "early-session;handling=optional"])),
    ).toBeUndefined();
    expect(sdpOf(request("application/sdp", body, ["Content-Disposition", "Session ; handling=required"]))).toBe(body);
    expect(sdpOf(request("application/sdp", body, ["Content-Encoding", "gzip"]))).toBeUndefined();
    expect(sdpOf(request("text/plain", body))).toBeUndefined();
    expect(sdpOf(request(undefined, ""))).toBeUndefined();
  });

  test("a message without one gets it as its body, or beside the body it has", () => {
    const bare = withSdp(request(undefined, ""), body);
    expect(header(bare, "Content-Type")).toBe("application/sdp");
    expect(sdpOf(bare)).toBe(body);
    const beside = withSdp(request("application/pidf+xml", "<presence/>", ["Content-ID", "<l@a>"]), body);
    expect(sdpOf(beside)).toBe(body);
    const parts = parseMultipart(header(beside, "Content-Type") ?? "", beside.body);
    expect(parts[0]?.headers).toEqual([
      { name: "Content-ID", value: "<l@a>" },
      { name: "Content-Type", value: "application/pidf+xml" },
    ]);
    expect(header(beside, "Content-ID")).toBeUndefined();
  });
});
