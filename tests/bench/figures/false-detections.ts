/** Times that a living WAN with loss is declared dead. */
import { sleep } from "../../lab/deadline.ts";
import { branchLab, losePackets } from "./branch-lab.ts";
import { type Job, type JobContext, type Measurements, Results } from "./job.ts";

const MINUTES = 10;
const QUICK_MINUTES = 2;

export const falseDetectionMinutes = (quick: boolean): number => (quick ? QUICK_MINUTES : MINUTES);

async function measure(context: JobContext, loss_percent: number, echo_responder: boolean): Promise<Measurements> {
  const results = new Results(context.print);
  const branches = await branchLab(context, { box: "one-armed" }, { echo_responder });
  const { holdfast, kamailio } = branches;
  await sleep(5000);
  kamailio.forget();
  const mark = holdfast.log.entries.mark;
  const loss = await losePackets(branches, loss_percent);
  await sleep(falseDetectionMinutes(context.quick) * 60_000);
  const seen = holdfast.log.entries.since(mark);
  const of = (to: string) =>
    seen.filter(({ msg, path, to: state }) => msg === "path verdict" && path === "wan" && state === to);
  const left = seen.filter(({ msg, to }) => msg === "mode changed" && to === "survivable").length;
  const key = `loss${loss_percent}_${echo_responder ? "echo" : "no_echo"}`;
  results.add(`holdfast_false_${key}`, Math.max(of("down").length, left));
  if (echo_responder) results.add(`kamailio_false_loss${loss_percent}`, kamailio.deaths);
  const trunk = seen.filter(({ msg, trunk, to }) => msg === "trunk verdict" && trunk === "cloud" && to !== "up").length;
  results.note(
    `${loss_percent} % loss each way (${loss}), ${echo_responder ? "with" : "without"} an echo responder: the path was suspect ` +
      `${of("suspect").length} times, degraded ${of("degraded").length}, down ${of("down").length}; the cloud's trunk not up ${trunk} times; ` +
      `the site left normal mode ${left} times`,
  );
  return results.measurements;
}

const job = (loss_percent: number, echo: boolean): Job => ({
  name: `false-detections-${loss_percent}${echo ? "" : "-no-echo"}`,
  figure: "false-detections",
  share: "light",
  deadline_ms: (MINUTES + 3) * 60_000,
  run: (context) => measure(context, loss_percent, echo),
});

export const falseDetections: readonly Job[] = [job(5, true), job(20, true), job(5, false), job(20, false)];
