import type { EmergencyData, EventData, EventType } from "../../base/events.ts";
import type { SipRequest } from "../../sip/messages/message.ts";
import { printMessage } from "../../sip/messages/print.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import type { AttemptsEffect } from "../emergency/attempts-state.ts";
import type { BridgeParty, End } from "./bridge.ts";
import type { CallsContext } from "./call-context.ts";
import type { AttemptContent, EmergencyAttempt } from "./emergency-attempt.ts";
import type { CallJournal } from "./journal.ts";
import { destinationOf } from "./leg.ts";

/** What is known of an emergency call from the first moment. */
export interface EmergencyFacts extends AttemptContent {
  readonly data: EmergencyData;
}

/** When and where it was answered. */
export interface Answered {
  readonly wall: number;
  readonly ms: number;
  readonly trunk: string;
  readonly path: string;
}

/** What an emergency call leaves behind: events for those who look, and files for the next engine. */
export class EmergencyRecords {
  readonly #context: CallsContext;
  readonly #journal: CallJournal;
  readonly #facts: EmergencyFacts;
  readonly #id: string;
  readonly #emergency: boolean;
  readonly #started_wall: number;
  readonly #started_ms: number;
  /** Attempts whose INVITEs the journal has. */
  readonly #kept = new Set<number>();

  constructor(parts: {
    readonly context: CallsContext;
    readonly host: { readonly journal: CallJournal };
    readonly facts: EmergencyFacts;
    readonly id: string;
    readonly started_wall: number;
    readonly started_ms: number;
  }) {
    this.#context = parts.context;
    this.#journal = parts.host.journal;
    this.#facts = parts.facts;
    this.#id = parts.id;
    this.#emergency = parts.facts.target.class === "sos";
    this.#started_wall = parts.started_wall;
    this.#started_ms = parts.started_ms;
  }

  started(): void {
    if (this.#emergency) this.#event("emergency.started", this.#facts.data);
    else this.#event("call.started", this.#callData(undefined));
  }

  /** For the next engine, which tells the records how it ended should this one die. */
  keepStart(): void {
    if (!this.#emergency) return;
    this.#journal.keepStart({ v: 1, id: this.#id, subject: this.#subject, data: this.#facts.data });
  }

  attempt(effect: Extract<AttemptsEffect, { type: "record" }>): void {
    const { attempt, trunk, outcome, status, hedged } = effect;
    const known = this.#context.trunks.get(trunk);
    if (outcome === "no_response") known?.observe({ kind: "no_response", method: "INVITE" });
    const after_ms = Math.round(this.#context.clock.now() - this.#started_ms);
    const path = known?.path.id ?? "";
    this.#context.log.info("emergency attempt", { call: this.#id, attempt, trunk, outcome, status, after_ms, hedged });
    if (!this.#emergency) return;
    this.#event("emergency.attempt", { attempt, trunk, path, outcome, sip_status: status, after_ms, hedged });
  }

  answered(answered: Answered): void {
    const after_ms = Math.round(this.#context.clock.now() - this.#started_ms);
    const { trunk, path } = answered;
    if (this.#emergency) this.#event("emergency.answered", { ...this.#facts.data, trunk, path, after_ms });
    else this.#event("call.answered", this.#callData(answered));
  }

  moved(answered: Answered, from_path: string, took_ms: number): void {
    this.#event("call.moved", { ...this.#callData(answered), from_path, by: "reinvite", took_ms });
  }

  ended(by: "caller" | "psap" | "box", cause: string, answered: Answered | undefined): void {
    const duration_ms = answered === undefined ? 0 : Math.round(this.#context.clock.now() - answered.ms);
    this.#context.log.info("emergency call ended", { call: this.#id, by, cause, duration_ms });
    if (this.#emergency) {
      this.#event("emergency.ended", { ...this.#facts.data, duration_ms, ended_by: by, cause });
    } else {
      const ended_by = by === "psap" ? "callee" : by;
      this.#event("call.ended", { ...this.#callData(answered), duration_ms, ended_by, cause });
    }
  }

  /** The INVITE of an attempt, as long as its leg may ring somewhere. */
  keep(
    attempt: EmergencyAttempt,
    caller_call_id: string | undefined,
    invite: SipRequest,
    flow: Flow,
    proceeding: boolean,
  ): void {
    const { id, trunk, token, contact } = attempt;
    this.#kept.add(id);
    this.#journal.keepAttempt({
      v: 1,
      call_id: this.#id,
      caller_call_id,
      attempt: id,
      trunk: trunk.id,
      path: trunk.path.id,
      emergency: this.#emergency,
      sent_ms: this.#context.clock.now(),
      message: Buffer.from(printMessage(invite)).toString("base64"),
      destination: destinationOf(flow),
      proceeding,
      token,
      contact,
    });
  }

  forget(attempt: number): void {
    if (this.#kept.delete(attempt)) this.#journal.forgetAttempt(this.#id, attempt);
  }

  /** The answered call, for the next engine. */
  save(
    { caller, callee }: Readonly<Record<End, BridgeParty>>,
    answered: Answered,
    caller_sdp: string | undefined,
  ): void {
    const { target, data, identity } = this.#facts;
    this.#journal.save({
      v: 1,
      id: this.#id,
      kind: this.#emergency ? "emergency" : "test",
      started_wall: this.#started_wall,
      started_ms: this.#started_ms,
      answered_wall: answered.wall,
      answered_ms: answered.ms,
      trunk: answered.trunk,
      path: answered.path,
      data: this.#callData(answered),
      emergency: {
        target,
        data,
        aor: identity.aor,
        registered: identity.registered,
        instance: identity.instance,
      },
      caller: { leg: caller.leg.record, side: caller.side },
      callee: { leg: callee.leg.record, side: callee.side },
      caller_sdp,
    });
  }

  #callData(answered: Answered | undefined) {
    return {
      direction: "outbound" as const,
      caller: this.#facts.identity.extension?.number ?? this.#facts.callerNumber,
      callee: this.#facts.target.digits,
      trunk: answered?.trunk,
      path: answered?.path,
    };
  }

  #event<T extends EventType>(type: T, data: EventData[T]): void {
    const context = { call_id: this.#id, ...(this.#emergency ? { incident_id: this.#id } : {}) };
    this.#context.record(this.#context.events(type, this.#subject, data, context));
  }

  get #subject(): string {
    return this.#facts.identity.extension?.id ?? "";
  }
}
