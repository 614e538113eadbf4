/** The carrier's TCP connection is reset under a 911 call: before its 100, after it, and when it has answered. */
import { hosts, numbers, ports } from "../addresses.ts";
import { now, sleep } from "../deadline.ts";
import type { Lab } from "../lab.ts";
import { receiveRequest, type Step } from "../peers/sipp-scenario.ts";
import { runIn } from "../processes.ts";
import { expect, type Scenario } from "../scenario.ts";
import { bothHeard } from "../story.ts";
import { takes, trying } from "../weather/carrier.ts";
import { type Expected, judge, marks } from "../weather/judge.ts";
import { carrierIsUp, carrierSteps, weatherOverTcp } from "../weather/stage.ts";

const TALK_MS = 900;
const HEARD_MS = 500;

/** Every connection of the carrier is gone at once, with a reset to the box. */
async function reset(): Promise<void> {
  await runIn("wan", ["ss", "-K", "-t", "state", "established", "src", `${hosts.carrier}:${ports.sip}`]);
}

async function carrierOverTcp(lab: Lab, name: string, steps: readonly Step[]) {
  const sipp = await carrierSteps(lab, `${name}-carrier`, steps, { transport: "tcp" });
  // The connection ended with the carrier before.
  await carrierIsUp(lab);
  return sipp;
}

/** A busy engine may read the 100 and the reset in one go, the reset first. */
const EITHER = "carrier trying | carrier no_response";

async function resetUnanswered(lab: Lab, name: string, steps: readonly Step[], said: "INVITE" | 100): Promise<void> {
  const caller = lab.phones.baresip101;
  const { psapLte } = lab.remote;
  const sipp = await carrierOverTcp(lab, name, [...steps, receiveRequest("NOTHING", { timeout_ms: 300 })]);
  const since = marks(lab);
  for (const phone of [caller, psapLte]) phone.forget();
  const from = lab.captures.wan.messages.mark;
  await lab.step(`${caller.name} dials 911; the carrier's connection is reset`, async () => {
    await caller.dial(numbers.emergency);
    await lab.captures.wan.messages.next(
      `the carrier's ${said}`,
      3000,
      ({ method, status, to, from: of }) =>
        said === 100
          ? status === 100 && of.startsWith(`${hosts.carrier}:`)
          : method === said && to.startsWith(`${hosts.carrier}:`),
      from,
    );
    await reset();
  });
  const reset_at = now();
  await lab.step("LTE at once", async () => {
    await psapLte.ringing(5000);
    lab.measure("reset_to_psap_ringing_ms", now() - reset_at);
    await psapLte.answer();
    await Promise.all([psapLte.established(5000), caller.established(5000)]);
    await sleep(TALK_MS);
    await caller.hangUp();
    await Promise.all([caller.closed(5000), psapLte.closed(5000)]);
    await bothHeard(lab, caller, psapLte, HEARD_MS);
  });
  const expected: Expected = {
    bridged: "lte-trunk",
    records: [
      // The trunk's verdict is first: it hedges the attempt before the attempt itself ends.
      ...["carrier trying", EITHER, "lte-trunk trying"],
      ...["carrier send_error", "lte-trunk ringing 180", "lte-trunk answered 200"],
    ],
    ended_by: "caller",
    reset: "carrier",
  };
  await judge(lab, caller, since, expected);
  await sipp.stop();
}

async function resetAnswered(lab: Lab): Promise<void> {
  const caller = lab.phones.baresip101;
  const sipp = await carrierOverTcp(lab, "911-tcp-reset-after-answer", takes);
  const since = marks(lab);
  caller.forget();
  await lab.step(`${caller.name} dials 911 and talks; the carrier's connection is reset; they talk on`, async () => {
    await caller.dial(numbers.emergency);
    await caller.established(5000);
    await sleep(400);
    await reset();
    await sleep(TALK_MS);
  });
  await lab.step("the caller hangs up; the BYE takes another connection", async () => {
    await caller.hangUp();
    await caller.closed(5000);
    await lab.heard(caller, caller, TALK_MS);
    const { messages } = lab.captures.lan;
    await messages.next(
      "the BYE to leave for the carrier",
      5000,
      ({ method, to }) => method === "BYE" && to.startsWith(`${hosts.carrier}:`),
      since.lan,
    );
  });
  const [leg] = await judge(lab, caller, since, {
    bridged: "carrier",
    records: ["carrier trying", "carrier answered 200"],
    ended_by: "caller",
  });
  // SIPp reads nothing on a second connection; that the BYE came there is enough.
  const [invite, bye] = ["INVITE", "BYE"].map((wanted) => leg?.sent.find(({ method }) => method === wanted));
  expect(bye !== undefined, "the carrier got no BYE");
  expect(bye.from !== invite?.from, "the BYE came by the connection that was reset");
  await sipp.stop();
}

export const emergencyResets: readonly Scenario[] = [
  {
    name: "911-tcp-reset-before-100",
    summary: "911: the carrier's TCP connection is reset before any response: LTE at once",
    run: (lab: Lab) => resetUnanswered(lab, "911-tcp-reset-before-100", [], "INVITE"),
  },
  {
    name: "911-tcp-reset-after-100",
    summary: "911: the carrier's TCP connection is reset after its 100: LTE at once",
    run: (lab: Lab) => resetUnanswered(lab, "911-tcp-reset-after-100", [trying], 100),
  },
  {
    name: "911-tcp-reset-after-answer",
    summary: "911: the carrier's TCP connection is reset in the answered call: nobody notices, hanging up works",
    run: resetAnswered,
  },
].map((one) => ({ ...one, short: true, stage: weatherOverTcp }));
