import { type Static, type TSchema, Type } from "typebox";

/**
 * The one schema of the site file. Each key carries what a form needs: `title` (label), `default`, `x-unit` where the
 * key's name does not end in it, and `x-restart` when a change waits for an idle moment instead of applying at once.
 * Everything plural is a list keyed by a stable id. Numbers that people dial are strings; public ones are E.164.
 */
const id = (title: string) =>
  Type.String({ title, pattern: "^[a-z0-9][a-z0-9-]{0,62}$", description: "lower-case letters, digits and hyphens" });
const text = (title: string, maxLength = 120) => Type.String({ title, minLength: 1, maxLength });
const e164 = (title: string) =>
  Type.String({ title, pattern: "^\\+[1-9][0-9]{6,14}$", description: "E.164, such as +13035550100" });
const digits = (title: string) =>
  Type.String({ title, pattern: "^[0-9*#]{1,20}$", description: "digits as dialled, in quotes" });
const host = (title: string) =>
  Type.String({
    title,
    pattern: "^[A-Za-z0-9]([A-Za-z0-9.:-]{0,253}[A-Za-z0-9])?$",
    description: "name or IP address",
  });
const address = (title: string) =>
  Type.String({ title, pattern: "^[0-9a-fA-F.:]{2,45}$", description: "IPv4 or IPv6 address" });
const port = (title: string, fallback?: number) =>
  Type.Integer({ title, minimum: 1, maximum: 65535, ...(fallback === undefined ? {} : { default: fallback }) });
const ms = (title: string, minimum: number, maximum: number, fallback: number) =>
  Type.Integer({ title, minimum, maximum, default: fallback });
const list = <T extends TSchema>(item: T, title: string, options: { minItems?: number } = {}) =>
  Type.Array(item, { title, maxItems: 2000, default: [], ...options });
const closed = { additionalProperties: false } as const;
const restart = { "x-restart": true } as const;

const pemFile = (title: string) =>
  Type.String({
    title,
    pattern: "^/[^\\u0000]{1,250}$",
    description: "a file name from the root, such as /etc/holdfast/box.pem",
  });

export const Certificate = Type.Object(
  {
    id: id("Certificate id"),
    certificate_file: pemFile("Certificate and the chain to its authority, PEM"),
    key_file: pemFile("Its private key, PEM, readable for Holdfast alone"),
  },
  { title: "Certificate of the box; a changed file is taken over within seconds", ...closed },
);

/** TLS towards a trunk or a PBX. */
const PeerTls = Type.Object(
  {
    certificate: Type.Optional(id("Certificate that the box presents, and with which it takes the peer's connections")),
    ca_file: Type.Optional(
      pemFile("Authorities that the peer's certificate must come from, PEM (else the public ones)"),
    ),
    identity: Type.Optional(
      Type.String({
        title: "SIP domain that the peer's certificate must name (else the PBX's domain, the trunk's host)",
        pattern: "^(\\*\\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$",
        description: "a domain name; with a leading *. only where the provider's certificate says exactly that",
      }),
    ),
  },
  { title: "TLS", ...closed },
);

export const Transport = Type.Union([Type.Literal("udp"), Type.Literal("tcp"), Type.Literal("tls")], {
  title: "SIP transport",
  default: "udp",
});

/** Of a peer found by name, `auto` leaves the choice to its name servers (RFC 3263). */
const PeerTransport = Type.Union([...Transport.anyOf, Type.Literal("auto")], {
  title: "SIP transport",
  default: "udp",
  description: "auto: as the name's NAPTR and SRV records say, TCP before UDP",
});
const peerPort = Type.Optional(
  Type.Integer({
    title: "Port (left out: found by SRV where the host is a name, else the transport's own)",
    minimum: 1,
    maximum: 65535,
  }),
);

/** RFC 5139 civic address elements; the PIDF-LO printer puts them in the order the schema demands. */
export const CivicAddress = Type.Object(
  {
    country: Type.String({ title: "Country", pattern: "^[A-Z]{2}$", description: "ISO 3166 code, such as US" }),
    A1: Type.Optional(text("State or province")),
    A2: Type.Optional(text("County")),
    A3: Type.Optional(text("City")),
    PRD: Type.Optional(text("Street direction before the name", 16)),
    RD: Type.Optional(text("Street name")),
    STS: Type.Optional(text("Street type", 40)),
    POD: Type.Optional(text("Street direction after the name", 16)),
    HNO: Type.Optional(text("House number", 20)),
    HNS: Type.Optional(text("House number suffix", 20)),
    LMK: Type.Optional(text("Landmark")),
    LOC: Type.Optional(text("Additional location text")),
    FLR: Type.Optional(text("Floor", 20)),
    NAM: Type.Optional(text("Name of the place")),
    PC: Type.Optional(text("Postal code", 16)),
    BLD: Type.Optional(text("Building")),
    UNIT: Type.Optional(text("Unit, suite", 40)),
    ROOM: Type.Optional(text("Room", 40)),
    SEAT: Type.Optional(text("Seat, desk", 40)),
    PLC: Type.Optional(text("Type of place", 40)),
  },
  { title: "Civic address (RFC 5139)", ...closed },
);

export const Location = Type.Object(
  {
    id: id("Location id"),
    version: Type.Integer({
      title: "Version",
      minimum: 1,
      default: 1,
      description: "a changed address is a new version",
    }),
    label: text("Name people use"),
    civic: CivicAddress,
    validated_on: Type.Optional(
      Type.String({ title: "Validated with the 911 provider on", pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" }),
    ),
    carrier_location_id: Type.Optional(
      Type.String({ title: "The carrier's own identifier", pattern: "^[A-Za-z0-9._-]{1,50}$" }),
    ),
  },
  { title: "Location", ...closed },
);

export const EchoResponder = Type.Object(
  {
    kind: Type.Union([Type.Literal("stun"), Type.Literal("udp_echo")], {
      title: "Kind",
      description: "stun (RFC 8489 binding) or udp_echo (RFC 862)",
    }),
    address: address("Address"),
    port: port("Port"),
  },
  { title: "Echo responder that may be probed every 250 ms", ...closed },
);

export const Path = Type.Object(
  {
    id: id("Path id"),
    kind: Type.Union([Type.Literal("wan"), Type.Literal("lte"), Type.Literal("modem")], { title: "Kind of path" }),
    interface: Type.Optional(Type.String({ title: "Network interface", pattern: "^[A-Za-z0-9_.-]{1,15}$" })),
    address: Type.Optional(address("Local address (else the interface's first)")),
    gateway: Type.Optional(address("Gateway (else the one the system learned)")),
    table: Type.Optional(Type.Integer({ title: "Routing table", minimum: 100, maximum: 32000 })),
    dns_servers: list(address("DNS server"), "DNS servers of this path"),
    echo_responders: list(EchoResponder, "Echo responders"),
    tcp_canary: Type.Optional(
      Type.Object({ address: address("Address"), port: port("Port") }, { title: "TCP canary", ...closed }),
    ),
    data_budget_mb: Type.Optional(Type.Integer({ title: "Data budget a month", minimum: 1, maximum: 1_000_000 })),
  },
  { title: "Path", ...closed, ...restart },
);

const Registration = Type.Object(
  {
    aor: text("Address of record", 200),
    username: text("User name"),
    password: text("Password"),
    expires_s: Type.Integer({ title: "Expiry asked for", minimum: 30, maximum: 86400, default: 300 }),
  },
  { title: "Registration of the trunk", ...closed },
);

export const Trunk = Type.Object(
  {
    id: id("Trunk id"),
    path: id("Path it is reached over"),
    roles: Type.Array(Type.Union([Type.Literal("emergency"), Type.Literal("main_number")]), {
      title: "What it may carry",
      minItems: 1,
    }),
    host: host("Name or address"),
    port: peerPort,
    transport: PeerTransport,
    tls: Type.Optional(PeerTls),
    local_port: Type.Optional(port("Local source port (not 5060)")),
    carrier_profile: id("Carrier profile"),
    registration: Type.Optional(Registration),
  },
  { title: "Trunk", ...closed },
);

export const PbxTarget = Type.Object(
  {
    id: id("PBX target id"),
    path: id("Path it is reached over"),
    domain: host("SIP domain of the phones' addresses"),
    realm: Type.Optional(text("Digest realm (else the domain)")),
    host: host("Name or address"),
    port: peerPort,
    transport: PeerTransport,
    tls: Type.Optional(PeerTls),
    local_port: Type.Optional(port("Local source port (not 5060)")),
    path_header: Type.Boolean({
      title: "The PBX knows Path (RFC 3327); else the contact is rewritten with a token",
      default: true,
    }),
    detour_path: Type.Optional(
      Type.String({
        title: "Path to it for running calls when its own path dies (else the first LTE data path)",
        pattern: "^[a-z0-9][a-z0-9-]{0,62}$",
        description: "a path id",
      }),
    ),
    carries_emergency: Type.Boolean({ title: "911 may be sent to it", default: true }),
    carrier_profile: Type.Optional(id("Carrier profile for 911 through the PBX")),
  },
  { title: "Cloud PBX", ...closed },
);

export const CarrierProfile = Type.Object(
  {
    id: id("Carrier profile id"),
    request_uri: Type.String({
      title: "Request-URI of a call",
      default: "sip:{number}@{host}",
      maxLength: 200,
      pattern: "^(sip|sips|tel|urn):",
      description: "{number} and {host} are filled in",
    }),
    caller_identity: Type.Union([Type.Literal("from"), Type.Literal("from_and_pai")], {
      title: "Where the calling number goes",
      default: "from_and_pai",
    }),
    location: Type.Union(
      [Type.Literal("value"), Type.Literal("reference"), Type.Literal("carrier_id"), Type.Literal("none")],
      {
        title: "How location is conveyed (RFC 6442 by value or by reference, or the carrier's identifier)",
        default: "value",
      },
    ),
    location_reference: Type.Optional(
      Type.String({ title: "Location URI for `reference`", maxLength: 300, description: "{location} is filled in" }),
    ),
    geolocation_routing: Type.Boolean({ title: "Geolocation-Routing: yes", default: true }),
    ring_deadline_ms: ms("Longest wait for ringing after 100 Trying", 1000, 60000, 10000),
  },
  { title: "Carrier profile", ...closed },
);

export const Extension = Type.Object(
  {
    id: id("Extension id"),
    number: digits("Number"),
    name: text("Name"),
    username: text("SIP user (user part of the address of record)", 64),
    ha1_md5: Type.Optional(Type.String({ title: "HA1, MD5 (username:realm:password)", pattern: "^[0-9a-f]{32}$" })),
    ha1_sha256: Type.Optional(Type.String({ title: "HA1, SHA-256", pattern: "^[0-9a-f]{64}$" })),
    caller_number: Type.Optional(e164("Number shown to outside callees and PSAPs (else the main number)")),
    location: Type.Optional(id("Location")),
  },
  { title: "Extension", ...closed },
);

export const Device = Type.Object(
  {
    id: id("Device id"),
    extension: id("Extension"),
    label: text("Name people use"),
    mac: Type.Optional(Type.String({ title: "MAC address", pattern: "^([0-9a-f]{2}:){5}[0-9a-f]{2}$" })),
    instance: Type.Optional(text("SIP instance id (+sip.instance)", 100)),
    location: Type.Optional(id("Location")),
  },
  { title: "Device (phone)", ...closed },
);

export const Lan = Type.Object(
  {
    id: id("LAN id"),
    interface: Type.Optional(Type.String({ title: "Network interface", pattern: "^[A-Za-z0-9_.-]{1,15}$" })),
    address: address("The box's address in it"),
    subnets: list(
      Type.String({ title: "Subnet", pattern: "^[0-9a-fA-F.:]+/[0-9]{1,3}$", description: "such as 10.20.0.0/24" }),
      "Subnets whose phones may use the box",
      { minItems: 1 },
    ),
    sip_port: port("SIP port for phones, UDP and TCP", 5060),
    tls: Type.Optional(
      Type.Object(
        {
          certificate: id("Certificate that phones meet; it should name what they call the box"),
          port: port("SIP port for phones, TLS", 5061),
          client_ca_file: Type.Optional(
            pemFile("Phones must present a certificate of these authorities, PEM (else none is asked for)"),
          ),
        },
        { title: "SIP over TLS for phones", ...closed },
      ),
    ),
    dns_port: Type.Optional(port("Port of the box's DNS; left out: no DNS here")),
    location: Type.Optional(id("Location of phones in it that have none of their own")),
  },
  { title: "LAN or VLAN with phones", ...closed, ...restart },
);

const Broker = Type.Object(
  {
    id: id("Broker id"),
    host: host("Name or address"),
    port: port("Port", 1883),
    tls: Type.Boolean({ title: "TLS", default: false }),
    username: Type.Optional(text("User name")),
    password: Type.Optional(text("Password")),
    paths: Type.Array(id("Path"), { title: "Paths to it, first choice first", minItems: 1 }),
  },
  { title: "MQTT broker", ...closed },
);

const GpioLine = Type.Object(
  {
    id: id("GPIO line id"),
    chip: text("Chip label", 40),
    offset: Type.Integer({ title: "Line offset", minimum: 0, maximum: 511 }),
    meaning: Type.Union([Type.Literal("mains_present"), Type.Literal("battery_low"), Type.Literal("door_open")], {
      title: "What it tells",
    }),
    active: Type.Union([Type.Literal("high"), Type.Literal("low")], { title: "Level that means yes", default: "high" }),
    debounce_ms: ms("Debounce", 0, 10000, 2000),
  },
  { title: "GPIO line", ...closed },
);

export const SiteConfig = Type.Object(
  {
    v: Type.Literal(1, { title: "Version of this file's form" }),
    live: Type.Boolean({ title: "Real equipment may be used", default: false, ...restart }),
    org: Type.Object({ id: id("Organisation id"), name: text("Organisation") }, { title: "Organisation", ...closed }),
    site: Type.Object(
      {
        id: id("Site id"),
        name: text("Site"),
        time_zone: Type.String({ title: "Time zone", pattern: "^[A-Za-z_]+(/[A-Za-z0-9_+-]+)*$", default: "UTC" }),
        location: id("Location of the site: where 911 sends help when a phone has none of its own"),
        main_number: e164("Main number"),
        main_group: list(id("Extension id"), "Extensions that ring for the main number"),
        country_code: Type.String({ title: "Country calling code", pattern: "^[1-9][0-9]{0,2}$", default: "1" }),
      },
      { title: "Site", ...closed },
    ),
    box: Type.Object(
      {
        id: id("Box id"),
        layout: Type.Union([Type.Literal("one_armed"), Type.Literal("two_port")], {
          title: "How the box is cabled",
          default: "one_armed",
          ...restart,
        }),
        sip_names: list(host("Name"), "Names by which phones reach the box; the box's DNS answers for them"),
      },
      { title: "Box", ...closed },
    ),
    certificates: list(Certificate, "Certificates of the box"),
    lans: list(Lan, "LANs", { minItems: 1 }),
    paths: list(Path, "Paths out of the building", { minItems: 1 }),
    pbx_targets: list(PbxTarget, "Cloud PBXs, first choice first"),
    trunks: list(Trunk, "Trunks"),
    carrier_profiles: list(CarrierProfile, "Carrier profiles"),
    emergency: Type.Object(
      {
        numbers: Type.Array(
          Type.Object(
            {
              digits: digits("Digits"),
              class: Type.Union([Type.Literal("sos"), Type.Literal("test")], { title: "Class" }),
            },
            closed,
          ),
          {
            title: "Emergency numbers",
            default: [
              { digits: "911", class: "sos" },
              { digits: "933", class: "test" },
            ],
          },
        ),
        outside_prefixes: Type.Array(digits("Prefix"), { title: "Outside-line prefixes", default: ["9"] }),
        routes: list(id("PBX target or trunk id"), "Order in which 911 is tried; what is not named comes after"),
        callback_window_min: Type.Integer({ title: "Callback window", minimum: 5, maximum: 1440, default: 60 }),
      },
      { title: "Emergency calls", default: {}, ...closed },
    ),
    extensions: list(Extension, "Extensions"),
    devices: list(Device, "Devices"),
    dids: list(
      Type.Object(
        {
          id: id("DID id"),
          number: e164("Number"),
          extension: Type.Optional(id("Extension it rings (else the main group)")),
        },
        { title: "DID", ...closed },
      ),
      "DIDs",
    ),
    locations: list(Location, "Locations", { minItems: 1 }),
    people: list(
      Type.Object(
        {
          id: id("Person id"),
          name: text("Name"),
          role: Type.Union(
            [
              Type.Literal("installer"),
              Type.Literal("facilities"),
              Type.Literal("noc"),
              Type.Literal("drill_operator"),
            ],
            { title: "Role" },
          ),
        },
        { title: "Person", ...closed },
      ),
      "People",
    ),
    failover: Type.Object(
      {
        hold_down_ms: ms("A path must be good this long before it counts again", 1000, 600000, 30000),
        hold_down_max_ms: ms("Longest hold-down after flapping", 30000, 3600000, 600000),
        running_calls: Type.Union([Type.Literal("move"), Type.Literal("main_number"), Type.Literal("stay")], {
          title: "Running cloud calls whose path dies",
          description:
            "move: each goes on over cellular data where the PBX permits; main_number: only those with an outside number; stay: none",
          default: "move",
          ...restart,
        }),
        return_when: Type.Union([Type.Literal("stable"), Type.Literal("idle"), Type.Literal("hour")], {
          title: "Go home when the cloud is stable, when moreover no call is running, or at an hour",
          description: "never in a 911 call or its callback window",
          default: "stable",
        }),
        return_at: Type.String({
          title: "The hour to go home at, in the site's time zone",
          pattern: "^([01][0-9]|2[0-3]):[0-5][0-9]$",
          description: "HH:MM in quotes; the return may begin within 70 minutes from then",
          default: "02:30",
        }),
      },
      { title: "Failover", default: {}, ...closed },
    ),
    registrar: Type.Object(
      {
        lan_expires_s: Type.Optional(
          Type.Integer({
            title: "Phones refresh at the box this often, and the PBX hears of them at half of its own expiry",
            minimum: 30,
            maximum: 3600,
            description: "left out: every REGISTER goes to the PBX, and its expiry to the phone",
          }),
        ),
        stuck_after_s: Type.Integer({
          title: "A phone that the PBX has not got back so long after the return is called stuck",
          minimum: 60,
          maximum: 86400,
          default: 90,
        }),
      },
      { title: "Registrar", default: {}, ...closed },
    ),
    media: Type.Object(
      {
        port_min: Type.Integer({ title: "First RTP port", minimum: 1024, maximum: 65000, default: 20000 }),
        port_max: Type.Integer({ title: "Last RTP port", minimum: 1100, maximum: 65535, default: 21999 }),
      },
      { title: "Media", default: {}, ...closed, ...restart },
    ),
    noc: Type.Object(
      {
        brokers: list(Broker, "MQTT brokers"),
        acknowledge: Type.Union([Type.Literal("application"), Type.Literal("puback")], {
          title: "An event is delivered when the NOC application (or only the broker) says so",
          default: "application",
        }),
        heartbeat_wan_ms: ms("Heartbeat over WAN", 1000, 3600000, 30000),
        heartbeat_lte_ms: ms("Heartbeat over LTE", 1000, 3600000, 300000),
      },
      { title: "NOC", default: {}, ...closed },
    ),
    modems: list(
      Type.Object(
        {
          id: id("Modem id"),
          path: id("Path it carries"),
          port: Type.String({ title: "AT serial port", pattern: "^/dev/[A-Za-z0-9/_.:-]+$" }),
          baud: Type.Integer({ title: "Baud rate", minimum: 1200, maximum: 4_000_000, default: 115200 }),
        },
        { title: "Modem", ...closed },
      ),
      "Modems",
    ),
    ups: list(
      Type.Object(
        {
          id: id("UPS id"),
          protocol: Type.Literal("megatec", { title: "Protocol (Megatec Q1)" }),
          port: Type.String({ title: "Serial port", pattern: "^/dev/[A-Za-z0-9/_.:-]+$" }),
          poll_ms: ms("Poll", 500, 60000, 2000),
        },
        { title: "UPS", ...closed },
      ),
      "UPSs",
    ),
    gpio_lines: list(GpioLine, "GPIO lines"),
    web: Type.Object(
      {
        address: Type.Optional(address("Address of the status page (else every LAN address)")),
        port: port("Port of the status page", 8080),
      },
      { title: "Status page", default: {}, ...closed },
    ),
    drill: Type.Object(
      { max_ms: ms("A drill ends by itself after", 1000, 3_600_000, 1_800_000) },
      { title: "Drills", default: {}, ...closed },
    ),
  },
  { title: "Site file", ...closed },
);

export type SiteConfig = Static<typeof SiteConfig>;
export type Location = Static<typeof Location>;
export type CivicAddress = Static<typeof CivicAddress>;
export type PathConfig = Static<typeof Path>;
export type TrunkConfig = Static<typeof Trunk>;
export type PbxTargetConfig = Static<typeof PbxTarget>;
export type CarrierProfile = Static<typeof CarrierProfile>;
export type ExtensionConfig = Static<typeof Extension>;
export type DeviceConfig = Static<typeof Device>;
export type LanConfig = Static<typeof Lan>;
export type EchoResponder = Static<typeof EchoResponder>;
export type GpioLineConfig = Static<typeof GpioLine>;
