import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { errorText } from "../../base/errors.ts";
import type { CallData, EmergencyData } from "../../base/events.ts";
import type { Log } from "../../base/log.ts";
import type { CallbackEntry } from "../../base/snapshot.ts";
import type { Destination, Endpoint } from "../../sip/transport/flow.ts";
import type { EmergencyTarget } from "../emergency/classify.ts";
import type { MediaSide } from "./call-media.ts";
import type { LegRecord } from "./leg.ts";

/** An answered call as it outlives the engine. */
export interface CallRecord {
  readonly v: 1;
  readonly id: string;
  readonly kind: "internal" | "outbound" | "inbound" | "emergency" | "test";
  readonly started_wall: number;
  /** Monotonic, of the machine: comparable after a restart of the engine. */
  readonly started_ms: number;
  readonly answered_wall: number;
  readonly answered_ms: number;
  readonly trunk: string | undefined;
  readonly path: string | undefined;
  readonly data: CallData;
  readonly emergency: EmergencyRecord | undefined;
  readonly caller: { readonly leg: LegRecord; readonly side: MediaSide };
  readonly callee: { readonly leg: LegRecord; readonly side: MediaSide };
  /** SDP that the caller was told last, for the codec of announcements. */
  readonly caller_sdp: string | undefined;
}

export interface EmergencyRecord {
  readonly target: EmergencyTarget;
  readonly data: EmergencyData;
  readonly aor: string | undefined;
  readonly registered: boolean;
  readonly instance: string | undefined;
}

/** The INVITE of an emergency call that has not been answered, as it came. */
export interface KeptInvite {
  readonly v: 1;
  /** Monotonic, of the machine. */
  readonly began_ms: number;
  /** In base64. */
  readonly message: string;
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

/** An INVITE of ours for an emergency call, as long as its leg may still ring or be answered somewhere. */
export interface KeptAttempt {
  readonly v: 1;
  readonly call_id: string;
  /** Call-ID of the caller's INVITE. */
  readonly caller_call_id: string | undefined;
  /** Number of the attempt within the call. */
  readonly attempt: number;
  readonly trunk: string;
  readonly path: string;
  /** Of a real emergency call, not of a test call. */
  readonly emergency: boolean;
  /** Monotonic, of the machine. */
  readonly sent_ms: number;
  /** As sent, in base64. */
  readonly message: string;
  readonly destination: Destination;
  /** A provisional response has come. */
  readonly proceeding: boolean;
  readonly token: string;
  readonly contact: string;
}

/** An emergency call whose start is in the records, as long as nobody has answered it. */
export interface KeptStart {
  readonly v: 1;
  readonly id: string;
  readonly subject: string;
  readonly data: EmergencyData;
}

const CALLBACKS = "callbacks.json";

/**
 * Answered calls and the callback ledger in a folder on a tmpfs: one small file each, replaced as a whole, so that a
 * killed engine leaves the old or the new one. Writing never stops a call: what fails is logged.
 */
export class CallJournal {
  readonly #dir: string;
  readonly #log: Log;

  constructor(dir: string, log: Log) {
    this.#dir = dir;
    this.#log = log;
  }

  /**
   * A call begins: should the engine die before the answer, what the call had opened can be closed by its id, and the
   * caller's INVITE can be taken anew.
   */
  begin(id: string, invite?: KeptInvite): void {
    this.#write(`begun-${id}`, invite ?? "");
  }

  /** What the records have of it: should the engine die, the next one tells them that it ended. */
  keepStart(start: KeptStart): void {
    this.#write(startFile(start.id), start);
  }

  save(record: CallRecord): void {
    this.#write(`call-${record.id}.json`, record);
  }

  remove(id: string): void {
    for (const name of [`call-${id}.json`, `begun-${id}`, startFile(id)]) {
      this.#try("remove", () => rmSync(join(this.#dir, name), { force: true }));
    }
  }

  keepAttempt(attempt: KeptAttempt): void {
    this.#write(attemptFile(attempt.call_id, attempt.attempt), attempt);
  }

  /** The leg is over, or the call's record has it. */
  forgetAttempt(call_id: string, attempt: number): void {
    this.#try("remove", () => rmSync(join(this.#dir, attemptFile(call_id, attempt)), { force: true }));
  }

  saveCallbacks(entries: readonly CallbackEntry[]): void {
    this.#write(CALLBACKS, entries);
  }

  /**
   * What a killed engine left, emergency calls first, the ids of the calls that it left unanswered, and the emergency
   * ones' INVITEs, those that came and those that had been sent. Files that cannot be read are left out, and said so.
   */
  load(): {
    readonly calls: readonly CallRecord[];
    readonly unanswered: readonly string[];
    readonly invites: readonly KeptInvite[];
    readonly starts: readonly KeptStart[];
    readonly attempts: readonly KeptAttempt[];
    readonly callbacks: readonly CallbackEntry[];
  } {
    const calls: CallRecord[] = [];
    let names: string[] = [];
    try {
      names = readdirSync(this.#dir);
    } catch {
      // The first start: there is no folder yet.
    }
    for (const name of names.filter((each) => /^call-[a-z0-9]+\.json$/.test(each))) {
      const record = this.#read(name);
      if (isCallRecord(record)) calls.push(record);
    }
    calls.sort((a, b) => Number(b.kind === "emergency") - Number(a.kind === "emergency"));
    const callbacks = names.includes(CALLBACKS) ? this.#read(CALLBACKS) : [];
    const answered = new Set(calls.map(({ id }) => id));
    const begun = names.flatMap((name) => /^begun-([0-9a-z]+)$/.exec(name)?.[1] ?? []);
    const unanswered = begun.filter((id) => !answered.has(id));
    const invites = unanswered.flatMap((id) => keptInvite(this.#read(`begun-${id}`)) ?? []);
    const starts = unanswered
      .filter((id) => names.includes(startFile(id)))
      .flatMap((id) => keptStart(this.#read(startFile(id))) ?? []);
    // The leg of an answered call is not one that was left over, should the engine have died between the two writings.
    const bridged = new Set(calls.map(({ callee }) => callee.leg.token));
    const attempts = names
      .filter((each) => /^attempt-[0-9a-z]+-\d+\.json$/.test(each))
      .flatMap((name) => keptAttempt(this.#read(name)) ?? [])
      .filter(({ token }) => !bridged.has(token));
    return {
      calls,
      unanswered,
      invites,
      starts,
      attempts,
      callbacks: Array.isArray(callbacks) ? callbacks.filter(isCallbackEntry) : [],
    };
  }

  #read(name: string): unknown {
    try {
      return JSON.parse(readFileSync(join(this.#dir, name), "utf8"));
    } catch (error) {
      this.#log.error("call journal", { what: "read", name, error: errorText(error) });
      return undefined;
    }
  }

  #write(name: string, value: unknown): void {
    this.#try("write", () => {
      mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
      const file = join(this.#dir, name);
      const beside = `${file}.new`;
      const handle = openSync(beside, "w", 0o600);
      try {
        writeFileSync(handle, JSON.stringify(value));
        fsyncSync(handle);
      } finally {
        closeSync(handle);
      }
      renameSync(beside, file);
    });
  }

  #try(what: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#log.error("call journal", { what, error: errorText(error) });
    }
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** The files are ours and whole or absent: this tells our own version from another one's. */
function isCallRecord(value: unknown): value is CallRecord {
  if (!isObject(value) || value.v !== 1 || typeof value.id !== "string" || !isObject(value.data)) return false;
  const party = (end: unknown) => isObject(end) && isObject(end.leg) && isObject(end.side);
  return party(value.caller) && party(value.callee);
}

function keptInvite(value: unknown): KeptInvite | undefined {
  if (!isObject(value) || value.v !== 1 || typeof value.message !== "string") return undefined;
  const end = (at: unknown) => isObject(at) && typeof at.address === "string" && typeof at.port === "number";
  return typeof value.began_ms === "number" && end(value.local) && end(value.remote)
    ? (value as unknown as KeptInvite)
    : undefined;
}

function keptAttempt(value: unknown): KeptAttempt | undefined {
  if (!isObject(value) || value.v !== 1 || typeof value.message !== "string") return undefined;
  return isObject(value.destination) && typeof value.call_id === "string" && typeof value.token === "string"
    ? (value as unknown as KeptAttempt)
    : undefined;
}

function keptStart(value: unknown): KeptStart | undefined {
  if (!isObject(value) || value.v !== 1 || !isObject(value.data)) return undefined;
  return typeof value.id === "string" && typeof value.subject === "string"
    ? (value as unknown as KeptStart)
    : undefined;
}

const startFile = (call_id: string): string => `start-${call_id}.json`;

const attemptFile = (call_id: string, attempt: number): string => `attempt-${call_id}-${attempt}.json`;

function isCallbackEntry(value: unknown): value is CallbackEntry {
  return isObject(value) && typeof value.presented_number === "string" && typeof value.until_wall === "number";
}
