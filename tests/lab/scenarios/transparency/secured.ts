/**
 * Sound that two telephones encrypt for each other (SRTP, with keys in the SDP or by DTLS), and the way that they look for
 * (ICE): the box moves it all and understands nothing.
 */
import { lan } from "../../addresses.ts";
import { readRtp } from "../../capture/telephone-events.ts";
import { sleep } from "../../deadline.ts";
import type { Lab } from "../../lab.ts";
import type { BaresipExtras } from "../../peers/baresip.ts";
import { expect, type Scenario } from "../../scenario.ts";
import { bothHeard, hangUp } from "../../story.ts";
import { type Passage, Watch } from "../../transparency.ts";
import { connect } from "./sounds.ts";
import { cast, site, towardsCloud } from "./stage.ts";

const TALK_MS = 1500;

async function sdes(lab: Lab): Promise<void> {
  const { linphone104, linphone105 } = cast(lab);
  const phones = [linphone104, linphone105];
  const watch = new Watch(lab);
  await Promise.all(
    phones.map((phone) => phone.restart({ sip: ["media_encryption=srtp", "media_encryption_mandatory=1"] })),
  );
  for (const phone of phones) phone.forget();
  const ways = [phones, [...phones].reverse()].map(([by, to]) => ({
    by,
    sent: lab.captures.lan.tap(by?.address ?? "", lan.box),
    got: lab.captures.lan.tap(lan.box, to?.address ?? ""),
  }));
  await lab.step("linphone104 calls linphone105, both insist on SRTP", async () => {
    await linphone104.dial(linphone105.user);
    await linphone105.ringing(5000);
    await linphone105.answer();
    await Promise.all(phones.map((phone) => phone.established(5000)));
    await sleep(TALK_MS);
    await hangUp(linphone104, linphone105);
  });
  await lab.step("the keys passed untouched, and every packet as it was", async () => {
    for (const label of ["INVITE", "200 INVITE"]) {
      const { sent } = await watch.passage(label);
      const sdp = sent.body.toString();
      expect(/^m=audio \d+ RTP\/SAVPF? /m.test(sdp), `the ${label} does not speak of SRTP: ${sdp}`);
      expect(/^a=crypto:\d+ AES_\S+ inline:\S{40}/m.test(sdp), `the ${label} has no key: ${sdp}`);
    }
    for (const { by, sent, got } of ways) {
      const before = new Set(sent.packets.map(({ payload }) => payload.toString("hex")));
      const after = got.packets.flatMap((segment) => readRtp(segment) ?? []);
      const foreign = after.filter(({ bytes }) => !before.has(bytes.toString("hex")));
      expect(after.length >= TALK_MS / 40, `${after.length} packets of ${by?.name} left the box`);
      expect(foreign.length === 0, `${foreign.length} of ${after.length} packets are not as ${by?.name} sent them`);
      lab.timeline.note(`${after.length} packets of ${by?.name}, unchanged`);
      sent.stop();
      got.stop();
    }
  });
  await Promise.all(phones.map((phone) => phone.restart()));
  await bothHeard(lab, linphone104, linphone105);
  await watch.unchanged("INVITE", "200 INVITE", "ACK", "BYE", "200 BYE");
}

/** Two baresips with the same extras talk; returns the descriptions that passed. */
async function talkWith(lab: Lab, extras: BaresipExtras, talk_ms = TALK_MS): Promise<readonly Passage[]> {
  const { baresip101, baresip102 } = cast(lab);
  const phones = [baresip101, baresip102];
  await Promise.all(phones.map((phone) => phone.restart(extras)));
  const watch = new Watch(lab);
  for (const phone of phones) phone.forget();
  await connect(baresip101, baresip102);
  await sleep(talk_ms);
  await hangUp(baresip101, baresip102);
  await bothHeard(lab, baresip101, baresip102, 700);
  const described = await Promise.all(["INVITE", "200 INVITE"].map((label) => watch.passage(label)));
  await Promise.all(phones.map((phone) => phone.restart()));
  return described;
}

async function dtls(lab: Lab): Promise<void> {
  const extras = { media_modules: ["srtp.so", "dtls_srtp.so"], account: ["mediaenc=dtls_srtp"] };
  // baresip overhears the first greeting, which comes before the answer; the next one is a second later.
  const described = await talkWith(lab, extras, TALK_MS + 1000);
  for (const { label, received, sent } of described) {
    const fingerprint = (body: Buffer) => body.toString().match(/^a=fingerprint:\S+ \S+/m)?.[0];
    expect(fingerprint(received.body) !== undefined, `the ${label} has no fingerprint: ${received.body}`);
    expect(fingerprint(received.body) === fingerprint(sent.body), `the fingerprint in the ${label} changed`);
  }
}

async function ice(lab: Lab): Promise<void> {
  const described = await talkWith(lab, { media_modules: ["ice.so"], account: ["medianat=ice"] });
  for (const { label, direction, received, sent } of described) {
    const box = direction === "in" ? lan.box : towardsCloud(lab);
    const candidates = (body: Buffer) => body.toString().match(/^a=candidate:.*/gm) ?? [];
    expect(candidates(received.body).length > 0, `the ${label} has no candidates: ${received.body}`);
    const led = candidates(sent.body);
    expect(led.length > 0, `the ${label} has no candidates any more`);
    expect(
      led.every((candidate) => candidate.includes(` ${box} `)),
      `a candidate in the ${label} leads past the box: ${led.join("; ")}`,
    );
  }
}

export const secured: readonly Scenario[] = [
  {
    name: "dtls-srtp",
    summary: "two telephones that agree on their keys in the media itself (DTLS-SRTP) hear each other",
    short: true,
    stage: site,
    run: dtls,
  },
  {
    name: "ice",
    summary: "two telephones that look for a way by ICE find the one through the box, and hear each other",
    short: true,
    stage: site,
    run: ice,
  },
  {
    name: "sdes-srtp",
    summary: "two telephones that insist on SRTP with keys in the SDP hear each other; keys and packets pass untouched",
    short: true,
    stage: site,
    run: sdes,
  },
];
