/** 911 under SIP's own weather: what carriers do to an INVITE. Each is played against one call of a real telephone. */
import { carrierAccount, hosts, lan, numbers } from "../addresses.ts";
import { now, sleep } from "../deadline.ts";
import type { Lab } from "../lab.ts";
import {
  answerInvite,
  goTo,
  label,
  pause,
  receiveRequest,
  reply,
  type Step,
  sdp,
  takeInvite,
} from "../peers/sipp-scenario.ts";
import type { Telephone } from "../peers/telephone.ts";
import { expect, type Scenario } from "../scenario.ts";
import { bothHeard, nocEvent } from "../story.ts";
import { answered, cancelled, endedByBye, isTold, refuses, ringing, takes, tell, trying } from "../weather/carrier.ts";
import { type Expected, type Judged, judge, type Marks, marks, type Way } from "../weather/judge.ts";
import { carrierSteps, weather } from "../weather/stage.ts";

const TALK_MS = 900;
const HEARD_MS = 500;
/** How long the carrier lets the caller hear something before it answers. */
const EARLY_MS = 900;

/** Whose the call is once a PSAP's telephone, not the carrier itself, has taken it. */
const psapOf = (lab: Lab, way: Way | undefined): Telephone | undefined =>
  way === "lte-trunk" ? lab.remote.psapLte : way === "cloud" ? lab.remote.psapWan : undefined;

export interface Weather {
  readonly name: string;
  readonly summary: string;
  /** What SIPp does; given the lab where it needs files. */
  readonly carrier: readonly Step[];
  readonly expected: Expected;
  readonly caller?: "baresip101" | "baresip102" | "linphone103";
  /** What may come instead, where chance decides. */
  readonly or?: Expected;
  /** From the INVITE to the answer, where it is not just the PSAP's telephone that rings and answers. */
  answer?(lab: Lab, caller: Telephone, psap: Telephone | undefined): Promise<Judged | undefined>;
  /** What the caller must have heard of a carrier that sends back what it hears. */
  readonly heard_ms?: number;
}

export async function answers(caller: Telephone, psap: Telephone | undefined): Promise<undefined> {
  if (psap !== undefined) {
    await psap.ringing(10_000);
    await psap.answer();
    await psap.established(5000);
  }
  await caller.established(10_000);
  return undefined;
}

/** The telephone dials; whoever the weather leaves answers; they talk; the caller hangs up; the call is judged. */
export async function playWeather(lab: Lab, one: Weather): Promise<void> {
  const caller = lab.phones[one.caller ?? "baresip101"];
  const since = marks(lab);
  const sipp = await carrierSteps(lab, `${one.name}-carrier`, one.carrier);
  for (const phone of [caller, lab.remote.psapLte, lab.remote.psapWan]) phone.forget();
  const { expected, judged } = await lab.step(`${caller.name} dials 911, and is answered`, async () => {
    await caller.dial(numbers.emergency);
    const psap = psapOf(lab, one.expected.bridged);
    const judged = await (one.answer?.(lab, caller, psap) ?? answers(caller, psap));
    const expected = one.or === undefined ? one.expected : await whichever(lab, since, [one.expected, one.or]);
    return { expected, judged };
  });
  const psap = psapOf(lab, expected.bridged);
  await sleep(TALK_MS);
  await lab.step(`${caller.name} hangs up`, async () => {
    await caller.hangUp();
    await caller.closed(5000);
    await psap?.closed(5000);
    // The carrier sends back what it hears.
    if (psap !== undefined) await bothHeard(lab, caller, psap, HEARD_MS);
    else await lab.heard(caller, caller, one.heard_ms ?? HEARD_MS);
  });
  await lab.step("what was on the wire, and what the NOC has", async () => {
    await judge(lab, caller, since, expected, judged);
    await sipp.done(5000);
  });
}

/** By whose leg the NOC heard that the call was answered. */
async function whichever(lab: Lab, since: Marks, all: readonly Expected[]): Promise<Expected> {
  const { event } = await nocEvent(lab, "emergency.answered", () => true, 5000, since.noc);
  const found = all.find(({ bridged }) => bridged === event.data.trunk);
  expect(found !== undefined, `answered by ${event.data.trunk}`);
  return found;
}

export const byCarrier = (...between: string[]): Expected => ({
  bridged: "carrier",
  records: ["carrier trying", ...between, "carrier answered 200"],
  ended_by: "caller",
});

const lteAnswers = ["lte-trunk trying", "lte-trunk ringing 180", "lte-trunk answered 200"];

/** LTE takes it after, or beside, the carrier; `after`: what is recorded of the carrier's leg then. */
export const byLte = (before: readonly string[], after: readonly string[] = []): Expected => ({
  bridged: "lte-trunk",
  records: ["carrier trying", ...before, ...lteAnswers, ...after],
  ended_by: "caller",
});

export const challenge = (name: "WWW-Authenticate" | "Proxy-Authenticate"): string =>
  `${name}: Digest realm="carrier.example", nonce="5d41402abc4b2a76b971", algorithm=MD5, qop="auth"`;

/** The INVITE with the box's credentials must prove its password; for a 407 SIPp can only see that there are some. */
const proves = (code: string, otherwise: readonly Step[]): Step[] => {
  const { user, password } = carrierAccount;
  const checked =
    code === "401"
      ? `<verifyauth assign_to="proved" username="${user}" password="${password}"/>`
      : `<ereg regexp="username=.${user}." search_in="hdr" header="Proxy-Authorization:" assign_to="proved"/>`;
  return [
    takeInvite({ actions: [checked] }),
    '<nop next="proved" test="proved"/>',
    ...otherwise,
    goTo("end"),
    label("proved"),
  ];
};

const refusals: readonly Weather[] = ["486 Busy Here", "603 Decline", "500 Server Internal Error"].map((status) => ({
  name: `911-${status.slice(0, 3)}`,
  summary: `the carrier says ${status}: LTE at once`,
  carrier: refuses(status),
  expected: byLte([`carrier refused ${status.slice(0, 3)}`]),
}));

const challenges: readonly Weather[] = (["401 Unauthorized", "407 Proxy Authentication Required"] as const).map(
  (status) => {
    const code = status.slice(0, 3);
    const header = challenge(code === "401" ? "WWW-Authenticate" : "Proxy-Authenticate");
    return {
      name: `911-trunk-${code}`,
      summary: `the carrier challenges with ${code}: the box answers with its own credentials on the same attempt`,
      carrier: [...refuses(status, [header]), ...proves(code, refuses("403 Forbidden")), ringing, ...takes],
      expected: byCarrier(`carrier refused ${code}`, "carrier ringing 180"),
    };
  },
);

const staged: readonly Weather[] = [
  {
    name: "911-no-180",
    summary: "200 at once, with no 100 and no 180 before it",
    carrier: takes,
    expected: byCarrier(),
  },
  {
    name: "911-100-only",
    summary: "100 and then nothing: LTE beside it; the first is cancelled when that answers",
    carrier: [trying, ...cancelled()],
    expected: byLte(["carrier trying"], ["carrier released 487"]),
  },
  {
    name: "911-late-180",
    summary: "180 comes long after the 100, in time: nothing else is tried",
    carrier: [trying, pause(700), ringing, pause(600), ...takes],
    expected: byCarrier("carrier ringing 180"),
  },
  {
    name: "911-180-after-hedge",
    summary: "180 comes after LTE was started beside it: the first to answer wins, LTE is cancelled",
    carrier: [trying, pause(1400), ringing, pause(300), ...takes],
    expected: {
      bridged: "carrier",
      records: [
        ...["carrier trying", "carrier trying", "lte-trunk trying", "lte-trunk ringing 180"],
        ...["carrier ringing 180", "carrier answered 200", "lte-trunk released 487"],
      ],
      ended_by: "caller",
    },
    async answer(lab, caller) {
      const { psapLte } = lab.remote;
      await psapLte.ringing(5000);
      await caller.established(5000);
      await psapLte.closed(5000);
      return undefined;
    },
  },
  {
    name: "911-early-media",
    summary: "183 with sound: the caller hears it before the answer",
    carrier: [trying, answerInvite("183 Session Progress", { body: sdp() }), pause(EARLY_MS), ...takes],
    expected: byCarrier("carrier trying 183"),
    heard_ms: EARLY_MS + HEARD_MS,
    async answer(lab, caller) {
      const { messages } = lab.captures.lan;
      const from = messages.mark;
      await caller.established(5000);
      const told = (status: number) =>
        messages.next(
          `the telephone to be told ${status}`,
          2000,
          (message) => message.status === status && message.to.startsWith(`${caller.address}:`),
          from,
        );
      const [early, answer] = [await told(183), await told(200)];
      const silent_ms = lab.captures.lan.longestSilence(lan.box, caller.address, early.at + 100, answer.at);
      expect(silent_ms < 200, `between 183 and 200 the telephone got no sound for ${silent_ms.toFixed(0)} ms`);
      return undefined;
    },
  },
  {
    name: "911-183-then-silence",
    summary: "183 that promises sound, and then nothing: LTE beside it after the ring deadline",
    carrier: [trying, answerInvite("183 Session Progress", { body: sdp("[media_ip]", 39_000) }), ...cancelled()],
    expected: byLte(["carrier trying 183", "carrier trying"], ["carrier released 487"]),
  },
  ...challenges,
  {
    name: "911-trunk-wrong-password",
    summary: "the carrier does not take the box's credentials: LTE, and the telephone hears nothing of it",
    carrier: [
      ...refuses("401 Unauthorized", [challenge("WWW-Authenticate")]),
      takeInvite(),
      ...refuses("401 Unauthorized", [challenge("WWW-Authenticate")]),
    ],
    expected: byLte(["carrier refused 401", "carrier refused 401"]),
  },
  {
    name: "911-424",
    summary: "the carrier cannot read the location: the same carrier at once without it",
    carrier: [...refuses("424 Bad Location Information"), takeInvite(), ...takes],
    expected: { ...byCarrier("carrier refused 424"), without_location: 1 },
  },
  ...refusals,
  {
    name: "911-503",
    summary: "503 with Retry-After: LTE at once; a 911 call does not wait",
    carrier: refuses("503 Service Unavailable", ["Retry-After: 120"]),
    expected: byLte(["carrier refused 503"]),
  },
  {
    name: "911-late-200-after-cancel",
    summary: "the carrier's 200 crosses the CANCEL: ACK and BYE at once",
    carrier: [
      trying,
      receiveRequest("CANCEL"),
      reply("200 OK", { contact: false }),
      answered(),
      receiveRequest("ACK"),
      ...endedByBye(),
    ],
    expected: byLte(["carrier trying"], ["carrier late_answer_released 200"]),
  },
  {
    name: "911-forked-answers",
    summary: "two PSAPs behind the carrier answer one INVITE: the first is bridged, the other ended at once",
    carrier: [
      answerInvite("180 Ringing", { tag: "fork-a" }),
      answerInvite("180 Ringing", { tag: "fork-b" }),
      pause(200),
      answerInvite("200 OK", { tag: "fork-b", body: sdp() }),
      receiveRequest("ACK"),
      answerInvite("200 OK", { tag: "fork-a", body: sdp() }),
      receiveRequest("ACK"),
      ...endedByBye(),
      ...endedByBye(),
    ],
    expected: {
      ...byCarrier("carrier ringing 180"),
      records: [
        ...["carrier trying", "carrier ringing 180", "carrier answered 200"],
        "carrier late_answer_released 200",
      ],
    },
  },
  {
    name: "911-two-answers-at-once",
    summary: "the carrier and the PSAP on LTE answer in the same millisecond: one is bridged, the other ended",
    carrier: [
      trying,
      isTold,
      answered(),
      receiveRequest("CANCEL", { optional: true, next: "cancelled" }),
      label("taken"),
      receiveRequest("ACK"),
      ...endedByBye(),
      goTo("end"),
      label("cancelled"),
      reply("200 OK", { contact: false, next: "taken" }),
    ],
    expected: {
      bridged: "carrier",
      records: [
        ...["carrier trying", "carrier trying", "lte-trunk trying", "lte-trunk ringing 180"],
        ...["carrier answered 200", "lte-trunk late_answer_released 200"],
      ],
      ended_by: "caller",
    },
    or: {
      bridged: "lte-trunk",
      records: [...["carrier trying", "carrier trying", ...lteAnswers], "carrier late_answer_released 200"],
      ended_by: "caller",
    },
    async answer(lab, caller) {
      const { psapLte } = lab.remote;
      const marks = [lab.captures.wan, lab.captures.lte].map(({ messages }) => ({ messages, from: messages.mark }));
      await psapLte.ringing(5000);
      const invite = lab.captures.wan.messages.entries.findLast(
        ({ method, to }) => method === "INVITE" && to.startsWith(`${hosts.carrier}:`),
      );
      expect(invite !== undefined, "the carrier got no INVITE");
      // Both answers wait in the engine's sockets, and it reads them in one go.
      await lab.box.freeze("engine");
      await Promise.all([psapLte.answer(), tell(invite)]);
      await Promise.all(
        marks.map(({ messages, from }) =>
          messages.next(
            "the answer to reach the box",
            5000,
            ({ status, headers }) => status === 200 && headers.some(([, value]) => value.endsWith(" INVITE")),
            from,
          ),
        ),
      );
      const read_at = now();
      await lab.box.thaw("engine");
      await caller.established(5000);
      return { read_at };
    },
  },
  {
    name: "911-pbx-407",
    summary: "carrier and LTE refuse, the PBX challenges: the box answers with the telephone's provisioned HA1",
    carrier: refuses("486 Busy Here"),
    expected: {
      bridged: "cloud",
      records: [
        ...[
          "carrier trying",
          "carrier refused 486",
          "lte-trunk trying",
          "lte-trunk ringing 180",
          "lte-trunk refused 486",
        ],
        ...["cloud trying", "cloud refused 407", "cloud ringing 180", "cloud answered 200"],
      ],
      ended_by: "caller",
    },
    answer: (lab, caller, psap) => challengedByPbx(lab, caller, psap),
  },
  {
    name: "911-pbx-407-relayed",
    summary: "the same for a telephone without HA1: it is asked when no attempt lives, and its new INVITE goes on",
    carrier: refuses("486 Busy Here"),
    caller: "linphone103",
    expected: {
      bridged: "cloud",
      records: [
        ...[
          "carrier trying",
          "carrier refused 486",
          "lte-trunk trying",
          "lte-trunk ringing 180",
          "lte-trunk refused 486",
        ],
        ...["cloud trying", "cloud refused 407", "cloud trying", "cloud ringing 180", "cloud answered 200"],
      ],
      ended_by: "caller",
      refused_with: [407],
    },
    answer: (lab, caller, psap) => challengedByPbx(lab, caller, psap),
  },
];

/** The PSAP on LTE declines, and the PBX wants a password for 911 too. */
async function challengedByPbx(lab: Lab, caller: Telephone, psap: Telephone | undefined): Promise<undefined> {
  await lab.pbx.set("challenge", "emergency", 1);
  const { psapLte } = lab.remote;
  await psapLte.ringing(5000);
  await psapLte.hangUp();
  await answers(caller, psap);
  await lab.pbx.set("challenge", "emergency", 0);
  return undefined;
}

export const emergencyWeather: readonly Scenario[] = staged.map((one) => ({
  name: one.name,
  summary: `911: ${one.summary}`,
  short: true,
  stage: weather,
  run: (lab) => playWeather(lab, one),
}));
