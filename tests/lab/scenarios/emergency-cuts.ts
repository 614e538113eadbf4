/** The WAN is cut under a 911 call whose carrier has the INVITE already: before its 100, while it rings, once it answered. */
import { hosts, lan, numbers } from "../addresses.ts";
import { cseqMethod } from "../capture/sip.ts";
import { now, sleep, until } from "../deadline.ts";
import type { Lab } from "../lab.ts";
import type { Sipp } from "../peers/sipp.ts";
import { pause, receiveRequest, reply, type Step, saysNothing } from "../peers/sipp-scenario.ts";
import { expect, type Scenario } from "../scenario.ts";
import { bothHeard, nocEvent } from "../story.ts";
import { answered, cancelled, ringing, takes, trying } from "../weather/carrier.ts";
import { type Expected, judge, legsSince, type Marks, marks } from "../weather/judge.ts";
import { carrierSteps, weatherWithCuts } from "../weather/stage.ts";

const TALK_MS = 900;
const HEARD_MS = 500;
/** An answered 911 call whose path is gone: within this the caller is told to dial again. */
const TOLD_WITHIN_MS = 5000;

const lteAnswers = ["lte-trunk trying", "lte-trunk ringing 180", "lte-trunk answered 200"];

/** Dials, cuts once the carrier has done what `cutAfter` waits for, is answered by LTE, talks; then the WAN heals. */
async function cutAndAnsweredByLte(
  lab: Lab,
  sipp: Sipp,
  since: Marks,
  cutAfter: (from: number) => Promise<unknown>,
  expected: Expected,
): Promise<void> {
  const caller = lab.phones.baresip101;
  const { psapLte } = lab.remote;
  for (const phone of [caller, psapLte]) phone.forget();
  const from = lab.captures.wan.messages.mark;
  await lab.step(`${caller.name} dials 911, and the WAN is cut`, async () => {
    await caller.dial(numbers.emergency);
    await cutAfter(from);
    await lab.cuts.blackHole();
  });
  const cut_at = now();
  await lab.step("LTE rings and answers", async () => {
    await psapLte.ringing(10_000);
    lab.measure("cut_to_psap_ringing_ms", now() - cut_at);
    await psapLte.answer();
    await Promise.all([psapLte.established(5000), caller.established(5000)]);
  });
  await sleep(TALK_MS);
  await lab.step("the WAN is back; the carrier's leg is ended", async () => {
    await lab.cuts.forwardingHealed();
    await until("the carrier's leg to be over", 15_000, () => legOver(lab, since) || undefined);
  });
  await lab.step("the caller hangs up", async () => {
    await caller.hangUp();
    await Promise.all([caller.closed(5000), psapLte.closed(5000)]);
    await bothHeard(lab, caller, psapLte, HEARD_MS);
  });
  await lab.step("what was on the wire, and what the NOC has", () =>
    judge(lab, caller, since, expected).then(() => sipp.done(5000)),
  );
}

/** The box has acknowledged the carrier's refusal, or the carrier the box's BYE. */
function legOver(lab: Lab, since: Marks): boolean {
  const leg = legsSince(lab, since).find(({ way }) => way === "carrier");
  const refused = leg?.came.some(({ status }) => status === 487) && leg.sent.some(({ method }) => method === "ACK");
  return refused || (leg?.came.some((message) => message.status === 200 && cseqMethod(message) === "BYE") ?? false);
}

const carrierSays = (lab: Lab, status: number) => (from: number) =>
  lab.captures.wan.messages.next(
    `the carrier to say ${status}`,
    3000,
    (message) => message.status === status && message.from.startsWith(`${hosts.carrier}:`),
    from,
  );

const carrierGets = (lab: Lab, method: string) => (from: number) =>
  lab.captures.wan.request(`the ${method} to reach the carrier`, 3000, { method, to: hosts.carrier }, from);

const byLte = (before: readonly string[], after: string): Expected => ({
  bridged: "lte-trunk",
  records: ["carrier trying", ...before, ...lteAnswers, after],
  ended_by: "caller",
});

/** A CANCEL that comes when the call is answered already changes nothing (RFC 3261 §9.2). */
const takesInSpiteOfCancel: readonly Step[] = [
  answered(),
  receiveRequest("CANCEL"),
  reply("200 OK", { contact: false }),
  // SIPp takes the CANCEL for what it waited for, and would send its answer no more.
  ...takes,
];

async function beforeTrying(lab: Lab): Promise<void> {
  const since = marks(lab);
  // It works on the call all the while, but nothing that it says gets through.
  const steps = [saysNothing(400), trying, ringing, receiveRequest("INVITE"), ringing, ...cancelled()];
  const sipp = await carrierSteps(lab, "911-cut-before-100-carrier", steps);
  const expected = byLte(["carrier no_response"], "carrier released 487");
  await cutAndAnsweredByLte(lab, sipp, since, carrierGets(lab, "INVITE"), expected);
}

async function whileRinging(lab: Lab): Promise<void> {
  const since = marks(lab);
  const sipp = await carrierSteps(lab, "911-cut-while-ringing-carrier", [trying, ringing, ...cancelled()]);
  const expected = byLte(["carrier ringing 180", "carrier ringing"], "carrier released 487");
  await cutAndAnsweredByLte(lab, sipp, since, carrierSays(lab, 180), expected);
}

async function answerLost(lab: Lab): Promise<void> {
  const since = marks(lab);
  const steps = [trying, ringing, pause(500), ...takesInSpiteOfCancel];
  const sipp = await carrierSteps(lab, "911-answer-lost-carrier", steps);
  const expected = byLte(["carrier ringing 180", "carrier ringing"], "carrier late_answer_released 200");
  await cutAndAnsweredByLte(lab, sipp, since, carrierSays(lab, 180), expected);
}

async function afterAnswer(lab: Lab): Promise<void> {
  const caller = lab.phones.baresip101;
  const since = marks(lab);
  await carrierSteps(lab, "911-cut-after-answer-carrier", takes);
  for (const phone of [caller, lab.remote.psapLte]) phone.forget();
  await lab.step(`${caller.name} dials 911 and talks; then the WAN is cut`, async () => {
    await caller.dial(numbers.emergency);
    await caller.established(5000);
    await sleep(500);
    await lab.cuts.blackHole();
  });
  const cut_at = now();
  await lab.step("the caller is told within 5 s", async () => {
    await nocEvent(lab, "emergency.attempt", ({ data }) => data.outcome === "path_lost", 10_000, since.noc);
    await sleep(300);
    const spoken = lab.captures.lan.streams(lan.box, caller.address).flatMap(({ arrivals }) => arrivals);
    const first = spoken.find((at) => at > cut_at + 500);
    expect(first !== undefined, "the caller heard nothing after the cut");
    lab.measure("cut_to_announcement_ms", first - cut_at);
    expect(first - cut_at <= TOLD_WITHIN_MS, `the caller was told after ${(first - cut_at).toFixed(0)} ms`);
  });
  await lab.step("the caller hangs up and dials again: by LTE, not by the path that was lost", async () => {
    await caller.hangUp();
    await caller.closed(5000);
    caller.forget();
    await lab.cuts.forwardingHealed();
    const [wan, lte] = [lab.captures.wan.messages.mark, lab.captures.lte.messages.mark];
    const { psapLte } = lab.remote;
    await caller.dial(numbers.emergency);
    await lab.captures.lte.request("the 911 INVITE by LTE", 3000, { method: "INVITE", to: hosts.lteTrunk }, lte);
    await psapLte.ringing(5000);
    await psapLte.answer();
    await Promise.all([psapLte.established(5000), caller.established(5000)]);
    await sleep(TALK_MS);
    await caller.hangUp();
    await Promise.all([caller.closed(5000), psapLte.closed(5000)]);
    await bothHeard(lab, caller, psapLte, HEARD_MS);
    const again = lab.captures.wan.messages
      .since(wan)
      .some(({ method, to }) => method === "INVITE" && to.startsWith(`${hosts.carrier}:`));
    expect(!again, "the second call was tried by the path on which the first fell silent");
  });
}

export const emergencyCuts: readonly Scenario[] = [
  {
    name: "911-cut-before-100",
    summary:
      "911: the WAN is cut when the carrier has the INVITE and nothing came back: LTE; its leg ends once the WAN heals",
    run: beforeTrying,
  },
  {
    name: "911-cut-while-ringing",
    summary: "911: the WAN is cut while the carrier rings: LTE at the verdict; its leg ends once the WAN heals",
    run: whileRinging,
  },
  {
    name: "911-answer-lost",
    summary: "911: the carrier's 200 is lost in the cut and LTE answers: the late 200 gets ACK and BYE at once",
    run: answerLost,
  },
  {
    name: "911-cut-after-answer",
    summary: "911: the WAN is cut in the answered call: the caller is told within 5 s, the redial leaves that path out",
    run: afterAnswer,
  },
].map((one) => ({ ...one, short: true, stage: weatherWithCuts }));
