import type { AlarmCode, Severity } from "./alarms.ts";
import type { Clock } from "./clock.ts";
import { ulid } from "./ids.ts";

/** A way out of the building and a SIP peer on it share one health vocabulary. */
export type HealthState = "up" | "degraded" | "suspect" | "down" | "unknown";
export type Mode = "normal" | "survivable" | "forced" | "recovering";
/** How far wall times can be trusted. */
export type ClockQuality = "synchronised" | "holdover" | "unset";
/** Why a path or trunk is judged as it is; one line per piece of evidence. */
export interface Evidence {
  /** `carrier`, `route`, `gateway`, `echo`, `dns`, `tcp`, `options`, `invite`, `register`, `media`. */
  readonly source: string;
  readonly verdict: "good" | "bad" | "unknown";
  readonly detail: string;
  /** Wall ms of the observation. */
  readonly at_wall: number;
}

/**
 * Whether something can be used now: a device, an extension, a DID, a trunk. `limited`: in part (a trunk takes calls out
 * but is not registered for those that come in).
 */
export type Availability = "online" | "limited" | "offline" | "unknown";

export interface AvailabilityChange {
  readonly id: string;
  readonly from: Availability;
  readonly to: Availability;
  /** Wall ms since when it is as it is now. */
  readonly since_wall: number;
  readonly evidence: readonly Evidence[];
}

/** What happened in one attempt of an emergency call. */
export type AttemptOutcome =
  | "trying"
  | "ringing"
  | "answered"
  | "released"
  | "refused"
  | "no_response"
  | "send_error"
  | "late_answer_released"
  /** Answered, then its path failed and no sound came any more. */
  | "path_lost";

/** `data` of each event type. Types only grow; a field is never reused for another meaning. */
export interface EventData {
  "box.started": { process: string; version: string; config_hash: string | undefined };
  "mode.changed": { from: Mode; to: Mode; reasons: readonly string[] };
  "path.health": { path: string; from: HealthState; to: HealthState; evidence: readonly Evidence[] };
  "trunk.health": { trunk: string; from: HealthState; to: HealthState; evidence: readonly Evidence[] };
  "trunk.availability": AvailabilityChange;
  "device.availability": AvailabilityChange;
  "extension.availability": AvailabilityChange;
  "did.availability": AvailabilityChange;
  "registration.added": {
    aor: string;
    extension: string | undefined;
    device: string | undefined;
    source: string;
    trust: Trust;
  };
  "registration.removed": {
    aor: string;
    extension: string | undefined;
    reason: "expired" | "unregistered" | "replaced";
  };
  /** The cloud has not got a phone back since the return. */
  "phone.stuck": {
    aor: string;
    extension: string | undefined;
    source: string;
    user_agent: string;
    /** Wall ms since when the box alone vouches for it. */
    since_wall: number;
    why: StuckBecause;
    sip_status: number | undefined;
  };
  /** One that was stuck is back. */
  "phone.home": { aor: string; extension: string | undefined; source: string; after_ms: number };
  /** A return is over: how many phones registered with the box in the outage, and how soon the cloud had them back. */
  "phones.returned": { phones: number; home: number; slowest_ms: number | undefined };
  "call.started": CallData;
  "call.answered": CallData;
  /** A running call goes over another path now; `took_ms`: since the old one was found dead. */
  "call.moved": CallData & { from_path: string | undefined; by: "reinvite" | "replaces"; took_ms: number };
  "call.ended": CallData & { duration_ms: number; ended_by: "caller" | "callee" | "box"; cause: string };
  "emergency.started": EmergencyData;
  "emergency.attempt": {
    attempt: number;
    trunk: string;
    path: string;
    outcome: AttemptOutcome;
    sip_status: number | undefined;
    /** Milliseconds since the caller's INVITE arrived. */
    after_ms: number;
    hedged: boolean;
  };
  "emergency.answered": EmergencyData & { trunk: string; path: string; after_ms: number };
  "emergency.ended": EmergencyData & { duration_ms: number; ended_by: "caller" | "psap" | "box"; cause: string };
  "emergency.callback": { from: string; extension: string };
  "alarm.raised": { code: AlarmCode; severity: Severity; detail: string };
  "alarm.cleared": { code: AlarmCode; severity: Severity; detail: string };
  "power.changed": { source: "mains" | "battery" | "unknown"; charge_percent: number | undefined; detail: string };
  "gpio.changed": { line: string; meaning: string; on: boolean };
  "modem.changed": { modem: string; state: ModemState; operator: string | undefined; rsrp_dbm: number | undefined };
  "drill.started": { drill: string; by: string; ends_wall: number };
  "drill.ended": { drill: string; reason: "stopped" | "expired" | "aborted_by_911"; record: DrillRecord };
  "config.applied": { config_hash: string };
  "config.rejected": { faults: readonly string[] };
  "store.quarantined": { file: string; detail: string };
}

export type Trust = "full" | "learned" | "stranger";
/**
 * Why a phone that registered with the box in an outage is not back with the cloud: it has not asked since, the cloud
 * refuses it, or the cloud does not answer it.
 */
export type StuckBecause = "silent" | "refused" | "unanswered";
export type ModemState = "missing" | "identifying" | "searching" | "registered" | "denied" | "failed";

export interface CallData {
  direction: "internal" | "outbound" | "inbound";
  caller: string;
  callee: string;
  trunk: string | undefined;
  path: string | undefined;
}

export interface EmergencyData {
  dialled: string;
  extension: string | undefined;
  caller_number: string;
  source: string;
  location_id: string;
  location_version: number;
  /** The address in dispatch lines, as the PSAP reads it. */
  location_lines: readonly string[];
  /** False when the phone's own location was missing or not trusted and the site's went instead. */
  location_trusted: boolean;
}

export interface DrillRecord {
  drill: string;
  by: string;
  started_wall: number;
  ended_wall: number;
  /** Drill start to survivable mode, ms. */
  detection_ms: number | undefined;
  calls: number;
  practice: boolean;
}

export type EventType = keyof EventData;

interface Envelope<T extends EventType> {
  readonly v: 1;
  readonly id: string;
  /** Rising without gaps per box; 0 until the store has numbered it. */
  readonly seq: number;
  readonly boot_id: string;
  readonly wall: number;
  readonly mono_ms: number;
  readonly clock_quality: ClockQuality;
  readonly org: string;
  readonly site: string;
  readonly box: string;
  readonly type: T;
  /** What it is about: a path, trunk, extension, alarm code; empty for the box itself. */
  readonly subject: string;
  readonly incident_id: string | undefined;
  readonly call_id: string | undefined;
  readonly practice: boolean;
  readonly data: EventData[T];
}

export type HoldfastEvent = { [T in EventType]: Envelope<T> }[EventType];

/** Whether this can be an event: what every reader relies on. Types of another release are let through. */
export function isEventLike(value: unknown): value is HoldfastEvent {
  if (typeof value !== "object" || value === null) return false;
  const { id, type, data } = value as Record<string, unknown>;
  return typeof id === "string" && typeof type === "string" && typeof data === "object" && data !== null;
}

export interface EventOrigin {
  readonly org: string;
  readonly site: string;
  readonly box: string;
  readonly boot_id: string;
  readonly practice: boolean;
}

export interface EventContext {
  readonly incident_id?: string | undefined;
  readonly call_id?: string | undefined;
}

/** Makes one event. `origin` changes when the engine leaves its built-in defaults, hence a function. */
export function createEventFactory(clock: Clock, origin: () => EventOrigin, quality: () => ClockQuality) {
  return function event<T extends EventType>(
    type: T,
    subject: string,
    data: EventData[T],
    context: EventContext = {},
  ): HoldfastEvent {
    const wall = clock.wall();
    const { org, site, box, boot_id, practice } = origin();
    const made: Envelope<T> = {
      v: 1,
      id: ulid(wall),
      seq: 0,
      boot_id,
      wall,
      mono_ms: Math.round(clock.now()),
      clock_quality: quality(),
      org,
      site,
      box,
      type,
      subject,
      incident_id: context.incident_id,
      call_id: context.call_id,
      practice,
      data,
    };
    return made as HoldfastEvent;
  };
}

export type EventFactory = ReturnType<typeof createEventFactory>;
