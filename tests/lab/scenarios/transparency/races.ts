/** Messages that cross on the wire. The delay between site and cloud makes every crossing certain. */
import { extensions, hosts } from "../../addresses.ts";
import { header, type SeenMessage } from "../../capture/sip.ts";
import { now, sleep } from "../../deadline.ts";
import type { Lab } from "../../lab.ts";
import { pbxFeatures } from "../../peers/pbx-features.ts";
import { expect, type Scenario } from "../../scenario.ts";
import { hangUp } from "../../story.ts";
import { labelOf, Watch } from "../../transparency.ts";
import { connect, Sounds } from "./sounds.ts";
import { cast, site } from "./stage.ts";

/** Round trip between site and cloud, ms; each direction takes half. */
const DELAY_MS = 200;

/**
 * baresip102 by a number that only the PBX knows: else the box, which takes a sudden delay for a dying path, may put the
 * call through by itself.
 */
const number = `${pbxFeatures.waiting.number}${extensions.baresip102.user}`;

/** RFC 3261 §14.1: the longest that anybody waits before it tries again. */
const RETRY_MAX_MS = 4000;

/** Plays with the delay, and takes it away when nothing is on its way any more. */
async function delayed(lab: Lab, watch: Watch, act: () => Promise<void>): Promise<void> {
  await lab.cuts.delay(DELAY_MS);
  try {
    await act();
    await watch.quiet(2 * DELAY_MS);
  } finally {
    await lab.cuts.delay(0);
  }
}

async function glare(lab: Lab): Promise<void> {
  const { baresip101, baresip102 } = cast(lab);
  const watch = new Watch(lab);
  for (const phone of [baresip101, baresip102]) phone.forget();
  const sounds = new Sounds(lab, [baresip101, baresip102]);
  await delayed(lab, watch, async () => {
    await connect(baresip101, baresip102, number);
    await sleep(2 * DELAY_MS);
    const refused = await lab.step("both hold at the same moment, and each refuses the other's offer", async () => {
      await Promise.all([baresip101.hold(), baresip102.hold()]);
      const refusals = [baresip101, baresip102].map(({ address }) =>
        watch.passage("491 INVITE", 3000, ({ sent }) => sent.to.startsWith(`${address}:`)),
      );
      const [one, other] = await Promise.all(refusals);
      expect(one !== undefined && other !== undefined, "not both were refused");
      return one.sent.at > other.sent.at ? one : other;
    });
    // RFC 3261 §14.1: whoever made the Call-ID waits 2.1 to 4 s, the other up to 2 s.
    await lab.step("the one that may tries again first, and is not refused", async () => {
      const again = await watch.passage("INVITE", 5000, ({ received }) => received.at > refused.sent.at);
      await watch.passage("200 INVITE", 3000, ({ received }) => cseqOf(received) === cseqOf(again.received));
      // The other has its turn until then; baresip has nothing left to offer if it was held meanwhile.
      await sleep(refused.sent.at + RETRY_MAX_MS - now());
    });
  });
  for (const phone of [baresip101, baresip102]) {
    await phone.resume();
    await sleep(400);
  }
  await lab.step("they talk again", () => sounds.hears([baresip101, baresip102], [baresip102, baresip101]));
  await hangUp(baresip101, baresip102);
  sounds.stop();
  await watch.unchanged("INVITE", "491 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE");
}

const cseqOf = (message: SeenMessage): string => `${header(message, "call-id")} ${header(message, "cseq")}`;

async function cancelAgainst200(lab: Lab): Promise<void> {
  const { baresip101, baresip102 } = cast(lab);
  const watch = new Watch(lab);
  const mark = lab.captures.lan.messages.mark;
  for (const phone of [baresip101, baresip102]) phone.forget();
  await delayed(lab, watch, async () => {
    await lab.step("baresip102 answers, and baresip101 gives up before it hears of it", async () => {
      await baresip101.dial(number);
      await baresip102.ringing(5000);
      await watch.passage("180 INVITE", 3000, ({ sent }) => sent.to.startsWith(`${baresip101.address}:`));
      await baresip102.answer();
      await baresip101.hangUp();
    });
    await lab.step("the answer is acknowledged and the call ended", async () => {
      await watch.passage("200 BYE", 5000);
      await baresip102.closed(5000);
    });
  });
  const atBox = lab.captures.lan.messages.since(mark);
  const cancel = atBox.find(({ method, to }) => method === "CANCEL" && to === `${hosts.pbx}:5060`);
  const ok = atBox.find((each) => each.from === `${hosts.pbx}:5060` && labelOf(each) === "200 INVITE");
  expect(cancel !== undefined && ok !== undefined, "there was no CANCEL, or no 200");
  expect(cancel.at < ok.at, "the 200 was there before the CANCEL had left");
  await watch.unchanged("INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE");
}

async function cancelled(lab: Lab): Promise<void> {
  const { baresip101, baresip102 } = cast(lab);
  const watch = new Watch(lab);
  const mark = lab.captures.lan.messages.mark;
  for (const phone of [baresip101, baresip102]) phone.forget();
  await delayed(lab, watch, async () => {
    await lab.step("baresip101 gives up before the PBX has said a word", async () => {
      await baresip101.dial(number);
      const from = `${baresip101.address}:`;
      await lab.captures.lan.messages.next(
        "the INVITE with credentials",
        3000,
        (each) =>
          each.method === "INVITE" && each.from.startsWith(from) && header(each, "proxy-authorization") !== undefined,
        mark,
      );
      await baresip101.hangUp();
      await watch.passage("487 INVITE", 5000, ({ sent }) => sent.to.startsWith(from));
    });
  });
  await lab.step("the CANCEL waited for the PBX's 100 (RFC 3261 §9.1)", async () => {
    const atBox = lab.captures.lan.messages.since(mark);
    const trying = atBox.find(({ from, status }) => from === `${hosts.pbx}:5060` && status === 100);
    const cancel = atBox.filter(({ method, to }) => method === "CANCEL" && to === `${hosts.pbx}:5060`);
    expect(trying !== undefined && cancel.length === 1, `${cancel.length} CANCEL went to the PBX`);
    expect((cancel[0]?.at ?? 0) >= trying.at, "the CANCEL left before the 100 had come");
  });
  for (const phone of [baresip101, baresip102]) phone.forget();
  await lab.step("baresip101 gives up while it rings", async () => {
    await baresip101.dial(number);
    await baresip102.ringing(3000);
    await baresip101.hangUp();
    await Promise.all([baresip101.closed(3000), baresip102.closed(3000)]);
  });
  await watch.unchanged("INVITE", "180 INVITE", "487 INVITE");
}

export const races: readonly Scenario[] = [
  {
    name: "re-invite-glare",
    summary: "both sides offer at once: each gets 491, waits its time, and neither is left stuck",
    short: true,
    stage: site,
    run: glare,
  },
  {
    name: "cancel-against-200",
    summary: "the caller's CANCEL and the callee's 200 cross on the wire: ACK and BYE reach the callee",
    short: true,
    stage: site,
    run: cancelAgainst200,
  },
  {
    name: "cancel-before-100",
    summary: "a call that is given up before the PBX has said a word, and one that rings: 487",
    short: true,
    stage: site,
    run: cancelled,
  },
];
