import type { AlarmBoard } from "../base/alarms.ts";
import type { Clock, Timer } from "../base/clock.ts";
import type { SiteConfig } from "../base/config/schema.ts";
import { errorText } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { checkNet, type NetFault } from "../net/check.ts";

/** Addresses and routes settle for a moment after a change. */
const SETTLE_MS = 1000;
const AGAIN_MS = 60_000;

export interface NetWatchContext {
  readonly config: SiteConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly alarms: AlarmBoard;
  /** Replaced in tests. */
  readonly check?: (config: SiteConfig) => Promise<readonly NetFault[]>;
}

/** Sees to it that a missing routing rule is an alarm that says what to do: at the start, on change, every minute. */
export class NetWatch {
  readonly #context: NetWatchContext;
  readonly #raised: Record<NetFault["code"], ReadonlySet<string>> = {
    "net.rules_missing": new Set(),
    "net.unverified": new Set(),
  };
  #timer: Timer | undefined;
  #running = false;
  #closed = false;

  constructor(context: NetWatchContext) {
    this.#context = context;
  }

  start(): void {
    void this.#look();
  }

  /** A path changed. */
  changed(): void {
    if (!this.#running) this.#again(SETTLE_MS);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #again(delay_ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#context.clock.after(delay_ms, () => void this.#look());
  }

  async #look(): Promise<void> {
    const { config, log, alarms } = this.#context;
    this.#running = true;
    try {
      const faults = await (this.#context.check ?? checkNet)(config);
      if (this.#closed) return;
      for (const code of ["net.rules_missing", "net.unverified"] as const) {
        const ofCode = faults.filter((fault) => fault.code === code);
        const subjects = new Set(ofCode.map(({ subject }) => subject));
        for (const subject of subjects) {
          const mine = ofCode.filter((fault) => fault.subject === subject);
          const what = mine.map(({ detail }) => detail).join("; ");
          alarms.raise(code, subject, `${what}. ${mine[0]?.fix ?? ""}`);
        }
        for (const subject of this.#raised[code]) if (!subjects.has(subject)) alarms.clear(code, subject);
        this.#raised[code] = subjects;
      }
    } catch (error) {
      log.warn("the routing rules could not be checked", { error: errorText(error) });
    } finally {
      this.#running = false;
      if (!this.#closed) this.#again(AGAIN_MS);
    }
  }
}
