/**
 * GRUU (RFC 5627): telephones make the pub-gruu that the PBX gave them their Contact. Requests inside of a dialog then name
 * it, the PBX looks it up, and they come back over the Path of the registration.
 */
import { domains } from "../../addresses.ts";
import { header } from "../../capture/sip.ts";
import { sleep } from "../../deadline.ts";
import type { Lab } from "../../lab.ts";
import { expect, type Scenario } from "../../scenario.ts";
import { bothHeard, hangUp } from "../../story.ts";
import { Watch } from "../../transparency.ts";
import { connect, Sounds } from "./sounds.ts";
import { cast, site } from "./stage.ts";

const isGruu = (uri: string): boolean => uri.includes(`@${domains.pbx};gr=urn:uuid:`);

async function gruu(lab: Lab): Promise<void> {
  const { baresip101, baresip102, linphone103 } = cast(lab);
  // With RFC 5626 on, baresip names its instance, and gets a GRUU.
  await baresip101.restart({ account: ["sipnat=outbound"] });
  const pairs = [
    [baresip101, linphone103],
    [linphone103, baresip101],
  ] as const;
  const contacts: string[] = [];
  for (const [caller, callee] of pairs) {
    const watch = new Watch(lab);
    const sounds = new Sounds(lab, [caller, callee]);
    for (const phone of [caller, callee]) phone.forget();
    await lab.step(`${caller.name} calls ${callee.name}, both by their GRUU`, async () => {
      await connect(caller, callee);
      await callee.hold();
      await sleep(600);
      await callee.resume();
      await sleep(400);
      await sounds.hears([caller, callee], [callee, caller]);
      await hangUp(callee, caller);
    });
    sounds.stop();
    for (const label of ["INVITE", "200 INVITE"]) {
      const { received } = await watch.passage(label, 3000, ({ direction }) => direction === "out");
      const contact = header(received, "contact") ?? "";
      contacts.push(contact);
      expect(isGruu(contact), `the Contact of the ${label} is ${contact}, no GRUU`);
    }
    for (const [label, to] of [
      ["ACK", callee],
      ["BYE", caller],
    ] as const) {
      await lab.step(`the ${label} to the GRUU reaches ${to.name}`, async () => {
        const out = await watch.passage(label, 3000, ({ received }) => isGruu(received.start));
        expect(out.direction === "out", `the ${label} to the GRUU did not come from a telephone`);
        await watch.passage(label, 3000, ({ sent }) => sent.to.startsWith(`${to.address}:`) && !isGruu(sent.start));
      });
    }
    await watch.unchanged("INVITE", "200 INVITE", "ACK", "BYE", "200 BYE");
  }
  await lab.step("baresip102 dials linphone103's GRUU", async () => {
    // baresip itself says 404 to a call whose To is its GRUU.
    const own = contacts.find((contact) => contact.includes(`:${linphone103.user}@`));
    const target = own?.match(/<([^>]+)>/)?.[1] ?? "";
    const watch = new Watch(lab);
    for (const phone of [baresip102, linphone103]) phone.forget();
    await connect(baresip102, linphone103, target);
    await sleep(1000);
    await hangUp(baresip102, linphone103);
    await bothHeard(lab, baresip102, linphone103, 500);
    await watch.unchanged("INVITE", "200 INVITE", "ACK", "BYE", "200 BYE");
  });
  await baresip101.restart();
}

export const gruus: readonly Scenario[] = [
  {
    name: "gruu",
    summary: "telephones that made their GRUU their Contact: calls both ways, hold, BYE; and a call to a GRUU",
    short: true,
    stage: site,
    run: gruu,
  },
];
