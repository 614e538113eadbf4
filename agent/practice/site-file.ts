import { stringify } from "yaml";
import type { SiteConfig } from "../base/config/schema.ts";
import { PRACTICE_CHIP } from "../base/practice-gpio.ts";
import { ha1Of } from "../sip/auth/digest.ts";
import { TRUNK_USER, USERS } from "./accounts.ts";
import { CARRIER_DOMAIN, MAIN_NUMBER, PBX_DOMAIN, type Places, publicNumber } from "./places.ts";

export interface SiteFileFacts {
  readonly places: Places;
  readonly accounts: ReadonlyMap<string, string>;
  readonly carrierPassword: string;
  /** LANs that the box serves: loopback first, then real ones with --lan. */
  readonly lans: readonly { readonly address: string; readonly subnet: string; readonly port: number }[];
  readonly web: { readonly port: number; readonly address?: string };
  readonly ports: {
    readonly pbx: number;
    readonly wanCarrier: number;
    readonly lteCarrier: number;
    readonly stun: number;
    readonly wanBroker: number;
    readonly lteBroker: number;
  };
  /** Ports of the box itself towards PBX and carriers. */
  readonly boxPorts: { readonly pbx: number; readonly wan: number; readonly lte: number };
  /** Pseudo-terminals; undefined where this machine could not give one. */
  readonly modem: string | undefined;
  readonly ups: string | undefined;
}

const EXTENSIONS: Readonly<Record<(typeof USERS)[number], { name: string; location: string }>> = {
  "101": { name: "PRACTICE front desk", location: "loc-front" },
  "102": { name: "PRACTICE room 204", location: "loc-204" },
  "103": { name: "PRACTICE warehouse", location: "loc-warehouse" },
  "201": { name: "PRACTICE your softphone 201", location: "loc-front" },
  "202": { name: "PRACTICE your softphone 202", location: "loc-204" },
};

/** Where the one GPIO input of the practice site is. */
export const MAINS_GPIO = 17;

function civic(inside: Partial<SiteConfig["locations"][number]["civic"]>): SiteConfig["locations"][number]["civic"] {
  return {
    country: "US",
    A1: "CO",
    A3: "Practiceville",
    RD: "Rehearsal",
    STS: "Street",
    HNO: "100",
    NAM: "PRACTICE, no real place",
    PC: "80000",
    ...inside,
  };
}

/** The site file of the practice site, as YAML: a whole small office in which nothing is real. */
export function practiceSiteFile(facts: SiteFileFacts): string {
  const { places, ports, boxPorts } = facts;
  const { wan, lte } = places;
  const config = {
    v: 1,
    live: false,
    org: { id: "practice", name: "PRACTICE organisation" },
    site: {
      id: "practice",
      name: "PRACTICE site",
      location: "loc-front",
      main_number: MAIN_NUMBER,
      main_group: ["ext-101", "ext-102"],
    },
    box: { id: "practice-box", layout: "two_port" },
    lans: facts.lans.map(({ address, subnet, port }, i) => ({
      id: i === 0 ? "practice-lan" : `lan-${i}`,
      address,
      subnets: [subnet],
      sip_port: port,
    })),
    paths: [
      {
        id: "wan",
        kind: "wan",
        address: wan.box,
        echo_responders: [{ kind: "stun", address: wan.stun, port: ports.stun }],
      },
      { id: "lte", kind: "lte", address: lte.box },
    ],
    pbx_targets: [
      {
        id: "practice-pbx",
        path: "wan",
        domain: PBX_DOMAIN,
        host: wan.pbx,
        port: ports.pbx,
        local_port: boxPorts.pbx,
        carrier_profile: "by-value",
      },
    ],
    trunks: [
      {
        id: "practice-wan-trunk",
        path: "wan",
        roles: ["emergency"],
        host: wan.carrier,
        port: ports.wanCarrier,
        local_port: boxPorts.wan,
        carrier_profile: "by-value",
      },
      {
        id: "practice-lte-trunk",
        path: "lte",
        roles: ["emergency", "main_number"],
        host: lte.carrier,
        port: ports.lteCarrier,
        transport: "tcp",
        local_port: boxPorts.lte,
        carrier_profile: "by-value",
        registration: {
          aor: `sip:${MAIN_NUMBER}@${CARRIER_DOMAIN}`,
          username: TRUNK_USER,
          password: facts.carrierPassword,
        },
      },
    ],
    carrier_profiles: [{ id: "by-value" }],
    emergency: {
      routes: ["practice-pbx", "practice-wan-trunk", "practice-lte-trunk"],
      // The shortest there is: until it is over, calls stay off a WAN that has come back.
      callback_window_min: 5,
    },
    failover: { hold_down_ms: 10_000 },
    extensions: USERS.map((number) => ({
      id: `ext-${number}`,
      number,
      username: number,
      name: EXTENSIONS[number].name,
      location: EXTENSIONS[number].location,
      caller_number: publicNumber(number),
      ha1_md5: ha1Of("MD5", number, PBX_DOMAIN, facts.accounts.get(number) ?? ""),
    })),
    dids: USERS.map((number) => ({ id: `did-${number}`, number: publicNumber(number), extension: `ext-${number}` })),
    locations: [
      { id: "loc-front", label: "PRACTICE front desk", civic: civic({ FLR: "1", LOC: "front desk" }) },
      { id: "loc-204", label: "PRACTICE room 204", civic: civic({ FLR: "2", ROOM: "204" }) },
      { id: "loc-warehouse", label: "PRACTICE warehouse", civic: civic({ BLD: "Warehouse", FLR: "1" }) },
    ],
    noc: {
      brokers: [
        { id: "practice-noc", host: wan.broker, port: ports.wanBroker, paths: ["wan"] },
        { id: "practice-noc-lte", host: lte.broker, port: ports.lteBroker, paths: ["lte"] },
      ],
    },
    modems: facts.modem === undefined ? [] : [{ id: "practice-modem", path: "lte", port: facts.modem }],
    ups: facts.ups === undefined ? [] : [{ id: "practice-ups", protocol: "megatec", port: facts.ups }],
    gpio_lines: [{ id: "practice-mains", chip: PRACTICE_CHIP, offset: MAINS_GPIO, meaning: "mains_present" }],
    web: { port: facts.web.port, ...(facts.web.address === undefined ? {} : { address: facts.web.address }) },
  };
  return `# PRACTICE: made anew at each start; nothing in it is real.\n${stringify(config)}`;
}
