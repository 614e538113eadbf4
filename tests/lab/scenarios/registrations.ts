/** What becomes of registrations: in restarts and power cuts, in outages and after them, with several devices of a number. */
import { domains, type Extension, extensions, hosts, lan } from "../addresses.ts";
import { cseqMethod, header, headers, type SeenMessage, userOf } from "../capture/sip.ts";
import { now, sleep, until } from "../deadline.ts";
import type { Lab } from "../lab.ts";
import { Baresip } from "../peers/baresip.ts";
import type { Telephone } from "../peers/telephone.ts";
import { expect, type Scenario } from "../scenario.ts";
import {
  becomesSurvivable,
  bothHeard,
  dial911,
  emergencyCall,
  hangUp,
  internalCall,
  nocEvent,
  outboundOverLte,
  psapAnswers,
  siteIsNormal,
} from "../story.ts";

/** Long enough that no telephone refreshes by itself while the scenario lasts. */
const LONG_EXPIRY_S = 600;
const HOLD_DOWN_MS = 3000;

const isRegister = (message: SeenMessage): boolean => message.method === "REGISTER";

async function nobodyRegistered(lab: Lab, from: number): Promise<void> {
  const asked = lab.captures.lan.messages.since(from).filter(isRegister);
  expect(asked.length === 0, `${asked.length} REGISTERs came: the call does not prove what the box had kept`);
}

async function bindingsKept(lab: Lab): Promise<void> {
  await lab.box.start();
  await lab.startPhones("box", { without_103: true, expires_s: LONG_EXPIRY_S });
  const { baresip101, baresip102 } = lab.phones;
  await siteIsNormal(lab);
  const mark = lab.captures.lan.messages.mark;
  for (const names of [["engine"], ["site"], ["engine", "site"]] as const) {
    await lab.step(`${names.join(" and ")} killed: back with every registration`, async () => {
      const old = await Promise.all(names.map((name) => lab.box.kill(name)));
      await Promise.all(names.map((name, n) => lab.box.back(name, old[n] ?? 0, 5000)));
      await lab.box.takesCalls(5000);
      await lab.box.mode("normal", 10_000);
    });
    await internalCall(lab, baresip101, baresip102, "by the cloud");
  }
  await lab.step("the disk has both telephones", () =>
    until("the snapshot to hold them", 10_000, async () => {
      const holds = await Promise.all(
        [baresip101, baresip102].map(({ address }) => lab.box.snapshotHolds(`"source_address":"${address}"`)),
      );
      return holds.every((each) => each) || undefined;
    }),
  );
  await lab.step("power fails: every process and all memory is gone; the WAN is gone too", async () => {
    await lab.box.powerOff();
    await lab.cuts.blackHole();
  });
  await lab.step("power is back, and the box is on its own", async () => {
    await lab.box.powerOn();
    await lab.box.mode("survivable", 20_000);
  });
  await internalCall(lab, baresip101, baresip102, "by the box alone");
  await lab.step(
    "power fails in a call between the two: they talk on, and hanging up afterwards ends it for both",
    async () => {
      for (const phone of [baresip101, baresip102]) phone.forget();
      await baresip101.dial(baresip102.user);
      await baresip102.ringing(5000);
      await baresip102.answer();
      await Promise.all([baresip101, baresip102].map((phone) => phone.established(5000)));
      await lab.box.powerOff();
      await lab.box.powerOn();
      // A fast machine starts the box in less time than a tone takes to be recognised.
      await sleep(1500);
      await hangUp(baresip101, baresip102);
      await bothHeard(lab, baresip101, baresip102);
    },
  );
  await nobodyRegistered(lab, mark);
  await lab.step("the WAN is back, and the cloud finds the telephones on the Paths that it got before", async () => {
    await lab.cuts.forwardingHealed();
    await lab.box.mode("normal", 30_000);
  });
  const onWan = lab.captures.wan.messages.mark;
  await internalCall(lab, baresip102, baresip101, "by the cloud");
  const back = lab.captures.wan.messages.find(
    ({ method, from }) => method === "INVITE" && from.startsWith(`${hosts.pbx}:`),
    onWan,
  );
  expect(back !== undefined, "the cloud did not send the call back to the box");
  await nobodyRegistered(lab, mark);
}

/** When the cloud accepted a telephone's REGISTER, from a moment on. */
async function homeAt(lab: Lab, user: string, from: number, deadline_ms: number): Promise<number> {
  const accepted = await lab.captures.wan.messages.next(
    `the cloud to accept ${user}'s REGISTER`,
    deadline_ms,
    (message) =>
      message.status === 200 &&
      cseqMethod(message) === "REGISTER" &&
      message.from.startsWith(`${hosts.pbx}:`) &&
      userOf(header(message, "to")) === user,
    from,
  );
  return accepted.at;
}

const STUCK_S = 60;

async function phonesComeHome(lab: Lab): Promise<void> {
  await lab.box.start({ secrets: ["md5"], stuck_after_s: STUCK_S });
  await lab.startPhones("box");
  const { baresip101, baresip102, linphone103 } = lab.phones;
  await siteIsNormal(lab);
  const mark = lab.broker.messages.mark;
  const cut_at = now();
  await lab.step("upstream everything is swallowed", () => lab.cuts.blackHole());
  await becomesSurvivable(lab, cut_at, mark);
  await lab.step("all telephones are switched off and on: only the box knows them now", async () => {
    for (const phone of [baresip101, baresip102, linphone103]) {
      await phone.stop();
      await phone.start();
    }
    await Promise.all([baresip101, baresip102, linphone103].map((phone) => phone.registered(10_000)));
  });
  await lab.step("one of them hangs", async () => baresip102.freeze());
  const atCloud = lab.captures.wan.messages.mark;
  await lab.step("the WAN is back, and the box goes home", async () => {
    await lab.cuts.forwardingHealed();
    await lab.box.mode("normal", HOLD_DOWN_MS + 15_000);
  });
  const { event } = await nocEvent(lab, "mode.changed", ({ data }) => data.to === "normal", 10_000, mark);
  await lab.step("the others are with the cloud within a minute", async () => {
    for (const phone of [baresip101, linphone103]) {
      const took = (await homeAt(lab, phone.user, atCloud, 61_000)) - event.wall;
      lab.measure("return_to_home_ms", took);
      expect(took <= 60_000, `${phone.name} was home ${took} ms after the return`);
    }
  });
  await lab.step("the one that hangs is on the list of stuck telephones, and the NOC hears of it", async () => {
    const told = await nocEvent(lab, "phone.stuck", () => true, (STUCK_S + 15) * 1000, mark);
    expect(told.event.data.extension === "ext-102", `stuck is ${String(told.event.data.extension)}`);
    await nocEvent(lab, "phones.returned", ({ data }) => data.phones === 3 && data.home === 2, 10_000, mark);
    await nocEvent(lab, "alarm.raised", ({ data }) => data.code === "registrar.phones_stuck", 10_000, mark);
    await until("the list to name it, and it alone", 5000, async () => {
      const stuck = (await lab.box.status())?.engine?.stuck_phones ?? [];
      const seen = stuck.map(({ number, address, why }) => `${number} ${address} ${why}`).join(", ");
      return seen === `102 ${extensions.baresip102.address} silent` || undefined;
    });
  });
  await lab.step("it comes to itself, registers, and is on the list no more", async () => {
    baresip102.thaw();
    await nocEvent(lab, "phone.home", ({ data }) => data.extension === "ext-102", 75_000, mark);
    await nocEvent(lab, "alarm.cleared", ({ data }) => data.code === "registrar.phones_stuck", 10_000, mark);
  });
  await internalCall(lab, baresip101, baresip102, "by the cloud");
}

const LAN_EXPIRES_S = 30;

async function refreshesAbsorbed(lab: Lab): Promise<void> {
  await lab.box.start({ lan_expires_s: LAN_EXPIRES_S });
  const onWan = lab.captures.wan.messages.mark;
  const onLan = lab.captures.lan.messages.mark;
  await lab.startPhones("box", { without_103: true, expires_s: LONG_EXPIRY_S });
  const { baresip101, baresip102 } = lab.phones;
  await siteIsNormal(lab);
  const accepted = (user: string, on: "lan" | "wan") =>
    lab.captures[on].messages
      .since(on === "lan" ? onLan : onWan)
      .filter(
        (message) =>
          message.status === 200 &&
          cseqMethod(message) === "REGISTER" &&
          userOf(header(message, "to")) === user &&
          message.from.startsWith(on === "lan" ? `${lan.box}:` : `${hosts.pbx}:`),
      );
  await lab.step("the telephones hear the short expiry and keep it, the cloud hears of them once", async () => {
    for (const { user } of [baresip101, baresip102]) {
      await until(`${user} to have refreshed twice at the box`, 3 * LAN_EXPIRES_S * 1000, async () =>
        accepted(user, "lan").length >= 3 ? true : undefined,
      );
      const told = accepted(user, "lan").map((message) => /expires=(\d+)/.exec(header(message, "contact") ?? "")?.[1]);
      expect(
        told.every((seconds) => Number(seconds) === LAN_EXPIRES_S),
        `${user} was told ${told.join(", ")} s`,
      );
      const seen = accepted(user, "wan").length;
      expect(seen === 1, `the cloud accepted ${user} ${seen} times`);
    }
  });
  await internalCall(lab, baresip101, baresip102, "by the cloud");
}

/** One more device of 101, in a telephone's place. */
function secondDevice(lab: Lab, name: string, at: Extension, outbound: string, control_port: number): Baresip {
  const { user, password } = extensions.baresip101;
  return new Baresip(lab.programs, {
    name,
    namespace: at.namespace,
    user,
    domain: domains.pbx,
    address: at.address,
    rtp_port: at.rtp_port,
    tone_hz: at.tone_hz,
    toneFile: `${lab.runDirectory}/tone-${at.tone_hz}.wav`,
    control_port,
    transport: "udp",
    registration: { password, outbound: [outbound], expires_s: LONG_EXPIRY_S },
    directory: lab.directory,
    runDirectory: lab.runDirectory,
  });
}

async function devicesOfOneNumber(lab: Lab): Promise<void> {
  await lab.box.start();
  const desk = secondDevice(lab, "desk", extensions.baresip101, lan.box, 4401);
  const other = secondDevice(lab, "other", extensions.baresip102, lan.box, 4402);
  const away = secondDevice(lab, "away", extensions.linphone103, hosts.pbx, 4403);
  const caller = lab.remote.outside;
  const number = { contacts: 0, elsewhere: 0 };
  const boxKnows = (contacts: number, elsewhere: number) =>
    until(`the box to know ${contacts} contacts, and of ${elsewhere} elsewhere`, 5000, async () => {
      const phone = (await lab.box.status())?.engine?.phones.find((each) => each.number === desk.user);
      Object.assign(number, { contacts: phone?.contacts, elsewhere: phone?.elsewhere });
      return (number.contacts === contacts && number.elsewhere === elsewhere) || undefined;
    }).catch((error: Error) => {
      throw new Error(`${error.message}; it says ${JSON.stringify(number)}`);
    });
  const rings = async (those: readonly Telephone[]) => {
    for (const phone of [caller, ...those]) phone.forget();
    await caller.dial(`sip:${desk.user}@${hosts.pbx}`);
    await Promise.all(those.map((phone) => phone.ringing(5000)));
    await hangUp(caller, those[0] ?? caller);
  };
  await lab.box.mode("normal", 15_000);
  await lab.step("one device goes straight to the cloud, two come through the box", async () => {
    for (const phone of [away, desk, other]) {
      await phone.start();
      await phone.registered(8000);
    }
    await boxKnows(2, 1);
  });
  await lab.step("a call rings all three", () => rings([desk, other, away]));
  await lab.step("one signs off: it alone is gone, here and at the cloud", async () => {
    await other.quit();
    await boxKnows(1, 1);
    await rings([desk, away]);
  });
  const mark = lab.broker.messages.mark;
  const cut_at = now();
  await lab.step("upstream everything is swallowed", () => lab.cuts.blackHole());
  await becomesSurvivable(lab, cut_at, mark);
  await lab.step("a new device of the number has to prove itself, though the box knows the first one", async () => {
    const from = lab.captures.lan.messages.mark;
    const third = secondDevice(lab, "third", extensions.baresip102, lan.box, 4402);
    await third.start();
    await third.registered(8000);
    const asked = lab.captures.lan.messages.since(from).filter(({ status }) => status === 401).length;
    expect(asked > 0, "the box let it in without asking");
  });
  await emergencyCall(lab, desk, "lte");
}

async function firstBootOverTcp(lab: Lab): Promise<void> {
  const mark = lab.captures.lan.messages.mark;
  await lab.step("the box boots for the first time, and its site process takes its time", async () => {
    await lab.box.powerOn({ pbx_transport: "tcp", trunk_transport: "tcp" });
    await lab.box.freeze("site");
  });
  await lab.step("telephones connect and register before the site file is there, and stay connected", async () => {
    const registered = lab.startPhones("box", { without_103: true });
    await lab.captures.lan.request("a REGISTER to reach the box", 5000, { method: "REGISTER", to: lan.box }, mark);
    await lab.box.thaw("site");
    await registered;
  });
  const { baresip101, baresip102 } = lab.phones;
  const connections = new Set(
    lab.captures.lan.messages
      .since(mark)
      .filter((message) => isRegister(message) && message.protocol === "tcp" && message.to.startsWith(`${lan.box}:`))
      .map(({ from }) => from),
  );
  expect(connections.size === 2, `two telephones registered over ${connections.size} connections`);
  await siteIsNormal(lab);
  await internalCall(lab, baresip101, baresip102, "by the cloud");
}

/** With which algorithm a telephone has answered the box's challenge. */
function algorithmOf(lab: Lab, phone: Telephone, from: number): string | undefined {
  const proven = lab.captures.lan.messages
    .since(from)
    .filter((message) => isRegister(message) && message.from.startsWith(`${phone.address}:`))
    .flatMap((message) => header(message, "authorization") ?? [])
    .at(-1);
  return proven === undefined ? undefined : (/algorithm="?([A-Za-z0-9-]+)/.exec(proven)?.[1] ?? "MD5");
}

async function secretsOffline(lab: Lab): Promise<void> {
  await lab.box.start({ secrets: ["sha256", "md5"] });
  await lab.startPhones("box", { without_103: true });
  const { baresip101, baresip102, linphone103 } = lab.phones;
  await siteIsNormal(lab);
  const lost = lab.broker.messages.mark;
  const cut_at = now();
  await lab.step("upstream everything is swallowed", () => lab.cuts.blackHole());
  await becomesSurvivable(lab, cut_at, lost);
  const mark = lab.captures.lan.messages.mark;
  const offeredTo = (phone: Telephone) => {
    const challenge = lab.captures.lan.messages
      .since(mark)
      .find(({ status, to }) => status === 401 && to.startsWith(`${phone.address}:`));
    const offered = challenge === undefined ? [] : headers(challenge, "www-authenticate");
    return offered.map((value) => /algorithm="?([A-Za-z0-9-]+)/.exec(value)?.[1]).join();
  };
  await lab.step("a telephone that gives up at a choice is asked in MD5, as the cloud had asked it", async () => {
    await baresip101.stop();
    await baresip101.start();
    await baresip101.registered(8000);
    expect(offeredTo(baresip101) === "MD5", `it was offered ${offeredTo(baresip101)}`);
  });
  await lab.step("a new one is offered both, the strongest first, and takes that", async () => {
    await linphone103.stop();
    const anew = lab.linphone("linphone103");
    await anew.start();
    await anew.registered(8000);
    expect(offeredTo(anew) === "SHA-256,MD5", `it was offered ${offeredTo(anew)}`);
    const taken = algorithmOf(lab, anew, mark);
    expect(taken === "SHA-256", `it proved itself with ${taken}`);
    await anew.stop();
  });
  await internalCall(lab, baresip101, baresip102, "by the box alone");
  await outboundOverLte(lab, baresip102);
  const stranger = lab.linphone("linphone104", lan.box, { registers: false });
  await lab.step("a telephone that nobody vouches for rings no other", async () => {
    await stranger.start();
    const from = lab.captures.lan.messages.mark;
    baresip101.forget();
    await stranger.dial(`sip:${baresip101.user}@${domains.pbx}`);
    await lab.captures.lan.messages.next(
      "the box to ask who it is",
      5000,
      ({ status, to }) => (status === 407 || status === 403) && to.startsWith(`${stranger.address}:`),
      from,
    );
    const rung = lab.captures.lan.messages.find(
      ({ method, to }) => method === "INVITE" && to.startsWith(`${baresip101.address}:`),
      from,
    );
    expect(rung === undefined, "it rang");
    await stranger.stop();
  });
  await lab.step("and calls 911", async () => {
    const again = lab.linphone("linphone105", lan.box, { registers: false });
    await again.start();
    const call = await dial911(lab, again, "lte");
    await psapAnswers(call);
    await sleep(1500);
    await hangUp(again, call.psap);
    await bothHeard(lab, again, call.psap);
  });
}

const base = { box: "one-armed", telephones: "later", box_running: false } as const;

export const registrations: readonly Scenario[] = [
  {
    name: "bindings-kept",
    summary:
      "engine, site, both are killed, then power fails with the WAN dead: calls reach telephones that never re-register",
    short: true,
    layout: base,
    run: bindingsKept,
  },
  {
    name: "first-boot-tcp",
    summary:
      "telephones over TCP that connect before the box has its site file are registered when it comes, by the same connection",
    short: true,
    layout: { ...base, tcp: true },
    run: firstBootOverTcp,
  },
  {
    name: "secrets-offline",
    short: true,
    summary:
      "without the WAN telephones prove themselves in SHA-256 or MD5, as each can; a stranger gets 911 and nothing else",
    layout: base,
    run: secretsOffline,
  },
  {
    name: "phones-come-home",
    summary:
      "telephones that registered with the box in an outage are with the cloud a minute after it; one that hangs is listed",
    layout: base,
    deadline_ms: 240_000,
    run: phonesComeHome,
  },
  {
    name: "refreshes-absorbed",
    summary: "telephones refresh every 30 s at the box, the cloud hears of them once, and calls go by it",
    layout: base,
    deadline_ms: 180_000,
    run: refreshesAbsorbed,
  },
  {
    name: "devices-of-one-number",
    summary:
      "two devices through the box, one straight at the cloud: all ring, one signs off alone, a new one is asked who it is",
    layout: base,
    run: devicesOfOneNumber,
  },
];
