import type { SiteConfig } from "../base/config/schema.ts";
import { firewallScript } from "./firewall.ts";

/**
 * What the kernel must be told so that each path's packets stay on their path: by its source address, a packet looks
 * into its path's own table, which ends in `unreachable default`. Plain data, made from the site file and from what the
 * kernel has learned; carried out, or compared with what is there, elsewhere.
 */
export interface NetFacts {
  /** Addresses by interface. */
  readonly addresses: readonly { readonly interface: string; readonly address: string; readonly prefix: number }[];
  /** Default routes of the main table, as DHCP or the network manager left them. */
  readonly defaults: readonly {
    readonly interface: string;
    readonly gateway: string | undefined;
    readonly v6: boolean;
  }[];
}

export interface RulePlan {
  readonly v6: boolean;
  readonly priority: number;
  readonly from: string;
  readonly table: number;
}

export interface RoutePlan {
  readonly v6: boolean;
  readonly table: number;
  readonly type: "unicast" | "unreachable";
  /** `default` or a prefix. */
  readonly to: string;
  readonly interface: string | undefined;
  readonly gateway: string | undefined;
  readonly source: string | undefined;
  readonly metric: number | undefined;
}

export interface SysctlPlan {
  /** Under /proc/sys, with slashes. */
  readonly key: string;
  readonly value: string;
}

export interface NetPlan {
  readonly rules: readonly RulePlan[];
  readonly routes: readonly RoutePlan[];
  readonly sysctls: readonly SysctlPlan[];
  /** For `nft -f`; undefined when there is nothing to guard. */
  readonly firewall: string | undefined;
  /** Paths that cannot be pinned now, and why. */
  readonly faults: readonly { readonly path: string; readonly detail: string }[];
}

/** Marks what is ours among rules and routes (`ip … protocol`). */
export const PROTOCOL = 172;
export const UNREACHABLE_METRIC = 4_278_198_272;
const FIRST_TABLE = 101;
const FIRST_PRIORITY = 10_000;

const loopback = (address: string) => address.startsWith("127.") || address === "::1";

export function planNet(config: SiteConfig, facts: NetFacts): NetPlan {
  const rules: RulePlan[] = [];
  const routes: RoutePlan[] = [];
  const sysctls: SysctlPlan[] = [];
  const faults: { path: string; detail: string }[] = [];
  config.paths.forEach((path, i) => {
    const name = path.interface;
    if (name === undefined || (path.address !== undefined && loopback(path.address))) return;
    const own = facts.addresses.filter((entry) => entry.interface === name && !loopback(entry.address));
    const chosen =
      path.address === undefined
        ? (own.find((entry) => !entry.address.includes(":")) ?? own[0])
        : own.find((entry) => entry.address === path.address);
    if (chosen === undefined) {
      const what = path.address === undefined ? "no address" : `no address ${path.address}`;
      faults.push({ path: path.id, detail: `${name} has ${what}` });
      return;
    }
    const table = path.table ?? FIRST_TABLE + i;
    const { address } = chosen;
    const v6 = address.includes(":");
    rules.push({ v6, priority: FIRST_PRIORITY + 10 * i, from: address, table });
    const common = { v6, table, type: "unicast" as const, source: address, metric: undefined };
    // Besides its own network the path's address must reach the phones: on a one-armed box it is the LAN's address too.
    const lans = facts.addresses.filter((entry) => isLan(config, entry.address));
    const subnets = new Map<string, string>();
    for (const entry of [chosen, ...lans]) {
      if (entry.address.includes(":") === v6) subnets.set(network(entry.address, entry.prefix), entry.interface);
    }
    for (const [to, device] of subnets) routes.push({ ...common, to, interface: device, gateway: undefined });
    const learned = facts.defaults.find((route) => route.interface === name && route.v6 === v6);
    const gateway = path.gateway ?? learned?.gateway;
    if (gateway !== undefined || learned !== undefined) {
      routes.push({ ...common, to: "default", interface: name, gateway });
    } else faults.push({ path: path.id, detail: `no gateway is known on ${name}` });
    routes.push({
      v6,
      table,
      type: "unreachable",
      to: "default",
      interface: undefined,
      gateway: undefined,
      source: undefined,
      metric: UNREACHABLE_METRIC,
    });
    const family = v6 ? "ipv6" : "ipv4";
    // A route whose link is down must give way to `unreachable`, so that sending fails at once.
    sysctls.push({ key: `net/${family}/conf/${name}/ignore_routes_with_linkdown`, value: "1" });
    // Loose: answers may come by an interface that the main table would not use for their source.
    if (!v6) sysctls.push({ key: `net/ipv4/conf/${name}/rp_filter`, value: "2" });
  });
  return { rules, routes, sysctls, firewall: firewallScript(config), faults };
}

function isLan(config: SiteConfig, address: string): boolean {
  return config.lans.some((lan) => lan.address === address);
}

/** The network of an address as the kernel prints it: `10.0.0.0/24`, `fd00:1::/64`. */
export function network(address: string, prefix: number): string {
  if (!address.includes(":")) {
    const value = address.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0);
    const size = 2 ** (32 - prefix);
    const base = Math.floor(value / size) * size;
    const octets = [24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256).join(".");
    return prefix === 32 ? octets : `${octets}/${prefix}`;
  }
  const [head = "", tail = ""] = address.split("::", 2);
  const left = head === "" ? [] : head.split(":");
  const right = tail === "" ? [] : tail.split(":");
  const fill = address.includes("::") ? 8 - left.length - right.length : 0;
  const groups = [...left, ...Array<string>(fill).fill("0"), ...right].map((group, i) => {
    const bits = Math.min(16, Math.max(0, prefix - 16 * i));
    return Number.parseInt(group, 16) & (bits === 0 ? 0 : (0xffff << (16 - bits)) & 0xffff);
  });
  const text = new URL(`http://[${groups.map((group) => group.toString(16)).join(":")}]`).hostname.slice(1, -1);
  return prefix === 128 ? text : `${text}/${prefix}`;
}

/** Words of the `ip` command. */
export function ruleWords(verb: "add" | "del", rule: RulePlan): string[] {
  const family = rule.v6 ? ["-6"] : ["-4"];
  const { priority, from, table } = rule;
  const words = ["priority", `${priority}`, "from", from, "lookup", `${table}`, "protocol", `${PROTOCOL}`];
  return [...family, "rule", verb, ...words];
}

export function routeWords(verb: "replace" | "del", route: RoutePlan): string[] {
  const { v6, table, type, to, gateway, source, metric } = route;
  return [
    v6 ? "-6" : "-4",
    "route",
    verb,
    ...(type === "unreachable" ? ["unreachable"] : []),
    to,
    ...(gateway === undefined ? [] : ["via", gateway]),
    ...(route.interface === undefined ? [] : ["dev", route.interface]),
    ...(source === undefined ? [] : ["src", source]),
    ...(metric === undefined ? [] : ["metric", `${metric}`]),
    ...(gateway === undefined && type === "unicast" && to !== "default" && !v6 ? ["scope", "link"] : []),
    "table",
    `${table}`,
    "proto",
    `${PROTOCOL}`,
  ];
}
