/**
 * Fax over IP (T.38): a call begins with sound and goes over to `image/udptl` in its middle. No telephone of the lab can do
 * that, so SIPp plays both machines; that a refusal (488) leaves the sound alone is shown with a real telephone.
 */
import { domains, extensions, lan, tones_hz } from "../../addresses.ts";
import type { SeenMessage } from "../../capture/sip.ts";
import { now, sleep, until } from "../../deadline.ts";
import type { Lab } from "../../lab.ts";
import { addAddress, removeAddress } from "../../network.ts";
import { beyondPbx } from "../../peers/pbx-features.ts";
import { Sipp } from "../../peers/sipp.ts";
import {
  pause,
  receiveRequest,
  receiveResponse,
  reply,
  request,
  type Step,
  scenario,
  sdp,
} from "../../peers/sipp-scenario.ts";
import type { Program } from "../../processes.ts";
import { expect, type Scenario } from "../../scenario.ts";
import { type Passage, Watch } from "../../transparency.ts";
import { backwards, keptAddresses } from "./called.ts";
import { cast, site, towardsCloud } from "./stage.ts";

const number = "7238";
/** A fax machine on the switch, with the account of a telephone. */
const machine = { namespace: "lan", address: "10.77.1.138", port: 5060, udptl: 4600 } as const;
const account = extensions.linphone105;
const server = { ...beyondPbx, udptl: 4610 } as const;
const PACKETS = 30;
const datagrams = new URL("../../servers/datagrams.ts", import.meta.url).pathname;

/** An image section in the place of the sound, or beside it. */
const t38 = (port: number, sound?: string): string => `Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 2 IN IP4 [media_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
${sound === undefined ? "" : `${sound}\n`}m=image ${port} udptl t38
a=T38FaxVersion:0
a=T38MaxBitRate:14400
a=T38FaxRateManagement:transferredTCF
a=T38FaxUdpEC:t38UDPRedundancy
`;

/** Answers with sound, then wants to go over to fax. `sound`: keeps the first section, closed. */
const wantsFax = (image: string, then: readonly Step[]): string =>
  scenario("wants fax", [
    receiveRequest("INVITE", { routes: true, actions: keptAddresses }),
    reply("200 OK", { retransmitted_ms: 500, body: sdp() }),
    receiveRequest("ACK"),
    pause(600),
    backwards("INVITE", 1, { body: image }),
    receiveResponse(100, { optional: true }),
    ...then,
    receiveRequest("BYE"),
    reply("200 OK", { tag: false, contact: false }),
  ]);

const [from, to] = [`sip:${account.user}@${domains.pbx}`, `sip:${number}@${domains.pbx}`];
const invite = (cseq: number, ...headers: string[]): Step =>
  request("INVITE", to, {
    from,
    to,
    cseq,
    retransmitted_ms: 500,
    headers: ["Contact: <sip:fax@[local_ip]:[local_port]>", ...headers],
    body: sdp(),
  });

const takesFax = (image: string): string =>
  scenario("takes fax", [
    invite(1),
    receiveResponse(100, { optional: true }),
    receiveResponse(407, { challenge: true }),
    request("ACK", to, { from, to, cseq: 1, to_tag: true, branch: "[branch-3]" }),
    invite(2, `[authentication username=${account.user} password=${account.password}]`),
    receiveResponse(100, { optional: true }),
    receiveResponse(200, { routes: true }),
    request("ACK", "[next_url]", { from, to, cseq: 2, to_tag: true, headers: ["[routes]"] }),
    receiveRequest("INVITE"),
    reply("200 OK", { tag: false, body: image, retransmitted_ms: 500, contact: "<sip:fax@[local_ip]:[local_port]>" }),
    receiveRequest("ACK"),
    pause(1500),
    request("BYE", "[next_url]", { from, to, cseq: 3, to_tag: true, headers: ["[routes]"], retransmitted_ms: 500 }),
    receiveResponse(200),
  ]);

/** The port of the image section, as whoever got this message was told. */
function imagePort({ body }: SeenMessage): number {
  return Number(body.toString().match(/^m=image (\d+) udptl/m)?.[1] ?? 0);
}

/** UDPTL as far as it matters here: a sequence number (T.38 §9.1), and bytes of every value. */
const packets = (mark: number): string[] =>
  Array.from({ length: PACKETS }, (_, n) =>
    Buffer.from([n >> 8, n & 255, 6, 0xc0 | (n & 63), mark, 255 - n, 0x80 | n, 0]).toString("hex"),
  );

/** The numbers of the packets that a program printed, in their order. */
const received = ({ output }: Program): string[] =>
  output.entries.map(({ text }) => text).filter((text) => /^[0-9a-f]+$/.test(text));

async function faxed(lab: Lab, name: string, section: "instead" | "beside"): Promise<void> {
  const watch = new Watch(lab);
  const closed = section === "beside" ? "m=audio 0 RTP/AVP 0" : undefined;
  const ends = [
    { ...machine, name: `${name}-machine-udptl`, says: packets(0x11) },
    { ...server, name: `${name}-server-udptl`, says: packets(0x22) },
  ] as const;
  const programs = ends.map(({ name, namespace, address, udptl: port, says }) =>
    lab.programs.start({
      ...{ name, namespace },
      argv: [process.execPath, datagrams, JSON.stringify({ address, port, packets: says })],
    }),
  );
  await Promise.all(programs.map((program) => program.line(/^ready$/, 5000)));
  const called = await Sipp.start(lab, {
    ...{ ...beyondPbx, name: `${name}-server`, media_port: 4700 },
    scenario: wantsFax(t38(server.udptl, closed), [receiveResponse(200), backwards("ACK", 1)]),
  });
  const calling = await Sipp.start(lab, {
    ...{ namespace: machine.namespace, address: machine.address, name: `${name}-machine`, media_port: 4720 },
    ...{ scenario: takesFax(t38(machine.udptl, closed)), calls: { address: lan.box }, more: ["-auth_uri", to] },
  });
  const hasImage = ({ received }: Passage) => imagePort(received) !== 0;
  const offer = await watch.passage("INVITE", 5000, hasImage);
  const answer = await watch.passage("200 INVITE", 5000, hasImage);
  const led = [
    [offer.sent, lan.box],
    [answer.sent, towardsCloud(lab)],
  ] as const;
  led.forEach(([told, box], n) => {
    const port = imagePort(told);
    expect(told.body.toString().includes(`c=IN IP4 ${box}`), "the fax is not led through the box");
    expect(port !== machine.udptl && port !== server.udptl, `the port told is the other end's own: ${port}`);
    programs[n]?.write(`${box} ${port}\n`);
  });
  await lab.step(`${PACKETS} UDPTL packets each way, every byte`, async () => {
    for (const [n, { says, name: by }] of ends.entries()) {
      const other = programs[1 - n];
      const got = () => (other === undefined ? [] : received(other));
      await until(`all packets of ${by}`, 5000, () => (got().length >= PACKETS ? true : undefined));
      expect(got().join() === says.join(), `what arrived was not what ${by} sent`);
    }
  });
  await calling.ended(10_000);
  await called.done(5000);
  for (const program of programs) await program.stop();
  await watch.unchanged("INVITE", "200 INVITE", "ACK", "BYE", "200 BYE");
}

async function fax(lab: Lab): Promise<void> {
  await addAddress(machine.namespace, machine.address);
  await lab.step("fax in the place of the sound", () => faxed(lab, "fax-instead", "instead"));
  await lab.step("fax in a section of its own, the sound's is closed", () => faxed(lab, "fax-beside", "beside"));
  await removeAddress(machine.namespace, machine.address);
}

async function refused(lab: Lab): Promise<void> {
  const { baresip101 } = cast(lab);
  const watch = new Watch(lab);
  baresip101.forget();
  const called = await Sipp.start(lab, {
    ...{ ...beyondPbx, name: "fax-refused", media_port: 4700, echoes: true },
    scenario: wantsFax(t38(server.udptl), [receiveResponse(488), backwards("ACK", 1, { branch: "[branch-3]" })]),
  });
  const ear = lab.captures.lan.listen(lan.box, baresip101.address);
  await baresip101.dial(number);
  await baresip101.established(5000);
  await watch.passage("488 INVITE", 5000);
  const start = now();
  await sleep(1000);
  const heard = ear.heard(start, now(), tones_hz);
  ear.stop();
  const own = heard.ms_by_tone.get(baresip101.tone_hz) ?? 0;
  expect(own >= 600, `after the 488 baresip101 hears its own echo for ${own} of 1000 ms`);
  await baresip101.hangUp();
  await baresip101.closed(5000);
  await called.done(5000);
  await watch.unchanged("INVITE", "200 INVITE", "ACK", "488 INVITE", "BYE", "200 BYE");
}

export const faxes: readonly Scenario[] = [
  {
    name: "t38",
    summary: "a re-INVITE goes over to T.38, in the place of the sound and beside it; UDPTL packets pass both ways",
    short: true,
    stage: site,
    run: fax,
  },
  {
    name: "t38-refused",
    summary: "a telephone refuses the re-INVITE to T.38 with 488: the sound goes on",
    short: true,
    stage: site,
    run: refused,
  },
];
