import { describe, expect, test } from "vitest";
import { newRequest } from "../../../sip/dialogs/dialog.ts";
import { cseqOf, header, setHeader } from "../../../sip/messages/headers.ts";
import { sdp } from "../../testing/memory-phone.ts";
import { memorySite, PBX } from "../../testing/memory-site.ts";
import { inserted } from "./cseq-offset.ts";

/** 101 calls 102 through the cloud: two passages through the box, each with a dialog of its own kind. */
async function talking() {
  const site = await memorySite();
  const alice = await site.phone("101", "10.20.0.101");
  const bob = await site.phone("102", "10.20.0.102");
  void alice.register();
  void bob.register();
  await site.pass(20);
  const invite = alice.inviteRequest("102");
  const answer = alice.send(invite);
  await site.pass(20);
  const tx = bob.pending.at(-1);
  if (tx === undefined) throw new Error("102 does not ring");
  bob.respond(tx, 200, sdp(bob.address, 40_000));
  await site.pass(20);
  const ok = await answer;
  alice.ack(invite, ok);
  await site.pass(20);
  const [first, second] = [...site.parts.dialogs.all()];
  const caller = first?.phone_called === false ? first : second;
  const callee = first?.phone_called === false ? second : first;
  if (caller === undefined || callee === undefined) throw new Error("two dialogs are not kept");
  return { site, alice, bob, invite, ok, tx, caller, callee };
}

describe("dialogs of forwarded calls", () => {
  test("are kept for each passage, with the route behind the box and the peers' own contacts and tags", async () => {
    const { alice, bob, invite, tx, caller, callee } = await talking();
    expect(caller.far).toMatchObject({
      callId: header(invite, "Call-ID"),
      localTag: "call1",
      remoteTag: "t102",
      remoteTarget: bob.contact,
      localSeq: cseqOf(invite)?.seq,
      state: "confirmed",
    });
    expect(caller.far.routeSet[0]).toBe(`<sip:${PBX};lr>`);
    // Behind the cloud the call comes back through the box.
    expect(caller.far.routeSet).toHaveLength(3);
    expect(caller.near).toMatchObject({ localTag: "t102", remoteTag: "call1", remoteTarget: alice.contact });
    expect(caller.near.routeSet).toEqual([]);
    expect(callee).toMatchObject({ phone_called: true, phone: { address: bob.address, port: 5060 } });
    expect(callee.far).toMatchObject({ localTag: "t102", remoteTag: "call1", remoteTarget: alice.contact });
    expect(callee.far.routeSet[0]).toBe(`<sip:${PBX};lr>`);
    expect(callee.near.routeSet).toEqual([]);
    expect(callee.sdp).toContain("m=audio");
    expect(header(tx.request, "Contact")).toContain(alice.contact);
  });

  test("end with the call", async () => {
    const { site, alice, invite, ok } = await talking();
    void alice.send(alice.inDialog(alice.dialogOf(invite, ok), "BYE"));
    await site.pass(20);
    expect(site.parts.dialogs.size).toBe(0);
  });

  test("let every number pass while the box has put in no request", async () => {
    const { site, alice, bob, invite, ok } = await talking();
    const request = alice.inDialog(alice.dialogOf(invite, ok), "INFO");
    const answer = alice.send(request);
    await site.pass(20);
    expect(cseqOf(bob.received.at(-1) ?? request)).toEqual(cseqOf(request));
    expect(cseqOf(await answer)).toEqual(cseqOf(request));
  });

  test("shift the phone's numbers, and the versions of its descriptions, behind what the box put in", async () => {
    const { site, alice, bob, invite, ok, caller } = await talking();
    const { dialog } = newRequest(caller.far, "INVITE");
    site.parts.dialogs.put({ ...caller, far: dialog, out: inserted(caller.out, dialog.localSeq ?? 0), raised: 1 });
    const hold = alice.inDialog(alice.dialogOf(invite, ok), "INVITE", sdp(alice.address, 30_000));
    const answer = alice.send(hold);
    await site.pass(20);
    const tx = bob.pending.at(-1);
    expect(cseqOf(tx?.request ?? hold)?.seq).toBe((cseqOf(hold)?.seq ?? 0) + 1);
    expect(Buffer.from(tx?.request.body ?? "").toString()).toContain("o=- 1 2 IN IP4");
    if (tx !== undefined) bob.respond(tx, 200, sdp(bob.address, 40_000));
    await site.pass(20);
    const response = await answer;
    expect(cseqOf(response)).toEqual(cseqOf(hold));
    // With the route of the dialog, which a 2xx to a re-INVITE does not repeat.
    const acknowledged = { ...ok, headers: [...ok.headers] };
    setHeader(acknowledged, "CSeq", header(response, "CSeq") ?? "");
    alice.ack(hold, acknowledged);
    await site.pass(20);
    expect(cseqOf(bob.acks.at(-1) ?? hold)?.seq).toBe((cseqOf(hold)?.seq ?? 0) + 1);
    const bye = alice.inDialog(alice.dialogOf(invite, ok), "BYE");
    const byeAnswer = alice.send(bye);
    await site.pass(20);
    expect(cseqOf(await byeAnswer)).toEqual(cseqOf(bye));
  });

  test("outlast a BYE that is asked for credentials", async () => {
    const { site, alice, invite, ok } = await talking();
    site.pbx.intercept = (tx) => {
      if (tx.request.method !== "BYE" || header(tx.request, "Proxy-Authorization") !== undefined) return false;
      tx.respond({
        kind: "response",
        status: 407,
        reason: "Proxy Authentication Required",
        headers: tx.request.headers,
        body: new Uint8Array(0),
      });
      return true;
    };
    void alice.send(alice.inDialog(alice.dialogOf(invite, ok), "BYE"));
    await site.pass(20);
    expect(site.parts.dialogs.size).toBe(2);
    expect(site.relay.endpoints.size).toBeGreaterThan(0);
  });
});
