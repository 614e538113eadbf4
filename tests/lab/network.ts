/** The lab's namespaces, links, addresses and routes. Runs as root of a private network namespace, never on the host's. */
import {
  carrierNat,
  cellular,
  core,
  extensions,
  interfaces,
  internet,
  lan,
  lteHosts,
  type Namespace,
  namespaces,
  phoneNamespaces,
  type RemotePhone,
  remotePhones,
  uplink,
  wanHosts,
} from "./addresses.ts";
import { run } from "./processes.ts";

export interface Layout {
  /** `one-armed`: one port on the switch, the WAN behind the site's router. `two-port`: a WAN port of its own as well. */
  readonly box: "one-armed" | "two-port";
  /** True: the box's default route leaves by LTE, so that a probe that is not pinned to its path is caught. */
  readonly lte_default_route?: boolean;
  /** The carrier puts the box behind a NAT that forgets UDP after so many seconds, and then gives another port. */
  readonly carrier_nat_s?: number;
}

/** The box's port and gateway towards the WAN. */
export const wanPort = (layout: Layout): { interface: string; address: string; gateway: string } =>
  layout.box === "two-port"
    ? { interface: interfaces.box.wan, address: uplink.box, gateway: uplink.router }
    : { interface: interfaces.box.lan, address: lan.box, gateway: lan.router };

const telephones = Object.values(extensions);
const remotes: readonly RemotePhone[] = Object.values(remotePhones);

/** Routes of the internet or the carrier to the telephones that hang on it. */
const toRemotes = (network: "wan" | "lte"): string[] =>
  remotes
    .filter(({ on }) => on === network)
    .flatMap(({ namespace, address }) => [...up(namespace), `route add ${address}/32 dev ${namespace}`]);

/** One veth pair: each end is `interface@namespace`. */
function pair(a: readonly [string, string], b: readonly [string, string]): string {
  return `link add ${a[1]} netns ${a[0]} type veth peer name ${b[1]} netns ${b[0]}`;
}

export async function buildNetwork(layout: Layout): Promise<void> {
  const { box, isp, wan, lte } = interfaces;
  await run(["ip", "-batch", "-"], { input: namespaces.map((name) => `netns add ${name}\n`).join("") });
  const pairs = [
    pair(["lan", "to-box"], ["box", box.lan]),
    pair(["lan", "to-isp"], ["isp", isp.lan]),
    ...telephones.map(({ namespace }) => pair(["lan", namespace], [namespace, "eth0"])),
    ...remotes.map(({ namespace, on }) => pair([on, namespace], [namespace, "eth0"])),
    pair(["isp", isp.internet], ["wan", wan.isp]),
    ...(layout.carrier_nat_s === undefined
      ? [pair(["box", box.lte], ["lte", lte.cell])]
      : [
          pair(["box", box.lte], ["cgnat", interfaces.cgnat.inside]),
          pair(["cgnat", interfaces.cgnat.outside], ["lte", lte.cell]),
        ]),
    pair(["wan", wan.core], ["lte", lte.core]),
    pair(["wan", wan.hosts], ["wan", `${wan.hosts}p`]),
    pair(["lte", lte.hosts], ["lte", `${lte.hosts}p`]),
    ...(layout.box === "two-port" ? [pair(["box", box.wan], ["isp", isp.site])] : []),
  ];
  await run(["ip", "-batch", "-"], { input: `${pairs.join("\n")}\n` });
  const port = wanPort(layout);
  const boxDefaults = layout.lte_default_route
    ? [`via ${cellular.edge} dev ${box.lte}`, `via ${port.gateway} dev ${port.interface} metric 200`]
    : [`via ${port.gateway} dev ${port.interface}`, `via ${cellular.edge} dev ${box.lte} metric 200`];
  await Promise.all([
    configure("lan", [
      `link add ${lan.switch} type bridge`,
      `link set to-box master ${lan.switch}`,
      `link set to-isp master ${lan.switch}`,
      ...telephones.map(({ namespace }) => `link set ${namespace} master ${lan.switch}`),
      ...up(lan.switch, "to-box", "to-isp", ...telephones.map(({ namespace }) => namespace)),
      `addr add ${lan.probe}/${lan.prefix} dev ${lan.switch}`,
      `route add default via ${lan.router}`,
    ]),
    ...telephones.map(({ namespace, address }) =>
      configure(namespace, [
        `addr add ${address}/${lan.prefix} dev eth0`,
        ...up("eth0"),
        `route add default via ${lan.router}`,
      ]),
    ),
    ...remotes.map(({ namespace, address, gateway }) =>
      configure(namespace, [
        `addr add ${address}/32 dev eth0`,
        ...up("eth0"),
        `route add ${gateway}/32 dev eth0`,
        `route add default via ${gateway}`,
      ]),
    ),
    configure("box", [
      `addr add ${lan.box}/${lan.prefix} dev ${box.lan}`,
      `addr add ${cellular.box}/${cellular.prefix} dev ${box.lte}`,
      ...up(box.lan, box.lte),
      ...(layout.box === "two-port" ? [`addr add ${uplink.box}/${uplink.prefix} dev ${box.wan}`, ...up(box.wan)] : []),
      ...boxDefaults.map((route) => `route add default ${route}`),
    ]),
    configure(
      "isp",
      [
        `addr add ${lan.router}/${lan.prefix} dev ${isp.lan}`,
        `addr add ${internet.router}/${internet.prefix} dev ${isp.internet}`,
        ...up(isp.lan, isp.internet),
        ...(layout.box === "two-port"
          ? [`addr add ${uplink.router}/${uplink.prefix} dev ${isp.site}`, ...up(isp.site)]
          : []),
        `route add default via ${internet.edge}`,
      ],
      true,
    ),
    configure(
      "wan",
      [
        `addr add ${internet.edge}/${internet.prefix} dev ${wan.isp}`,
        `addr add ${core.wan}/${core.prefix} dev ${wan.core}`,
        ...wanHosts.map((address) => `addr add ${address}/32 dev ${wan.hosts}`),
        ...up(wan.isp, wan.core, wan.hosts, `${wan.hosts}p`),
        `route add ${lan.network} via ${internet.router}`,
        `route add ${uplink.network} via ${internet.router}`,
        `route add 198.51.100.0/24 via ${core.lte}`,
        `route add ${carrierNat.network} via ${core.lte}`,
        ...toRemotes("wan"),
      ],
      true,
    ),
    configure(
      "lte",
      [
        ...(layout.carrier_nat_s === undefined
          ? [`addr add ${cellular.edge}/${cellular.prefix} dev ${lte.cell}`]
          : [
              `addr add ${carrierNat.gateway}/${carrierNat.prefix} dev ${lte.cell}`,
              `addr add ${cellular.edge}/32 dev ${lte.hosts}`,
            ]),
        `addr add ${core.lte}/${core.prefix} dev ${lte.core}`,
        ...lteHosts.map((address) => `addr add ${address}/32 dev ${lte.hosts}`),
        ...up(lte.cell, lte.core, lte.hosts, `${lte.hosts}p`),
        `route add default via ${core.wan}`,
        ...toRemotes("lte"),
      ],
      true,
    ),
  ]);
  if (layout.carrier_nat_s !== undefined) await carrierNatBetween(layout.carrier_nat_s);
  await dropSpoofed("lte", [lte.cell]);
  await dropSpoofed("isp", [isp.lan, ...(layout.box === "two-port" ? [isp.site] : [])]);
}

/**
 * A NAT between the box and the carrier, as cellular networks have them: another port for what was forgotten, and nothing in
 * that was not asked for. Sound keeps its port, because the carrier's media server, which would follow the sound's own source, is
 * not in this lab.
 */
async function carrierNatBetween(forgets_s: number): Promise<void> {
  const { inside, outside } = interfaces.cgnat;
  await configure(
    "cgnat",
    [
      `addr add ${cellular.edge}/${cellular.prefix} dev ${inside}`,
      `addr add ${carrierNat.outside}/${carrierNat.prefix} dev ${outside}`,
      ...up(inside, outside),
      `route add default via ${carrierNat.gateway}`,
    ],
    true,
  );
  const rules = `table ip carrier_nat {
  chain out {
    type nat hook postrouting priority 100;
    oifname "${outside}" udp sport 20000-21999 masquerade
    oifname "${outside}" masquerade fully-random
  }
  chain door {
    type filter hook input priority 0;
    iifname "${outside}" ct state new,invalid drop
  }
}
`;
  await run(["ip", "netns", "exec", "cgnat", "nft", "-f", "-"], { input: rules });
  const timeouts = ["nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"];
  const settings = timeouts.map((name) => `net.netfilter.${name}=${forgets_s}`);
  await run(["ip", "netns", "exec", "cgnat", "sysctl", "-q", "-w", ...settings]);
}

/** The NAT loses its power for a moment, and with it everything that it remembered. */
export async function carrierNatRestarts(): Promise<void> {
  const { outside } = interfaces.cgnat;
  const lines = [`link set ${outside} down`, ...up(outside), `route replace default via ${carrierNat.gateway}`];
  await run(["ip", "-n", "cgnat", "-batch", "-"], { input: `${lines.join("\n")}\n` });
}

/**
 * Provider and carrier drop what comes from a customer under an address that is not his (BCP 38): a packet that leaves by
 * the wrong path is lost, as in the field, and does not come back to be taken for a working path.
 */
async function dropSpoofed(namespace: string, customerPorts: readonly string[]): Promise<void> {
  const settings = customerPorts.map((port) => `net.ipv4.conf.${port}.rp_filter=1`);
  await run(["ip", "netns", "exec", namespace, "sysctl", "-q", "-w", ...settings]);
}

/** Where a namespace that has room for more addresses carries them, and how long their prefix is. */
function roomFor(namespace: Namespace): { readonly device: string; readonly prefix: number } {
  if (namespace === "wan") return { device: interfaces.wan.hosts, prefix: 32 };
  if (namespace === "lte") return { device: interfaces.lte.hosts, prefix: 32 };
  if (namespace === "lan") return { device: lan.switch, prefix: lan.prefix };
  if ((phoneNamespaces as readonly string[]).includes(namespace)) return { device: "eth0", prefix: lan.prefix };
  throw new Error(`the namespace ${namespace} has no room for more addresses`);
}

/** One more host: on the internet (`wan`), at the carrier (`lte`), on the switch (`lan`), or one more of a telephone's. */
export async function addAddress(namespace: Namespace, address: string): Promise<void> {
  const { device, prefix } = roomFor(namespace);
  await run(["ip", "-n", namespace, "addr", "replace", `${address}/${prefix}`, "dev", device]);
}

export async function removeAddress(namespace: Namespace, address: string): Promise<void> {
  const { device, prefix } = roomFor(namespace);
  await run(["ip", "-n", namespace, "addr", "del", `${address}/${prefix}`, "dev", device]);
}

const up = (...links: string[]): string[] => links.map((link) => `link set ${link} up`);

async function configure(namespace: string, lines: readonly string[], forwarding = false): Promise<void> {
  // The box takes what comes by any path. Providers do not: see dropSpoofed.
  const settings = [
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0",
    "net.ipv4.ping_group_range=0 2147483647",
    // A router does not thin out the ICMP errors the scenarios count on.
    "net.ipv4.icmp_ratelimit=0",
    ...(forwarding ? ["net.ipv4.ip_forward=1"] : []),
  ];
  // Not every kernel lets a user namespace set each of these; `-e` goes on, and the probes of peers-alone judge.
  await run(["ip", "netns", "exec", namespace, "sysctl", "-q", "-e", "-w", ...settings]).catch((error: Error) => {
    if (forwarding && !/ping_group_range|icmp_ratelimit/.test(error.message)) throw error;
  });
  await run(["ip", "-n", namespace, "-batch", "-"], { input: `link set lo up\n${lines.join("\n")}\n` });
}
