/** When the site goes home and what it thinks of a WAN that is poor: policy, damping, degraded paths. */
import { domains, hosts, numbers } from "../addresses.ts";
import { now, sleep, until } from "../deadline.ts";
import type { Lab } from "../lab.ts";
import type { Telephone } from "../peers/telephone.ts";
import { expect, type Scenario } from "../scenario.ts";
import {
  becomesSurvivable,
  emergencyCall,
  eventsAtNoc,
  hangUp,
  internalCall,
  type NocEvent,
  nocEvent,
  siteIsNormal,
} from "../story.ts";

const HOLD_DOWN_MS = 2000;

async function returnsWhenIdle(lab: Lab): Promise<void> {
  await lab.box.start({ hold_down_ms: HOLD_DOWN_MS, return_when: "idle" });
  await lab.startPhones("box");
  const { baresip101, baresip102 } = lab.phones;
  await siteIsNormal(lab);
  const mark = lab.broker.messages.mark;
  const cut_at = now();
  await lab.step("upstream everything is swallowed", () => lab.cuts.blackHole());
  await becomesSurvivable(lab, cut_at, mark);
  await lab.step("two telephones talk", async () => {
    for (const phone of [baresip101, baresip102]) phone.forget();
    await baresip101.dial(baresip102.user);
    await baresip102.ringing(5000);
    await baresip102.answer();
    await Promise.all([baresip101.established(5000), baresip102.established(5000)]);
  });
  await lab.step("the WAN is good for longer than the hold-down; the site waits for them, and says so", async () => {
    await lab.cuts.forwardingHealed();
    await lab.box.mode("recovering", 10_000);
    await sleep(HOLD_DOWN_MS + 1500);
    const { engine } = (await lab.box.status()) ?? {};
    expect(engine?.mode === "recovering", `the mode is ${engine?.mode} while a call is up`);
    const reasons = engine?.mode_reasons.join("; ") ?? "";
    expect(reasons.includes("calls are not over"), `the reasons given are: ${reasons}`);
  });
  await lab.step("they hang up, and the site goes home", async () => {
    await hangUp(baresip101, baresip102);
    await lab.box.mode("normal", 5000);
  });
  const wan = lab.captures.wan.messages.mark;
  await internalCall(lab, baresip101, baresip102, "by the cloud again");
  const atCloud = lab.captures.wan.messages.find(
    ({ method, to }) => method === "INVITE" && to.startsWith(hosts.pbx),
    wan,
  );
  expect(atCloud !== undefined, `after the return the call did not go by ${domains.pbx}`);
}

async function flapping(lab: Lab): Promise<void> {
  await lab.box.start({ hold_down_ms: HOLD_DOWN_MS });
  await lab.startPhones("box");
  await siteIsNormal(lab);
  const begin = lab.broker.messages.mark;
  for (const flap of [0, 1, 2]) {
    await lab.step(`outage ${flap + 1}: the site goes home after twice the time of before`, async () => {
      const mark = lab.broker.messages.mark;
      await lab.cuts.blackHole();
      await nocEvent(lab, "mode.changed", ({ data }) => data.to === "survivable", 15_000, mark);
      await lab.cuts.forwardingHealed();
      const healed_at = now();
      const expected_ms = HOLD_DOWN_MS * 2 ** flap;
      // The broker may deliver an event twice: what happened before the heal is an earlier return.
      const home = ({ data, wall }: NocEvent) => data.to === "normal" && wall >= healed_at;
      const { event } = await nocEvent(lab, "mode.changed", home, expected_ms + 15_000, mark);
      const took = event.wall - healed_at;
      lab.measure(`heal_to_normal_${flap}_ms`, took);
      expect(took >= expected_ms, `it went home ${took} ms after the heal, not after ${expected_ms} ms`);
    });
  }
  const changes = eventsAtNoc(lab, begin).filter(({ type }) => type === "mode.changed");
  const modes = [...new Map(changes.map(({ id, data }) => [id, data.to])).values()];
  const normal = modes.filter((mode) => mode === "normal").length;
  expect(normal === 3, `three outages, and the site came home ${normal} times: ${modes.join(", ")}`);
}

/** A call by the cloud to the outside telephone that neither hears: it is answered, lasts and ends all the same. */
async function deafCall(lab: Lab, caller: Telephone): Promise<void> {
  const { outside } = lab.remote;
  await lab.step(`${caller.name} calls out by the cloud, and nobody hears anything`, async () => {
    for (const phone of [caller, outside]) phone.forget();
    await caller.dial(numbers.outside);
    await outside.ringing(5000);
    await outside.answer();
    await Promise.all([caller.established(5000), outside.established(5000)]);
    // Four seconds of one-sided speech are evidence; the relay is asked every two.
    await sleep(7000);
    await hangUp(caller, outside);
  });
}

async function degraded(lab: Lab): Promise<void> {
  const { baresip101, baresip102 } = lab.phones;
  await siteIsNormal(lab);
  const because = async (state: string, source: string | undefined, deadline_ms: number) =>
    until(`the WAN to be ${state}`, deadline_ms, async () => {
      const wan = (await lab.box.status())?.engine?.paths.find(({ id }) => id === "wan");
      if (wan?.state !== state) return undefined;
      const bad = wan.evidence.filter(({ verdict }) => verdict === "bad").map((item) => item.source);
      return source === undefined || bad.includes(source) || undefined;
    });

  await lab.step("SIP passes and sound does not: after two deaf calls the WAN is degraded by its media", async () => {
    const mark = lab.broker.messages.mark;
    await lab.cuts.soundSwallowed();
    await deafCall(lab, baresip101);
    const one = (await lab.box.status())?.engine?.paths.find(({ id }) => id === "wan")?.state;
    expect(one === "up", `one silent call alone made the WAN ${one}`);
    await deafCall(lab, baresip102);
    await because("degraded", "media", 5000);
    await nocEvent(lab, "path.health", ({ data }) => data.path === "wan" && data.to === "degraded", 10_000, mark);
  });
  // The PSAP would answer by the cloud too, and hear nothing.
  await emergencyCall(lab, baresip101, "lte");
  await lab.step("sound passes again: the first call that hears makes it good", async () => {
    await lab.cuts.forwardingHealed();
    const { outside } = lab.remote;
    for (const phone of [baresip101, outside]) phone.forget();
    await baresip101.dial(numbers.outside);
    await outside.ringing(5000);
    await outside.answer();
    await Promise.all([baresip101.established(5000), outside.established(5000)]);
    await because("up", undefined, 10_000);
    await hangUp(baresip101, outside);
  });
  await lab.step("round trips grow to 700 ms from one packet to the next: degraded, never down", async () => {
    const mark = lab.broker.messages.mark;
    await lab.cuts.delay(700);
    await because("degraded", "echo", 20_000);
    await lab.cuts.delay(0);
    await because("up", undefined, 60_000);
    const states = eventsAtNoc(lab, mark).flatMap(({ type, data }) =>
      type === "path.health" && data.path === "wan" ? [String(data.to)] : [],
    );
    expect(!states.includes("down"), `a slow WAN was called dead: ${states.join(", ")}`);
  });
  await lab.step("30 % loss each way: degraded, never down; healed", async () => {
    const mark = lab.broker.messages.mark;
    await lab.cuts.loss(30);
    await because("degraded", "echo", 40_000);
    await lab.cuts.forwardingHealed();
    await because("up", undefined, 60_000);
    const downs = eventsAtNoc(lab, mark).filter(
      ({ type, data }) => type === "path.health" && data.path === "wan" && data.to === "down",
    );
    expect(downs.length === 0, "a lossy WAN was called dead");
  });
}

export const goingAndComingBack: readonly Scenario[] = [
  {
    name: "return-when-idle",
    summary: "the site that returns when idle waits in `recovering` for a call to end, says so, and then goes home",
    layout: { box: "one-armed", telephones: "later", box_running: false },
    run: returnsWhenIdle,
  },
  {
    name: "flapping-wan",
    summary: "three outages in a row: each return takes twice the hold-down of the one before, and none flickers",
    layout: { box: "one-armed", telephones: "later", box_running: false },
    run: flapping,
  },
  {
    name: "degraded-paths",
    summary: "dead media, 700 ms of delay and 30 % loss make the WAN degraded, with the evidence named, and never down",
    layout: { box: "one-armed", telephones: "box", box_running: true },
    deadline_ms: 240_000,
    run: degraded,
  },
];
