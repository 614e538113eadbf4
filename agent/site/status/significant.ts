import type { StatusDocument } from "../../base/status.ts";

/** Values that move all the time and mean nothing by themselves; they travel with the next change or beat. */
const RESTLESS = new Set([
  "now_wall",
  "counters",
  "rtt_ms",
  "loss_percent",
  "at_wall",
  "evidence",
  "host",
  "expires_wall",
  "measured_wall",
  "network_time_offset_ms",
  "first_response_p99_ms",
  "waiting_events",
  "input_v",
  "load_percent",
  "battery_v",
  "temperature_c",
]);

/** Equal for two documents between which a reader would see nothing happen. */
export function significant(document: StatusDocument): string {
  return JSON.stringify(document, (key, value: unknown) => (RESTLESS.has(key) ? undefined : value));
}

/** Coarser, for the NOC over a path with a data budget: signal and battery by steps, calls by their number. */
export function significantForNoc(document: StatusDocument): string {
  return JSON.stringify(document, (key, value: unknown) => {
    if (RESTLESS.has(key)) return undefined;
    if (key === "rsrp_dbm" || key === "charge_percent")
      return typeof value === "number" ? Math.round(value / 10) : value;
    if (key === "rsrq_db" || key === "rssi_dbm" || key === "noc") return undefined;
    return value;
  });
}
