import { ALARMS } from "../base/alarms.ts";
import type { SiteConfig } from "../base/config/schema.ts";
import { ERRORS } from "../base/errors.ts";
import { readFacts, readRules, readTable, sameRoute, sameRule } from "./facts.ts";
import { firewallFault, TABLE } from "./firewall.ts";
import { type Kernel, kernel as systemKernel } from "./kernel.ts";
import { planNet, UNREACHABLE_METRIC } from "./plan.ts";

/** One thing that is not as it must be, or that cannot be looked at. */
export interface NetFault {
  /** The alarm that says so. */
  readonly code: "net.rules_missing" | "net.unverified";
  /** The path, or `firewall`. */
  readonly subject: string;
  readonly detail: string;
  /** What to do, as a sentence. */
  readonly fix: string;
}

const MISSING = "net.rules_missing";
const FIX = "Run `holdfast net apply` as root (CAP_NET_ADMIN), then `holdfast net check`.";

/**
 * Looks whether each path's packets stay on their path; changes nothing. It needs privilege only to see the firewall: that
 * it cannot is a fault of its own. Empty when all is well, or when no path needs rules (practice).
 */
export async function checkNet(config: SiteConfig, kernel: Kernel = systemKernel): Promise<readonly NetFault[]> {
  const pinned = config.paths.filter(
    (path) => path.interface !== undefined && path.address?.startsWith("127.") !== true && path.address !== "::1",
  );
  if (pinned.length === 0) return [];
  const facts = await readFacts(kernel);
  if (facts === undefined) {
    return [
      { code: MISSING, subject: "net", detail: "`ip` (iproute2) cannot be run", fix: ERRORS["net.privilege"].action },
    ];
  }
  const plan = planNet(config, facts);
  const faults: NetFault[] = plan.faults.map(({ path, detail }) => ({
    code: MISSING,
    subject: path,
    detail,
    fix: "Look at the interface and its cable, or name address and gateway in the site file.",
  }));
  const pathOf = (table: number) =>
    config.paths.find((path, i) => (path.table ?? 101 + i) === table)?.id ?? `table ${table}`;
  const rules = await readRules(kernel);
  for (const rule of plan.rules) {
    if (rules.some((found) => sameRule(rule, found))) continue;
    faults.push({
      code: MISSING,
      subject: pathOf(rule.table),
      detail: `no rule from ${rule.from} to table ${rule.table}`,
      fix: FIX,
    });
  }
  for (const route of plan.routes) {
    const found = await readTable(kernel, route.table, route.v6);
    if (found.some((candidate) => sameRoute(route, candidate))) continue;
    // A route that was lost with its link is the path's own trouble, and `unreachable` says so to every packet.
    const guarded = found.some((other) => other.type === "unreachable" && other.metric === UNREACHABLE_METRIC);
    if (guarded && route.type === "unicast") continue;
    faults.push({
      code: MISSING,
      subject: pathOf(route.table),
      detail: `table ${route.table} has no ${routeName(route)}`,
      fix: FIX,
    });
  }
  const listed = await kernel.nftList(TABLE);
  const subject = "firewall";
  if (/not permitted|denied|ENOENT/.test(listed.stderr) && !listed.ok) {
    const absent = listed.stderr.includes("ENOENT");
    faults.push({
      code: "net.unverified",
      subject,
      detail: absent ? "`nft` (nftables) cannot be run" : "nftables cannot be looked at without CAP_NET_ADMIN",
      fix: ALARMS["net.unverified"].action,
    });
  } else if (!listed.ok) {
    faults.push({ code: MISSING, subject, detail: `nftables table inet ${TABLE} is missing`, fix: FIX });
  } else {
    const detail = firewallFault(plan.firewall ?? "", listed.stdout);
    if (detail !== undefined) faults.push({ code: MISSING, subject, detail, fix: FIX });
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
