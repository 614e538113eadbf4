import { type Clock, every, type Timer } from "../../../base/clock.ts";
import type { Health } from "../../paths/path.ts";
import type { Trunk } from "../../trunks/trunk.ts";
import { type FlowingSince, observeSound, SoundSuspicions, STOPPED_MS } from "./sound-watch.ts";

const WATCH_MS = 400;
/** A far end that is silent for so long after it flowed is gone, if nothing else answers by its path either. */
export const SILENT_MS = 1000;

export interface FarEndContext {
  readonly clock: Clock;
  /** Calls under watch; none: nobody is asked. */
  calls(): number;
  /** For how long each call's far end has not been heard, in ms. */
  silences(): Promise<ReadonlyMap<string, number>>;
  /** What carries a call that is not lost; undefined: it needs no watching. */
  carrier(leg: string): Trunk | undefined;
  /** It fell silent, and neither its path nor the peer there answers. */
  lost(leg: string): void;
  /** After each look. */
  looked(silences: ReadonlyMap<string, number>): void;
}

/**
 * Listens to the far ends of running calls. No path verdict is final where nobody beyond the site's own router is asked:
 * sound that stops makes the path be asked at once, and a silent call does not wait for the verdict.
 */
export class FarEndWatch {
  readonly #context: FarEndContext;
  readonly #suspicions = new SoundSuspicions();
  #flowing: FlowingSince = new Map();
  /** Calls that flowed and have not been heard since. */
  readonly #stopped = new Set<string>();
  /** Calls from before a restart that have not been looked at. */
  readonly #resumed = new Set<string>();
  #timer: Timer | undefined;

  constructor(context: FarEndContext) {
    this.#context = context;
  }

  /**
   * A call from before a restart, whose far end may have fallen silent since. Its path has had no verdict by then, and gets
   * none where it died before this engine's first probe: nobody has heard anything of it.
   */
  resumed(leg: string): void {
    this.#resumed.add(leg);
    this.start();
  }

  /** There are calls; it ends by itself when there are none. */
  start(): void {
    this.#timer ??= every(this.#context.clock, WATCH_MS, () => void this.#look());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#flowing = new Map();
    this.#stopped.clear();
    this.#resumed.clear();
  }

  /** A path has turned out to be dead: silence may be trusted again. */
  wasRight(path: string): void {
    this.#suspicions.wasRight(path);
  }

  async #look(): Promise<void> {
    const { clock, calls, silences: ask, looked } = this.#context;
    if (calls() === 0) {
      this.stop();
      return;
    }
    const silences = await ask();
    const { flowing, stopped } = observeSound(this.#flowing, silences, clock.now());
    this.#flowing = flowing;
    for (const leg of [...stopped, ...this.#silentSince(silences)]) {
      this.#stopped.add(leg);
      this.#suspect(leg);
    }
    for (const leg of this.#stopped) this.#judge(leg, silences.get(leg));
    looked(silences);
  }

  /** Calls from before a restart that are silent now; the media process may be a moment late with telling. */
  #silentSince(silences: ReadonlyMap<string, number>): readonly string[] {
    return [...this.#resumed].filter((leg) => {
      const silent_ms = silences.get(leg);
      return silent_ms !== undefined && this.#resumed.delete(leg) && silent_ms >= STOPPED_MS;
    });
  }

  #suspect(leg: string): void {
    const path = this.#context.carrier(leg)?.path;
    if (path === undefined || path.health.state === "down") return;
    if (this.#suspicions.may(path.id, this.#context.clock.now())) {
      path.suspect("the sound of a running call has stopped");
    }
  }

  #judge(leg: string, silent_ms: number | undefined): void {
    const trunk = this.#context.carrier(leg);
    if (trunk === undefined || silent_ms === undefined || silent_ms < SILENT_MS / 2) this.#stopped.delete(leg);
    else if (silent_ms >= SILENT_MS && isUnheard(trunk.path.health) && isDoubtful(trunk.health)) {
      this.#stopped.delete(leg);
      this.#context.lost(leg);
    }
  }
}

/** Nothing shows that it works. */
function isUnheard({ state }: Health): boolean {
  return state !== "up" && state !== "degraded";
}

export function isDoubtful({ state }: Health): boolean {
  return state === "suspect" || state === "down";
}
