/** Outages of the WAN and the whole life of a site through them. */
import { domains, hosts, lan, numbers } from "../addresses.ts";
import { pathDownBecause } from "../attempts.ts";
import { now, until } from "../deadline.ts";
import type { Lab } from "../lab.ts";
import type { Telephone } from "../peers/telephone.ts";
import { expect, type Scenario } from "../scenario.ts";
import {
  becomesSurvivable,
  comesHome,
  emergencyCall,
  inboundOverLte,
  internalCall,
  type NocEvent,
  nocEvent,
  outboundOverLte,
  psapCallsBack,
  siteIsNormal,
  staysForCallback,
} from "../story.ts";

const HOLD_DOWN_MS = 3000;
/** A PBX that says nothing by itself is asked every 15 to 25 s, dead or alive; and what a busy machine adds. */
const ASKED_AGAIN_MS = 25_000 + 5000;

/** Survivable mode, and for the right reason. */
async function wanIsLost(lab: Lab, cut_at: number, from: number): Promise<void> {
  await becomesSurvivable(lab, cut_at, from);
  const against = await pathDownBecause(lab, "wan", from);
  expect(
    against.includes("carrier") || against.includes("echo"),
    `the WAN was declared down by ${against.join(", ")}, not by its carrier or its echo responder`,
  );
}

async function nocHasTheCalls(lab: Lab, emergencies: number, from: number): Promise<void> {
  await lab.step("the NOC has every 911 call, once answered and once ended", async () => {
    for (const type of ["emergency.started", "emergency.answered", "emergency.ended"]) {
      const seen = new Set<string>();
      await until(`${emergencies} events ${type} at the NOC`, 10_000, async () => {
        for (const { payload } of lab.broker.messages.since(from)) {
          const event = payload as { type?: string; id?: string };
          if (event.type === type && event.id !== undefined) seen.add(event.id);
        }
        return seen.size >= emergencies || undefined;
      });
      expect(seen.size === emergencies, `${seen.size} events ${type} for ${emergencies} calls`);
    }
  });
}

async function cablePull(lab: Lab): Promise<void> {
  const { baresip101, baresip102, linphone103 } = lab.phones;
  await siteIsNormal(lab);
  await availabilityAtNoc(lab, "trunk", /^lte-trunk$/, "online");
  await availabilityAtNoc(lab, "device", /^ext-101-/, "online");
  await availabilityAtNoc(lab, "extension", /^ext-101$/, "online");
  await internalCall(lab, baresip101, linphone103, "by the cloud");
  await pulled(lab);
  // Nobody can vouch for 103 without the cloud: it may call inside and 911.
  await availabilityAtNoc(lab, "extension", /^ext-103$/, "limited");
  await internalCall(lab, baresip102, linphone103, "by the box alone");
  await outboundOverLte(lab, baresip101);
  await inboundOverLte(lab, baresip102, [baresip101]);
  const healed_at = now();
  await lab.step("the cable is back", () => lab.cuts.linkUp());
  await comesHome(lab, healed_at, HOLD_DOWN_MS);

  const mark = lab.broker.messages.mark;
  await emergencyCall(lab, baresip101, "cloud");
  await pulled(lab);
  await emergencyCall(lab, baresip102, "lte");
  await emergencyCall(lab, linphone103, "lte");
  await psapCallsBack(lab, linphone103);
  await nocHasTheCalls(lab, 3, mark);
  await lab.step("the cable is back", () => lab.cuts.linkUp());
  await staysForCallback(lab, HOLD_DOWN_MS);
}

/** Each trunk, device and extension has an availability of its own, and the NOC hears of its changes. */
async function availabilityAtNoc(
  lab: Lab,
  of: "trunk" | "device" | "extension",
  id: RegExp,
  to: "online" | "limited" | "offline",
  from = 0,
): Promise<void> {
  await lab.step(`the NOC hears that a ${of} is ${to}`, async () => {
    const changed = ({ data }: NocEvent) => id.test(String(data.id)) && data.to === to;
    const { event } = await nocEvent(lab, `${of}.availability`, changed, 10_000, from);
    lab.timeline.note(`${String(event.data.id)}: ${String(event.data.from)} → ${to}`);
  });
}

async function pulled(lab: Lab): Promise<void> {
  const mark = lab.broker.messages.mark;
  const cut_at = now();
  await lab.step("the cable is pulled", () => lab.cuts.linkDown());
  await wanIsLost(lab, cut_at, mark);
  await availabilityAtNoc(lab, "trunk", /^cloud$/, "offline", mark);
  // The kernel may tell of a carrier late, while it makes or ends other network namespaces; the echo is silent by then.
  await lab.step("the box knows that the cable is out", () =>
    until("the box to say that the WAN has no carrier", 10_000, async () => {
      const wan = (await lab.box.status())?.engine?.paths.find(({ id }) => id === "wan");
      return wan?.evidence.some(({ source, verdict }) => source === "carrier" && verdict === "bad") || undefined;
    }),
  );
}

async function routerUpstreamDead(lab: Lab): Promise<void> {
  const { baresip101, baresip102 } = lab.phones;
  await siteIsNormal(lab);
  const before = lab.broker.messages.mark;
  const cut_at = now();
  await lab.step("the router answers unreachable for all beyond it, and SERVFAIL", async () => {
    await Promise.all([lab.cuts.unreachable(), lab.cuts.dnsFails()]);
  });
  await wanIsLost(lab, cut_at, before);
  await internalCall(lab, baresip101, baresip102, "by the box alone");
  await outboundOverLte(lab, baresip102);
  const healed_at = now();
  await lab.step("upstream is back", async () => {
    await Promise.all([lab.cuts.forwardingHealed(), lab.cuts.dnsHealed()]);
  });
  await comesHome(lab, healed_at, HOLD_DOWN_MS);

  const mark = lab.broker.messages.mark;
  const silent_at = now();
  await lab.step("the router swallows everything, its DNS says SERVFAIL", async () => {
    await Promise.all([lab.cuts.blackHole(), lab.cuts.dnsFails()]);
  });
  await wanIsLost(lab, silent_at, mark);
  await emergencyCall(lab, baresip101, "lte");
  await lab.step("now it answers unreachable", () => lab.cuts.unreachable());
  await emergencyCall(lab, baresip102, "lte");
  await nocHasTheCalls(lab, 2, mark);
}

async function routerPoweredOff(lab: Lab): Promise<void> {
  await lab.step("telephones that look for the box by its name register", () =>
    lab.startPhones("box", { by_name: true }),
  );
  const { baresip101, baresip102 } = lab.phones;
  await siteIsNormal(lab);
  const before = lab.broker.messages.mark;
  const cut_at = now();
  await lab.step("the router has no power: gateway, DNS, DHCP and the way out are gone", () => lab.cuts.routerOff());
  await wanIsLost(lab, cut_at, before);
  await lab.step("the box's own DNS answers for its name", async () => {
    const answer = await lab.resolve("phone101", lan.box, domains.box);
    expect(answer === `NOERROR ${lan.box}`, `the box's DNS said: ${answer}`);
  });
  await lab.step("a telephone that lost its power starts, finds the box and registers", async () => {
    await baresip102.stop();
    await baresip102.start();
    await baresip102.registered(10_000);
  });
  await internalCall(lab, baresip102, baresip101, "by the box alone");
  await inboundOverLte(lab, baresip101, [baresip102]);
  const healed_at = now();
  await lab.step("the router has power again", () => lab.cuts.routerOn());
  await comesHome(lab, healed_at, HOLD_DOWN_MS, [baresip102]);
  await lab.step("the router's power goes again, and 911 is dialled at once", () => lab.cuts.routerOff());
  await emergencyCall(lab, baresip102, "lte");
}

async function mainNumberIn(lab: Lab): Promise<void> {
  const { baresip101, baresip102 } = lab.phones;
  await siteIsNormal(lab);
  const mark = lab.broker.messages.mark;
  const cut_at = now();
  await lab.step("upstream everything is swallowed", () => lab.cuts.blackHole());
  await wanIsLost(lab, cut_at, mark);
  await inboundOverLte(lab, baresip101, [baresip102]);
  await inboundOverLte(lab, baresip102, [baresip101]);
  await lab.step("the NOC has the inbound call", async () => {
    await nocEvent(lab, "call.answered", ({ data }) => data.direction === "inbound", 10_000, mark);
  });
}

async function mainNumberOut(lab: Lab): Promise<void> {
  const { baresip101, baresip102, linphone103 } = lab.phones;
  await siteIsNormal(lab);
  const mark = lab.broker.messages.mark;
  const cut_at = now();
  await lab.step("upstream everything is swallowed", () => lab.cuts.blackHole());
  await wanIsLost(lab, cut_at, mark);
  await outboundOverLte(lab, baresip101);
  await outboundOverLte(lab, baresip102);
  await lab.step("an international number is refused while offline", () => refused(lab, baresip101, "01144207946000"));
  await lab.step("a telephone that nobody vouches for may not call out on the site's account", () =>
    refused(lab, linphone103, numbers.outside.slice(1)),
  );
}

/** The call ends for the caller, and nothing of it leaves by LTE. */
async function refused(lab: Lab, caller: Telephone, number: string): Promise<void> {
  caller.forget();
  const mark = lab.captures.lte.messages.mark;
  await caller.dial(number);
  await caller.closed(5000);
  const sent = lab.captures.lte.messages.find(
    ({ method, to }) => method === "INVITE" && to.startsWith(`${hosts.lteTrunk}:`),
    mark,
  );
  expect(sent === undefined, `it left by LTE: ${sent?.start}`);
}

async function cloudDeadWanAlive(lab: Lab): Promise<void> {
  const { baresip101, baresip102 } = lab.phones;
  await siteIsNormal(lab);
  const mark = lab.broker.messages.mark;
  const cut_at = now();
  await lab.step("the cloud PBX falls silent, the WAN lives", () => lab.cuts.hostSilent(hosts.pbx));
  const sent = lab.captures.wan.messages.mark;
  // Nobody calls: the first evidence is the next OPTIONS, 15 s apart and jittered by half.
  const evidence = await lab.captures.wan.request(
    "something that the PBX does not answer",
    ASKED_AGAIN_MS,
    { method: "OPTIONS", to: hosts.pbx },
    sent,
  );
  lab.measure("cut_to_first_evidence_ms", evidence.at - cut_at);
  await becomesSurvivable(lab, evidence.at, mark);
  await lab.step("the box still says that the WAN is good", async () => {
    const status = await lab.box.status();
    const wan = status?.engine?.paths.find(({ id }) => id === "wan")?.state;
    expect(wan === "up", `the WAN path is ${wan}`);
  });
  await emergencyCall(lab, baresip101, "direct");
  await internalCall(lab, baresip101, baresip102, "by the box alone");
  await outboundOverLte(lab, baresip102);
  await lab.step("the direct trunk's host falls silent too: 911 goes by LTE", () =>
    lab.cuts.hostSilent(hosts.directTrunk),
  );
  await emergencyCall(lab, baresip102, "lte");
  await lab.step("cloud and direct trunk answer again", async () => {
    await lab.cuts.hostBack(hosts.pbx);
    await lab.cuts.hostBack(hosts.directTrunk);
  });
  await staysForCallback(lab, HOLD_DOWN_MS, ASKED_AGAIN_MS);
}

const base = { telephones: "box", box_running: true } as const;

export const outages: readonly Scenario[] = [
  {
    name: "cable-pull",
    summary:
      "two-port, the whole story: cable out, NOC told over LTE, calls, main number; home; 911 and the PSAP's return call",
    short: true,
    layout: { box: "two-port", ...base },
    deadline_ms: 240_000,
    run: cablePull,
  },
  {
    name: "router-upstream-dead",
    summary: "one-armed, LTE is the default route: the router says unreachable and SERVFAIL, or nothing; it heals",
    layout: { box: "one-armed", lte_default_route: true, ...base },
    deadline_ms: 240_000,
    run: routerUpstreamDead,
  },
  {
    name: "router-powered-off",
    summary:
      "one-armed: gateway, DNS and DHCP are gone; telephones find the box by name, one of them from a cold start",
    layout: { box: "one-armed", telephones: "later", box_running: true },
    deadline_ms: 240_000,
    run: routerPoweredOff,
  },
  {
    name: "main-number-in",
    summary: "after the cut a call to the main number arrives by the LTE trunk's registration and rings the group",
    layout: { box: "one-armed", ...base },
    run: mainNumberIn,
  },
  {
    name: "main-number-out",
    summary: "after the cut calls leave by LTE with the main number as caller; international numbers do not",
    layout: { box: "one-armed", ...base },
    run: mainNumberOut,
  },
  {
    name: "cloud-dead-wan-alive",
    summary: "the PBX is gone, the WAN is not: survivable mode, 911 by the direct trunk over the WAN, then by LTE",
    layout: { box: "one-armed", ...base, direct_trunk: true },
    deadline_ms: 240_000,
    run: cloudDeadWanAlive,
  },
];
