/** Provisional responses that are sure to arrive (RFC 3262), and what is changed before and after the answer (RFC 3311). */
import { join } from "node:path";
import { domains, extensions, hosts, lan, remotePhones, tones_hz } from "../../addresses.ts";
import { writeMulawTone } from "../../audio.ts";
import { header, type SeenMessage } from "../../capture/sip.ts";
import { until } from "../../deadline.ts";
import type { Lab } from "../../lab.ts";
import { addAddress, removeAddress } from "../../network.ts";
import { beyondPbx } from "../../peers/pbx-features.ts";
import { Sipp } from "../../peers/sipp.ts";
import {
  answerInvite,
  pause,
  play,
  receiveRequest,
  receiveResponse,
  reply,
  request,
  type Step,
  scenario,
  sdp,
  takeInvite,
} from "../../peers/sipp-scenario.ts";
import { expect, type Scenario } from "../../scenario.ts";
import { hangUp } from "../../story.ts";
import { Watch } from "../../transparency.ts";
import { Sounds } from "./sounds.ts";
import { cast, site, towardsCloud } from "./stage.ts";

/** A tone that no telephone here sends. */
const beyondTone_hz = remotePhones.psapWan.tone_hz;

const hasBody = ({ body }: SeenMessage): boolean => body.length > 0;

async function prack(lab: Lab): Promise<void> {
  const { linphone104, linphone105 } = cast(lab);
  await linphone104.restart({ sip: ["100rel_support_level=2"] });
  await linphone105.restart({ sip: ["100rel_support_level=2", "incoming_calls_early_media=1"] });
  const watch = new Watch(lab);
  for (const phone of [linphone104, linphone105]) phone.forget();
  const sounds = new Sounds(lab, [linphone104, linphone105]);
  await lab.step("linphone105's sound before the answer is promised reliably, and acknowledged", async () => {
    await linphone104.dial(linphone105.user);
    const { received } = await watch.passage("183 INVITE");
    expect(/100rel/.test(header(received, "require") ?? ""), "the 183 does not require 100rel");
    const acknowledgement = await watch.passage("PRACK");
    expect(
      header(acknowledgement.sent, "rack")?.startsWith(`${header(received, "rseq")} `) === true,
      `RSeq ${header(received, "rseq")} is acknowledged with RAck ${header(acknowledgement.sent, "rack")}`,
    );
    await sounds.hears([linphone104, linphone105]);
  });
  await lab.step("it is answered", async () => {
    await linphone105.answer();
    await Promise.all([linphone104.established(3000), linphone105.established(3000)]);
    await sounds.hears([linphone104, linphone105], [linphone105, linphone104]);
    await hangUp(linphone104, linphone105);
  });
  sounds.stop();
  await linphone105.restart();
  await repeatedProgress(lab, watch);
  await linphone104.restart();
  await watch.unchanged("INVITE", "183 INVITE", "PRACK", "200 PRACK", "200 INVITE", "ACK", "BYE", "200 BYE");
}

/** linphone does not repeat a reliable response that nobody acknowledges; SIPp does so before anybody could have. */
async function repeatedProgress(lab: Lab, watch: Watch): Promise<void> {
  const { linphone104 } = cast(lab);
  linphone104.forget();
  const progress = answerInvite("183 Session Progress", {
    ...{ proxied: true, headers: ["Require: 100rel", "RSeq: 4711"], body: sdp() },
  });
  const callee = await Sipp.start(lab, {
    ...{ ...beyondPbx, name: "repeats-its-183", media_port: 5340, echoes: true },
    scenario: scenario("repeats its 183", [
      takeInvite({ proxied: true }),
      ...[progress, progress, progress],
      receiveRequest("PRACK"),
      reply("200 OK", { tag: false }),
      answerInvite("200 OK", { proxied: true, retransmitted_ms: 500 }),
      receiveRequest("ACK"),
      receiveRequest("BYE"),
      reply("200 OK", { tag: false, contact: false }),
    ]),
  });
  await lab.step("a 183 that comes three times is passed on three times, and acknowledged once", async () => {
    await linphone104.dial("7240");
    await linphone104.established(5000);
    await linphone104.hangUp();
    await callee.done(5000);
    const repeated = watch.lan.filter(
      ({ status, headers }) => status === 183 && headers.some(([, value]) => value === "4711"),
    );
    expect(repeated.length === 3, `${repeated.length} of three 183 reached linphone104`);
  });
  await linphone104.closed(3000);
}

const number = "sip:104@pbx.lab.example";
const [from, to] = [`sip:sipp@${domains.pbx}`, number];
const dialog = { from, to, to_tag: true, retransmitted_ms: 500 } as const;
const inDialog = ["[routes]", "Contact: <sip:sipp@[local_ip]:[local_port]>"];
const keepRSeq = '<ereg regexp="[0-9]+" search_in="hdr" header="RSeq:" assign_to="rseq"/>';

/** Calls linphone104 and acknowledges its reliable 183. */
function callsReliably(offer: string, then: readonly Step[]): string {
  return scenario("calls reliably", [
    request("INVITE", number, {
      ...{ from, to, cseq: 1, retransmitted_ms: 500 },
      headers: [
        "Contact: <sip:sipp@[local_ip]:[local_port]>",
        "Supported: 100rel",
        "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE",
      ],
      body: offer,
    }),
    receiveResponse(100, { optional: true }),
    receiveResponse(183, { routes: true, actions: [keepRSeq] }),
    request("PRACK", "[next_url]", {
      ...{ ...dialog, cseq: 2, headers: [...inDialog, "RAck: [$rseq] 1 INVITE"] },
    }),
    receiveResponse(200),
    ...then,
  ]);
}

const update = (cseq: number, port: number): readonly Step[] => [
  request("UPDATE", "[next_url]", { ...dialog, cseq, headers: inDialog, body: sdp("[media_ip]", port, `1 ${cseq}`) }),
  receiveResponse(200),
];

/** Ports that SIPp asks linphone104 to send to, one after the other. */
const ports = { offered: 5200, early: 5210, confirmed: 5220 } as const;

async function updated(lab: Lab): Promise<void> {
  const { linphone104 } = cast(lab);
  await linphone104.restart({ sip: ["100rel_support_level=2", "incoming_calls_early_media=1"] });
  const watch = new Watch(lab);
  linphone104.forget();
  const caller = await Sipp.start(lab, {
    ...{ ...beyondPbx, name: "updates" },
    calls: { address: hosts.pbx },
    scenario: callsReliably(sdp("[media_ip]", ports.offered), [
      pause(500),
      ...update(3, ports.early),
      receiveResponse(200, { routes: true }),
      request("ACK", "[next_url]", { from, to, to_tag: true, cseq: 1, headers: inDialog }),
      pause(500),
      ...update(4, ports.confirmed),
      pause(600),
      request("BYE", "[next_url]", { ...dialog, cseq: 5, headers: inDialog }),
      receiveResponse(200),
    ]),
  });
  const arrives = (port: number) =>
    until(`sound of linphone104 on ${beyondPbx.address}:${port}`, 5000, () => {
      const streams = lab.captures.wan.streams(towardsCloud(lab), beyondPbx.address);
      return streams.some((stream) => stream.to === `${beyondPbx.address}:${port}`) || undefined;
    });
  await lab.step("its early sound goes where the INVITE says, and then where the UPDATE says", async () => {
    await arrives(ports.offered);
    await arrives(ports.early);
  });
  await lab.step("it is answered, and an UPDATE moves its sound again", async () => {
    await linphone104.answer();
    await linphone104.established(3000);
    await arrives(ports.confirmed);
  });
  await caller.ended(10_000);
  await linphone104.closed(3000);
  await linphone104.restart();
  const labels = ["INVITE", "183 INVITE", "PRACK", "200 PRACK", "UPDATE", "200 UPDATE", "200 INVITE", "ACK", "BYE"];
  await watch.unchanged(...labels);
}

/** None of the telephones takes an answer from a PRACK (linphone waits for it in the ACK): SIPp plays both. */
async function lateOfferReliably(lab: Lab): Promise<void> {
  const watch = new Watch(lab);
  const caller = { namespace: "lan", address: "10.77.1.139" } as const;
  const account = extensions.linphone105;
  const dialled = `sip:7239@${domains.pbx}`;
  const own = { from: `sip:${account.user}@${domains.pbx}`, to: dialled } as const;
  const invite = (cseq: number, ...headers: string[]): Step =>
    request("INVITE", dialled, {
      ...{ ...own, cseq, retransmitted_ms: 500 },
      headers: ["Contact: <sip:late@[local_ip]:[local_port]>", "Supported: 100rel", ...headers],
    });
  const within = { ...own, to_tag: true, retransmitted_ms: 500 } as const;
  await addAddress(caller.namespace, caller.address);
  const tone = join(lab.runDirectory, "late-offer.ulaw");
  await writeMulawTone(tone, beyondTone_hz, 10);
  const callee = await Sipp.start(lab, {
    ...{ ...beyondPbx, name: "late-offer-callee", media_port: 5300, echoes: true },
    scenario: scenario("offers reliably", [
      takeInvite({ proxied: true }),
      answerInvite("183 Session Progress", {
        proxied: true,
        retransmitted_ms: 500,
        headers: ["Require: 100rel", "RSeq: 988"],
        body: sdp(),
      }),
      receiveRequest("PRACK"),
      reply("200 OK", { tag: false }),
      pause(1000),
      answerInvite("200 OK", { proxied: true, retransmitted_ms: 500 }),
      receiveRequest("ACK"),
      receiveRequest("BYE"),
      reply("200 OK", { tag: false, contact: false }),
    ]),
  });
  const ear = lab.captures.lan.listen(lan.box, caller.address);
  const calling = await Sipp.start(lab, {
    ...{ ...caller, name: "late-offer-caller", media_port: 5320 },
    ...{ calls: { address: lan.box }, more: ["-auth_uri", dialled] },
    scenario: scenario("answers in PRACK", [
      invite(1),
      receiveResponse(100, { optional: true }),
      receiveResponse(407, { challenge: true }),
      request("ACK", dialled, { ...own, cseq: 1, to_tag: true, branch: "[branch-3]" }),
      invite(2, `[authentication username=${account.user} password=${account.password}]`),
      receiveResponse(100, { optional: true }),
      receiveResponse(183, { routes: true, actions: [keepRSeq] }),
      request("PRACK", "[next_url]", {
        ...{ ...within, cseq: 3, headers: [...inDialog, "RAck: [$rseq] 2 INVITE"] },
        body: sdp("[media_ip]", "[rtpstream_audio_port]"),
      }),
      receiveResponse(200),
      play(tone),
      receiveResponse(200, { routes: true }),
      request("ACK", "[next_url]", { ...own, to_tag: true, cseq: 2, headers: inDialog }),
      pause(500),
      request("BYE", "[next_url]", { ...within, cseq: 4, headers: inDialog }),
      receiveResponse(200),
    ]),
  });
  const offer = await watch.passage("183 INVITE", 5000);
  const answer = await watch.passage("PRACK", 5000);
  expect(hasBody(offer.received) && hasBody(answer.received), "offer and answer are not in 183 and PRACK");
  const { sent } = await watch.passage("200 PRACK", 3000);
  const { sent: answered } = await watch.passage("200 INVITE", 5000);
  await calling.ended(10_000);
  await callee.done(3000);
  const heard = ear.heard(sent.at, answered.at, tones_hz).ms_by_tone.get(beyondTone_hz) ?? 0;
  expect(heard >= 400, `before the answer the caller hears its own echo for ${heard} ms of a second`);
  ear.stop();
  await removeAddress(caller.namespace, caller.address);
  await watch.unchanged("INVITE", "183 INVITE", "PRACK", "200 PRACK", "200 INVITE", "ACK", "BYE");
}

export const provisional: readonly Scenario[] = [
  {
    name: "prack",
    summary: "reliable provisional responses, repeated ones too, and their PRACK: RSeq and RAck as they are",
    short: true,
    stage: site,
    run: prack,
  },
  {
    name: "update",
    summary: "UPDATE with a description moves the sound before the answer and after it",
    short: true,
    stage: site,
    run: updated,
  },
  {
    name: "late-offer-prack",
    summary: "an INVITE without a description: the offer comes in a reliable 183 and the answer in its PRACK",
    short: true,
    stage: site,
    run: lateOfferReliably,
  },
];
