import type { AlarmCode } from "../base/alarms.ts";
import type { ModemState } from "../base/events.ts";

/**
 * When a modem's condition is worth an alarm: not at its first moment (a modem is always missing before it is found),
 * and not flickering around a limit.
 */
const MISSING_FOR_MS = 5000;
const SEARCHING_FOR_MS = 30_000;
const WEAK_BELOW_DBM = -115;
const WEAK_UNTIL_DBM = -112;
const WEAK_READINGS = 3;

export interface ModemCondition {
  readonly state: ModemState;
  readonly reason: string;
  /** How long no network has served it, ms; 0 while one does. */
  readonly unserved_ms: number;
  /** It hangs (a failed modem may also have no SIM: that one answers). */
  readonly answering: boolean;
}

/** The alarms that should stand for this modem, with their texts. The weak-signal one is judged by {@link weakSignal}. */
export function modemAlarms(id: string, condition: ModemCondition): ReadonlyMap<AlarmCode, string | undefined> {
  const { state, reason, unserved_ms, answering } = condition;
  const absent = !answering && unserved_ms >= MISSING_FOR_MS;
  const definite = state === "denied" || (state === "failed" && answering);
  const unserved = answering && state !== "registered" && (definite || unserved_ms >= SEARCHING_FOR_MS);
  const why = reason === "" ? state : reason;
  return new Map<AlarmCode, string | undefined>([
    ["cellular.no_modem", absent ? `Modem ${id}: ${why}.` : undefined],
    ["cellular.no_service", unserved ? `Modem ${id}: ${why}.` : undefined],
  ]);
}

export interface WeakSignal {
  readonly weak: boolean;
  readonly readings: number;
}

export const SIGNAL_START: WeakSignal = { weak: false, readings: 0 };

/** Weak after three readings below -115 dBm in a row, until one of -112 dBm or better, or nothing is measured. */
export function weakSignal(before: WeakSignal, rsrp_dbm: number | undefined): WeakSignal {
  if (rsrp_dbm === undefined) return SIGNAL_START;
  if (before.weak) return rsrp_dbm >= WEAK_UNTIL_DBM ? SIGNAL_START : before;
  if (rsrp_dbm >= WEAK_BELOW_DBM) return SIGNAL_START;
  const readings = before.readings + 1;
  return { weak: readings >= WEAK_READINGS, readings };
}
