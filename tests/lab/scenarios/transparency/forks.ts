/** What comes of an INVITE that the PBX sends to several telephones. */

import { header, type SeenMessage } from "../../capture/sip.ts";
import type { Lab } from "../../lab.ts";
import { pbxFeatures } from "../../peers/pbx-features.ts";
import { expect, type Scenario } from "../../scenario.ts";
import { hangUp } from "../../story.ts";
import { tagOf, Watch } from "../../transparency.ts";
import { LISTEN_MS, Sounds } from "./sounds.ts";
import { cast, site } from "./stage.ts";

async function forked18x(lab: Lab): Promise<void> {
  const { baresip101, linphone104, linphone105 } = cast(lab);
  const forks = [linphone104, linphone105] as const;
  await Promise.all(forks.map((phone) => phone.restart({ sip: ["incoming_calls_early_media=1"] })));
  const watch = new Watch(lab);
  for (const phone of [baresip101, ...forks]) phone.forget();
  const sounds = new Sounds(lab, [baresip101, ...forks]);
  await lab.step(
    "baresip101 calls a number that rings two telephones; both send sound before they are answered",
    async () => {
      await baresip101.dial(pbxFeatures.fork.number);
      const tags = new Set<string>();
      for (const phone of forks) {
        const { received } = await watch.passage("183 INVITE", 3000, ({ received }) =>
          received.from.startsWith(`${phone.address}:`),
        );
        tags.add(tagOf(received, "to"));
      }
      await watch.passage(
        "183 INVITE",
        3000,
        ({ sent }) => sent.to.startsWith(`${baresip101.address}:`) && tagOf(sent, "to") === [...tags][1],
      );
      expect(tags.size === 2, `the two 183 have the tags ${[...tags].join(", ")}`);
    },
  );
  const heard = await lab.step("baresip101 hears one of them", () => sounds.whom(baresip101, forks));
  const other = heard === linphone104 ? linphone105 : linphone104;
  await lab.step(`${other.name}, which is not heard yet, answers: it is heard, the other's ringing ends`, async () => {
    await other.answer();
    await Promise.all([baresip101.established(3000), other.established(3000)]);
    await (heard === linphone104 ? linphone104 : linphone105).closed(3000);
    await sounds.hears([baresip101, other], [other, baresip101]);
  });
  await hangUp(other, baresip101);
  sounds.stop();
  await lab.step("the CANCEL tells the telephone that it has missed nothing, as the PBX did (RFC 3326)", async () => {
    const reasonOfCancel = (messages: readonly SeenMessage[]) => {
      const cancel = messages.find(({ method, from }) => method === "CANCEL" && !from.startsWith("10.77.1.1"));
      return cancel === undefined ? undefined : header(cancel, "reason");
    };
    const [by, to] = [reasonOfCancel(watch.wan), reasonOfCancel(watch.lan)];
    expect(by !== undefined && by === to, `the PBX said ${by}, the telephone was told ${to}`);
  });
  await Promise.all(forks.map((phone) => phone.restart()));
  await watch.unchanged("INVITE", "183 INVITE", "200 INVITE", "ACK", "487 INVITE", "BYE", "200 BYE");
}

async function inTurn(lab: Lab): Promise<void> {
  const { baresip101, linphone104, linphone105 } = cast(lab);
  const forks = [linphone104, linphone105] as const;
  await Promise.all(forks.map((phone) => phone.restart({ sip: ["incoming_calls_early_media=1"] })));
  const watch = new Watch(lab);
  for (const phone of [baresip101, ...forks]) phone.forget();
  const sounds = new Sounds(lab, [baresip101, ...forks]);
  const early = (phone: (typeof forks)[number]) =>
    watch.passage("183 INVITE", 5000, ({ received }) => received.from.startsWith(`${phone.address}:`));
  await lab.step("linphone104 rings, and its sound is heard before the answer", async () => {
    await baresip101.dial(pbxFeatures.inTurn.number);
    await early(linphone104);
    await sounds.hears([baresip101, linphone104]);
  });
  await lab.step("it does not answer: linphone105 rings instead, and is heard before its answer", async () => {
    await early(linphone105);
    await linphone104.closed(3000);
    await sounds.hears([baresip101, linphone105]);
  });
  await lab.step("linphone105 answers", async () => {
    await linphone105.answer();
    await Promise.all([baresip101.established(3000), linphone105.established(3000)]);
    await sounds.hears([baresip101, linphone105], [linphone105, baresip101]);
  });
  await hangUp(linphone105, baresip101);
  sounds.stop();
  await Promise.all(forks.map((phone) => phone.restart()));
  await watch.unchanged("INVITE", "183 INVITE", "487 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE");
}

const DELAY_MS = 400;

async function forked2xx(lab: Lab): Promise<void> {
  const { baresip102, linphone103 } = cast(lab);
  const { outside } = lab.remote;
  const watch = new Watch(lab);
  for (const phone of [baresip102, linphone103, outside]) phone.forget();
  const mark = lab.captures.wan.messages.mark;
  const sounds = new Sounds(lab, [linphone103]);
  // Long enough that both have answered before either hears of the other.
  await lab.cuts.delay(DELAY_MS);
  await lab.step("linphone103 calls a number that rings two telephones; both answer at once", async () => {
    await linphone103.dial(pbxFeatures.twinned.number);
    await Promise.all([baresip102.ringing(3000), outside.ringing(3000)]);
    await Promise.all([baresip102.answer(), outside.answer()]);
    // Of the other one the PBX may hand on the BYE before the ACK: then it has answered, and never sees the call stand.
    await Promise.all([outside, linphone103].map((phone) => phone.established(3000)));
  });
  await lab.step("linphone103 takes the first, and acknowledges the second and hangs it up", async () => {
    await baresip102.closed(3000);
    const acknowledged = lab.captures.wan.messages.since(mark).filter(({ method }) => method === "ACK");
    expect(new Set(acknowledged.map((ack) => tagOf(ack, "to"))).size >= 2, "only one of the two was acknowledged");
    // What is on its way when the delay goes is lost with it.
    await watch.quiet(2 * DELAY_MS);
  });
  await lab.cuts.delay(0);
  await lab.step("the first goes on", async () => {
    await sounds.hears([linphone103, outside]);
    await hangUp(linphone103, outside);
  });
  await lab.heard(outside, linphone103, LISTEN_MS);
  sounds.stop();
  await watch.unchanged("INVITE", "200 INVITE", "ACK", "BYE", "200 BYE");
}

export const forks: readonly Scenario[] = [
  {
    name: "forked-18x",
    summary: "two telephones ring and send early media, each with its own To-tag; the one that answers is heard",
    short: true,
    stage: site,
    run: forked18x,
  },
  {
    name: "forked-in-turn",
    summary: "the PBX rings one telephone after the other; each is heard before it answers, and only while it rings",
    short: true,
    stage: site,
    run: inTurn,
  },
  {
    name: "forked-2xx",
    summary: "two telephones answer at once: the caller acknowledges both and hangs up on one, and hears the other",
    short: true,
    stage: site,
    run: forked2xx,
  },
];
