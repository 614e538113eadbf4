import type { Hop } from "./locate.ts";

/**
 * The servers of one peer in the order of RFC 3263 §4.3: one that failed stands behind the others for a while, longer each
 * time, and is still there when nothing else is left.
 */
export interface HopList {
  readonly hops: readonly Hop[];
  readonly behind: ReadonlyMap<string, Behind>;
}

interface Behind {
  readonly until_ms: number;
  readonly times: number;
}

/** Why a request could not be served by one of a peer's servers (RFC 3263 §4.3). */
export type HopFailure =
  | { readonly kind: "silent" }
  | { readonly kind: "transport" }
  /** 503 (RFC 3261 §21.5.4). */
  | { readonly kind: "refused"; readonly retry_after_s: number | undefined };

const BEHIND_MS = 60_000;
const BEHIND_MAX_MS = 600_000;
const RETRY_AFTER_S = [5, 600] as const;
const HOPS_MAX = 16;

export const NO_HOPS: HopList = { hops: [], behind: new Map() };

export const sameHop = (a: Hop, b: Hop): boolean => keyOf(a) === keyOf(b);

/**
 * A new answer of the name servers. Among the same servers of one priority the order stays what it was, so that a new draw
 * of the weights moves nobody; those that are no longer named stay as a last resort.
 */
export function relocated(list: HopList, hops: readonly Hop[]): HopList {
  const named = new Map(hops.map((hop) => [keyOf(hop), hop]));
  const before = list.hops.flatMap((hop) => named.get(keyOf(hop)) ?? []);
  const order = before.length === hops.length ? before.sort((one, other) => (one.rank ?? 0) - (other.rank ?? 0)) : hops;
  const gone = list.hops.filter((hop) => !named.has(keyOf(hop)));
  const kept = [...order, ...gone].slice(0, HOPS_MAX);
  const keys = new Set(kept.map(keyOf));
  return { hops: kept, behind: new Map([...list.behind].filter(([key]) => keys.has(key))) };
}

/** It did not answer, or said that it cannot (503, with the Retry-After it gave). */
export function hopFailed(list: HopList, hop: Hop, now_ms: number, retry_after_s?: number): HopList {
  const key = keyOf(hop);
  const times = (list.behind.get(key)?.times ?? 0) + 1;
  const [least, most] = RETRY_AFTER_S;
  const asked_ms = retry_after_s === undefined ? 0 : Math.min(Math.max(retry_after_s, least), most) * 1000;
  const wait_ms = Math.max(asked_ms, Math.min(BEHIND_MS * 2 ** Math.min(times - 1, 10), BEHIND_MAX_MS));
  return { ...list, behind: new Map(list.behind).set(key, { until_ms: now_ms + wait_ms, times }) };
}

/** It works: its failures are forgotten. */
export function hopAnswered(list: HopList, hop: Hop): HopList {
  if (!list.behind.has(keyOf(hop))) return list;
  const behind = new Map(list.behind);
  behind.delete(keyOf(hop));
  return { ...list, behind };
}

export function isBehind(list: HopList, hop: Hop, now_ms: number): boolean {
  const behind = list.behind.get(keyOf(hop));
  return behind !== undefined && behind.until_ms > now_ms;
}

/** All of them, in the order in which they are to be tried now. */
export function inOrder(list: HopList, now_ms: number): readonly Hop[] {
  const behind = (hop: Hop) => isBehind(list, hop, now_ms);
  const until = (hop: Hop) => list.behind.get(keyOf(hop))?.until_ms ?? 0;
  return [...list.hops.filter((hop) => !behind(hop)), ...list.hops.filter(behind).sort((a, b) => until(a) - until(b))];
}

function keyOf({ transport, address, port }: Hop): string {
  return `${transport} ${address} ${port}`;
}
