/** How long after a black hole began it is declared, and how long until the NOC has the event, over LTE. */
import { hosts, numbers } from "../../lab/addresses.ts";
import type { SiteOptions } from "../../lab/box/site-file.ts";
import { now, sleep } from "../../lab/deadline.ts";
import { nocEvent } from "../../lab/story.ts";
import { branchLab, HOLD_DOWN_MS } from "./branch-lab.ts";
import { type Job, type JobContext, type Measurements, Results } from "./job.ts";
import { anyPhase } from "./trial.ts";

const TRIALS = 10;
const DECLARED_MS = 40_000;

/** With an echo responder, nobody calling; Kamailio sees the very same cuts. */
async function withEcho(context: JobContext): Promise<Measurements> {
  const results = new Results(context.print);
  const options: SiteOptions = { hold_down_ms: HOLD_DOWN_MS };
  const { lab, holdfast, kamailio } = await branchLab(context, { box: "one-armed" }, options);
  for (let n = 0; n < (context.quick ? 3 : TRIALS); n++) {
    // A new box: its MQTT connection is by the WAN again, and no hold-down has grown.
    if (n > 0) await holdfast.powerCycle(options);
    await kamailio.settled(15_000);
    await sleep(3000);
    await anyPhase(1000);
    kamailio.forget();
    const [mark, atNoc] = [holdfast.log.entries.mark, lab.broker.messages.mark];
    const cut_at = now();
    await lab.cuts.blackHole();
    const [declared, noc, peer_at] = await Promise.all([
      declaredDead(holdfast, mark),
      nocEvent(lab, "mode.changed", ({ data }) => data.to === "survivable", 30_000, atNoc),
      kamailio.declaredDead(DECLARED_MS),
    ]);
    results.add("holdfast_detection_with_echo_s", (declared - cut_at) / 1000);
    results.add("holdfast_noc_s", (noc.at - cut_at) / 1000);
    results.add("kamailio_detection_s", (peer_at - cut_at) / 1000);
    context.print(`cut ${n + 1}: declared after ${declared - cut_at} ms, NOC ${noc.at - cut_at} ms`);
    await lab.cuts.forwardingHealed();
  }
  return results.measurements;
}

type Branch = Awaited<ReturnType<typeof branchLab>>["holdfast"];

/** When the site was declared cut off: the mode, which calls and telephones go by. */
async function declaredDead({ log }: Branch, mark: number): Promise<number> {
  const survivable = await log.next(
    "the box to go into survivable mode",
    DECLARED_MS,
    ({ msg, to, process }) => process === "engine" && msg === "mode changed" && to === "survivable",
    mark,
  );
  return survivable.at;
}

/** Without one: a call under way tells first, or, in a quiet hour, the first OPTIONS that is not answered. */
async function withoutEcho(context: JobContext, evidence: "call" | "quiet"): Promise<Measurements> {
  const results = new Results(context.print);
  const branches = await branchLab(context, { box: "one-armed" }, { echo_responder: false });
  const { lab, holdfast, phone } = branches;
  for (let n = 0; n < (context.quick ? 3 : TRIALS); n++) {
    if (n > 0) await holdfast.restart();
    await sleep(2000);
    await anyPhase(evidence === "call" ? 5000 : 1000);
    const mark = holdfast.log.entries.mark;
    await lab.cuts.blackHole();
    const sent = lab.captures.lan.messages.mark;
    const call = evidence === "call" ? phone.dial(numbers.emergency, holdfast.port) : undefined;
    const first = await lab.captures.lan.messages.next(
      "something to the PBX that is not answered",
      30_000,
      ({ method, to, from }) =>
        method !== undefined && to.startsWith(`${hosts.pbx}:`) && !from.endsWith(`:${branches.kamailio.port}`),
      sent,
    );
    const declared = await declaredDead(holdfast, mark);
    results.add(`holdfast_detection_without_echo_${evidence}_s`, (declared - first.at) / 1000);
    context.print(`no echo, ${evidence}, cut ${n + 1}: declared ${declared - first.at} ms after the first evidence`);
    await lab.cuts.forwardingHealed();
    if (call !== undefined) {
      phone.cancel(call);
      await phone.over(call, 40_000);
    }
  }
  return results.measurements;
}

export const detection: readonly Job[] = [
  { name: "detection-echo", figure: "detection", share: "timing", deadline_ms: 15 * 60_000, run: withEcho },
  {
    name: "detection-no-echo-call",
    figure: "detection",
    share: "light",
    deadline_ms: 20 * 60_000,
    run: (context) => withoutEcho(context, "call"),
  },
  {
    name: "detection-no-echo-quiet",
    figure: "detection",
    share: "light",
    deadline_ms: 20 * 60_000,
    run: (context) => withoutEcho(context, "quiet"),
  },
];
