import type { SiteConfig } from "../base/config/schema.ts";
import { ERRORS } from "../base/errors.ts";
import { readFacts, readRules, readTable, sameRoute, sameRule } from "./facts.ts";
import { TABLE } from "./firewall.ts";
import { type Kernel, kernel as systemKernel } from "./kernel.ts";
import { planNet, UNREACHABLE_METRIC } from "./plan.ts";

/** One thing that is not as it must be, for the alarm `net.rules_missing`. */
export interface NetFault {
  /** The path, or `firewall`. */
  readonly subject: string;
  readonly detail: string;
  /** What to do, as a sentence. */
  readonly fix: string;
}

const FIX = "Run `holdfast net apply` as root (CAP_NET_ADMIN), then `holdfast net check`.";

/**
 * Looks whether each path's packets stay on their path; changes nothing and needs no privilege, except that without it
 * the firewall cannot be seen and is passed over. Empty when all is well, or when no path needs rules (practice).
 */
export async function checkNet(config: SiteConfig, kernel: Kernel = systemKernel): Promise<readonly NetFault[]> {
  const pinned = config.paths.filter(
    (path) => path.interface !== undefined && path.address?.startsWith("127.") !== true && path.address !== "::1",
  );
  if (pinned.length === 0) return [];
  const facts = await readFacts(kernel);
  if (facts === undefined) {
    return [{ subject: "net", detail: "`ip` (iproute2) cannot be run", fix: ERRORS["net.privilege"].action }];
  }
  const plan = planNet(config, facts);
  const faults: NetFault[] = plan.faults.map(({ path, detail }) => ({
    subject: path,
    detail,
    fix: "Look at the interface and its cable, or name address and gateway in the site file.",
  }));
  const pathOf = (table: number) =>
    config.paths.find((path, i) => (path.table ?? 101 + i) === table)?.id ?? `table ${table}`;
  const rules = await readRules(kernel);
  for (const rule of plan.rules) {
    if (rules.some((found) => sameRule(rule, found))) continue;
    faults.push({ subject: pathOf(rule.table), detail: `no rule from ${rule.from} to table ${rule.table}`, fix: FIX });
  }
  for (const route of plan.routes) {
    const found = await readTable(kernel, route.table, route.v6);
    if (found.some((candidate) => sameRoute(route, candidate))) continue;
    // A route that was lost with its link is the path's own trouble, and `unreachable` says so to every packet.
    const guarded = found.some((other) => other.type === "unreachable" && other.metric === UNREACHABLE_METRIC);
    if (guarded && route.type === "unicast") continue;
    faults.push({ subject: pathOf(route.table), detail: `table ${route.table} has no ${routeName(route)}`, fix: FIX });
  }
  const listed = await kernel.nftList(TABLE);
  if (!listed.ok && !/not permitted|denied|ENOENT/.test(listed.stderr)) {
    faults.push({ subject: "firewall", detail: `nftables table inet ${TABLE} is missing`, fix: FIX });
  }
  return faults;
}

function routeName(route: {
  readonly type: string;
  readonly to: string;
  readonly gateway: string | undefined;
}): string {
  if (route.type === "unreachable") return "`unreachable default` at its end";
  return route.gateway === undefined ? `route to ${route.to}` : `route to ${route.to} via ${route.gateway}`;
}
