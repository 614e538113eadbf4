/** SIPp proves itself as a peer: both sides, UDP and TCP, several at once, an INVITE answered after its CANCEL, and sound. */
import { join } from "node:path";
import { writeMulawTone } from "../audio.ts";
import type { Lab } from "../lab.ts";
import { addAddress, removeAddress } from "../network.ts";
import { Sipp } from "../peers/sipp.ts";
import {
  answerInvite,
  pause,
  play,
  receiveRequest,
  receiveResponse,
  reply,
  request,
  scenario,
  sdp,
  takeInvite,
} from "../peers/sipp-scenario.ts";
import { expect, type Scenario } from "../scenario.ts";

const callee = "203.0.113.201";
const silent = "203.0.113.202";
const caller = "10.77.1.211";
const [from, to] = ["sip:caller@lab.example", "sip:callee@lab.example"];
const dialog = { from, to, to_tag: true, headers: ["[routes]"] };
const TALK_MS = 600;

const answers = scenario("answers", [
  takeInvite(),
  answerInvite("180 Ringing"),
  answerInvite("200 OK", { retransmitted_ms: 500, body: sdp() }),
  receiveRequest("ACK"),
  receiveRequest("BYE"),
  reply("200 OK", { tag: false, contact: false }),
]);

const calls = (tone: string) =>
  scenario("calls", [
    request("INVITE", to, {
      from,
      to,
      cseq: 1,
      retransmitted_ms: 500,
      headers: ["Contact: <sip:caller@[local_ip]:[local_port];transport=[transport]>"],
      body: sdp("[media_ip]", "[rtpstream_audio_port]"),
    }),
    receiveResponse(100, { optional: true }),
    receiveResponse(180, { optional: true }),
    receiveResponse(200, { routes: true }),
    request("ACK", "[next_url]", { ...dialog, cseq: 1 }),
    play(tone),
    pause(TALK_MS),
    request("BYE", "[next_url]", { ...dialog, cseq: 2, retransmitted_ms: 500 }),
    receiveResponse(200),
  ]);

const rings = scenario("rings", [
  takeInvite(),
  answerInvite("180 Ringing"),
  receiveRequest("CANCEL"),
  reply("200 OK", { contact: false }),
  answerInvite("487 Request Terminated", { retransmitted_ms: 500, contact: false }),
  receiveRequest("ACK"),
]);

const gives_up = scenario("gives up", [
  request("INVITE", to, {
    from,
    to,
    cseq: 1,
    retransmitted_ms: 500,
    headers: ["Contact: <sip:caller@[local_ip]:[local_port];transport=[transport]>"],
    body: sdp(),
  }),
  receiveResponse(180),
  request("CANCEL", to, { from, to, cseq: 1, branch: "[branch-2]", retransmitted_ms: 500 }),
  receiveResponse(200),
  receiveResponse(487),
  request("ACK", to, { from, to, cseq: 1, branch: "[branch-5]", to_tag: true }),
]);

async function bothCalls(lab: Lab, transport: "udp" | "tcp"): Promise<void> {
  const name = (what: string) => `sipp-${transport}-${what}`;
  const tone = join(lab.runDirectory, "sipp-440.ulaw");
  await writeMulawTone(tone, 440, 2);
  for (const [namespace, address] of places) await addAddress(namespace, address);
  const before = lab.captures.wan.messages.mark;
  const [answering, ringing] = await Promise.all([
    Sipp.start(lab, {
      ...{ name: name("answers"), namespace: "wan", address: callee, transport, scenario: answers, echoes: true },
    }),
    Sipp.start(lab, { name: name("rings"), namespace: "wan", address: silent, transport, scenario: rings }),
  ]);
  const common = { namespace: "lan", address: caller, transport } as const;
  const [talker, quitter] = await Promise.all([
    Sipp.start(lab, {
      ...{ ...common, name: name("calls"), scenario: calls(tone), calls: { address: callee }, media_port: 31_000 },
    }),
    Sipp.start(lab, {
      ...{ ...common, name: name("gives-up"), scenario: gives_up, calls: { address: silent }, port: 5061 },
    }),
  ]);
  await Promise.all([talker.ended(5000), quitter.ended(5000)]);
  await Promise.all([answering.done(5000), ringing.done(5000)]);
  for (const address of [callee, silent]) {
    const seen = await lab.captures.wan.request("the INVITE", 1000, { method: "INVITE", to: address }, before);
    expect(seen.protocol === transport, `the INVITE came by ${seen.protocol}`);
  }
  const sent = lab.captures.wan.streams(caller, callee).reduce((sum, { arrivals }) => sum + arrivals.length, 0);
  const back = lab.captures.wan.streams(callee, caller).reduce((sum, { arrivals }) => sum + arrivals.length, 0);
  lab.timeline.note(`${sent} RTP packets to the callee, ${back} echoed`);
  expect(sent >= TALK_MS / 40 && back >= sent - 3, `RTP: ${sent} packets sent, ${back} echoed`);
  expect((await talker.messages()).includes("BYE"), "the caller's trace of messages has no BYE");
  for (const [namespace, address] of places) await removeAddress(namespace, address);
}

const places = [["wan", callee] as const, ["wan", silent] as const, ["lan", caller] as const];

export const sippAlone: readonly Scenario[] = (["udp", "tcp"] as const).map((transport) => ({
  name: `sipp-alone-${transport}`,
  summary: `SIPp as caller and callee over ${transport.toUpperCase()}: an answered call with sound, a cancelled one`,
  layout: { box: "one-armed", telephones: "later", box_running: false },
  run: (lab) => bothCalls(lab, transport),
}));
