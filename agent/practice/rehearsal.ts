import type { Clock } from "../base/clock.ts";
import { readAnnouncement } from "../media/announcements.ts";
import type { Carrier } from "./carrier.ts";
import type { AnsweredCall, AnsweredCalls } from "./party.ts";
import type { Answer, PartyCall } from "./party-call.ts";
import type { PracticePhone } from "./phone.ts";
import { addressText } from "./pidf-reader.ts";
import { isPhone, MAIN_NUMBER, OUTSIDE_NUMBER, PHONES, publicNumber, VOICES } from "./places.ts";
import { isAnnouncement, voicesIn } from "./sound-recognition.ts";

export interface Rehearsed {
  readonly ok: boolean;
  /** What happened, in the words of a log. */
  readonly lines: readonly string[];
}

export interface RehearsalContext {
  readonly clock: Clock;
  readonly phones: ReadonlyMap<string, PracticePhone>;
  readonly answered: AnsweredCalls;
  readonly wanCarrier: Carrier;
  readonly lteCarrier: Carrier;
  readonly pbx: { readonly address: string; readonly port: number };
}

/** The site has just started: its phones are still registering. */
const REGISTERING_MS = 10_000;
/** Nobody answers: the caller gives up. */
const PATIENCE_MS = 40_000;
/** A carrier tries the next way to a customer when nothing rings by then. */
const CARRIER_PATIENCE_MS = 3000;
const LISTEN_MS = 6000;
/** A 911 call lasts until the PSAP has said its words, so that a person can watch it on the page. */
const PSAP_LASTS_MS = 9000;
const LOOK_MS = 200;

const NAMES: Readonly<Record<string, string>> = {
  psap: "the practice PSAP",
  test: "the test number",
  outside: "somebody outside",
};

/** Makes one call between parties of the practice site, listens at both ends and hangs up. */
export async function rehearse(context: RehearsalContext, from: string, to: string): Promise<Rehearsed> {
  const phone = context.phones.get(from);
  await registered(context, isPhone(from) ? [from, to] : PHONES);
  if (phone !== undefined) return fromPhone(context, phone, to);
  if (from === OUTSIDE_NUMBER || `+1${from}` === OUTSIDE_NUMBER) return fromOutside(context, to);
  const known = `${PHONES.join(", ")} and ${OUTSIDE_NUMBER} (somebody outside)`;
  return { ok: false, lines: [`PRACTICE: there is no ${from} here that could call. There are ${known}.`] };
}

/** Waits a while for these phones, and goes on in any case: what then happens is what there is to see. */
async function registered({ clock, phones }: RehearsalContext, numbers: readonly string[]): Promise<void> {
  const until = clock.now() + REGISTERING_MS;
  while (numbers.some((number) => phones.get(number)?.registered === false) && clock.now() < until) {
    await pause(clock, LOOK_MS);
  }
}

async function fromPhone(context: RehearsalContext, phone: PracticePhone, to: string): Promise<Rehearsed> {
  const lines = [`PRACTICE: ${phone.number} dials ${to}.`];
  const since_ms = context.clock.now();
  const { call, answer } = await phone.dial(to);
  const given = await within(context.clock, answer, PATIENCE_MS, () => call.hangUp());
  return finish(context, { lines, call, given, since_ms, caller: phone.number, to });
}

/** As carriers do it: to the customer's cloud first, and where that rings nothing, over the trunk. */
async function fromOutside(context: RehearsalContext, to: string): Promise<Rehearsed> {
  const { clock, wanCarrier, lteCarrier, pbx } = context;
  const lines = [`PRACTICE: somebody outside dials ${to}.`];
  const since_ms = clock.now();
  const byCloud = await wanCarrier.callIn(to, { protocol: "udp", ...pbx });
  if (byCloud !== undefined) {
    const given = await within(clock, byCloud.answer, CARRIER_PATIENCE_MS, () => byCloud.call.hangUp());
    if (given !== undefined && given.status < 300) {
      lines.push("The cloud PBX brought it in over the WAN.");
      return finish(context, { lines, call: byCloud.call, given, since_ms, caller: OUTSIDE_NUMBER, to });
    }
    lines.push(
      given === undefined
        ? "By the cloud PBX nobody answered; the carrier tries the LTE trunk."
        : `The cloud PBX said ${given.status} ${given.reason}; the carrier tries the LTE trunk.`,
    );
  }
  const byTrunk = await lteCarrier.callIn(to);
  if (byTrunk === undefined) return { ok: false, lines: [...lines, "The box is not registered on the LTE trunk."] };
  const given = await within(clock, byTrunk.answer, PATIENCE_MS, () => byTrunk.call.hangUp());
  return finish(context, { lines, call: byTrunk.call, given, since_ms, caller: OUTSIDE_NUMBER, to });
}

interface Made {
  readonly lines: string[];
  readonly call: PartyCall;
  /** Undefined: nobody answered in time. */
  readonly given: Answer | undefined;
  readonly since_ms: number;
  readonly caller: string;
  readonly to: string;
}

async function finish(context: RehearsalContext, { lines, call, given, ...made }: Made): Promise<Rehearsed> {
  if (given === undefined) return { ok: false, lines: [...lines, "Nobody answered."] };
  if (given.ringing_ms !== undefined) lines.push(`It rang after ${given.ringing_ms} ms.`);
  if (given.status >= 300) return { ok: false, lines: [...lines, `It ended with ${given.status} ${given.reason}.`] };
  const other = context.answered
    .since(made.since_ms)
    .findLast((each) => !each.call.ended && callersOf(made.caller).includes(each.caller));
  lines.push(`Answered after ${given.answered_ms} ms${other === undefined ? "" : ` by ${nameOf(other.party)}`}.`);
  let ok = true;
  const fail = (line: string) => {
    ok = false;
    lines.push(line);
  };
  if (other === undefined) fail("Who answered is not known here.");
  else {
    const [here, there] = await listen(context.clock, call, other, made.caller);
    if (here)
      lines.push(
        `The caller hears ${other.party === "psap" ? "the practice announcement" : `the voice of ${nameOf(other.party)}`}.`,
      );
    else fail("The caller hears nothing known.");
    if (there) lines.push(`${capital(nameOf(other.party))} hears the caller.`);
    else fail(`${capital(nameOf(other.party))} does not hear the caller.`);
    if (other.via !== "phone") lines.push(`It went over ${other.via.toUpperCase()}, presenting ${other.caller}.`);
    if (other.party === "psap" || other.party === "test") {
      if (other.address === undefined) fail("It came without an address.");
      else lines.push(`Address received: ${addressText(other.address)}.`);
    }
  }
  if (other?.party === "psap") await untilEnded(context.clock, call, other.at_ms + PSAP_LASTS_MS);
  const ended = await within(context.clock, call.hangUp(), 3000, () => {});
  if (ended === 200) lines.push("Hung up.");
  else fail(ended === undefined ? "Hanging up was not answered." : `Hanging up was answered with ${ended}.`);
  return { ok, lines };
}

async function untilEnded(clock: Clock, call: PartyCall, until_ms: number): Promise<void> {
  while (!call.ended && clock.now() < until_ms) await pause(clock, LOOK_MS);
}

/** Whether the caller hears who answered, and the other way round. */
async function listen(clock: Clock, call: PartyCall, other: AnsweredCall, caller: string): Promise<[boolean, boolean]> {
  const until = clock.now() + LISTEN_MS;
  const heard = (): [boolean, boolean] => [
    hears(call, other.party),
    hears(other.call, isPhone(caller) ? caller : "outside"),
  ];
  let now = heard();
  while (!(now[0] && now[1]) && clock.now() < until && !call.ended) {
    await pause(clock, LOOK_MS);
    now = heard();
  }
  return now;
}

function hears(listener: PartyCall, party: string): boolean {
  const samples = listener.audio?.heard() ?? new Int16Array(0);
  if (party === "psap") {
    const words = readAnnouncement("practice-psap");
    return "samples" in words && isAnnouncement(samples, words.samples);
  }
  const voice = party === "test" ? VOICES["933"] : party === "outside" || isPhone(party) ? VOICES[party] : undefined;
  return voice !== undefined && voicesIn(samples, Object.values(VOICES))[0] === voice;
}

/** How a party of ours is shown to others: its extension, its own public number or the main number. */
function callersOf(caller: string): readonly string[] {
  return isPhone(caller) ? [caller, publicNumber(caller), MAIN_NUMBER] : [caller];
}

function nameOf(party: string): string {
  return NAMES[party] ?? party;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve));
}

/** What a promise gives, or undefined when it has not by then; `late` is called once in that case. */
async function within<T>(clock: Clock, promise: Promise<T>, ms: number, late: () => unknown): Promise<T | undefined> {
  let done = false;
  const timeout = new Promise<undefined>((resolve) => {
    const timer = clock.after(ms, () => {
      if (!done) void late();
      resolve(undefined);
    });
    void promise.finally(() => timer.cancel()).catch(() => {});
  });
  const result = await Promise.race([promise, timeout]);
  done = true;
  return result;
}
