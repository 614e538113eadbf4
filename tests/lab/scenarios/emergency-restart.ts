/** The engine is killed while a 911 call rings: the caller's call is made anew, and the leg that was left is cancelled. */
import { lan, numbers } from "../addresses.ts";
import { header } from "../capture/sip.ts";
import { sleep } from "../deadline.ts";
import type { Lab } from "../lab.ts";
import { goTo, label, receiveRequest, reply } from "../peers/sipp-scenario.ts";
import { expect, type Scenario } from "../scenario.ts";
import { nocEvent } from "../story.ts";
import { refuses, ringing, takes, trying } from "../weather/carrier.ts";
import { legsSince, marks } from "../weather/judge.ts";
import { carrierSteps, weather } from "../weather/stage.ts";

const RELEASED_WITHIN_MS = 200;
/** Longer than the engine is away. */
const RINGS_MS = 3000;
const TALK_MS = 900;

async function killedWhileRinging(lab: Lab): Promise<void> {
  const caller = lab.phones.baresip101;
  const since = marks(lab);
  const carrier = await carrierSteps(lab, "911-engine-killed-ringing-carrier", [
    trying,
    ringing,
    receiveRequest("CANCEL", { timeout_ms: RINGS_MS, on_timeout: "taken" }),
    reply("200 OK", { contact: false }),
    ...refuses("487 Request Terminated"),
    goTo("end"),
    label("taken"),
    ...takes,
  ]);
  caller.forget();
  const old = await lab.step(`${caller.name} dials 911; while it rings the engine is killed`, async () => {
    const from = lab.captures.lan.messages.mark;
    await caller.dial(numbers.emergency);
    await lab.captures.lan.messages.next(
      "the telephone to be told of ringing",
      5000,
      ({ status, to }) => status === 180 && to.startsWith(`${caller.address}:`),
      from,
    );
    await sleep(200);
    return lab.box.kill("engine");
  });
  await lab.step("another engine makes the call anew and is answered", async () => {
    await lab.box.back("engine", old, 5000);
    await caller.established(10_000);
    await sleep(TALK_MS);
    await caller.hangUp();
    await caller.closed(5000);
    await lab.heard(caller, caller, TALK_MS / 2);
  });
  await lab.step("the leg that was left was cancelled when the new one rang, and both are recorded", async () => {
    const legs = legsSince(lab, since);
    expect(legs.length === 2, `${legs.length} legs were made, not the one before and the one after`);
    const [left, taken] = legs;
    const cancel = left?.sent.find(({ method }) => method === "CANCEL");
    const rang = taken?.came.find(({ status }) => status === 180);
    expect(cancel !== undefined && rang !== undefined, "the leg that was left was not cancelled");
    lab.measure("left_over_leg_cancelled_ms", cancel.at - rang.at);
    expect(cancel.at >= rang.at, "it was cancelled before the new one rang");
    expect(
      cancel.at - rang.at <= RELEASED_WITHIN_MS,
      `it was cancelled ${cancel.at - rang.at} ms after the new one rang`,
    );
    expect(left?.sent.some(({ method }) => method === "ACK") ?? false, "its 487 got no ACK");
    const told = lab.captures.lan.messages
      .since(since.lan)
      .filter(
        ({ status = 0, from, to }) =>
          status >= 200 && from.startsWith(`${lan.box}:`) && to.startsWith(`${caller.address}:`),
      )
      .filter((message) => header(message, "cseq")?.endsWith(" INVITE"));
    expect(
      told.every(({ status }) => status === 200),
      "the telephone was told an error",
    );
    await nocEvent(lab, "emergency.attempt", ({ data }) => data.outcome === "released", 10_000, since.noc);
    await nocEvent(lab, "emergency.ended", ({ data }) => data.ended_by === "caller", 10_000, since.noc);
    await carrier.done(5000);
  });
}

export const emergencyRestart: readonly Scenario[] = [
  {
    name: "911-engine-killed-ringing",
    summary:
      "911: the engine is killed while the carrier rings: the call is made anew, the leg that was left is cancelled",
    short: true,
    stage: weather,
    run: killedWhileRinging,
  },
];
