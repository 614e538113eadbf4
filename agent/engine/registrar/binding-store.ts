import type { Clock } from "../../base/clock.ts";
import type { Binding } from "../../base/snapshot.ts";
import { paramValue } from "../../sip/messages/params.ts";
import { parseUri, sameUri } from "../../sip/messages/uri.ts";
import type { AddressesOfRecord } from "./addresses-of-record.ts";
import type { Contacts } from "./contacts.ts";

export const BINDINGS_MAX = 4000;
export const BINDINGS_PER_AOR = 10;
/** How long a lapsed binding is remembered, for the trust it earned with the cloud. */
export const MEMORY_MS = 24 * 3_600_000;
/** Phones of a box that was off for a while are still there: what lapsed meanwhile lives on until they refresh. */
const RESTORE_GRACE_MS = 120_000;
const LONGEST_MS = 7 * 24 * 3_600_000;

export type RemovalReason = "expired" | "unregistered" | "replaced";

export type BindingChange =
  | { readonly kind: "added" | "refreshed"; readonly binding: Binding }
  | { readonly kind: "removed"; readonly binding: Binding; readonly reason: RemovalReason };

interface Entry {
  binding: Binding;
  /** Monotonic ms at which it lapses: a wall clock that is set must not unregister anybody. */
  lapses_ms: number;
  live: boolean;
  /** Order of the last registration; higher is newer. */
  order: number;
}

/**
 * The bindings of all phones (RFC 3261 §10): by address of record, by token, by where they came from. Lapsed ones stay
 * for a day, unseen by routing, because they tell whom the cloud trusted.
 */
export class BindingStore implements Contacts {
  readonly #clock: Clock;
  #aors: AddressesOfRecord;
  readonly #byAor = new Map<string, Entry[]>();
  readonly #byToken = new Map<string, Entry>();
  readonly #bySource = new Map<string, Entry[]>();
  readonly #onChange: (change: BindingChange) => void;
  #count = 0;
  #order = 0;

  constructor(clock: Clock, aors: AddressesOfRecord, onChange: (change: BindingChange) => void) {
    this.#clock = clock;
    this.#aors = aors;
    this.#onChange = onChange;
  }

  /** After a change of configuration; the bindings stay. */
  useAddresses(aors: AddressesOfRecord): void {
    this.#aors = aors;
  }

  /**
   * Gives back what a snapshot kept; what is there already is newer and stays. What had lapsed when the snapshot was
   * written is remembered only; what was live then is live again.
   */
  restore(bindings: readonly Binding[], written_wall: number): void {
    const wall = this.#clock.wall();
    for (const binding of bindings) {
      if (this.#count >= BINDINGS_MAX || this.find(binding.aor, binding.contact) !== undefined) continue;
      const left = binding.expires_wall - wall;
      if (left < -MEMORY_MS) continue;
      const live = binding.expires_wall > written_wall;
      const lives_ms = live ? Math.min(Math.max(left, RESTORE_GRACE_MS), LONGEST_MS) : Math.min(left, 0);
      this.#add({ binding, lapses_ms: this.#clock.now() + lives_ms, live, order: this.#order++ });
    }
  }

  ofExtension(extensionId: string): readonly Binding[] {
    const aor = this.#aors.ofExtension(extensionId);
    return aor === undefined ? [] : this.ofAor(aor);
  }

  /** Live ones, newest first. */
  ofAor(aor: string): readonly Binding[] {
    return (this.#byAor.get(aor) ?? [])
      .filter((entry) => this.#isLive(entry))
      .sort((a, b) => b.order - a.order)
      .map((entry) => entry.binding);
  }

  bySource(address: string, port: number): Binding | undefined {
    return this.ofSource(address, port)[0];
  }

  /** Live bindings of every line of the phone at this address and port, newest first. */
  ofSource(address: string, port: number): readonly Binding[] {
    return (this.#bySource.get(`${address} ${port}`) ?? [])
      .filter((entry) => this.#isLive(entry))
      .sort((a, b) => b.order - a.order)
      .map((entry) => entry.binding);
  }

  byToken(token: string): Binding | undefined {
    const entry = this.#byToken.get(token);
    return entry !== undefined && this.#isLive(entry) ? entry.binding : undefined;
  }

  /** The live binding with this Contact URI, whosever it is. */
  byContact(uri: string): Binding | undefined {
    return this.all().find((binding) => sameContactUri(binding.contact, uri));
  }

  /**
   * The live binding that a GRUU stands for (RFC 5627): by the instance in its `gr` where it is a public one, else the
   * binding of the phone that the request is on its way to.
   */
  byGruu(uri: string, towards: { readonly address: string; readonly port: number }): Binding | undefined {
    const aor = this.#aors.of(uri);
    const parsed = parseUri(uri);
    if (parsed === undefined) return undefined;
    const instance = paramValue(parsed.params, "gr");
    const candidates = aor === undefined ? [] : this.ofAor(aor);
    return (
      candidates.find((binding) => instance !== undefined && sameInstance(binding.instance, instance)) ??
      this.ofSource(towards.address, towards.port)[0]
    );
  }

  all(): readonly Binding[] {
    const live: Binding[] = [];
    for (const entries of this.#byAor.values()) {
      for (const entry of entries) if (this.#isLive(entry)) live.push(entry.binding);
    }
    return live;
  }

  /** Live and lapsed, as the snapshot keeps them; wall times follow the monotonic ones. */
  remembered(): readonly Binding[] {
    const wall = this.#clock.wall();
    const now = this.#clock.now();
    const all: Binding[] = [];
    for (const entries of this.#byAor.values()) {
      for (const { binding, lapses_ms } of entries) {
        all.push({ ...binding, expires_wall: Math.round(wall + lapses_ms - now) });
      }
    }
    return all;
  }

  get size(): number {
    return this.#count;
  }

  /** Live or lapsed. */
  find(aor: string, contact: string): Binding | undefined {
    return this.#entry(aor, contact)?.binding;
  }

  /** Those whom the cloud accepted within the memory, live or lapsed, of one address of record and source address. */
  acceptedFrom(aor: string, address: string): readonly Binding[] {
    const since = this.#clock.wall() - MEMORY_MS;
    return (this.#byAor.get(aor) ?? [])
      .map((entry) => entry.binding)
      .filter((binding) => binding.source_address === address && (binding.cloud_accepted_wall ?? 0) > since);
  }

  /** False when the store is full. A device that comes back with another contact replaces its old one. */
  put(binding: Binding, lives_ms: number): boolean {
    const entries = this.#byAor.get(binding.aor) ?? [];
    const old = entries.find((entry) => sameContact(entry.binding, binding));
    if (old === undefined) {
      if (entries.length >= BINDINGS_PER_AOR) {
        const lapsed = entries.find((entry) => !this.#isLive(entry));
        if (lapsed === undefined) return false;
        this.#drop(lapsed);
      }
      if (!this.makeRoom(1)) return false;
    } else this.#drop(old);
    const entry: Entry = { binding, lapses_ms: this.#clock.now() + lives_ms, live: true, order: this.#order++ };
    this.#add(entry);
    this.#onChange({ kind: old?.live === true ? "refreshed" : "added", binding });
    return true;
  }

  /** Forgets lapsed ones where `wanted` more would not fit; false when they still do not. */
  makeRoom(wanted: number): boolean {
    const surplus = this.#count + wanted - BINDINGS_MAX;
    if (surplus > 0) this.#forgetLapsed(surplus);
    return this.#count + wanted <= BINDINGS_MAX;
  }

  remove(aor: string, contact: string, reason: RemovalReason): void {
    const entry = this.#entry(aor, contact);
    if (entry?.live !== true) return;
    entry.live = false;
    entry.lapses_ms = this.#clock.now();
    this.#onChange({ kind: "removed", binding: entry.binding, reason });
  }

  /** Ends what has lapsed and forgets what is a day old; to be called about every second. */
  sweep(): void {
    const now = this.#clock.now();
    for (const entries of this.#byAor.values()) {
      for (const entry of [...entries]) {
        if (entry.lapses_ms > now) continue;
        if (entry.live) {
          entry.live = false;
          this.#onChange({ kind: "removed", binding: entry.binding, reason: "expired" });
        } else if (entry.lapses_ms < now - MEMORY_MS) this.#drop(entry);
      }
    }
  }

  #isLive(entry: Entry): boolean {
    return entry.live && entry.lapses_ms > this.#clock.now();
  }

  #entry(aor: string, contact: string): Entry | undefined {
    return this.#byAor.get(aor)?.find((entry) => sameContactUri(entry.binding.contact, contact));
  }

  #forgetLapsed(wanted: number): void {
    let freed = 0;
    for (const entries of this.#byAor.values()) {
      for (const entry of [...entries]) {
        if (this.#isLive(entry)) continue;
        this.#drop(entry);
        if (++freed >= wanted) return;
      }
    }
  }

  #add(entry: Entry): void {
    const { aor, flow_token, source_address, source_port } = entry.binding;
    push(this.#byAor, aor, entry);
    push(this.#bySource, `${source_address} ${source_port}`, entry);
    this.#byToken.set(flow_token, entry);
    this.#count++;
  }

  #drop(entry: Entry): void {
    const { aor, flow_token, source_address, source_port } = entry.binding;
    pull(this.#byAor, aor, entry);
    pull(this.#bySource, `${source_address} ${source_port}`, entry);
    if (this.#byToken.get(flow_token) === entry) this.#byToken.delete(flow_token);
    this.#count--;
  }
}

function push(map: Map<string, Entry[]>, key: string, entry: Entry): void {
  const entries = map.get(key);
  if (entries === undefined) map.set(key, [entry]);
  else entries.push(entry);
}

function pull(map: Map<string, Entry[]>, key: string, entry: Entry): void {
  const entries = map.get(key);
  if (entries === undefined) return;
  const at = entries.indexOf(entry);
  if (at >= 0) entries.splice(at, 1);
  if (entries.length === 0) map.delete(key);
}

/** +sip.instance is a URN in angle brackets, `gr` the URN itself. */
function sameInstance(instance: string | undefined, gr: string): boolean {
  return instance?.replace(/[<>]/g, "").toLowerCase() === gr.toLowerCase();
}

function sameContactUri(a: string, b: string): boolean {
  return a === b || sameUri(a, b);
}

/** The same registration: by instance and reg-id where the phone gives them (RFC 5626 §6), else by Contact URI. */
function sameContact(a: Binding, b: Binding): boolean {
  if (sameContactUri(a.contact, b.contact)) return true;
  return a.instance !== undefined && a.instance === b.instance && regId(a) === regId(b);
}

function regId(binding: Binding): string {
  return /;\s*reg-id\s*=\s*([0-9]+)/i.exec(binding.contact_params)?.[1] ?? "";
}
