import { statSync } from "node:fs";
import { type Clock, every, type Timer } from "../../base/clock.ts";
import { type ConfigFault, faultText, loadConfig } from "../../base/config/load.ts";
import type { SiteConfig } from "../../base/config/schema.ts";
import { configHash } from "../../base/snapshot.ts";

const POLL_MS = 1000;

export interface SiteFileOptions {
  readonly file: string;
  readonly practice: boolean;
  readonly clock: Clock;
  /** What the box ran on before: the config of the last snapshot. */
  readonly lastGood: SiteConfig | undefined;
  onApplied(config: SiteConfig, hash: string): void;
  /** One line per fault. The config in force stays. */
  onRejected(faults: readonly string[]): void;
}

/**
 * The site file and the config in force. The file is looked at every second (editors and config management replace
 * files in ways that watches miss); a good change is applied while running, a bad one reported once and not applied.
 */
export class SiteFile {
  readonly #options: SiteFileOptions;
  #polls: Timer | undefined;
  #seen = "";
  #config: SiteConfig | undefined;
  #hash: string | undefined;

  constructor(options: SiteFileOptions) {
    this.#options = options;
    this.#config = options.lastGood;
    this.#hash = options.lastGood === undefined ? undefined : configHash(options.lastGood);
  }

  /** Reads the file now and looks at it from then on. */
  start(): void {
    const look = () => {
      const now = signature(this.#options.file);
      if (now === this.#seen) return;
      this.#seen = now;
      this.#load();
    };
    look();
    this.#polls = every(this.#options.clock, POLL_MS, look);
  }

  /** Undefined on a box that never had a good site file. */
  get config(): SiteConfig | undefined {
    return this.#config;
  }

  get hash(): string | undefined {
    return this.#hash;
  }

  close(): void {
    this.#polls?.cancel();
  }

  #load(): void {
    const { file, practice } = this.#options;
    const result = loadConfig(file);
    if (!result.ok) {
      this.#options.onRejected(result.faults.map(faultText));
      return;
    }
    if (!practice && !result.config.live) {
      const fault: ConfigFault = { file, line: 0, key: "live", found: "false", allowed: "true on a real site" };
      this.#options.onRejected([faultText(fault)]);
      return;
    }
    this.#config = result.config;
    this.#hash = configHash(result.config);
    this.#options.onApplied(result.config, this.#hash);
  }
}

function signature(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false, bigint: true });
  return stat === undefined ? "none" : `${stat.ino} ${stat.size} ${stat.mtimeNs}`;
}
