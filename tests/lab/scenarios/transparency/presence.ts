/** Who is on the telephone, who has messages waiting, who is there: SUBSCRIBE and NOTIFY (RFC 6665), PUBLISH (RFC 3903). */
import { domains, extensions, lan } from "../../addresses.ts";
import { header } from "../../capture/sip.ts";
import type { Lab } from "../../lab.ts";
import { addAddress, removeAddress } from "../../network.ts";
import { Kamailio } from "../../peers/kamailio.ts";
import { presenceAgent } from "../../peers/kamailio-configs.ts";
import { beyondPbx, forkedLamp } from "../../peers/pbx-features.ts";
import { Sipp } from "../../peers/sipp.ts";
import {
  goTo,
  label,
  noBody,
  pause,
  receiveRequest,
  receiveResponse,
  reply,
  request,
  type Step,
  scenario,
  send,
} from "../../peers/sipp-scenario.ts";
import { expect, type Scenario } from "../../scenario.ts";
import { type Passage, Watch } from "../../transparency.ts";
import { backwards, keptAddresses } from "./called.ts";
import { cast, site } from "./stage.ts";

/** Takes a SUBSCRIBE and keeps all that its answer must copy: a NOTIFY may go, and be answered, before it. */
const takeSubscribe: Step = receiveRequest("SUBSCRIBE", {
  routes: true,
  actions: [
    ...keptAddresses,
    `<ereg regexp="(Record-Route|Via):.*Via: [[:print:]]*" search_in="msg" assign_to="way"/>`,
    `<ereg regexp=".*" search_in="hdr" header="CSeq:" assign_to="cseq"/>`,
    `<ereg regexp="Via" search_in="hdr" header="Via:" assign_to="nothing"/>`,
  ],
});

const acceptSubscribe = (expires_s: number): Step =>
  send(`SIP/2.0 200 OK
[$way]
From: [$invite_From]
To: [$invite_To];tag=[pid]-[call_number][$nothing]
Call-ID: [call_id]
CSeq: [$cseq]
Contact: <sip:notifier@[local_ip]:[local_port]>
Expires: ${expires_s}
${noBody}`);

const notify = (cseq: number, event: string, state: string, type: string, text: string): Step =>
  backwards("NOTIFY", cseq, {
    headers: [`Event: ${event}`, `Subscription-State: ${state}`],
    body: `Content-Type: ${type}\nContent-Length: [len]\n\n${text}`,
  });

const waiting = (cseq: number, state: string, some: boolean): Step =>
  notify(
    cseq,
    "message-summary",
    state,
    "application/simple-message-summary",
    `Messages-Waiting: ${some ? "yes" : "no"}\nMessage-Account: sip:101@${domains.pbx}\nVoice-Message: ${some ? "2/8 (0/2)" : "0/8"}\n`,
  );

const voicemail = scenario("voicemail", [
  takeSubscribe,
  waiting(1, "active;expires=2", false),
  receiveResponse(200),
  acceptSubscribe(2),
  receiveRequest("SUBSCRIBE"),
  reply("200 OK", { tag: false, headers: ["Expires: 600"] }),
  waiting(2, "active;expires=600", true),
  receiveResponse(200),
  waiting(3, "terminated;reason=noresource", false),
  receiveResponse(200),
]);

async function messageWaiting(lab: Lab): Promise<void> {
  const { baresip101 } = cast(lab);
  await lab.pbx.set("presence", "server", 1);
  const watch = new Watch(lab);
  const server = await Sipp.start(lab, { ...beyondPbx, name: "voicemail", scenario: voicemail });
  const mark = baresip101.events.mark;
  await lab.step("baresip101 subscribes; the first NOTIFY comes before the answer", async () => {
    await baresip101.restart({ modules: ["mwi.so"], account: ["mwi=yes"] });
    const first = await watch.passage("NOTIFY", 10_000);
    const answer = await watch.passage("200 SUBSCRIBE", 5000);
    expect(first.sent.at < answer.sent.at, "the NOTIFY did not come before the answer to the SUBSCRIBE");
  });
  await lab.step("it subscribes again in time, and is told of two messages", () =>
    baresip101.events.next(
      "baresip101 to show two messages",
      8000,
      ({ type, param }) => type === "MWI_NOTIFY" && String(param).includes("Voice-Message: 2/8"),
      mark,
    ),
  );
  await lab.step("the subscription is ended by the other side", async () => {
    await watch.passage("NOTIFY", 5000, ({ sent }) => /^terminated/.test(header(sent, "subscription-state") ?? ""));
    await server.done(5000);
  });
  await baresip101.restart();
  await lab.pbx.set("presence", "server", 0);
  await watch.unchanged("SUBSCRIBE", "200 SUBSCRIBE", "NOTIFY", "200 NOTIFY");
}

const subscriber = { namespace: "lan", address: "10.77.1.139" } as const;
const account = extensions.linphone105;
const [from, to] = [`sip:${account.user}@${domains.pbx}`, `sip:${forkedLamp.number}@${domains.pbx}`];

const lamp = (cseq: number, state: string, entity: string, call: string): Step =>
  notify(
    cseq,
    "dialog",
    state,
    "application/dialog-info+xml",
    `<?xml version="1.0"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="${cseq - 1}" state="full" entity="${entity}">
<dialog id="as7d900as8" direction="recipient"><state>${call}</state></dialog>
</dialog-info>
`,
  );

/** Knows of the lamp at once, and for as long as the subscriber wants. */
const firstNotifier = scenario("first notifier", [
  takeSubscribe,
  lamp(1, "active;expires=60", to, "early"),
  receiveResponse(200),
  acceptSubscribe(60),
  receiveRequest("SUBSCRIBE"),
  reply("200 OK", { tag: false, headers: ["Expires: 60"] }),
  lamp(2, "active;expires=60", to, "confirmed"),
  receiveResponse(200),
  receiveRequest("SUBSCRIBE"),
  reply("200 OK", { tag: false, headers: ["Expires: 0"] }),
  lamp(3, "terminated;reason=timeout", to, "terminated"),
  receiveResponse(200),
]);

/** Another fork, of which the subscriber hears by its NOTIFY alone (RFC 6665 §4.1.4). */
const secondNotifier = scenario("second notifier", [
  takeSubscribe,
  pause(400),
  acceptSubscribe(60),
  lamp(1, "active;expires=60", to, "confirmed"),
  receiveResponse(200),
  lamp(2, "terminated;reason=giveup", to, "terminated"),
  receiveResponse(200),
]);

const subscribe = (target: string, cseq: number, expires_s: number, inside: boolean, ...headers: string[]): Step =>
  request("SUBSCRIBE", target, {
    // Not repeated: as long as SIPp waits for an answer to send it again, it answers no NOTIFY.
    ...{ from, to, cseq, to_tag: inside },
    headers: [
      `Contact: <sip:${account.user}@[local_ip]:[local_port]>`,
      "Event: dialog",
      "Accept: application/dialog-info+xml",
      `Expires: ${expires_s}`,
      ...(inside ? ["[routes]"] : []),
      ...headers,
    ],
  });

const password = `[authentication username=${account.user} password=${account.password}]`;
const answerNotify: readonly Step[] = [receiveRequest("NOTIFY"), reply("200 OK", { tag: false, contact: false })];

const lamps = scenario("lamps", [
  subscribe(to, 1, 60, false),
  receiveResponse(407, { challenge: true }),
  subscribe(to, 2, 60, false, password),
  ...answerNotify,
  receiveResponse(200, { routes: true }),
  ...answerNotify,
  ...answerNotify,
  subscribe("[next_url]", 3, 60, true),
  receiveResponse(200),
  ...answerNotify,
  subscribe("[next_url]", 4, 0, true),
  receiveResponse(200),
  ...answerNotify,
]);

async function busyLamps(lab: Lab): Promise<void> {
  await addAddress(subscriber.namespace, subscriber.address);
  await lab.pbx.set("presence", "server", 1);
  const watch = new Watch(lab);
  const notifiers = await Promise.all([
    Sipp.start(lab, { ...beyondPbx, name: "lamp-first", scenario: firstNotifier }),
    Sipp.start(lab, { ...beyondPbx, port: forkedLamp.second_port, name: "lamp-second", scenario: secondNotifier }),
  ]);
  const subscribing = await Sipp.start(lab, {
    ...{ ...subscriber, name: "lamps", scenario: lamps, calls: { address: lan.box }, more: ["-auth_uri", to] },
  });
  await lab.step("subscribed, refreshed and ended; both forks' notifications arrive", () => subscribing.ended(10_000));
  for (const notifier of notifiers) await notifier.done(5000);
  const told = watch.passages.passed.filter((passage) => passage.label === "NOTIFY" && passage.direction === "in");
  expect(told.length === 5, `${told.length} NOTIFY passed, not three of one fork and two of the other`);
  await lab.pbx.set("presence", "server", 0);
  await removeAddress(subscriber.namespace, subscriber.address);
  await watch.unchanged("SUBSCRIBE", "407 SUBSCRIBE", "200 SUBSCRIBE", "NOTIFY", "200 NOTIFY");
}

/** Answers by the entity-tag that comes with it: none, the first, the second, which it does not know any more. */
const answersByTag = scenario("presence agent", [
  receiveRequest("PUBLISH", {
    actions: [
      `<ereg regexp="tag-1" search_in="hdr" header="SIP-If-Match:" assign_to="first"/>`,
      `<ereg regexp="tag-2" search_in="hdr" header="SIP-If-Match:" assign_to="second"/>`,
    ],
  }),
  `<nop next="one" test="first"/>`,
  `<nop next="two" test="second"/>`,
  reply("200 OK", { contact: false, headers: ["SIP-ETag: tag-1", "Expires: 3600"], next: "end" }),
  label("one"),
  reply("200 OK", { contact: false, headers: ["SIP-ETag: tag-2", "Expires: 3600"], next: "end" }),
  label("two"),
  reply("412 Conditional Request Failed", { contact: false }),
  label("end"),
  goTo("last"),
  label("last"),
  pause(10),
]);

async function publish(lab: Lab): Promise<void> {
  const { baresip101 } = cast(lab);
  await lab.pbx.set("presence", "server", 1);
  const watch = new Watch(lab);
  const agent = await Sipp.start(lab, { ...beyondPbx, name: "presence-agent", scenario: answersByTag });
  const published = async (matched: string | undefined, answer: string) => {
    const { received } = await watch.passage(
      "PUBLISH",
      8000,
      (passage) =>
        header(passage.received, "sip-if-match") === matched &&
        header(passage.received, "proxy-authorization") !== undefined,
    );
    const cseq = header(received, "cseq");
    const call = header(received, "call-id");
    await watch.passage(answer, 5000, ({ sent }) => header(sent, "cseq") === cseq && header(sent, "call-id") === call);
  };
  await lab.step("baresip101 says that it is there, and gets an entity-tag", async () => {
    await baresip101.restart({ modules: ["contact.so", "presence.so"], account: ["pubint=600"] });
    await published(undefined, "200 PUBLISH");
  });
  await lab.step("it changes that, by the tag", async () => {
    await baresip101.ask("presence_offline");
    await published("tag-1", "200 PUBLISH");
  });
  await lab.step("the tag is not known any more: 412 reaches it", async () => {
    await baresip101.ask("presence_online");
    await published("tag-2", "412 PUBLISH");
  });
  await baresip101.restart();
  await agent.done(5000);
  await lab.pbx.set("presence", "server", 0);
  await watch.unchanged("PUBLISH", "200 PUBLISH", "412 PUBLISH");
}

/** Telephones at both ends, and Kamailio's presence agent between them. */
async function watched(lab: Lab): Promise<void> {
  const { baresip101, baresip102 } = cast(lab);
  await lab.pbx.set("presence", "server", 1);
  const agent = await Kamailio.start(lab.programs, {
    ...{ name: "presence-agent-kamailio", namespace: beyondPbx.namespace, config: presenceAgent },
    ...{ directory: lab.directory, runDirectory: lab.runDirectory },
  });
  const watch = new Watch(lab);
  const modules = ["contact.so", "presence.so"];
  await lab.step("baresip101 publishes, baresip102 watches it", async () => {
    await baresip101.restart({ modules, account: ["pubint=600"] });
    await watch.passage("200 PUBLISH", 5000);
    const contacts = [`"Front desk" <sip:${baresip101.user}@${domains.pbx}>;presence=p2p`];
    await baresip102.restart({ modules, contacts });
    await watch.passage("200 NOTIFY", 5000);
  });
  // baresip publishes twice when it starts, under two tags; what the agent makes of both is its own affair.
  for (const command of ["presence_offline", "presence_online"]) {
    await lab.step(`baresip101 says ${command}, by the tag that it was given: baresip102 is told`, async () => {
      const again = new Watch(lab);
      await baresip101.ask(command);
      const accepted = await again.passage("200 PUBLISH", 5000);
      expect(header(accepted.sent, "sip-etag") !== undefined, "the answer to the PUBLISH has no SIP-ETag");
      const changed = ({ received }: Passage) => header(received, "sip-if-match") !== undefined;
      await again.passage("PUBLISH", 5000, changed);
      await again.passage("200 NOTIFY", 5000);
    });
  }
  await baresip101.restart();
  await baresip102.restart();
  await agent.kill();
  await lab.pbx.set("presence", "server", 0);
  await watch.unchanged("PUBLISH", "200 PUBLISH", "SUBSCRIBE", "NOTIFY", "200 NOTIFY");
}

export const presence: readonly Scenario[] = [
  {
    name: "message-waiting",
    summary:
      "a telephone subscribes to its messages: NOTIFY before the answer, refreshed in time, ended by the other side",
    short: true,
    stage: site,
    run: messageWaiting,
  },
  {
    name: "busy-lamps",
    summary: "a subscription to the event dialog that the PBX forks: notified by both, refreshed, ended",
    short: true,
    stage: site,
    run: busyLamps,
  },
  {
    name: "presence",
    summary: "one telephone publishes its presence, another watches it, by Kamailio's presence agent",
    short: true,
    stage: site,
    run: watched,
  },
  {
    name: "publish",
    summary: "a telephone publishes its presence: SIP-ETag, SIP-If-Match, 412",
    short: true,
    stage: site,
    run: publish,
  },
];
