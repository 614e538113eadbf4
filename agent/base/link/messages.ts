import { type DrillRecord, type HoldfastEvent, isEventLike } from "../events.ts";
import type { Binding, CallbackEntry, Snapshot } from "../snapshot.ts";
import type { CellularStatus, EngineStatus, StatusDocument } from "../status.ts";

/** Raised by one when a change is not additive; processes of different versions refuse each other. */
export const LINK_VERSION = 1;

export type ProcessName = "engine" | "media" | "cellular" | "site" | "cli" | "practice";

/** State that may be dropped when the other side is slow or away: only the newest matters. */
export interface Telemetry {
  "engine.status": EngineStatus;
  "cellular.status": CellularStatus;
  /** The whole mirror, so that `site` can write it into the next snapshot. */
  "engine.bindings": {
    readonly bindings: readonly Binding[];
    readonly callbacks: readonly CallbackEntry[];
    /** See {@link Snapshot.bindings_wall}. */
    readonly written_wall?: number;
    /** See {@link Snapshot.token_key}. */
    readonly token_key?: string;
  };
  "engine.learned": Pick<Snapshot, "first_response_p99_ms" | "names" | "call_moves">;
  "site.snapshot": Snapshot;
  /** From the practice world: how its cable is, on connecting and on every change. */
  "practice.status": { readonly wan: "plugged" | "pulled" };
}

/** Questions with one answer. `media.*` carry the Relay port; their shapes are in agent/media/relay.ts. */
export interface Requests {
  "drill.start": { question: { by: string; duration_ms: number }; answer: { drill: string; ends_wall: number } };
  "drill.stop": { question: { by: string }; answer: { record: DrillRecord } };
  /** To `site`: the document that page and NOC read. */
  "status.read": { question: Record<string, never>; answer: StatusDocument };
  /** To the practice world only. */
  "practice.cable": { question: { wan: "plugged" | "pulled" }; answer: { wan: "plugged" | "pulled" } };
  /** Makes a practice phone dial; resolves when the call is over or stands, with what happened, line by line. */
  "practice.call": { question: { from: string; to: string }; answer: { ok: boolean; lines: readonly string[] } };
  "media.call": { question: { method: string; args: readonly unknown[] }; answer: unknown };
}

export type TelemetryType = keyof Telemetry;
export type RequestType = keyof Requests;

/** Frames on the wire, one JSON document a line. */
export type Frame =
  | { readonly k: "hello"; readonly v: number; readonly name: ProcessName; readonly boot_id: string }
  | { readonly k: "telemetry"; readonly type: TelemetryType; readonly data: unknown }
  | { readonly k: "record"; readonly event: HoldfastEvent }
  | { readonly k: "ack"; readonly ids: readonly string[] }
  | { readonly k: "ask"; readonly n: number; readonly type: RequestType; readonly question: unknown }
  | { readonly k: "answer"; readonly n: number; readonly answer: unknown }
  | { readonly k: "refuse"; readonly n: number; readonly code: string; readonly detail: string };

const KINDS = new Set(["hello", "telemetry", "record", "ack", "ask", "answer", "refuse"]);

/**
 * One line as a frame; `unknown` for a kind of a later release, which is passed over; undefined for what is no frame at
 * all. The content of telemetry, questions and answers is for their readers to judge.
 */
export function parseFrame(line: string): Frame | "unknown" | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { k, v, name, type, data, event, ids, n, code, detail } = value as Record<string, unknown>;
  if (typeof k !== "string") return undefined;
  if (!KINDS.has(k)) return "unknown";
  const sound =
    k === "hello"
      ? typeof v === "number" && typeof name === "string"
      : k === "telemetry"
        ? typeof type === "string" && typeof data === "object" && data !== null
        : k === "record"
          ? isEventLike(event)
          : k === "ack"
            ? Array.isArray(ids) && ids.every((id) => typeof id === "string")
            : k === "ask"
              ? Number.isSafeInteger(n) && typeof type === "string"
              : k === "answer"
                ? Number.isSafeInteger(n)
                : Number.isSafeInteger(n) && typeof code === "string" && typeof detail === "string";
  return sound ? (value as Frame) : undefined;
}
