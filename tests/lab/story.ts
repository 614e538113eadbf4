/** The sentences scenarios are told in: calls with proof of sound, what a PSAP must have received, what the NOC heard. */
import { domains, extensions, hosts, numbers, siteLocation } from "./addresses.ts";
import type { Capture } from "./capture/capture.ts";
import { bodyParts, cseqMethod, header, headers, type SeenMessage, userOf } from "./capture/sip.ts";
import { sleep, until } from "./deadline.ts";
import type { Lab } from "./lab.ts";
import type { NocMessage } from "./peers/broker.ts";
import type { Telephone } from "./peers/telephone.ts";
import { tryRun } from "./processes.ts";
import { expect } from "./scenario.ts";

/** How long two people talk before one hangs up, and how much of it each must have heard. */
const TALK_MS = 1500;
const HEARD_MS = 1000;

type Way = "cloud" | "second_cloud" | "direct" | "lte" | "second_lte";

interface WayOut {
  readonly capture: Capture;
  readonly host: string;
  readonly psap: Telephone;
}

function wayOut(lab: Lab, way: Way): WayOut {
  const lte = { capture: lab.captures.lte, psap: lab.remote.psapLte };
  const wan = { capture: lab.captures.wan, psap: lab.remote.psapWan };
  switch (way) {
    case "lte":
      return { ...lte, host: hosts.lteTrunk };
    case "second_lte":
      return { ...lte, host: hosts.secondLteTrunk };
    case "cloud":
      return { ...wan, host: hosts.pbx };
    case "second_cloud":
      return { ...wan, host: hosts.secondPbx };
    case "direct":
      return { ...wan, host: hosts.directTrunk };
  }
}

export interface EmergencyCall {
  readonly caller: Telephone;
  readonly psap: Telephone;
  /** The telephone's own INVITE, as it reached the box. */
  readonly dialled: SeenMessage;
  /** The INVITE that reached the trunk. */
  readonly invite: SeenMessage;
  /** From the one to the other, in ms. */
  readonly to_trunk_ms: number;
}

/** The room a telephone's 911 call must name; undefined: the site's address. */
export const rooms: Readonly<Record<string, { readonly FLR: string; readonly ROOM: string } | undefined>> = {
  [extensions.baresip101.user]: { FLR: "1", ROOM: "101" },
  [extensions.baresip102.user]: { FLR: "2", ROOM: "202" },
};

/** Dials 911 and waits for the INVITE to reach the trunk it must go by. */
export async function dial911(lab: Lab, caller: Telephone, way: Way, deadline_ms = 5000): Promise<EmergencyCall> {
  const { capture, host, psap } = wayOut(lab, way);
  for (const phone of [caller, psap]) phone.forget();
  const [atBox, atTrunk] = [lab.captures.lan.messages.mark, capture.messages.mark];
  await caller.dial(numbers.emergency);
  const dialled = await lab.captures.lan.request(
    `${caller.name}'s 911 INVITE to reach the box`,
    3000,
    { method: "INVITE", from: caller.address },
    atBox,
  );
  const invite = await capture.request(
    `the 911 INVITE to reach the trunk by ${way}`,
    deadline_ms,
    { method: "INVITE", to: host, where: isEmergency },
    atTrunk,
  );
  return { caller, psap, dialled, invite, to_trunk_ms: invite.at - dialled.at };
}

const isEmergency = (message: SeenMessage): boolean =>
  /^INVITE (?:(?:sips?|tel):\+?911[@; ]|urn:service:sos)/.test(message.start);

export async function psapAnswers(call: EmergencyCall): Promise<void> {
  await call.psap.ringing(10_000);
  await call.psap.answer();
  await Promise.all([call.psap.established(5000), call.caller.established(5000)]);
}

export async function hangUp(by: Telephone, other: Telephone): Promise<void> {
  await by.hangUp();
  await Promise.all([by.closed(5000), other.closed(5000)]);
}

export async function bothHeard(lab: Lab, one: Telephone, other: Telephone, at_least_ms = HEARD_MS): Promise<void> {
  await lab.heard(one, other, at_least_ms);
  await lab.heard(other, one, at_least_ms);
}

/**
 * A whole 911 call: the INVITE by the way it must go, with the caller's location and a number to call back, the PSAP
 * answers, both hear each other, the caller hangs up. Returns what was measured.
 */
export async function emergencyCall(lab: Lab, caller: Telephone, way: Way): Promise<EmergencyCall> {
  return lab.step(`${caller.name} calls 911: by ${way}, with its location`, async () => {
    const call = await dial911(lab, caller, way);
    lab.timeline.note(`its INVITE was at the trunk ${call.to_trunk_ms.toFixed(1)} ms after it reached the box`);
    await psapAnswers(call);
    await locationSent(call.invite, rooms[caller.user]);
    // What the cloud shows the PSAP is the cloud's own business: it knows its users.
    if (way !== "cloud" && way !== "second_cloud") callerShown(call.invite, numbers.main);
    await sleep(TALK_MS);
    await hangUp(caller, call.psap);
    await bothHeard(lab, caller, call.psap);
    return call;
  });
}

/**
 * RFC 6442: a Geolocation header that points (`cid:`) to a PIDF-LO part of the body, well-formed, with the site's civic
 * address and, where the telephone has one, its floor and room; and beside it the session description.
 */
export async function locationSent(
  invite: SeenMessage,
  room: { readonly FLR: string; readonly ROOM: string } | undefined,
): Promise<void> {
  const pointer = header(invite, "geolocation")?.match(/<cid:([^>]+)>/)?.[1];
  expect(
    pointer !== undefined,
    `the INVITE has no Geolocation with a cid: (${header(invite, "geolocation") ?? "none"})`,
  );
  const parts = bodyParts(invite);
  const pidf = parts.find((part) => part.content_id === `<${pointer}>`);
  expect(pidf !== undefined, `no body part has Content-ID <${pointer}>, to which Geolocation points`);
  expect(pidf.type.startsWith("application/pidf+xml"), `the location part is ${pidf.type}, not application/pidf+xml`);
  expect(
    parts.some((part) => part.type.startsWith("application/sdp")),
    "the 911 INVITE has no session description beside the location",
  );
  const file = `/run/lab/pidf-${process.hrtime.bigint()}.xml`;
  const written = await tryRun(["tee", file], { input: pidf.text });
  const formed = await tryRun(["xmllint", "--noout", file]);
  expect(written.code === 0 && formed.code === 0, `the PIDF-LO is not well-formed XML: ${formed.stderr}`);
  for (const [name, wanted] of Object.entries({ ...siteLocation, ...room })) {
    const path = `string(//*[local-name()='civicAddress']/*[local-name()='${name}'])`;
    const { stdout } = await tryRun(["xmllint", "--xpath", path, file]);
    expect(stdout.trim() === wanted, `the PIDF-LO says ${name} is "${stdout.trim()}", not "${wanted}"`);
  }
}

/** The number a PSAP or callee sees and calls back: in P-Asserted-Identity where there is one, and in From. */
export function callerShown(invite: SeenMessage, number: string): void {
  const from = userOf(header(invite, "from"));
  expect(from === number, `the caller in From is ${from ?? "missing"}, not ${number}`);
  for (const identity of headers(invite, "p-asserted-identity")) {
    expect(userOf(identity) === number, `P-Asserted-Identity says ${identity}, not ${number}`);
  }
}

/** A call between two telephones of the site, with sound both ways; returns the callee's ringing delay in ms. */
export async function internalCall(lab: Lab, caller: Telephone, callee: Telephone, through: string): Promise<void> {
  await lab.step(`${caller.name} calls ${callee.name} (${through})`, async () => {
    for (const phone of [caller, callee]) phone.forget();
    await caller.dial(callee.user);
    await callee.ringing(5000);
    await callee.answer();
    await Promise.all([caller.established(5000), callee.established(5000)]);
    await sleep(TALK_MS);
    await hangUp(callee, caller);
    await bothHeard(lab, caller, callee);
  });
}

/** A call to the outside telephone over the LTE trunk, which must show the main number. */
export async function outboundOverLte(lab: Lab, caller: Telephone, host: string = hosts.lteTrunk): Promise<void> {
  const { outside } = lab.remote;
  await lab.step(`${caller.name} calls an outside number: over LTE, with the main number as caller`, async () => {
    for (const phone of [caller, outside]) phone.forget();
    const mark = lab.captures.lte.messages.mark;
    await caller.dial(numbers.outside.slice(1));
    const invite = await lab.captures.lte.request(
      "the INVITE to the outside number",
      5000,
      { method: "INVITE", to: host },
      mark,
    );
    callerShown(invite, numbers.main);
    const ringing = await outside.ringing(5000);
    expect(userOf(ringing.caller) === numbers.main, `the outside telephone shows ${ringing.caller}`);
    await outside.answer();
    await Promise.all([caller.established(5000), outside.established(5000)]);
    await sleep(TALK_MS);
    await hangUp(outside, caller);
    await bothHeard(lab, caller, outside);
  });
}

/** The outside telephone calls the main number; the trunk finds the box by its registration; the main group rings. */
export async function inboundOverLte(lab: Lab, answerer: Telephone, others: readonly Telephone[]): Promise<void> {
  const { outside } = lab.remote;
  await lab.step(`the outside telephone calls the main number: the group rings, ${answerer.name} answers`, async () => {
    for (const phone of [answerer, outside, ...others]) phone.forget();
    await outside.dial(`sip:${numbers.main}@${hosts.lteTrunk}`);
    const rung = await Promise.all([answerer, ...others].map((phone) => phone.ringing(5000)));
    const shown = rung.map(({ caller }) => caller);
    expect(
      shown.every((caller) => caller.includes(numbers.outside)),
      `the group must see who calls (${numbers.outside}); it sees ${shown.join(", ")}`,
    );
    await answerer.answer();
    await Promise.all([answerer.established(5000), outside.established(5000)]);
    await Promise.all(others.map((phone) => phone.closed(5000)));
    await sleep(TALK_MS);
    await hangUp(answerer, outside);
    await bothHeard(lab, answerer, outside);
  });
}

/** The PSAP calls the number that it was shown; the telephone that called 911 last rings, and they talk. */
export async function psapCallsBack(lab: Lab, caller: Telephone, host: string = hosts.lteTrunk): Promise<void> {
  const { psapLte } = lab.remote;
  await lab.step(`the PSAP calls back: ${caller.name} rings`, async () => {
    for (const phone of [psapLte, caller]) phone.forget();
    await psapLte.dial(`sip:${numbers.main}@${host}`);
    await caller.ringing(5000);
    await caller.answer();
    await Promise.all([psapLte.established(5000), caller.established(5000)]);
    await sleep(TALK_MS);
    await hangUp(psapLte, caller);
    await bothHeard(lab, psapLte, caller);
  });
}

/** After a 911 call the box stays in charge when the WAN heals, because the PSAP may call back (the callback window). */
export async function staysForCallback(lab: Lab, hold_down_ms: number, seen_within_ms = 10_000): Promise<void> {
  await lab.step("the WAN is good again, yet the box does not go home in the callback window", async () => {
    await lab.box.mode("recovering", seen_within_ms);
    await sleep(hold_down_ms + 1000);
    const mode = (await lab.box.status())?.engine?.mode;
    expect(
      mode === "recovering",
      `the box's mode is ${mode}, not recovering, within the callback window of a 911 call`,
    );
  });
}

/** The undisturbed site: mode normal, trunk registered, and the NOC hears the box. */
export async function siteIsNormal(lab: Lab): Promise<void> {
  await lab.step("the site is normal: mode, trunk registration, the NOC hears the box", async () => {
    await lab.box.mode("normal", 15_000);
    await trunkRegistered(lab);
    await lab.broker.messages.next("the NOC to hear that the box is online", 10_000, (message) => isOnline(message));
  });
}

export async function trunkRegistered(lab: Lab): Promise<void> {
  await until(
    "the carrier to have the box's registration for the main number",
    10_000,
    async () => (await lab.lteTrunk.bindings()).includes(numbers.main) || undefined,
  );
}

const isOnline = ({ topic, payload }: NocMessage): boolean =>
  topic.endsWith("/state") && (payload as { state?: unknown }).state === "online";

/** An event of the box as the NOC took it. */
export interface NocEvent {
  readonly id: string;
  /** In the order of the box's records. */
  readonly seq: number;
  readonly mono_ms: number;
  readonly call_id?: string;
  readonly type: string;
  readonly subject: string;
  /** When it happened by the box's clock, wall-clock milliseconds. */
  readonly wall: number;
  readonly data: Readonly<Record<string, unknown>>;
}

const eventOf = (message: NocMessage): NocEvent | undefined =>
  message.topic.endsWith("/event") ? (message.payload as NocEvent) : undefined;

/** All events that the NOC has got since `from`. */
export function eventsAtNoc(lab: Lab, from: number): readonly NocEvent[] {
  return lab.broker.messages.since(from).flatMap((message) => eventOf(message) ?? []);
}

/** The next event of a type at the NOC, with the moment it arrived there. */
export async function nocEvent(
  lab: Lab,
  type: string,
  where: (event: NocEvent) => boolean,
  deadline_ms: number,
  from = 0,
): Promise<{ readonly at: number; readonly event: NocEvent }> {
  const message = await lab.broker.messages.next(
    `the event ${type} to arrive at the NOC`,
    deadline_ms,
    (candidate) => {
      const event = eventOf(candidate);
      return event !== undefined && event.type === type && where(event);
    },
    from,
  );
  const event = eventOf(message);
  expect(event !== undefined, "a message that was an event is one no more");
  return { at: message.at, event };
}

/**
 * After a cut made at `cut_at`: the box goes into survivable mode and the NOC hears of it. Measures how soon; whether that
 * is soon enough is for the bench to say, on a machine that does nothing else.
 */
export async function becomesSurvivable(lab: Lab, cut_at: number, from: number): Promise<void> {
  await lab.step("the box goes into survivable mode and the NOC hears of it", async () => {
    const { at, event } = await nocEvent(lab, "mode.changed", ({ data }) => data.to === "survivable", 15_000, from);
    lab.measure("cut_to_survivable_ms", event.wall - cut_at);
    lab.measure("cut_to_noc_ms", at - cut_at);
  });
}

/**
 * After a heal at `healed_at`: home again, not before the hold-down, and a call goes by the cloud. `unknown` are telephones
 * that started in the outage: the cloud must first get their next REGISTER, within the expiry that the box gave them.
 */
export async function comesHome(
  lab: Lab,
  healed_at: number,
  hold_down_ms: number,
  unknown: readonly Telephone[] = [],
): Promise<void> {
  await lab.step("the box goes home, not before the hold-down", async () => {
    await lab.box.mode("normal", hold_down_ms + 15_000);
    const { event } = await nocEvent(
      lab,
      "mode.changed",
      ({ data, wall }) => data.to === "normal" && wall >= healed_at,
      10_000,
    );
    const took = event.wall - healed_at;
    lab.measure("heal_to_normal_ms", took);
    expect(took >= hold_down_ms, `it went home ${took} ms after the heal, before the hold-down of ${hold_down_ms} ms`);
  });
  const { baresip101, baresip102 } = lab.phones;
  for (const phone of unknown) {
    await lab.step(`the cloud gets ${phone.name}'s registration`, async () => {
      await lab.captures.wan.messages.next(
        `the cloud to accept ${phone.name}'s REGISTER`,
        70_000,
        (message) =>
          message.status === 200 &&
          cseqMethod(message) === "REGISTER" &&
          message.from.startsWith(`${hosts.pbx}:`) &&
          userOf(header(message, "to")) === phone.user &&
          message.at >= healed_at,
      );
    });
  }
  const mark = lab.captures.wan.messages.mark;
  await internalCall(lab, baresip101, baresip102, "by the cloud again");
  const atCloud = lab.captures.wan.messages.find(
    (message) => message.method === "INVITE" && message.to.startsWith(`${hosts.pbx}:`),
    mark,
  );
  expect(atCloud !== undefined, `after the heal the call did not go by ${domains.pbx}`);
}
