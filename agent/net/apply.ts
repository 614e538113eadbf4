import type { SiteConfig } from "../base/config/schema.ts";
import { HoldfastError } from "../base/errors.ts";
import { readFacts, readRules, readTable, sameRoute, sameRule } from "./facts.ts";
import { TABLE } from "./firewall.ts";
import { type Kernel, kernel as systemKernel } from "./kernel.ts";
import { PROTOCOL, planNet, routeWords, ruleWords } from "./plan.ts";

export interface AppliedNet {
  /** What was changed, one command each. Empty when everything was there (the firewall is always replaced). */
  readonly changes: readonly string[];
  /** Paths that could not be pinned, and why. */
  readonly faults: readonly string[];
}

/** Brings the kernel to the plan. Throws `net.privilege` when it may not. Calling it again changes nothing. */
export async function applyNet(config: SiteConfig, kernel: Kernel = systemKernel): Promise<AppliedNet> {
  const facts = await readFacts(kernel);
  if (facts === undefined) throw new HoldfastError("net.privilege", "`ip` (iproute2) cannot be run.");
  const plan = planNet(config, facts);
  const changes: string[] = [];
  const ip = async (words: readonly string[]) => {
    const result = await kernel.ip(words);
    if (!result.ok) throw new HoldfastError("net.privilege", `ip ${words.join(" ")}: ${result.stderr}`);
    changes.push(`ip ${words.join(" ")}`);
  };
  for (const { key, value } of plan.sysctls) {
    if (kernel.readSysctl(key) === value) continue;
    try {
      kernel.writeSysctl(key, value);
    } catch (error) {
      throw new HoldfastError("net.privilege", `sysctl ${key}=${value}: ${String(error)}`, error);
    }
    changes.push(`sysctl ${key}=${value}`);
  }
  // Routes before rules: a rule into an empty table would cut the path for a moment.
  const tables = new Set(plan.routes.map((route) => `${route.v6} ${route.table}`));
  for (const route of plan.routes) {
    const found = await readTable(kernel, route.table, route.v6);
    if (!found.some((candidate) => sameRoute(route, candidate))) await ip(routeWords("replace", route));
  }
  for (const name of tables) {
    const [family, table] = name.split(" ");
    for (const found of await readTable(kernel, Number(table), family === "true")) {
      if (found.ours && !plan.routes.some((route) => sameRoute(route, found))) {
        await ip(routeWords("del", { ...found, source: undefined }));
      }
    }
  }
  const rules = await readRules(kernel);
  for (const rule of plan.rules) if (!rules.some((found) => sameRule(rule, found))) await ip(ruleWords("add", rule));
  for (const found of rules) {
    if (found.ours && !plan.rules.some((rule) => sameRule(rule, found))) await ip(ruleWords("del", found));
  }
  if (plan.firewall !== undefined) {
    const result = await kernel.nft(plan.firewall);
    if (!result.ok) throw new HoldfastError("net.privilege", `nft: ${result.stderr.split("\n")[0] ?? ""}`);
  } else await removeFirewall(kernel, changes);
  return { changes, faults: plan.faults.map(({ path, detail }) => `path ${path}: ${detail}`) };
}

/** Removes what is ours and nothing else. */
export async function removeNet(kernel: Kernel = systemKernel): Promise<readonly string[]> {
  const changes: string[] = [];
  const tables = new Set<string>();
  for (const rule of await readRules(kernel)) {
    if (!rule.ours) continue;
    const words = ruleWords("del", rule);
    const result = await kernel.ip(words);
    if (!result.ok) throw new HoldfastError("net.privilege", `ip ${words.join(" ")}: ${result.stderr}`);
    changes.push(`ip ${words.join(" ")}`);
    tables.add(`${rule.v6 ? "-6" : "-4"} ${rule.table}`);
  }
  for (const name of tables) {
    const [family = "-4", table = ""] = name.split(" ");
    const words = [family, "route", "flush", "table", table, "proto", `${PROTOCOL}`];
    const result = await kernel.ip(words);
    if (result.ok) changes.push(`ip ${words.join(" ")}`);
  }
  await removeFirewall(kernel, changes);
  return changes;
}

async function removeFirewall(kernel: Kernel, changes: string[]): Promise<void> {
  const listed = await kernel.nftList(TABLE);
  if (!listed.ok) return;
  const result = await kernel.nft(`delete table inet ${TABLE}\n`);
  if (result.ok) changes.push(`nft delete table inet ${TABLE}`);
}
