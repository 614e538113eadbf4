/** 911 dialled at the moment when the way to the cloud became an unnoticed black hole. */
import { numbers } from "../../lab/addresses.ts";
import { sleep } from "../../lab/deadline.ts";
import { type BranchLab, branchLab } from "./branch-lab.ts";
import { type Job, type JobContext, type Measurements, Results } from "./job.ts";
import { anyPhase, dial, milliseconds } from "./trial.ts";
import { Witness } from "./witness.ts";

export const ROUND_TRIPS_MS = [0, 20, 80] as const;
const TRIALS = 200;
const PEER_TRIALS = 20;
/** Calls by the cloud before the first cut: the box has learned how fast the cloud answers. */
const HEALTHY_CALLS = 5;
/** A trial slower than this and four round trips is told in full. */
const SLOW_MS = 300;
const ECHO_INTERVAL_MS = 250;
const PING_INTERVAL_MS = 1000;

async function healthyCalls({ phone, holdfast }: BranchLab): Promise<void> {
  for (let n = 0; n < HEALTHY_CALLS; n++) {
    const call = phone.dial(numbers.emergency, holdfast.port);
    await phone.rings(call, 3000);
    phone.cancel(call);
    await phone.over(call, 40_000);
    await sleep(100);
  }
}

async function measure(context: JobContext, transport: "udp" | "tcp"): Promise<Measurements> {
  const results = new Results(context.print);
  const branches = await branchLab(
    context,
    { box: "one-armed" },
    { pbx_transport: transport, trunk_transport: transport },
  );
  const { lab, holdfast, kamailio, phone } = branches;
  const act = { cut: () => lab.cuts.blackHole(), heal: () => lab.cuts.forwardingHealed() };
  for (const rtt_ms of ROUND_TRIPS_MS) {
    await lab.cuts.delay(rtt_ms);
    // The box measures the round trip for a while, as any path has been measured before it fails.
    await sleep(5000);
    await holdfast.recovered(3000);
    await healthyCalls(branches);
    const [count, peerCount] = context.quick ? [TRIALS / 10, PEER_TRIALS / 4] : [TRIALS, PEER_TRIALS];
    for (let n = 0; n < count; n++) {
      await holdfast.recovered(3000);
      await anyPhase(ECHO_INTERVAL_MS);
      const witness = await Witness.of(lab, holdfast);
      const trial = await dial(lab, phone, holdfast, act);
      const took_ms = milliseconds(trial);
      if (took_ms > SLOW_MS + 4 * rtt_ms) results.note(`${transport}, RTT ${rtt_ms} ms: ${await witness.tell(trial)}`);
      results.add(`holdfast_${transport}_rtt${rtt_ms}_ms`, took_ms);
      if (n % 20 === 0) context.print(`holdfast ${transport} RTT ${rtt_ms} ms, ${n + 1} of ${count}: ${took_ms} ms`);
    }
    for (let n = 0; n < peerCount; n++) {
      await kamailio.recovered();
      await anyPhase(PING_INTERVAL_MS);
      const took_ms = milliseconds(await dial(lab, phone, kamailio, act));
      results.add(`kamailio_${transport}_rtt${rtt_ms}_ms`, took_ms);
    }
  }
  if (holdfast.restarts > 0) {
    results.note(
      `first-second over ${transport}: ${holdfast.restarts} of ${ROUND_TRIPS_MS.length * (context.quick ? TRIALS / 10 : TRIALS)} trials ` +
        "ended in survivable mode, and the engine was started anew after each",
    );
  }
  return results.measurements;
}

const job = (transport: "udp" | "tcp"): Job => ({
  name: `first-second-${transport}`,
  figure: "first-second",
  share: "timing",
  deadline_ms: 45 * 60_000,
  run: (context) => measure(context, transport),
});

export const firstSecond: readonly Job[] = [job("udp"), job("tcp")];
