import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import type { LanConfig, PathConfig, PbxTargetConfig, SiteConfig } from "../base/config/schema.ts";

/** Where the cellular process takes calls for its modem, when nothing else is known. */
const MODEM_PORT = 5090;

export interface LocalAddress {
  readonly address: string;
  /** `address/prefix length`. */
  readonly cidr: string;
}

/** The addresses of this machine that phones could reach; in practice loopback alone. */
export function localAddresses(practice: boolean): readonly LocalAddress[] {
  const loopback: LocalAddress = { address: "127.0.0.1", cidr: "127.0.0.0/8" };
  if (practice) return [loopback];
  const found: LocalAddress[] = [];
  for (const entries of Object.values(networkInterfaces())) {
    for (const { internal, family, address, cidr } of entries ?? []) {
      if (!internal && family === "IPv4" && cidr !== null) found.push({ address, cidr });
    }
  }
  return found.length > 0 ? found : [loopback];
}

/** A cloud PBX that phones have named in their requests. */
export interface LearnedCloud {
  readonly host: string;
  readonly port: number | undefined;
  /** What the phone itself speaks. */
  readonly transport: "udp" | "tcp";
}

/** The local address that packets to the outside leave from: that of the interface with the default route. */
export function outsideAddress(practice: boolean): string | undefined {
  if (practice) return "127.0.0.1";
  let table: string;
  try {
    table = readFileSync("/proc/net/route", "utf8");
  } catch {
    return undefined;
  }
  const [best] = table
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t"))
    .filter(([, destination, , , , , , mask]) => destination === "00000000" && mask === "00000000")
    .sort((a, b) => Number(a[6]) - Number(b[6]));
  const entries = networkInterfaces()[best?.[0] ?? ""] ?? [];
  return entries.find(({ family }) => family === "IPv4")?.address;
}

/**
 * What the engine runs on when it has no valid configuration: it takes 911 from the networks the box is attached to,
 * and has two ways out: the cloud that the phones name, once one has named it, and the modem. One LAN for each address,
 * so that every answer leaves where the call came in.
 */
export function defaultConfig(
  addresses: readonly LocalAddress[],
  clouds: readonly LearnedCloud[] = [],
  outside: string | undefined = undefined,
): SiteConfig {
  const usable = outside === undefined ? [] : clouds;
  const learned = usable.map(
    ({ host, port, transport }, i): PbxTargetConfig => ({
      id: `learned-${i}`,
      path: "wan",
      domain: host,
      host,
      port: port ?? 5060,
      transport,
      path_header: true,
      carries_emergency: true,
      carrier_profile: "plain",
    }),
  );
  const lans = addresses.map(
    ({ address, cidr }, i): LanConfig => ({ id: `default-${i}`, address, subnets: [cidr], sip_port: 5060 }),
  );
  return {
    v: 1,
    live: false,
    org: { id: "unconfigured", name: "Not configured" },
    site: {
      id: "unconfigured",
      name: "Not configured",
      time_zone: "UTC",
      location: "unknown",
      main_number: "+10000000",
      main_group: [],
      country_code: "1",
    },
    box: { id: "unconfigured", layout: "one_armed", sip_names: [] },
    certificates: [],
    lans,
    paths: [
      ...(learned.length > 0 && outside !== undefined ? [plainPath("wan", outside)] : []),
      plainPath("modem", "127.0.0.1"),
    ],
    pbx_targets: learned,
    trunks: [
      {
        id: "modem",
        path: "modem",
        roles: ["emergency"],
        host: "127.0.0.1",
        port: MODEM_PORT,
        transport: "udp",
        carrier_profile: "plain",
      },
    ],
    carrier_profiles: [
      {
        id: "plain",
        request_uri: "sip:{number}@{host}",
        caller_identity: "from",
        location: "none",
        geolocation_routing: false,
        ring_deadline_ms: 10_000,
      },
    ],
    emergency: {
      numbers: [
        { digits: "911", class: "sos" },
        { digits: "933", class: "test" },
        { digits: "112", class: "sos" },
      ],
      outside_prefixes: ["9"],
      routes: [...learned.map(({ id }) => id), "modem"],
      callback_window_min: 60,
    },
    extensions: [],
    devices: [],
    dids: [],
    locations: [],
    people: [],
    failover: {
      hold_down_ms: 30_000,
      hold_down_max_ms: 600_000,
      running_calls: "stay",
      return_when: "stable",
      return_at: "02:30",
    },
    registrar: { stuck_after_s: 90 },
    media: { port_min: 20_000, port_max: 21_999 },
    noc: { brokers: [], acknowledge: "application", heartbeat_wan_ms: 30_000, heartbeat_lte_ms: 300_000 },
    modems: [],
    ups: [],
    gpio_lines: [],
    web: { port: 8080 },
    drill: { max_ms: 1_800_000 },
  };
}

/**
 * The configuration of a snapshot that an older release wrote: sections and keys that came later have their defaults, so
 * that after an update the box takes calls before `site` has written a new one. Keys that come into lists are optional.
 * What is there stays in its order: it is compared as text with what `site` brings, and a difference rebuilds the engine.
 */
export function completeConfig(config: SiteConfig): SiteConfig {
  const complete: Record<string, unknown> = { ...config };
  for (const [key, fallback] of Object.entries(defaultConfig([]))) {
    const found = complete[key];
    if (found === undefined) complete[key] = Array.isArray(fallback) ? [] : fallback;
    else if (isSection(fallback) && isSection(found)) complete[key] = { ...found, ...missing(fallback, found) };
  }
  return complete as SiteConfig;
}

const missing = (fallback: object, found: object): object =>
  Object.fromEntries(Object.entries(fallback).filter(([key]) => !(key in found)));

const isSection = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function plainPath(kind: "wan" | "modem", address: string): PathConfig {
  return { id: kind, kind, address, dns_servers: [], echo_responders: [] };
}
