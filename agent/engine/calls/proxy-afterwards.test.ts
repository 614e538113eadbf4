/** What still comes when a call is over must not open media again: nobody would give those ports back. */
import { afterEach, expect, test } from "vitest";
import { buildResponse } from "../../sip/messages/build.ts";
import type { SipResponse } from "../../sip/messages/message.ts";
import { sdp } from "../testing/memory-phone.ts";
import { endpoints, fail, ringing, type Scene, scene, talking, within } from "../testing/scene.ts";

let made: Scene;
afterEach(async () => {
  await made.site.pass(50);
  expect(endpoints(made.site)).toEqual([]);
});

async function hungUp() {
  made = await scene();
  const call = await talking(made);
  const { site, alice } = made;
  expect((await within(site, 40, alice.send(alice.inDialog(call.caller, "BYE")))).status).toBe(200);
  expect(endpoints(site)).toEqual([]);
  return { ...made, ...call };
}

test("an offer that crossed the BYE: 481", async () => {
  const { site, alice, bob, caller } = await hungUp();
  const again = alice.send(alice.inDialog(caller, "INVITE", sdp(alice.address, 30_100)));
  await site.pass(20);
  bob.respond(ringing(bob), 481);
  expect((await within(site, 20, again)).status).toBe(481);
});

test("an UPDATE that crossed the refusal of the call: 481", async () => {
  made = await scene();
  const { site, alice, bob } = made;
  const invite = alice.inviteRequest("102");
  const early: SipResponse[] = [];
  const answer = alice.send(invite, (response) => void early.push(response));
  await site.pass(20);
  bob.respond(ringing(bob), 183, sdp(bob.address, 40_000));
  await site.pass(20);
  bob.respond(ringing(bob), 486);
  expect((await within(site, 20, answer)).status).toBe(486);
  bob.onRequest = (tx) => tx.respond(buildResponse(tx.request, 481));
  const dialog = alice.dialogOf(invite, early.at(-1) ?? fail());
  const update = alice.send(alice.inDialog(dialog, "UPDATE", sdp(alice.address, 30_100)));
  expect((await within(site, 20, update)).status).toBe(481);
});

test("a 200 that is repeated after the BYE goes back all the same, for its ACK may be missing", async () => {
  const { site, alice, bob } = await hungUp();
  const count = () => alice.received.filter((each) => each.kind === "response" && each.status === 200).length;
  const before = count();
  bob.respond(ringing(bob), 200, sdp(bob.address, 40_000));
  await site.pass(50);
  expect(count()).toBeGreaterThan(before);
});

test("an ACK with an answer that is repeated after the BYE", async () => {
  const { site, alice, bob, invite, ok } = await hungUp();
  const before = bob.acks.length;
  alice.ack(invite, ok, sdp(alice.address, 30_000));
  await site.pass(50);
  expect(bob.acks.length).toBe(before + 1);
});
