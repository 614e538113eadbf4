/** Calls that are up when something dies: the WAN, the cloud, a process of the box. */
import { cellular, hosts, lan, numbers } from "../addresses.ts";
import { now, sleep } from "../deadline.ts";
import type { Lab } from "../lab.ts";
import type { Telephone } from "../peers/telephone.ts";
import { expect, type Scenario, type ScenarioLayout } from "../scenario.ts";
import { nocEvent, siteIsNormal } from "../story.ts";

/** The promise: both directions again within three seconds of the cut. */
const MOVED_WITHIN_MS = 3000;
const TALK_MS = 1500;

const oneArmed: ScenarioLayout = { box: "one-armed", telephones: "box", box_running: true };

/** 101 calls an outside number through the cloud, and they talk. */
async function cloudCall(lab: Lab, caller: Telephone = lab.phones.baresip101): Promise<void> {
  const { outside } = lab.remote;
  await lab.step(`${caller.name} calls an outside number through the cloud`, async () => {
    for (const phone of [caller, outside]) phone.forget();
    await caller.dial(numbers.outside);
    await outside.ringing(5000);
    await outside.answer();
    await Promise.all([caller.established(5000), outside.established(5000)]);
    await sleep(TALK_MS);
  });
}

/** After a cut at `cut_at`: sound goes by LTE, both ways, soon enough. */
async function movesToLte(lab: Lab, cut_at: number, caller: Telephone = lab.phones.baresip101): Promise<void> {
  await lab.step("the call goes on over LTE, both ways", async () => {
    await lab.captures.lte.request("the re-INVITE over LTE", 5000, {
      method: "INVITE",
      from: cellular.box,
      to: hosts.pbx,
    });
    await sleep(MOVED_WITHIN_MS);
    const until_ms = now() - 100;
    const toOutside = lab.captures.lte.longestSilence(cellular.box, hosts.outside, cut_at, until_ms);
    const toCaller = lab.captures.lan.longestSilence(lan.box, caller.address, cut_at, until_ms);
    lab.measure("silence_towards_outside_ms", toOutside);
    lab.measure("silence_towards_phone_ms", toCaller);
    expect(toOutside < MOVED_WITHIN_MS, `the outside telephone heard nothing for ${toOutside} ms`);
    expect(toCaller < MOVED_WITHIN_MS, `${caller.name} heard nothing for ${toCaller} ms`);
  });
}

async function callMoves(lab: Lab): Promise<void> {
  const { baresip101 } = lab.phones;
  const { outside } = lab.remote;
  await siteIsNormal(lab);
  await cloudCall(lab);
  const mark = lab.broker.messages.mark;
  const cut_at = now();
  await lab.step("upstream everything is swallowed", () => lab.cuts.blackHole());
  await movesToLte(lab, cut_at);
  await lab.step("the phone hangs up, and the outside telephone hears of it", async () => {
    await baresip101.hangUp();
    await Promise.all([baresip101.closed(5000), outside.closed(5000)]);
    await lab.heard(outside, baresip101, TALK_MS + 1000);
    await lab.heard(baresip101, outside, TALK_MS + 1000);
  });
  await lab.step("the NOC has the move and the end", async () => {
    const { event } = await nocEvent(lab, "call.moved", ({ data }) => data.path === "lte", 10_000, mark);
    lab.measure("verdict_to_moved_ms", Number(event.data.took_ms));
    await nocEvent(lab, "call.ended", ({ data }) => data.ended_by === "caller", 10_000, mark);
  });
}

export const runningCalls: readonly Scenario[] = [
  {
    name: "call-moves",
    summary: "the WAN dies in a call through the cloud: it goes on over LTE within three seconds, and hanging up works",
    short: true,
    layout: oneArmed,
    run: callMoves,
  },
];
