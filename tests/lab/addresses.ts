/**
 * Every address, interface, name and number of the lab. Public sides use the documentation networks (RFC 5737), numbers
 * are from the fictional 555-01xx range, names end in `.example` (RFC 2606).
 *
 *   phones -- switch(lan) -- router(isp) ------- internet(wan): cloud PBX, direct 911 trunk, PSAP, DNS, broker
 *                 |              |                      |
 *                box ------------+ (two-port)      core link
 *                 |                                     |
 *                 +-------- cellular ---------- carrier(lte): trunk with the main number, PSAP, outside telephone
 */
export const phoneNamespaces = ["phone101", "phone102", "phone103", "phone104", "phone105"] as const;
export const remoteNamespaces = ["psap-wan", "psap-lte", "outside"] as const;
/** `cgnat` lies between the box and the carrier where a scenario wants it, else it is not connected. */
export const namespaces = [
  "lan",
  "box",
  "isp",
  "cgnat",
  "wan",
  "lte",
  ...phoneNamespaces,
  ...remoteNamespaces,
] as const;
export type Namespace = (typeof namespaces)[number];

export const lan = {
  prefix: 24,
  network: "10.77.1.0/24",
  switch: "sw0",
  /** The site's router; also its DNS proxy. */
  router: "10.77.1.1",
  box: "10.77.1.2",
  /** A spare address on the switch for probes of the lab's own. */
  probe: "10.77.1.200",
} as const;

/** The box's own WAN port, in the two-port layout. */
export const uplink = { prefix: 24, network: "10.77.2.0/24", router: "10.77.2.1", box: "10.77.2.2" } as const;

/** The router's way to the internet. */
export const internet = { prefix: 30, router: "203.0.113.2", edge: "203.0.113.1" } as const;

export const cellular = { prefix: 30, box: "198.51.100.2", edge: "198.51.100.1" } as const;

/** Behind a carrier-grade NAT: its outer side (RFC 6598). */
export const carrierNat = {
  prefix: 30,
  network: "100.64.0.0/30",
  outside: "100.64.0.2",
  gateway: "100.64.0.1",
} as const;

/** Between the internet and the carrier, so that the cloud can be reached over cellular data too. */
export const core = { prefix: 30, wan: "192.0.2.1", lte: "192.0.2.2" } as const;

export const interfaces = {
  box: { lan: "eth0", wan: "wan0", lte: "lte0" },
  isp: { lan: "lan0", site: "site0", internet: "wan0" },
  wan: { isp: "isp0", core: "core0", hosts: "hosts0" },
  cgnat: { inside: "in0", outside: "out0" },
  lte: { cell: "cell0", core: "core0", hosts: "hosts0" },
} as const;

export const hosts = {
  pbx: "203.0.113.10",
  /** The cloud's second edge, and the carrier's: not there unless a scenario wants them. */
  secondPbx: "203.0.113.11",
  secondLteTrunk: "198.51.100.61",
  directTrunk: "203.0.113.20",
  /** A 911 carrier that SIPp plays. */
  carrier: "203.0.113.21",
  dns: "203.0.113.53",
  psapWan: "203.0.113.91",
  echo: "203.0.113.99",
  broker: "192.0.2.40",
  lteTrunk: "198.51.100.60",
  /** The same carrier's edge for TLS. */
  secureTrunk: "198.51.100.61",
  lteDns: "198.51.100.53",
  outside: "198.51.100.70",
  psapLte: "198.51.100.91",
  lteEcho: "198.51.100.99",
} as const;

/** Servers live on addresses of the internet's and the carrier's namespace; telephones are machines of their own. */
export const wanHosts: readonly string[] = [
  hosts.pbx,
  hosts.directTrunk,
  hosts.carrier,
  hosts.dns,
  hosts.echo,
  hosts.broker,
];
export const lteHosts: readonly string[] = [hosts.lteTrunk, hosts.secureTrunk, hosts.lteDns, hosts.lteEcho];

export const ports = { sip: 5060, sips: 5061, dns: 53, mqtt: 1883, echo: 7, api: 8080 } as const;

export const domains = {
  pbx: "pbx.lab.example",
  box: "box.site.example",
  lteTrunk: "trunk.lte.example",
  secureTrunk: "secure.lte.example",
  sixTrunk: "six.lte.example",
  directTrunk: "e911.wan.example",
  broker: "noc.example",
} as const;

/** Names the DNS servers answer; `box.site.example` is asked for when a phone looks for its outbound proxy. */
export const names: Readonly<Record<string, string>> = {
  [domains.pbx]: hosts.pbx,
  [domains.box]: lan.box,
  [domains.lteTrunk]: hosts.lteTrunk,
  [domains.secureTrunk]: hosts.secureTrunk,
  [domains.directTrunk]: hosts.directTrunk,
  [domains.broker]: hosts.broker,
};

export const numbers = { main: "+13125550100", outside: "+13125550199", emergency: "911" } as const;

export interface Extension {
  /** A telephone is a machine of its own on the switch, with its own address and MAC. */
  readonly namespace: (typeof phoneNamespaces)[number];
  readonly user: string;
  readonly password: string;
  readonly address: string;
  readonly sip_port: number;
  readonly rtp_port: number;
  /** The tone it sends; every telephone of the lab has its own, none a harmonic of another. */
  readonly tone_hz: number;
}

const extension = (user: "101" | "102" | "103" | "104" | "105", n: number, tone_hz: number): Extension => ({
  namespace: `phone${user}`,
  user,
  password: `pw-${user}`,
  address: `10.77.1.${100 + n}`,
  sip_port: 5060,
  rtp_port: 20_000 + 200 * n,
  tone_hz,
});

export const extensions = {
  baresip101: extension("101", 1, 440),
  baresip102: extension("102", 2, 620),
  linphone103: extension("103", 3, 810),
  linphone104: extension("104", 4, 1730),
  linphone105: extension("105", 5, 1970),
} as const;

export interface RemotePhone {
  readonly namespace: (typeof remoteNamespaces)[number];
  /** Whose network it is on, and its gateway there. */
  readonly on: "wan" | "lte";
  readonly gateway: string;
  readonly user: string;
  readonly address: string;
  readonly tone_hz: number;
  readonly rtp_port: number;
}

const onWan = { on: "wan", gateway: internet.edge } as const;
const onLte = { on: "lte", gateway: cellular.edge } as const;

export const remotePhones = {
  psapWan: { namespace: "psap-wan", ...onWan, user: "psap", address: hosts.psapWan, tone_hz: 1010, rtp_port: 21_000 },
  psapLte: { namespace: "psap-lte", ...onLte, user: "psap", address: hosts.psapLte, tone_hz: 1230, rtp_port: 21_200 },
  outside: {
    namespace: "outside",
    ...onLte,
    user: numbers.outside,
    address: hosts.outside,
    tone_hz: 1530,
    rtp_port: 21_400,
  },
} as const satisfies Readonly<Record<string, RemotePhone>>;

/**
 * IPv6 (RFC 3849 and unique local addresses), which only the scenarios of two families put on top. The carrier's link is
 * of IPv6 alone there, as many a cellular network is.
 */
export const six = {
  prefix: 64,
  lan: "fd77:1::/64",
  box: "fd77:1::2",
  phone102: "fd77:1::102",
  cellular_box: "2001:db8:6::2",
  cellular_edge: "2001:db8:6::1",
  trunk: "2001:db8:60::61",
  psap: "2001:db8:60::91",
  psap_gateway: "2001:db8:60::90",
} as const;

/** All tones in use; the recogniser says which of these is in a recording. */
export const tones_hz: readonly number[] = [
  ...Object.values(extensions).map((phone) => phone.tone_hz),
  ...Object.values(remotePhones).map((phone) => phone.tone_hz),
];

export const carrierAccount = { user: "box77", password: "pw-carrier-77" } as const;

export const trunkAccount = { user: "site77", password: "pw-trunk-77" } as const;

/** The site's address in civic elements (RFC 5139), as a PSAP must see it. */
export const siteLocation = {
  country: "US",
  A1: "IL",
  A3: "Springfield",
  RD: "Larch",
  STS: "Street",
  HNO: "1200",
  PC: "62701",
  NAM: "Branch 77",
} as const;
