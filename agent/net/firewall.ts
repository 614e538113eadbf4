import { createHash } from "node:crypto";
import type { PathConfig, SiteConfig } from "../base/config/schema.ts";

/**
 * The box's own nftables table, in one script that replaces it whole. From outside (WAN and LTE, and on a one-armed
 * box whatever is not of the LAN's subnets) come answers to what we sent, SIP from the trunks' peers and media; all else
 * is dropped. On the LAN each source has a bucket for SIP and another one for 911 alone, so that no flood of a
 * phone's own making, nor one in its name, keeps it from calling for help.
 */
export const TABLE = "holdfast";

/** Far above what a phone does, or an office behind one address; far below what would hurt. */
const SIP_PER_SECOND = 1_000;
const SIP_BURST = 2_000;
const SOS_PER_SECOND = 50;
const SOS_BURST = 100;
const CONNECTIONS_PER_SECOND = 200;
const CONNECTIONS_BURST = 1_000;
const PING_PER_SECOND = 10;
/** nftables compares at most 16 bytes of payload at once. */
const COMPARED_BYTES = 16;

const v6 = (address: string) => address.includes(":");
const literal = (host: string) => /^[0-9.]+$/.test(host) || host.includes(":");

/** Undefined when no path has a real interface. */
export function firewallScript(config: SiteConfig): string | undefined {
  const guarded = config.paths.filter(
    (path) => path.interface !== undefined && path.address?.startsWith("127.") !== true && path.address !== "::1",
  );
  if (guarded.length === 0) return undefined;
  // On a cable of its own nobody from the LAN can be; a source that says so is forged.
  const exclusive = guarded.filter((path) => !sharesLan(config, path));
  const subnets = config.lans.flatMap((lan) => lan.subnets);
  const lan4 = subnets.filter((subnet) => !v6(subnet));
  const lan6 = subnets.filter(v6);
  const lines = [
    `table inet ${TABLE}`,
    `delete table inet ${TABLE}`,
    `table inet ${TABLE} {`,
    set("lan4", "ipv4_addr", "interval", lan4),
    set("lan6", "ipv6_addr", "interval", lan6),
    ...["sos", "sip", "connections"].flatMap((name) => [
      set(`${name}4`, "ipv4_addr", "dynamic", []),
      set(`${name}6`, "ipv6_addr", "dynamic", []),
    ]),
    "  chain input {",
    "    type filter hook input priority filter; policy accept;",
    '    iifname "lo" accept',
    ...exclusive.map((path) => `    iifname "${path.interface}" goto outside`),
    "    ip saddr @lan4 goto lan",
    "    ip6 saddr @lan6 goto lan",
    ...guarded
      .filter((path) => !exclusive.includes(path))
      .map((path) => `    iifname "${path.interface}" goto outside`),
    "  }",
    "  chain lan {",
    ...lanRules(config),
    "    accept",
    "  }",
    "  chain outside {",
    "    ct state established,related accept",
    "    ct state invalid counter drop",
    "    meta l4proto ipv6-icmp icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, packet-too-big } accept",
    `    meta l4proto { icmp, ipv6-icmp } limit rate ${PING_PER_SECOND}/second accept`,
    "    udp sport 67 udp dport 68 accept",
    "    udp dport 546 accept",
    ...peerRules(config),
    `    udp dport ${config.media.port_min}-${config.media.port_max} accept`,
    "    counter drop",
    "  }",
    "}",
  ];
  const script = `${lines.join("\n")}\n`;
  // So that it can be seen in the kernel which site file's firewall this is.
  const mark = createHash("sha256").update(script).digest("hex").slice(0, 16);
  return script.replace('    iifname "lo" accept\n', `    iifname "lo" accept comment "holdfast ${mark}"\n`);
}

/** Undefined when the kernel's table, as `nft list` prints it, is what this script makes; else what is wrong with it. */
export function firewallFault(script: string, listed: string): string | undefined {
  const mark = /comment "holdfast [0-9a-f]+"/.exec(script)?.[0] ?? "";
  const found = rulesOfChains(listed);
  for (const [chain, rules] of rulesOfChains(script)) {
    if ((found.get(chain) ?? 0) < rules) return `nftables table inet ${TABLE} lacks rules of its chain ${chain}`;
  }
  return listed.includes(mark) ? undefined : `nftables table inet ${TABLE} is that of another site file or release`;
}

/** Lines of each chain: a script of ours and `nft list` both have one line a rule. */
function rulesOfChains(text: string): Map<string, number> {
  const chains = new Map<string, number>();
  let chain: string | undefined;
  for (const line of text.split("\n").map((each) => each.trim())) {
    const begun = /^chain (\w+) \{$/.exec(line)?.[1];
    if (begun !== undefined) chains.set(begun, 0);
    if (begun === undefined && line !== "}" && line !== "" && chain !== undefined) {
      chains.set(chain, (chains.get(chain) ?? 0) + 1);
    }
    chain = begun ?? (line === "}" ? undefined : chain);
  }
  return chains;
}

function sharesLan(config: SiteConfig, path: PathConfig): boolean {
  const same = config.lans.some(
    (lan) =>
      (lan.interface !== undefined && lan.interface === path.interface) ||
      (path.address !== undefined && lan.address === path.address),
  );
  return same || (path.kind === "wan" && config.box.layout === "one_armed");
}

function set(name: string, type: string, flags: "interval" | "dynamic", elements: readonly string[]): string {
  const size = flags === "dynamic" ? " size 8192; timeout 1m;" : " auto-merge;";
  const items = elements.length > 0 ? ` elements = { ${elements.join(", ")} }` : "";
  return `  set ${name} { type ${type}; flags ${flags};${size}${items} }`;
}

function lanRules(config: SiteConfig): string[] {
  const ports = [...new Set(config.lans.map((lan) => lan.sip_port))].join(", ");
  const streams = [...new Set(config.lans.flatMap(({ sip_port, tls }) => [sip_port, tls?.port ?? sip_port]))].join(
    ", ",
  );
  const each = (rule: (family: "ip" | "ip6", suffix: "4" | "6") => string) => [rule("ip", "4"), rule("ip6", "6")];
  return [
    ...emergencyPrefixes(config).flatMap((prefix) =>
      each(
        (family, suffix) =>
          `    udp dport { ${ports} } ${payloadIs(prefix)} ` +
          `update @sos${suffix} { ${family} saddr limit rate ${SOS_PER_SECOND}/second burst ${SOS_BURST} packets } accept`,
      ),
    ),
    ...each(
      (family, suffix) =>
        `    udp dport { ${ports} } ` +
        `update @sip${suffix} { ${family} saddr limit rate over ${SIP_PER_SECOND}/second burst ${SIP_BURST} packets } ` +
        "counter drop",
    ),
    ...each(
      (family, suffix) =>
        `    tcp dport { ${streams} } ct state new update @connections${suffix} ` +
        `{ ${family} saddr limit rate over ${CONNECTIONS_PER_SECOND}/second burst ${CONNECTIONS_BURST} packets } counter drop`,
    ),
  ];
}

/** How an INVITE for an emergency number begins. Only what fits in one comparison; the rest uses the common bucket. */
function emergencyPrefixes(config: SiteConfig): string[] {
  const numbers = config.emergency.numbers.map(({ digits }) => digits);
  const prefixed = config.emergency.outside_prefixes.flatMap((prefix) => numbers.map((number) => prefix + number));
  const targets = [...numbers, ...prefixed].flatMap((number) => [`sip:${number}@`, `tel:${number}`]);
  return [...targets, "urn:servi"].map((target) => `INVITE ${target}`).filter((text) => text.length <= COMPARED_BYTES);
}

/** After the eight bytes of the UDP header. */
function payloadIs(text: string): string {
  return `@th,64,${text.length * 8} 0x${Buffer.from(text, "latin1").toString("hex")}`;
}

/** SIP from the peers of trunks and PBXs to each one's local port. Of a name the addresses are not known here. */
function peerRules(config: SiteConfig): string[] {
  const peers = [
    ...config.pbx_targets.map((pbx, i) => ({ host: pbx.host, port: pbx.local_port ?? 5062 + i })),
    ...config.trunks.map((trunk, i) => ({ host: trunk.host, port: trunk.local_port ?? 5070 + i })),
  ];
  return peers.map(({ host, port }) => {
    const from = literal(host) ? `${v6(host) ? "ip6" : "ip"} saddr ${host} ` : "";
    return `    ${from}meta l4proto { tcp, udp } th dport ${port} accept`;
  });
}
