import { describe, expect, test } from "vitest";
import { ha1Of } from "../../../sip/auth/digest.ts";
import { buildResponse } from "../../../sip/messages/build.ts";
import { cseqOf, header, headerList } from "../../../sip/messages/headers.ts";
import type { SipRequest } from "../../../sip/messages/message.ts";
import { readSdp, sdpOf, withSdp } from "../../../sip/messages/sdp.ts";
import type { ServerTransaction } from "../../../sip/transactions/server-transaction.ts";
import { MemoryPhone, sdp } from "../../testing/memory-phone.ts";
import { BOX, BOX_LTE, DETOUR, memorySite, PBX, siteConfig } from "../../testing/memory-site.ts";

const FAR = "10.30.0.200";

/** 101 of this site and 200, which the cloud reaches elsewhere, talk through the cloud. */
async function talking(
  called: "far" | "phone" = "far",
  running_calls: "move" | "main_number" | "stay" = "move",
  says: { readonly offer?: (sdp: string) => string; readonly answer?: (sdp: string) => string } = {},
) {
  const config = siteConfig((change) => {
    change.failover.running_calls = running_calls;
    for (const extension of change.extensions)
      extension.ha1_md5 = ha1Of("MD5", extension.username, "pbx.example", "pw");
  });
  const site = await memorySite({ config });
  const alice = await site.phone("101", "10.20.0.101");
  const far = await MemoryPhone.start(site.network, site.clock, "200", FAR, PBX, "");
  site.pbx.contacts.set("200", [{ uri: far.contact, path: [], value: `<${far.contact}>` }]);
  void alice.register();
  await site.pass(20);
  const [caller, callee] = called === "far" ? [alice, far] : [far, alice];
  const { offer = (each) => each, answer: answered = (each) => each } = says;
  const invite = caller.inviteRequest(callee.user);
  const told = sdpOf(invite) ?? "";
  const answer = caller.send(withSdp(invite, offer(told)));
  await site.pass(20);
  const tx = waiting(callee);
  callee.respond(tx, 200, answered(sdp(callee.address, 40_000)));
  await site.pass(20);
  const ok = await answer;
  caller.ack(invite, ok);
  await site.pass(20);
  const [kept] = site.parts.dialogs.all();
  if (kept === undefined) throw new Error("the call is not kept");
  const dialogs = { caller: caller.dialogOf(invite, ok), callee: callee.dialogFrom(tx.request) };
  const ofAlice = called === "far" ? dialogs.caller : dialogs.callee;
  const ofFar = called === "far" ? dialogs.callee : dialogs.caller;
  const cut = async (lte: "up" | "down" = "up") => {
    site.network.setPaths(BOX, PBX, { cut: "black-hole" });
    site.setDetour(lte);
    site.setTrunk("down");
    await site.pass(20);
  };
  const heal = async () => {
    site.network.setPaths(BOX, PBX, {});
    site.network.setPaths(BOX, PBX, { cut: "none" });
    site.setTrunk("up");
    await site.pass(20);
  };
  return { site, alice, far, kept, ofAlice, ofFar, cut, heal, invite };
}

function waiting(phone: MemoryPhone): ServerTransaction {
  const tx = phone.pending.at(-1);
  if (tx === undefined) throw new Error(`${phone.user} was not asked`);
  return tx;
}

/** The route by which the callee's requests go back: as the INVITE was recorded when it reached the cloud, and by that. */
const oldRoute = (invite: SipRequest | undefined): readonly string[] => [
  `<sip:${PBX};lr>`,
  ...(invite === undefined ? [] : headerList(invite, "Record-Route")),
];

const lastOf = (phone: MemoryPhone, method: string): SipRequest | undefined =>
  phone.received.findLast((each): each is SipRequest => each.kind === "request" && each.method === method);

describe("a running call through the cloud whose WAN dies", () => {
  test.each(["far", "phone"] as const)("goes on over LTE, the %s having been called", async (called) => {
    const { site, alice, far, kept, ofAlice, cut } = await talking(called);
    await cut();
    const asked = waiting(far).request;
    const before = kept.out.sent ?? 0;
    expect(asked).toMatchObject({ method: "INVITE", uri: far.contact });
    expect(header(asked, "Call-ID")).toBe(kept.far.callId);
    expect(cseqOf(asked)?.seq).toBe(before + 1);
    expect(header(asked, "Contact")).toContain(`@${BOX_LTE}:5062`);
    const offer = readSdp(sdpOf(asked) ?? "");
    expect(offer.media[0]?.address).toBe(BOX_LTE);
    expect(offer.origin?.sessionVersion).toBe("2");
    far.respond(waiting(far), 200, sdp(FAR, 40_000));
    await site.pass(20);
    expect(cseqOf(far.acks.at(-1) ?? asked)?.seq).toBe(before + 1);
    expect(site.told).toContain(`moved ${DETOUR} by reinvite`);
    const [phoneEnd, trunkEnd] = site.relay.bridges.at(-1) ?? ["", ""];
    expect(site.relay.endpoints.get(trunkEnd)).toMatchObject({
      local_address: BOX_LTE,
      peer: { address: FAR, port: 40_000 },
    });
    expect(site.relay.endpoints.get(phoneEnd)?.local_address).toBe(BOX);
    // The old port on the WAN is given back, and the phone was asked nothing.
    expect(site.relay.endpoints.size).toBe(2);
    expect(lastOf(alice, "INVITE")).toBe(called === "phone" ? alice.pending[0]?.request : undefined);
    // Its BYE goes by LTE, numbered behind the box's own.
    const bye = alice.inDialog(ofAlice, "BYE");
    const answer = alice.send(bye);
    await site.pass(20);
    expect((await answer).status).toBe(200);
    expect(cseqOf(await answer)).toEqual(cseqOf(bye));
    expect(cseqOf(lastOf(far, "BYE") ?? bye)?.seq).toBeGreaterThan(before + 1);
    expect(site.relay.endpoints.size).toBe(0);
    expect(site.parts.dialogs.size).toBe(0);
  });

  test("is held and told where the PBX refuses, and resumed when the WAN is back", async () => {
    const { site, alice, far, ofAlice, cut, heal } = await talking();
    await cut();
    far.respond(waiting(far), 403);
    await site.pass(20);
    far.respond(waiting(far), 420);
    await site.pass(20);
    expect([...site.relay.playing]).toEqual([expect.stringContaining("-0-phone")]);
    expect(site.parts.permissions.all()).toMatchObject([
      { trunk: "cloud", rung: "reinvite", outcome: "refused", status: 403 },
      { trunk: "cloud", rung: "replaces", outcome: "refused", status: 420 },
    ]);
    await heal();
    expect(site.relay.playing.size).toBe(0);
    // The far end is asked whether it is still there, and where the phone is stays as it was; it is.
    expect(header(waiting(far).request, "Contact")).toBe(`<${alice.contact}>`);
    far.respond(waiting(far), 200, sdp(FAR, 40_000));
    await site.pass(20);
    const answer = alice.send(alice.inDialog(ofAlice, "BYE"));
    await site.pass(20);
    expect((await answer).status).toBe(200);
    expect(lastOf(far, "BYE")).toBeDefined();
  });

  test("gets a new dialog in the old one's place where only that is permitted; the phone never hears of it", async () => {
    const { site, alice, far, kept, ofAlice, cut, heal } = await talking();
    await cut();
    far.respond(waiting(far), 403);
    await site.pass(20);
    const { request } = waiting(far);
    expect(header(request, "Replaces")).toBe(`${kept.far.callId};to-tag=t200;from-tag=call1`);
    expect(header(request, "Require")).toBe("replaces");
    expect(header(request, "Call-ID")).not.toBe(kept.far.callId);
    const placed = far.dialogFrom(request);
    far.respond(waiting(far), 200, sdp(FAR, 40_002));
    await site.pass(20);
    expect(site.told).toContain(`moved ${DETOUR} by replaces`);
    expect(header(far.acks.at(-1) ?? request, "Call-ID")).toBe(placed.callId);
    expect(site.relay.endpoints.get(site.relay.bridges.at(-1)?.[1] ?? "")?.peer).toMatchObject({ port: 40_002 });
    // The far end ends the old dialog, by a path that is back: the call goes on.
    await heal();
    const old = far.send(
      far.inDialog(
        {
          ...placed,
          callId: kept.far.callId,
          local: `${kept.far.remote};tag=t200`,
          remote: `${kept.far.local};tag=call1`,
          target: alice.contact,
          route: oldRoute(site.pbx.received("INVITE")[0]),
        },
        "BYE",
      ),
    );
    await site.pass(20);
    expect((await old).status).toBe(200);
    expect(lastOf(alice, "BYE")).toBeUndefined();
    // What the phone asks in its dialog arrives in the new one, and the answer in its own.
    const info = alice.inDialog(ofAlice, "INFO");
    const answer = alice.send(info);
    await site.pass(20);
    const seen = lastOf(far, "INFO");
    expect(header(seen ?? request, "Call-ID")).toBe(placed.callId);
    expect(seen?.uri).toBe(far.contact);
    for (const name of ["Call-ID", "From", "To", "CSeq"]) expect(header(await answer, name)).toBe(header(info, name));
    // So does what the far end asks in the new one.
    const bye = far.send(far.inDialog(placed, "BYE"));
    await site.pass(20);
    expect((await bye).status).toBe(200);
    const ended = lastOf(alice, "BYE");
    expect(header(ended ?? request, "Call-ID")).toBe(kept.near.callId);
    expect(ended?.uri).toBe(alice.contact);
    expect(site.parts.dialogs.size).toBe(0);
  });

  test("is asked for by its far end's address where nobody is found by the contact", async () => {
    const { site, far, kept, cut } = await talking();
    await cut();
    far.respond(waiting(far), 403);
    await site.pass(20);
    far.respond(waiting(far), 404);
    await site.pass(20);
    const asked = site.pbx.received("INVITE").findLast((each) => header(each, "Replaces") !== undefined);
    expect(asked?.uri).toBe(kept.far.remote.slice(1, -1));
    far.respond(waiting(far), 200, sdp(FAR, 40_002));
    await site.pass(20);
    expect(site.told).toContain(`moved ${DETOUR} by replaces`);
  });

  test("does not wait for a verdict on the path when it fell silent and neither path nor PBX answers", async () => {
    const { site, far } = await talking();
    site.relay.silent_ms = 15;
    await site.pass(4_000);
    site.setDetour("up");
    site.network.setPaths(BOX, PBX, { cut: "black-hole" });
    site.setTrunk("suspect");
    await site.pass(900);
    expect(far.pending).toHaveLength(1);
    site.relay.silent_ms = 700;
    await site.pass(450);
    expect(far.pending).toHaveLength(1);
    site.relay.silent_ms = 1_100;
    await site.pass(450);
    far.respond(waiting(far), 200, sdp(FAR, 40_000));
    await site.pass(20);
    expect(site.told).toContain(`moved ${DETOUR} by reinvite`);
  });

  test("stays where it is when its far end is only muted", async () => {
    const { site, far } = await talking();
    site.relay.silent_ms = 15;
    await site.pass(4_000);
    site.setDetour("up");
    site.relay.silent_ms = 5_000;
    await site.pass(5_000);
    expect(far.pending).toHaveLength(1);
    expect(site.told).toEqual([]);
  });

  test("is held while LTE is away too, and moves as soon as that comes up", async () => {
    const { site, far, cut } = await talking();
    await cut("down");
    expect(site.relay.playing.size).toBe(1);
    site.setDetour("up");
    await site.pass(20);
    far.respond(waiting(far), 200, sdp(FAR, 40_000));
    await site.pass(20);
    expect(site.told).toContain(`moved ${DETOUR} by reinvite`);
    expect(site.relay.playing.size).toBe(0);
  });

  test("is over for the phone when the far end has hung up into the dead path", async () => {
    const { site, alice, far, cut } = await talking();
    await cut();
    far.respond(waiting(far), 481);
    await site.pass(20);
    expect(lastOf(alice, "BYE")).toBeDefined();
    expect(site.told.at(-1)).toBe("ended by trunk: the far end has ended the call");
    expect(site.relay.endpoints.size).toBe(0);
  });

  test("is ended when its far end hangs up after the move: silence, and no dialog there", async () => {
    const { site, alice, far, cut } = await talking();
    await cut();
    far.respond(waiting(far), 200, sdp(FAR, 40_000));
    await site.pass(20);
    site.relay.silent_ms = 1200;
    const asked = far.pending.length;
    await site.pass(1500);
    expect(far.pending.length).toBe(asked + 1);
    far.respond(waiting(far), 481);
    await site.pass(20);
    expect(lastOf(alice, "BYE")).toBeDefined();
    expect(site.parts.dialogs.size).toBe(0);
  });

  test("that is on hold is asked ever less often", async () => {
    const { site, far, cut } = await talking();
    far.onRequest = (tx) => far.respond(tx, 200, sdp(FAR, 40_000));
    await cut();
    site.relay.silent_ms = 60_000;
    const count = () => far.received.filter((each) => each.kind === "request" && each.method === "INVITE").length;
    await site.pass(5_000);
    const early = count();
    await site.pass(60_000);
    expect(count() - early).toBeLessThanOrEqual(3);
    expect(site.parts.dialogs.size).toBe(1);
  });

  test("answers the PBX's challenge with the phone's provisioned secret", async () => {
    const { site, far, cut } = await talking();
    site.pbx.intercept = (tx) => {
      if (tx.request.method !== "INVITE" || header(tx.request, "Proxy-Authorization") !== undefined) return false;
      const value = 'Digest realm="pbx.example", nonce="n", qop="auth", algorithm=MD5';
      tx.respond(buildResponse(tx.request, 407, { headers: [{ name: "Proxy-Authenticate", value }] }));
      return true;
    };
    await cut();
    const asked = waiting(far).request;
    expect(header(asked, "Proxy-Authorization")).toContain('username="101"');
    far.respond(waiting(far), 200, sdp(FAR, 40_000));
    await site.pass(20);
    expect(header(far.acks.at(-1) ?? asked, "Proxy-Authorization")).toContain('username="101"');
    expect(site.told).toContain(`moved ${DETOUR} by reinvite`);
  });

  test("has an offer of the phone wait while the box's own is open, and numbers it behind", async () => {
    const { site, alice, far, ofAlice, cut } = await talking();
    await cut();
    const early = alice.send(alice.inDialog(ofAlice, "INVITE", sdp(alice.address, 30_000)));
    await site.pass(20);
    expect((await early).status).toBe(491);
    far.respond(waiting(far), 200, sdp(FAR, 40_000));
    await site.pass(20);
    const hold = alice.inDialog(ofAlice, "INVITE", sdp(alice.address, 30_000).replace("sendrecv", "sendonly"));
    const answer = alice.send(hold);
    await site.pass(20);
    const { request } = waiting(far);
    expect(cseqOf(request)?.seq).toBe((cseqOf(hold)?.seq ?? 0) + 1);
    const seen = readSdp(sdpOf(request) ?? "");
    expect(seen).toMatchObject({
      origin: { sessionVersion: "2" },
      media: [{ address: BOX_LTE, direction: "sendonly" }],
    });
    far.respond(waiting(far), 200, sdp(FAR, 40_000));
    await site.pass(20);
    expect((await answer).status).toBe(200);
    expect(readSdp(sdpOf(await answer) ?? "").media[0]?.address).toBe(BOX);
  });

  test.each([491, 500])("met by an offer that is still open there asks again: %s", async (status) => {
    const { site, far, cut } = await talking();
    await cut();
    const headers = status === 500 ? [{ name: "Retry-After", value: "1" }] : [];
    waiting(far).respond(buildResponse(waiting(far).request, status, { headers }));
    await site.pass(2_100);
    expect(far.pending.length).toBeGreaterThan(2);
    far.respond(waiting(far), 200, sdp(FAR, 40_000));
    await site.pass(20);
    expect(site.told).toContain(`moved ${DETOUR} by reinvite`);
  });

  test("stays where it is when the WAN returns, and the far end's BYE by the old way reaches the phone", async () => {
    const { site, alice, far, ofFar, cut, heal } = await talking();
    await cut();
    const contact = headerList(waiting(far).request, "Contact")[0] ?? "";
    far.respond(waiting(far), 200, sdp(FAR, 40_000));
    await site.pass(20);
    const told = site.told.length;
    await heal();
    expect(site.told.length).toBe(told);
    const target = contact.slice(1, -1);
    const answer = far.send(far.inDialog({ ...ofFar, target }, "BYE"));
    await site.pass(20);
    expect((await answer).status).toBe(200);
    expect(lastOf(alice, "BYE")?.uri).toBe(alice.contact);
  });

  const MANY = [
    "RTP/AVP 9 8 0 101",
    "a=rtpmap:9 G722/8000",
    "a=rtpmap:101 telephone-event/8000",
    "a=fmtp:101 0-15",
  ].join("\r\n");
  const AGREED = ["RTP/AVP 8 101", "a=rtpmap:101 telephone-event/8000"].join("\r\n");
  const speaking = (lines: string) => (each: string) => each.replace("RTP/AVP 0", lines);

  test("offers what the two had agreed on, not all that the phone can", async () => {
    const { site, far, cut } = await talking("far", "move", { offer: speaking(MANY), answer: speaking(AGREED) });
    // What an earlier engine wrote of the call says as much.
    await site.restart();
    await cut();
    const asked = sdpOf(waiting(far).request) ?? "";
    expect(readSdp(asked).media[0]?.formats).toEqual(["8", "101"]);
    expect(asked).toContain("a=fmtp:101 0-15");
    expect(asked).not.toContain("G722");
  });

  const keyed = (key: string) => (each: string) =>
    each.replace("RTP/AVP 0", `RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${key}`);

  test("keeps its keys, and the phone is asked nothing, where the far end keeps its own", async () => {
    const says = { offer: keyed("phonephonephone"), answer: keyed("farfarfar") };
    const { site, alice, far, cut } = await talking("far", "move", says);
    await cut();
    expect(sdpOf(waiting(far).request)).toContain("inline:phonephonephone");
    far.respond(waiting(far), 200, keyed("farfarfar")(sdp(FAR, 40_000)));
    await site.pass(20);
    expect(site.told).toContain(`moved ${DETOUR} by reinvite`);
    expect(alice.pending).toHaveLength(0);
  });

  test.each(["far", "phone"] as const)(
    "tells the phone when the far end changes its key, the %s called",
    async (called) => {
      const says = { offer: keyed("offeredkey"), answer: keyed("answeredkey") };
      const { site, alice, far, ofAlice, ofFar, cut } = await talking(called, "move", says);
      const before = alice.pending.length;
      await cut();
      far.respond(waiting(far), 200, keyed("newkey")(sdp(FAR, 40_000)));
      await site.pass(20);
      expect(alice.pending).toHaveLength(before + 1);
      const { request } = waiting(alice);
      expect(request.uri).toBe(alice.contact);
      expect(sdpOf(request)).toContain("inline:newkey");
      expect(readSdp(sdpOf(request) ?? "").media[0]?.address).toBe(BOX);
      const phone = keyed(called === "far" ? "offeredkey" : "answeredkey")(sdp(alice.address, 30_002));
      alice.respond(waiting(alice), 200, phone);
      await site.pass(20);
      expect(cseqOf(alice.acks.at(-1) ?? request)?.seq).toBe(cseqOf(request)?.seq);
      const end = site.relay.endpoints.get(site.relay.bridges.at(-1)?.[0] ?? "");
      expect(end?.peer).toMatchObject({ address: alice.address, port: 30_002 });
      // What the far end sends later is numbered behind it, and its answer bears the far end's own number.
      site.network.setPaths(BOX, PBX, {});
      site.network.setPaths(BOX, PBX, { cut: "none" });
      site.setTrunk("up");
      await site.pass(20);
      const info = far.inDialog(ofFar, "INFO");
      const answer = far.send(info);
      await site.pass(20);
      expect(cseqOf(await answer)?.seq).toBe(cseqOf(info)?.seq);
      expect(cseqOf(lastOf(alice, "INFO") ?? info)?.seq).toBeGreaterThan(cseqOf(request)?.seq ?? 0);
      const bye = alice.send(alice.inDialog(ofAlice, "BYE"));
      await site.pass(20);
      expect((await bye).status).toBe(200);
    },
  );

  test("is known to a restarted engine: the phone's BYE goes by LTE, numbered right", async () => {
    const { site, alice, far, ofAlice, cut } = await talking();
    await cut();
    far.respond(waiting(far), 200, sdp(FAR, 40_000));
    await site.pass(20);
    const moved = cseqOf(waiting(far).request)?.seq ?? 0;
    await site.restart();
    const answer = alice.send(alice.inDialog(ofAlice, "BYE"));
    await site.pass(20);
    expect((await answer).status).toBe(200);
    expect(cseqOf(lastOf(far, "BYE") ?? alice.inDialog(ofAlice, "BYE"))?.seq).toBe(moved + 1);
    expect(site.relay.closed).toHaveLength(1);
  });

  test("stays on LTE behind a restart and the WAN's return, and goes back there when LTE dies", async () => {
    const { site, far, cut, heal } = await talking();
    await cut();
    far.respond(waiting(far), 200, sdp(FAR, 40_000));
    await site.pass(20);
    await site.restart();
    await heal();
    const asked = far.pending.length;
    site.setDetour("down");
    await site.pass(20);
    expect(far.pending).toHaveLength(asked + 1);
    expect(readSdp(sdpOf(waiting(far).request) ?? "").media[0]?.address).toBe(BOX);
  });

  test("is moved by a restarted engine that has never heard its far end, whatever the verdict on the path", async () => {
    const { site, far } = await talking();
    const asked = far.pending.length;
    site.relay.silent_ms = 900;
    await site.restart();
    site.setDetour("up");
    site.network.setPaths(BOX, PBX, { cut: "black-hole" });
    site.setTrunk("suspect");
    await site.pass(450);
    site.relay.silent_ms = 1_300;
    await site.pass(450);
    expect(far.pending).toHaveLength(asked + 1);
    far.respond(waiting(far), 200, sdp(FAR, 40_000));
    await site.pass(20);
    expect(site.told).toContain(`moved ${DETOUR} by reinvite`);
  });

  test("cut while the phone's hold is on its way: the hold fails, the move is about what stood, and so is what follows", async () => {
    const { site, alice, far, ofAlice, cut } = await talking();
    const hold = alice.send(
      alice.inDialog(
        ofAlice,
        "INVITE",
        sdp(alice.address, 30_000).replace("o=- 1 1", "o=- 1 2").replace("sendrecv", "sendonly"),
      ),
    );
    await site.pass(20);
    await cut();
    expect((await hold).status).toBe(503);
    const asked = waiting(far).request;
    expect(readSdp(sdpOf(asked) ?? "").media[0]).toMatchObject({ address: BOX_LTE, direction: "sendrecv" });
    expect(readSdp(sdpOf(asked) ?? "").origin?.sessionVersion).toBe("3");
    expect(cseqOf(asked)?.seq).toBe((cseqOf(far.pending.at(-2)?.request ?? asked)?.seq ?? 0) + 1);
    far.respond(waiting(far), 200, sdp(FAR, 40_000));
    await site.pass(20);
    // The far end is asked whether it is there.
    site.relay.silent_ms = 1_200;
    await site.pass(1_500);
    const probe = waiting(far).request;
    expect(probe).not.toBe(asked);
    expect(sdpOf(probe)).toBe(sdpOf(asked));
  });

  test.each([1_250, 2_600])(
    "takes an answer to the re-INVITE that comes when others were tried: after %s ms",
    async (late_ms) => {
      const { site, far, cut } = await talking();
      await cut();
      const first = waiting(far);
      await site.pass(late_ms);
      expect(site.relay.playing.size).toBe(late_ms > 2_400 ? 1 : 0);
      far.respond(first, 200, sdp(FAR, 40_000));
      await site.pass(20);
      expect(site.told).toContain(`moved ${DETOUR} by reinvite`);
      expect(site.relay.endpoints.get(site.relay.bridges.at(-1)?.[1] ?? "")?.local_address).toBe(BOX_LTE);
      expect(site.relay.playing.size).toBe(0);
    },
  );

  test("does not wait half a second where its first packet is lost", async () => {
    const { site, far, cut } = await talking();
    const asked = far.pending.length;
    site.network.setPaths(BOX_LTE, PBX, { cut: "black-hole" });
    await cut();
    site.network.setPaths(BOX_LTE, PBX, { cut: "none" });
    expect(far.pending).toHaveLength(asked);
    await site.pass(200);
    expect(far.pending).toHaveLength(asked + 1);
  });

  test("is not told for ever that it is held where the engine is killed meanwhile", async () => {
    const { site, cut, heal } = await talking();
    await cut("down");
    expect(site.relay.playing.size).toBe(1);
    await site.restart();
    await heal();
    await site.pass(1_000);
    expect(site.relay.playing.size).toBe(0);
  });

  test("gets the next rung soon where the re-INVITE is not answered", async () => {
    const { site, far, cut } = await talking();
    await cut();
    await site.pass(1_250);
    expect(header(waiting(far).request, "Replaces")).toBeDefined();
    expect(site.parts.permissions.all()).toMatchObject([{ rung: "reinvite", outcome: "no_answer" }]);
  });

  test("is moved by a restarted engine", async () => {
    const { site, far, cut } = await talking();
    await site.restart();
    await cut();
    far.respond(waiting(far), 200, sdp(FAR, 40_000));
    await site.pass(20);
    expect(site.told).toContain(`moved ${DETOUR} by reinvite`);
    expect(site.relay.bridges.at(-1)?.[0]).toContain("-0-phone");
  });
});

/** Another phone calls `number`, which the cloud finds at the same far end; resolves when they talk. */
async function alsoTalking({ site, far }: Awaited<ReturnType<typeof talking>>, user: string, number: string) {
  const phone = await site.phone(user, `10.20.0.${user}`);
  site.pbx.contacts.set(number, [{ uri: far.contact, path: [], value: `<${far.contact}>` }]);
  void phone.register();
  await site.pass(20);
  const invite = phone.inviteRequest(number);
  const answer = phone.send(invite);
  await site.pass(20);
  far.respond(waiting(far), 200, sdp(FAR, 40_100));
  await site.pass(20);
  phone.ack(invite, await answer);
  await site.pass(20);
  return header(invite, "Call-ID");
}

describe("several running calls", () => {
  test("are moved all at once, those with an outside number first", async () => {
    const made = await talking();
    const outside = await alsoTalking(made, "102", "13035550199");
    const before = made.far.pending.length;
    await made.cut();
    const asked = made.far.pending.slice(before).map(({ request }) => header(request, "Call-ID"));
    expect(asked).toEqual([outside, made.kept.far.callId]);
  });

  test("stay where they are but for those with an outside number, where the site file says so", async () => {
    const made = await talking("far", "main_number");
    const outside = await alsoTalking(made, "102", "13035550199");
    const before = made.far.pending.length;
    await made.cut();
    const asked = made.far.pending.slice(before).map(({ request }) => header(request, "Call-ID"));
    expect(asked).toEqual([outside]);
    expect(made.site.relay.playing.size).toBe(1);
  });

  test("begin with what the PBX permitted last time", async () => {
    const made = await talking();
    made.site.parts.permissions.learn({
      ...{ trunk: "cloud", rung: "reinvite", outcome: "refused", status: 403 },
      at_wall: 0,
    });
    await made.cut();
    expect(header(waiting(made.far).request, "Replaces")).toBeDefined();
  });

  test("stay all of them where the site file says so", async () => {
    const made = await talking("far", "stay");
    const before = made.far.pending.length;
    await made.cut();
    expect(made.far.pending.length).toBe(before);
    expect(made.site.relay.playing.size).toBe(1);
  });
});

describe("a call between two phones of the box through the cloud", () => {
  test("is joined in the box when the WAN dies, and nothing is asked of anybody", async () => {
    const site = await memorySite();
    const alice = await site.phone("101", "10.20.0.101");
    const bob = await site.phone("102", "10.20.0.102");
    void alice.register();
    void bob.register();
    await site.pass(20);
    const invite = alice.inviteRequest("102");
    const answer = alice.send(invite);
    await site.pass(20);
    bob.respond(waiting(bob), 200, sdp(bob.address, 40_000));
    await site.pass(20);
    alice.ack(invite, await answer);
    await site.pass(20);
    site.network.setPaths(BOX, PBX, { cut: "black-hole" });
    site.setDetour("up");
    site.setTrunk("down");
    await site.pass(20);
    const [one = "", other = ""] = site.relay.bridges.at(-1) ?? [];
    expect(
      [site.relay.endpoints.get(one)?.peer?.address, site.relay.endpoints.get(other)?.peer?.address].sort(),
    ).toEqual([alice.address, bob.address]);
    expect(bob.pending).toHaveLength(1);
    expect(site.relay.playing.size).toBe(0);
    // When the cloud is back and one of them holds, the cloud's way of doing that counts.
    site.network.setPaths(BOX, PBX, { cut: "none" });
    site.setTrunk("up");
    await site.pass(20);
    const [joined] = site.relay.bridges.slice(-1);
    expect(joined).toEqual([one, other]);
    void alice.send(alice.inDialog(alice.dialogOf(invite, await answer), "INVITE", sdp(alice.address, 30_000)));
    await site.pass(20);
    const pairs = site.relay.bridges.slice(-2).map(([phone = "", trunk = ""]) => [phone.slice(-5), trunk.slice(-5)]);
    expect(pairs).toEqual([
      ["phone", "trunk"],
      ["phone", "trunk"],
    ]);
  });
});

describe("an emergency call that needs the path", () => {
  test("ends a call that has moved there, at both ends and at once, and no call on another path", async () => {
    const { site, alice, far, kept, cut } = await talking();
    const lte = site.parts.mover;
    lte.giveWay("lte");
    await site.pass(20);
    expect([lastOf(alice, "BYE"), lastOf(far, "BYE")]).toEqual([undefined, undefined]);
    await cut();
    far.respond(waiting(far), 200, sdp(FAR, 40_000));
    await site.pass(20);
    lte.giveWay("lte");
    // Nobody's word is waited for: ports and dialog are gone in the same moment.
    expect([site.parts.dialogs.size, site.parts.mover.wayOut(kept.leg)]).toEqual([0, undefined]);
    await site.pass(20);
    expect(site.relay.endpoints.size).toBe(0);
    for (const end of [alice, far]) {
      expect(header(lastOf(end, "BYE") ?? end.inviteRequest("x"), "Reason")).toContain("cause=503");
    }
    expect(site.told.some((line) => line.includes("gave way"))).toBe(true);
  });
});
