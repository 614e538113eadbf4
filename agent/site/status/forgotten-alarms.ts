import type { AlarmCode, Severity } from "../../base/alarms.ts";
import type { StatusDocument } from "../../base/status.ts";

/** An alarm that was raised and, as far as the records say, not cleared. */
export interface OpenAlarm {
  readonly code: AlarmCode;
  readonly subject: string;
  readonly severity: Severity;
  readonly detail: string;
  /** Wall ms. */
  readonly raised_wall: number;
}

/** A fresh alarm may be on record a moment before its process's status says it. */
const SETTLE_MS = 30_000;

/**
 * Alarms that nobody holds any more: their process was killed and did not raise them again. Nothing is said while a
 * process is silent, for its alarms are then not known to be over.
 */
export function forgottenAlarms(
  open: readonly OpenAlarm[],
  document: StatusDocument,
  cellular_expected: boolean,
): readonly OpenAlarm[] {
  const { engine, cellular } = document.processes;
  if (!engine.fresh || (cellular_expected && !cellular.fresh)) return [];
  const held = new Set(document.alarms.map(({ code, subject }) => `${code} ${subject}`));
  return open.filter(
    ({ code, subject, raised_wall }) => !held.has(`${code} ${subject}`) && document.now_wall - raised_wall > SETTLE_MS,
  );
}
