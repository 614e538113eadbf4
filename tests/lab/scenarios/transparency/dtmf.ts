/** Keys pressed during a call: as events in the sound's own stream (RFC 4733), and by INFO. */
import { lan } from "../../addresses.ts";
import type { Tap } from "../../capture/capture.ts";
import { header } from "../../capture/sip.ts";
import { readRtp, type TelephoneEvent, telephoneEvents } from "../../capture/telephone-events.ts";
import { sleep, until } from "../../deadline.ts";
import type { Lab } from "../../lab.ts";
import type { Baresip } from "../../peers/baresip.ts";
import type { Telephone } from "../../peers/telephone.ts";
import { expect, type Scenario } from "../../scenario.ts";
import { bothHeard, hangUp } from "../../story.ts";
import { Watch } from "../../transparency.ts";
import { cast, site } from "./stage.ts";

/** The payload type that an SDP gives to telephone events. */
const eventType = (sdp: string): number => Number(sdp.match(/^a=rtpmap:(\d+) telephone-event\/8000/m)?.[1] ?? -1);

const eventsIn = (tap: Tap, payload_type: number): readonly TelephoneEvent[] =>
  telephoneEvents(
    tap.packets.flatMap((segment) => readRtp(segment) ?? []),
    payload_type,
  );

async function pressed(by: Baresip, keys: string, listener: Baresip): Promise<void> {
  const mark = listener.events.mark;
  await by.press(keys);
  let heard = "";
  await listener.events.next(
    `${listener.name} to notice the keys ${keys}`,
    5000,
    ({ type, param }) => {
      if (type === "CALL_DTMF_START") heard += String(param);
      return heard === keys;
    },
    mark,
  );
}

async function byEvents(lab: Lab): Promise<void> {
  const { baresip101, baresip102 } = cast(lab);
  const watch = new Watch(lab);
  const ways = [
    { by: baresip101, to: baresip102, keys: "19#" },
    { by: baresip102, to: baresip101, keys: "*04" },
  ].map((way) => ({
    ...way,
    sent: lab.captures.lan.tap(way.by.address, lan.box),
    got: lab.captures.lan.tap(lan.box, way.to.address),
  }));
  for (const phone of [baresip101, baresip102]) phone.forget();
  await talk(baresip101, baresip102);
  for (const { by, to, keys } of ways) {
    await lab.step(`${by.name} presses ${keys}: ${to.name} notices each`, () => pressed(by, keys, to));
  }
  const payload_type = eventType((await watch.passage("INVITE")).received.body.toString());
  await until("the ends of the last key to arrive", 2000, () =>
    ways.every(({ got, keys }) => (eventsIn(got, payload_type)[keys.length - 1]?.ends ?? 0) >= 3) ? true : undefined,
  );
  await hangUp(baresip102, baresip101);
  for (const { by, keys, sent, got } of ways) {
    await lab.step(
      `${by.name}'s events left the box as they came: every packet, its payload type, durations, ends`,
      async () => {
        const [before, after] = [eventsIn(sent, payload_type), eventsIn(got, payload_type)];
        const told = after.map(({ key }) => key).join("");
        expect(told === keys, `the events that left the box say ${told}, not ${keys}`);
        const bytes = (events: readonly TelephoneEvent[]) =>
          events.flatMap(({ packets }) => packets.map((packet) => packet.bytes.toString("hex"))).join("\n");
        expect(bytes(before) === bytes(after), "the packets of the events are not the same before and behind the box");
        for (const { key, duration, ends, packets } of after) {
          expect(ends >= 3, `the end of ${key} came ${ends} times`);
          expect(packets[0]?.marker === true, `the first packet of ${key} has no marker`);
          expect(duration >= 160 * 3, `${key} lasted ${duration} ticks`);
        }
        sent.stop();
        got.stop();
      },
    );
  }
  await bothHeard(lab, baresip101, baresip102);
  await watch.unchanged("INVITE", "200 INVITE", "ACK", "BYE", "200 BYE");
}

async function talk(caller: Telephone, callee: Telephone): Promise<void> {
  await caller.dial(callee.user);
  await callee.ringing(5000);
  await callee.answer();
  await Promise.all([caller.established(5000), callee.established(5000)]);
  await sleep(1000);
}

async function byInfo(lab: Lab): Promise<void> {
  const { baresip101, linphone103 } = cast(lab);
  await linphone103.restart({ sip: ["use_info=1", "use_rfc2833=0"] });
  for (const [caller, callee, keys] of [
    [linphone103, baresip101, "5"],
    [baresip101, linphone103, "8"],
  ] as const) {
    const watch = new Watch(lab);
    for (const phone of [baresip101, linphone103]) phone.forget();
    await lab.step(`${caller.name} calls ${callee.name}, linphone103 presses ${keys}`, async () => {
      await talk(caller, callee);
      const mark = baresip101.events.mark;
      await linphone103.press(keys);
      await baresip101.events.next(
        `baresip101 to notice the key ${keys}`,
        5000,
        ({ type, param }) => type === "CALL_DTMF_START" && param === keys,
        mark,
      );
      await hangUp(caller, callee);
    });
    const { sent } = await watch.passage("INFO");
    expect(/^Signal=\d/m.test(sent.body.toString()), `the INFO says ${header(sent, "content-type")}: ${sent.body}`);
    await watch.unchanged("INVITE", "200 INVITE", "ACK", "INFO", "200 INFO", "BYE", "200 BYE");
    await bothHeard(lab, caller, callee, 600);
  }
  await linphone103.restart();
}

export const dtmf: readonly Scenario[] = [
  {
    name: "dtmf-events",
    summary: "keys as telephone events (RFC 4733) pass the relay both ways, packet by packet as they were sent",
    short: true,
    stage: site,
    run: byEvents,
  },
  {
    name: "dtmf-info",
    summary: "keys by INFO reach the other telephone, from the caller and from the callee",
    short: true,
    stage: site,
    run: byInfo,
  },
];
