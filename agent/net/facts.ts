import type { Kernel } from "./kernel.ts";
import { type NetFacts, PROTOCOL, type RoutePlan, type RulePlan } from "./plan.ts";

/** What the kernel has now, read from `ip -json`. Nothing here needs privilege. */
type Item = Readonly<Record<string, unknown>>;

function items(stdout: string): readonly Item[] {
  try {
    const value: unknown = JSON.parse(stdout === "" ? "[]" : stdout);
    return Array.isArray(value) ? value.filter((item): item is Item => typeof item === "object" && item !== null) : [];
  } catch {
    return [];
  }
}

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
const number = (value: unknown): number | undefined => {
  const parsed = typeof value === "number" ? value : Number(text(value));
  return Number.isFinite(parsed) ? parsed : undefined;
};

/** Undefined when `ip` cannot be run here. */
export async function readFacts(kernel: Kernel): Promise<NetFacts | undefined> {
  const [links, four, six] = await Promise.all([
    kernel.ip(["-j", "addr", "show"]),
    kernel.ip(["-j", "-4", "route", "show", "table", "main", "default"]),
    kernel.ip(["-j", "-6", "route", "show", "table", "main", "default"]),
  ]);
  if (!links.ok) return undefined;
  const addresses = items(links.stdout).flatMap((link) => {
    const name = text(link.ifname);
    const entries = Array.isArray(link.addr_info) ? (link.addr_info as readonly Item[]) : [];
    return entries.flatMap((entry) => {
      const address = text(entry.local);
      const prefix = number(entry.prefixlen);
      if (name === undefined || address === undefined || prefix === undefined || entry.scope === "link") return [];
      return [{ interface: name, address, prefix }];
    });
  });
  const defaults = [four, six].flatMap((answer, i) =>
    items(answer.stdout).flatMap((route) => {
      const name = text(route.dev);
      return name === undefined ? [] : [{ interface: name, gateway: text(route.gateway), v6: i === 1 }];
    }),
  );
  return { addresses, defaults };
}

/** Rules from one address to one table, ours or not. */
export interface FoundRule extends RulePlan {
  readonly ours: boolean;
}

export async function readRules(kernel: Kernel): Promise<readonly FoundRule[]> {
  const both = await Promise.all(["-4", "-6"].map((family) => kernel.ip(["-j", family, "rule", "show"])));
  return both.flatMap((answer, i) =>
    items(answer.stdout).flatMap((rule) => {
      const priority = number(rule.priority);
      const table = number(rule.table);
      const from = text(rule.src);
      if (priority === undefined || table === undefined || from === undefined) return [];
      return [{ v6: i === 1, priority, from, table, ours: number(rule.protocol) === PROTOCOL }];
    }),
  );
}

export interface FoundRoute extends Omit<RoutePlan, "source"> {
  readonly ours: boolean;
}

export async function readTable(kernel: Kernel, table: number, v6: boolean): Promise<readonly FoundRoute[]> {
  const answer = await kernel.ip(["-j", v6 ? "-6" : "-4", "route", "show", "table", `${table}`]);
  return items(answer.stdout).flatMap((route) => {
    const to = text(route.dst);
    if (to === undefined) return [];
    const type = text(route.type) === "unreachable" ? ("unreachable" as const) : ("unicast" as const);
    return [
      {
        v6,
        table,
        type,
        to,
        // The kernel prints IPv6 unreachable routes with the loopback device.
        interface: type === "unreachable" ? undefined : text(route.dev),
        gateway: text(route.gateway),
        metric: type === "unreachable" ? number(route.metric) : undefined,
        ours: number(route.protocol) === PROTOCOL,
      },
    ];
  });
}

export function sameRule(a: RulePlan, b: RulePlan): boolean {
  return a.v6 === b.v6 && a.from === b.from && a.table === b.table;
}

export function sameRoute(plan: RoutePlan, found: FoundRoute): boolean {
  return (
    plan.v6 === found.v6 &&
    plan.table === found.table &&
    plan.type === found.type &&
    plan.to === found.to &&
    plan.interface === found.interface &&
    plan.gateway === found.gateway &&
    plan.metric === found.metric
  );
}
