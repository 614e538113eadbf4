import type { Clock } from "../../base/clock.ts";
import type { Mode, StuckBecause } from "../../base/events.ts";
import type { Binding } from "../../base/snapshot.ts";
import { BINDINGS_MAX, type BindingChange } from "./binding-store.ts";

/** A phone that only the box knows, although the cloud decides again. */
export interface StuckPhone {
  readonly binding: Binding;
  readonly why: StuckBecause;
  /** The cloud's last refusal, where that is why. */
  readonly sip_status: number | undefined;
}

/** How a return went, once every phone is home or the time for it is over. */
export interface Homecoming {
  readonly phones: number;
  readonly home: number;
  /** Return to the last one's registration at the cloud, ms; undefined when none came. */
  readonly slowest_ms: number | undefined;
}

export interface HomecomersContext {
  readonly clock: Clock;
  /** All live bindings. */
  bindings(): readonly Binding[];
  stuckAfter_ms(): number;
  onStuck(phone: StuckPhone): void;
  /** One that was called stuck is home, `after_ms` after it was awaited. */
  onHome(binding: Binding, after_ms: number): void;
  onReturned(result: Homecoming): void;
}

interface Awaited {
  binding: Binding;
  readonly since_ms: number;
  /** It asked since then, and what came of it. */
  asked: boolean;
  refused: number | undefined;
  told: boolean;
}

/**
 * Follows the phones that registered with the box while the cloud was away: each has to be seen at the cloud soon after the
 * return, since its short expiry makes it ask again. One that is not is stuck: calls from the cloud do not reach it.
 */
export class Homecomers {
  readonly #context: HomecomersContext;
  readonly #awaited = new Map<string, Awaited>();
  #mode: Mode | undefined;
  #trip: { readonly since_ms: number; phones: number; home: number; slowest_ms: number | undefined } | undefined;

  constructor(context: HomecomersContext) {
    this.#context = context;
  }

  /** Also once at the start, when the bindings of the last run are there. */
  modeIs(mode: Mode): void {
    if (mode === this.#mode) return;
    this.#mode = mode;
    this.#awaited.clear();
    this.#trip = undefined;
    if (mode !== "normal") return;
    for (const binding of this.#context.bindings()) if (isHeld(binding)) this.#await(binding);
    const { size } = this.#awaited;
    if (size > 0) this.#trip = { since_ms: this.#now, phones: size, home: 0, slowest_ms: undefined };
  }

  bindingChanged(change: BindingChange): void {
    if (this.#mode !== "normal") return;
    const { binding } = change;
    const awaited = this.#awaited.get(keyOf(binding));
    if (change.kind === "removed") {
      // One that lapsed may have gone to the cloud by another way, or be dead: it is not home as far as anybody knows.
      if (change.reason !== "expired" && awaited !== undefined) this.#forget(keyOf(binding));
    } else if (!isHeld(binding)) this.#isHome(binding);
    else if (awaited === undefined) this.#await(binding);
    else {
      awaited.binding = binding;
      awaited.asked = true;
    }
  }

  /** The cloud's final answer to a REGISTER of this address of record from there was no 2xx. */
  refused(aor: string, source_address: string, status: number): void {
    for (const awaited of this.#awaited.values()) {
      if (awaited.binding.aor === aor && awaited.binding.source_address === source_address) awaited.refused = status;
    }
  }

  /** To be called about every second. */
  sweep(): void {
    const after_ms = this.#context.stuckAfter_ms();
    for (const awaited of this.#awaited.values()) {
      if (awaited.told || this.#now - awaited.since_ms < after_ms) continue;
      awaited.told = true;
      this.#context.onStuck(stuck(awaited));
    }
    if (this.#trip !== undefined && this.#now - this.#trip.since_ms >= after_ms) this.#arrive();
  }

  stuck(): readonly StuckPhone[] {
    return [...this.#awaited.values()].filter(({ told }) => told).map(stuck);
  }

  isStuck(binding: Binding): boolean {
    return this.#awaited.get(keyOf(binding))?.told === true;
  }

  get #now(): number {
    return this.#context.clock.now();
  }

  #await(binding: Binding): void {
    if (this.#awaited.size >= BINDINGS_MAX) return;
    this.#awaited.set(keyOf(binding), { binding, since_ms: this.#now, asked: false, refused: undefined, told: false });
  }

  /** The device that the cloud has accepted, by whatever contact it came. */
  #isHome(binding: Binding): void {
    for (const [key, awaited] of this.#awaited) {
      if (!isSameDevice(awaited.binding, binding)) continue;
      const after_ms = this.#now - awaited.since_ms;
      this.#awaited.delete(key);
      if (awaited.told) this.#context.onHome(binding, after_ms);
      if (this.#trip === undefined || awaited.since_ms > this.#trip.since_ms) continue;
      this.#trip.home++;
      this.#trip.slowest_ms = this.#now - this.#trip.since_ms;
    }
    if (this.#trip !== undefined && this.#trip.home === this.#trip.phones) this.#arrive();
  }

  #forget(key: string): void {
    this.#awaited.delete(key);
    if (this.#trip === undefined) return;
    this.#trip.phones--;
    if (this.#trip.home === this.#trip.phones) this.#arrive();
  }

  #arrive(): void {
    const trip = this.#trip;
    this.#trip = undefined;
    if (trip === undefined || trip.phones === 0) return;
    const { phones, home, slowest_ms } = trip;
    this.#context.onReturned({ phones, home, slowest_ms });
  }
}

function stuck({ binding, asked, refused }: Awaited): StuckPhone {
  if (refused !== undefined) return { binding, why: "refused", sip_status: refused };
  return { binding, why: asked ? "unanswered" : "silent", sip_status: undefined };
}

const isHeld = ({ held_since_wall }: Binding) => held_since_wall !== undefined;
const keyOf = ({ aor, contact }: Binding) => `${aor} ${contact}`;

function isSameDevice(a: Binding, b: Binding): boolean {
  if (a.aor !== b.aor) return false;
  if (a.instance !== undefined && b.instance !== undefined) return a.instance === b.instance;
  return a.contact === b.contact || a.source_address === b.source_address;
}
