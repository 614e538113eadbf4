/** Requests beside calls: OPTIONS, MESSAGE. */
import { domains, hosts } from "../../addresses.ts";
import type { Lab } from "../../lab.ts";
import { beyondPbx } from "../../peers/pbx-features.ts";
import { Sipp } from "../../peers/sipp.ts";
import { receiveRequest, receiveResponse, reply, request, scenario, sdp } from "../../peers/sipp-scenario.ts";
import { expect, type Scenario } from "../../scenario.ts";
import { Watch } from "../../transparency.ts";
import { backwards, keptAddresses } from "./called.ts";
import { cast, site } from "./stage.ts";

const asks = (user: string): string =>
  scenario("asks", [
    request("OPTIONS", `sip:${user}@${domains.pbx}`, {
      ...{ from: `sip:server@${beyondPbx.address}`, to: `sip:${user}@${domains.pbx}`, cseq: 1, retransmitted_ms: 500 },
      headers: ["Contact: <sip:server@[local_ip]:[local_port]>", "Accept: application/sdp"],
    }),
    receiveResponse(200),
  ]);

const asksInside = scenario("asks inside", [
  receiveRequest("INVITE", { routes: true, actions: keptAddresses }),
  reply("200 OK", { retransmitted_ms: 500, body: sdp() }),
  receiveRequest("ACK"),
  backwards("OPTIONS", 1),
  receiveResponse(200),
  receiveRequest("BYE"),
  reply("200 OK", { tag: false, contact: false }),
]);

async function options(lab: Lab): Promise<void> {
  const { baresip101, linphone103 } = cast(lab);
  for (const [asked, answers] of [
    ["ping", hosts.pbx],
    [linphone103.user, linphone103.address],
  ] as const) {
    await lab.step(`baresip101 asks ${asked}: ${answers} answers`, async () => {
      const watch = new Watch(lab);
      await baresip101.ask("options", asked);
      await watch.passage("200 OPTIONS", 3000, ({ received }) => received.from.startsWith(`${answers}:`));
      await watch.passage("200 OPTIONS", 3000, ({ sent }) => sent.to.startsWith(`${baresip101.address}:`));
      await watch.unchanged("OPTIONS", "200 OPTIONS");
    });
  }
  for (const phone of [baresip101, linphone103]) {
    await lab.step(`somebody beyond the PBX asks ${phone.name}`, async () => {
      const watch = new Watch(lab);
      const asking = await Sipp.start(lab, {
        ...{ ...beyondPbx, name: `asks-${phone.user}`, scenario: asks(phone.user), calls: { address: hosts.pbx } },
      });
      await asking.ended(5000);
      const { received } = await watch.passage("200 OPTIONS");
      expect(received.from.startsWith(`${phone.address}:`), `not ${phone.name} answered but ${received.from}`);
      await watch.unchanged("OPTIONS", "200 OPTIONS");
    });
  }
  await lab.step("in a call, the other end asks baresip101", async () => {
    const watch = new Watch(lab);
    baresip101.forget();
    const called = await Sipp.start(lab, { ...beyondPbx, name: "asks-inside", scenario: asksInside });
    await baresip101.dial("7267");
    await baresip101.established(5000);
    await watch.passage("200 OPTIONS");
    await baresip101.hangUp();
    await baresip101.closed(5000);
    await called.done(5000);
    await watch.unchanged("INVITE", "200 INVITE", "ACK", "OPTIONS", "200 OPTIONS", "BYE", "200 BYE");
  });
}

async function message(lab: Lab): Promise<void> {
  const { baresip101, linphone103 } = cast(lab);
  await baresip101.restart({ modules: ["contact.so"], contacts: [`"Lobby" <sip:103@${domains.pbx}>`] });
  const watch = new Watch(lab);
  const [there, back] = ["Gr\u00fc\u00dfe, 911 is not a joke; 100% <b>", "and back again \u2713"];
  await lab.step("baresip101 writes to linphone103", async () => {
    linphone103.forget();
    await baresip101.ask("message", there);
    await watch.passage("200 MESSAGE", 5000);
    await linphone103.says(new RegExp(`Message received from .*101.*|${literally(there)}`), 5000);
  });
  await lab.step("linphone103 writes to baresip101", async () => {
    const mark = baresip101.printed;
    await linphone103.write(`sip:101@${domains.pbx}`, back);
    await baresip101.says(new RegExp(literally(back)), 5000, mark);
    await watch.passage("200 MESSAGE", 5000, ({ sent }) => sent.to.startsWith(`${linphone103.address}:`));
  });
  const texts = watch.passages.passed.flatMap(({ label, sent }) => (label === "MESSAGE" ? [sent.body.toString()] : []));
  for (const text of [there, back]) {
    expect(texts.includes(text), `${JSON.stringify(text)} is not among ${JSON.stringify(texts)}`);
  }
  await watch.unchanged("MESSAGE", "200 MESSAGE");
  await baresip101.restart();
}

const literally = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

export const requests: readonly Scenario[] = [
  {
    name: "options",
    summary: "OPTIONS from a telephone to the PBX, to telephones, and within a call",
    short: true,
    stage: site,
    run: options,
  },
  {
    name: "message",
    summary: "two telephones write to each other (MESSAGE, RFC 3428), UTF-8 and all",
    short: true,
    stage: site,
    run: message,
  },
];
