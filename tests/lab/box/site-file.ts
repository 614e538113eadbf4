/** The site file of the lab's box. */
import { createHash } from "node:crypto";
import { stringify } from "yaml";
import type { SiteConfig } from "../../../agent/base/config/schema.ts";
import {
  carrierAccount,
  cellular,
  domains,
  type Extension,
  extensions,
  hosts,
  interfaces,
  lan,
  numbers,
  ports,
  siteLocation,
  six,
  trunkAccount,
} from "../addresses.ts";
import { type Layout, wanPort } from "../network.ts";

export interface SiteOptions {
  /** False: no echo responder is named, so that other evidence has to do. */
  readonly echo_responder?: boolean;
  readonly trunk_transport?: "udp" | "tcp";
  readonly pbx_transport?: "udp" | "tcp";
  readonly hold_down_ms?: number;
  readonly return_when?: "stable" | "idle" | "hour";
  /** The cloud has a second edge, for when the first is gone; telephones refresh every 30 s. */
  readonly second_pbx?: boolean;
  /** Every peer is found by its name, and its port by SRV. */
  readonly by_name?: boolean;
  /** A 911 trunk over the WAN, tried between the cloud and LTE. */
  readonly direct_trunk?: boolean;
  /** A 911 carrier over the WAN, tried before all else, which SIPp plays (see weather/carrier.ts). */
  readonly carrier?: { readonly transport: "udp" | "tcp" };
  /** So many more telephones with a provisioned secret, numbered from 2001 on; each password is `pw-` and the number. */
  readonly more_phones?: number;
  /** Phones may use TLS, and the carrier's edge for TLS takes the place of its plain trunk, first for 911. */
  readonly secure?: {
    readonly certificate_file: string;
    readonly key_file: string;
    /** The authority that the trunk's certificate must come from. */
    readonly ca_file: string;
  };
  /** Phones may use IPv6 too, and the carrier's network and trunk know nothing else; that trunk is first for 911. */
  readonly six?: boolean;
  /** Telephones refresh at the box this often, s, and the cloud hears of them more seldom. */
  readonly lan_expires_s?: number;
  /** A telephone is called stuck so long after the return, s. */
  readonly stuck_after_s?: number;
  /** The secrets that are provisioned for 101 to 103; default: MD5 for 101 and 102. */
  readonly secrets?: readonly ("md5" | "sha256")[];
  /** The file ends in the middle, as after a power cut while it was saved. */
  readonly half_written?: boolean;
}

/** The file's form before defaults are filled in. */
type Written = { readonly [Key in keyof SiteConfig]?: unknown };

const ha1 = (phone: Pick<Extension, "user" | "password">, algorithm: "md5" | "sha256" = "md5"): string =>
  createHash(algorithm).update(`${phone.user}:${domains.pbx}:${phone.password}`).digest("hex");

const secretsOf = (phone: Extension, algorithms: readonly ("md5" | "sha256")[]) =>
  Object.fromEntries(algorithms.map((algorithm) => [`ha1_${algorithm}`, ha1(phone, algorithm)]));

const morePhones = (count: number) =>
  Array.from({ length: count }, (_, n) => {
    const user = String(2001 + n);
    return {
      id: `ext-${user}`,
      number: user,
      name: user,
      username: user,
      ha1_md5: ha1({ user, password: `pw-${user}` }),
    };
  });

/** 101 and 102 have a provisioned secret and a room of their own, the others have neither. */
export function siteFile(layout: Layout, options: SiteOptions = {}): string {
  const host = (name: string, address: string) => (options.by_name ? name : address);
  const pbx = {
    path: "wan",
    domain: domains.pbx,
    transport: options.pbx_transport ?? "udp",
    carrier_profile: "by-value",
  } as const;
  const port = wanPort(layout);
  const { secure } = options;
  const written: Written = {
    v: 1,
    live: true,
    org: { id: "lab", name: "Lab" },
    site: {
      id: "branch-77",
      name: "Branch 77",
      time_zone: "America/Chicago",
      location: "loc-site",
      main_number: numbers.main,
      main_group: ["ext-101", "ext-102"],
    },
    box: { id: "box-1", layout: layout.box === "two-port" ? "two_port" : "one_armed", sip_names: [domains.box] },
    ...(secure === undefined
      ? {}
      : { certificates: [{ id: "box", certificate_file: secure.certificate_file, key_file: secure.key_file }] }),
    lans: [
      {
        id: "voice",
        interface: interfaces.box.lan,
        address: lan.box,
        subnets: [lan.network],
        dns_port: ports.dns,
        ...(secure === undefined ? {} : { tls: { certificate: "box" } }),
      },
      ...(options.six ? [{ id: "voice-6", interface: interfaces.box.lan, address: six.box, subnets: [six.lan] }] : []),
    ],
    paths: [
      {
        id: "wan",
        kind: "wan",
        interface: port.interface,
        address: port.address,
        gateway: port.gateway,
        table: 101,
        dns_servers: layout.box === "two-port" ? [hosts.dns] : [lan.router],
        ...(options.echo_responder === false
          ? {}
          : { echo_responders: [{ kind: "udp_echo", address: hosts.echo, port: ports.echo }] }),
      },
      {
        id: "lte",
        kind: "lte",
        interface: interfaces.box.lte,
        table: 102,
        ...(options.six
          ? { address: six.cellular_box, gateway: six.cellular_edge }
          : { address: cellular.box, gateway: cellular.edge, dns_servers: [hosts.lteDns] }),
      },
    ],
    pbx_targets: [
      { ...pbx, id: "cloud", host: host(domains.pbx, hosts.pbx), local_port: 5080 },
      ...(options.second_pbx ? [{ ...pbx, id: "cloud-2", host: hosts.secondPbx, local_port: 5082 }] : []),
    ],
    trunks: [
      {
        id: "lte-trunk",
        path: "lte",
        roles: ["emergency", "main_number"],
        ...(secure === undefined
          ? {
              host: options.six ? six.trunk : host(domains.lteTrunk, hosts.lteTrunk),
              transport: options.trunk_transport ?? "udp",
            }
          : {
              host: domains.secureTrunk,
              port: ports.sips,
              transport: "tls",
              tls: { certificate: "box", ca_file: secure.ca_file },
            }),
        local_port: 5070,
        carrier_profile: "by-value",
        registration: {
          aor: `sip:${numbers.main}@${trunkDomain(options)}`,
          username: trunkAccount.user,
          password: trunkAccount.password,
          expires_s: 60,
        },
      },
      ...(options.direct_trunk ? [directTrunk] : []),
      ...(options.carrier === undefined ? [] : [{ ...carrierTrunk, transport: options.carrier.transport }]),
    ],
    carrier_profiles: [{ id: "by-value" }, { id: "impatient", ring_deadline_ms: CARRIER_RING_DEADLINE_MS }],
    emergency: { routes: emergencyRoutes(options) },
    extensions: [
      {
        id: "ext-101",
        number: extensions.baresip101.user,
        name: "Front desk",
        username: extensions.baresip101.user,
        ...secretsOf(extensions.baresip101, options.secrets ?? ["md5"]),
        location: "loc-room-1",
      },
      {
        id: "ext-102",
        number: extensions.baresip102.user,
        name: "Room 2",
        username: extensions.baresip102.user,
        ...secretsOf(extensions.baresip102, options.secrets ?? ["md5"]),
        location: "loc-room-2",
      },
      {
        id: "ext-103",
        number: extensions.linphone103.user,
        name: "Lobby",
        username: extensions.linphone103.user,
        ...secretsOf(extensions.linphone103, options.secrets ?? []),
      },
      { id: "ext-104", number: extensions.linphone104.user, name: "Store", username: extensions.linphone104.user },
      { id: "ext-105", number: extensions.linphone105.user, name: "Yard", username: extensions.linphone105.user },
      ...morePhones(options.more_phones ?? 0),
    ],
    dids: [{ id: "did-main", number: numbers.main }],
    locations: [
      { id: "loc-site", label: "Whole site", civic: siteLocation },
      { id: "loc-room-1", label: "Front desk", civic: { ...siteLocation, FLR: "1", ROOM: "101" } },
      { id: "loc-room-2", label: "Room 2", civic: { ...siteLocation, FLR: "2", ROOM: "202" } },
    ],
    registrar: {
      ...(options.second_pbx ? { lan_expires_s: 30 } : {}),
      ...(options.lan_expires_s === undefined ? {} : { lan_expires_s: options.lan_expires_s }),
      ...(options.stuck_after_s === undefined ? {} : { stuck_after_s: options.stuck_after_s }),
    },
    failover: { hold_down_ms: options.hold_down_ms ?? 3000, return_when: options.return_when ?? "stable" },
    noc: {
      brokers: [{ id: "noc", host: hosts.broker, paths: ["wan", "lte"] }],
      heartbeat_wan_ms: 2000,
      heartbeat_lte_ms: 2000,
    },
    web: { port: ports.api },
  };
  const text = stringify(written);
  return options.half_written ? text.slice(0, text.indexOf("trunks:") + 60) : text;
}

const directTrunk = {
  id: "direct-911",
  path: "wan",
  roles: ["emergency"],
  host: hosts.directTrunk,
  transport: "udp",
  local_port: 5072,
  carrier_profile: "by-value",
} as const;

/** How long the carrier that SIPp plays may take from its 100 to ringing. */
export const CARRIER_RING_DEADLINE_MS = 1000;

const carrierTrunk = {
  id: "carrier",
  path: "wan",
  roles: ["emergency"],
  host: hosts.carrier,
  local_port: 5074,
  carrier_profile: "impatient",
  registration: {
    aor: `sip:${carrierAccount.user}@${hosts.carrier}`,
    username: carrierAccount.user,
    password: carrierAccount.password,
    expires_s: 3600,
  },
} as const;

function trunkDomain({ secure, six: ofSix }: SiteOptions): string {
  if (secure !== undefined) return domains.secureTrunk;
  return ofSix ? domains.sixTrunk : domains.lteTrunk;
}

function emergencyRoutes({ carrier, secure, six: ofSix, second_pbx, direct_trunk }: SiteOptions): readonly string[] {
  if (carrier !== undefined) return [carrierTrunk.id, "lte-trunk", "cloud"];
  if (secure !== undefined || ofSix) return ["lte-trunk", "cloud"];
  const second = second_pbx ? ["cloud-2"] : [];
  return ["cloud", ...second, ...(direct_trunk ? [directTrunk.id] : []), "lte-trunk"];
}
