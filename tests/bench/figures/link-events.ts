/**
 * 911 when the machine itself knows that the WAN is gone: its link is down or its route withdrawn. Dialled just after
 * the event, and just before it, so that the event finds a call that waits for its first response in a black hole.
 */
import { interfaces } from "../../lab/addresses.ts";
import { sleep } from "../../lab/deadline.ts";
import type { OutputLine, Program } from "../../lab/processes.ts";
import { type BranchLab, branchLab } from "./branch-lab.ts";
import { type Job, type JobContext, type Measurements, Results } from "./job.ts";
import { anyPhase, dial, milliseconds, NEVER_MS } from "./trial.ts";
import { Witness } from "./witness.ts";

const TRIALS = 20;
const PEER_TRIALS = 5;
/** The kernel holds back news of a link for up to a second after the last; a cable that is pulled once has no such last. */
const LINK_NEWS_MS = 2000;
const TRIES = 5;
/** Design figure. */
const LIMIT_MS = 10;
/** The call is under way so long when the event comes; far less than the window for a first response. */
const UNDER_WAY_MS = 60;

type Event = "link_down" | "route_lost";

/** Tells when the kernel announced the event to whoever listens, by its own lines with a time stamp. */
class KernelEvents {
  readonly #monitor: Program;

  constructor(monitor: Program) {
    this.#monitor = monitor;
  }

  static async start({ lab }: BranchLab): Promise<KernelEvents> {
    const argv = ["ip", "-ts", "-o", "monitor", "link", "route"];
    const monitor = lab.programs.start({ name: "ip-monitor", namespace: "box", argv });
    await sleep(200);
    return new KernelEvents(monitor);
  }

  get mark(): number {
    return this.#monitor.output.mark;
  }

  async at(event: Event, mark: number): Promise<number> {
    const told =
      event === "link_down"
        ? new RegExp(`${interfaces.box.wan}.*NO-CARRIER`)
        : new RegExp(`Deleted default .*dev ${interfaces.box.wan}`);
    const line = await this.#monitor.line(told, 3000, mark);
    return timeOf(line);
  }
}

function timeOf({ text, at }: OutputLine): number {
  const stamp = text.match(/^\[(\S+)\]/)?.[1];
  const parsed = stamp === undefined ? Number.NaN : Date.parse(stamp);
  return Number.isNaN(parsed) ? at : parsed;
}

async function measure(context: JobContext): Promise<Measurements> {
  const results = new Results(context.print);
  const branches = await branchLab(context, { box: "two-port" }, {});
  const { lab, holdfast, kamailio, phone } = branches;
  const kernel = await KernelEvents.start(branches);
  const events = [
    { event: "link_down", cut: () => lab.cuts.linkDown(), heal: () => lab.cuts.linkUp() },
    { event: "route_lost", cut: () => lab.cuts.routeWithdrawn(), heal: () => lab.cuts.routeBack() },
  ] as const;
  let late = 0;
  const [count, peerCount] = context.quick ? [TRIALS / 4, 2] : [TRIALS, PEER_TRIALS];
  for (const { event, cut, heal } of events) {
    for (const server of [holdfast, kamailio]) {
      const ready = async () => {
        // Each event is the first of an engine's life: nothing of what it needs has run before.
        if (server === holdfast) await holdfast.restart();
        else await kamailio.settled(15_000);
        await sleep(LINK_NEWS_MS);
        await anyPhase(250);
      };
      for (let n = 0; n < (server === holdfast ? count : peerCount); n++) {
        await ready();
        const told = kernel.mark;
        const witness = await Witness.of(lab, holdfast);
        const trial = await dial(lab, phone, server, {
          cut: async () => {
            await cut();
            await kernel.at(event, told);
          },
          heal,
        });
        const dialled_ms = milliseconds(trial);
        results.add(`${server.name}_${event}_then_dialled_ms`, dialled_ms);
        if (server === holdfast && dialled_ms > LIMIT_MS)
          results.note(`${event}, then dialled: ${await witness.tell(trial)}`);
        let took_ms = -1;
        for (let tries = 0; took_ms < 0 && tries < TRIES; tries++) {
          if (tries > 0) late++;
          await ready();
          const waiting = await Witness.of(lab, holdfast);
          const found = await whileWaiting({ event, cut, heal, server }, branches, kernel);
          took_ms = found.took_ms;
          if (server === holdfast && took_ms > LIMIT_MS) {
            const told_ms = (found.event_at - found.trial.dialled_at).toFixed(1);
            results.note(`dialled, ${told_ms} ms later ${event}: ${await waiting.tell(found.trial)}`);
          }
        }
        if (took_ms < 0)
          throw new Error(`${TRIES} times the kernel told of the event only when the call had left by LTE`);
        results.add(`${server.name}_dialled_then_${event}_ms`, took_ms);
        context.print(`${server.name} ${event} ${n + 1}: dialled after ${dialled_ms} ms, before ${took_ms} ms`);
      }
    }
  }
  if (late > 0)
    results.note(
      `link events: ${late} trials were repeated, because the kernel told of the event only after the call had left by LTE`,
    );
  return results.measurements;
}

interface Act {
  readonly event: Event;
  readonly server: BranchLab["holdfast"] | BranchLab["kamailio"];
  cut(): Promise<void>;
  heal(): Promise<void>;
}

/** The event finds the call in a black hole. Negative: it was told too late, the call had left by LTE of itself. */
async function whileWaiting({ event, cut, heal, server }: Act, { lab, phone }: BranchLab, kernel: KernelEvents) {
  const told = kernel.mark;
  let event_at = 0;
  const trial = await dial(lab, phone, server, {
    cut: () => lab.cuts.blackHole(),
    later: async () => {
      await sleep(UNDER_WAY_MS);
      await cut();
      event_at = await kernel.at(event, told);
    },
    heal: async () => {
      await heal();
      await lab.cuts.forwardingHealed();
    },
  });
  return { trial, event_at, took_ms: trial.on_lte_at === undefined ? NEVER_MS : trial.on_lte_at - event_at };
}

export const linkEvents: readonly Job[] = [
  { name: "link-events", figure: "link-events", share: "alone", deadline_ms: 20 * 60_000, run: measure },
];
