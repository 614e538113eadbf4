import type { Clock, Timer } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import type { Path } from "../../paths/path.ts";
import type { Trunk, Trunks } from "../../trunks/trunk.ts";
import type { Bridge, End } from "../bridge.ts";

/**
 * Who met an offer of the other side tries again after a while (RFC 3261 §14.1); so does who met a peer in trouble or had
 * no ports. Here soon, for nobody hears anything.
 */
const AGAIN_MS = 700;
const TRIES = 6;

/** So long the other end hears nothing before it is told why. */
const PATIENCE_MS = 2000;

/** By then a restarted engine has its media process again. */
export const RESUMED_MS = 1000;

/** An answered call of the box's own, as far as its way out can die. */
export interface ExitingCall {
  readonly clock: Clock;
  readonly log: Log;
  readonly trunks: Trunks;
  bridge(): Bridge | undefined;
  /** The trunk that carries it, by which path, and which end of the bridge is there; undefined before the answer. */
  on(): { readonly trunk: string; readonly path: string; readonly end: End } | undefined;
  /** It has another path now; `took_ms`: since the old one was found dead. */
  moved(to: Trunk, took_ms: number): void;
  /** The other end waits in silence, or no longer does. */
  held?(isHeld: boolean): void;
}

/** Takes an answered call of the box's own off a path that has died, where the trunk's peer permits it on another. */
export class DeadPathExit {
  readonly #call: ExitingCall;
  #lost_ms: number | undefined;
  #timer: Timer | undefined;
  #asking = false;
  #patience: Timer | undefined;
  /** Undefined: an engine before this one may have held it. */
  #isHeld: boolean | undefined = false;

  constructor(call: ExitingCall) {
    this.#call = call;
  }

  pathChanged(path: Path): void {
    const on = this.#call.on();
    if (on?.path === path.id) {
      const { state } = path.health;
      if (state === "down") this.lost();
      else if (state === "up" || state === "degraded") this.#found();
      return;
    }
    // Another path has come up while the call's own is dead.
    if (this.#lost_ms !== undefined && path.health.state !== "down") this.#leave(0);
  }

  /** Its path carries nothing, by verdict or by the silence of its far end. */
  lost(): void {
    const { clock } = this.#call;
    if (this.#call.on() === undefined) return;
    this.#lost_ms ??= clock.now();
    this.#patience ??= clock.after(PATIENCE_MS, () => this.#hold(true));
    this.#leave(0);
  }

  /** What carries the answered call, while it is not lost. */
  carrier(): Trunk | undefined {
    const { trunks } = this.#call;
    const on = this.#lost_ms === undefined ? this.#call.on() : undefined;
    if (on === undefined) return undefined;
    return [trunks.get(on.trunk), trunks.detour(on.trunk)].find((trunk) => trunk?.path.id === on.path);
  }

  /** The relay's endpoints on the trunk's side. */
  endpoints(): readonly string[] {
    const end = this.#call.on()?.end;
    return end === undefined ? [] : (this.#call.bridge()?.endpointsOf(end) ?? []);
  }

  /** The call is from before a restart. */
  resumed(): void {
    this.#isHeld = undefined;
    this.#timer = this.#call.clock.after(RESUMED_MS, () => {
      if (this.#lost_ms === undefined) this.#hold(false);
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#patience?.cancel();
    this.#lost_ms = undefined;
  }

  #found(): void {
    this.#lost_ms = undefined;
    this.#patience?.cancel();
    this.#patience = undefined;
    this.#hold(false);
  }

  #hold(isHeld: boolean): void {
    if (this.#isHeld === isHeld) return;
    this.#isHeld = isHeld;
    this.#call.held?.(isHeld);
  }

  #leave(tries: number): void {
    const { trunks, clock, log } = this.#call;
    const on = this.#call.on();
    const bridge = this.#call.bridge();
    if (this.#asking || this.#lost_ms === undefined || on === undefined || bridge === undefined) return;
    const to = [trunks.get(on.trunk), trunks.detour(on.trunk)].find(
      (trunk) => trunk !== undefined && trunk.path.id !== on.path && trunk.path.health.state !== "down",
    );
    if (to === undefined) return;
    this.#asking = true;
    void bridge.move(on.end, to).then((status) => {
      this.#asking = false;
      const lost_ms = this.#lost_ms;
      if (status === 200) {
        this.#found();
        const took_ms = Math.round(clock.now() - (lost_ms ?? clock.now()));
        log.info("an answered call of the box's own has moved", { to: to.id, took_ms });
        this.#call.moved(to, took_ms);
        return;
      }
      log.warn("an answered call of the box's own could not be moved", { to: to.id, status });
      if ((status !== 491 && (status < 500 || status >= 600)) || tries >= TRIES) return;
      this.#timer?.cancel();
      this.#timer = clock.after(AGAIN_MS, () => this.#leave(tries + 1));
    });
  }
}
