import type { SiteConfig } from "../../../base/config/schema.ts";

/** The played site: its addresses, its file, and what a phone of it says of its sound. */

export const BOX_LAN = "10.20.0.5";
export const BOX_LTE = "10.50.0.5";
export const PHONE = "10.20.0.101";
export const PHONE_2 = "10.20.0.102";
export const PBX = "10.40.0.10";
export const DIRECT = "10.40.0.20";
export const LTE = "10.60.0.10";

export const phoneSdp = (address = PHONE, formats = "0 8 101") =>
  [
    "v=0",
    `o=- 1 1 IN IP4 ${address}`,
    "s=-",
    `c=IN IP4 ${address}`,
    "t=0 0",
    `m=audio 4000 RTP/AVP ${formats}`,
    "a=sendrecv",
    "",
  ].join("\r\n");

const civic = { country: "US", A1: "CO", A3: "Denver", RD: "Colfax", STS: "Avenue", HNO: "1776", PC: "80203" };

export function siteConfig(change: Partial<SiteConfig> = {}): SiteConfig {
  return {
    v: 1,
    live: false,
    org: { id: "acme", name: "Acme" },
    site: {
      id: "denver",
      name: "Denver",
      time_zone: "UTC",
      location: "front",
      main_number: "+13035550100",
      main_group: ["ext-101", "ext-102"],
      country_code: "1",
    },
    box: { id: "box-1", layout: "one_armed", sip_names: [] },
    certificates: [],
    lans: [{ id: "voice", address: BOX_LAN, subnets: ["10.20.0.0/24"], sip_port: 5060 }],
    paths: [],
    pbx_targets: [
      {
        id: "cloud",
        path: "wan",
        domain: "pbx.example",
        host: PBX,
        port: 5060,
        transport: "udp",
        path_header: true,
        carries_emergency: true,
      },
    ],
    trunks: [],
    carrier_profiles: [],
    emergency: {
      numbers: [
        { digits: "911", class: "sos" },
        { digits: "933", class: "test" },
      ],
      outside_prefixes: ["9"],
      routes: [],
      callback_window_min: 60,
    },
    extensions: [
      {
        id: "ext-101",
        number: "101",
        name: "Front desk",
        username: "101",
        ha1_md5: "0".repeat(32),
        location: "front",
      },
      { id: "ext-102", number: "102", name: "Room 2", username: "102", location: "room-2" },
    ],
    devices: [],
    dids: [{ id: "did-102", number: "+13035550102", extension: "ext-102" }],
    locations: [
      { id: "front", version: 1, label: "Front desk", civic: { ...civic, FLR: "1" } },
      { id: "room-2", version: 3, label: "Room 2", civic: { ...civic, FLR: "2", ROOM: "2" } },
    ],
    people: [],
    failover: {
      hold_down_ms: 30000,
      hold_down_max_ms: 600000,
      running_calls: "stay",
      return_when: "stable",
      return_at: "02:30",
    },
    registrar: { stuck_after_s: 90 },
    media: { port_min: 20000, port_max: 21999 },
    noc: { brokers: [], acknowledge: "application", heartbeat_wan_ms: 30000, heartbeat_lte_ms: 300000 },
    modems: [],
    ups: [],
    gpio_lines: [],
    web: { port: 8080 },
    drill: { max_ms: 1800000 },
    ...change,
  };
}
