import { statSync } from "node:fs";
import type { AlarmBoard } from "../../base/alarms.ts";
import {
  type CertificateBundle,
  type CertificateEnd,
  type CertificateFault,
  certificateFiles,
  NO_CERTIFICATES,
  type ReadCertificates,
  readCertificates,
} from "../../base/certificates.ts";
import { type Clock, every, type Timer } from "../../base/clock.ts";
import type { SiteConfig } from "../../base/config/schema.ts";
import type { ClockQuality } from "../../base/events.ts";
import type { Log } from "../../base/log.ts";

const POLL_MS = 2000;
/** Dates are judged anew this often. */
const JUDGE_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** Days left at which an alarm tells how many there are. */
const WARNINGS_DAYS = [1, 7, 30] as const;

export interface CertificateKeeperOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly alarms: AlarmBoard;
  /** From the last snapshot: what goes on being used while a file is missing or broken. */
  readonly lastGood: CertificateBundle | undefined;
  clockQuality(): ClockQuality;
  /** Files have changed, and what can be used of them. */
  onChange(bundle: CertificateBundle): void;
  /** For tests. */
  readonly read?: (config: SiteConfig, now_wall: number) => ReadCertificates;
  readonly signature?: (file: string) => string;
}

/**
 * The PEM files that the site file names. They are looked at every two seconds, and a change is taken over once it has
 * stood for one more look, so that no certificate meets the key before it. What is missing, broken or does not fit raises
 * an alarm, and the last good one stays; so does an end that is near.
 */
export class CertificateKeeper {
  readonly #options: CertificateKeeperOptions;
  readonly #timers: readonly Timer[];
  #config: SiteConfig | undefined;
  #bundle: CertificateBundle;
  #seen = "";
  #changing: string | undefined;
  #faults: readonly CertificateFault[] = [];
  #ends: readonly CertificateEnd[] = [];
  /** Alarms raised here, by code and subject, with the words they were raised with. */
  #raised = new Map<string, readonly [Parameters<AlarmBoard["raise"]>[0], string, string]>();

  constructor(options: CertificateKeeperOptions) {
    this.#options = options;
    this.#bundle = options.lastGood ?? NO_CERTIFICATES;
    const { clock } = options;
    this.#timers = [every(clock, POLL_MS, () => this.#look()), every(clock, JUDGE_MS, () => this.#judge())];
  }

  /** Reads what this site file names, now. */
  follow(config: SiteConfig): CertificateBundle {
    this.#config = config;
    this.#seen = this.#signature(config);
    this.#changing = undefined;
    this.#read(config);
    return this.#bundle;
  }

  close(): void {
    for (const timer of this.#timers) timer.cancel();
  }

  #signature(config: SiteConfig): string {
    const signature = this.#options.signature ?? signatureOf;
    return certificateFiles(config).map(signature).join("\n");
  }

  #look(): void {
    const config = this.#config;
    if (config === undefined) return;
    const now = this.#signature(config);
    if (now === this.#seen) return;
    const settled = now === this.#changing;
    this.#changing = now;
    if (!settled) return;
    this.#seen = now;
    const before = JSON.stringify(this.#bundle);
    this.#read(config);
    if (JSON.stringify(this.#bundle) === before) return;
    this.#options.log.info("certificates taken over");
    this.#options.onChange(this.#bundle);
  }

  #read(config: SiteConfig): void {
    const { bundle, faults, ends } = (this.#options.read ?? readCertificates)(config, this.#options.clock.wall());
    const ids = new Set(config.certificates.map(({ id }) => id));
    const files = new Set(certificateFiles(config));
    this.#bundle = {
      certificates: { ...kept(this.#bundle.certificates, ids), ...bundle.certificates },
      authorities: { ...kept(this.#bundle.authorities, files), ...bundle.authorities },
    };
    this.#faults = faults;
    this.#ends = ends;
    this.#judge();
  }

  #judge(): void {
    const wanted = new Map<string, readonly [Parameters<AlarmBoard["raise"]>[0], string, string]>();
    const want = (...alarm: readonly [Parameters<AlarmBoard["raise"]>[0], string, string]) =>
      wanted.set(`${alarm[0]} ${alarm[1]}`, alarm);
    for (const { path, kind, found } of this.#faults) {
      if (kind === "expired" || kind === "not_yet_valid") continue;
      want("certificate.unusable", path.join("."), `${found}. The last good one stays in use.`);
    }
    // Before the clock was ever set nothing can be said of dates.
    const now = this.#options.clock.wall();
    for (const { id, ends_wall } of this.#options.clockQuality() === "unset" ? [] : this.#ends) {
      const day = new Date(ends_wall).toISOString().slice(0, 10);
      const left = WARNINGS_DAYS.find((days) => ends_wall - now <= days * DAY_MS);
      if (ends_wall <= now) want("certificate.expired", id, `Certificate ${id} ended on ${day}.`);
      else if (left !== undefined) {
        want(
          "certificate.expires",
          id,
          `Certificate ${id} ends on ${day}, within ${left === 1 ? "a day" : `${left} days`}.`,
        );
      }
    }
    const { alarms } = this.#options;
    for (const [key, [code, subject, detail]] of this.#raised) {
      if (wanted.get(key)?.[2] !== detail) alarms.clear(code, subject);
    }
    for (const [code, subject, detail] of wanted.values()) alarms.raise(code, subject, detail);
    this.#raised = wanted;
  }
}

function kept<T>(entries: Readonly<Record<string, T>>, names: ReadonlySet<string>): Record<string, T> {
  return Object.fromEntries(Object.entries(entries).filter(([name]) => names.has(name)));
}

function signatureOf(file: string): string {
  // Follows links: renewals of certificates are often a link that points elsewhere.
  const stat = statSync(file, { throwIfNoEntry: false, bigint: true });
  return stat === undefined ? "none" : `${stat.ino} ${stat.size} ${stat.mtimeNs}`;
}
