/** Sound that two telephones encrypt for each other (SRTP, keys in the SDP): the box moves it and understands nothing. */
import { lan } from "../../addresses.ts";
import { readRtp } from "../../capture/telephone-events.ts";
import { sleep } from "../../deadline.ts";
import type { Lab } from "../../lab.ts";
import { expect, type Scenario } from "../../scenario.ts";
import { bothHeard, hangUp } from "../../story.ts";
import { Watch } from "../../transparency.ts";
import { cast, site } from "./stage.ts";

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

export const secured: readonly Scenario[] = [
  {
    name: "sdes-srtp",
    summary: "two telephones that insist on SRTP with keys in the SDP hear each other; keys and packets pass untouched",
    short: true,
    stage: site,
    run: sdes,
  },
];
