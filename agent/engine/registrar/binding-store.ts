import type { Clock } from "../../base/clock.ts";
import type { Binding } from "../../base/snapshot.ts";
import { paramValue } from "../../sip/messages/params.ts";
import { parseUri, type SipUri, sameUri } from "../../sip/messages/uri.ts";
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
  /** `moved`: refreshed, but calls to it now leave in another way. */
  | { readonly kind: "added" | "refreshed" | "moved"; readonly binding: Binding }
  | { readonly kind: "removed"; readonly binding: Binding; readonly reason: RemovalReason };

interface Entry {
  readonly binding: Binding;
  /** The Contact read once: a request may be compared with thousands. */
  readonly uri: SipUri | undefined;
  /** Monotonic ms at which it lapses: a wall clock that is set must not unregister anybody. */
  lapses_ms: number;
  /** Monotonic ms by which the phone has been told to refresh; before `lapses_ms` where the cloud granted longer. */
  readonly due_ms: number;
  /** Monotonic ms at which the cloud last accepted it, for the same reason. */
  readonly accepted_ms: number | undefined;
  live: boolean;
  /** The contact's preference among its neighbours (RFC 3261 §20.10), 0 to 1. */
  readonly q: number;
  /** Order of the last registration; higher is newer. */
  readonly order: number;
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
   * written is remembered only; what was live then is live again. How long the box was off is known only by a clock that
   * is right: by any other, expiry goes on from where it stood, since a ghost that rings nobody costs less than a phone.
   */
  restore(bindings: readonly Binding[], written_wall: number, clock: { readonly trusted: boolean }): void {
    const away_ms = clock.trusted ? Math.max(0, this.#clock.wall() - written_wall) : 0;
    const now = this.#clock.now();
    for (const binding of bindings) {
      if (this.#count >= BINDINGS_MAX || this.find(binding.aor, binding.contact) !== undefined) continue;
      const left = binding.expires_wall - written_wall - away_ms;
      const live = binding.expires_wall > written_wall;
      if (!live && left < -MEMORY_MS) continue;
      const lives_ms = live ? Math.min(Math.max(left, RESTORE_GRACE_MS), LONGEST_MS) : Math.min(left, 0);
      const accepted = binding.cloud_accepted_wall;
      const accepted_ms = accepted === undefined ? undefined : now - away_ms - Math.max(0, written_wall - accepted);
      this.#add(this.#entryOf(binding, lives_ms, live, accepted_ms));
    }
  }

  ofExtension(extensionId: string): readonly Binding[] {
    const aor = this.#aors.ofExtension(extensionId);
    return aor === undefined ? [] : this.ofAor(aor);
  }

  /** Live ones, the preferred first (RFC 3261 §16.6), the newest of equal ones first. */
  ofAor(aor: string): readonly Binding[] {
    return (this.#byAor.get(aor) ?? [])
      .filter((entry) => this.#isLive(entry))
      .sort((a, b) => b.q - a.q || b.order - a.order)
      .map((entry) => entry.binding);
  }

  /** Until it lapses; 0 for one that has, or is not here. */
  left_ms({ aor, contact }: Pick<Binding, "aor" | "contact">): number {
    const entry = this.#entry(aor, contact);
    return entry === undefined || !this.#isLive(entry) ? 0 : entry.lapses_ms - this.#clock.now();
  }

  /** Wall ms at which it lapses, by the wall clock as it is now. */
  expiresWall(binding: Pick<Binding, "aor" | "contact">): number {
    return Math.round(this.#clock.wall() + this.left_ms(binding));
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
    const parsed = parseUri(uri);
    for (const entries of this.#byAor.values()) {
      for (const entry of entries) {
        const same = entry.binding.contact === uri || (parsed && entry.uri && sameUri(entry.uri, parsed));
        if (same && this.#isLive(entry)) return entry.binding;
      }
    }
    return undefined;
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
      for (const { binding, lapses_ms, accepted_ms } of entries) {
        all.push({
          ...binding,
          expires_wall: Math.round(wall + lapses_ms - now),
          cloud_accepted_wall: accepted_ms === undefined ? undefined : Math.round(wall + accepted_ms - now),
        });
      }
    }
    return all;
  }

  /** Live and lapsed ones of an address of record, the newest first. */
  rememberedOf(aor: string): readonly { readonly binding: Binding; readonly live: boolean }[] {
    return [...(this.#byAor.get(aor) ?? [])]
      .sort((a, b) => b.order - a.order)
      .map((entry) => ({ binding: entry.binding, live: this.#isLive(entry) }));
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
    const since = this.#clock.now() - MEMORY_MS;
    return (this.#byAor.get(aor) ?? [])
      .filter(({ binding, accepted_ms }) => binding.source_address === address && (accepted_ms ?? since) > since)
      .map((entry) => entry.binding);
  }

  /** Live ones that a new registration would take the place of: it is the same contact, or the same device. */
  replacedBy(
    binding: Pick<Binding, "aor" | "contact" | "contact_params" | "instance" | "call_id">,
  ): readonly Binding[] {
    return (this.#byAor.get(binding.aor) ?? [])
      .filter((entry) => this.#isLive(entry) && sameContact(entry.binding, binding))
      .map((entry) => entry.binding);
  }

  /**
   * False when the store is full. A device that comes back with another contact replaces its old one, unless
   * `keeps_others`: then others are what somebody else says, and the newest is what counts where there are too many.
   * `told_ms`: the expiry that the phone hears, where it is shorter.
   */
  put(
    binding: Binding,
    lives_ms: number,
    { told_ms = lives_ms, keeps_others = false }: { readonly told_ms?: number; readonly keeps_others?: boolean } = {},
  ): boolean {
    const entries = this.#byAor.get(binding.aor) ?? [];
    const olds = entries.filter(({ binding: old }) =>
      keeps_others ? sameContactUri(old.contact, binding.contact) : sameContact(old, binding),
    );
    if (olds.length === 0) {
      if (entries.length >= BINDINGS_PER_AOR) {
        const spare =
          entries.find((entry) => !this.#isLive(entry)) ??
          entries.find((entry) => isLeftBehind(entry.binding, binding)) ??
          (keeps_others ? entries[0] : undefined);
        if (spare === undefined) return false;
        this.#drop(spare);
        if (spare.live) this.#onChange({ kind: "removed", binding: spare.binding, reason: "replaced" });
      }
      if (!this.makeRoom(1)) return false;
    }
    for (const old of olds) this.#drop(old);
    const accepted = binding.cloud_accepted_wall;
    const unchanged = olds.find((old) => old.binding.cloud_accepted_wall === accepted);
    const accepted_ms =
      accepted === undefined
        ? undefined
        : (unchanged?.accepted_ms ?? this.#clock.now() - Math.max(0, this.#clock.wall() - accepted));
    this.#add(this.#entryOf(binding, lives_ms, true, accepted_ms, told_ms));
    const live = olds.filter((old) => old.live);
    const same = live.find((old) => sameContactUri(old.binding.contact, binding.contact));
    for (const old of live) {
      if (old !== same) this.#onChange({ kind: "removed", binding: old.binding, reason: "replaced" });
    }
    const moved = same !== undefined && same.binding.flow_token !== binding.flow_token;
    this.#onChange({ kind: same === undefined ? "added" : moved ? "moved" : "refreshed", binding });
    return true;
  }

  /** The phone has refreshed and is told to do so again in `told_ms`; what the cloud granted stays as it is. */
  advance(binding: Binding, cseq: number, told_ms: number): void {
    const entry = this.#entry(binding.aor, binding.contact);
    if (entry === undefined) return;
    this.#drop(entry);
    this.#add({ ...entry, binding: { ...entry.binding, cseq }, due_ms: this.#clock.now() + told_ms });
  }

  /** How late a phone is with the refresh it was told to make, ms; below zero while it is in time. */
  overdue_ms({ aor, contact }: Pick<Binding, "aor" | "contact">): number {
    const entry = this.#entry(aor, contact);
    return entry === undefined ? 0 : this.#clock.now() - entry.due_ms;
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

  #entryOf(
    binding: Binding,
    lives_ms: number,
    live: boolean,
    accepted_ms: number | undefined,
    told_ms = lives_ms,
  ): Entry {
    const q = /;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)/i.exec(binding.contact_params)?.[1];
    return {
      binding,
      uri: parseUri(binding.contact),
      lapses_ms: this.#clock.now() + lives_ms,
      due_ms: this.#clock.now() + told_ms,
      accepted_ms,
      live,
      q: q === undefined ? 1 : Math.min(1, Number(q)),
      order: this.#order++,
    };
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

/**
 * The same registration: by Contact URI (RFC 3261 §10.3 step 7), or by instance and reg-id where the phone gives both
 * (RFC 5626 §6). A device without a reg-id that comes with a new Call-ID has been started anew (§10.2: a client keeps its
 * Call-ID), and its old contact with it.
 */
function sameContact(a: Binding, b: Pick<Binding, "contact" | "contact_params" | "instance" | "call_id">): boolean {
  if (sameContactUri(a.contact, b.contact)) return true;
  if (a.instance === undefined || a.instance !== b.instance) return false;
  const id = regId(a);
  return id === regId(b) && (id !== undefined || a.call_id !== b.call_id);
}

/** Marks of a telephone without an instance, by which its older contacts are known. */
export type Telephone = Pick<
  Binding,
  "call_id" | "instance" | "transport" | "source_address" | "source_port" | "user_agent"
>;

/**
 * What a telephone that gives no instance has probably left behind by being started anew or by connecting again. Too little
 * to remove a contact by, but enough for which one makes room.
 */
export function isLeftBehind(old: Telephone, now: Telephone): boolean {
  if (old.instance !== undefined || now.instance !== undefined) return false;
  if (old.source_address !== now.source_address || old.user_agent !== now.user_agent) return false;
  return old.call_id !== now.call_id || (old.transport !== "udp" && old.source_port !== now.source_port);
}

function regId({ contact_params }: Pick<Binding, "contact_params">): string | undefined {
  return /;\s*reg-id\s*=\s*([0-9]+)/i.exec(contact_params)?.[1];
}
