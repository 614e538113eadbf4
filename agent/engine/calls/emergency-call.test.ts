import { describe, expect, test } from "vitest";
import { header } from "../../sip/messages/headers.ts";
import { parseMultipart, partHeader } from "../../sip/messages/multipart.ts";
import { sdpOf } from "../../sip/messages/sdp.ts";
import { BOX_LAN, BOX_LTE, DIRECT, LTE, phoneSdp } from "./testing/site.ts";
import { createWorld } from "./testing/world.ts";

const silent = () => {};

describe("a 911 call over the first route", () => {
  test("reaches the PSAP with location and the caller's number, is bridged, and ends with the caller", async () => {
    const world = await createWorld();
    world.register("ext-102", world.phone2);
    world.direct.script = async (call) => {
      call.ring();
      await world.advance(200);
      call.answer();
    };
    const call = world.dial("911", { from: world.phone2 });
    await world.advance(300);

    const { request } = world.direct.last;
    expect(request.uri).toBe(`sip:911@${DIRECT}`);
    expect(header(request, "From")).toMatch(/^"Room 2" <sip:\+13035550100@/);
    expect(header(request, "P-Asserted-Identity")).toBe(`<sip:+13035550100@${DIRECT}>`);
    expect(header(request, "Geolocation-Routing")).toBe("yes");
    const parts = parseMultipart(header(request, "Content-Type") ?? "", request.body);
    const pidf = parts.find((part) => partHeader(part, "Content-Type") === "application/pidf+xml");
    expect(`<cid:${partHeader(pidf ?? { headers: [], body: new Uint8Array() }, "Content-ID")?.slice(1, -1)}>`).toBe(
      header(request, "Geolocation"),
    );
    expect(Buffer.from(pidf?.body ?? []).toString()).toContain("<ca:ROOM>2</ca:ROOM>");

    expect(call.statuses).toEqual([100, 180, 200]);
    // Media is anchored: each side is told an address of the box on its own side.
    expect(sdpOf(request)).toContain(`c=IN IP4 ${BOX_LAN}`);
    expect(sdpOf(request)).not.toContain("m=audio 4000");
    expect(sdpOf(call.responses[2] ?? request)).toContain(`c=IN IP4 ${BOX_LAN}`);
    expect(world.relay.log.some((line) => line.startsWith("bridge "))).toBe(true);
    // The two may encrypt what they say by keys that they agree upon in the media (DTLS-SRTP).
    expect([...world.relay.endpoints.values()].map(({ opaque }) => opaque)).toEqual([true, true]);
    expect(world.direct.last.acked).toBeDefined();
    expect(world.lte.calls).toHaveLength(0);
    expect(world.calls.activeEmergency).toBe(true);
    expect(world.calls.status()).toMatchObject([
      { kind: "emergency", state: "answered", trunk: "direct", path: "wan" },
    ]);

    const bye = await Promise.all([call.send("BYE"), world.advance(20)]);
    expect(bye[0].status).toBe(200);
    expect(world.direct.last.bye).toBeDefined();
    expect(world.calls.activeEmergency).toBe(false);
    expect(world.events.map(({ type }) => type)).toEqual([
      "emergency.started",
      "emergency.attempt",
      "emergency.attempt",
      "emergency.answered",
      "emergency.attempt",
      "emergency.ended",
    ]);
    expect(world.events_of("emergency.ended")).toMatchObject([{ ended_by: "caller", location_trusted: true }]);
    expect(world.relay.endpoints.size).toBe(0);
    await world.advance(70_000);
    expect(world.clock.pending).toBe(0);
  });

  test("is ended by the PSAP's BYE", async () => {
    const world = await createWorld();
    const call = world.dial("911");
    await world.advance(50);
    world.direct.last.hangUp();
    await world.advance(20);
    expect(world.phone.inDialog.map(({ method }) => method)).toEqual(["BYE"]);
    expect(world.events_of("emergency.ended")).toMatchObject([{ ended_by: "psap" }]);
    expect(call.final?.status).toBe(200);
  });
});

describe("hedging", () => {
  test("a black hole: the INVITE is on LTE within the window, and the late answer of the first is released", async () => {
    const world = await createWorld();
    world.direct.script = silent;
    world.mute(world.direct, true);
    const start = world.clock.now();
    const call = world.dial("911");
    await world.advance(400);
    expect(world.lte.last.at_ms - start).toBeLessThanOrEqual(320);
    expect(sdpOf(world.lte.last.request)).toContain(`c=IN IP4 ${BOX_LTE}`);
    expect(call.final?.status).toBe(200);
    expect(world.direct.last.cancelled).toBe(false);

    world.mute(world.direct, false);
    world.direct.last.answer();
    await world.advance(50);
    expect(world.direct.last.acked).toBeDefined();
    expect(world.direct.last.bye).toBeDefined();
    expect(call.statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(world.events_of("emergency.attempt").map(({ trunk, outcome }) => `${trunk} ${outcome}`)).toEqual([
      "direct trying",
      "direct no_response",
      "lte-trunk trying",
      "lte-trunk answered",
      "direct late_answer_released",
    ]);
  });

  test("the other is cancelled on its first reply", async () => {
    const world = await createWorld();
    world.direct.script = silent;
    world.mute(world.direct, true);
    world.dial("911");
    await world.advance(400);
    world.mute(world.direct, false);
    world.direct.last.ring();
    await world.advance(20);
    expect(world.direct.last.cancelled).toBe(true);
    expect(world.events_of("emergency.attempt").at(-1)).toMatchObject({ trunk: "direct", outcome: "released" });
  });

  test("five INVITEs go out within the window over UDP", async () => {
    const world = await createWorld();
    world.direct.script = silent;
    world.mute(world.direct, true);
    let sent = 0;
    const start = world.clock.now();
    const seen: number[] = [];
    world.direct.transport.tap((direction, bytes) => {
      if (direction === "in" && Buffer.from(bytes.subarray(0, 6)).toString() === "INVITE") {
        sent++;
        seen.push(world.clock.now() - start);
      }
    });
    world.dial("911");
    await world.advance(310);
    expect(sent).toBe(5);
    expect(Math.max(...seen)).toBeLessThan(310);
  });

  test("a connection that breaks while the carrier rings: the next route at once, and CANCEL by a new connection", async () => {
    const world = await createWorld({
      trunks: ({ wan, lte }) => [
        { id: "direct", path: wan, remote: DIRECT, local_port: 0, protocol: "tcp" },
        { id: "lte-trunk", path: lte, remote: LTE, local_port: 5070 },
      ],
    });
    world.direct.script = (call) => call.ring();
    const call = world.dial("911");
    await world.advance(50);
    world.network.resetConnections(BOX_LAN, DIRECT);
    await world.advance(50);
    expect(call.final?.status).toBe(200);
    expect(world.lte.calls).toHaveLength(1);
    expect(world.direct.last.cancelled).toBe(true);
  });

  test("a send error moves on at once", async () => {
    const world = await createWorld();
    world.network.setPath(BOX_LAN, DIRECT, { cut: { error: "ENETUNREACH" } });
    const start = world.clock.now();
    const call = world.dial("911");
    await world.advance(20);
    expect(world.lte.last.at_ms - start).toBeLessThanOrEqual(10);
    expect(call.final?.status).toBe(200);
  });

  test("no address on the path: the next route at once", async () => {
    const world = await createWorld();
    world.trunk("direct").unreachable = true;
    const call = world.dial("911");
    await world.advance(20);
    expect(call.final?.status).toBe(200);
    expect(world.lte.calls).toHaveLength(1);
  });

  test("a trunk that is refused for a date in its certificate still takes 911 by its connection of last resort", async () => {
    const world = await createWorld();
    const direct = world.trunk("direct");
    direct.lastResort = direct.flow;
    direct.unreachable = true;
    world.lte.script = (call) => void call.respond(503);
    const call = world.dial("911");
    await world.advance(500);
    expect(world.direct.calls).toHaveLength(1);
    expect(call.final?.status).toBe(200);
  });

  test("a bad verdict hedges an attempt that rings, and both may still answer", async () => {
    const world = await createWorld();
    world.direct.script = (call) => call.ring();
    world.lte.script = (call) => call.ring();
    const call = world.dial("911");
    await world.advance(50);
    expect(world.lte.calls).toHaveLength(0);
    world.verdict(world.wan, "suspect");
    await world.advance(20);
    expect(world.lte.calls).toHaveLength(1);
    world.direct.last.answer();
    await world.advance(20);
    expect(call.final?.status).toBe(200);
    expect(world.lte.last.cancelled).toBe(true);
  });

  test("100 and then nothing: the ring deadline of the profile", async () => {
    const world = await createWorld();
    world.direct.script = (call) => void call.respond(100);
    world.dial("911");
    await world.advance(9900);
    expect(world.lte.calls).toHaveLength(0);
    await world.advance(200);
    expect(world.lte.calls).toHaveLength(1);
  });

  test("183 and then silence is not waited for beyond the deadline; with sound it is", async () => {
    for (const [sound, attempts] of [
      [false, 1],
      [true, 0],
    ] as const) {
      const world = await createWorld();
      if (!sound) world.relay.silent.add("*");
      world.direct.script = (call) => call.early();
      world.dial("911");
      await world.advance(11_000);
      expect(world.lte.calls).toHaveLength(attempts);
    }
  });

  test("a down path is skipped, and tried last when nothing else answers", async () => {
    const world = await createWorld();
    world.wan.state = "down";
    world.lte.script = (call) => void call.respond(503);
    const call = world.dial("911");
    await world.advance(50);
    expect(world.lte.calls[0]?.at_ms).toBeLessThan(world.direct.calls[0]?.at_ms ?? 0);
    expect(call.final?.status).toBe(200);
  });
});

describe("a scarce path", () => {
  test("is cleared of forwarded calls too, before the INVITE leaves; a test call clears nothing", async () => {
    const world = await createWorld();
    world.wan.state = "down";
    world.dial("933");
    await world.advance(20);
    expect(world.gaveWay).toEqual([]);
    const before = world.lte.calls.length;
    world.dial("911", { from: world.phone2 });
    await world.advance(20);
    expect(world.gaveWay).toEqual([{ path: "lte", invites: before }]);
    expect(world.lte.calls.length).toBe(before + 1);
  });
});

describe("what carriers answer", () => {
  test.each([486, 603, 500, 503, 404, 302])("%i advances the plan", async (status) => {
    const world = await createWorld();
    world.direct.script = (call) => void call.respond(status);
    const call = world.dial("911");
    await world.advance(50);
    expect(call.statuses).toEqual([100, 200]);
    expect(world.lte.calls).toHaveLength(1);
  });

  test("424 is tried again without location on the same route", async () => {
    const world = await createWorld();
    world.direct.script = (call) => {
      if (header(call.request, "Geolocation") !== undefined) call.respond(424);
      else call.answer();
    };
    const call = world.dial("911");
    await world.advance(50);
    expect(call.final?.status).toBe(200);
    expect(world.direct.calls).toHaveLength(2);
    expect(world.lte.calls).toHaveLength(0);
    expect(header(world.direct.last.request, "Content-Type")).toBe("application/sdp");
  });

  test("401 is answered with the trunk's credentials, on the same Call-ID with the next CSeq", async () => {
    const world = await createWorld({
      trunks: ({ wan, lte }) => [
        { id: "direct", path: wan, remote: DIRECT, local_port: 5072, credentials: { username: "box", password: "pw" } },
        { id: "lte-trunk", path: lte, remote: LTE, local_port: 5070 },
      ],
    });
    world.direct.script = (call) => {
      if (header(call.request, "Authorization") === undefined) {
        call.respond(401, {
          headers: [{ name: "WWW-Authenticate", value: 'Digest realm="carrier", nonce="n1", qop="auth"' }],
        });
      } else call.answer();
    };
    const call = world.dial("911");
    await world.advance(50);
    expect(call.final?.status).toBe(200);
    const [first, second] = world.direct.calls;
    expect(header(second?.request ?? first?.request ?? call.request, "Call-ID")).toBe(
      header(first?.request ?? call.request, "Call-ID"),
    );
    expect(header(second?.request ?? call.request, "CSeq")).toBe("2 INVITE");
    expect(header(second?.acked ?? call.request, "Authorization")).toBeDefined();
  });

  test("a PBX's 407 is answered with the phone's provisioned HA1", async () => {
    const world = await createWorld({
      trunks: ({ wan }) => [{ id: "cloud", kind: "pbx", path: wan, remote: "10.40.0.10", local_port: 5062 }],
    });
    world.register("ext-101", world.phone);
    world.pbx.script = (call) => {
      if (header(call.request, "Proxy-Authorization") === undefined) {
        call.respond(407, {
          headers: [{ name: "Proxy-Authenticate", value: 'Digest realm="pbx.example", nonce="n1"' }],
        });
      } else call.answer();
    };
    const call = world.dial("911");
    await world.advance(50);
    expect(call.final?.status).toBe(200);
    expect(header(world.pbx.last.request, "Proxy-Authorization")).toContain('username="101"');
    expect(header(world.pbx.last.request, "From")).toContain("<sip:101@pbx.example>");
  });

  test("a PBX's 407 that only the phone can answer is relayed when nothing else lives, and the call goes on", async () => {
    const world = await createWorld({
      config: { extensions: [] },
      trunks: ({ wan }) => [{ id: "cloud", kind: "pbx", path: wan, remote: "10.40.0.10", local_port: 5062 }],
    });
    world.pbx.script = (call) => {
      if (header(call.request, "Proxy-Authorization") === undefined) {
        call.respond(407, { headers: [{ name: "Proxy-Authenticate", value: 'Digest realm="other", nonce="n1"' }] });
      } else call.answer();
    };
    const call = world.dial("911");
    await world.advance(50);
    expect(call.final?.status).toBe(407);
    expect(header(call.final ?? call.request, "Proxy-Authenticate")).toContain("other");

    const again = world.dial("911", { headers: [{ name: "Proxy-Authorization", value: 'Digest username="x"' }] });
    await world.advance(50);
    expect(again.final?.status).toBe(200);
    expect(world.events_of("emergency.started")).toHaveLength(2);
  });

  test("a challenge never stops the call while another route is left", async () => {
    const world = await createWorld({
      trunks: ({ wan, lte }) => [
        { id: "cloud", kind: "pbx", path: wan, remote: "10.40.0.10", local_port: 5062 },
        { id: "lte-trunk", path: lte, remote: LTE, local_port: 5070 },
      ],
    });
    world.pbx.script = (call) =>
      void call.respond(407, { headers: [{ name: "Proxy-Authenticate", value: 'Digest realm="other", nonce="n1"' }] });
    const call = world.dial("911");
    await world.advance(50);
    expect(call.statuses).toEqual([100, 200]);
    expect(world.lte.calls).toHaveLength(1);
  });

  test("every route refuses: all are tried again, and only then the caller is told", async () => {
    const world = await createWorld();
    world.direct.script = (call) => void call.respond(503);
    world.lte.script = (call) => void call.respond(486);
    const call = world.dial("911");
    await world.advance(500);
    expect(call.final).toBeUndefined();
    await world.advance(4000);
    expect(call.final?.status).toBe(480);
    expect(world.direct.calls).toHaveLength(3);
    expect(world.lte.calls).toHaveLength(3);
    expect(world.events_of("emergency.ended")).toMatchObject([{ ended_by: "box" }]);
  });

  test("no route at all is said at once", async () => {
    const world = await createWorld({ trunks: () => [] });
    const call = world.dial("911");
    await world.advance(10);
    expect(call.final?.status).toBe(503);
    expect(world.calls.status()).toEqual([]);
  });

  test("a repeated 200 gets its ACK again, and the caller hears nothing of it", async () => {
    const world = await createWorld();
    const call = world.dial("911");
    await world.advance(50);
    world.direct.last.answer();
    world.direct.last.answer();
    await world.advance(20);
    expect(world.direct.last.acks).toBe(3);
    expect(call.statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(world.direct.last.bye).toBeUndefined();
  });

  test("two answers in one millisecond: one is bridged, the other released", async () => {
    const world = await createWorld();
    world.direct.script = silent;
    world.lte.script = silent;
    world.mute(world.direct, true);
    const call = world.dial("911");
    await world.advance(400);
    world.mute(world.direct, false);
    world.direct.last.answer();
    world.lte.last.answer();
    await world.advance(50);
    const byes = [world.direct.last.bye, world.lte.last.bye].filter((bye) => bye !== undefined);
    expect(byes).toHaveLength(1);
    expect(world.direct.last.acked).toBeDefined();
    expect(world.lte.last.acked).toBeDefined();
    expect(call.statuses.filter((status) => status === 200)).toHaveLength(1);
  });

  test("forked answers of one attempt: the second is released", async () => {
    const world = await createWorld();
    world.direct.script = (call) => {
      call.answer("fork-a");
      call.answer("fork-b");
    };
    const call = world.dial("911");
    await world.advance(50);
    expect(world.direct.inDialog.map(({ method }) => method)).toEqual(["BYE"]);
    expect(header(world.direct.inDialog[0] ?? call.request, "To")).toContain("fork-b");
    expect(world.calls.activeEmergency).toBe(true);
  });
});

describe("the callback window", () => {
  test("opens with the first attempt, for PSAPs call back who was cut off before the answer", async () => {
    const world = await createWorld();
    world.register("ext-102", world.phone2);
    world.direct.script = (call) => call.ring();
    const call = world.dial("911", { from: world.phone2 });
    await world.advance(30);
    call.tx?.cancel();
    await world.advance(30);
    expect(world.calls.callbacks()).toMatchObject([{ extension: "ext-102", presented_number: "+13035550100" }]);
    const until = world.calls.callbackUntil_wall ?? 0;
    expect(until - world.clock.wall()).toBeGreaterThan(59 * 60_000);
    world.clock.advance(61 * 60_000);
    expect(world.calls.callbackUntil_wall).toBeUndefined();
  });

  test("a test call opens none", async () => {
    const world = await createWorld();
    world.dial("933");
    await world.advance(30);
    expect(world.calls.activeEmergency).toBe(false);
    expect(world.calls.callbackUntil_wall).toBeUndefined();
    expect(world.events.map(({ type }) => type)).toEqual(["call.started", "call.answered"]);
  });
});

describe("in a drill", () => {
  test("the test number goes as if the WAN were dead", async () => {
    const world = await createWorld();
    world.mode = "forced";
    const call = world.dial("933");
    await world.advance(50);
    expect(call.statuses.at(-1)).toBe(200);
    expect([world.direct.calls.length, world.lte.calls.length]).toEqual([0, 1]);
  });

  test("a real 911 call takes the best path", async () => {
    const world = await createWorld();
    world.mode = "forced";
    world.dial("911");
    await world.advance(50);
    expect([world.direct.calls.length, world.lte.calls.length]).toEqual([1, 0]);
  });
});

describe("the caller", () => {
  test("hangs up before the answer: every attempt is cancelled, and a late 200 gets ACK and BYE", async () => {
    const world = await createWorld();
    world.direct.script = (call) => call.ring();
    world.direct.ignoresCancel = true;
    const call = world.dial("911");
    await world.advance(50);
    call.tx?.cancel();
    await world.advance(20);
    expect(call.final?.status).toBe(487);
    world.direct.last.answer();
    await world.advance(20);
    expect(world.direct.last.bye).toBeDefined();
    expect(world.events_of("emergency.ended")).toMatchObject([{ ended_by: "caller", cause: "cancelled" }]);
  });

  test("an INVITE that reaches the box twice on different ways is one call", async () => {
    const world = await createWorld();
    const call = world.dial("911");
    const flow = call.tx?.flow;
    if (flow === undefined) throw new Error("no flow");
    const [answer] = await Promise.all([world.phone.request(call.request, flow), world.advance(30)]);
    expect(answer.status).toBe(482);
    expect(world.direct.calls).toHaveLength(1);
  });

  test("an INVITE without an offer gets the PSAP's, and the answer goes back in the ACK", async () => {
    const world = await createWorld();
    const call = world.dial("911", { sdp: "" });
    call.answersWith = phoneSdp();
    await world.advance(50);
    expect(sdpOf(call.final ?? call.request)).toContain(`c=IN IP4 ${BOX_LAN}`);
    const ack = world.direct.last.acked;
    expect(ack === undefined ? undefined : sdpOf(ack)).toContain(`c=IN IP4 ${BOX_LAN}`);
  });

  test("wants reliable provisionals: it gets them from the box, whatever the trunk does", async () => {
    const world = await createWorld();
    world.direct.script = (call) => call.ring();
    const call = world.dial("911", { headers: [{ name: "Require", value: "100rel" }] });
    await world.advance(20);
    const ringing = call.responses.find(({ status }) => status === 180);
    expect(header(ringing ?? call.request, "RSeq")).toBe("1");
    world.direct.last.answer();
    await world.advance(20);
    expect(call.final?.status).toBe(200);
  });

  test("with early media hears one answer, even when another attempt with another codec takes the call", async () => {
    const world = await createWorld();
    world.direct.script = (call) => call.early();
    world.lte.script = (call) => call.answer(call.tag, "8 101");
    const call = world.dial("911");
    await world.advance(50);
    expect(call.statuses).toEqual([100, 183]);
    world.verdict(world.wan, "down");
    await world.advance(50);
    const [, early, final] = call.responses;
    expect(sdpOf(final ?? call.request)).toBe(sdpOf(early ?? call.request));
    // The caller is then asked in a re-INVITE to speak what the answered leg speaks.
    const reinvite = world.phone.inDialog.find(({ method }) => method === "INVITE");
    expect(sdpOf(reinvite ?? call.request)).toContain("RTP/AVP 8 101");
  });
});

describe("media", () => {
  test("relay away: the phone's description passes untouched, and the call does not wait", async () => {
    const world = await createWorld();
    world.relay.connected = false;
    const call = world.dial("911");
    await world.advance(10);
    expect(sdpOf(world.direct.last.request)).toBe(phoneSdp());
    expect(sdpOf(call.final ?? call.request)).toContain(`c=IN IP4 ${DIRECT}`);
    expect(world.alarms.active().map(({ code }) => code)).toContain("media.down");
  });

  test("relay hangs: the INVITE waits 150 ms, no longer", async () => {
    const world = await createWorld();
    world.relay.hangs = true;
    const start = world.clock.now();
    world.dial("911");
    await world.advance(200);
    expect(world.direct.last.at_ms - start).toBeLessThanOrEqual(155);
  });

  test("the caller gives up while ports are waited for: no INVITE leaves, and nothing is left behind", async () => {
    const world = await createWorld();
    world.relay.hangs = true;
    const call = world.dial("911");
    await world.advance(50);
    call.tx?.cancel();
    await world.advance(300);
    expect(call.final?.status).toBe(487);
    expect(world.direct.calls).toHaveLength(0);
    await world.advance(70_000);
    expect(world.clock.pending).toBe(0);
  });
});

describe("over TCP", () => {
  const overTcp = () =>
    createWorld({
      trunks: ({ wan, lte }) => [
        { id: "direct", path: wan, remote: DIRECT, local_port: 0, protocol: "tcp" },
        { id: "lte-trunk", path: lte, remote: LTE, local_port: 5070 },
      ],
    });

  test("a connection that breaks before any answer moves the call on at once", async () => {
    const world = await overTcp();
    world.direct.script = silent;
    const call = world.dial("911");
    await world.advance(30);
    expect(world.direct.calls).toHaveLength(1);
    world.network.resetConnections(BOX_LAN, DIRECT);
    await world.advance(20);
    expect(world.lte.calls).toHaveLength(1);
    expect(call.final?.status).toBe(200);
  });

  test("a connection that is refused moves the call on at once", async () => {
    const world = await overTcp();
    await world.direct.transport.shutdown();
    const call = world.dial("911");
    await world.advance(20);
    expect(call.final?.status).toBe(200);
    expect(world.lte.calls).toHaveLength(1);
  });

  test("silence is hedged after RTT + 500 ms, and as soon as the probes find the path suspect", async () => {
    for (const suspected of [false, true]) {
      const world = await overTcp();
      world.direct.script = silent;
      world.mute(world.direct, true);
      const start = world.clock.now();
      world.dial("911");
      await world.advance(250);
      expect(world.wan.suspicions).toBe(1);
      if (suspected) world.verdict(world.wan, "suspect");
      await world.advance(300);
      expect(world.lte.last.at_ms - start).toBeLessThanOrEqual(suspected ? 260 : 520);
      if (!suspected) expect(world.lte.last.at_ms - start).toBeGreaterThan(500);
    }
  });
});

describe("the path of an answered call goes bad", () => {
  test("no sound any more: the caller hears to dial again within 5 s, and the redial leaves the path out", async () => {
    const world = await createWorld();
    const call = world.dial("911");
    await world.advance(50);
    world.relay.silent.add("*");
    world.verdict(world.wan, "down");
    await world.advance(5000);
    expect(world.relay.log.filter((line) => line.includes("dial-again"))).toHaveLength(1);
    expect(world.events_of("emergency.attempt").at(-1)).toMatchObject({ outcome: "path_lost", path: "wan" });
    // The box does not hang up.
    expect(world.calls.activeEmergency).toBe(true);
    world.verdict(world.wan, "up");
    void call.send("BYE");
    await world.advance(50);
    const direct = world.direct.calls.length;
    world.dial("911");
    await world.advance(50);
    expect(world.lte.calls).toHaveLength(1);
    expect(world.direct.calls).toHaveLength(direct);
  });

  test("sound goes on: nothing is said", async () => {
    const world = await createWorld();
    world.dial("911");
    await world.advance(50);
    world.verdict(world.wan, "suspect");
    await world.advance(8000);
    expect(world.relay.log.filter((line) => line.includes("dial-again"))).toHaveLength(0);
  });
});

test("an engine that ends leaves its calls alone: no attempt is started, nobody is told", async () => {
  const world = await createWorld();
  world.direct.script = silent;
  const call = world.dial("911");
  await world.advance(20);
  world.calls.close();
  const told = world.events.length;
  await world.advance(20_000);
  expect(world.lte.calls).toHaveLength(0);
  expect(world.events).toHaveLength(told);
  expect(call.statuses).toEqual([100]);
});

describe("an engine that was killed in an answered call", () => {
  test("takes it up again: BYE works from either side", async () => {
    for (const side of ["caller", "psap"] as const) {
      const world = await createWorld();
      world.register("ext-101", world.phone);
      const call = world.dial("911");
      await world.advance(100);
      expect(call.final?.status).toBe(200);
      await world.restart();
      expect(world.calls.status()).toMatchObject([{ kind: "emergency", state: "answered", trunk: "direct" }]);
      expect(world.calls.callbackUntil_wall).toBeGreaterThan(world.clock.wall());
      expect(world.relay.endpoints.size).toBe(2);
      if (side === "caller") {
        const [bye] = await Promise.all([call.send("BYE"), world.advance(30)]);
        expect(bye.status).toBe(200);
        expect(world.direct.last.bye).toBeDefined();
      } else {
        world.direct.last.hangUp();
        await world.advance(30);
        expect(world.phone.inDialog.map(({ method }) => method)).toContain("BYE");
      }
      expect(world.calls.status()).toEqual([]);
      await world.restart();
      expect(world.calls.status()).toEqual([]);
    }
  });

  test("takes one anew that was not answered: the caller is answered, and once", async () => {
    const world = await createWorld();
    world.direct.script = (call) => call.ring();
    const call = world.dial("911");
    await world.advance(50);
    expect(call.statuses).toEqual([100, 180]);
    world.direct.script = (second) => second.answer();
    await world.restart();
    await world.advance(500);
    expect(call.final?.status).toBe(200);
    expect(world.calls.status()).toMatchObject([{ kind: "emergency", state: "answered" }]);
    const [bye] = await Promise.all([call.send("BYE"), world.advance(30)]);
    expect(bye.status).toBe(200);
    await world.restart();
    await world.advance(500);
    expect(world.calls.status()).toEqual([]);
  });

  test("takes none anew twice, and none that is older than people wait", async () => {
    for (const [pause_ms, calls] of [
      [50, [1, 0]],
      [31_000, [0, 0]],
    ] as const) {
      const world = await createWorld();
      world.direct.script = (call) => call.ring();
      world.dial("911");
      await world.advance(pause_ms);
      const seen: number[] = [];
      for (const _ of calls) {
        await world.restart();
        await world.advance(50);
        seen.push(world.calls.status().length);
      }
      expect(seen).toEqual(calls);
    }
  });

  test("closes the ports of calls that were not answered, and of no other call", async () => {
    const world = await createWorld();
    world.direct.script = (call) => call.ring();
    world.dial("911");
    await world.advance(50);
    // The caller's, the attempt's, and those of the route that would come next.
    const before = [...world.relay.endpoints.keys()];
    expect(before).toHaveLength(3);
    await world.relay.open({ id: "other", call_id: "0123456789abcdefghjk", local_address: BOX_LAN, emergency: false });
    await world.restart();
    await world.restart();
    await world.advance(10);
    expect([...world.relay.endpoints.keys()]).toEqual(["other"]);
    world.direct.script = (call) => call.answer();
    world.dial("911", { from: world.phone2 });
    await world.advance(2000);
    expect(world.relay.endpoints.size).toBe(3);
  });
});

describe("legs that an engine which died left ringing", () => {
  test("are cancelled when the call that was taken anew rings, and recorded", async () => {
    const world = await createWorld();
    world.direct.script = (call) => call.ring();
    const call = world.dial("911");
    await world.advance(20);
    const old = world.direct.last;
    world.direct.script = async (again) => {
      await world.advance(300);
      again.ring();
    };
    await world.restart();
    await world.advance(200);
    // Nobody is rung for the caller in its place yet.
    expect([world.direct.calls.length, old.cancelled]).toEqual([2, false]);
    await world.advance(200);
    expect(old.cancelled).toBe(true);
    expect(world.direct.last.cancelled).toBe(false);
    expect(world.events_of("emergency.attempt").at(-1)).toMatchObject({ outcome: "released", sip_status: 487 });
    // Whoever saw the first call begin has seen it end.
    expect(world.events_of("emergency.started")).toHaveLength(2);
    expect(world.events_of("emergency.ended")).toMatchObject([{ ended_by: "box", dialled: "911" }]);
    world.direct.last.answer();
    await world.advance(20);
    expect(call.final?.status).toBe(200);
    // Nothing of it is left for the next engine.
    await world.restart();
    await world.advance(50);
    expect(world.direct.calls).toHaveLength(2);
    expect(world.direct.last.bye).toBeUndefined();
  });

  test("are cancelled after a while when the call that was taken anew rings nowhere", async () => {
    const world = await createWorld();
    world.direct.script = (call) => call.ring();
    world.dial("911");
    await world.advance(20);
    const old = world.direct.last;
    world.direct.script = (again) => void again.respond(100);
    await world.restart();
    await world.advance(2100);
    expect(old.cancelled).toBe(true);
  });

  test("are released when they answer", async () => {
    const world = await createWorld();
    world.direct.script = (call) => call.ring();
    const call = world.dial("911");
    await world.advance(20);
    const old = world.direct.last;
    world.direct.script = (again) => again.ring();
    world.direct.ignoresCancel = true;
    await world.restart();
    await world.advance(10);
    old.answer();
    await world.advance(20);
    expect([old.acks > 0, old.bye !== undefined]).toEqual([true, true]);
    expect(call.final).toBeUndefined();
    expect(world.events_of("emergency.attempt").some(({ outcome }) => outcome === "late_answer_released")).toBe(true);
  });

  test("that had not said a word get the INVITE once more, and CANCEL on their first word", async () => {
    const world = await createWorld();
    world.direct.script = silent;
    world.mute(world.direct, true);
    world.lte.script = (call) => call.ring();
    world.dial("911");
    await world.advance(400);
    const old = world.direct.last;
    await world.restart();
    await world.advance(500);
    expect(old.cancelled).toBe(false);
    world.mute(world.direct, false);
    old.ring();
    await world.advance(20);
    expect(old.cancelled).toBe(true);
  });
});

describe("a caller who is gone before any response", () => {
  const invitesTo = (peer: { transport: { tap(seen: (direction: string, bytes: Uint8Array) => void): void } }) => {
    const seen = { count: 0 };
    peer.transport.tap((direction, bytes) => {
      if (direction === "in" && Buffer.from(bytes.subarray(0, 6)).toString() === "INVITE") seen.count++;
    });
    return seen;
  };

  test("leaves no INVITE that is still repeated, and a late word of it is cancelled all the same", async () => {
    const world = await createWorld({
      trunks: ({ wan }) => [{ id: "direct", path: wan, remote: DIRECT, local_port: 5072 }],
    });
    world.direct.script = silent;
    world.mute(world.direct, true);
    const invites = invitesTo(world.direct);
    const call = world.dial("911");
    await world.advance(1000);
    call.tx?.cancel();
    await world.advance(20);
    expect(call.final?.status).toBe(487);
    const sent = invites.count;
    await world.advance(15_000);
    expect(invites.count).toBe(sent);
    world.mute(world.direct, false);
    world.direct.last.ring();
    await world.advance(20);
    expect(world.direct.last.cancelled).toBe(true);
  });

  test("an INVITE beside an answered leg is repeated until the call is over, so that a leg that rings is found", async () => {
    const world = await createWorld();
    world.direct.script = silent;
    world.mute(world.direct, true);
    const invites = invitesTo(world.direct);
    const call = world.dial("911");
    await world.advance(400);
    expect(call.final?.status).toBe(200);
    const then = invites.count;
    await world.advance(3000);
    expect(invites.count).toBeGreaterThan(then);
    const [bye] = await Promise.all([call.send("BYE"), world.advance(20)]);
    expect(bye.status).toBe(200);
    const sent = invites.count;
    await world.advance(20_000);
    expect(invites.count).toBe(sent);
  });
});
