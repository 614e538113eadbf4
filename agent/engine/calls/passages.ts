import type { Clock } from "../../base/clock.ts";
import type { CallData, EventData, EventFactory, HoldfastEvent } from "../../base/events.ts";
import { ulid } from "../../base/ids.ts";
import type { CallStatus } from "../../base/status.ts";
import { callIdOf, header } from "../../sip/messages/headers.ts";
import type { SipRequest } from "../../sip/messages/message.ts";
import { parseNameAddr, tagOf } from "../../sip/messages/name-addr.ts";
import { parseUri, userOf } from "../../sip/messages/uri.ts";
import type { Trunk } from "../trunks/trunk.ts";
import type { CallFiles } from "./moving/call-files.ts";
import type { Rung } from "./moving/move-machine.ts";
import type { Party, PassageWatcher } from "./proxy-parties.ts";

const PASSAGES_MAX = 2000;

interface Passage {
  readonly id: string;
  /**
   * Call-ID and From tag: the same for both halves of a call that goes phone → box → PBX → box → phone, and for every
   * phone that the PBX forks it to.
   */
  readonly key: string;
  /** The half on the caller's side. */
  readonly near: string;
  readonly legs: Set<string>;
  /** Those of the legs on which somebody has answered: of several far halves, forks of the PBX, usually one. */
  readonly answered: Set<string>;
  readonly from: Party["kind"];
  /** Where the caller is, when both ends are phones of the LAN: they are told apart by that alone. */
  readonly caller_at: string | undefined;
  data: CallData;
  readonly started_wall: number;
  state: CallStatus["state"];
  since_wall: number;
  /** Monotonic, so that a clock that is set during the call does not change its length. */
  answered_ms: number | undefined;
  /** Its start is in the records. */
  recorded: boolean;
}

/** An answered call as it outlives the engine. */
interface PassageRecord {
  readonly v: 1;
  readonly id: string;
  readonly key: string;
  readonly near: string;
  readonly legs: readonly string[];
  readonly answered: readonly string[];
  readonly from: Party["kind"];
  readonly caller_at: string | undefined;
  readonly data: CallData;
  readonly started_wall: number;
  readonly since_wall: number;
  readonly answered_ms: number;
}

export interface PassagesContext {
  readonly clock: Clock;
  readonly events: EventFactory;
  readonly journal: CallFiles;
  record(event: HoldfastEvent): void;
  /** Something shown on the page changed. */
  changed(): void;
}

/** The proxied calls as people see them: two halves of one call are one. */
export class Passages implements PassageWatcher {
  readonly #context: PassagesContext;
  readonly #byLeg = new Map<string, Passage>();
  readonly #byKey = new Map<string, Passage>();

  constructor(context: PassagesContext) {
    this.#context = context;
  }

  /** Calls from before a restart: when they end it is recorded. */
  resume(): void {
    for (const value of this.#context.journal.load()) {
      if (!isPassageRecord(value)) continue;
      const { v: _, legs, answered, ...kept } = value;
      const sets = { legs: new Set(legs), answered: new Set(answered) };
      const passage: Passage = { ...kept, ...sets, state: "answered", recorded: true };
      for (const leg of legs) this.#byLeg.set(leg, passage);
      this.#byKey.set(passage.key, passage);
    }
  }

  /** The engine ends and the calls go on. */
  close(): void {
    this.#context.journal.close();
  }

  get size(): number {
    return this.#byKey.size;
  }

  started(leg: string, request: SipRequest, from: Party, to: Party): void {
    const key = `${callIdOf(request) ?? ""} ${tagOf(request, "From") ?? ""}`;
    const known = this.#byKey.get(key);
    // The far half, or one more fork of it.
    if (known !== undefined && from.kind === "trunk") {
      known.legs.add(leg);
      this.#byLeg.set(leg, known);
      return;
    }
    if (known !== undefined) this.#forget(known);
    if (this.#byKey.size >= PASSAGES_MAX) return;
    const trunk = from.kind === "trunk" ? from.trunk : to.kind === "trunk" ? to.trunk : undefined;
    const now = this.#context.clock.wall();
    const passage: Passage = {
      id: ulid(now),
      key,
      near: leg,
      legs: new Set([leg]),
      answered: new Set(),
      from: from.kind,
      caller_at: from.kind === "phone" && to.kind === "phone" ? placeOf(from) : undefined,
      data: {
        direction: from.kind === "trunk" ? "inbound" : to.kind === "trunk" ? "outbound" : "internal",
        caller: numberOf(parseNameAddr(header(request, "From") ?? "")?.uri),
        callee: numberOf(parseNameAddr(header(request, "To") ?? "")?.uri),
        trunk: trunk?.id,
        path: trunk?.path.id,
      },
      started_wall: now,
      state: "trying",
      since_wall: now,
      answered_ms: undefined,
      recorded: false,
    };
    this.#byLeg.set(leg, passage);
    this.#byKey.set(key, passage);
  }

  ringing(leg: string): void {
    const passage = this.#byLeg.get(leg);
    if (passage?.state !== "trying") return;
    passage.state = "ringing";
    this.#recordStart(passage);
    this.#context.changed();
  }

  answered(leg: string): void {
    const passage = this.#byLeg.get(leg);
    if (passage === undefined) return;
    passage.answered.add(leg);
    this.#keep(passage);
    if (passage.state === "answered") return;
    this.#recordStart(passage);
    passage.state = "answered";
    passage.since_wall = this.#context.clock.wall();
    passage.answered_ms = this.#context.clock.now();
    this.#record("call.answered", passage, passage.data);
    this.#context.changed();
  }

  moved(leg: string, to: Trunk, by: Rung, took_ms: number): void {
    const passage = this.#byLeg.get(leg);
    if (passage === undefined) return;
    const from_path = passage.data.path;
    passage.data = { ...passage.data, trunk: to.id, path: to.path.id };
    this.#record("call.moved", passage, { ...passage.data, from_path, by, took_ms });
    this.#keep(passage);
    this.#context.changed();
  }

  challenged(leg: string): void {
    const passage = this.#byLeg.get(leg);
    if (passage !== undefined) this.#forget(passage);
  }

  ended(leg: string, by: Party, cause: string): void {
    const passage = this.#byLeg.get(leg);
    if (passage === undefined) return;
    this.#byLeg.delete(leg);
    passage.legs.delete(leg);
    const was_answered = passage.answered.delete(leg);
    // A fork that lost, or was hung up while another goes on.
    const isFar = (each: string) => passage.from === "trunk" || each !== passage.near;
    if (passage.state === "answered" && isFar(leg)) {
      const goesOn = [...passage.answered].some(isFar);
      if (goesOn || (!was_answered && passage.legs.size > 0)) return;
    }
    // The far half of a call that was not answered ends first; the near one tells how the call ended.
    if (passage.legs.size > 0 && passage.state !== "answered") return;
    this.#forget(passage);
    this.#recordStart(passage);
    const { answered_ms } = passage;
    const duration_ms = answered_ms === undefined ? 0 : Math.round(this.#context.clock.now() - answered_ms);
    // On the far half the caller is on the cloud's side.
    const isCaller =
      passage.caller_at === undefined
        ? (by.kind === passage.from) === (passage.from === "trunk" || !isFar(leg))
        : placeOf(by) === passage.caller_at;
    const ended_by = isCaller ? "caller" : "callee";
    this.#record("call.ended", passage, { ...passage.data, duration_ms, ended_by, cause });
    this.#context.changed();
  }

  status(): CallStatus[] {
    return [...this.#byKey.values()].map(({ id, data, state, since_wall }) => ({
      call_id: id,
      kind: data.direction,
      state,
      caller: data.caller,
      callee: data.callee,
      trunk: data.trunk,
      path: data.path,
      since_wall,
      location_lines: undefined,
      callback_number: undefined,
    }));
  }

  #keep(passage: Passage): void {
    this.#context.journal.changed(fileOf(passage), () => {
      const { legs, answered, state: _, recorded: __, ...kept } = passage;
      return { v: 1, ...kept, legs: [...legs], answered: [...answered] };
    });
  }

  #forget(passage: Passage): void {
    this.#context.journal.remove(fileOf(passage));
    for (const leg of passage.legs) this.#byLeg.delete(leg);
    if (this.#byKey.get(passage.key) === passage) this.#byKey.delete(passage.key);
  }

  #recordStart(passage: Passage): void {
    if (passage.recorded) return;
    passage.recorded = true;
    this.#record("call.started", passage, passage.data);
  }

  #record<T extends "call.started" | "call.answered" | "call.moved" | "call.ended">(
    type: T,
    passage: Passage,
    data: EventData[T],
  ): void {
    const { events, record } = this.#context;
    record(events(type, passage.data.callee, data, { call_id: passage.id }));
  }
}

const placeOf = ({ flow }: Party) => `${flow.remote.address}:${flow.remote.port}`;
const fileOf = ({ id }: Passage) => id.toLowerCase();

/** The files are ours and whole or absent: this tells our own version from another one's. */
function isPassageRecord(value: unknown): value is PassageRecord {
  if (typeof value !== "object" || value === null) return false;
  const { v, id, key, near, legs, answered, data, answered_ms } = value as Record<string, unknown>;
  const named = typeof id === "string" && typeof key === "string" && typeof near === "string";
  return (
    v === 1 &&
    named &&
    Array.isArray(legs) &&
    Array.isArray(answered) &&
    typeof data === "object" &&
    typeof answered_ms === "number"
  );
}

/** What people know a party by: the user part, else the whole URI, cut to a sane length. */
function numberOf(uri: string | undefined): string {
  const parsed = uri === undefined ? undefined : parseUri(uri);
  const user = parsed === undefined ? undefined : userOf(parsed);
  return (user ?? uri ?? "").slice(0, 64);
}
