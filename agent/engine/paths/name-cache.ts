import type { KnownName } from "../../base/snapshot.ts";
import type { Question, Records } from "../../sip/locating/records.ts";
import { canonicalAddress } from "../../sip/transport/ip-address.ts";

/** What was learned of one question. */
interface Entry {
  readonly question: Question;
  /** The last records that were found, however old: for when nobody answers. */
  readonly found: { readonly records: Records; readonly learned_wall: number } | undefined;
  /** Until then this is the answer; `none`: that there is none. */
  readonly fresh: { readonly until_ms: number; readonly none: boolean } | undefined;
}

const NAMES_MAX = 256;
/** So short that a moved server is found, so long that a name server with a time to live of 0 is not hammered. */
const TTL_S = [30, 3_600] as const;
const NONE_TTL_S = [10, 300] as const;
/** What nobody has confirmed for so long is forgotten. */
const KEEP_MS = 30 * 86_400_000;

/** Names of one path: fresh answers, and the last good ones for when the name servers are dead or lie. */
export class NameCache {
  readonly #entries = new Map<string, Entry>();

  /** The fresh answer: records, or that there are none. Undefined when it has to be asked. */
  fresh(question: Question, now_ms: number): { readonly records: Records | undefined } | undefined {
    const entry = this.#entries.get(keyOf(question));
    if (entry?.fresh === undefined || entry.fresh.until_ms <= now_ms) return undefined;
    return { records: entry.fresh.none ? undefined : entry.found?.records };
  }

  /** The last records that were found, however old. */
  lastFound(question: Question): { readonly records: Records; readonly learned_wall: number } | undefined {
    return this.#entries.get(keyOf(question))?.found;
  }

  found(
    question: Question,
    records: Records,
    ttl_s: number,
    now: { readonly ms: number; readonly wall: number },
  ): void {
    const until_ms = now.ms + bounded(ttl_s, TTL_S) * 1000;
    this.#put({ question, found: { records, learned_wall: now.wall }, fresh: { until_ms, none: false } });
  }

  none(question: Question, ttl_s: number, now_ms: number): void {
    const { found } = this.#entries.get(keyOf(question)) ?? { found: undefined };
    this.#put({ question, found, fresh: { until_ms: now_ms + bounded(ttl_s, NONE_TTL_S) * 1000, none: true } });
  }

  /** Everything is asked again at its next use, as after a change of address. */
  expire(): void {
    for (const [key, entry] of this.#entries) this.#entries.set(key, { ...entry, fresh: undefined });
  }

  /** What outlives a restart. */
  remembered(now_wall: number): readonly KnownName[] {
    return [...this.#entries.values()].flatMap(({ question, found }) =>
      found === undefined || now_wall - found.learned_wall > KEEP_MS
        ? []
        : [{ ...question, learned_wall: found.learned_wall, records: JSON.stringify(found.records) }],
    );
  }

  /** From before a restart; what is not well-formed is left out. Nothing of it is fresh. */
  restore(known: readonly KnownName[], now_wall: number): void {
    for (const { name, type, learned_wall, records } of known.slice(-NAMES_MAX)) {
      const read = readRecords(type, records);
      if (read === undefined || now_wall - learned_wall > KEEP_MS) continue;
      this.#put({ question: { name, type }, found: { records: read, learned_wall }, fresh: undefined });
    }
  }

  #put(entry: Entry): void {
    const key = keyOf(entry.question);
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= NAMES_MAX) break;
      this.#entries.delete(oldest);
    }
  }
}

const keyOf = ({ name, type }: Question): string => `${type} ${name}`;

const bounded = (ttl_s: number, [least, most]: readonly [number, number]): number =>
  Math.min(Math.max(Number.isFinite(ttl_s) ? ttl_s : least, least), most);

function readRecords(type: Question["type"], text: string): Records | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { naptr, srv, addresses } = value as Readonly<Record<string, unknown>>;
  const isList = (list: unknown): list is readonly Readonly<Record<string, unknown>>[] =>
    Array.isArray(list) && list.every((each) => typeof each === "object" && each !== null);
  if (type === "NAPTR") {
    const good = isList(naptr) && naptr.every(({ replacement, service }) => isText(replacement) && isText(service));
    return good ? { type, naptr: naptr as never } : undefined;
  }
  if (type === "SRV") {
    const good = isList(srv) && srv.every(({ target, port }) => isText(target) && typeof port === "number");
    return good ? { type, srv: srv as never } : undefined;
  }
  if (type !== "A" && type !== "AAAA") return undefined;
  const good =
    Array.isArray(addresses) && addresses.every((each) => isText(each) && canonicalAddress(each) !== undefined);
  return good ? { type, addresses: addresses as string[] } : undefined;
}

const isText = (value: unknown): value is string => typeof value === "string";
