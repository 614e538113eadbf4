/** Calls that change hands: transfers with and without asking, and a second call for somebody who talks already. */
import { domains } from "../../addresses.ts";
import { header } from "../../capture/sip.ts";
import { sleep } from "../../deadline.ts";
import type { Lab } from "../../lab.ts";
import { pbxFeatures } from "../../peers/pbx-features.ts";
import { pause, receiveRequest, receiveResponse, reply } from "../../peers/sipp-scenario.ts";
import { expect, type Scenario } from "../../scenario.ts";
import { hangUp } from "../../story.ts";
import { type Passage, Watch } from "../../transparency.ts";
import { Calling } from "./calling.ts";
import { connect, Sounds } from "./sounds.ts";
import { cast, site } from "./stage.ts";

async function blindTransfer(lab: Lab): Promise<void> {
  const { baresip101, baresip102, linphone103, linphone104 } = cast(lab);
  for (const transferee of [linphone103, baresip102]) {
    const watch = new Watch(lab);
    for (const phone of [baresip101, transferee, linphone104]) phone.forget();
    const sounds = new Sounds(lab, [transferee, linphone104]);
    await connect(baresip101, transferee);
    await lab.step(`baresip101 sends ${transferee.name} to linphone104, without asking`, async () => {
      await baresip101.transfer(`sip:${linphone104.user}@${domains.pbx}`);
      await linphone104.ringing(3000);
      await linphone104.answer();
      await linphone104.established(3000);
      await baresip101.closed(5000);
      await sounds.hears([transferee, linphone104], [linphone104, transferee]);
    });
    await lab.step("its way is told in NOTIFY with message/sipfrag", async () => {
      const { received } = await watch.passage("NOTIFY", 3000, ({ received }) => received.body.includes("SIP/2.0 200"));
      expect(/^message\/sipfrag/.test(header(received, "content-type") ?? ""), "the NOTIFY has no message/sipfrag");
      expect(/^refer/.test(header(received, "event") ?? ""), "the NOTIFY is not of the event refer");
    });
    await hangUp(linphone104, transferee);
    sounds.stop();
    await watch.unchanged("INVITE", "REFER", "202 REFER", "NOTIFY", "200 NOTIFY", "BYE", "200 BYE");
  }
}

async function attendedTransfer(lab: Lab): Promise<void> {
  const { linphone103, linphone104, linphone105 } = cast(lab);
  const watch = new Watch(lab);
  for (const phone of [linphone103, linphone104, linphone105]) phone.forget();
  const sounds = new Sounds(lab, [linphone103, linphone104]);
  await lab.step("linphone105 talks with linphone103, and asks linphone104", async () => {
    await connect(linphone105, linphone103);
    await linphone105.hold();
    await linphone105.says(/to \[?LinphoneCallPaused\b/, 3000);
    await connect(linphone105, linphone104);
    await linphone105.inCall(await linphone105.callNumber(1));
  });
  await lab.step("linphone105 joins the two, and is out", async () => {
    await linphone105.join(await linphone105.callNumber(0), await linphone105.callNumber(1));
    const { received } = await watch.passage(
      "INVITE",
      3000,
      (passage) => header(passage.received, "replaces") !== undefined,
    );
    lab.timeline.note(`${received.start} replaces ${header(received, "replaces")}`);
    await linphone105.closed(5000);
    await sleep(300);
    await sounds.hears([linphone103, linphone104], [linphone104, linphone103]);
  });
  await lab.step("they hang up", async () => {
    await linphone103.hangUp();
    await sleep(300);
  });
  sounds.stop();
  const refer = await watch.passage("REFER");
  expect(/Replaces=/.test(header(refer.received, "refer-to") ?? ""), "the REFER names no call to replace");
  await watch.unchanged("INVITE", "REFER", "202 REFER", "NOTIFY", "200 NOTIFY", "BYE", "200 BYE");
}

async function callWaiting(lab: Lab): Promise<void> {
  const { baresip101, baresip102, linphone103 } = cast(lab);
  const watch = new Watch(lab);
  for (const phone of [baresip101, baresip102, linphone103]) phone.forget();
  const sounds = new Sounds(lab, [baresip101, baresip102, linphone103]);
  await connect(baresip101, linphone103);
  await lab.step("a second call knocks: it rings, and the caller hears that it waits", async () => {
    await baresip102.dial(`${pbxFeatures.waiting.number}${linphone103.user}`);
    for (const label of ["INVITE", "180 INVITE"]) {
      await watch.passage(label, 3000, ({ received }) => header(received, "alert-info") !== undefined);
    }
    await sounds.hears([linphone103, baresip101], [baresip101, linphone103]);
  });
  const [first, second] = [await linphone103.callNumber(0), await linphone103.callNumber(1)];
  await lab.step("linphone103 takes it; the first waits on hold", async () => {
    await linphone103.answerCall(second);
    await baresip102.established(3000);
    await sleep(400);
    await sounds.hears([linphone103, baresip102], [baresip102, linphone103]);
  });
  await lab.step("linphone103 goes back to the first, and forth again", async () => {
    for (const [call, partner] of [
      [first, baresip101],
      [second, baresip102],
    ] as const) {
      await linphone103.hold();
      await sleep(200);
      await linphone103.resume(call);
      await sleep(600);
      await sounds.hears([linphone103, partner], [partner, linphone103]);
    }
  });
  await lab.step("both hang up", async () => {
    for (const phone of [baresip102, baresip101]) {
      await phone.hangUp();
      await phone.closed(3000);
    }
  });
  sounds.stop();
  await watch.unchanged("INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE");
}

/** No telephone here asks for it: SIPp sends the REFER, and baresip is sent elsewhere. */
async function withoutSubscription(lab: Lab): Promise<void> {
  const { baresip101, linphone104 } = cast(lab);
  const watch = new Watch(lab);
  for (const phone of [baresip101, linphone104]) phone.forget();
  const sounds = new Sounds(lab, [baresip101, linphone104]);
  const asked = ["Require: norefersub", "Refer-Sub: false", `Refer-To: <sip:${linphone104.user}@${domains.pbx}>`];
  const own = ["Supported: norefersub", 'X-Holdfast-Lab: kept, as it is;a="b, c"'];
  const calling = await new Calling(baresip101.user).start(lab, "refers-quietly", own, (self) => [
    pause(500),
    self.inside("REFER", { headers: [...asked, ...own] }),
    receiveResponse(202),
    // baresip does not know of it, and subscribes the caller all the same (RFC 4488 §4).
    ...[receiveRequest("NOTIFY"), reply("200 OK", { tag: false, contact: false })],
    ...[receiveRequest("NOTIFY"), reply("200 OK", { tag: false, contact: false })],
    ...self.hangsUp(),
  ]);
  await baresip101.ringing(3000);
  await baresip101.answer();
  await linphone104.ringing(5000);
  await linphone104.answer();
  await linphone104.established(3000);
  await sounds.hears([baresip101, linphone104], [linphone104, baresip101]);
  await calling.ended(10_000);
  await hangUp(linphone104, baresip101);
  sounds.stop();
  const { sent } = await watch.passage("REFER");
  expect(header(sent, "refer-sub") === "false", "the REFER lost its Refer-Sub");
  await watch.unchanged("INVITE", "REFER", "202 REFER", "NOTIFY", "200 NOTIFY", "BYE", "200 BYE");
}

async function redirected(lab: Lab): Promise<void> {
  const { baresip101, linphone104, linphone105 } = cast(lab);
  const watch = new Watch(lab);
  for (const phone of [baresip101, linphone104, linphone105]) phone.forget();
  const sounds = new Sounds(lab, [baresip101, linphone104, linphone105]);
  await lab.step(
    "the PBX says 302; baresip101 follows, and linphone104 is told where the call was before",
    async () => {
      await connect(baresip101, linphone104, pbxFeatures.moved.number);
      const { received } = await watch.passage("302 INVITE");
      expect(header(received, "diversion") !== undefined, "the 302 has no Diversion");
      const told = ({ sent }: Passage) =>
        header(sent, "history-info") !== undefined && header(sent, "diversion") !== undefined;
      await watch.passage("INVITE", 3000, told);
      await sounds.hears([baresip101, linphone104], [linphone104, baresip101]);
      await hangUp(baresip101, linphone104);
    },
  );
  for (const phone of [baresip101, linphone104, linphone105]) phone.forget();
  await lab.step("a telephone says 302: baresip101 follows it to linphone105", async () => {
    await baresip101.dial(linphone104.user);
    await linphone104.ringing(3000);
    await linphone104.redirect(await linphone104.callNumber(0), `sip:${linphone105.user}@${domains.pbx}`);
    await linphone105.ringing(3000);
    await linphone105.answer();
    await Promise.all([baresip101.established(3000), linphone105.established(3000)]);
    await sounds.hears([baresip101, linphone105], [linphone105, baresip101]);
    await hangUp(baresip101, linphone105);
  });
  sounds.stop();
  await watch.unchanged("INVITE", "302 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE");
}

export const transfers: readonly Scenario[] = [
  {
    name: "blind-transfer",
    summary: "REFER sends the other end elsewhere, by either telephone program; NOTIFY tells how it went",
    short: true,
    stage: site,
    run: blindTransfer,
  },
  {
    name: "attended-transfer",
    summary:
      "REFER with Replaces, and the INVITE with Replaces that comes of it, join the two whom somebody talked with",
    short: true,
    stage: site,
    run: attendedTransfer,
  },
  {
    name: "transfer-norefersub",
    summary: "REFER that wants no subscription (RFC 4488): Refer-Sub and norefersub pass, and the transfer is made",
    short: true,
    stage: site,
    run: withoutSubscription,
  },
  {
    name: "redirected",
    summary: "302 by the PBX and by a telephone: the caller follows; Diversion and History-Info pass as they are",
    short: true,
    stage: site,
    run: redirected,
  },
  {
    name: "call-waiting",
    summary: "a second call to somebody who talks: it rings with Alert-Info, is taken, and the two are swapped",
    short: true,
    stage: site,
    run: callWaiting,
  },
];
