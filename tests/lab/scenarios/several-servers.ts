/** Peers of which there are several, and names: a second cloud, a second server of a trunk, dead name servers. */
import type { Answer } from "dns-packet";
import { domains, hosts, lan, numbers } from "../addresses.ts";
import { sleep, until } from "../deadline.ts";
import type { Lab } from "../lab.ts";
import type { Kamailio } from "../peers/kamailio.ts";
import { cloudPbx, lteTrunk } from "../peers/kamailio-configs.ts";
import type { Telephone } from "../peers/telephone.ts";
import { expect, type Scenario } from "../scenario.ts";
import {
  bothHeard,
  emergencyCall,
  hangUp,
  inboundOverLte,
  internalCall,
  outboundOverLte,
  psapCallsBack,
  siteIsNormal,
  trunkRegistered,
} from "../story.ts";

const HOLD_DOWN_MS = 3000;
/** A telephone registers again within its 30 s. */
const REFRESH_MS = 35_000;

async function trunkState(lab: Lab, id: string, wanted: string, deadline_ms: number): Promise<void> {
  await until(`the box to say that ${id} is ${wanted}`, deadline_ms, async () => {
    const trunks = (await lab.box.status())?.engine?.trunks;
    return trunks?.some((trunk) => trunk.id === id && trunk.state === wanted) || undefined;
  });
}

async function registeredAt(pbx: Kamailio, name: string, phones: readonly Telephone[]): Promise<void> {
  await until(`${name} to know ${phones.map(({ user }) => user).join(" and ")}`, REFRESH_MS, async () => {
    const known = await pbx.bindings();
    return phones.every(({ user }) => known.includes(`AoR: ${user}`) || known.includes(`<sip:${user}@`)) || undefined;
  });
}

async function pbxFailover(lab: Lab): Promise<void> {
  const second = await lab.kamailio("pbx-2", "wan", hosts.secondPbx, (control) => cloudPbx(control, hosts.secondPbx));
  await lab.box.start({ second_pbx: true, hold_down_ms: HOLD_DOWN_MS });
  await lab.startPhones("box");
  const { baresip101, baresip102 } = lab.phones;
  await siteIsNormal(lab);
  await trunkState(lab, "cloud-2", "up", 10_000);
  const byFirst = lab.captures.wan.messages.mark;
  await internalCall(lab, baresip101, baresip102, "by the first cloud");
  expect(callsTo(lab, hosts.secondPbx, byFirst) === 0, "a call went to the second cloud while the first was good");

  await lab.step("the first cloud falls silent, the WAN lives: the site stays normal", async () => {
    await lab.cuts.hostSilent(hosts.pbx);
    await trunkState(lab, "cloud", "down", 30_000);
    const engine = (await lab.box.status())?.engine;
    expect(engine?.mode === "normal", `the mode is ${engine?.mode} though the second cloud is good`);
    const inUse = engine?.trunks.find(({ in_use }) => in_use)?.id;
    expect(inUse === "cloud-2", `the cloud in use is ${inUse ?? "none"}, not the second`);
  });
  await internalCall(lab, baresip101, baresip102, "put through by the box: the second cloud does not know them yet");
  await lab.step("the telephones' next registrations go to the second cloud", () =>
    registeredAt(second, "the second cloud", [baresip101, baresip102]),
  );
  const bySecond = lab.captures.wan.messages.mark;
  await internalCall(lab, baresip101, baresip102, "by the second cloud");
  expect(callsTo(lab, hosts.secondPbx, bySecond) > 0, "the call did not go by the second cloud");

  for (const phone of [baresip101, baresip102]) phone.forget();
  const returning = lab.captures.wan.messages.mark;
  await lab.step("a call stands by the second cloud while the first comes back", async () => {
    await baresip101.dial(baresip102.user);
    await baresip102.ringing(5000);
    await baresip102.answer();
    await Promise.all([baresip101.established(5000), baresip102.established(5000)]);
    await lab.cuts.hostBack(hosts.pbx);
    await trunkState(lab, "cloud", "up", 60_000);
    await sleep(HOLD_DOWN_MS + 500);
  });
  await lab.step("the telephones' registrations go home to the first", () =>
    lab.captures.wan.request(
      "a REGISTER to the first cloud",
      REFRESH_MS,
      { method: "REGISTER", to: hosts.pbx },
      returning,
    ),
  );
  await lab.step("the call still stands, and ends where it began", async () => {
    await hangUp(baresip102, baresip101);
    await bothHeard(lab, baresip101, baresip102, 5000);
    const bye = lab.captures.wan.messages.find(
      ({ method, to }) => method === "BYE" && to.startsWith(hosts.secondPbx),
      returning,
    );
    expect(bye !== undefined, "the BYE did not go to the second cloud, where the call was made");
  });
  await registeredAt(lab.pbx, "the first cloud", [baresip101, baresip102]);
  const home = lab.captures.wan.messages.mark;
  await internalCall(lab, baresip102, baresip101, "by the first cloud again");
  expect(callsTo(lab, hosts.secondPbx, home) === 0, "the call did not go by the first cloud");

  await lab.step("the first cloud falls silent again", () => lab.cuts.hostSilent(hosts.pbx));
  const { to_trunk_ms } = await emergencyCall(lab, baresip102, "second_cloud");
  lab.measure("silent_cloud_to_second_ms", to_trunk_ms);
  expect(to_trunk_ms < 1000, `911 was at the second cloud only after ${to_trunk_ms.toFixed(0)} ms`);
  await lab.step("the first is back, yet the site does not go home in the callback window", async () => {
    await trunkState(lab, "cloud", "down", 10_000);
    await lab.cuts.hostBack(hosts.pbx);
    await trunkState(lab, "cloud", "up", 60_000);
    await sleep(2 * HOLD_DOWN_MS + 1000);
    const inUse = (await lab.box.status())?.engine?.trunks.find(({ in_use }) => in_use)?.id;
    expect(inUse === "cloud-2", `the cloud in use is ${inUse ?? "none"} within the callback window`);
  });
}

function callsTo(lab: Lab, host: string, from: number): number {
  const isCall = ({ method, to }: { method?: string | undefined; to: string }) =>
    method === "INVITE" && to.startsWith(`${host}`);
  return lab.captures.wan.messages.entries.slice(from).filter(isCall).length;
}

async function namesWithoutDns(lab: Lab): Promise<void> {
  await lab.box.start({ by_name: true, hold_down_ms: HOLD_DOWN_MS });
  await lab.startPhones("box");
  const { baresip101, baresip102 } = lab.phones;
  await siteIsNormal(lab);
  await lab.step("what the name servers said is on the box's disk", () =>
    until("the snapshot to hold the answers of both paths' servers", 15_000, async () => {
      const text = await lab.box.snapshotText();
      return (text.includes(`"name":"${domains.lteTrunk}"`) && text.includes(`"name":"${domains.pbx}"`)) || undefined;
    }),
  );
  await lab.step("every name server falls silent", () => lab.cuts.everyDnsDead());
  await lab.step("the engine is killed, and starts without a name server", async () => {
    const old = await lab.box.kill("engine");
    await lab.box.back("engine", old, 5000);
    await lab.box.takesCalls(5000);
    await trunkState(lab, "cloud", "up", 15_000);
  });
  await internalCall(lab, baresip101, baresip102, "by the cloud, whose name nobody can tell");
  await lab.step("the box loses its power, and starts without a name server", async () => {
    await lab.box.powerOff();
    await lab.box.powerOn({ by_name: true, hold_down_ms: HOLD_DOWN_MS });
    await trunkState(lab, "cloud", "up", 15_000);
    await lab.box.mode("normal", 15_000);
    await trunkRegistered(lab);
  });
  await lab.step("its evidence says that the names are old", async () => {
    const trunks = (await lab.box.status())?.engine?.trunks ?? [];
    for (const { id, evidence } of trunks) {
      const dns = evidence?.find(({ source }) => source === "dns");
      expect(dns?.verdict === "bad", `${id} shows ${dns?.verdict ?? "nothing"} for its name`);
    }
  });
  await lab.step("the WAN dies too", async () => {
    await lab.cuts.blackHole();
    await lab.box.mode("survivable", 20_000);
  });
  await outboundOverLte(lab, baresip101);
  await inboundOverLte(lab, baresip101, [baresip102]);
  await emergencyCall(lab, baresip102, "lte");
}

const srv = (priority: number, target: string): Answer => ({
  type: "SRV",
  name: `_sip._udp.${domains.lteTrunk}`,
  ttl: 5,
  data: { priority, weight: 0, port: 5060, target },
});
const address = (name: string, data: string): Answer => ({ type: "A", name, ttl: 5, data });

/** A site without a WAN, whose trunk has two servers by SRV; the first is in use. */
async function twoServers(lab: Lab): Promise<Kamailio> {
  await lab.names.setRecords({
    [`SRV _sip._udp.${domains.lteTrunk}`]: [srv(10, `one.${domains.lteTrunk}`), srv(20, `two.${domains.lteTrunk}`)],
    [`A one.${domains.lteTrunk}`]: [address(`one.${domains.lteTrunk}`, hosts.lteTrunk)],
    [`A two.${domains.lteTrunk}`]: [address(`two.${domains.lteTrunk}`, hosts.secondLteTrunk)],
  });
  const second = await lab.kamailio("lte-trunk-2", "lte", hosts.secondLteTrunk, (control) =>
    lteTrunk(control, hosts.secondLteTrunk),
  );
  await lab.box.start({ by_name: true, hold_down_ms: HOLD_DOWN_MS });
  await lab.startPhones("box");
  await siteIsNormal(lab);
  await lab.step("the WAN dies", async () => {
    await lab.cuts.blackHole();
    await lab.box.mode("survivable", 20_000);
  });
  await outboundOverLte(lab, lab.phones.baresip101);
  return second;
}

async function emergencyBySecond(lab: Lab, caller: Telephone, figure: string): Promise<void> {
  const { to_trunk_ms } = await emergencyCall(lab, caller, "second_lte");
  lab.measure(figure, to_trunk_ms);
  expect(to_trunk_ms < 1000, `911 was at the second server only after ${to_trunk_ms.toFixed(0)} ms`);
}

async function firstServerSilent(lab: Lab): Promise<void> {
  const second = await twoServers(lab);
  const { baresip101, baresip102 } = lab.phones;
  await lab.step("the trunk's first server falls silent", () => lab.cuts.hostSilent(hosts.lteTrunk, "lte"));
  await emergencyBySecond(lab, baresip101, "silent_server_to_second_ms");
  await outboundOverLte(lab, baresip102, hosts.secondLteTrunk);
  await lab.step("the main number is registered at the second server", () =>
    until("the second server to know the box", 10_000, async () =>
      (await second.bindings()).includes(numbers.main) ? true : undefined,
    ),
  );
  await psapCallsBack(lab, baresip101, hosts.secondLteTrunk);
}

async function firstServerRefuses(lab: Lab): Promise<void> {
  await twoServers(lab);
  const { baresip101, baresip102 } = lab.phones;
  await lab.step("the trunk's first server says 503 to everything", () => lab.lteTrunk.set("trunk", "overloaded", 1));
  await outboundOverLte(lab, baresip101, hosts.secondLteTrunk);
  const mark = lab.captures.lte.messages.mark;
  await lab.step("the first server works again, and is preferred again", async () => {
    await lab.lteTrunk.set("trunk", "overloaded", 0);
    const anew = { method: "REGISTER", to: hosts.lteTrunk };
    await lab.captures.lte.request("a REGISTER at the first server", 110_000, anew, mark);
    await trunkRegistered(lab);
  });
  await outboundOverLte(lab, baresip101);
  // Last: where the carrier has put the 911 call the main number stays, for as long as the PSAP may call back.
  await lab.step("it says 503 again", () => lab.lteTrunk.set("trunk", "overloaded", 1));
  await emergencyBySecond(lab, baresip102, "refusing_server_to_second_ms");
}

async function answersForNames(lab: Lab): Promise<void> {
  await lab.box.start({ hold_down_ms: HOLD_DOWN_MS });
  await lab.startPhones("box", { by_name: true });
  await siteIsNormal(lab);
  const ask = (name: string, ...how: string[]) => lab.resolve("phone101", lan.box, name, ...how);
  const says = async (wanted: string, name: string, ...how: string[]) => {
    const said = await ask(name, ...how);
    expect(said === wanted, `asked for ${name} ${how.join(" ")}, the box's DNS said: ${said}, not: ${wanted}`);
  };
  const ownNames = async (name: string) => {
    for (const protocol of ["udp", "tcp"]) {
      await says(`NOERROR ${lan.box}`, name, "A", protocol);
      await says("NOERROR", name, "AAAA", protocol);
      await says(`NOERROR 10 5060 ${name}`, `_sip._udp.${name}`, "SRV", protocol);
      await says(`NOERROR 10 10 SIP+D2U _sip._udp.${name} 10 20 SIP+D2T _sip._tcp.${name}`, name, "NAPTR", protocol);
    }
  };
  await lab.step("the box's own name: A, AAAA, SRV and NAPTR, over UDP and TCP", () => ownNames(domains.box));
  await lab.step("the cloud's name is what the world says it is", async () => {
    await says(`NOERROR ${hosts.pbx}`, domains.pbx);
    await says(`NOERROR ${hosts.pbx}`, domains.pbx, "A", "tcp");
  });
  await lab.step("zone transfers and ANY are refused", async () => {
    await says("REFUSED", domains.box, "AXFR", "tcp");
    await says("REFUSED", domains.box, "ANY");
  });
  await lab.step(
    "the cloud falls silent, WAN and name servers live: its name is the box until it is back",
    async () => {
      await lab.cuts.hostSilent(hosts.pbx);
      // Nobody calls: the next OPTIONS is the first to find out.
      await lab.box.mode("survivable", 40_000);
      await says(`NOERROR ${lan.box}`, domains.pbx);
      await lab.cuts.hostBack(hosts.pbx);
      await lab.box.mode("normal", 60_000);
      await says(`NOERROR ${hosts.pbx}`, domains.pbx);
    },
  );
  await lab.step("every name server falls silent: the cloud's name is the box, its own name stays", async () => {
    await lab.cuts.everyDnsDead();
    await ownNames(domains.box);
    await says(`NOERROR ${lan.box}`, domains.pbx);
    await says("SERVFAIL", "elsewhere.example");
  });
  await lab.step("the WAN dies: the cloud's name is the box, with SRV and NAPTR", async () => {
    await lab.cuts.blackHole();
    await lab.box.mode("survivable", 20_000);
    await ownNames(domains.pbx);
  });
  const { baresip101, baresip102 } = lab.phones;
  await lab.step("a telephone that knows only the cloud's name starts, and finds the box", async () => {
    await baresip102.stop();
    await baresip102.start([]);
    await baresip102.registered(10_000);
  });
  await internalCall(lab, baresip101, baresip102, "found by names that only the box can tell");
}

export const severalServers: readonly Scenario[] = [
  {
    name: "pbx-failover",
    summary:
      "the first of two clouds dies: registrations, calls and 911 go by the second, and home again, dropping nothing",
    layout: { box: "one-armed", telephones: "later", box_running: false },
    deadline_ms: 240_000,
    run: pbxFailover,
  },
  {
    name: "dns-dead",
    summary: "names everywhere, every name server dead, engine killed and power lost: calls and 911 go on",
    layout: { box: "one-armed", telephones: "later", box_running: false },
    run: namesWithoutDns,
  },
  {
    name: "srv-failover",
    summary:
      "the first of a trunk's two servers falls silent: 911 goes by the second within its window, all else too, in and out",
    layout: { box: "one-armed", telephones: "later", box_running: false },
    short: true,
    run: firstServerSilent,
  },
  {
    name: "srv-failover-503",
    summary: "the first of a trunk's two servers says 503: calls go by the second at once, and home again; so does 911",
    layout: { box: "one-armed", telephones: "later", box_running: false },
    deadline_ms: 240_000,
    run: firstServerRefuses,
  },
  {
    name: "names-of-the-box",
    summary: "A, SRV and NAPTR for the box and the cloud, over UDP and TCP, with DNS alive, dead, and the WAN gone",
    layout: { box: "one-armed", telephones: "later", box_running: false },
    run: answersForNames,
  },
];
