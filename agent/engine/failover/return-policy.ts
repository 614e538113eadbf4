/**
 * When a site whose cloud is good again may go home: as soon as it is stable, when no call is running, or in a quiet
 * hour. Neither 911 nor the hold-down is this policy's business: both come first.
 */
export type ReturnPolicy =
  | { readonly when: "stable" }
  | { readonly when: "idle" }
  /** `at`: time of day at the site, `HH:MM`. */
  | { readonly when: "hour"; readonly at: string };

export interface ReturnFacts {
  /** Calls are up or being made. */
  readonly busy: boolean;
  /** For how long everything else has allowed the return, ms. */
  readonly stable_ms: number;
  /** Time of day at the site, ms since midnight; undefined while the clock cannot be trusted. */
  readonly of_day_ms: number | undefined;
}

export interface ReturnWait {
  readonly reason: string;
  /** Ask again after this, ms; undefined: when the facts change. */
  readonly wake_in_ms: number | undefined;
}

const DAY_MS = 86_400_000;
/** Clocks are set and zones shift while one waits. */
const LOOK_AGAIN_MS = 600_000;
/**
 * The return may begin so long after the named time; a site that is busy with 911 then need not wait for tomorrow. Longer
 * than the hour that a night in spring leaves out, by as long as one may sleep through its end.
 */
const WINDOW_MS = 3_600_000 + LOOK_AGAIN_MS + 60_000;

/** What the return still waits for; undefined: nothing. */
export function returnWait(policy: ReturnPolicy, facts: ReturnFacts): ReturnWait | undefined {
  switch (policy.when) {
    case "stable":
      return undefined;
    case "idle":
      return facts.busy ? { reason: "calls are not over", wake_in_ms: undefined } : undefined;
    case "hour":
      return hourWait(policy.at, facts);
  }
}

/** A box that does not know the time cannot keep an hour: it returns when idle, at the latest a day after it could have. */
function hourWait(at: string, { busy, stable_ms, of_day_ms }: ReturnFacts): ReturnWait | undefined {
  if (of_day_ms === undefined) {
    if (!busy || stable_ms >= DAY_MS) return undefined;
    return {
      reason: "calls are not over (the clock is not set)",
      wake_in_ms: Math.min(LOOK_AGAIN_MS, DAY_MS - stable_ms),
    };
  }
  const since_ms = (of_day_ms - minutesOf(at) * 60_000 + DAY_MS) % DAY_MS;
  if (since_ms < WINDOW_MS) return undefined;
  return { reason: `goes home at ${at}`, wake_in_ms: Math.min(LOOK_AGAIN_MS, DAY_MS - since_ms) };
}

function minutesOf(at: string): number {
  const [hours = "0", minutes = "0"] = at.split(":");
  return Number(hours) * 60 + Number(minutes);
}

/** Time of day in a time zone (IANA name) at a wall-clock moment, ms since midnight. */
export function timeOfDay(wall: number, time_zone: string): number {
  const parts = new Intl.DateTimeFormat("en-GB", {
    timeZone: time_zone,
    hourCycle: "h23",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  }).formatToParts(wall);
  const of = (type: string) => Number(parts.find((part) => part.type === type)?.value ?? 0);
  return ((of("hour") * 60 + of("minute")) * 60 + of("second")) * 1000;
}
