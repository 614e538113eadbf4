/** A lab with both branch servers, Holdfast and Kamailio, side by side in the box's namespace, and one light telephone. */
import { extensions, hosts, lan } from "../../lab/addresses.ts";
import type { SiteOptions } from "../../lab/box/site-file.ts";
import { Lab } from "../../lab/lab.ts";
import type { Layout } from "../../lab/network.ts";
import { Timeline } from "../../lab/scenario.ts";
import { HoldfastBranch } from "../branch/holdfast.ts";
import { KamailioBranch } from "../branch/kamailio.ts";
import { Phone } from "../branch/phone.ts";
import type { JobContext } from "./job.ts";

/** The shortest that a site file may say: between trials nobody waits for 30 s of hold-down. */
export const HOLD_DOWN_MS = 1000;

export interface BranchLab {
  readonly lab: Lab;
  readonly holdfast: HoldfastBranch;
  readonly kamailio: KamailioBranch;
  readonly phone: Phone;
}

export async function branchLab(context: JobContext, layout: Layout, options: SiteOptions): Promise<BranchLab> {
  const lab = await emptyLab(context, layout);
  const site = { hold_down_ms: HOLD_DOWN_MS, ...options };
  const holdfast = await HoldfastBranch.start(lab, site);
  const kamailio = await KamailioBranch.start(lab, options.pbx_transport ?? "udp");
  const phone = await Phone.start(lab.programs, extensions.baresip101);
  const status = await phone.register(holdfast.port);
  if (status !== 200) throw new Error(`the telephone's registration through the box was answered with ${status}`);
  return { lab, holdfast, kamailio, phone };
}

const PROBES = 1000;

/** Lets packets be lost, and says how many round trips that cost: a rule that did not load would flatter everybody. */
export async function losePackets({ lab }: BranchLab, percent: number): Promise<string> {
  await lab.cuts.loss(percent);
  const { sent, returned } = await lab.probe(lan.box, hosts.echo, { count: PROBES });
  const lost_percent = (100 * (sent - returned)) / sent;
  const expected_percent = 100 * (1 - (1 - percent / 100) ** 2);
  // Five standard deviations of so many draws.
  const margin = 5 * Math.sqrt((expected_percent * (100 - expected_percent)) / PROBES);
  if (Math.abs(lost_percent - expected_percent) > margin) {
    throw new Error(`at ${percent} % loss each way ${lost_percent.toFixed(1)} % of round trips were lost`);
  }
  return `${lost_percent.toFixed(1)} % of ${sent} round trips were lost`;
}

/** The lab without box and telephones. */
export async function emptyLab(context: JobContext, layout: Layout): Promise<Lab> {
  const timeline = new Timeline((line) => context.print(line));
  return Lab.start(
    { ...layout, telephones: "later", box_running: false },
    timeline,
    context.directory,
    context.runDirectory,
  );
}
