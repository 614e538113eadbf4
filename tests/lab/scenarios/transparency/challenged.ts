/**
 * A PBX that asks for a password inside of dialogs too, and holds the digest-uri against the Request-URI (RFC 7616 §3.4.6):
 * a box that touched either would end every call that it carries.
 */
import { header, type SeenMessage } from "../../capture/sip.ts";
import { now, sleep } from "../../deadline.ts";
import type { Lab } from "../../lab.ts";
import type { Telephone } from "../../peers/telephone.ts";
import { expect, type Scenario } from "../../scenario.ts";
import { Watch } from "../../transparency.ts";
import { Sounds } from "./sounds.ts";
import { cast, site } from "./stage.ts";

const requestUri = ({ start }: SeenMessage): string => start.split(" ")[1] ?? "";
const digestUri = (message: SeenMessage): string | undefined =>
  header(message, "proxy-authorization")?.match(/[ ,]uri="([^"]*)"/)?.[1];

async function call(caller: Telephone, callee: Telephone): Promise<void> {
  for (const phone of [caller, callee]) phone.forget();
  await caller.dial(callee.user);
  await callee.ringing(5000);
  await callee.answer();
  await Promise.all([caller.established(5000), callee.established(5000)]);
  await sleep(500);
}

/** A telephone's request must have been asked a password for, been sent again with it, and got through. */
async function proved(watch: Watch, method: string, by: Telephone, accepted: string): Promise<void> {
  const answers = (label: string): (string | undefined)[] =>
    watch.passages.passed.flatMap((passage) =>
      passage.label === label && passage.sent.to.startsWith(`${by.address}:`) ? [header(passage.sent, "cseq")] : [],
    );
  await watch.passage(`407 ${method}`, 5000, ({ sent }) => sent.to.startsWith(`${by.address}:`));
  const { sent } = await watch.passage(
    method,
    5000,
    ({ received }) =>
      received.from.startsWith(`${by.address}:`) && answers(accepted).includes(header(received, "cseq")),
  );
  const [digest, target] = [digestUri(sent), requestUri(sent)];
  expect(digest === target, `${by.name}'s ${method} says uri="${digest}" and is for ${target}`);
}

/** Kamailio's nonces tell the second; a telephone that gets the same one again takes its password for wrong. */
const nextSecond = (): Promise<void> => sleep(1050 - (now() % 1000));

async function challenged(lab: Lab): Promise<void> {
  const { baresip101, baresip102, linphone103 } = cast(lab);
  await lab.pbx.set("challenge", "inside", 1);
  try {
    const watch = new Watch(lab);
    const sounds = new Sounds(lab, [baresip101, baresip102, linphone103]);
    await lab.step("INVITE: baresip101 calls linphone103", async () => {
      await call(baresip101, linphone103);
      await proved(watch, "INVITE", baresip101, "200 INVITE");
    });
    for (const phone of [baresip101, linphone103]) {
      await lab.step(`re-INVITE: ${phone.name} holds, and takes the call up again`, async () => {
        for (const act of ["hold", "resume"] as const) {
          await nextSecond();
          const again = new Watch(lab);
          await phone[act]();
          await proved(again, "INVITE", phone, "200 INVITE");
        }
      });
    }
    await sounds.hears([baresip101, linphone103], [linphone103, baresip101]);
    await nextSecond();
    await lab.step("BYE: by the callee", async () => {
      const bye = new Watch(lab);
      // linphone does not print the end of a call whose BYE was challenged.
      await linphone103.hangUp();
      await baresip101.closed(5000);
      await proved(bye, "BYE", linphone103, "200 BYE");
    });
    await lab.step("REFER: baresip101 sends linphone103 on to baresip102", async () => {
      const refer = new Watch(lab);
      await call(linphone103, baresip101);
      baresip102.forget();
      await nextSecond();
      await baresip101.transfer(baresip102.user);
      await proved(refer, "REFER", baresip101, "202 REFER");
      await baresip102.ringing(5000);
      await baresip102.answer();
      await baresip102.established(5000);
      await nextSecond();
      await baresip101.closed(5000);
      await sounds.hears([baresip102, linphone103], [linphone103, baresip102]);
    });
    await nextSecond();
    await lab.step("BYE: by the caller", async () => {
      const bye = new Watch(lab);
      await linphone103.hangUp();
      await baresip102.closed(5000);
      await proved(bye, "BYE", linphone103, "200 BYE");
    });
    sounds.stop();
    await watch.unchanged("INVITE", "407 INVITE", "200 INVITE", "ACK", "407 REFER", "202 REFER", "407 BYE", "200 BYE");
  } finally {
    await lab.pbx.set("challenge", "inside", 0);
  }
}

export const challenges: readonly Scenario[] = [
  {
    name: "challenged",
    summary:
      "INVITE, re-INVITE, BYE and REFER asked for a password by the PBX, which compares digest-uri and Request-URI",
    short: true,
    stage: site,
    run: challenged,
  },
];
