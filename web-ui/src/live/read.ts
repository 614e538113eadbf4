import type { HoldfastEvent } from "../../../agent/base/events.ts";
import type { StatusDocument } from "../../../agent/base/status.ts";

export type Reading = { readonly status: StatusDocument } | { readonly fault: "broken" | "too_new" };

/** Takes a status document from the wire, or says why it cannot be shown. Only what the page leans on is looked at. */
export function readStatus(text: string): Reading {
  const value = parse(text);
  if (!isObject(value)) return { fault: "broken" };
  if (typeof value.v === "number" && value.v > 1) return { fault: "too_new" };
  const whole =
    value.v === 1 &&
    typeof value.practice === "boolean" &&
    typeof value.now_wall === "number" &&
    ["org", "site", "box", "processes", "power", "host", "noc"].every((key) => isObject(value[key])) &&
    ["engine", "media", "cellular", "site"].every((key) => isObject((value.processes as Fields)[key])) &&
    Array.isArray(value.alarms);
  return whole ? { status: value as unknown as StatusDocument } : { fault: "broken" };
}

/** Events of a list, broken ones left out; undefined when it is no list. */
export function readEvents(text: string): HoldfastEvent[] | undefined {
  const value = parse(text);
  return Array.isArray(value) ? value.filter(isEvent) : undefined;
}

export function readEvent(text: string): HoldfastEvent | undefined {
  const value = parse(text);
  return isEvent(value) ? value : undefined;
}

/** The number of the newest event, as a beat tells it. */
export function readBeat(text: string): { readonly seq: number; readonly now_wall: number } | undefined {
  const value = parse(text);
  if (!isObject(value) || typeof value.seq !== "number" || typeof value.now_wall !== "number") return undefined;
  return { seq: value.seq, now_wall: value.now_wall };
}

type Fields = Readonly<Record<string, unknown>>;

function isEvent(value: unknown): value is HoldfastEvent {
  return (
    isObject(value) &&
    typeof value.id === "string" &&
    typeof value.type === "string" &&
    typeof value.seq === "number" &&
    typeof value.wall === "number" &&
    isObject(value.data)
  );
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
