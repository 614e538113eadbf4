import { describe, expect, test } from "vitest";
import { header, headerList, setHeader } from "../sip/messages/headers.ts";
import { sdpOf } from "../sip/messages/sdp.ts";
import { sdp } from "./testing/memory-phone.ts";
import { BOX, memorySite } from "./testing/memory-site.ts";

async function twoPhones() {
  const site = await memorySite();
  const alice = await site.phone("101", "10.20.0.101");
  const bob = await site.phone("102", "10.20.0.102");
  void alice.register();
  void bob.register();
  await site.pass(20);
  return { site, alice, bob };
}

describe("a REGISTER through the box", () => {
  test("reaches the cloud with a Path of ours, and the cloud's 200 is what the phone sees and the mirror keeps", async () => {
    const site = await memorySite({ challenge: true });
    const phone = await site.phone("101", "10.20.0.101", { password: "secret" });
    const answer = phone.register();
    await site.pass(20);
    expect((await answer).status).toBe(200);
    const sent = site.pbx.received("REGISTER").at(-1);
    expect(sent && headerList(sent, "Path")[0]).toMatch(/^<sip:f\..*@10\.20\.0\.5:5062;lr>$/);
    expect(sent && headerList(sent, "Supported")).toContain("path");
    const [binding] = site.parts.store.ofExtension("ext-101");
    expect(binding).toMatchObject({ contact: phone.contact, source_address: "10.20.0.101", trust: "learned" });
    expect((binding?.expires_wall ?? 0) - site.clock.wall()).toBeLessThanOrEqual(600_000);
  });
});

describe("phone to phone through the cloud (a spiral through the box)", () => {
  test("rings, is answered, carries the sound over the relay, and is hung up by either", async () => {
    const { site, alice, bob } = await twoPhones();
    const invite = alice.inviteRequest("102");
    const answered = alice.send(invite);
    await site.pass(20);
    const tx = bob.pending[0];
    if (tx === undefined) throw new Error("bob does not ring");
    expect(tx.request.uri).toBe(bob.contact);
    expect(sdpOf(tx.request)).toContain(`c=IN IP4 ${BOX}`);
    bob.respond(tx, 180);
    bob.respond(tx, 200, sdp(bob.address, 40_000));
    await site.pass(20);
    const ok = await answered;
    expect(ok.status).toBe(200);
    expect(sdpOf(ok)).toContain(`c=IN IP4 ${BOX}`);
    alice.ack(invite, ok);
    await site.pass(20);
    expect(bob.acks).toHaveLength(1);
    // Alice's and Bob's legs, two endpoints each.
    expect(site.relay.endpoints.size).toBe(4);
    const bye = bob.send(bob.inDialog(bob.dialogFrom(tx.request), "BYE"));
    await site.pass(20);
    expect((await bye).status).toBe(200);
    expect(alice.received.at(-1)).toMatchObject({ method: "BYE" });
    expect(site.relay.endpoints.size).toBe(0);
    expect(header(invite, "Call-ID")).toBe(header(tx.request, "Call-ID"));
  });
});

describe("the dispatcher", () => {
  test("an emergency call is seen before registration, limits and mode", async () => {
    const site = await memorySite();
    const stranger = await site.phone("nobody", "10.20.0.99");
    // The flood is bytes alone, for what the box answers by itself.
    const flood = site.network.transport();
    await flood.listen({ protocol: "udp", address: stranger.address, port: 5070 });
    const ends = { address: BOX, port: 5060, local_address: stranger.address, local_port: 5070 } as const;
    const flow = flood.flowTo({ protocol: "udp", ...ends });
    for (let i = 0; i < 5_100; i++) {
      flood.send(
        flow,
        Buffer.from(
          `OPTIONS sip:${BOX} SIP/2.0\r\nVia: SIP/2.0/UDP ${stranger.address}:5070;branch=z9hG4bK${i}\r\n` +
            `From: <sip:a@b>;tag=1\r\nTo: <sip:${BOX}>\r\nCall-ID: ${i}\r\nCSeq: 1 OPTIONS\r\n\r\n`,
        ),
      );
    }
    // In the same instant: a moment later the limit would let a few requests through again.
    for (const to of ["911", "9911", "tel:911", "urn:service:sos", "sip:%39%31%31@anywhere.example"]) {
      void stranger.send(stranger.inviteRequest(to));
    }
    await site.pass(20);
    expect(site.parts.counters.all().limited_lan).toBeGreaterThan(0);
    expect(site.calls.taken).toHaveLength(5);
    for (const mode of ["survivable", "forced", "recovering"] as const) {
      site.setMode(mode);
      void stranger.send(stranger.inviteRequest("911"));
      await site.pass(5);
    }
    expect(site.calls.taken).toHaveLength(8);
    expect(site.calls.taken.every((taken) => taken.startsWith("emergency "))).toBe(true);
  });

  test.each([
    ["a tag in the quotes of another parameter of To", "To", '<sip:911@pbx.example>;x="a;tag=b"'],
    ["a Max-Forwards beyond its range", "Max-Forwards", "300"],
    ["a Max-Forwards of zero", "Max-Forwards", "0"],
    ["a Max-Forwards that is no number", "Max-Forwards", ""],
  ])("an emergency call is seen behind %s", async (_, name, value) => {
    const site = await memorySite();
    const phone = await site.phone("101", "10.20.0.101");
    const invite = phone.inviteRequest("911");
    setHeader(invite, name, value);
    void phone.send(invite);
    await site.pass(20);
    expect(site.calls.taken).toHaveLength(1);
  });

  test("who is neither in a LAN of the box nor a trunk gets no answer", async () => {
    const site = await memorySite();
    const outsider = await site.phone("101", "192.0.2.66");
    void outsider.send(outsider.inviteRequest("911")).catch(() => {});
    await site.pass(5_000);
    expect(outsider.received).toEqual([]);
    expect(site.calls.taken).toEqual([]);
    expect(site.parts.counters.all().dropped_strangers).toBeGreaterThan(0);
  });

  test("OPTIONS to the box is answered by it, to others by the cloud", async () => {
    const site = await memorySite();
    const phone = await site.phone("101", "10.20.0.101");
    const ask = async (uri: string) => {
      const request = { ...phone.inviteRequest(uri, ""), method: "OPTIONS" };
      setHeader(request, "CSeq", "1 OPTIONS");
      const answer = phone.send(request);
      await site.pass(20);
      return answer;
    };
    expect(header(await ask(`sip:${BOX}`), "Allow")).toContain("INVITE");
    expect(site.pbx.received("OPTIONS")).toHaveLength(0);
    expect((await ask("sip:pbx.example")).status).toBe(200);
    expect(site.pbx.received("OPTIONS")).toHaveLength(1);
  });

  test("a method that the box does not know is 501 for the box, one that it knows elsewhere only 405", async () => {
    const site = await memorySite();
    const phone = await site.phone("101", "10.20.0.101");
    const ask = async (method: string) => {
      const request = { ...phone.inviteRequest(`sip:${BOX}`, ""), method };
      setHeader(request, "CSeq", `1 ${method}`);
      const answer = phone.send(request);
      await site.pass(20);
      return answer;
    };
    expect((await ask("JUMP")).status).toBe(501);
    const message = await ask("MESSAGE");
    expect(message.status).toBe(405);
    expect(headerList(message, "Allow")).toContain("OPTIONS");
    expect(headerList(message, "Allow")).not.toContain("MESSAGE");
  });

  test("what the cloud sends to nobody's token is ours to take as an inbound call", async () => {
    const site = await memorySite();
    const invite = (await site.phone("101", "10.20.0.101")).inviteRequest("+13035550100");
    void site.pbx.sendRaw(invite, BOX, 5062);
    await site.pass(20);
    expect(site.calls.taken).toEqual(["inbound cloud sip:+13035550100@pbx.example"]);
  });

  test("what arrives before calls are resumed is handled after", async () => {
    const site = await memorySite({ open: false });
    const phone = await site.phone("101", "10.20.0.101");
    void phone.send(phone.inviteRequest("911"));
    await site.pass(20);
    expect(site.calls.taken).toEqual([]);
    site.parts.core.open();
    expect(site.calls.taken).toHaveLength(1);
  });

  test("while the site file may still come a phone's REGISTER and 911 call are left for their repetition", async () => {
    let waiting = true;
    const site = await memorySite({ unconfigured: { waits: () => waiting } });
    const phone = await site.phone("101", "10.20.0.101");
    void phone.send(phone.registerRequest());
    await site.pass(10);
    expect(site.learned).toEqual([]);
    void phone.send(phone.inviteRequest("911"));
    await site.pass(1600);
    expect(site.learned).toEqual(["pbx.example"]);
    expect(site.calls.taken).toEqual([]);
    // Not even a 100, after which nothing would be repeated.
    expect(phone.received).toEqual([]);
    waiting = false;
    await site.pass(2100);
    expect(site.calls.taken).toHaveLength(1);
    expect(site.parts.counters.all()).toMatchObject({ registers: 1, emergency_calls: 1 });
  });

  test("over a connection nothing is repeated: a phone's request is put aside until the site file comes", async () => {
    const site = await memorySite({ unconfigured: { waits: () => true } });
    const phone = await site.phone("101", "10.20.0.101");
    const transport = site.network.transport();
    const flow = transport.flowTo({ protocol: "tcp", address: BOX, port: 5060, local_address: phone.address });
    const via = { name: "Via", value: `SIP/2.0/TCP ${phone.address};branch=z9hG4bK1` };
    for (const request of [phone.registerRequest({ headers: [via] }), phone.inviteRequest("911", "", [via])]) {
      transport.send(flow, request);
    }
    await site.pass(50);
    expect(site.held.map(({ method }) => method)).toEqual(["REGISTER", "INVITE"]);
    expect(site.learned).toEqual(["pbx.example"]);
    expect(site.calls.taken).toEqual([]);
  });

  test("without a site file and a cloud nobody is challenged in a made-up realm", async () => {
    const site = await memorySite({ unconfigured: { waits: () => false } });
    const phone = await site.phone("101", "10.20.0.101");
    site.learned.push("pbx.example");
    site.setTrunk("down");
    site.setMode("survivable");
    for (const request of [phone.registerRequest(), phone.inviteRequest("102")]) {
      const answer = phone.send(request);
      await site.pass(20);
      const { status, headers } = await answer;
      expect([status, headers.find(({ name }) => name === "Retry-After")?.value]).toEqual([503, undefined]);
      expect(headers.some(({ name }) => /authenticate/i.test(name))).toBe(false);
    }
  });

  test("without a site file the server that a phone names is learned once, and the repeated request is handled", async () => {
    const site = await memorySite({ unconfigured: { waits: () => false } });
    const phone = await site.phone("101", "10.20.0.101");
    void phone.send(phone.inviteRequest("911"));
    await site.pass(20);
    expect(site.learned).toEqual(["pbx.example"]);
    expect(site.calls.taken).toEqual([]);
    void phone.send(phone.inviteRequest("911"));
    void phone.send(phone.inviteRequest(`sip:911@${BOX}`));
    await site.pass(20);
    expect(site.calls.taken).toHaveLength(2);
    expect(site.learned).toEqual(["pbx.example"]);
  });
});
