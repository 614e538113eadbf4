/** 911 in the first second: dialled when nobody has noticed the cut yet. */
import { hosts } from "../addresses.ts";
import { pathDownBecause, type Reason, whyByLte } from "../attempts.ts";
import { now, sleep } from "../deadline.ts";
import type { Lab } from "../lab.ts";
import { expect, type Scenario } from "../scenario.ts";
import {
  becomesSurvivable,
  bothHeard,
  dial911,
  emergencyCall,
  hangUp,
  internalCall,
  locationSent,
  nocEvent,
  psapAnswers,
  rooms,
  siteIsNormal,
  staysForCallback,
} from "../story.ts";

const HOLD_DOWN_MS = 3000;
const TCP_RTT_MS = 20;
const LOSS_PERCENT = 5;
const LOSS_CALLS = 12;

/**
 * Cuts, dials 911 at once, and carries the call through by LTE; then wants to know what brought it there. The time it
 * took is measured here and judged by the bench.
 */
async function dialAtTheCut(lab: Lab, cut: () => Promise<void>, reasons: readonly Reason[]): Promise<void> {
  const { baresip101 } = lab.phones;
  const mark = lab.broker.messages.mark;
  const cut_at = now();
  await lab.step("911 is dialled at the moment of the cut and goes by LTE", async () => {
    await cut();
    const call = await dial911(lab, baresip101, "lte");
    lab.measure("dial_to_lte_invite_ms", call.to_trunk_ms);
    await psapAnswers(call);
    await locationSent(call.invite, rooms[baresip101.user]);
    await sleep(1500);
    await hangUp(baresip101, call.psap);
    await bothHeard(lab, baresip101, call.psap);
  });
  await becomesSurvivable(lab, cut_at, mark);
  await lab.step("what brought it to LTE", async () => {
    const reason = await whyByLte(lab, mark);
    lab.timeline.note(`by: ${reason}`);
    expect(reasons.includes(reason), `the call went to LTE by ${reason}, not by ${reasons.join(" or ")}`);
  });
}

async function blackHole(lab: Lab): Promise<void> {
  await siteIsNormal(lab);
  // Nothing tells of a black hole but silence. A machine so busy that the silence is noticed first is right as well.
  await dialAtTheCut(lab, () => lab.cuts.blackHole(), ["window", "verdict", "known"]);
  await lab.step("the black hole is gone", () => lab.cuts.forwardingHealed());
  await staysForCallback(lab, HOLD_DOWN_MS);
}

async function blackHoleTcp(lab: Lab): Promise<void> {
  const { baresip101, baresip102 } = lab.phones;
  await siteIsNormal(lab);
  await internalCall(lab, baresip102, baresip101, "by the cloud");
  await lab.step(`round trips to the internet take ${TCP_RTT_MS} ms`, () => lab.cuts.delay(TCP_RTT_MS));
  await emergencyCall(lab, baresip102, "cloud");
  await dialAtTheCut(lab, () => lab.cuts.blackHole(), ["window", "verdict", "known"]);
  await internalCall(lab, baresip102, baresip101, "by the box alone");
  await lab.step("the black hole is gone", () => lab.cuts.forwardingHealed());
  await staysForCallback(lab, HOLD_DOWN_MS);
}

async function routeLost(lab: Lab): Promise<void> {
  await siteIsNormal(lab);
  const mark = lab.broker.messages.mark;
  // The loss is an event: nobody waits for a response that cannot come.
  await dialAtTheCut(lab, () => lab.cuts.routeWithdrawn(), ["known", "send_error", "verdict"]);
  await lab.step("it was the route that spoke against the WAN", async () => {
    const against = await pathDownBecause(lab, "wan", mark);
    expect(against.includes("route"), `the WAN was declared down by ${against.join(", ")}`);
  });
  await lab.step("the route is back", () => lab.cuts.routeBack());
  await staysForCallback(lab, HOLD_DOWN_MS);
}

async function loss(lab: Lab): Promise<void> {
  const { baresip101, baresip102 } = lab.phones;
  await siteIsNormal(lab);
  const mark = lab.broker.messages.mark;
  const onLte = lab.captures.lte.messages.mark;
  await lab.step(`${LOSS_PERCENT} % of packets are lost each way`, () => lab.cuts.loss(LOSS_PERCENT));
  let slowest_ms = 0;
  await lab.step(`${LOSS_CALLS} calls to 911 all go by the cloud`, async () => {
    for (let n = 0; n < LOSS_CALLS; n++) {
      const caller = n % 2 === 0 ? baresip101 : baresip102;
      const call = await dial911(lab, caller, "cloud");
      await psapAnswers(call);
      slowest_ms = Math.max(slowest_ms, call.to_trunk_ms);
      await hangUp(caller, call.psap);
    }
  });
  lab.measure("slowest_invite_at_cloud_ms", slowest_ms);
  const stray = lab.captures.lte.messages
    .since(onLte)
    .filter(({ method, to }) => method === "INVITE" && to.startsWith(`${hosts.lteTrunk}:`));
  lab.measure("wrongly_hedged_calls", new Set(stray.map(({ start, at }) => `${start}${Math.floor(at / 1000)}`)).size);
  expect(stray.length === 0, `${stray.length} INVITEs of 911 calls went to LTE although the WAN lives`);
  const gone = lab.broker.messages
    .since(mark)
    .some(({ payload }) => (payload as { type?: string; data?: { to?: string } }).data?.to === "survivable");
  expect(!gone, "the box left normal mode although the WAN lives");
  await lab.step("no loss any more", () => lab.cuts.forwardingHealed());
  await lab.step("the NOC has the calls", async () => {
    await nocEvent(lab, "emergency.ended", () => true, 10_000, mark);
  });
}

const base = { telephones: "box", box_running: true } as const;

export const firstSecond: readonly Scenario[] = [
  {
    name: "black-hole",
    summary:
      "one-armed, LTE is the default route: 911 dialled into a black hole goes to LTE while the WAN is still tried",
    short: true,
    layout: { box: "one-armed", lte_default_route: true, ...base },
    deadline_ms: 180_000,
    run: blackHole,
  },
  {
    name: "black-hole-tcp",
    summary: `telephones, cloud and trunk over TCP, round trips of ${TCP_RTT_MS} ms: 911 dialled into a black hole goes to LTE`,
    layout: { box: "one-armed", tcp: true, ...base },
    deadline_ms: 180_000,
    run: blackHoleTcp,
  },
  {
    name: "route-lost",
    summary: "two-port: the WAN route is withdrawn; 911 goes to LTE by that event, without waiting for a response",
    short: true,
    layout: { box: "two-port", ...base },
    deadline_ms: 180_000,
    run: routeLost,
  },
  {
    name: "loss",
    summary: `one-armed: at ${LOSS_PERCENT} % loss each way no 911 call is sent to LTE and the mode stays normal`,
    layout: { box: "one-armed", ...base },
    deadline_ms: 180_000,
    run: loss,
  },
];
