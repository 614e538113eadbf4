/**
 * Telephone → box → PBX → box → telephone: one call passes the same box twice, with one identity (Call-ID and tags), and
 * must be two passages there and one call to whoever looks.
 */
import { header, type SeenMessage } from "../../capture/sip.ts";
import { now, sleep, until } from "../../deadline.ts";
import type { Lab } from "../../lab.ts";
import { pbxFeatures } from "../../peers/pbx-features.ts";
import type { Telephone } from "../../peers/telephone.ts";
import { expect, type Scenario } from "../../scenario.ts";
import { eventsAtNoc, hangUp } from "../../story.ts";
import { tagOf, Watch } from "../../transparency.ts";
import { connect, Sounds } from "./sounds.ts";
import { cast, site } from "./stage.ts";

/** All four times that an INVITE or its 200 was seen: at either telephone and at the PBX. */
function identities(watch: Watch, label: string, identity: (message: SeenMessage) => string): readonly string[] {
  return watch.passages.passed
    .filter((passage) => passage.label === label)
    .flatMap(({ received, sent }) => [identity(received), identity(sent)]);
}

/** One call to the page and to the NOC, whose halves end together. */
async function oneCall(lab: Lab, act: () => Promise<void>): Promise<void> {
  const mark = lab.broker.messages.mark;
  await act();
  const told = () => eventsAtNoc(lab, mark).filter(({ type }) => type.startsWith("call."));
  await until("the NOC to hear of the call's end", 5000, () =>
    told().some(({ type }) => type === "call.ended") ? true : undefined,
  );
  const types = told().map(({ type }) => type);
  expect(types.join() === "call.started,call.answered,call.ended", `the NOC heard ${types.join()}`);
}

async function hold(lab: Lab, sounds: Sounds, by: Telephone & Holder, other: Telephone): Promise<void> {
  await lab.step(`${by.name} holds, and takes the call up again`, async () => {
    const watch = new Watch(lab);
    await by.hold();
    await watch.passage("200 INVITE", 3000, ({ sent }) => sent.to.startsWith(`${by.address}:`));
    await sleep(200);
    await sounds.hears([by, undefined]);
    const again = new Watch(lab);
    await by.resume();
    await again.passage("200 INVITE", 3000, ({ sent }) => sent.to.startsWith(`${by.address}:`));
    await sleep(200);
    await sounds.hears([by, other], [other, by]);
  });
}

interface Holder {
  hold(): Promise<void>;
  resume(): Promise<void>;
}

async function spiral(lab: Lab): Promise<void> {
  const { baresip101, baresip102 } = cast(lab);
  const watch = new Watch(lab);
  const sounds = new Sounds(lab, [baresip101, baresip102]);
  for (const phone of [baresip101, baresip102]) phone.forget();
  await oneCall(lab, async () => {
    await lab.step("baresip101 calls baresip102: one identity at every hop, one call on the page", async () => {
      await connect(baresip101, baresip102);
      const identity = (message: SeenMessage) =>
        [header(message, "call-id"), tagOf(message, "from"), tagOf(message, "to")].join(" ");
      const seen = identities(watch, "200 INVITE", identity);
      expect(seen.length >= 4, `the 200 was seen ${seen.length} times, not at four hops`);
      expect(new Set(seen).size === 1, `Call-ID and tags changed on the way: ${[...new Set(seen)].join("; ")}`);
      await until("the page to show one answered call", 3000, async () => {
        const calls = (await lab.box.status())?.engine?.calls ?? [];
        return (calls.length === 1 && calls[0]?.state === "answered") || undefined;
      });
      await sounds.hears([baresip101, baresip102], [baresip102, baresip101]);
    });
    await hold(lab, sounds, baresip101, baresip102);
    await hold(lab, sounds, baresip102, baresip101);
    await lab.step("the caller hangs up", () => hangUp(baresip101, baresip102));
  });
  await oneCall(lab, () =>
    lab.step("another call: the callee hangs up", async () => {
      for (const phone of [baresip101, baresip102]) phone.forget();
      await connect(baresip101, baresip102);
      await sleep(300);
      await hangUp(baresip102, baresip101);
    }),
  );
  sounds.stop();
  await watch.unchanged("INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE");
}

async function cancelled(lab: Lab): Promise<void> {
  const { baresip101, baresip102 } = cast(lab);
  const watch = new Watch(lab);
  for (const phone of [baresip101, baresip102]) phone.forget();
  await baresip101.dial(baresip102.user);
  await baresip102.ringing(3000);
  const at = now();
  await baresip101.hangUp();
  await Promise.all([baresip101.closed(3000), baresip102.closed(3000)]);
  lab.timeline.note(`baresip102 stopped ringing ${now() - at} ms after baresip101 hung up`);
  await watch.passage("487 INVITE", 3000, ({ sent }) => sent.to.startsWith(`${baresip101.address}:`));
  await watch.unchanged("INVITE", "180 INVITE", "487 INVITE");
}

async function forked(lab: Lab): Promise<void> {
  const { baresip101, linphone104, linphone105 } = cast(lab);
  for (const [answering, other] of [
    [linphone104, linphone105],
    [linphone105, linphone104],
  ] as const) {
    const watch = new Watch(lab);
    const sounds = new Sounds(lab, [baresip101, answering]);
    for (const phone of [baresip101, answering, other]) phone.forget();
    await lab.step(`two telephones of the box ring; ${answering.name} answers, ${other.name} stops`, async () => {
      await baresip101.dial(pbxFeatures.fork.number);
      await Promise.all([answering.ringing(3000), other.ringing(3000)]);
      await answering.answer();
      await Promise.all([baresip101.established(3000), answering.established(3000), other.closed(3000)]);
      await sounds.hears([baresip101, answering], [answering, baresip101]);
    });
    const [first, second] = answering === linphone104 ? [baresip101, answering] : [answering, baresip101];
    await lab.step(`${first.name} hangs up`, () => hangUp(first, second));
    sounds.stop();
    await watch.unchanged("INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE");
  }
}

export const spirals: readonly Scenario[] = [
  {
    name: "spiral",
    summary: "telephone → box → PBX → box → telephone: one identity, hold from either end, BYE from either end",
    short: true,
    stage: site,
    run: spiral,
  },
  {
    name: "spiral-cancelled",
    summary: "the same, cancelled while it rings: the callee stops, the caller gets its 487",
    short: true,
    stage: site,
    run: cancelled,
  },
  {
    name: "spiral-forked",
    summary: "the same, forked by the PBX to two telephones of the box: either may answer, the other stops",
    short: true,
    stage: site,
    run: forked,
  },
];
