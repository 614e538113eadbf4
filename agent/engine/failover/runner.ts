import type { Clock, Timer } from "../../base/clock.ts";
import type { SiteConfig } from "../../base/config/schema.ts";
import { HoldfastError } from "../../base/errors.ts";
import type { DrillRecord, EventFactory, HoldfastEvent, Mode } from "../../base/events.ts";
import { Runner } from "../../base/fsm.ts";
import { ulid } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { EngineStatus } from "../../base/status.ts";
import type { Trunk, Trunks } from "../trunks/trunk.ts";
import { initialMode, type ModeEffect, type ModeInput, type ModeState, modeMachine, type PbxView } from "./mode.ts";
import { type ReturnPolicy, returnWait, timeOfDay } from "./return-policy.ts";

export interface FailoverContext {
  readonly config: SiteConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly trunks: Trunks;
  readonly practice: boolean;
  readonly events: EventFactory;
  /** Whether the time of day can be relied on. */
  readonly clockIsSet: () => boolean;
  record(event: HoldfastEvent): void;
}

/** Two rounds of OPTIONS with their bursts fit in it. */
const SETTLE_MS = 6_000;
/** A PBX heard so soon after its path came back was out because of the path. */
const PATH_NEWS_MS = 15_000;

/** Carries out the mode machine: feeds it the PBX trunks' verdicts, keeps its timer, records what it decides. */
export class Failover {
  readonly #context: FailoverContext;
  readonly #runner: Runner<ModeState, ModeInput, ModeEffect>;
  readonly #policy: ReturnPolicy;
  readonly #listeners: ((mode: Mode) => void)[] = [];
  #timer: Timer | undefined;
  #drill: { readonly started_wall: number; readonly started_ms: number; calls: number } | undefined;
  #lastRecord: DrillRecord | undefined;

  constructor(context: FailoverContext) {
    this.#context = context;
    const { hold_down_ms, hold_down_max_ms, return_when, return_at } = context.config.failover;
    this.#policy = return_when === "hour" ? { when: "hour", at: return_at } : { when: return_when };
    this.#runner = new Runner(
      modeMachine({
        hold_down_ms,
        hold_down_max_ms: Math.max(hold_down_ms, hold_down_max_ms),
        settle_ms: SETTLE_MS,
        policy: this.#policy,
      }),
      initialMode(context.clock.now()),
      (effect, state) => this.#perform(effect, state),
    );
  }

  start(): void {
    this.#context.trunks.onChange((trunk) => {
      if (trunk.kind === "pbx") this.#look();
    });
    this.#look();
  }

  close(): void {
    this.#timer?.cancel();
  }

  get mode(): Mode {
    return this.#runner.state.mode;
  }

  get reasons(): readonly string[] {
    return this.#runner.state.reasons;
  }

  onChange(listener: (mode: Mode) => void): void {
    this.#listeners.push(listener);
  }

  /** A 911 call is running, or its callback window: the site does not go home meanwhile. */
  emergency(busy: boolean): void {
    if (busy !== this.#runner.state.busy_with_911) this.#feed({ kind: "emergency", busy });
  }

  /** Whether the site's policy lets new work go back to the PBX target that it prefers. */
  get mayReturn(): boolean {
    const { busy_with_911, busy_with_calls } = this.#runner.state;
    const facts = { busy: busy_with_calls, stable_ms: 0, of_day_ms: this.#timeOfDay() };
    return !busy_with_911 && returnWait(this.#policy, facts) === undefined;
  }

  /** Calls are up or being made: a site that returns when idle waits for their end. */
  calls(busy: boolean): void {
    if (busy !== this.#runner.state.busy_with_calls) this.#feed({ kind: "calls", busy });
  }

  /** A call began; a drill's record counts them. */
  callStarted(): void {
    if (this.#drill !== undefined) this.#drill.calls++;
  }

  /** Throws `operation.refused` while another drill runs or a 911 call is not over. */
  startDrill(by: string, duration_ms: number): { readonly drill: string; readonly ends_wall: number } {
    const { clock, config, events, record } = this.#context;
    const { drill: running, busy_with_911 } = this.#runner.state;
    if (running !== undefined) throw new HoldfastError("operation.refused", "A drill is running already.");
    if (busy_with_911) {
      throw new HoldfastError("operation.refused", "A 911 call or its callback window is not over.");
    }
    const lasts_ms = Math.max(1_000, Math.min(duration_ms, config.drill.max_ms));
    const drill = { id: ulid(clock.wall()), by, ends_ms: clock.now() + lasts_ms };
    const ends_wall = clock.wall() + lasts_ms;
    this.#drill = { started_wall: clock.wall(), started_ms: clock.now(), calls: 0 };
    record(events("drill.started", drill.id, { drill: drill.id, by, ends_wall }));
    this.#feed({ kind: "drill_start", drill });
    return { drill: drill.id, ends_wall };
  }

  /** Throws `operation.refused` when none runs. */
  stopDrill(): DrillRecord {
    if (this.#runner.state.drill === undefined) throw new HoldfastError("operation.refused", "No drill is running.");
    this.#feed({ kind: "drill_end", reason: "stopped" });
    if (this.#lastRecord === undefined) throw new HoldfastError("operation.refused", "The drill left no record.");
    return this.#lastRecord;
  }

  /** A real 911 was dialled: it takes the best path, not the rehearsed one. */
  abortDrill(): void {
    if (this.#runner.state.drill !== undefined) this.#feed({ kind: "drill_end", reason: "aborted_by_911" });
  }

  status(): Pick<EngineStatus, "mode" | "mode_since_wall" | "mode_reasons" | "drill"> {
    const { clock } = this.#context;
    const { mode, since_ms, reasons, drill } = this.#runner.state;
    const wallOf = (at_ms: number) => Math.round(clock.wall() + (at_ms - clock.now()));
    return {
      mode,
      mode_since_wall: wallOf(since_ms),
      mode_reasons: reasons,
      drill: drill === undefined ? undefined : { id: drill.id, by: drill.by, ends_wall: wallOf(drill.ends_ms) },
    };
  }

  #look(): void {
    const { trunks, clock } = this.#context;
    const pbxs = trunks.all().flatMap((trunk) => (trunk.kind === "pbx" ? [viewOf(trunk, clock.now())] : []));
    this.#feed({ kind: "pbxs", pbxs });
  }

  #perform(effect: ModeEffect, state: ModeState): void {
    const { clock, log, events, record } = this.#context;
    switch (effect.do) {
      case "changed":
        log.info("mode changed", { from: effect.from, to: effect.to, reasons: effect.reasons });
        record(events("mode.changed", "", { from: effect.from, to: effect.to, reasons: effect.reasons }));
        for (const listener of this.#listeners) listener(effect.to);
        return;
      case "wake_at":
        this.#timer?.cancel();
        this.#timer = clock.after(Math.max(0, effect.at_ms - clock.now()), () => this.#feed({ kind: "timeout" }));
        return;
      case "drill_over": {
        const { drill, reason } = effect;
        const made: DrillRecord = {
          drill: drill.id,
          by: drill.by,
          started_wall: this.#drill?.started_wall ?? clock.wall(),
          ended_wall: clock.wall(),
          // Forced from one moment to the next: nothing had to be detected.
          detection_ms: 0,
          calls: this.#drill?.calls ?? 0,
          practice: this.#context.practice,
        };
        this.#drill = undefined;
        this.#lastRecord = made;
        record(events("drill.ended", drill.id, { drill: drill.id, reason, record: made }));
        log.info("drill ended", { drill: drill.id, reason, mode: state.mode });
      }
    }
  }

  #feed(input: Unstamped<ModeInput>): void {
    this.#runner.feed({ ...input, at_ms: this.#context.clock.now(), of_day_ms: this.#timeOfDay() });
  }

  /** Undefined while the clock cannot be trusted, and where nobody asks for it. */
  #timeOfDay(): number | undefined {
    const { clock, clockIsSet, config } = this.#context;
    if (this.#policy.when !== "hour" || !clockIsSet()) return undefined;
    return timeOfDay(clock.wall(), config.site.time_zone);
  }
}

type Unstamped<T> = T extends ModeInput ? Omit<T, "at_ms" | "of_day_ms"> : never;

function viewOf(trunk: Trunk, now_ms: number): PbxView {
  const { state, evidence } = trunk.health;
  const { returned } = trunk.path;
  const news = returned !== undefined && now_ms - returned.at_ms < PATH_NEWS_MS;
  const bad = evidence.findLast((item) => item.verdict === "bad");
  return {
    id: trunk.id,
    state,
    detail: state === "up" ? "" : (bad?.detail ?? ""),
    watched_ms: news ? returned.held_ms : 0,
  };
}
