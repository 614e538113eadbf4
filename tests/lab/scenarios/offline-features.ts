/** What telephones do with a call among themselves while the box is alone with them: hold, transfer, call waiting. */
import { domains } from "../addresses.ts";
import { Capture } from "../capture/capture.ts";
import { header } from "../capture/sip.ts";
import { now, sleep, until } from "../deadline.ts";
import type { Lab } from "../lab.ts";
import type { Baresip } from "../peers/baresip.ts";
import type { Linphone } from "../peers/linphone.ts";
import type { Telephone } from "../peers/telephone.ts";
import type { Scenario } from "../scenario.ts";
import { becomesSurvivable, hangUp, siteIsNormal } from "../story.ts";
import { connect, Sounds } from "./transparency/sounds.ts";

interface Offline {
  readonly lab: Lab;
  readonly baresip101: Baresip;
  readonly baresip102: Baresip;
  readonly linphone103: Linphone;
  readonly linphone104: Linphone;
  readonly linphone105: Linphone;
  sounds(...listeners: readonly Telephone[]): Sounds;
}

async function cutOff(lab: Lab): Promise<Offline> {
  const more = { linphone104: lab.linphone("linphone104"), linphone105: lab.linphone("linphone105") };
  const phones = { ...lab.phones, ...more };
  await Promise.all(Object.values(more).map((phone) => phone.start()));
  await Promise.all(Object.values(more).map((phone) => phone.registered(8000)));
  // Offline their sound goes from telephone to telephone: it is heard at the ports of the switch.
  const ports = new Map<Telephone, Capture>();
  for (const phone of Object.values(phones)) {
    ports.set(phone, await Capture.start(lab.programs, "lan", `phone${phone.user}`, lab.directory));
  }
  await siteIsNormal(lab);
  const mark = lab.broker.messages.mark;
  const cut_at = now();
  await lab.step("upstream everything is swallowed", () => lab.cuts.blackHole());
  await becomesSurvivable(lab, cut_at, mark);
  return { lab, ...phones, sounds: (...listeners) => new Sounds(lab, listeners, ports) };
}

async function hold({ lab, baresip101, linphone103, sounds }: Offline): Promise<void> {
  for (const phone of [baresip101, linphone103]) phone.forget();
  const heard = sounds(baresip101, linphone103);
  await connect(baresip101, linphone103);
  await lab.step("linphone103 holds, and takes the call up again", async () => {
    await heard.hears([baresip101, linphone103], [linphone103, baresip101]);
    await linphone103.hold();
    await sleep(400);
    await heard.hears([baresip101, linphone103], [linphone103, undefined]);
    await linphone103.resume();
    await sleep(400);
    await heard.hears([baresip101, linphone103], [linphone103, baresip101]);
  });
  await hangUp(baresip101, linphone103);
  heard.stop();
}

async function blind({ lab, baresip101, linphone103, linphone104, sounds }: Offline): Promise<void> {
  for (const phone of [baresip101, linphone103, linphone104]) phone.forget();
  const heard = sounds(linphone103, linphone104);
  await connect(baresip101, linphone103);
  await lab.step("baresip101 sends linphone103 to linphone104", async () => {
    await baresip101.transfer(`sip:${linphone104.user}@${domains.pbx}`);
    await linphone104.ringing(3000);
    await linphone104.answer();
    await linphone104.established(3000);
    await baresip101.closed(5000);
    await heard.hears([linphone103, linphone104], [linphone104, linphone103]);
  });
  await hangUp(linphone104, linphone103);
  heard.stop();
}

async function attended({ lab, linphone103, linphone104, linphone105, sounds }: Offline): Promise<void> {
  for (const phone of [linphone103, linphone104, linphone105]) phone.forget();
  const heard = sounds(linphone103, linphone104);
  const mark = lab.captures.lan.messages.mark;
  await lab.step("linphone105 talks with linphone103, asks linphone104, and joins the two", async () => {
    await connect(linphone105, linphone103);
    await linphone105.hold();
    await linphone105.says(/to \[?LinphoneCallPaused\b/, 3000);
    await connect(linphone105, linphone104);
    const second = await linphone105.callNumber(1);
    await linphone105.inCall(second);
    await linphone105.join(await linphone105.callNumber(0), second);
    await lab.captures.lan.request(
      "the INVITE with Replaces",
      3000,
      { method: "INVITE", to: linphone104.address, where: (invite) => header(invite, "replaces") !== undefined },
      mark,
    );
    await linphone105.closed(5000);
    await sleep(300);
    await heard.hears([linphone103, linphone104], [linphone104, linphone103]);
  });
  await linphone103.hangUp();
  await sleep(300);
  heard.stop();
}

async function waiting({ lab, baresip101, baresip102, linphone103, sounds }: Offline): Promise<void> {
  for (const phone of [baresip101, baresip102, linphone103]) phone.forget();
  const heard = sounds(baresip101, baresip102, linphone103);
  await connect(baresip101, linphone103);
  await lab.step("baresip102 calls linphone103 too; it takes that call, and goes back to the first", async () => {
    await baresip102.dial(linphone103.user);
    const [first, second] = [await linphone103.callNumber(0), await linphone103.callNumber(1)];
    await linphone103.answerCall(second);
    await baresip102.established(3000);
    await sleep(400);
    await heard.hears([linphone103, baresip102], [baresip102, linphone103]);
    await linphone103.hold();
    await sleep(200);
    await linphone103.resume(first);
    await sleep(600);
    await heard.hears([linphone103, baresip101], [baresip101, linphone103]);
  });
  for (const phone of [baresip102, baresip101]) {
    await phone.hangUp();
    await phone.closed(3000);
  }
  heard.stop();
}

async function run(lab: Lab): Promise<void> {
  const offline = await cutOff(lab);
  await hold(offline);
  await blind(offline);
  await attended(offline);
  await waiting(offline);
  await until("the box to show no call any more", 5000, async () => {
    const engine = (await lab.box.status())?.engine;
    return (engine?.mode === "survivable" && engine.calls.length === 0) || undefined;
  });
}

export const offlineFeatures: readonly Scenario[] = [
  {
    name: "transfer-offline",
    summary:
      "the cloud is cut off: telephones hold, transfer (blind and attended) and take a second call by the box alone",
    layout: { box: "one-armed", telephones: "box", box_running: true },
    run,
  },
];
