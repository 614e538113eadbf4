import type { Alarm } from "./alarms.ts";
import type { Availability, Evidence, HealthState, Mode, ModemState, StuckBecause, Trust } from "./events.ts";
import type { MovePermission } from "./snapshot.ts";

/**
 * What each process says of itself, and the one document made of it that the page, the NOC and `holdfast status` read.
 * Times are wall milliseconds. A part whose process is away is not repeated from memory: it is `unknown` since then.
 */
export interface PathStatus {
  readonly id: string;
  readonly kind: "wan" | "lte" | "modem";
  readonly state: HealthState;
  readonly since_wall: number;
  readonly evidence: readonly Evidence[];
  readonly rtt_ms: number | undefined;
  readonly loss_percent: number | undefined;
}

export interface TrunkStatus {
  readonly id: string;
  readonly kind: "pbx" | "trunk";
  readonly path: string;
  readonly roles: readonly string[];
  readonly state: HealthState;
  readonly since_wall: number;
  readonly evidence: readonly Evidence[];
  readonly registered: boolean | undefined;
  readonly availability?: Availability;
  /** Of PBX targets: new work goes to this one. */
  readonly in_use?: boolean;
  /** p99 of INVITE to first response, once learned. */
  readonly first_response_p99_ms: number | undefined;
}

/** A telephone: one that the site file names, or one that registered beside those. */
export interface DeviceStatus {
  readonly id: string;
  /** The site file's, else what the phone says it is. */
  readonly label: string;
  readonly availability: Availability;
  readonly since_wall: number;
  readonly evidence: readonly Evidence[];
  readonly address: string | undefined;
  readonly transport: "udp" | "tcp" | "tls" | undefined;
  readonly user_agent: string | undefined;
  /** Who vouches for it now. */
  readonly registered_with: "cloud" | "box" | undefined;
}

/** A phone that registered with the box in an outage and that the cloud has not got back. */
export interface StuckPhoneStatus {
  readonly extension: string | undefined;
  readonly number: string;
  readonly name: string;
  readonly address: string;
  readonly user_agent: string;
  readonly since_wall: number;
  readonly why: StuckBecause;
  readonly sip_status: number | undefined;
}

export interface PhoneStatus {
  readonly extension: string;
  readonly number: string;
  readonly name: string;
  /** The best of its devices. */
  readonly availability: Availability;
  readonly since_wall: number | undefined;
  readonly devices: readonly DeviceStatus[];
  /** Contacts of this number that the cloud has and that do not come through the box: an outage takes them away. */
  readonly elsewhere: number;
  readonly contacts: number;
  readonly trust: Trust | undefined;
  readonly location_label: string;
  readonly location_own: boolean;
  readonly expires_wall: number | undefined;
}

export interface CallStatus {
  readonly call_id: string;
  readonly kind: "internal" | "outbound" | "inbound" | "emergency";
  readonly state: "trying" | "ringing" | "answered";
  readonly caller: string;
  readonly callee: string;
  readonly trunk: string | undefined;
  readonly path: string | undefined;
  readonly since_wall: number;
  /** Emergency calls only: the address sent, in dispatch lines. */
  readonly location_lines: readonly string[] | undefined;
  readonly callback_number: string | undefined;
}

/** One named check behind "911 ready"; the first that fails is the reason shown. */
export interface ReadinessCheck {
  readonly name: string;
  readonly ok: boolean | undefined;
  readonly detail: string;
}

export interface Readiness {
  readonly state: "ready" | "one_path" | "not_ready" | "unknown";
  readonly reason: string;
  readonly checks: readonly ReadinessCheck[];
  /** Trunks that could carry 911 now, in the order they would be tried. */
  readonly routes: readonly string[];
}

export interface EngineStatus {
  readonly config: "snapshot" | "defaults";
  readonly config_hash: string | undefined;
  readonly mode: Mode;
  readonly mode_since_wall: number;
  readonly mode_reasons: readonly string[];
  /** How a call to the outside would go now. */
  readonly calls_go_by: "wan" | "lte" | "modem" | "not_possible";
  readonly paths: readonly PathStatus[];
  readonly trunks: readonly TrunkStatus[];
  readonly phones: readonly PhoneStatus[];
  readonly stuck_phones: readonly StuckPhoneStatus[];
  readonly calls: readonly CallStatus[];
  readonly emergency: Readiness;
  readonly site_location_lines: readonly string[];
  readonly callback_until_wall: number | undefined;
  /** What is known of moving running calls to another path, by PBX or trunk; nothing where none has been moved yet. */
  readonly call_moves: readonly MovePermission[];
  readonly drill: { readonly id: string; readonly by: string; readonly ends_wall: number } | undefined;
  readonly alarms: readonly Alarm[];
  readonly counters: Readonly<Record<string, number>>;
}

export interface ModemStatus {
  readonly id: string;
  readonly path: string;
  readonly state: ModemState;
  readonly since_wall: number;
  readonly model: string | undefined;
  readonly firmware: string | undefined;
  readonly operator: string | undefined;
  readonly technology: string | undefined;
  readonly rsrp_dbm: number | undefined;
  readonly rsrq_db: number | undefined;
  readonly rssi_dbm: number | undefined;
  readonly measured_wall: number | undefined;
  /** The network's time less the box's, ms; undefined while the network tells no believable time. */
  readonly network_time_offset_ms?: number | undefined;
  readonly practice: boolean;
}

export interface CellularStatus {
  readonly modems: readonly ModemStatus[];
  readonly alarms: readonly Alarm[];
}

export interface PowerStatus {
  readonly source: "mains" | "battery" | "unknown";
  readonly since_wall: number;
  readonly ups: readonly {
    readonly id: string;
    readonly state: "online" | "on_battery" | "low_battery" | "unknown";
    readonly since_wall: number;
    readonly input_v: number | undefined;
    readonly load_percent: number | undefined;
    readonly battery_v: number | undefined;
    readonly charge_percent: number | undefined;
    readonly temperature_c: number | undefined;
  }[];
  readonly gpio: readonly { readonly id: string; readonly meaning: string; readonly on: boolean | undefined }[];
}

export interface HostStatus {
  readonly cpu_percent: number | undefined;
  readonly cpu_temperature_c: number | undefined;
  readonly memory_used_percent: number | undefined;
  readonly disk_used_percent: number | undefined;
  readonly uptime_s: number;
}

export interface NocStatus {
  readonly state: "connected" | "connecting" | "disconnected" | "not_configured";
  readonly since_wall: number;
  readonly broker: string | undefined;
  readonly path: string | undefined;
  readonly waiting_events: number;
}

export interface Freshness {
  readonly fresh: boolean;
  /** Since when nothing was heard from that process, when not fresh. */
  readonly unknown_since_wall: number | undefined;
}

export interface StatusDocument {
  readonly v: 1;
  /** Says PRACTICE on every rehearsal. */
  readonly practice: boolean;
  readonly now_wall: number;
  readonly clock_quality: "synchronised" | "holdover" | "unset";
  readonly org: { readonly id: string; readonly name: string };
  readonly site: { readonly id: string; readonly name: string; readonly main_number: string };
  readonly box: { readonly id: string; readonly version: string; readonly boot_id: string };
  readonly processes: Readonly<Record<"engine" | "media" | "cellular" | "site", Freshness>>;
  readonly engine: EngineStatus | undefined;
  readonly cellular: CellularStatus | undefined;
  readonly power: PowerStatus;
  readonly host: HostStatus;
  readonly noc: NocStatus;
  readonly alarms: readonly Alarm[];
  /** Practice only: the cable that can be pulled from the page. */
  readonly cable: { readonly wan: "plugged" | "pulled" } | undefined;
}
