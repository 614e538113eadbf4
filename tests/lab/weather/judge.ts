/** What every 911 call must have been, whatever its carriers did: judged by what was on the wire and what the NOC got. */
import type { EventData } from "../../../agent/base/events.ts";
import { cellular, hosts, lan } from "../addresses.ts";
import { CARRIER_RING_DEADLINE_MS } from "../box/site-file.ts";
import type { Capture } from "../capture/capture.ts";
import { bodyParts, cseqMethod, header, headers, type SeenMessage } from "../capture/sip.ts";
import type { Lab } from "../lab.ts";
import { expect } from "../scenario.ts";
import { eventsAtNoc, locationSent, nocEvent, rooms } from "../story.ts";

/** From the word that makes a leg one too many to the box's own word that ends it. */
const RELEASED_WITHIN_MS = 200;
/** From the word that ends an attempt, or from its deadline, to the next attempt's INVITE. */
const NEXT_MS = 200;
/** From an INVITE that nobody responds to, to the next attempt's: the design's figure for a round trip under 20 ms. */
const NEXT_WITHOUT_WORD_MS = 300 + NEXT_MS;

export type Way = "carrier" | "lte-trunk" | "cloud";

/** Where to look from, taken before the call. */
export interface Marks {
  readonly lan: number;
  readonly lte: number;
  readonly noc: number;
}

export const marks = (lab: Lab): Marks => ({
  lan: lab.captures.lan.messages.mark,
  lte: lab.captures.lte.messages.mark,
  noc: lab.broker.messages.mark,
});

/** One attempt as it was on the wire: every message of its Call-ID, both ways. */
export interface SeenLeg {
  readonly way: Way;
  readonly messages: readonly SeenMessage[];
  /** Those that the box sent. */
  readonly sent: readonly SeenMessage[];
  /** Those that came back. */
  readonly came: readonly SeenMessage[];
}

const hostOf = (end: string): string => end.slice(0, end.lastIndexOf(":"));
const isEmergency = (message: SeenMessage): boolean =>
  /^INVITE (?:(?:sips?|tel):\+?911[@; ]|urn:service:sos)/.test(message.start);

function legsOn(capture: Capture, from: number, box: string, ways: Readonly<Record<string, Way>>): SeenLeg[] {
  const seen = capture.messages.since(from);
  const ids = new Map<string, Way>();
  for (const message of seen) {
    const way = ways[hostOf(message.to)];
    const id = header(message, "call-id");
    if (way !== undefined && id !== undefined && isEmergency(message) && !ids.has(id)) ids.set(id, way);
  }
  return [...ids].map(([id, way]) => {
    const messages = seen.filter((message) => header(message, "call-id") === id);
    const [sent, came] = [true, false].map((ours) => messages.filter(({ from }) => (hostOf(from) === box) === ours));
    return { way, messages, sent: sent ?? [], came: came ?? [] };
  });
}

/** Every attempt since the marks, as it was at the box's own ports: what a cut swallows was sent all the same. */
export const legsSince = (lab: Lab, since: Marks): SeenLeg[] => [
  ...legsOn(lab.captures.lan, since.lan, lan.box, { [hosts.carrier]: "carrier", [hosts.pbx]: "cloud" }),
  ...legsOn(lab.captures.lte, since.lte, cellular.box, { [hosts.lteTrunk]: "lte-trunk" }),
];

const isFinal = (method: string) => (message: SeenMessage) =>
  message.status !== undefined && message.status >= 200 && cseqMethod(message) === method;
const tagOf = (value: string | undefined): string | undefined => value?.match(/;tag=([^;>\s]+)/)?.[1];

export interface Expected {
  /** Where the caller ended up; undefined: nowhere. */
  readonly bridged: Way | undefined;
  /** Every attempt's records at the NOC, in order: trunk, outcome, status; ` | ` between what chance may choose from. */
  readonly records: readonly string[];
  /** From this one on (counted from 0) their order is chance's. */
  readonly any_order_after?: number;
  readonly ended_by: "caller" | "psap" | "box";
  /** Its connection is gone, and its transaction with it (RFC 3261 §17.1.4): there is nothing to release. */
  readonly reset?: Way;
  /** Statuses of 300 and more that the telephone may have seen. */
  readonly refused_with?: readonly number[];
  /** Attempts that went without location, after a 424. */
  readonly without_location?: number;
}

export interface Judged {
  /** The engine was stopped, and read what had come to it only now (ms). */
  readonly read_at?: number;
}

/**
 * One call of `caller` from `since` on, after its end: one To-tag and one description at the telephone, no error while an
 * attempt lived, location with each attempt, one leg bridged, every other one released in time and recorded.
 */
export async function judge(
  lab: Lab,
  caller: { readonly address: string; readonly user: string },
  since: Marks,
  expected: Expected,
  { read_at = 0 }: Judged = {},
): Promise<readonly SeenLeg[]> {
  await recorded(lab, since, expected);
  atTelephone(lab, caller.address, since, expected);
  const legs = legsSince(lab, since).map((leg) => readAt(leg, read_at));
  let without = 0;
  for (const leg of legs) {
    for (const invite of distinct(leg.sent.filter(isEmergency))) {
      if (header(invite, "geolocation") === undefined) without++;
      else await locationSent(invite, rooms[caller.user]);
    }
  }
  expect(
    without === (expected.without_location ?? 0),
    `${without} INVITEs went without location, not ${expected.without_location ?? 0}`,
  );
  const bridged = legs.filter((leg) => bridgedForks(leg).length > 0);
  expect(
    bridged.map(({ way }) => way).join() === (expected.bridged ?? ""),
    `the caller was bridged to ${bridged.map(({ way }) => way).join() || "nobody"}, not ${expected.bridged ?? "nobody"}`,
  );
  const answered_at = bridged[0]?.came.find(isAnswer)?.at;
  const over_at = answered_at ?? gaveUpAt(lab, caller.address, since);
  for (const leg of legs.filter(({ way }) => way !== expected.reset)) {
    for (const ms of releaseTimes(leg, over_at)) {
      lab.measure("leg_released_ms", ms);
      expect(ms <= RELEASED_WITHIN_MS, `a leg by ${leg.way} was released ${ms.toFixed(0)} ms after its word`);
    }
    saneReasons(leg, answered_at);
    cancelledInOrder(leg);
    acknowledged(leg);
  }
  if ((expected.refused_with ?? []).length === 0) inTime(lab, legsSince(lab, since));
  return legs;
}

/** What came before the engine could read it counts from then on. */
const readAt = (leg: SeenLeg, read_at: number): SeenLeg => ({
  ...leg,
  came: leg.came.map((message) => ({ ...message, at: Math.max(message.at, read_at) })),
});

const isAnswer = (message: SeenMessage): boolean => message.status === 200 && cseqMethod(message) === "INVITE";

/** One of each repeated message: the first. */
function distinct(messages: readonly SeenMessage[]): SeenMessage[] {
  return messages.filter((message, i) => messages.findIndex((each) => cseqOf(each) === cseqOf(message)) === i);
}

const cseqOf = (message: SeenMessage): string => header(message, "cseq") ?? "";

/** To-tags of the answers that the box took and did not end within the time for one that it does not want. */
function bridgedForks(leg: SeenLeg): string[] {
  const tags = new Set(leg.came.filter(isAnswer).map((message) => tagOf(header(message, "to")) ?? ""));
  return [...tags].filter((tag) => {
    const answer = leg.came.find((message) => isAnswer(message) && tagOf(header(message, "to")) === tag);
    const acked = leg.sent.some(
      ({ method, ...rest }) => method === "ACK" && tagOf(header({ method, ...rest }, "to")) === tag,
    );
    const bye = byeOf(leg, tag);
    const release = bye !== undefined && answer !== undefined && bye.at - answer.at <= RELEASED_WITHIN_MS;
    return acked && !release;
  });
}

const byeOf = (leg: SeenLeg, tag: string): SeenMessage | undefined =>
  leg.sent.find((message) => message.method === "BYE" && tagOf(header(message, "to")) === tag);

/** When the telephone's CANCEL reached the box. */
function gaveUpAt(lab: Lab, address: string, since: Marks): number | undefined {
  const seen = lab.captures.lan.messages.since(since.lan);
  return seen.find(({ method, from }) => method === "CANCEL" && hostOf(from) === address)?.at;
}

/**
 * For every word that made a leg one too many: how long the box took to end it. `over_at`: when the call was answered by
 * another leg, or the caller gave up.
 */
function releaseTimes(leg: SeenLeg, over_at: number | undefined): number[] {
  const times: number[] = [];
  const bridged = new Set(bridgedForks(leg));
  for (const answer of leg.came.filter(isAnswer)) {
    const tag = tagOf(header(answer, "to")) ?? "";
    if (bridged.has(tag)) continue;
    const ack = leg.sent.find(({ method, at }) => method === "ACK" && at >= answer.at);
    const bye = byeOf(leg, tag);
    expect(
      ack !== undefined && bye !== undefined,
      `an answer by ${leg.way} got no ${ack === undefined ? "ACK" : "BYE"}`,
    );
    if (bye.at >= answer.at) times.push(Math.max(ack.at, bye.at) - answer.at);
  }
  if (bridged.size > 0 || over_at === undefined) return times;
  // This one lived then: it is cancelled at once, or on its first response.
  const final = leg.came.find(isFinal("INVITE"));
  if (final !== undefined && final.at <= over_at) return times;
  const first = leg.came.find(({ status }) => status !== undefined && status < 200);
  if (first === undefined) return times;
  const cancel = leg.sent.find(({ method }) => method === "CANCEL");
  if (cancel === undefined) {
    expect(final !== undefined, `the leg by ${leg.way} was neither cancelled nor ended`);
    return times;
  }
  return [...times, Math.max(0, cancel.at - Math.max(first.at, over_at))];
}

function saneReasons(leg: SeenLeg, answered_at: number | undefined): void {
  for (const message of leg.sent) {
    for (const reason of headers(message, "reason")) {
      expect(/^SIP;cause=[2-6]\d\d(?:;text="[^"]+")?$/.test(reason), `a Reason that is none (RFC 3326): ${reason}`);
    }
    const reason = header(message, "reason");
    if (message.method !== "CANCEL") continue;
    const elsewhere = answered_at !== undefined && message.at >= answered_at;
    expect(
      elsewhere === (reason?.includes("cause=200") ?? false),
      `the CANCEL by ${leg.way} says ${reason ?? "no reason"}, and the call was ${elsewhere ? "" : "not "}answered elsewhere`,
    );
  }
}

/**
 * Each attempt left in time after what the one before it had come to: at once after a refusal, when its deadline had passed
 * after a word that is none yet, and soon after an INVITE without any response. Ringing is waited for.
 */
function inTime(lab: Lab, legs: readonly SeenLeg[]): void {
  const left = (leg: SeenLeg): number => leg.sent.find(isEmergency)?.at ?? 0;
  const inOrder = [...legs].sort((a, b) => left(a) - left(b));
  inOrder.slice(1).forEach((leg, i) => {
    const before = inOrder[i];
    const word = before?.came.findLast((message) => cseqMethod(message) === "INVITE" && message.at <= left(leg));
    const { status = 0 } = word ?? {};
    if (before === undefined || status === 180 || status === 200) return;
    const limit_ms =
      word === undefined ? NEXT_WITHOUT_WORD_MS : NEXT_MS + (status < 200 ? CARRIER_RING_DEADLINE_MS : 0);
    const after_ms = left(leg) - (word?.at ?? left(before));
    lab.measure("next_attempt_ms", after_ms);
    const what = word === undefined ? "the INVITE" : `the ${status}`;
    expect(
      after_ms <= limit_ms,
      `the attempt by ${leg.way} left ${after_ms.toFixed(0)} ms after ${what} by ${before.way}`,
    );
  });
}

/** RFC 3261 §13.2.2.4: every 200 gets its ACK, a repeated one too, or its sender would end the call after 32 s. */
function acknowledged({ way, sent, came }: SeenLeg): void {
  for (const answer of came.filter(isAnswer)) {
    const acked = sent.some(
      ({ method, at }) => method === "ACK" && at >= answer.at && at - answer.at <= RELEASED_WITHIN_MS,
    );
    expect(acked, `a 200 by ${way} got no ACK`);
  }
}

/** RFC 3261 §9.1: an INVITE is cancelled only after a provisional response to it. */
function cancelledInOrder({ way, sent, came }: SeenLeg): void {
  for (const cancel of sent.filter(({ method }) => method === "CANCEL")) {
    const number = cseqOf(cancel).split(" ")[0];
    const rang = came.some(
      (message) => (message.status ?? 200) < 200 && message.at <= cancel.at && cseqOf(message) === `${number} INVITE`,
    );
    expect(rang, `the CANCEL by ${way} went out before any response`);
  }
}

/** The telephone's side: its INVITE's dialog as the box showed it. */
function atTelephone(lab: Lab, address: string, since: Marks, { refused_with = [] }: Expected): void {
  const seen = lab.captures.lan.messages.since(since.lan);
  const dialled = seen.find((message) => isEmergency(message) && hostOf(message.from) === address);
  expect(dialled !== undefined, "the telephone's INVITE was not seen");
  const id = header(dialled, "call-id");
  const told = seen.filter(
    (message) =>
      header(message, "call-id") === id && hostOf(message.to) === address && cseqMethod(message) === "INVITE",
  );
  const errors = told.flatMap(({ status = 0 }) => (status >= 300 ? [status] : []));
  expect(
    [...new Set(errors)].join() === refused_with.join(),
    `the telephone was told ${[...new Set(errors)].join() || "no error"}, not ${refused_with.join() || "none"}`,
  );
  const rest = told.filter(({ status = 0 }) => status > 100 && status < 300);
  const tags = new Set(rest.map((message) => tagOf(header(message, "to"))));
  expect(tags.size <= 1, `the telephone saw ${tags.size} To-tags`);
  const bodies = new Set(rest.flatMap((message) => bodyParts(message).map(({ text }) => text)));
  expect(bodies.size <= 1, `the telephone saw ${bodies.size} descriptions`);
}

/** Kamailio has several workers: over UDP its 200 may overtake its 180, which then says nothing any more. */
const OF_A_PROXY: ReadonlySet<string> = new Set(["lte-trunk ringing 180", "cloud ringing 180"]);

type Attempt = EventData["emergency.attempt"];

/** The call's events at the NOC: its end, and each attempt's records in order. */
async function recorded(lab: Lab, since: Marks, expected: Expected): Promise<void> {
  const { event: ended } = await nocEvent(lab, "emergency.ended", () => true, 10_000, since.noc);
  expect(ended.data.ended_by === expected.ended_by, `ended by ${ended.data.ended_by}, not ${expected.ended_by}`);
  const ofCall = ({ type, call_id }: { type: string; call_id?: string }) =>
    type === "emergency.attempt" && call_id === ended.call_id;
  const all = () =>
    // What the broker has not acknowledged in a cut comes once more.
    [...new Map(eventsAtNoc(lab, since.noc).map((event) => [event.id, event])).values()]
      .filter(ofCall)
      .sort((a, b) => a.seq - b.seq)
      .map(({ data }) => data as unknown as Attempt)
      .map(
        ({ trunk, outcome, sip_status }) => `${trunk} ${outcome}${sip_status === undefined ? "" : ` ${sip_status}`}`,
      );
  // A leg's end may be recorded after the call's.
  await nocEvent(lab, "emergency.attempt", () => all().length >= expected.records.length, 5000, since.noc).catch(
    () => {},
  );
  const fixed = expected.any_order_after ?? expected.records.length;
  const sorted = (list: readonly string[]) =>
    [...list.slice(0, fixed), ...list.slice(fixed).sort()].filter((each) => !OF_A_PROXY.has(each));
  const seen = all();
  const wanted = sorted(expected.records);
  const found = sorted(seen);
  expect(
    found.length === wanted.length && found.every((each, i) => wanted[i]?.split(" | ").includes(each)),
    `the NOC has the records: ${seen.join("; ")}; not: ${expected.records.join("; ")}`,
  );
}
