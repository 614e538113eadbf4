import type { HoldfastEvent } from "../../base/events.ts";
import type { StatusDocument } from "../../base/status.ts";

const HIDDEN = "hidden";
/** Seven digits or more is somebody's public number; extensions and emergency numbers are shorter. */
const NUMBER = /\+?[0-9]{7,}/g;

/** The site's own address and the number a PSAP would call back: people on site need them in an emergency. */
const OPEN = new Set(["location_lines", "callback_number", "caller_number"]);

function masked<T>(value: T): T {
  if (typeof value === "string") return value.replace(NUMBER, HIDDEN) as T;
  if (Array.isArray(value)) return value.map(masked) as T;
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [key, OPEN.has(key) ? inner : masked(inner)]),
    ) as T;
  }
  return value;
}

/** An event as anybody on the LAN may read it: without the numbers of callers and callees. */
export function eventForAnyone(event: HoldfastEvent): HoldfastEvent {
  return { ...event, subject: masked(event.subject), data: masked(event.data) } as HoldfastEvent;
}

/** The status as anybody on the LAN may read it. The site's own main number stays: it is public. */
export function statusForAnyone(document: StatusDocument): StatusDocument {
  const { engine } = document;
  if (engine === undefined) return document;
  const calls = engine.calls.map(({ call_id, ...call }) => ({ ...masked(call), call_id }));
  return { ...document, engine: { ...engine, calls } };
}
