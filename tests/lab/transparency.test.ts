import { describe, expect, test } from "vitest";
import { parseMessage, type SeenMessage } from "./capture/sip.ts";
import { changedSdp, differences, pair } from "./transparency.ts";

const [phone, box, cloud] = ["10.77.1.101:5060", "10.77.1.2:5060", "203.0.113.10:5060"];

function seen(from: string, to: string, head: string, body = ""): SeenMessage {
  const segment = { at: 0, protocol: "udp", from, to, payload: Buffer.alloc(0) } as const;
  const message = parseMessage(segment, head.trim().split("\n").join("\r\n"), Buffer.from(body));
  if (message === undefined) throw new Error("the test's own message is none");
  return message;
}

const common = 'From: <sip:101@h>;tag=a\nTo: <sip:102@h>\nCall-ID: c1\nCSeq: 1 INVITE\nX-Unknown: a;b="c, d"';
const received = (extra = "") =>
  seen(
    phone,
    box,
    `INVITE sip:102@h SIP/2.0\nVia: SIP/2.0/UDP ${phone};branch=z9hG4bK1;rport\nMax-Forwards: 70\n${common}${extra}`,
  );
const sent = (extra = "", hops = 69) =>
  seen(
    box,
    cloud,
    `INVITE sip:102@h SIP/2.0\nVia: SIP/2.0/UDP ${box};branch=z9hG4bK2\nVia: SIP/2.0/UDP ${phone};branch=z9hG4bK1;rport=5060;received=10.77.1.101\nRecord-Route: <sip:t@10.77.1.2:5080;lr>, <sip:f@10.77.1.2;lr>\nMax-Forwards: ${hops}\n${common}${extra}`,
  );

describe("twins", () => {
  test("a request and its copy are found by the Via beneath the box's own", () => {
    const { passed, alone } = pair({ lan: [received()], wan: [sent()] });
    expect(passed.map(({ label, direction }) => `${direction} ${label}`)).toEqual(["out INVITE"]);
    expect(alone).toEqual([]);
  });

  test("a request that did not go on is alone; so is one that the box made up", () => {
    expect(pair({ lan: [received()], wan: [] }).alone).toHaveLength(1);
    expect(pair({ lan: [], wan: [sent()] }).alone).toHaveLength(1);
  });

  test("a repetition has the twin of the first; CANCEL, 100 and the ACK to a refusal are each hop's own", () => {
    const hop = (start: string, cseq: string) =>
      seen(phone, box, `${start}\nVia: SIP/2.0/UDP ${phone};branch=z9hG4bK1\nCall-ID: c1\nCSeq: ${cseq}`);
    const own = [hop("CANCEL sip:102@h SIP/2.0", "1 CANCEL"), hop("ACK sip:102@h SIP/2.0", "1 ACK")];
    const { passed, alone } = pair({
      lan: [received(), received(), ...own, hop("SIP/2.0 100 Trying", "1 INVITE")],
      wan: [sent()],
    });
    expect([passed.length, alone.length]).toEqual([1, 0]);
  });

  test("two forks' answers are told apart by their tags", () => {
    const answer = (tag: string, vias: string, from: string, to: string) =>
      seen(from, to, `SIP/2.0 180 Ringing\n${vias}\nTo: <sip:102@h>;tag=${tag}\nCall-ID: c1\nCSeq: 1 INVITE`);
    const above = `Via: SIP/2.0/UDP ${box};branch=z9hG4bK2\nVia: SIP/2.0/UDP ${phone};branch=z9hG4bK1`;
    const below = `Via: SIP/2.0/UDP ${phone};branch=z9hG4bK1`;
    const wan = ["x", "y"].map((tag) => answer(tag, above, cloud, box));
    expect(pair({ lan: ["x", "y"].map((tag) => answer(tag, below, box, phone)), wan }).alone).toEqual([]);
    expect(pair({ lan: [answer("x", below, box, phone)], wan }).alone).toHaveLength(1);
  });
});

describe("differences", () => {
  test("what a proxy has to touch is none", () => {
    expect(differences({ received: received(), sent: sent() })).toEqual([]);
  });

  test.each([
    ["a header that was added", received(), sent("\nX-More: 1")],
    ["a header that is gone", received("\nX-More: 1"), sent()],
    ["two headers that changed places", received("\nX-A: 1\nX-B: 2"), sent("\nX-B: 2\nX-A: 1")],
    ["a hop too many", received(), sent("", 68)],
    ["a foreign Record-Route", received(), sent("\nRecord-Route: <sip:203.0.113.66;lr>")],
  ])("%s is told", (_, before, after) => {
    expect(differences({ received: before, sent: after })).toHaveLength(
      _ === "two headers that changed places" ? 2 : 1,
    );
  });

  test("of a description addresses and ports may change, and must", () => {
    const before = "v=0\r\nc=IN IP4 10.77.1.101\r\nm=audio 4000 RTP/AVP 0\r\na=x\r\n";
    expect(changedSdp(before, before.replace("1.101", "1.2").replace("4000", "5000"))).toEqual([]);
    expect(changedSdp(before, before)).toEqual(["not anchored: c=IN IP4 10.77.1.101"]);
    expect(changedSdp(before, before.replace("1.101", "1.2").replace("a=x", "a=y"))).toHaveLength(1);
    const held = before.replace("10.77.1.101", "0.0.0.0");
    expect(changedSdp(held, held)).toEqual([]);
  });

  test("media that is refused stays refused, and media that is wanted stays wanted", () => {
    const description = (port: number) => `c=IN IP4 10.77.1.2\r\nm=video ${port} RTP/AVP 96\r\n`;
    expect(changedSdp(description(0), description(0))).toEqual([]);
    expect(changedSdp(description(0), description(5000))).toHaveLength(1);
    expect(changedSdp(description(5000), description(0))).toHaveLength(1);
  });

  test.each([
    ["a header line of a part", "Content-Disposition: signal;handling=optional", "Content-Disposition: session"],
    ["a byte that is no text", "\x01\x00\xfe", "\x01\x00\xff"],
  ])("of a body of several parts %s is told", (_, before, after) => {
    const several = (what: string) => {
      const type = '\nContent-Type: multipart/mixed;boundary="b 1"';
      const part = what.startsWith("Content") ? `\r\n${what}\r\n\r\nx` : `\r\n\r\n${what}`;
      return { type, body: Buffer.from(`--b 1\r\nContent-Type: application/isup${part}\r\n--b 1--\r\n`, "latin1") };
    };
    const [one, other] = [several(before), several(after)];
    const came = { ...received(one.type), body: one.body };
    expect(differences({ received: came, sent: { ...sent(one.type), body: one.body } })).toEqual([]);
    expect(differences({ received: came, sent: { ...sent(one.type), body: other.body } })).toHaveLength(1);
  });

  test("what merely begins like the box's address is not the box", () => {
    const copy = sent();
    const headers = copy.headers.map(
      ([name, value]) => [name, value.replace("10.77.1.2:5080", "10.77.1.21:5080")] as const,
    );
    expect(differences({ received: received(), sent: { ...copy, headers } })).toHaveLength(1);
  });
});
