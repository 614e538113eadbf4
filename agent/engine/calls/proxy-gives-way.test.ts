import { expect, test } from "vitest";
import { buildResponse } from "../../sip/messages/build.ts";
import { header } from "../../sip/messages/headers.ts";
import type { SipRequest, SipResponse } from "../../sip/messages/message.ts";
import type { ServerTransaction } from "../../sip/transactions/server-transaction.ts";
import { sdp } from "../testing/memory-phone.ts";
import { endpoints, fail, ringing, scene, within } from "../testing/scene.ts";

/** Alice's call stands at the PBX, which has rung and said nothing more. */
async function unanswered() {
  const made = await scene();
  const { site, alice } = made;
  let tx: ServerTransaction | undefined;
  let cancel: SipRequest | undefined;
  site.pbx.intercept = (each) => {
    if (each.request.method !== "INVITE") return false;
    tx = each;
    each.onCancel((request) => {
      cancel = request;
      each.respond(buildResponse(each.request, 487, { toTag: "x" }));
    });
    each.respond(buildResponse(each.request, 180, { toTag: "x" }));
    return true;
  };
  const early: SipResponse[] = [];
  const answer = alice.send(alice.inviteRequest("102"), (response) => void early.push(response));
  await site.pass(20);
  return { ...made, answer, tx: tx ?? fail(), cancelled: () => cancel };
}

test("an emergency call takes the path of a forwarded call that rings: the phone is told at once, the cloud's leg cancelled", async () => {
  const { site, answer, cancelled } = await unanswered();
  expect(endpoints(site)).not.toEqual([]);
  site.parts.proxy.giveWay("wan");
  // Nobody's word is waited for.
  expect(endpoints(site)).toEqual([]);
  expect((await within(site, 20, answer)).status).toBe(480);
  expect(header(cancelled() ?? fail(), "Reason")).toContain("cause=503");
});

test("a forwarded call on another path rings on", async () => {
  const { site, cancelled } = await unanswered();
  site.parts.proxy.giveWay("lte");
  await site.pass(20);
  expect(cancelled()).toBeUndefined();
  expect(endpoints(site)).not.toEqual([]);
});

test("a call from the cloud gives way too: its phone stops ringing, and the cloud is told", async () => {
  const { site, alice, bob } = await scene();
  const invite = alice.inviteRequest("102");
  void alice.send(invite);
  await site.pass(20);
  const tx = ringing(bob);
  let stopped = false;
  tx.onCancel(() => {
    stopped = true;
  });
  bob.respond(tx, 180);
  await site.pass(20);
  site.parts.proxy.giveWay("wan");
  await site.pass(20);
  expect(stopped).toBe(true);
  expect(endpoints(site)).toEqual([]);
});

test("an answered call is not refused a second time", async () => {
  const { site, answer, tx } = await unanswered();
  tx.respond(buildResponse(tx.request, 200, { toTag: "x", ...sdpBody, headers: contact }));
  expect((await within(site, 20, answer)).status).toBe(200);
  expect(() => site.parts.proxy.giveWay("wan")).not.toThrow();
});

const sdpBody = { body: sdp("198.51.100.7", 40_000), contentType: "application/sdp" };
const contact = [{ name: "Contact", value: "<sip:x@198.51.100.1>" }];
