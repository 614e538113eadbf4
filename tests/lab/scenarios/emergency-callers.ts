/** 911 and the caller's own weather: an INVITE that comes twice, and telephones that are gone without a word. */
import { join } from "node:path";
import { domains, lan, numbers, ports } from "../addresses.ts";
import { writeMulawTone } from "../audio.ts";
import { sleep } from "../deadline.ts";
import type { Lab } from "../lab.ts";
import { addAddress, removeAddress } from "../network.ts";
import { Sipp } from "../peers/sipp.ts";
import {
  pause,
  play,
  receiveRequest,
  receiveResponse,
  reply,
  request,
  type Step,
  scenario,
  sdp,
} from "../peers/sipp-scenario.ts";
import { run } from "../processes.ts";
import { expect, type Scenario } from "../scenario.ts";
import { bothHeard } from "../story.ts";
import { answered, endedByBye, refuses, ringing, takes, trying } from "../weather/carrier.ts";
import { type Expected, judge, marks } from "../weather/judge.ts";
import { carrierSteps, weather } from "../weather/stage.ts";

/** A telephone that SIPp plays; nobody has told the box of it. */
const phone = { name: "the telephone", address: "10.77.1.215", user: "" } as const;
const TALK_MS = 700;
const TONE = "caller-440.ulaw";

const target = `sip:${numbers.emergency}@${domains.pbx}`;
const from = `sip:215@${domains.pbx}`;

/** The INVITE; `more` goes before the Contact. */
const dials = (
  options: { readonly branch?: string; readonly more?: readonly string[]; readonly repeated?: boolean } = {},
) =>
  request("INVITE", target, {
    from,
    to: target,
    cseq: 1,
    ...(options.branch === undefined ? {} : { branch: options.branch }),
    ...(options.repeated === true ? { retransmitted_ms: 500 } : {}),
    headers: [...(options.more ?? []), "Contact: <sip:215@[local_ip]:[local_port];transport=[transport]>"],
    body: sdp("[media_ip]", "[rtpstream_audio_port]"),
  });

const inDialog = { from, to: target, to_tag: true, headers: ["[routes]"] };

/** From the answer to the caller's BYE. */
const talks = (lab: Lab): Step[] => [
  receiveResponse(200, { routes: true }),
  request("ACK", "[next_url]", { ...inDialog, cseq: 1 }),
  play(join(lab.runDirectory, TONE)),
  pause(TALK_MS),
  request("BYE", "[next_url]", { ...inDialog, cseq: 2, retransmitted_ms: 500 }),
  receiveResponse(200),
];

/** A call of SIPp's telephone: the carrier sends back what it hears, and that must reach the telephone. */
async function fromSipp(
  lab: Lab,
  name: string,
  parts: { readonly steps: readonly Step[]; readonly carrier: readonly Step[]; readonly expected: Expected },
): Promise<void> {
  await addAddress("lan", phone.address);
  await writeMulawTone(join(lab.runDirectory, TONE), 440, 5);
  const since = marks(lab);
  const carrier = await carrierSteps(lab, `${name}-carrier`, parts.carrier);
  await lab.step("the telephone's call", async () => {
    const at = { namespace: "lan", address: phone.address, media_port: 31_000 } as const;
    const calls = { address: lan.box, port: ports.sip };
    const sipp = await Sipp.start(lab, { name: `${name}-phone`, ...at, calls, scenario: scenario(name, parts.steps) });
    await sipp.ended(10_000);
  });
  const legs = await judge(lab, phone, since, parts.expected);
  expect(legs.length === 1, `${legs.length} attempts were made for one call`);
  const [there, back] = [
    lab.captures.lan.streams(phone.address, lan.box),
    lab.captures.lan.streams(lan.box, phone.address),
  ];
  const [sent = 0, heard = 0] = [there, back].map((all) => all.reduce((sum, { arrivals }) => sum + arrivals.length, 0));
  expect(sent >= 20 && heard >= sent - 10, `the telephone sent ${sent} RTP packets and got back ${heard}`);
  await carrier.done(5000);
  await removeAddress("lan", phone.address);
}

const byCarrier: Expected = {
  bridged: "carrier",
  records: ["carrier trying", "carrier ringing 180", "carrier answered 200"],
  ended_by: "caller",
};
const slowly: readonly Step[] = [trying, ringing, pause(400), ...takes];

async function repeated(lab: Lab): Promise<void> {
  await fromSipp(lab, "911-invite-repeated", {
    steps: [
      dials(),
      dials({ branch: "[branch-1]" }),
      receiveResponse(100, { optional: true }),
      receiveResponse(180, { optional: true }),
      ...talks(lab),
    ],
    carrier: slowly,
    expected: byCarrier,
  });
}

async function forked(lab: Lab): Promise<void> {
  const other = "Via: SIP/2.0/UDP 10.77.1.216:5060;branch=z9hG4bK-upstream";
  await fromSipp(lab, "911-invite-forked", {
    steps: [
      dials({ more: [other] }),
      dials({ more: [other] }),
      receiveResponse(100, { optional: true }),
      receiveResponse(180, { optional: true }),
      receiveResponse(482),
      request("ACK", target, { from, to: target, cseq: 1, to_tag: true, branch: "[branch-4]" }),
      receiveResponse(180, { optional: true }),
      ...talks(lab),
    ],
    carrier: slowly,
    expected: { ...byCarrier, refused_with: [482] },
  });
}

const lteAnswers = ["lte-trunk trying", "lte-trunk ringing 180", "lte-trunk answered 200"];
const byLte: Expected = {
  bridged: "lte-trunk",
  records: ["carrier trying", "carrier refused 486", ...lteAnswers],
  ended_by: "psap",
};

const cable = (state: "up" | "down") => run(["ip", "-n", "lan", "link", "set", "phone102", state]);

/** The telephone's cable is out from `moment` on; the PSAP, which hears nothing, hangs up in the end. */
async function cablePulled(lab: Lab, name: string, moment: "ringing" | "talking"): Promise<void> {
  const caller = lab.phones.baresip102;
  const { psapLte } = lab.remote;
  const since = marks(lab);
  const carrier = await carrierSteps(lab, `${name}-carrier`, refuses("486 Busy Here"));
  for (const each of [caller, psapLte]) each.forget();
  await lab.step(`${caller.name} dials 911, and its cable is pulled while it is ${moment}`, async () => {
    await caller.dial(numbers.emergency);
    await psapLte.ringing(5000);
    if (moment === "ringing") {
      await cable("down");
      // Its CANCEL is lost.
      await caller.hangUp();
    }
    await psapLte.answer();
    await psapLte.established(5000);
    if (moment === "talking") {
      await caller.established(5000);
      await sleep(TALK_MS);
      await bothHeard(lab, caller, psapLte, 300);
      await cable("down");
      await caller.hangUp();
    }
  });
  await lab.step("the PSAP keeps the line until it hangs up itself", async () => {
    await sleep(1500);
    const ended = psapLte.events.since(0).findLast(({ type }) => type === "CALL_CLOSED" || type === "CALL_ESTABLISHED");
    expect(ended?.type === "CALL_ESTABLISHED", "the PSAP's call was ended although nobody hung up");
    await psapLte.hangUp();
    await psapLte.closed(5000);
  });
  await judge(lab, caller, since, byLte);
  await carrier.done(5000);
  await lab.step("the telephone is back", async () => {
    await caller.stop();
    await cable("up");
    await caller.start();
    await caller.registered(10_000);
  });
}

async function tcpCloses(lab: Lab): Promise<void> {
  const { psapLte } = lab.remote;
  await addAddress("lan", phone.address);
  const since = marks(lab);
  const carrier = await carrierSteps(lab, "911-phone-tcp-closes-carrier", refuses("486 Busy Here"));
  psapLte.forget();
  await lab.step("the telephone dials over TCP, and its connection ends while the PSAP rings", async () => {
    const sipp = await Sipp.start(lab, {
      ...{ name: "911-phone-tcp-closes-phone", namespace: "lan", address: phone.address, transport: "tcp" },
      calls: { address: lan.box, port: ports.sip },
      scenario: scenario("dials", [
        dials(),
        receiveResponse(100, { optional: true }),
        receiveResponse(180),
        receiveRequest("NOTHING"),
      ]),
    });
    await psapLte.ringing(5000);
    await sleep(100);
    await sipp.stop();
  });
  await lab.step("the PSAP answers all the same, and has the line until it hangs up", async () => {
    await psapLte.answer();
    await psapLte.established(5000);
    await sleep(1000);
    await psapLte.hangUp();
    await psapLte.closed(5000);
  });
  await judge(lab, phone, since, byLte);
  await carrier.done(5000);
  await removeAddress("lan", phone.address);
}

async function givesUp(lab: Lab): Promise<void> {
  const caller = lab.phones.baresip101;
  const { psapLte } = lab.remote;
  const since = marks(lab);
  const carrier = await carrierSteps(lab, "911-caller-gives-up-carrier", [
    trying,
    receiveRequest("CANCEL"),
    reply("200 OK", { contact: false }),
    answered(),
    receiveRequest("ACK"),
    ...endedByBye(),
  ]);
  for (const each of [caller, psapLte]) each.forget();
  await lab.step(
    `${caller.name} dials 911 and hangs up while LTE rings; the carrier's 200 crosses its CANCEL`,
    async () => {
      await caller.dial(numbers.emergency);
      await psapLte.ringing(5000);
      await sleep(200);
      await caller.hangUp();
      await Promise.all([caller.closed(5000), psapLte.closed(5000)]);
    },
  );
  const until_then = ["carrier trying", "carrier trying", "lte-trunk trying", "lte-trunk ringing 180"];
  await judge(lab, caller, since, {
    bridged: undefined,
    records: [...until_then, "carrier late_answer_released 200", "lte-trunk released 487"],
    any_order_after: until_then.length,
    ended_by: "caller",
    refused_with: [487],
  });
  await carrier.done(5000);
}

export const emergencyCallers: readonly Scenario[] = [
  {
    name: "911-invite-repeated",
    summary: "911: the telephone sends its INVITE twice: one call",
    run: repeated,
  },
  {
    name: "911-invite-forked",
    summary: "911: the INVITE comes a second time by another way: one call, and 482 for the copy",
    run: forked,
  },
  {
    name: "911-caller-gives-up",
    summary: "911: the caller hangs up while LTE rings; the carrier answers all the same: ACK and BYE at once",
    run: givesUp,
  },
  {
    name: "911-cancel-lost",
    summary:
      "911: the telephone is gone while it rings, and its CANCEL with it: the PSAP has the line until it hangs up",
    run: (lab: Lab) => cablePulled(lab, "911-cancel-lost", "ringing"),
  },
  {
    name: "911-phone-gone",
    summary: "911: the telephone is gone in the call, without a BYE: the PSAP has the line until it hangs up",
    run: (lab: Lab) => cablePulled(lab, "911-phone-gone", "talking"),
  },
  {
    name: "911-phone-tcp-closes",
    summary: "911: the telephone's TCP connection ends while the PSAP rings: the call goes on until the PSAP hangs up",
    run: tcpCloses,
  },
].map((one) => ({ ...one, short: true, stage: weather }));
