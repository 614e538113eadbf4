/** Offers and answers in every order that telephones use: early media, late offer, hold. */
import { lan, tones_hz } from "../../addresses.ts";
import type { Ear } from "../../capture/capture.ts";
import { header } from "../../capture/sip.ts";
import { sleep } from "../../deadline.ts";
import type { Lab } from "../../lab.ts";
import { beyondPbx } from "../../peers/pbx-features.ts";
import { pause } from "../../peers/sipp-scenario.ts";
import type { Telephone } from "../../peers/telephone.ts";
import { expect, type Scenario } from "../../scenario.ts";
import { hangUp } from "../../story.ts";
import { type Passage, Watch } from "../../transparency.ts";
import { Calling, caller_hz } from "./calling.ts";
import { connect, LISTEN_MS, Sounds } from "./sounds.ts";
import { cast, site, towardsCloud } from "./stage.ts";

async function earlyMedia(lab: Lab): Promise<void> {
  const { baresip101, linphone104 } = cast(lab);
  const watch = new Watch(lab);
  await linphone104.restart({ sip: ["incoming_calls_early_media=1"] });
  for (const phone of [baresip101, linphone104]) phone.forget();
  const sounds = new Sounds(lab, [baresip101, linphone104]);
  await lab.step("linphone104 sends its sound before anybody answers", async () => {
    await baresip101.dial(linphone104.user);
    await watch.passage("183 INVITE");
  });
  await lab.step("baresip101 hears it", () => sounds.hears([baresip101, linphone104]));
  await lab.step("linphone104 is answered, and they talk", async () => {
    await linphone104.answer();
    await Promise.all([baresip101.established(3000), linphone104.established(3000)]);
    await sounds.hears([baresip101, linphone104], [linphone104, baresip101]);
    await hangUp(baresip101, linphone104);
  });
  await linphone104.restart();
  sounds.stop();
  await lab.heard(baresip101, linphone104, LISTEN_MS);
  await lab.heard(linphone104, baresip101, LISTEN_MS / 2);
  await watch.unchanged("INVITE", "183 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE");
}

async function lateOffer(lab: Lab): Promise<void> {
  const { baresip101, linphone104 } = cast(lab);
  const watch = new Watch(lab);
  await linphone104.restart({ sip: ["sdp_200_ack=1"] });
  for (const phone of [baresip101, linphone104]) phone.forget();
  await lab.step("linphone104 invites without a description; baresip101 offers in its 200", async () => {
    await linphone104.dial(baresip101.user);
    await baresip101.ringing(3000);
    await baresip101.answer();
    await Promise.all([baresip101.established(3000), linphone104.established(3000)]);
    await sleep(LISTEN_MS);
    await hangUp(linphone104, baresip101);
  });
  await linphone104.restart();
  const passed = async (label: string, described: boolean) => {
    const { received } = await watch.passage(label);
    expect(received.body.length > 0 === described, `the ${label} ${described ? "has no" : "has a"} description`);
  };
  await passed("INVITE", false);
  await passed("200 INVITE", true);
  await passed("ACK", true);
  await lab.heard(baresip101, linphone104, LISTEN_MS / 2);
  await lab.heard(linphone104, baresip101, LISTEN_MS / 2);
  await watch.unchanged("INVITE", "200 INVITE", "ACK", "BYE", "200 BYE");
}

async function hold(lab: Lab): Promise<void> {
  const { baresip101, linphone103 } = cast(lab);
  const watch = new Watch(lab);
  for (const phone of [baresip101, linphone103]) phone.forget();
  await connect(baresip101, linphone103);
  const sounds = new Sounds(lab, [baresip101, linphone103]);
  const hear = (by101: Telephone | undefined, by103: Telephone | undefined) =>
    sounds.hears([baresip101, by101], [linphone103, by103]);
  const said = async (label: string, direction: string) => {
    await watch.passage(label, 3000, (passage) => passage.received.body.includes(`a=${direction}`));
    // The sound of before is still on its way.
    await sleep(200);
  };
  await lab.step("they talk", () => hear(linphone103, baresip101));
  await lab.step("baresip101 holds: it neither sends nor gets anything", async () => {
    await baresip101.hold();
    await said("INVITE", "sendonly");
    await hear(undefined, undefined);
    await baresip101.resume();
    await sleep(400);
    await hear(linphone103, baresip101);
  });
  await lab.step("linphone103 holds: it goes on playing to the other, and hears nothing itself", async () => {
    await linphone103.hold();
    await said("200 INVITE", "recvonly");
    await hear(linphone103, undefined);
  });
  await lab.step("baresip101 holds too, and they agree on inactive", async () => {
    await baresip101.hold();
    await said("200 INVITE", "inactive");
    await hear(undefined, undefined);
  });
  await lab.step("both take the call up again", async () => {
    await baresip101.resume();
    await sleep(400);
    await linphone103.resume();
    await sleep(400);
    await hear(linphone103, baresip101);
  });
  await hangUp(baresip101, linphone103);
  sounds.stop();
  await watch.unchanged("INVITE", "200 INVITE", "ACK", "BYE", "200 BYE");
}

/** RFC 2543's way to hold: no telephone here offers it, but all must bear it. */
async function heldFromBeyond(lab: Lab): Promise<void> {
  const { baresip101 } = cast(lab);
  const watch = new Watch(lab);
  baresip101.forget();
  const [towards, from] = [
    lab.captures.lan.listen(lan.box, baresip101.address),
    lab.captures.wan.listen(towardsCloud(lab), beyondPbx.address),
  ];
  const calling = await new Calling(baresip101.user).start(lab, "holds-by-address", [], (self) => [
    ...[pause(1200), ...self.offers("0.0.0.0")],
    ...[pause(1500), ...self.offers()],
    ...[pause(1500), ...self.hangsUp()],
  ]);
  await baresip101.ringing(3000);
  await baresip101.answer();
  await baresip101.established(3000);
  const since = async (cseq: number) => {
    const answered = ({ received }: Passage) => header(received, "cseq") === `${cseq} INVITE`;
    const { sent } = await watch.passage("200 INVITE", 5000, answered);
    // The sound of before is still on its way.
    return sent.at + 200;
  };
  const [held, resumed] = [await since(2), await since(3)];
  await sleep(1200);
  const ms = (ear: Ear, hz: number, start: number, end: number) =>
    ear.heard(start, end, tones_hz).ms_by_tone.get(hz) ?? 0;
  const before = resumed - 400;
  expect(ms(from, baresip101.tone_hz, held, before) === 0, "held by 0.0.0.0, baresip101 is heard beyond the PBX");
  expect(ms(from, baresip101.tone_hz, resumed, resumed + 900) >= 600, "taken up again, baresip101 is not heard");
  expect(ms(towards, caller_hz, resumed, resumed + 900) >= 600, "taken up again, baresip101 does not hear the caller");
  await calling.ended(10_000);
  await baresip101.closed(3000);
  towards.stop();
  from.stop();
  await watch.unchanged("INVITE", "200 INVITE", "ACK", "BYE", "200 BYE");
}

export const offers: readonly Scenario[] = [
  {
    name: "early-media",
    summary: "a callee's sound in a 183 is heard before anybody answers, and the call goes on with it",
    short: true,
    stage: site,
    run: earlyMedia,
  },
  {
    name: "late-offer",
    summary: "an INVITE without a description: the offer comes in the 200 and the answer in the ACK",
    short: true,
    stage: site,
    run: lateOffer,
  },
  {
    name: "hold-resume",
    summary: "either side holds and takes the call up again",
    short: true,
    stage: site,
    run: hold,
  },
  {
    name: "hold-by-address",
    summary: "a call that is held by c=0.0.0.0 from beyond the PBX is silent, and goes on when it is taken up again",
    short: true,
    stage: site,
    run: heldFromBeyond,
  },
];
