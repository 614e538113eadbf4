/** A stream that comes without a longer pause than this flows. */
const FLOWING_MS = 300;
/** So long a pause is none of the network's jitter; a packet comes every 20 or 30 ms. */
export const STOPPED_MS = 500;
/** Who pauses between words (silence suppression) has not flowed for so long. */
const STEADY_MS = 3_000;

/** Since when each call's far end has been heard without a pause; absent: it is not being heard. */
export type FlowingSince = ReadonlyMap<string, number>;

/**
 * Calls whose far end has just fallen silent after flowing steadily: with a dead path that is the first sign of it, long
 * before a probe is due. Fed with the silence of each call in ms, several times a second.
 */
export function observeSound(
  before: FlowingSince,
  silences: ReadonlyMap<string, number>,
  at_ms: number,
): { readonly flowing: FlowingSince; readonly stopped: readonly string[] } {
  const flowing = new Map<string, number>();
  const stopped: string[] = [];
  for (const [call, silent_ms] of silences) {
    const since = before.get(call);
    if (silent_ms < FLOWING_MS) flowing.set(call, since ?? at_ms);
    else if (since !== undefined && silent_ms < STOPPED_MS) flowing.set(call, since);
    else if (since !== undefined && at_ms - since >= STEADY_MS) stopped.push(call);
  }
  return { flowing, stopped };
}

const FIRST_PAUSE_MS = 15_000;
const LONGEST_PAUSE_MS = 600_000;

/** How often a path may be suspected for silence alone: a far end that mutes its microphone says nothing of the path. */
export class SoundSuspicions {
  readonly #pauses = new Map<string, { readonly until_ms: number; readonly pause_ms: number }>();

  /** True when it may be now; each one that came to nothing makes the next wait longer. */
  may(path: string, at_ms: number): boolean {
    const known = this.#pauses.get(path);
    if (known !== undefined && at_ms < known.until_ms) return false;
    const pause_ms = Math.min(LONGEST_PAUSE_MS, (known?.pause_ms ?? FIRST_PAUSE_MS / 2) * 2);
    this.#pauses.set(path, { until_ms: at_ms + pause_ms, pause_ms });
    return true;
  }

  /** The path was down: silence was right. */
  wasRight(path: string): void {
    this.#pauses.delete(path);
  }
}
