import { type Clock, every, type Timer } from "../../base/clock.ts";
import type { HoldfastEvent } from "../../base/events.ts";
import type { Store } from "../store/store.ts";
import { eventPayload } from "./payloads.ts";

const TICK_MS = 100;
/** Events on their way to the broker at one time; emergency events go beyond it. */
const IN_FLIGHT_LIMIT = 50;
/** Replayed events that the NOC application has not yet acknowledged; more are not sent, for LTE has a data budget. */
const UNANSWERED_LIMIT = 200;
/** Events younger than this are news and go ahead of the backlog. */
const NEWS_MS = 30_000;
const RESEND_FIRST_MS = 60_000;
const RESEND_LONGEST_MS = 30 * 60_000;
/** Ordinary events that one connection carries before they are on disk. */
const UNSAVED_LIMIT = 500;
const GIVEN_LIMIT = 20_000;

export interface PumpOptions {
  readonly clock: Clock;
  readonly store: Pick<Store, "outbox" | "unsaved" | "onStored" | "acknowledge" | "lastSeq">;
  /** Whose word makes an event delivered. */
  acknowledgedBy(): "application" | "puback";
}

/** One connection as the pump uses it. */
export interface PumpTarget {
  /** Resolves with the broker's PUBACK. */
  publish(payload: string): Promise<void>;
  readonly replay_per_s: number;
  /** Longest wait for a PUBACK before the connection is thought dead, ms. */
  readonly puback_within_ms: number;
  /** The broker accepts nothing any more. */
  onStalled(): void;
}

/**
 * Moves events from the outbox to the NOC. Emergency events first, then news, then the backlog, oldest first and at a
 * limited rate. An event leaves the outbox only by the NOC application's acknowledgement (or by PUBACK where the site
 * file says so); what is not acknowledged is sent again on every new connection and after a while, so the NOC tells
 * repetitions by their id.
 */
export class OutboxPump {
  readonly #options: PumpOptions;
  readonly #off: () => void;
  readonly #ticks: Timer;
  #target: PumpTarget | undefined;
  /** Highest number sent in each lane of this connection. */
  #emergencySent = 0;
  #newsSent = 0;
  #replaySent = 0;
  #newsFrom = 1;
  #credit = 0;
  /** Numbers on their way to the broker, with when they left. */
  readonly #inFlight = new Map<string, number>();
  /** Numbers of events that the broker has and the NOC application has not acknowledged. */
  readonly #unanswered = new Map<string, number>();
  /** Everything sent by this process and not yet acknowledged, over whichever connection: what "up to" may mean. */
  readonly #given = new Map<string, number>();
  readonly #unsavedSent = new Set<string>();
  readonly #arrivals: { readonly seq: number; readonly at_ms: number }[] = [];
  #resendAfter = RESEND_FIRST_MS;
  #resendAt = Number.POSITIVE_INFINITY;

  constructor(options: PumpOptions) {
    this.#options = options;
    this.#off = options.store.onStored((event) => this.#stored(event));
    this.#ticks = every(options.clock, TICK_MS, () => this.#tick());
  }

  /** Begins anew on this connection, or rests without one. */
  connect(target: PumpTarget | undefined): void {
    this.#target = target;
    this.#inFlight.clear();
    this.#resendAfter = RESEND_FIRST_MS;
    this.#rewind();
    this.#pump();
  }

  /** The NOC application has these. */
  acknowledged(ids: readonly string[]): void {
    for (const id of ids) {
      this.#unanswered.delete(id);
      this.#given.delete(id);
    }
    if (this.#unanswered.size === 0) this.#resendAt = Number.POSITIVE_INFINITY;
    this.#resendAfter = RESEND_FIRST_MS;
    this.#options.store.acknowledge(ids);
    this.#pump();
  }

  /** The NOC application has everything up to this number. Only what was sent by this process counts. */
  acknowledgedUpTo(seq: number): void {
    const sent = [...this.#given].filter(([, number]) => number <= seq);
    this.acknowledged(sent.map(([id]) => id));
  }

  close(): void {
    this.#off();
    this.#ticks.cancel();
    this.#target = undefined;
  }

  #stored(event: HoldfastEvent): void {
    const now = this.#options.clock.now();
    this.#arrivals.push({ seq: event.seq, at_ms: now });
    while ((this.#arrivals[0]?.at_ms ?? now) < now - NEWS_MS) this.#arrivals.shift();
    this.#pump();
  }

  #rewind(): void {
    const now = this.#options.clock.now();
    const news = this.#arrivals.filter(({ at_ms }) => at_ms >= now - NEWS_MS).map(({ seq }) => seq);
    this.#newsFrom = news.length > 0 ? Math.min(...news) : this.#options.store.lastSeq + 1;
    this.#emergencySent = 0;
    this.#replaySent = 0;
    this.#newsSent = this.#newsFrom - 1;
    this.#unanswered.clear();
    this.#unsavedSent.clear();
    this.#credit = 0;
    this.#resendAt = Number.POSITIVE_INFINITY;
  }

  #tick(): void {
    const target = this.#target;
    if (target === undefined) return;
    const now = this.#options.clock.now();
    const oldest = this.#inFlight.values().next().value;
    if (oldest !== undefined && now - oldest > target.puback_within_ms) {
      this.#target = undefined;
      target.onStalled();
      return;
    }
    if (now >= this.#resendAt && this.#inFlight.size === 0) {
      this.#rewind();
      this.#resendAfter = Math.min(RESEND_LONGEST_MS, this.#resendAfter * 2);
    }
    this.#credit = Math.min(target.replay_per_s, this.#credit + (target.replay_per_s * TICK_MS) / 1000);
    this.#pump();
  }

  #pump(): void {
    const { store } = this.#options;
    const target = this.#target;
    if (target === undefined) return;
    for (const row of store.outbox({ after: this.#emergencySent, until: MAX, emergency: true, limit: 100 })) {
      this.#emergencySent = row.seq;
      this.#send(target, row.seq, row.event);
    }
    for (const event of store.unsaved()) {
      if (this.#unsavedSent.has(event.id)) continue;
      // Emergency events do not wait behind the ordinary ones that a full disk holds up.
      if (!event.type.startsWith("emergency.") && (!this.#hasRoom() || this.#unsavedSent.size >= UNSAVED_LIMIT))
        continue;
      this.#unsavedSent.add(event.id);
      this.#send(target, 0, event);
    }
    if (this.#hasRoom()) {
      const limit = IN_FLIGHT_LIMIT - this.#inFlight.size;
      for (const row of store.outbox({ after: this.#newsSent, until: MAX, emergency: false, limit })) {
        this.#newsSent = row.seq;
        this.#send(target, row.seq, row.event);
      }
    }
    const limit = Math.floor(
      Math.min(this.#credit, IN_FLIGHT_LIMIT - this.#inFlight.size, UNANSWERED_LIMIT - this.#unanswered.size),
    );
    if (limit <= 0) return;
    for (const row of store.outbox({ after: this.#replaySent, until: this.#newsFrom - 1, emergency: false, limit })) {
      this.#replaySent = row.seq;
      this.#credit--;
      this.#send(target, row.seq, row.event);
    }
  }

  #hasRoom(): boolean {
    return this.#inFlight.size < IN_FLIGHT_LIMIT;
  }

  #send(target: PumpTarget, seq: number, event: HoldfastEvent): void {
    const { clock } = this.#options;
    const { id } = event;
    this.#inFlight.set(id, clock.now());
    if (seq > 0) this.#given.set(id, seq);
    const oldest = this.#given.keys().next().value;
    if (this.#given.size > GIVEN_LIMIT && oldest !== undefined) this.#given.delete(oldest);
    target.publish(eventPayload(event)).then(
      () => {
        if (this.#target !== target) return;
        this.#inFlight.delete(id);
        // An event that is not on disk yet is sent again with its number.
        if (seq === 0) return;
        if (this.#options.acknowledgedBy() === "puback") {
          this.acknowledged([id]);
        } else {
          this.#unanswered.set(id, seq);
          if (this.#resendAt === Number.POSITIVE_INFINITY) this.#resendAt = clock.now() + this.#resendAfter;
        }
        this.#pump();
      },
      () => {
        // The connection has ended; the next one starts over.
      },
    );
  }
}

const MAX = Number.MAX_SAFE_INTEGER;
