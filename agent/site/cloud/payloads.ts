import type { HoldfastEvent } from "../../base/events.ts";
import type { StatusDocument } from "../../base/status.ts";

/** Every message of a rehearsal says so twice: for programs and for people. */
function marked(practice: boolean): object {
  return practice ? { practice: true, notice: "PRACTICE" } : { practice: false };
}

export interface Birth {
  readonly boot_id: string;
  readonly version: string;
  readonly practice: boolean;
  readonly wall: number;
}

/**
 * `state`: whether the broker hears the box. It says nothing about calls: "offline" means that the NOC cannot hear the
 * box, not that the site cannot call.
 */
export function statePayload(
  state: "online" | "offline",
  birth: Birth,
  more: { readonly path?: string; readonly reason?: "stopped" | "lost" } = {},
): string {
  return JSON.stringify({
    v: 1,
    ...marked(birth.practice),
    state,
    ...more,
    boot_id: birth.boot_id,
    version: birth.version,
    ts: new Date(birth.wall).toISOString(),
  });
}

export function statusPayload(document: StatusDocument): string {
  return JSON.stringify({ ...document, ...marked(document.practice), ts: new Date(document.now_wall).toISOString() });
}

export function eventPayload(event: HoldfastEvent): string {
  return JSON.stringify(event.practice ? { ...event, notice: "PRACTICE" } : event);
}

export function replyPayload(reply: object, practice: boolean): string {
  return JSON.stringify({ ...reply, ...marked(practice) });
}

/**
 * `heartbeat`: one flat object of numbers and short words, for time series. Unknown numbers are left out; the reader
 * discards a heartbeat older than twice `interval_s`.
 */
export function heartbeatPayload(document: StatusDocument, beat: { interval_s: number; seq: number }): string {
  const { engine, cellular, power, host, noc } = document;
  const up = (kind: "wan" | "lte") => {
    const states = engine?.paths.filter((path) => path.kind === kind).map((path) => path.state) ?? [];
    if (states.length === 0 || states.every((state) => state === "unknown")) return undefined;
    return states.some((state) => state === "up" || state === "degraded") ? 1 : 0;
  };
  const ready = engine?.emergency.state;
  const modem = cellular?.modems.find(({ rsrp_dbm }) => rsrp_dbm !== undefined);
  const ups = power.ups[0];
  return JSON.stringify({
    v: 1,
    ...marked(document.practice),
    ts: new Date(document.now_wall).toISOString(),
    interval_s: beat.interval_s,
    seq: beat.seq,
    boot_id: document.box.boot_id,
    clock_quality: document.clock_quality,
    overall: overall(document),
    mode: engine?.mode ?? "unknown",
    call_path: engine?.calls_go_by ?? "unknown",
    emergency_state: ready ?? "unknown",
    emergency_ready: ready === "ready" || ready === "one_path" ? 1 : 0,
    engine_fresh: document.processes.engine.fresh ? 1 : 0,
    media_fresh: document.processes.media.fresh ? 1 : 0,
    wan_up: up("wan"),
    lte_up: up("lte"),
    phones_on: engine?.phones.filter(({ availability }) => availability === "online" || availability === "limited")
      .length,
    phones_stuck: engine?.stuck_phones.length,
    phones_exp: engine?.phones.length,
    calls: engine?.calls.length,
    on_battery: power.source === "unknown" ? undefined : power.source === "battery" ? 1 : 0,
    charge_percent: ups?.charge_percent,
    rsrp_dbm: modem?.rsrp_dbm,
    cpu_percent: host.cpu_percent,
    cpu_temperature_c: host.cpu_temperature_c,
    memory_used_percent: host.memory_used_percent,
    disk_used_percent: host.disk_used_percent,
    uptime_s: host.uptime_s,
    noc_path: noc.path,
    waiting_events: noc.waiting_events,
    alarms_critical: document.alarms.filter((alarm) => alarm.severity === "critical").length,
    alarms: document.alarms.length,
  });
}

/** One word for a fleet wall. */
export function overall(document: StatusDocument): "operational" | "reduced" | "not_ready" | "unknown" {
  const { engine } = document;
  if (engine === undefined) return "unknown";
  if (engine.emergency.state === "not_ready" || engine.calls_go_by === "not_possible") return "not_ready";
  const reduced =
    engine.mode !== "normal" ||
    engine.emergency.state !== "ready" ||
    document.alarms.some(({ severity }) => severity === "critical" || severity === "major");
  return reduced ? "reduced" : "operational";
}
