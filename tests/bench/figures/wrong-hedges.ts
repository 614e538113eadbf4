/** 911 calls that go to LTE although the WAN lives and only loses packets. */
import { cellular, hosts, numbers } from "../../lab/addresses.ts";
import { sleep } from "../../lab/deadline.ts";
import { branchLab, losePackets } from "./branch-lab.ts";
import { type Job, type JobContext, type Measurements, Results } from "./job.ts";

const CALLS = 500;
const LOSS_PERCENT = 5;
/** A lost 180 is not repeated by the far side: then the caller hangs up after this. */
const RINGING_MS = 1500;

async function measure(context: JobContext): Promise<Measurements> {
  const results = new Results(context.print);
  const branches = await branchLab(context, { box: "one-armed" }, {});
  const { lab, holdfast, kamailio, phone } = branches;
  await sleep(5000);
  results.note(`wrong hedges: ${await losePackets(branches, LOSS_PERCENT)}`);
  const count = context.quick ? CALLS / 5 : CALLS;
  for (const server of [holdfast, kamailio]) {
    let unanswered = 0;
    for (let n = 0; n < count; n++) {
      const [toCloud, toLte] = [lab.captures.lan.messages.mark, lab.captures.lte.messages.mark];
      const call = phone.dial(numbers.emergency, server.port);
      if (!(await phone.rings(call, RINGING_MS))) unanswered++;
      phone.cancel(call);
      const status = await phone.over(call, 40_000);
      if (status !== 487) results.note(`${server.name}: a 911 call ended with ${status}`);
      const sent = lab.captures.lte.messages
        .since(toLte)
        .some(
          ({ method, from, to }) => method === "INVITE" && isFrom(from, cellular.box) && isFrom(to, hosts.lteTrunk),
        );
      results.add(`${server.name}_wrongly_hedged`, sent ? 1 : 0);
      const tried = lab.captures.lan.messages
        .since(toCloud)
        .some(({ method, to }) => method === "INVITE" && isFrom(to, hosts.pbx));
      if (!tried) results.note(`${server.name}: call ${n + 1} was not sent to the cloud at all`);
      if (n % 50 === 49) context.print(`${server.name}: ${n + 1} of ${count} calls at ${LOSS_PERCENT} % loss`);
      await sleep(50);
    }
    results.note(
      `${server.name}: ${unanswered} of ${count} calls did not hear ringing within ${RINGING_MS} ms: their 180 was lost, which nobody repeats`,
    );
  }
  return results.measurements;
}

const isFrom = (end: string, host: string): boolean => end.startsWith(`${host}:`);

export const wrongHedges: readonly Job[] = [
  { name: "wrong-hedges", figure: "wrong-hedges", share: "light", deadline_ms: 60 * 60_000, run: measure },
];
