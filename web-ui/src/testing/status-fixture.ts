import type { EventData, EventType, HoldfastEvent } from "../../../agent/base/events.ts";
import type {
  CallStatus,
  DeviceStatus,
  EngineStatus,
  ModemStatus,
  StatusDocument,
  StuckPhoneStatus,
} from "../../../agent/base/status.ts";

/** 2026-11-20 17:42:07 UTC: the moment of every fixture. */
export const NOW = Date.UTC(2026, 10, 20, 17, 42, 7);
const MINUTE = 60_000;

const SITE_LINES = ["Acme Dental", "1776 E Colfax Avenue", "Floor 1", "Denver, CO 80203 US"];

/** A site in peace: WAN up, every check passes. */
export function engineFixture(changes: Partial<EngineStatus> = {}): EngineStatus {
  const up = { state: "up", since_wall: NOW - 190 * MINUTE } as const;
  return {
    config: "snapshot",
    config_hash: "5f0c",
    mode: "normal",
    mode_since_wall: NOW - 190 * MINUTE,
    mode_reasons: ["cloud is up"],
    calls_go_by: "wan",
    paths: [
      {
        id: "wan",
        kind: "wan",
        ...up,
        evidence: [
          { source: "carrier", verdict: "good", detail: "link up, address 10.20.0.5", at_wall: NOW - 4000 },
          { source: "echo", verdict: "good", detail: "10.40.0.9 answered after 12 ms", at_wall: NOW - 1000 },
        ],
        rtt_ms: 12,
        loss_percent: 0,
      },
      {
        id: "lte",
        kind: "lte",
        ...up,
        evidence: [{ source: "options", verdict: "good", detail: "OPTIONS: 200 after 61 ms", at_wall: NOW - 9000 }],
        rtt_ms: 61,
        loss_percent: undefined,
      },
    ],
    trunks: [
      {
        id: "cloud",
        kind: "pbx",
        path: "wan",
        roles: [],
        ...up,
        evidence: [{ source: "options", verdict: "good", detail: "OPTIONS: 200 after 14 ms", at_wall: NOW - 7000 }],
        registered: undefined,
        first_response_p99_ms: 48,
      },
      {
        id: "lte-trunk",
        kind: "trunk",
        path: "lte",
        roles: ["emergency", "main_number"],
        ...up,
        evidence: [{ source: "register", verdict: "good", detail: "REGISTER: 200 after 70 ms", at_wall: NOW - 30_000 }],
        registered: true,
        first_response_p99_ms: undefined,
      },
    ],
    phones: [
      phone("ext-101", "101", "Front desk", "Front desk", true),
      phone("ext-102", "102", "Room 2", "Room 2", true),
      phone("ext-103", "103", "Back office", "Front desk", false),
    ],
    stuck_phones: [],
    calls: [],
    emergency: {
      state: "ready",
      reason: "All checks pass.",
      checks: [
        { name: "listening", ok: true, detail: "The box takes calls from phones." },
        { name: "route", ok: true, detail: "911 can leave by cloud, lte-trunk." },
        { name: "second_path", ok: true, detail: "Independent paths: wan, lte." },
        { name: "site_location", ok: true, detail: `The site is at ${SITE_LINES.join(", ")}.` },
      ],
      routes: ["cloud", "lte-trunk"],
    },
    site_location_lines: SITE_LINES,
    callback_until_wall: undefined,
    call_moves: [],
    drill: undefined,
    alarms: [],
    counters: {},
    ...changes,
  };
}

function phone(extension: string, number: string, name: string, location_label: string, location_own: boolean) {
  return {
    extension,
    number,
    name,
    availability: "online" as const,
    contacts: 1,
    trust: "full" as const,
    location_label,
    location_own,
    expires_wall: NOW + 40 * MINUTE,
    since_wall: NOW - 60 * MINUTE,
    devices: [deviceFixture({ id: `${extension}-desk`, label: `${name}, desk phone` })],
    elsewhere: 0,
  };
}

export function deviceFixture(changes: Partial<DeviceStatus> = {}): DeviceStatus {
  return {
    id: "desk",
    label: "Desk phone",
    availability: "online",
    since_wall: NOW - 60 * MINUTE,
    evidence: [{ source: "register", verdict: "good", detail: "registered from 10.20.0.101", at_wall: NOW }],
    address: "10.20.0.101",
    transport: "udp",
    user_agent: "Yealink SIP-T54W 96.86.0.70",
    registered_with: "cloud",
    ...changes,
  };
}

export function stuckFixture(changes: Partial<StuckPhoneStatus> = {}): StuckPhoneStatus {
  return {
    extension: "ext-102",
    number: "102",
    name: "Room 2",
    address: "10.20.0.102",
    user_agent: "Yealink SIP-T54W 96.86.0.70",
    since_wall: NOW - 12 * MINUTE,
    why: "silent",
    sip_status: undefined,
    ...changes,
  };
}

/** The WAN is gone since five minutes: survivable mode, calls by LTE, one path left for 911. */
export function cutEngineFixture(changes: Partial<EngineStatus> = {}): EngineStatus {
  const whole = engineFixture();
  const down = { state: "down", since_wall: NOW - 5 * MINUTE } as const;
  return {
    ...whole,
    mode: "survivable",
    mode_since_wall: NOW - 5 * MINUTE,
    mode_reasons: ["cloud is down: path wan is down"],
    calls_go_by: "lte",
    paths: whole.paths.map((path) =>
      path.id === "wan"
        ? {
            ...path,
            ...down,
            rtt_ms: undefined,
            evidence: [
              { source: "carrier", verdict: "good", detail: "link up, address 10.20.0.5", at_wall: NOW - 4000 },
              { source: "echo", verdict: "bad", detail: "10.40.0.9 is silent", at_wall: NOW - 1000 },
            ],
          }
        : path,
    ),
    trunks: whole.trunks.map((trunk) => (trunk.path === "wan" ? { ...trunk, ...down } : trunk)),
    emergency: {
      state: "one_path",
      reason: "Only lte could carry 911.",
      checks: [
        { name: "listening", ok: true, detail: "The box takes calls from phones." },
        { name: "route", ok: true, detail: "911 can leave by lte-trunk." },
        { name: "second_path", ok: false, detail: "Only lte could carry 911." },
      ],
      routes: ["lte-trunk"],
    },
    alarms: [
      {
        code: "path.down",
        subject: "wan",
        severity: "major",
        detail: "wan is down: 10.40.0.9 is silent",
        since_wall: NOW - 5 * MINUTE,
      },
    ],
    ...changes,
  };
}

export function emergencyCallFixture(changes: Partial<CallStatus> = {}): CallStatus {
  return {
    call_id: "01JD000000000000000000CA11",
    kind: "emergency",
    state: "answered",
    caller: "102",
    callee: "911",
    trunk: "lte-trunk",
    path: "lte",
    since_wall: NOW - 42_000,
    location_lines: ["Acme Dental", "1776 E Colfax Avenue", "Floor 2, Room 2", "Denver, CO 80203 US"],
    callback_number: "+13035550100",
    ...changes,
  };
}

export function modemFixture(changes: Partial<ModemStatus> = {}): ModemStatus {
  return {
    id: "modem-1",
    path: "lte",
    state: "registered",
    since_wall: NOW - 180 * MINUTE,
    model: "EC25",
    firmware: "R06",
    operator: "Mountain Mobile",
    technology: "LTE",
    rsrp_dbm: -97,
    rsrq_db: -11,
    rssi_dbm: -70,
    measured_wall: NOW - 8000,
    practice: false,
    ...changes,
  };
}

const FRESH = { fresh: true, unknown_since_wall: undefined };

/** The document with this engine; its alarms are the document's too, as the site process merges them. */
export function statusFixture(
  engine: EngineStatus | undefined = engineFixture(),
  changes: Partial<StatusDocument> = {},
): StatusDocument {
  return {
    v: 1,
    practice: false,
    now_wall: NOW,
    clock_quality: "synchronised",
    org: { id: "acme", name: "Acme Dental" },
    site: { id: "denver", name: "Denver clinic", main_number: "+13035550100" },
    box: { id: "box-1", version: "0.1.0", boot_id: "01JD00000000000000000000B0" },
    processes: { engine: FRESH, media: FRESH, cellular: FRESH, site: FRESH },
    engine,
    cellular: { modems: [modemFixture()], alarms: [] },
    power: {
      source: "mains",
      since_wall: NOW - 190 * MINUTE,
      ups: [
        {
          id: "ups-1",
          state: "online",
          since_wall: NOW - 190 * MINUTE,
          input_v: 121.4,
          load_percent: 14,
          battery_v: 13.6,
          charge_percent: 100,
          temperature_c: 25,
        },
      ],
      gpio: [{ id: "door", meaning: "door_open", on: false }],
    },
    host: {
      cpu_percent: 6,
      cpu_temperature_c: 48,
      memory_used_percent: 31,
      disk_used_percent: 12,
      uptime_s: 11_400,
    },
    noc: {
      state: "connected",
      since_wall: NOW - 190 * MINUTE,
      broker: "noc",
      path: "wan",
      waiting_events: 0,
    },
    alarms: engine?.alarms ?? [],
    cable: undefined,
    ...changes,
  };
}

/** As it is while one process is away: its part is gone, and only since when is known. */
export function silentFixture(process: "engine" | "cellular", since_wall: number): StatusDocument {
  const whole = statusFixture(engineFixture());
  const processes = { ...whole.processes, [process]: { fresh: false, unknown_since_wall: since_wall } };
  return { ...whole, processes, [process]: undefined };
}

export function eventFixture<T extends EventType>(
  seq: number,
  type: T,
  data: EventData[T],
  changes: { readonly practice?: boolean; readonly wall?: number } = {},
): HoldfastEvent {
  return {
    v: 1,
    id: `01JD0000000000000000${String(seq).padStart(6, "0")}`,
    seq,
    boot_id: "01JD00000000000000000000B0",
    wall: changes.wall ?? NOW - (100 - seq) * 10_000,
    mono_ms: seq,
    clock_quality: "synchronised",
    org: "acme",
    site: "denver",
    box: "box-1",
    type,
    subject: "",
    incident_id: undefined,
    call_id: undefined,
    practice: changes.practice ?? false,
    data,
  } as HoldfastEvent;
}
