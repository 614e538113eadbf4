/** Calls that are up when something dies: the WAN, the cloud, a process of the box. */
import { cellular, hosts, lan, numbers } from "../addresses.ts";
import type { BoxProcess } from "../box/box.ts";
import type { Capture } from "../capture/capture.ts";
import { cseqMethod, header } from "../capture/sip.ts";
import { now, sleep, until } from "../deadline.ts";
import type { Lab } from "../lab.ts";
import { addAddress } from "../network.ts";
import { beyondPbx } from "../peers/pbx-features.ts";
import { Sipp } from "../peers/sipp.ts";
import { receiveRequest, reply, scenario, sdp, takeInvite } from "../peers/sipp-scenario.ts";
import type { Telephone } from "../peers/telephone.ts";
import { expect, type Scenario, type ScenarioLayout, type Stage } from "../scenario.ts";
import { bothHeard, dial911, hangUp, nocEvent, psapAnswers, siteIsNormal } from "../story.ts";

/** The promise: both directions again within three seconds of the cut. */
const MOVED_WITHIN_MS = 3000;
const TALK_MS = 1000;
/** A telephone on a busy machine pauses too: the box is judged by what it was given, and may add so much. */
const NO_GAP_MS = 200;

const oneArmed: ScenarioLayout = { box: "one-armed", telephones: "box", box_running: true };

/** A site whose WAN lives. Each scenario that cuts it has a lab of its own: every further outage doubles the hold-down. */
const stage: Stage = {
  name: "running-calls",
  layout: oneArmed,
  prepare: siteIsNormal,
  async settled(lab) {
    const everybody = [lab.phones.baresip101, lab.phones.baresip102, lab.remote.outside, lab.remote.psapLte];
    await Promise.all(
      everybody.map((phone) =>
        until(`${phone.name} to have no call`, 5000, async () => ((await phone.calls()) === 0 ? true : undefined)),
      ),
    );
    await until("the box to be in normal mode, without calls", 5000, async () => {
      const engine = (await lab.box.status())?.engine;
      return (engine?.mode === "normal" && engine.calls.length === 0) || undefined;
    });
  },
};

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

const heal = (lab: Lab) => lab.step("the WAN is healed", () => lab.cuts.forwardingHealed());

const cut = (lab: Lab) =>
  lab.step("upstream everything is swallowed", async () => {
    const at = now();
    await lab.cuts.blackHole();
    return at;
  });

/** Waits until sound flows from one host to another again, and returns for how long none did since `since`. */
async function soundAgain(what: string, capture: Capture, from: string, to: string, since: number): Promise<number> {
  await until(`${what} to hear something over LTE`, 8000, async () => {
    const heard = capture.streams(from, to).flatMap(({ arrivals }) => arrivals.filter((at) => at > now() - 200));
    return heard.length > 3 || undefined;
  });
  await sleep(300);
  return capture.longestSilence(from, to, since, now() - 100);
}

/** Who talks with the telephone: as the steps call it, its key in the measured values, and where its sound comes from. */
interface FarEnd {
  readonly name: string;
  readonly key: string;
  readonly host: string;
}

const OUTSIDE: FarEnd = { name: "the outside telephone", key: "outside", host: hosts.outside };
const PSAP: FarEnd = { name: "the PSAP", key: "psap", host: hosts.psapWan };

/** After a cut at `cut_at`: sound goes by LTE, both ways, soon enough. */
async function movesToLte(
  lab: Lab,
  cut_at: number,
  caller: Telephone = lab.phones.baresip101,
  far: FarEnd = OUTSIDE,
): Promise<void> {
  await lab.step("the call goes on over LTE, both ways", async () => {
    const { lan: inside, lte } = lab.captures;
    const toFar = await soundAgain(far.name, lte, cellular.box, far.host, cut_at);
    await soundAgain("the box", lte, far.host, cellular.box, cut_at);
    const toCaller = inside.longestSilence(lan.box, caller.address, cut_at, now() - 100);
    lab.measure(`silence_towards_${far.key}_ms`, toFar);
    lab.measure("silence_towards_phone_ms", toCaller);
    expect(toFar < MOVED_WITHIN_MS, `${far.name} heard nothing for ${toFar} ms`);
    expect(toCaller < MOVED_WITHIN_MS, `${caller.name} heard nothing for ${toCaller} ms`);
  });
}

async function ended(lab: Lab, by: "caller" | "callee", mark: number): Promise<void> {
  await lab.step("the NOC has the move and the end", async () => {
    const { event } = await nocEvent(lab, "call.moved", ({ data }) => data.path === "lte", 10_000, mark);
    lab.measure("verdict_to_moved_ms", Number(event.data.took_ms));
    await nocEvent(lab, "call.ended", ({ data }) => data.ended_by === by, 10_000, mark);
  });
}

async function callMoves(lab: Lab, cutNow: (lab: Lab) => Promise<number> = cut, talked_ms = 0): Promise<void> {
  const { baresip101 } = lab.phones;
  const { outside } = lab.remote;
  const mark = lab.broker.messages.mark;
  await cloudCall(lab);
  await sleep(talked_ms);
  await movesToLte(lab, await cutNow(lab));
  await lab.step("the phone hangs up, and the outside telephone hears of it", async () => {
    await sleep(TALK_MS);
    await hangUp(baresip101, outside);
    // More than they heard of each other before the cut.
    await bothHeard(lab, outside, baresip101, 1.7 * TALK_MS);
  });
  await ended(lab, "caller", mark);
  await lab.step("the page says that the PBX permits it", async () => {
    const moves = (await lab.box.status())?.engine?.call_moves ?? [];
    const known = moves.find(({ trunk, rung }) => trunk === "cloud" && rung === "reinvite");
    expect(known?.outcome === "permitted", `the box says ${JSON.stringify(moves)}`);
  });
}

const linkDown = (lab: Lab): Promise<void> =>
  callMoves(lab, (each) =>
    each.step("the WAN cable is pulled", async () => {
      const at = now();
      await each.cuts.linkDown();
      return at;
    }),
  );

async function farEndHangsUp(lab: Lab): Promise<void> {
  const { baresip101 } = lab.phones;
  const { outside } = lab.remote;
  const mark = lab.broker.messages.mark;
  await cloudCall(lab);
  await movesToLte(lab, await cut(lab));
  await lab.step("the phone puts the call on hold and takes it up again", async () => {
    const held = lab.captures.lte.messages.mark;
    await baresip101.hold();
    const offer = await lab.captures.lte.request(
      "the hold",
      5000,
      { method: "INVITE", to: hosts.pbx, where: ({ body }) => /a=(?:sendonly|inactive)/.test(body.toString()) },
      held,
    );
    expect(offer.body.includes(cellular.box), "the hold names another address than the box's on LTE");
    await sleep(500);
    await baresip101.resume();
    await sleep(TALK_MS);
  });
  await lab.step("the outside telephone hangs up into the dead path, and the phone's call ends", async () => {
    const at = now();
    await outside.hangUp();
    await baresip101.closed(10_000);
    lab.measure("hang_up_to_phone_ms", now() - at);
    await outside.closed(10_000);
  });
  await ended(lab, "callee", mark);
}

async function wanReturns(lab: Lab): Promise<void> {
  const { baresip101 } = lab.phones;
  const { outside } = lab.remote;
  const mark = lab.broker.messages.mark;
  await cloudCall(lab);
  await movesToLte(lab, await cut(lab));
  await heal(lab);
  await lab.step("the box goes home; the call stays where it is", async () => {
    await lab.box.mode("normal", 20_000);
    await sleep(500);
    const silence = lab.captures.lte.longestSilence(cellular.box, hosts.outside, now() - 600, now() - 100);
    expect(silence < 400, `the call's sound left LTE: nothing for ${silence} ms`);
  });
  await lab.step("the outside telephone hangs up by the old way, and the phone hears of it", async () => {
    const at = now();
    await hangUp(outside, baresip101);
    lab.measure("hang_up_to_phone_ms", now() - at);
  });
  await ended(lab, "callee", mark);
}

/** A 911 call that the PBX took, and whose PSAP has answered, when the WAN dies. */
async function emergencyMoves(lab: Lab, talked_ms = 0): Promise<void> {
  const { baresip101 } = lab.phones;
  const mark = lab.broker.messages.mark;
  const call = await lab.step("101 calls 911 by the cloud, and they talk", async () => {
    const made = await dial911(lab, baresip101, "cloud");
    await psapAnswers(made);
    await sleep(TALK_MS + talked_ms);
    return made;
  });
  const cut_at = await cut(lab);
  await movesToLte(lab, cut_at, baresip101, PSAP);
  await lab.step("the caller hangs up, and the PSAP hears of it", async () => {
    await sleep(TALK_MS);
    await hangUp(baresip101, call.psap);
    await bothHeard(lab, baresip101, call.psap, 1.7 * TALK_MS);
    await nocEvent(lab, "call.moved", ({ data }) => data.path === "lte", 10_000, mark);
    await nocEvent(lab, "emergency.ended", ({ data }) => data.ended_by === "caller", 10_000, mark);
  });
}

async function refusedThenHeld(lab: Lab): Promise<void> {
  const { baresip101 } = lab.phones;
  const { outside } = lab.remote;
  await lab.pbx.set("refuse", "elsewhere", 1);
  await cloudCall(lab);
  const cut_at = await cut(lab);
  await lab.step("the PBX refuses: the phone is not left in silence", async () => {
    await lab.captures.lte.messages.next(
      "the PBX to refuse",
      8000,
      ({ status, from, at }) => status === 403 && from.startsWith(`${hosts.pbx}:`) && at > cut_at,
    );
    const told_at = now();
    await sleep(1500);
    const { arrivals } = lab.captures.lan.streams(lan.box, baresip101.address).at(-1) ?? { arrivals: [] };
    const since = arrivals.filter((at) => at > told_at).length;
    expect(since > 30, `${since} packets of the words about it reached the phone`);
    const moves = (await lab.box.status())?.engine?.call_moves ?? [];
    const known = moves.find(({ trunk, rung }) => trunk === "cloud" && rung === "reinvite");
    expect(known?.outcome === "refused" && known.status === 403, `the box says ${JSON.stringify(moves)}`);
  });
  await heal(lab);
  await lab.step("with the WAN the two hear each other again", async () => {
    await lab.box.mode("normal", 20_000);
    await sleep(TALK_MS + 500);
    await hangUp(baresip101, outside);
    await bothHeard(lab, outside, baresip101, 1.7 * TALK_MS);
  });
}

/** Somebody behind the PBX who takes an INVITE with Replaces (RFC 3891), says nothing before 200, and echoes the sound. */
const replaceable = scenario("replaceable", [
  takeInvite(),
  reply("200 OK", { body: sdp(), contact: "<sip:7299@[local_ip]:[local_port]>", retransmitted_ms: 500 }),
  receiveRequest("ACK"),
  receiveRequest("BYE"),
  reply("200 OK", { tag: false, contact: false }),
]);

async function movesByReplaces(lab: Lab): Promise<void> {
  const { baresip101 } = lab.phones;
  await addAddress(beyondPbx.namespace, beyondPbx.address);
  const far = await Sipp.start(lab, { ...beyondPbx, name: "replaceable", scenario: replaceable, echoes: true });
  await lab.pbx.set("refuse", "elsewhere", 1);
  const mark = lab.broker.messages.mark;
  await lab.step("101 calls somebody behind the PBX", async () => {
    baresip101.forget();
    await baresip101.dial("7299");
    await baresip101.established(5000);
    await sleep(TALK_MS);
  });
  const cut_at = await cut(lab);
  const invite = await lab.step("the re-INVITE is refused; a new dialog takes the old one's place", async () => {
    const asked = await lab.captures.lte.request("the INVITE with Replaces", 8000, {
      method: "INVITE",
      from: cellular.box,
      where: (message) =>
        header(message, "replaces") !== undefined && header(message, "proxy-authorization") !== undefined,
    });
    const { lan: inside, lte } = lab.captures;
    const away = await soundAgain("the far end", lte, cellular.box, beyondPbx.address, cut_at);
    await soundAgain("the box", lte, beyondPbx.address, cellular.box, cut_at);
    const back = inside.longestSilence(lan.box, baresip101.address, cut_at, now() - 100);
    lab.measure("silence_towards_outside_ms", away);
    lab.measure("silence_towards_phone_ms", back);
    expect(away < MOVED_WITHIN_MS && back < MOVED_WITHIN_MS, `no sound for ${away} ms out and ${back} ms in`);
    const { event } = await nocEvent(lab, "call.moved", ({ data }) => data.path === "lte", 10_000, mark);
    expect(event.data.by === "replaces", `it moved by ${String(event.data.by)}`);
    return asked;
  });
  await lab.step("the phone hangs up in its own dialog, and the far end hears of it in the new one", async () => {
    await sleep(TALK_MS);
    const before = lab.captures.lte.messages.mark;
    await baresip101.hangUp();
    const bye = await lab.captures.lte.request("the BYE", 5000, { method: "BYE", to: hosts.pbx }, before);
    expect(header(bye, "call-id") === header(invite, "call-id"), "the BYE is not of the new dialog");
    await lab.captures.lte.messages.next(
      "its 200",
      5000,
      (message) =>
        message.status === 200 &&
        header(message, "call-id") === header(bye, "call-id") &&
        cseqMethod(message) === "BYE",
      before,
    );
    await baresip101.closed(5000);
    await lab.heard(baresip101, baresip101, 1.7 * TALK_MS);
  });
  await far.stop();
}

async function challenged(lab: Lab): Promise<void> {
  await lab.pbx.set("challenge", "inside", 1);
  await cloudCall(lab);
  await movesToLte(lab, await cut(lab));
  await lab.step("hanging up is asked for a password too, and goes by LTE", async () => {
    await hangUp(lab.phones.baresip101, lab.remote.outside);
  });
}

/** Both insist on SRTP; who cannot decipher the other records noise. */
async function secured(lab: Lab): Promise<void> {
  const extras = { media_modules: ["srtp.so"], account: ["mediaenc=srtp-mand"] };
  await Promise.all([lab.phones.baresip101, lab.remote.outside].map((phone) => phone.restart(extras)));
  await callMoves(lab);
  const offers = lab.captures.lte.messages.entries.filter(({ body }) =>
    /^m=audio \d+ RTP\/SAVP/m.test(body.toString()),
  );
  expect(offers.length >= 2, "the move was not about SRTP");
}

/** The engine dies between the cut and the far end's answer; the next one moves the call. */
async function killedInMove(lab: Lab, after_ms: number): Promise<void> {
  const { baresip101 } = lab.phones;
  const { outside } = lab.remote;
  await cloudCall(lab);
  const cut_at = await cut(lab);
  await lab.step(`the engine is killed ${after_ms} ms after the cut`, async () => {
    await sleep(after_ms);
    await lab.box.back("engine", await lab.box.kill("engine"), 5000);
  });
  await lab.step("the call goes on over LTE, both ways", async () => {
    const { lan: inside, lte } = lab.captures;
    const away = await soundAgain("the outside telephone", lte, cellular.box, hosts.outside, cut_at);
    await soundAgain("the box", lte, hosts.outside, cellular.box, cut_at);
    const back = inside.longestSilence(lan.box, baresip101.address, cut_at, now() - 100);
    lab.measure("silence_towards_outside_ms", away);
    lab.measure("silence_towards_phone_ms", back);
  });
  await lab.step("the phone hangs up, and the outside telephone hears of it", async () => {
    await sleep(TALK_MS);
    await hangUp(baresip101, outside);
    await bothHeard(lab, outside, baresip101, 1.7 * TALK_MS);
  });
}

/** Two phones of the site talk through the cloud, which dies: nothing is heard of it. */
async function phoneToPhone(lab: Lab): Promise<void> {
  const { baresip101, baresip102 } = lab.phones;
  for (const dies of ["wan", "pbx"] as const) {
    await lab.step("101 calls 102 through the cloud", () => betweenPhones.begin(lab));
    const at = now();
    await lab.step(dies === "wan" ? "the WAN dies" : "the PBX dies", async () => {
      if (dies === "wan") await lab.cuts.blackHole();
      else await lab.pbx.kill();
      // Nobody asks a silent PBX more often than every 25 s.
      await lab.box.mode("survivable", dies === "wan" ? 15_000 : 45_000);
      await sleep(TALK_MS);
    });
    if (dies === "wan") await heal(lab);
    else await lab.pbx.restart();
    await lab.step("the cloud comes back in the call", async () => {
      await lab.box.mode("normal", 60_000);
      await sleep(TALK_MS);
    });
    noGap(lab, at, betweenPhones.directions(lab));
    await lab.step("they hang up, having heard each other throughout", async () => {
      const talked_ms = now() - at;
      await hangUp(baresip102, baresip101);
      await bothHeard(lab, baresip101, baresip102, talked_ms);
    });
  }
}

/** Where one party's sound goes into the box, and where it comes out towards the other. */
interface Direction {
  readonly into: { readonly seen: Capture; readonly from: string; readonly to: string };
  readonly out: { readonly seen: Capture; readonly from: string; readonly to: string };
}

const direction = (
  seen: Capture,
  from: string,
  box: string,
  seenOut: Capture,
  boxOut: string,
  to: string,
): Direction => ({
  into: { seen, from, to: box },
  out: { seen: seenOut, from: boxOut, to },
});

/** The box may not pause where it was given sound. */
function noGap(lab: Lab, since: number, directions: readonly Direction[]): void {
  const until_ms = now() - 100;
  for (const { into, out } of directions) {
    const given = into.seen.longestSilence(into.from, into.to, since, until_ms);
    const passed = out.seen.longestSilence(out.from, out.to, since, until_ms);
    lab.measure(`silence_towards_${out.to}_ms`, passed);
    expect(passed <= given + NO_GAP_MS, `${out.to} heard nothing for ${passed} ms, ${into.from} paused ${given} ms`);
  }
}

interface Kind {
  readonly what: string;
  readonly far: (lab: Lab) => Telephone;
  begin(lab: Lab): Promise<void>;
  directions(lab: Lab): readonly Direction[];
}

const throughCloud: Kind = {
  what: "a call through the cloud",
  far: (lab) => lab.remote.outside,
  begin: (lab) => cloudCall(lab),
  directions: ({ captures, phones: { baresip101 } }) => [
    direction(captures.lan, baresip101.address, lan.box, captures.wan, lan.box, hosts.outside),
    direction(captures.wan, hosts.outside, lan.box, captures.lan, lan.box, baresip101.address),
  ],
};

const betweenPhones: Kind = {
  what: "a call between two phones",
  far: (lab) => lab.phones.baresip102,
  async begin(lab) {
    const { baresip101, baresip102 } = lab.phones;
    for (const phone of [baresip101, baresip102]) phone.forget();
    await baresip101.dial(baresip102.user);
    await baresip102.ringing(5000);
    await baresip102.answer();
    await Promise.all([baresip101.established(5000), baresip102.established(5000)]);
    await sleep(TALK_MS);
  },
  directions: ({ captures, phones: { baresip101, baresip102 } }) => [
    direction(captures.lan, baresip101.address, lan.box, captures.lan, lan.box, baresip102.address),
    direction(captures.lan, baresip102.address, lan.box, captures.lan, lan.box, baresip101.address),
  ],
};

/** In survivable mode their sound does not pass the box at all. */
const directly: Kind = {
  ...betweenPhones,
  what: "a call between two phones that speak directly",
  directions: () => [],
};

const emergency: Kind = {
  what: "a 911 call over LTE",
  far: (lab) => lab.remote.psapLte,
  async begin(lab) {
    await psapAnswers(await dial911(lab, lab.phones.baresip101, "lte"));
    await sleep(TALK_MS);
  },
  directions: ({ captures, phones: { baresip101 } }) => [
    direction(captures.lan, baresip101.address, lan.box, captures.lte, cellular.box, hosts.psapLte),
    direction(captures.lte, hosts.psapLte, cellular.box, captures.lan, lan.box, baresip101.address),
  ],
};

/** A process of the box is killed in a call of each kind: sound goes on, hanging up works and is recorded. */
async function killed(lab: Lab, name: BoxProcess, kinds: readonly Kind[]): Promise<void> {
  const { baresip101 } = lab.phones;
  for (const kind of kinds) {
    await lab.step(`${name} is killed in ${kind.what}`, async () => {
      const mark = lab.broker.messages.mark;
      await kind.begin(lab);
      const killed_at = now();
      await lab.box.back(name, await lab.box.kill(name), 5000);
      await lab.box.takesCalls(5000);
      await sleep(TALK_MS);
      noGap(lab, killed_at, kind.directions(lab));
      const far = kind.far(lab);
      await hangUp(far, baresip101);
      await bothHeard(lab, baresip101, far, TALK_MS);
      const type = kind === emergency ? "emergency.ended" : "call.ended";
      await nocEvent(lab, type, ({ data }) => data.ended_by === (kind === emergency ? "psap" : "callee"), 15_000, mark);
    });
  }
}

const alone = (name: string, summary: string, run: (lab: Lab) => Promise<void>, layout = oneArmed): Scenario => ({
  name,
  summary,
  layout,
  async run(lab) {
    await siteIsNormal(lab);
    await run(lab);
  },
});

export const runningCalls: readonly Scenario[] = [
  {
    ...alone(
      "call-moves",
      "the WAN dies in a call through the cloud: it goes on over LTE within three seconds, and hanging up works",
      callMoves,
    ),
    short: true,
  },
  alone("call-moves-link-down", "the same when the box's own WAN cable is pulled", (lab) => linkDown(lab), {
    ...oneArmed,
    box: "two-port",
  }),
  {
    name: "call-moves-without-echo",
    summary: "the same where no echo responder is named: the sound that stops is the first sign",
    layout: { box: "one-armed", telephones: "later", box_running: false },
    async run(lab) {
      await lab.box.start({ echo_responder: false });
      await lab.startPhones("box");
      await siteIsNormal(lab);
      // Long enough to tell sound that flows from sound that comes in pieces.
      await callMoves(lab, cut, 4000);
    },
  },
  alone("call-moves-tcp", "the same where phones, cloud and trunk speak TCP", (lab) => callMoves(lab), {
    ...oneArmed,
    tcp: true,
  }),
  alone(
    "call-moves-far-end-hangs-up",
    "after the move the phone holds and resumes; the far end hangs up into the dead path and the phone is told",
    farEndHangsUp,
  ),
  alone("call-moves-wan-returns", "the WAN returns in a moved call: it stays, and the far end can hang up", wanReturns),
  alone("call-moves-challenged", "the PBX wants a password for all in a call: the box has the phone's", challenged),
  ...([100, 700] as const).map((after_ms) =>
    alone(
      `call-moves-engine-killed-${after_ms}`,
      `the engine is killed ${after_ms} ms after the cut: the next one moves the call, and hanging up works`,
      (lab) => killedInMove(lab, after_ms),
    ),
  ),
  alone("call-moves-srtp", "the same with telephones that insist on SRTP: each still deciphers the other", secured),
  {
    ...alone(
      "911-moves",
      "the WAN dies in an answered 911 call: it goes on over LTE within three seconds, and hanging up works",
      (lab) => emergencyMoves(lab),
    ),
    short: true,
  },
  {
    name: "911-moves-without-echo",
    summary: "the same where no echo responder is named: the sound that stops is the first sign",
    layout: { box: "one-armed", telephones: "later", box_running: false },
    async run(lab) {
      await lab.box.start({ echo_responder: false });
      await lab.startPhones("box");
      await siteIsNormal(lab);
      await emergencyMoves(lab, 4000);
    },
  },
  alone(
    "call-moves-by-replaces",
    "the PBX refuses the re-INVITE: a new dialog takes the old one's place, and the phone never hears of it",
    movesByReplaces,
  ),
  alone(
    "call-moves-refused",
    "the PBX refuses the move: the phone hears that it is held, and the call goes on with the WAN",
    refusedThenHeld,
  ),
  {
    ...alone(
      "phone-to-phone-never-notices",
      "the WAN dies, and then the PBX, in a call between two phones: no gap",
      phoneToPhone,
    ),
    deadline_ms: 180_000,
  },
  ...(["site", "cellular", "engine"] as const).map(
    (name): Scenario => ({
      name: `kill-${name}`,
      summary: `the ${name} process is killed in answered calls, through the cloud and between phones: no gap, hanging up works`,
      stage,
      run: (lab) => killed(lab, name, [throughCloud, betweenPhones]),
      short: name === "engine",
    }),
  ),
  alone(
    "kill-in-outage",
    "the WAN is dead: site and cellular are killed in a 911 call over LTE, the engine in a call between phones",
    async (lab) => {
      await cut(lab);
      await lab.box.mode("survivable", 15_000);
      for (const name of ["site", "cellular"] as const) await killed(lab, name, [emergency]);
      await killed(lab, "engine", [directly]);
    },
  ),
];
