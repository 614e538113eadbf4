/** The lab proves itself: telephones call by the cloud with sound both ways, and each cut does what it says, and heals. */
import { cellular, domains, hosts, interfaces, lan, uplink } from "../addresses.ts";
import { sleep, until } from "../deadline.ts";
import type { Lab } from "../lab.ts";
import type { Telephone } from "../peers/telephone.ts";
import { run } from "../processes.ts";
import { expect, type Scenario } from "../scenario.ts";

/** Timers count from the event loop's clock in whole milliseconds, so each of the two waits may end up to 1 ms early. */
const TIMER_ROUNDING_MS = 2;

async function call(lab: Lab, caller: Telephone, callee: Telephone): Promise<void> {
  for (const phone of [caller, callee]) phone.forget();
  await lab.step(`${caller.name} calls ${callee.name} by the cloud`, async () => {
    await caller.dial(callee.user);
    await callee.ringing(3000);
    await callee.answer();
    await Promise.all([caller.established(3000), callee.established(3000)]);
  });
  await lab.step("they talk", () => sleep(1500));
  await lab.step(`${callee.name} hangs up`, async () => {
    await callee.hangUp();
    await Promise.all([caller.closed(3000), callee.closed(3000)]);
  });
  await lab.step("each heard the other", async () => {
    await lab.heard(caller, callee, 1000);
    await lab.heard(callee, caller, 1000);
  });
}

async function wanWorks(lab: Lab): Promise<void> {
  await until("the echo on the internet to answer the box over the WAN", 5000, async () => {
    const { returned } = await lab.probe(wanAddress(lab), hosts.echo);
    return returned === 3 || undefined;
  });
}

const wanAddress = (lab: Lab): string => (lab.layout.box === "two-port" ? uplink.box : lan.box);

/** The response code of a DNS server for the PBX's name, `none` when it is silent. */
async function dns(lab: Lab, server: string): Promise<string> {
  return (await lab.resolve("box", server, domains.pbx)).split(" ")[0] ?? "";
}

async function cuts(lab: Lab): Promise<void> {
  const local = wanAddress(lab);
  await lab.step("before any cut the WAN and LTE echo", async () => {
    await wanWorks(lab);
    const lte = await lab.probe(cellular.box, cellular.edge);
    expect(lte.returned === 3, `the carrier's echo returned ${lte.returned} of 3`);
  });

  await lab.step("black hole: silence beyond the router, which itself answers; healed", async () => {
    await lab.cuts.blackHole();
    const beyond = await lab.probe(local, hosts.echo);
    expect(beyond.returned === 0 && beyond.errors.length === 0, `expected silence: ${JSON.stringify(beyond)}`);
    expect((await lab.ping("box", lan.router)).answered, "the router must still answer");
    const lte = await lab.probe(cellular.box, cellular.edge);
    expect(lte.returned === 3, "the cellular path must not be touched");
    await lab.cuts.forwardingHealed();
    await wanWorks(lab);
  });

  await lab.step("ICMP unreachable: the router says so; healed", async () => {
    await lab.cuts.unreachable();
    const { answered, text } = await lab.ping("box", hosts.echo);
    expect(!answered && text.includes("Host Unreachable"), `expected "Host Unreachable" from the router: ${text}`);
    await lab.cuts.forwardingHealed();
    await wanWorks(lab);
  });

  await lab.step("loss: 20 % each way loses about 36 % of round trips; healed", async () => {
    await lab.cuts.loss(20);
    const { sent, returned } = await lab.probe(local, hosts.echo, { count: 1000 });
    const lost_percent = (100 * (sent - returned)) / sent;
    lab.measure("loss_20_each_way_round_trips_lost_percent", lost_percent);
    // Four standard deviations of 1,000 draws at 36 %.
    expect(Math.abs(lost_percent - 36) < 6.1, `lost ${lost_percent} % of ${sent}`);
    await lab.cuts.forwardingHealed();
    const healed = await lab.probe(local, hosts.echo, { count: 200 });
    expect(healed.returned === 200, `after the heal ${200 - healed.returned} of 200 were lost`);
  });

  for (const rtt of [20, 80]) {
    await lab.step(`delay: round trips take ${rtt} ms and everything arrives; healed`, async () => {
      await lab.cuts.delay(rtt);
      const { returned, median_ms } = await lab.probe(local, hosts.echo, { count: 50, patience_ms: 1000 });
      lab.measure(`delay_${rtt}_median_ms`, median_ms ?? -1);
      expect(returned === 50, `${50 - returned} of 50 were lost on the delay line`);
      // Delayed once each way and not twice; a busy machine adds to it.
      expect(
        median_ms !== null && median_ms >= rtt - TIMER_ROUNDING_MS && median_ms < 2 * (rtt - TIMER_ROUNDING_MS),
        `the median round trip was ${median_ms} ms`,
      );
      await lab.cuts.delay(0);
      const healed = await lab.probe(local, hosts.echo);
      expect(
        healed.median_ms !== null && healed.median_ms < rtt - TIMER_ROUNDING_MS,
        `after the heal the round trip was ${healed.median_ms} ms`,
      );
    });
  }

  await lab.step("DNS failure: SERVFAIL from the router and the internet, not from the carrier; healed", async () => {
    await lab.cuts.dnsFails();
    const failed = [await dns(lab, lan.router), await dns(lab, hosts.dns), await dns(lab, hosts.lteDns)];
    expect(failed.join() === "SERVFAIL,SERVFAIL,NOERROR", `the servers said ${failed.join()}`);
    await lab.cuts.dnsHealed();
    const healed = await dns(lab, lan.router);
    expect(healed === "NOERROR", `after the heal the router said ${healed}`);
  });

  await lab.step("route withdrawn: nothing reaches the WAN any more; healed", async () => {
    await lab.cuts.routeWithdrawn();
    const routes = await run(["ip", "-n", "box", "route", "show", "default"]);
    expect(!routes.includes(local === lan.box ? lan.router : uplink.router), `a WAN route is left: ${routes}`);
    const { returned } = await lab.probe(local, hosts.echo);
    // The LTE default is left: the packet goes out by cellular under the WAN's address, and the carrier drops it.
    expect(returned === 0, `${returned} of 3 came back although the WAN route is gone`);
    await lab.cuts.routeBack();
    await wanWorks(lab);
  });

  if (lab.layout.box === "two-port") {
    await lab.step("link down: the box loses its carrier; healed", async () => {
      await lab.cuts.linkDown();
      const link = await run(["ip", "-n", "box", "link", "show", interfaces.box.wan]);
      expect(link.includes("NO-CARRIER"), `the box's WAN port still has carrier: ${link}`);
      await lab.cuts.linkUp();
      await wanWorks(lab);
    });
  }

  await lab.step("router off: gateway, DNS and the internet are gone, no link is; healed", async () => {
    await lab.cuts.routerOff();
    expect(!(await lab.ping("box", lan.router)).answered, "the gateway still answers");
    expect((await dns(lab, lan.router)) === "none", "the router's DNS still answers");
    const link = await run(["ip", "-n", "box", "link", "show", interfaces.box.lan]);
    expect(!link.includes("NO-CARRIER"), "the switch must keep the box's link up");
    expect((await lab.ping("box", "10.77.1.101")).answered, "telephones and box must still reach each other");
    await lab.cuts.routerOn();
    await wanWorks(lab);
  });

  await lab.step("a silent host and a dead PBX: the rest of the WAN lives; healed", async () => {
    await lab.cuts.hostSilent(hosts.pbx);
    expect(!(await lab.ping("box", hosts.pbx)).answered, "the PBX still answers");
    expect((await lab.ping("box", hosts.directTrunk)).answered, "the direct trunk's host must answer");
    await lab.cuts.hostBack(hosts.pbx);
    expect((await lab.ping("box", hosts.pbx)).answered, "the PBX's host must answer again");
    await lab.pbx.kill();
    expect(!lab.pbx.running, "the PBX must be gone");
    await lab.pbx.restart();
  });

  await lab.step("cellular down: the carrier is gone, the WAN is not; healed", async () => {
    await lab.cuts.cellularDown();
    const lte = await lab.probe(cellular.box, cellular.edge);
    expect(lte.returned === 0, `the carrier's echo returned ${lte.returned} of 3`);
    await wanWorks(lab);
    await lab.cuts.cellularUp();
    await until("the carrier to answer the box again", 5000, async () => {
      const { returned } = await lab.probe(cellular.box, cellular.edge);
      return returned === 3 || undefined;
    });
  });
}

async function prove(lab: Lab): Promise<void> {
  const { baresip101, baresip102, linphone103 } = lab.phones;
  await call(lab, baresip101, baresip102);
  await call(lab, linphone103, baresip101);
  await call(lab, baresip102, linphone103);
  await cuts(lab);
}

export const peersAlone: readonly Scenario[] = [
  {
    name: "peers-alone",
    summary: "the lab itself, two-port: calls by the cloud with sound both ways; every cut does what it says and heals",
    short: true,
    layout: { box: "two-port", telephones: "cloud", box_running: false },
    run: prove,
  },
  {
    name: "peers-alone-one-armed",
    summary: "the lab itself, one-armed: every cut does what it says and heals",
    layout: { box: "one-armed", telephones: "later", box_running: false },
    run: cuts,
  },
];
