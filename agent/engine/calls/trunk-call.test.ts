import { describe, expect, test } from "vitest";
import { header } from "../../sip/messages/headers.ts";
import { sdpOf } from "../../sip/messages/sdp.ts";
import { BOX_LAN, BOX_LTE, LTE, phoneSdp } from "./testing/site.ts";
import { createWorld } from "./testing/world.ts";

describe("the main number, outbound", () => {
  test("leaves over the trunk with the main number as caller, and is anchored", async () => {
    const world = await createWorld();
    world.register("ext-101", world.phone);
    const call = world.dial("7205550123");
    await world.advance(30);
    expect(call.final?.status).toBe(200);
    const { request } = world.lte.last;
    expect(request.uri).toBe(`sip:+17205550123@${LTE}`);
    expect(header(request, "From")).toContain(`<sip:+13035550100@${LTE}>`);
    expect(header(request, "P-Asserted-Identity")).toContain("+13035550100");
    expect(header(request, "Geolocation")).toBeUndefined();
    expect(sdpOf(request)).toContain(`c=IN IP4 ${BOX_LTE}`);
    expect(sdpOf(call.final ?? request)).toContain(`c=IN IP4 ${BOX_LAN}`);
    const [bye] = await Promise.all([call.send("BYE"), world.advance(20)]);
    expect(bye.status).toBe(200);
    expect(world.lte.last.bye).toBeDefined();
    expect(world.events.map(({ type }) => type)).toEqual(["call.started", "call.answered", "call.ended"]);
    expect(world.events_of("call.ended")).toMatchObject([{ trunk: "lte-trunk", path: "lte", ended_by: "caller" }]);
    await world.advance(70_000);
    expect(world.clock.pending).toBe(0);
    expect(world.relay.endpoints.size).toBe(0);
  });

  test("whose path dies, with no other: who is left is told that he is held, and no longer when it is back", async () => {
    const world = await createWorld();
    world.register("ext-101", world.phone);
    const call = world.dial("7205550123");
    await world.advance(30);
    world.verdict(world.ltePath, "down");
    await world.advance(1900);
    const played = () => world.relay.log.filter((line) => /^(?:play|stop)/.test(line));
    expect(played()).toEqual([]);
    await world.advance(200);
    expect(played()).toEqual([expect.stringMatching(/^play .*-caller-0 being-reconnected$/)]);
    world.verdict(world.ltePath, "up");
    await world.advance(20);
    expect(played().at(-1)).toMatch(/^stop .*-caller-0$/);
    // An engine that was killed while it was held does not leave him with that.
    await world.restart();
    const before = played().length;
    await world.advance(1_000);
    expect(played().slice(before)).toEqual([expect.stringMatching(/^stop .*-caller-0$/)]);
    const [bye] = await Promise.all([call.send("BYE"), world.advance(20)]);
    expect(bye.status).toBe(200);
  });

  test("what the box does not understand is refused; a PSAP's return call never is (RFC 7090)", async () => {
    const world = await createWorld();
    world.register("ext-101", world.phone);
    const require = { name: "Require", value: "unheard-of" };
    const plain = world.inbound(world.lte, "lte-trunk", "+13035550100", [require]);
    await world.advance(30);
    expect(plain.final?.status).toBe(420);
    expect(plain.final && header(plain.final, "Unsupported")).toBe("unheard-of");
    const psap = world.inbound(world.lte, "lte-trunk", "+13035550100", [
      require,
      { name: "Priority", value: "psap-callback" },
    ]);
    await world.advance(100);
    expect(psap.statuses).not.toContain(420);
    expect(psap.final?.status ?? 180).toBeLessThan(300);
  });

  test("a provisional that the trunk sends reliably gets its PRACK, once (RFC 3262 §4)", async () => {
    const world = await createWorld();
    const reliable = (rseq: number) => [
      { name: "Require", value: "100rel" },
      { name: "RSeq", value: String(rseq) },
    ];
    world.lte.script = (call) => {
      call.respond(180, { headers: reliable(77) });
      call.respond(180, { headers: reliable(77) });
    };
    const call = world.dial("7205550123");
    await world.advance(30);
    const pracks = () => world.lte.inDialog.filter(({ method }) => method === "PRACK");
    expect(pracks().map((prack) => header(prack, "RAck"))).toEqual(["77 1 INVITE"]);
    world.lte.last.respond(183, { headers: reliable(78) });
    await world.advance(30);
    expect(pracks().map((prack) => header(prack, "RAck"))).toEqual(["77 1 INVITE", "78 1 INVITE"]);
    world.lte.last.answer();
    await world.advance(30);
    expect(call.final?.status).toBe(200);
  });

  test("a busy callee is told as busy", async () => {
    const world = await createWorld();
    world.lte.script = (call) => void call.respond(486);
    const call = world.dial("7205550123");
    await world.advance(30);
    expect(call.final?.status).toBe(486);
    expect(world.calls.status()).toEqual([]);
  });

  test("a trunk's challenge is answered with the trunk's credentials; one that cannot be is not the phone's matter", async () => {
    const world = await createWorld({
      trunks: ({ lte }) => [
        { id: "lte-trunk", path: lte, remote: LTE, local_port: 5070, credentials: { username: "b", password: "p" } },
      ],
    });
    world.lte.script = (call) => {
      if (header(call.request, "Proxy-Authorization") !== undefined && world.lte.calls.length === 2) call.answer();
      else call.respond(407, { headers: [{ name: "Proxy-Authenticate", value: 'Digest realm="t", nonce="n"' }] });
    };
    const call = world.dial("7205550123");
    await world.advance(30);
    expect(call.final?.status).toBe(200);
    const second = world.dial("7205550124");
    await world.advance(30);
    expect(second.final?.status).toBe(403);
  });

  test("the caller gives up: the trunk gets CANCEL", async () => {
    const world = await createWorld();
    world.lte.script = (call) => call.ring();
    const call = world.dial("7205550123");
    await world.advance(30);
    expect(call.statuses).toEqual([100, 180]);
    call.tx?.cancel();
    await world.advance(30);
    expect(call.final?.status).toBe(487);
    expect(world.lte.last.cancelled).toBe(true);
  });

  test("a 911 on the same path takes its place without waiting for its BYE", async () => {
    const world = await createWorld({
      trunks: ({ lte }) => [{ id: "lte-trunk", path: lte, remote: LTE, local_port: 5070 }],
    });
    const call = world.dial("7205550123");
    await world.advance(30);
    expect(call.final?.status).toBe(200);
    const emergency = world.dial("911", { from: world.phone2 });
    await world.advance(30);
    expect(emergency.final?.status).toBe(200);
    expect(world.phone.inDialog.map(({ method }) => method)).toEqual(["BYE"]);
    expect(world.lte.calls[0]?.bye).toBeDefined();
    expect(world.events_of("call.ended")).toMatchObject([{ ended_by: "box", cause: "gave way to an emergency call" }]);
    expect(world.calls.status()).toHaveLength(1);
  });
});

describe("in a call", () => {
  test("hold and resume pass as re-INVITEs with the box's own addresses", async () => {
    const world = await createWorld();
    const call = world.dial("7205550123");
    await world.advance(30);
    const hold = phoneSdp().replace("a=sendrecv", "a=sendonly");
    const [held] = await Promise.all([
      call.send("INVITE", { body: hold, contentType: "application/sdp" }),
      world.advance(20),
    ]);
    expect(held.status).toBe(200);
    call.ackLast();
    await world.advance(20);
    const passed = world.lte.inDialog.at(-1);
    expect(passed?.method).toBe("INVITE");
    expect(passed === undefined ? undefined : sdpOf(passed)).toContain("a=sendonly");
    expect(passed === undefined ? undefined : sdpOf(passed)).toContain(`c=IN IP4 ${BOX_LTE}`);
    expect(sdpOf(held)).toContain(`c=IN IP4 ${BOX_LAN}`);
    // The far side may do the same afterwards.
    const [back] = await Promise.all([
      world.lte.last.send("INVITE", { body: phoneSdp(LTE), contentType: "application/sdp" }),
      world.advance(20),
    ]);
    expect(back.status).toBe(200);
    expect(world.phone.inDialog.at(-1)?.method).toBe("INVITE");
  });

  test("two re-INVITEs at once: 491", async () => {
    const world = await createWorld();
    const call = world.dial("7205550123");
    await world.advance(30);
    const sdp = { body: phoneSdp(), contentType: "application/sdp" };
    const [one, other] = await Promise.all([
      call.send("INVITE", sdp),
      world.lte.last.send("INVITE", { body: phoneSdp(LTE), contentType: "application/sdp" }),
      world.advance(30),
    ]);
    expect([one.status, other.status].sort()).toEqual([200, 491]);
  });

  test("INFO and UPDATE pass, OPTIONS is answered", async () => {
    const world = await createWorld();
    const call = world.dial("7205550123");
    await world.advance(30);
    const [info, update, options] = await Promise.all([
      call.send("INFO", { body: "Signal=5", contentType: "application/dtmf-relay" }),
      call.send("UPDATE"),
      call.send("OPTIONS"),
      world.advance(30),
    ]);
    expect([info.status, update.status, options.status]).toEqual([200, 200, 200]);
    expect(world.lte.inDialog.map(({ method }) => method)).toEqual(["INFO", "UPDATE"]);
    expect(Buffer.from(world.lte.inDialog[0]?.body ?? []).toString()).toBe("Signal=5");
  });

  test("a transfer to 911 is refused to either side, any other passes", async () => {
    const world = await createWorld();
    const call = world.dial("7205550123");
    await world.advance(30);
    const to = (uri: string) => ({ headers: [{ name: "Refer-To", value: `<${uri}>` }] });
    const [ours, theirs, other] = await Promise.all([
      call.send("REFER", to("sip:9911@box")),
      world.lte.last.send("REFER", to("urn:service:sos")),
      call.send("REFER", to("sip:7205550124@box")),
      world.advance(30),
    ]);
    expect([ours.status, theirs.status, other.status]).toEqual([403, 403, 200]);
    expect(world.phone.inDialog).toEqual([]);
    expect(world.lte.inDialog.map(({ method }) => method)).toEqual(["REFER"]);
  });

  test("a side that knows the call no more (481) has ended it; the other is hung up", async () => {
    for (const status of [481, 488, 500]) {
      const world = await createWorld();
      const call = world.dial("7205550123");
      await world.advance(30);
      world.lte.inDialogStatus = status;
      const [info] = await Promise.all([call.send("INFO"), world.advance(30)]);
      expect(info.status).toBe(status);
      expect(world.phone.inDialog.map(({ method }) => method)).toEqual(status === 481 ? ["BYE"] : []);
      expect(world.calls.status()).toHaveLength(status === 481 ? 0 : 1);
    }
  });

  test("a killed engine takes it up again", async () => {
    const world = await createWorld();
    const call = world.dial("7205550123");
    await world.advance(30);
    await world.restart();
    expect(world.calls.status()).toMatchObject([{ kind: "outbound", state: "answered", callee: "+17205550123" }]);
    world.lte.last.hangUp();
    await world.advance(30);
    expect(world.phone.inDialog.map(({ method }) => method)).toEqual(["BYE"]);
    expect(call.final?.status).toBe(200);
    expect(world.events_of("call.ended")).toMatchObject([{ ended_by: "callee" }]);
  });
});

describe("the main number, inbound", () => {
  test("rings the main group's phones at once; the first to answer has the call, the other stops ringing", async () => {
    const world = await createWorld();
    world.register("ext-101", world.phone);
    world.register("ext-102", world.phone2);
    world.phone.script = (call) => call.ring();
    world.phone2.script = async (call) => {
      call.ring();
      await world.advance(100);
      call.answer();
    };
    const call = world.inbound(world.lte, "lte-trunk", "+13035550100");
    await world.advance(200);
    expect(call.statuses).toEqual([100, 180, 200]);
    expect(world.phone.last.cancelled).toBe(true);
    expect(header(world.phone2.last.request, "From")).toContain("+17205550199");
    expect(sdpOf(world.phone2.last.request)).toContain(`c=IN IP4 ${BOX_LAN}`);
    expect(sdpOf(call.final ?? call.request)).toContain(`c=IN IP4 ${BOX_LTE}`);
    const [bye] = await Promise.all([call.send("BYE"), world.advance(20)]);
    expect(bye.status).toBe(200);
    expect(world.phone2.last.bye).toBeDefined();
  });

  test("two phones answer in one millisecond: the second is released", async () => {
    const world = await createWorld();
    world.register("ext-101", world.phone);
    world.register("ext-102", world.phone2);
    const call = world.inbound(world.lte, "lte-trunk", "+13035550100");
    await world.advance(50);
    expect(call.final?.status).toBe(200);
    expect([world.phone.last.bye, world.phone2.last.bye].filter((bye) => bye !== undefined)).toHaveLength(1);
  });

  test("a DID rings its extension alone", async () => {
    const world = await createWorld();
    world.register("ext-101", world.phone);
    world.register("ext-102", world.phone2);
    world.inbound(world.lte, "lte-trunk", "+13035550102");
    await world.advance(30);
    expect(world.phone.calls).toHaveLength(0);
    expect(world.phone2.calls).toHaveLength(1);
  });

  test("a phone that cannot be reached any more does not keep the others from ringing", async () => {
    const world = await createWorld();
    world.register("ext-101", world.phone);
    world.register("ext-102", world.phone2);
    const [first] = world.bindings.splice(0, 1);
    if (first !== undefined) world.bindings.unshift({ ...first, local_address: "10.99.0.1" });
    const call = world.inbound(world.lte, "lte-trunk", "+13035550100");
    await world.advance(30);
    expect(call.final?.status).toBe(200);
    expect(world.phone2.calls).toHaveLength(1);
  });

  test("nobody registered: 480", async () => {
    const world = await createWorld();
    const call = world.inbound(world.lte, "lte-trunk", "+13035550100");
    await world.advance(30);
    expect(call.final?.status).toBe(480);
  });

  test("a PSAP that calls back rings the phone that called 911 first, and the group when that does not answer", async () => {
    const world = await createWorld();
    world.register("ext-101", world.phone);
    world.register("ext-102", world.phone2);
    const emergency = world.dial("911", { from: world.phone2 });
    await world.advance(30);
    void emergency.send("BYE");
    await world.advance(30);
    world.phone.script = (call) => call.ring();
    world.phone2.script = (call) => call.ring();
    world.inbound(world.lte, "lte-trunk", "+13035550100");
    await world.advance(1000);
    expect(world.phone2.calls).toHaveLength(1);
    expect(world.phone.calls).toHaveLength(0);
    expect(world.events_of("emergency.callback")).toMatchObject([{ from: "+17205550199", extension: "ext-102" }]);
    await world.advance(15_000);
    expect(world.phone.calls).toHaveLength(1);
  });
});

describe("offline, what is closed", () => {
  test.each([
    ["01144207946000", 403],
    ["19005550123", 403],
    ["nobody", 404],
  ])("%s is refused with %i", async (number, status) => {
    const world = await createWorld();
    const call = world.dial(number);
    await world.advance(20);
    expect(call.final?.status).toBe(status);
  });
});
