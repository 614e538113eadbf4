import { describe, expect, test } from "vitest";
import { buildResponse } from "../../sip/messages/build.ts";
import { header, headerList, prependHeader, removeFirst, setHeader } from "../../sip/messages/headers.ts";
import type { SipRequest, SipResponse } from "../../sip/messages/message.ts";
import { sdpOf } from "../../sip/messages/sdp.ts";
import type { ServerTransaction } from "../../sip/transactions/server-transaction.ts";
import { sdp } from "../testing/memory-phone.ts";
import { BOX, PBX, siteConfig } from "../testing/memory-site.ts";
import { endpoints, fail, offline, ringing, scene, talking, within } from "../testing/scene.ts";

describe("a call through the cloud", () => {
  test("media is anchored: each side hears of the box alone, and the relay of both", async () => {
    const made = await scene();
    await talking(made);
    const peers = endpoints(made.site).map(({ peer }) => `${peer?.address}:${peer?.port}`);
    expect(peers).toContain(`${made.alice.address}:30000`);
    expect(peers).toContain(`${made.bob.address}:40000`);
    expect(peers.filter((peer) => peer.startsWith(BOX))).toHaveLength(2);
    expect(made.site.relay.bridges).toHaveLength(2);
  });

  test("early media: the description in a 183 leads through the relay too", async () => {
    const { site, alice, bob } = await scene();
    const early: SipResponse[] = [];
    void alice.send(alice.inviteRequest("102"), (response) => void early.push(response));
    await site.pass(20);
    bob.respond(ringing(bob), 183, sdp(bob.address, 40_000));
    await site.pass(20);
    const session = early.find(({ status }) => status === 183);
    expect(session && sdpOf(session)).toContain(`c=IN IP4 ${BOX}`);
  });

  test("late offer: the offer comes in the 200, the answer in the ACK", async () => {
    const { site, alice, bob } = await scene();
    const invite = alice.inviteRequest("102", "");
    const answer = alice.send(invite);
    await site.pass(20);
    bob.respond(ringing(bob), 200, sdp(bob.address, 40_000));
    await site.pass(20);
    const ok = await answer;
    expect(sdpOf(ok)).toContain(`c=IN IP4 ${BOX}`);
    alice.ack(invite, ok, sdp(alice.address, 30_000));
    await site.pass(20);
    const ack = bob.acks[0];
    expect(ack && sdpOf(ack)).toContain(`c=IN IP4 ${BOX}`);
    expect(endpoints(site).map(({ peer }) => peer?.port)).toContain(30_000);
  });

  test("Contact, Call-ID, tags, CSeq and RAck are the peers' own", async () => {
    const { site, alice, bob } = await scene();
    const invite = alice.inviteRequest("102");
    void alice.send(invite);
    await site.pass(20);
    const arrived = ringing(bob).request;
    for (const name of ["Contact", "Call-ID", "From", "To", "CSeq"]) {
      expect(header(arrived, name)).toBe(header(invite, name));
    }
    bob.respond(ringing(bob), 183, sdp(bob.address, 40_000));
    await site.pass(20);
    const progress = alice.received.find(
      (each): each is SipResponse => each.kind === "response" && each.status === 183,
    );
    const prack = alice.inDialog(alice.dialogOf(invite, progress ?? fail()), "PRACK");
    setHeader(prack, "RAck", "1 4711 INVITE");
    expect((await within(site, 20, alice.send(prack))).status).toBe(200);
    const passed = bob.received.at(-1) as SipRequest;
    expect([passed.method, header(passed, "RAck")]).toEqual(["PRACK", "1 4711 INVITE"]);
  });

  test("a re-INVITE keeps the ports, and a refused one leaves the sound as it was", async () => {
    const made = await scene();
    const { site, alice, bob } = made;
    const { caller } = await talking(made);
    const before = endpoints(site).map(({ port, peer }) => [port, peer]);
    const again = alice.send(alice.inDialog(caller, "INVITE", sdp(alice.address, 30_100)));
    await site.pass(20);
    expect(endpoints(site).map(({ peer }) => peer?.port)).toContain(30_100);
    bob.respond(ringing(bob), 488);
    expect((await within(site, 20, again)).status).toBe(488);
    expect(endpoints(site).map(({ port, peer }) => [port, peer])).toEqual(before);
  });

  test("another request that is refused after a good re-INVITE leaves the sound alone", async () => {
    const made = await scene();
    const { site, alice, bob } = made;
    const { caller } = await talking(made);
    const again = alice.send(alice.inDialog(caller, "INVITE", sdp(alice.address, 30_100)));
    await site.pass(20);
    bob.respond(ringing(bob), 200, sdp(bob.address, 40_000));
    expect((await within(site, 20, again)).status).toBe(200);
    bob.onRequest = (tx) => tx.respond(buildResponse(tx.request, 415));
    expect((await within(site, 20, alice.send(alice.inDialog(caller, "INFO")))).status).toBe(415);
    expect(endpoints(site).map(({ peer }) => peer?.port)).toContain(30_100);
  });

  test("CANCEL reaches the callee, 487 the caller, and the ports are given back", async () => {
    const { site, alice, bob } = await scene();
    const cancelling = alice.start(alice.inviteRequest("102"));
    await site.pass(20);
    const tx = ringing(bob);
    tx.onCancel(() => bob.respond(tx, 487));
    bob.respond(tx, 180);
    await site.pass(20);
    cancelling.transaction.cancel();
    expect((await within(site, 40, cancelling.answer)).status).toBe(487);
    expect(endpoints(site)).toEqual([]);
  });

  test("a challenge by the cloud is relayed as it is", async () => {
    const { site, alice } = await scene();
    site.pbx.intercept = (tx) => {
      if (tx.request.method !== "INVITE") return false;
      const value = 'Digest realm="pbx.example", nonce="abc", qop="auth", opaque="x"';
      tx.respond(buildResponse(tx.request, 407, { headers: [{ name: "Proxy-Authenticate", value }] }));
      return true;
    };
    const answer = await within(site, 20, alice.send(alice.inviteRequest("102")));
    expect([answer.status, header(answer, "Proxy-Authenticate")]).toEqual([
      407,
      'Digest realm="pbx.example", nonce="abc", qop="auth", opaque="x"',
    ]);
  });

  test("a repeated 200 reaches the caller again, for his ACK may have been lost", async () => {
    const { site, alice, bob } = await scene();
    void alice.send(alice.inviteRequest("102"));
    await site.pass(20);
    const tx = ringing(bob);
    bob.respond(tx, 200, sdp(bob.address, 40_000));
    await site.pass(20);
    bob.respond(tx, 200, sdp(bob.address, 40_000));
    await site.pass(20);
    expect(alice.received.filter((each) => each.kind === "response" && each.status === 200)).toHaveLength(3);
  });

  test("what a phone can do, told in its answer to OPTIONS, is no session: it passes as it is and takes no ports", async () => {
    const { site, bob } = await scene();
    const can = sdp(bob.address, 40_000);
    bob.onRequest = (tx) => tx.respond(buildResponse(tx.request, 200, { body: can, contentType: "application/sdp" }));
    const answer = await within(site, 20, site.pbx.sendTo("102", "OPTIONS"));
    expect([answer.status, sdpOf(answer)]).toEqual([200, can]);
    expect(endpoints(site)).toEqual([]);
  });

  test("without the relay the descriptions pass as they are, with an alarm, and the call is made", async () => {
    const made = await scene();
    made.site.relay.connected = false;
    const { ok } = await talking(made);
    expect(sdpOf(ok)).toBe(sdp(made.bob.address, 40_000));
    expect(made.site.alarms.active().map(({ code }) => code)).toContain("media.down");
  });

  test("ports of calls that ended unseen are given back, those of running ones are kept", async () => {
    const made = await scene();
    await talking(made);
    made.site.relay.silent_ms = 20;
    await made.site.restart();
    await made.site.parts.mover.reap(3_600_000);
    expect(endpoints(made.site)).toHaveLength(4);
    // A restarted engine knows them: they may be on hold.
    made.site.relay.silent_ms = 3_600_000;
    await made.site.parts.mover.reap(3_600_000);
    expect(endpoints(made.site)).toHaveLength(4);
    made.site.relay.silent_ms = 4 * 3_600_000 + 1;
    await made.site.parts.mover.reap(3_600_000);
    expect(endpoints(made.site)).toEqual([]);
    expect(made.site.parts.dialogs.size).toBe(0);
  });

  test("a GRUU that leads to the phone becomes the contact that it registered", async () => {
    const { site, alice } = await scene();
    const bob = await site.phone("103", "10.20.0.103");
    await within(site, 20, bob.register({ contact: `<${bob.contact}>;+sip.instance="<urn:uuid:b0b>"` }));
    bob.publicContact = "sip:103@pbx.example;gr=urn:uuid:b0b";
    const invite = alice.inviteRequest("103");
    const answer = alice.send(invite);
    await site.pass(20);
    bob.respond(ringing(bob), 200, sdp(bob.address, 40_000));
    const ok = await within(site, 20, answer);
    expect(header(ok, "Contact")).toContain(";gr=");
    alice.ack(invite, ok);
    await site.pass(20);
    expect(bob.acks.map(({ uri }) => uri)).toEqual([bob.contact]);
  });

  test("a GRUU that a cloud without Path looks up inside the dialog: the phone gets the contact it registered", async () => {
    const config = siteConfig((each) => {
      for (const target of each.pbx_targets) target.path_header = false;
    });
    const { site, alice } = await scene(config);
    const bob = await site.phone("103", "10.20.0.103");
    await within(site, 20, bob.register({ contact: `<${bob.contact}>;+sip.instance="<urn:uuid:b0b>"` }));
    bob.publicContact = "sip:103@pbx.example;gr=urn:uuid:b0b";
    const invite = alice.inviteRequest("103");
    const answer = alice.send(invite);
    await site.pass(20);
    bob.respond(ringing(bob), 200, sdp(bob.address, 40_000));
    const ok = await within(site, 20, answer);
    alice.ack(invite, ok);
    await site.pass(20);
    const before = endpoints(site).map(({ id }) => id);
    const dialog = alice.dialogOf(invite, ok);
    expect(dialog.target).toBe(bob.publicContact);
    const again = alice.send(alice.inDialog(dialog, "INVITE", sdp(alice.address, 30_100)));
    await site.pass(20);
    const arrived = ringing(bob).request;
    expect([arrived.uri, headerList(arrived, "Route")]).toEqual([bob.contact, []]);
    bob.respond(ringing(bob), 200, sdp(bob.address, 40_100));
    expect((await within(site, 20, again)).status).toBe(200);
    expect(endpoints(site).map(({ id }) => id)).toEqual(before);
    expect(endpoints(site).map(({ peer }) => peer?.port)).toEqual(expect.arrayContaining([30_100, 40_100]));
    expect((await within(site, 20, alice.send(alice.inDialog(dialog, "BYE")))).status).toBe(200);
    expect(endpoints(site)).toEqual([]);
  });
});

describe("a PBX that looks a GRUU up inside the dialog", () => {
  test("and lays the registration's Path over the Route: the request stays in its call, ports and all", async () => {
    const made = await scene();
    const { site, alice, bob } = made;
    const { caller } = await talking(made);
    site.pbx.intercept = (tx) => {
      const path = site.pbx.contacts.get("102")?.[0]?.path ?? fail();
      if (tx.request.method === "INVITE" && headerList(tx.request, "Via").length === 2) {
        const own = removeFirst(tx.request, "Route");
        for (const element of path) prependHeader(tx.request, "Route", element);
        prependHeader(tx.request, "Route", own ?? fail());
      }
      return false;
    };
    const before = endpoints(site).map(({ port }) => port);
    const again = alice.send(alice.inDialog(caller, "INVITE", sdp(alice.address, 30_100)));
    await site.pass(20);
    const arrived = ringing(bob).request;
    expect(headerList(arrived, "Route")).toEqual([]);
    bob.respond(ringing(bob), 200, sdp(bob.address, 40_000));
    expect((await within(site, 20, again)).status).toBe(200);
    expect(endpoints(site).map(({ port }) => port)).toEqual(before);
    expect((await within(site, 20, alice.send(alice.inDialog(caller, "BYE")))).status).toBe(200);
    expect(endpoints(site)).toEqual([]);
  });
});

describe("the cut in the middle of things", () => {
  test("a call dialled into a dead cloud rings the colleague directly once the verdict is there", async () => {
    const { site, alice, bob } = await scene();
    site.network.setPaths(BOX, PBX, { cut: "black-hole" });
    const answer = alice.send(alice.inviteRequest("102"));
    await site.pass(800);
    expect(bob.pending).toHaveLength(0);
    site.setTrunk("down");
    await site.pass(20);
    bob.respond(ringing(bob), 200, sdp(bob.address, 40_000));
    expect((await within(site, 20, answer)).status).toBe(200);
  });

  test("a cloud that is only suspect keeps the calls it has spoken of, and loses those that it left without a word", async () => {
    const { site, alice, bob } = await scene();
    const carol = await site.phone("103", "10.20.0.103");
    void carol.register();
    void alice.send(alice.inviteRequest("102"));
    await site.pass(20);
    bob.respond(ringing(bob), 180);
    await site.pass(20);
    site.network.setPaths(BOX, PBX, { cut: "black-hole" });
    void carol.send(carol.inviteRequest("101"));
    await site.pass(600);
    expect(site.observed).toContainEqual({ kind: "no_response", method: "INVITE" });
    site.setTrunk("suspect");
    await site.pass(20);
    expect(header(ringing(alice).request, "From")).toContain("sip:103@");
    expect(alice.received.filter((each) => each.kind === "response" && each.status >= 300)).toEqual([]);
  });

  test("a call that nobody but the cloud could take waits for a suspect one, and is refused once it is gone", async () => {
    const { site, alice } = await scene();
    site.network.setPaths(BOX, PBX, { cut: "black-hole" });
    const answer = alice.send(alice.inviteRequest("7100"));
    await site.pass(600);
    site.setTrunk("suspect");
    await site.pass(600);
    expect(alice.received.filter((each) => each.kind === "response" && each.status >= 300)).toEqual([]);
    site.setTrunk("down");
    expect((await within(site, 20, answer)).status).toBe(404);
  });

  test("a call between two phones that went through the cloud is hung up although the cloud is gone", async () => {
    const made = await scene();
    const { site, alice, bob } = made;
    const { caller } = await talking(made);
    site.network.setPaths(BOX, PBX, { cut: "black-hole" });
    site.setTrunk("down");
    const bye = await within(site, 20, alice.send(alice.inDialog(caller, "BYE")));
    expect(bye.status).toBe(200);
    expect(bob.received.at(-1)).toMatchObject({ method: "BYE" });
    expect(endpoints(site)).toEqual([]);
  });

  test("so is it when the verdict comes only while the BYE waits", async () => {
    const made = await scene();
    const { site, alice, bob } = made;
    const { caller } = await talking(made);
    site.network.setPaths(BOX, PBX, { cut: "black-hole" });
    const bye = alice.send(alice.inDialog(caller, "BYE"));
    await site.pass(1_000);
    site.setTrunk("down");
    expect((await within(site, 20, bye)).status).toBe(200);
    expect(bob.received.at(-1)).toMatchObject({ method: "BYE" });
    expect(endpoints(site)).toEqual([]);
  });

  test("a phone that rings for the cloud stops ringing when the cloud is gone", async () => {
    const { site, alice, bob } = await scene();
    void alice.send(alice.inviteRequest("102"));
    await site.pass(20);
    const tx = ringing(bob);
    let stopped = false;
    tx.onCancel(() => {
      stopped = true;
      bob.respond(tx, 487);
    });
    bob.respond(tx, 180);
    await site.pass(20);
    site.network.setPaths(BOX, PBX, { cut: "black-hole" });
    site.setTrunk("down");
    await site.pass(20);
    expect(stopped).toBe(true);
  });
});

describe("what a proxy has to refuse", () => {
  test("a request other than INVITE that nobody answers gets no 408: it would come too late (RFC 4320 §4.2)", async () => {
    const { site } = await scene();
    site.pbx.intercept = ({ request }) => request.method === "MESSAGE";
    const phone = site.network.transport();
    await phone.listen({ protocol: "udp", address: "10.20.0.99", port: 5060 });
    const statuses: string[] = [];
    phone.tap((direction, bytes) => {
      if (direction === "in") statuses.push(Buffer.from(bytes).toString().split(" ", 2)[1] ?? "");
    });
    const ends = { address: BOX, port: 5060, local_address: "10.20.0.99", local_port: 5060 } as const;
    const lines = [
      "MESSAGE sip:102@pbx.example SIP/2.0",
      "Via: SIP/2.0/UDP 10.20.0.99:5060;branch=z9hG4bKunanswered",
      "From: <sip:101@pbx.example>;tag=1",
      "To: <sip:102@pbx.example>",
      "Call-ID: unanswered",
      "CSeq: 1 MESSAGE",
    ];
    phone.send(phone.flowTo({ protocol: "udp", ...ends }), Buffer.from(`${lines.join("\r\n")}\r\n\r\n`));
    await site.pass(45_000);
    expect(site.pbx.received("MESSAGE")).toHaveLength(1);
    expect(statuses).toEqual(["100"]);
  });

  test("Max-Forwards 0 is 483", async () => {
    const { site, alice } = await scene();
    const invite = alice.inviteRequest("102");
    setHeader(invite, "Max-Forwards", "0");
    expect((await within(site, 20, alice.send(invite))).status).toBe(483);
  });

  test.each([
    ["300", "254"],
    ["-1", "69"],
    ["many", "69"],
  ])("Max-Forwards %s goes on as %s", async (given, sent) => {
    const { site, alice } = await scene();
    const invite = alice.inviteRequest("102");
    setHeader(invite, "Max-Forwards", given);
    void alice.send(invite);
    await site.pass(20);
    expect(site.pbx.received("INVITE").map((each) => header(each, "Max-Forwards"))[0]).toBe(sent);
  });

  test("a request that comes round unchanged is 482, a spiral is not", async () => {
    const { site, alice } = await scene();
    site.pbx.intercept = (tx) => {
      if (tx.request.method !== "INVITE" || headerList(tx.request, "Via").length > 3) return false;
      // A cloud that sends the call back as it came.
      const copy: SipRequest = { ...tx.request, headers: [...tx.request.headers] };
      void site.pbx.sendRaw(copy, BOX, 5062).then((response) => tx.respond(site.pbx.strip(response)));
      return true;
    };
    site.parts.store.put(
      {
        ...(site.parts.store.all()[0] ?? fail()),
        aor: "sip:200@pbx.example",
        contact: "sip:200@pbx.example",
        flow_token: "z",
      },
      60_000,
    );
    const answer = await within(site, 200, alice.send(alice.inviteRequest("200")));
    expect(answer.status).toBe(482);
  });

  test("two branches that a forking PBX sends to one contact are brothers and no loop", async () => {
    const { site, alice, bob } = await scene();
    let forked = 0;
    site.pbx.intercept = (tx) => {
      const contact = site.pbx.contacts.get("102")?.[0];
      if (tx.request.method !== "INVITE" || contact === undefined || forked++ > 0) return false;
      for (let n = 0; n < 2; n++) {
        const copy: SipRequest = { ...tx.request, uri: contact.uri, headers: [...tx.request.headers] };
        for (const path of contact.path) prependHeader(copy, "Route", path);
        void site.pbx.sendRaw(copy, BOX, 5062);
      }
      return true;
    };
    void alice.send(alice.inviteRequest("102"));
    await site.pass(20);
    expect(bob.received.filter((each) => each.kind === "request" && each.method === "INVITE")).toHaveLength(2);
  });

  test("a token that was tampered with leads nowhere", async () => {
    const made = await offline();
    const { callee } = await talking(made);
    const forged = { ...callee, route: callee.route.map((route) => route.replace("10-20-0-101", "10-20-0-200")) };
    const bye = await within(
      made.site,
      20,
      made.bob.send(made.bob.inDialog({ ...forged, target: "sip:x@10.20.0.200" }, "BYE")),
    );
    expect(bye.status).toBeGreaterThanOrEqual(400);
  });
});

describe("requests other than INVITE (RFC 4320)", () => {
  async function message() {
    const { site, alice } = await scene();
    const taken: ServerTransaction[] = [];
    site.pbx.intercept = (tx) => {
      taken.push(tx);
      return true;
    };
    const request = { ...alice.inviteRequest("102", ""), method: "MESSAGE" };
    setHeader(request, "CSeq", "1 MESSAGE");
    const provisionals: number[] = [];
    const answer = alice.send(request, ({ status }) => void provisionals.push(status));
    await site.pass(20);
    const [tx] = taken;
    if (tx === undefined) throw new Error("the PBX has not seen it");
    return { site, tx, provisionals, answer };
  }

  test("a provisional of the far side stays here; after 3.5 s the box says 100 itself, and the final goes back", async () => {
    const { site, tx, provisionals, answer } = await message();
    tx.respond(buildResponse(tx.request, 183));
    await site.pass(3_000);
    expect(provisionals).toEqual([]);
    await site.pass(600);
    expect(new Set(provisionals)).toEqual(new Set([100]));
    tx.respond(buildResponse(tx.request, 202));
    expect((await within(site, 50, answer)).status).toBe(202);
  });
});

describe("strict routers (RFC 3261 §16.4, §16.6 step 6)", () => {
  test("behind the box one stands in the Request-URI of what goes to it inside a dialog, and the target comes last", async () => {
    const made = await scene();
    const { site, alice } = made;
    const { caller } = await talking(made);
    site.pbx.intercept = (tx) => {
      tx.respond(buildResponse(tx.request, 200));
      return true;
    };
    const strict = caller.route.map((element) => (element.includes(PBX) ? element.replace(";lr", "") : element));
    expect((await within(site, 20, alice.send(alice.inDialog({ ...caller, route: strict }, "INFO")))).status).toBe(200);
    const [arrived] = site.pbx.received("INFO");
    expect(arrived?.uri).toBe(`sip:${PBX}`);
    expect(arrived && headerList(arrived, "Route").at(-1)).toBe(`<${caller.target}>`);
    expect((await within(site, 20, alice.send(alice.inDialog(caller, "INFO")))).status).toBe(200);
    expect(site.pbx.received("INFO").at(-1)?.uri).toBe(caller.target);
  });

  test("before the box has put our element into the Request-URI: the target is taken back from the Route (§16.4)", async () => {
    const made = await scene();
    const { site, alice, bob } = made;
    const { caller } = await talking(made);
    const [first = "", ...rest] = caller.route;
    const strict = { ...caller, target: first.slice(1, first.indexOf(";lr")), route: [...rest, `<${caller.target}>`] };
    expect((await within(site, 20, alice.send(alice.inDialog(strict, "INFO")))).status).toBe(200);
    expect(site.pbx.received("INFO")[0]?.uri).toBe(caller.target);
    expect(bob.received.at(-1)).toMatchObject({ method: "INFO", uri: bob.contact });
  });

  test("a Route without lr that a phone names by itself is left as it is", async () => {
    const { site, alice } = await scene();
    const request = { ...alice.inviteRequest("102", ""), method: "OPTIONS" };
    setHeader(request, "CSeq", "1 OPTIONS");
    prependHeader(request, "Route", `<sip:${PBX}>`);
    void alice.send(request);
    await site.pass(20);
    expect(site.pbx.received("OPTIONS")[0]?.uri).toBe("sip:102@pbx.example");
  });
});

describe("Timer C (RFC 3261 §16.6 step 11, §16.8)", () => {
  test("a call that rings for three minutes without another word is cancelled; one that says so rings on", async () => {
    const { site, alice, bob } = await scene();
    const answer = alice.send(alice.inviteRequest("102"));
    await site.pass(20);
    bob.respond(ringing(bob), 180);
    await site.pass(150_000);
    bob.respond(ringing(bob), 180);
    await site.pass(150_000);
    let cancelled = false;
    ringing(bob).onCancel(() => {
      cancelled = true;
      bob.respond(ringing(bob), 487);
    });
    expect(cancelled).toBe(false);
    await site.pass(40_000);
    expect(cancelled).toBe(true);
    expect((await within(site, 50, answer)).status).toBe(487);
  });
});

describe("what makes a subscription (RFC 6665)", () => {
  test.each(["SUBSCRIBE", "REFER", "NOTIFY"])(
    "%s leaves with a Record-Route, so that what follows comes back here",
    async (method) => {
      const { site, alice } = await scene();
      const request = { ...alice.inviteRequest("102", ""), method };
      setHeader(request, "CSeq", `1 ${method}`);
      void alice.send(request);
      await site.pass(20);
      const [arrived] = site.pbx.received(method);
      const ours = arrived === undefined ? [] : headerList(arrived, "Record-Route");
      expect(ours).toHaveLength(2);
      expect(ours.every((element) => element.includes(BOX))).toBe(true);
    },
  );

  test("MESSAGE and OPTIONS leave without one", async () => {
    const { site, alice } = await scene();
    for (const method of ["MESSAGE", "OPTIONS"]) {
      const request = { ...alice.inviteRequest("102", ""), method };
      setHeader(request, "CSeq", `1 ${method}`);
      void alice.send(request);
      await site.pass(20);
      const [arrived] = site.pbx.received(method);
      expect(arrived && headerList(arrived, "Record-Route")).toEqual([]);
    }
  });
});
