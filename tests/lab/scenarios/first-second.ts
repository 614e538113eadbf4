/** 911 in the first second: dialled when nobody has noticed the cut yet. */
import { hosts } from "../addresses.ts";
import { now, sleep } from "../deadline.ts";
import type { Lab } from "../lab.ts";
import { expect, type Scenario } from "../scenario.ts";
import {
  becomesSurvivable,
  bothHeard,
  dial911,
  hangUp,
  locationSent,
  nocEvent,
  psapAnswers,
  rooms,
  siteIsNormal,
  staysForCallback,
} from "../story.ts";

/** Design figure: UDP, round trips under 20 ms. */
const BLACK_HOLE_MS = 300;
const ROUTE_LOST_MS = 10;
const LOSS_PERCENT = 5;
const LOSS_CALLS = 12;

/** Cuts, dials 911 at once, and wants the INVITE on the LTE trunk in time; then the call is carried through. */
async function dialAtTheCut(lab: Lab, cut: () => Promise<void>, limit_ms: number, key: string): Promise<number> {
  const { baresip101 } = lab.phones;
  const cut_at = now();
  await lab.step(`911 is dialled at the moment of the cut: on LTE within ${limit_ms} ms`, async () => {
    await cut();
    const call = await dial911(lab, baresip101, "lte");
    lab.measure(key, call.to_trunk_ms);
    await psapAnswers(call);
    await locationSent(call.invite, rooms[baresip101.user]);
    await sleep(1500);
    await hangUp(baresip101, call.psap);
    await bothHeard(lab, baresip101, call.psap);
    expect(
      call.to_trunk_ms <= limit_ms,
      `the INVITE was on LTE ${call.to_trunk_ms.toFixed(1)} ms after it reached the box, not within ${limit_ms} ms`,
    );
  });
  return cut_at;
}

async function blackHole(lab: Lab): Promise<void> {
  await siteIsNormal(lab);
  const mark = lab.broker.messages.mark;
  const cut_at = await dialAtTheCut(lab, () => lab.cuts.blackHole(), BLACK_HOLE_MS, "dial_to_lte_invite_ms");
  await becomesSurvivable(lab, cut_at, mark, 1000);
  await lab.step("the black hole is gone", () => lab.cuts.forwardingHealed());
  await staysForCallback(lab, 3000);
}

async function routeLost(lab: Lab): Promise<void> {
  await siteIsNormal(lab);
  const mark = lab.broker.messages.mark;
  const cut_at = await dialAtTheCut(lab, () => lab.cuts.routeWithdrawn(), ROUTE_LOST_MS, "dial_to_lte_invite_ms");
  await becomesSurvivable(lab, cut_at, mark, 1000);
  await lab.step("the route is back", () => lab.cuts.routeBack());
  await staysForCallback(lab, 3000);
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
    summary: "one-armed, LTE is the default route: 911 dialled into an unnoticed black hole is on LTE within 300 ms",
    short: true,
    layout: { box: "one-armed", lte_default_route: true, ...base },
    deadline_ms: 180_000,
    run: blackHole,
  },
  {
    name: "route-lost",
    summary: "two-port: the WAN route is withdrawn; 911 is on LTE within 10 ms",
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
