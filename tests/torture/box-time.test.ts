/** The largest datagrams that there are, through everything that a request meets: work must not be the square of them. */
import { describe, expect, test } from "vitest";
import { BOX, type MemorySite, memorySite, PBX } from "../../agent/engine/testing/memory-site.ts";
import { parseMessage } from "../../agent/sip/messages/parse.ts";

const PHONE = "10.20.0.101";
const SIZE = 56_000;
/** Linear work on SIZE is some 20 ms; its square, or its product with the bindings there are, a second and more. */
const BOUND_MS = 300;
const BINDINGS = 2_000;

type Make = (i: number) => string;

function fill(make: Make, size = SIZE): string {
  let text = "";
  for (let i = 0; text.length < size; i++) text += make(i);
  return text;
}

/** Lines of this header as long as the parser takes them, each full of elements. */
function lists(name: string, make: Make): string {
  let n = 0;
  const line = () => `${name}: ${make(n++)}${fill(() => `, ${make(n++)}`, 7_500)}\r\n`;
  return fill(line, SIZE - 7_500);
}

const SESSION = "v=0\r\no=- 1 1 IN IP4 10.20.0.101\r\ns=-\r\nc=IN IP4 10.20.0.101\r\nt=0 0\r\n";
const AUDIO = "m=audio 4000 RTP/AVP 0\r\n";

interface Shape {
  readonly uri?: string;
  readonly head?: string;
  readonly body?: string;
  readonly type?: string;
}

const SHAPES: Readonly<Record<string, Shape>> = {
  "parameters of the Request-URI": { uri: `sip:102@pbx.example${fill((i) => `;p${i}`)}` },
  "parameters of a Request-URI that names the box": { uri: `sip:102@${BOX}${fill((i) => `;p${i}`)}` },
  "a user part of escapes": { uri: `sip:${fill(() => "%41")}@pbx.example` },
  "a tel URI": { uri: `tel:+1303${fill((i) => `;p${i}=1`)}` },
  Contacts: { head: lists("Contact", (i) => `<sip:a${i}@${PHONE}>`) },
  "Routes that name the box": { head: lists("Route", () => `<sip:${BOX};lr>`) },
  "Routes with tokens that are none": {
    head: lists("Route", (i) => `<sip:f.a${i}.u.10-20-0-99.5060.10-20-0-5.5060.0123456789abcdef@${BOX};lr>`),
  },
  Vias: { head: lists("Via", (i) => `SIP/2.0/UDP h${i};branch=z9hG4bK${i}`) },
  "Record-Routes": { head: lists("Record-Route", (i) => `<sip:a${i}@192.0.2.9;lr>`) },
  "tags of Supported": { head: lists("Supported", (i) => `t${i}`) },
  credentials: {
    head: fill(
      (i) => `Proxy-Authorization: Digest username="101",realm="r${i}",nonce="n",uri="x",response="0"\r\n`,
      18_000,
    ),
  },
  "sections of SDP": { type: "application/sdp", body: SESSION + fill(() => AUDIO) },
  "attributes of SDP": { type: "application/sdp", body: SESSION + AUDIO + fill((i) => `a=x${i}\r\n`) },
  "bundled sections": {
    type: "application/sdp",
    body: `${SESSION}a=group:BUNDLE${fill((i) => ` m${i}`, SIZE / 4)}\r\n${fill((i) => `${AUDIO}a=mid:m${i}\r\n`, SIZE / 2)}`,
  },
  "parts of a body": {
    type: "multipart/mixed;boundary=b",
    body: `${fill(() => "--b\r\nContent-Type: multipart/mixed;boundary=c\r\n\r\n--c\r\n\r\n")}--b--`,
  },
};

const METHODS = ["INVITE", "INVITE 911", "REGISTER", "OPTIONS", "BYE", "ACK"];

function datagram(kind: string, { uri, head = "", body, type }: Shape, from: string, id: string): Buffer {
  const [method = "", digits] = kind.split(" ");
  const to = uri ?? (method === "REGISTER" ? "sip:pbx.example" : "sip:102@pbx.example");
  const inside = method === "BYE" || method === "ACK";
  const content = body ?? (method === "INVITE" ? SESSION + AUDIO : "");
  const lines = [
    `${method} ${digits === undefined ? to : to.replace("102@", `${digits}@`)} SIP/2.0`,
    `Via: SIP/2.0/UDP ${from}:5070;rport;branch=z9hG4bK${id}`,
    "Max-Forwards: 70",
    `From: <sip:101@pbx.example>;tag=${id}`,
    `To: <sip:${method === "REGISTER" ? "101" : "102"}@pbx.example>${inside ? ";tag=t" : ""}`,
    `Call-ID: ${id}`,
    `CSeq: 1 ${method}`,
    ...(head.startsWith("Contact") ? [] : [`Contact: <sip:101@${from}>`]),
    ...(content === "" ? [] : [`Content-Type: ${type ?? "application/sdp"}`]),
    `Content-Length: ${Buffer.byteLength(content)}`,
  ];
  return Buffer.from(`${lines.join("\r\n")}\r\n${head}\r\n${content}`);
}

/** A site with as many phones as a large one has. */
async function crowded(): Promise<MemorySite> {
  const site = await memorySite();
  const phone = await site.phone("101", PHONE);
  void phone.register();
  await site.pass(20);
  const [binding] = site.parts.store.ofExtension("ext-101");
  if (binding === undefined) throw new Error("101 is not registered");
  for (let i = 0; i < BINDINGS; i++) {
    const address = `10.20.1.${i % 250}`;
    const contact = `sip:u${i}@${address}:5060;transport=udp`;
    const at = { source_address: address, source_port: 6000 + i, flow_token: `t${i}` };
    site.parts.store.put({ ...binding, aor: `sip:u${i}@pbx.example`, contact, ...at }, 1e6);
  }
  return site;
}

describe("a datagram of the largest size is through in no time", () => {
  test.each([
    ["a phone, with the cloud", PHONE, 5060, "normal"],
    ["a phone, without it", PHONE, 5060, "survivable"],
    ["the cloud", PBX, 5062, "normal"],
  ] as const)("from %s", { timeout: 60_000 }, async (_, from, port, mode) => {
    const site = await crowded();
    if (mode === "survivable") {
      site.setTrunk("down");
      site.setMode(mode);
    }
    const transport = site.network.transport();
    await transport.listen({ protocol: "udp", address: from, port: 5070 });
    const ends = { protocol: "udp", address: BOX, port, local_address: from, local_port: 5070 } as const;
    const flow = transport.flowTo(ends);
    for (const method of METHODS) {
      for (const [what, shape] of Object.entries(SHAPES)) {
        const bytes = datagram(method, shape, from, `${method.replace(" ", "")}${what.replace(/[^a-z]/gi, "")}`);
        expect([parseMessage(bytes).ok, bytes.length < 65_536], what).toEqual([true, true]);
        const before = process.cpuUsage();
        transport.send(flow, bytes);
        await site.pass(0);
        const { user, system } = process.cpuUsage(before);
        expect((user + system) / 1000, `${method}: ${what}`).toBeLessThan(BOUND_MS);
      }
    }
  });
});
