/** What telephones ask for beside calls, while the cloud is away and when it is back: mailboxes, messages. */
import { domains } from "../addresses.ts";
import { cseqMethod, header, type SeenMessage } from "../capture/sip.ts";
import { now } from "../deadline.ts";
import type { Lab } from "../lab.ts";
import { addAddress } from "../network.ts";
import { beyondPbx } from "../peers/pbx-features.ts";
import { Sipp } from "../peers/sipp.ts";
import { receiveRequest, receiveResponse, reply, type Step, scenario } from "../peers/sipp-scenario.ts";
import { expect, type Scenario } from "../scenario.ts";
import { becomesSurvivable, siteIsNormal } from "../story.ts";
import { backwards, keptAddresses } from "./transparency/called.ts";

const HOLD_DOWN_MS = 3000;
/** baresip refreshes after 90 % of it. */
const EXPIRES_S = 5;
/** A refused subscription is tried again by baresip after 30 to 60 s. */
const RETRIES_WITHIN_MS = 65_000;
const text = "Nobody but the box between us";

const granted = { headers: [`Expires: ${EXPIRES_S}`], contact: "<sip:mailbox@[local_ip]:[local_port]>" } as const;

const told = (cseq: number): readonly Step[] => [
  backwards("NOTIFY", cseq, {
    headers: ["Event: message-summary", `Subscription-State: active;expires=${EXPIRES_S}`],
    body: "Content-Type: application/simple-message-summary\nContent-Length: [len]\n\nMessages-Waiting: yes\nVoice-Message: 3/0\n",
  }),
  receiveResponse(200),
];

/** Tells of three messages at each SUBSCRIBE, the first and those that keep it up. */
const mailbox = scenario("mailbox", [
  receiveRequest("SUBSCRIBE", { routes: true, actions: keptAddresses }),
  reply("200 OK", granted),
  ...told(1),
  ...Array.from({ length: 40 }, (_, n) => [
    receiveRequest("SUBSCRIBE"),
    reply("200 OK", { ...granted, tag: false }),
    ...told(n + 2),
  ]).flat(),
]);

/** What the box answered to a telephone's request of a method, from a moment on. */
async function answer(lab: Lab, address: string, method: string, status: number, from: number): Promise<SeenMessage> {
  const ours = (message: SeenMessage) =>
    cseqMethod(message) === method && message.status === status && message.to.startsWith(`${address}:`);
  return lab.captures.lan.messages.next(`${status} to the ${method} of ${address}`, 12_000, ours, from);
}

async function requestsInOutage(lab: Lab): Promise<void> {
  const { baresip101, baresip102 } = lab.phones;
  await siteIsNormal(lab);
  await addAddress(beyondPbx.namespace, beyondPbx.address);
  await lab.pbx.set("presence", "server", 1);
  const server = await Sipp.start(lab, { ...beyondPbx, name: "mailbox", scenario: mailbox });
  await lab.step("baresip101 subscribes to its mailbox, and is told", async () => {
    await baresip101.restart({ modules: ["mwi.so"], account: ["mwi=yes"] });
    await baresip101.says(/MWI for/, 8000);
  });
  const mark = lab.broker.messages.mark;
  const cut_at = now();
  const seen = lab.captures.lan.messages.mark;
  await lab.step("upstream everything is swallowed", () => lab.cuts.blackHole());
  await becomesSurvivable(lab, cut_at, mark);
  await lab.step("its refresh is answered at once, and not by silence", async () => {
    const refused = await answer(lab, baresip101.address, "SUBSCRIBE", 503, seen);
    const asked = lab.captures.lan.messages.find(
      (message) => message.method === "SUBSCRIBE" && header(message, "cseq") === header(refused, "cseq"),
      seen,
    );
    expect(asked !== undefined, "the answer is to no SUBSCRIBE that was seen");
    lab.measure("refresh_to_answer_ms", refused.at - asked.at);
  });
  await lab.step("a telephone that starts now is told to ask for its mailbox again soon", async () => {
    const extras = ["mwi.so", "contact.so"];
    const contacts = [`"Front desk" <sip:101@${domains.pbx}>`];
    await baresip102.restart({ modules: extras, account: ["mwi=yes"], contacts });
    const refused = await answer(lab, baresip102.address, "SUBSCRIBE", 480, seen);
    expect(Number(header(refused, "retry-after")) <= 60, `Retry-After is ${header(refused, "retry-after")}`);
  });
  await lab.step("messages between telephones pass", async () => {
    const printed = baresip101.printed;
    await baresip102.ask("message", text);
    await baresip101.says(new RegExp(text), 5000, printed);
    await answer(lab, baresip102.address, "MESSAGE", 200, seen);
  });
  const marks = [baresip101, baresip102].map((phone) => [phone, phone.printed] as const);
  await lab.step("upstream is back, and so is the box", async () => {
    await lab.cuts.forwardingHealed();
    await lab.box.mode("normal", HOLD_DOWN_MS + 15_000);
  });
  await lab.step("both telephones subscribe by themselves, and are told", async () => {
    const back = now();
    await Promise.all(marks.map(([phone, mark]) => phone.says(/MWI for/, RETRIES_WITHIN_MS, mark)));
    lab.measure("normal_to_subscribed_ms", now() - back);
  });
  await server.stop();
}

export const outageRequests: readonly Scenario[] = [
  {
    name: "requests-in-outage",
    summary:
      "without the cloud subscriptions get an answer that makes phones ask again, messages pass; after it all works again",
    deadline_ms: 150_000,
    layout: { box: "one-armed", telephones: "box", box_running: true },
    run: requestsInOutage,
  },
];
