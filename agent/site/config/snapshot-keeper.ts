import { type CertificateBundle, NO_CERTIFICATES } from "../../base/certificates.ts";
import type { Clock, Timer } from "../../base/clock.ts";
import type { SiteConfig } from "../../base/config/schema.ts";
import { errorText } from "../../base/errors.ts";
import type { Telemetry } from "../../base/link/messages.ts";
import { configHash, readSnapshot, type Snapshot, writeSnapshot } from "../../base/snapshot.ts";

const BINDINGS_EVERY_MS = 2000;
const RETRY_MS = 2000;

export interface SnapshotKeeperOptions {
  readonly file: string;
  readonly practice: boolean;
  readonly clock: Clock;
  /** A text while it cannot be written, undefined once it is; on change only. */
  onFault(detail: string | undefined): void;
}

/**
 * Keeps the file from which the engine starts without asking anybody. A new config is written at once; bindings, which
 * come with every registration, at most every two seconds; learned times go along with the next writing.
 */
export class SnapshotKeeper {
  readonly #options: SnapshotKeeperOptions;
  readonly lastGood: SiteConfig | undefined;
  #snapshot: Snapshot | undefined;
  #timer: Timer | undefined;
  #writtenAt = Number.NEGATIVE_INFINITY;
  #fault: string | undefined;

  constructor(options: SnapshotKeeperOptions) {
    this.#options = options;
    const found = readSnapshot(options.file, options.practice);
    this.#snapshot = "snapshot" in found ? found.snapshot : undefined;
    this.lastGood = this.#snapshot?.config;
  }

  get snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  configIs(config: SiteConfig, certificates: CertificateBundle = NO_CERTIFICATES): Snapshot {
    const { clock, practice } = this.#options;
    const {
      bindings = [],
      callbacks = [],
      first_response_p99_ms = {},
      bindings_wall,
      token_key,
      names = {},
      call_moves = [],
    } = this.#snapshot ?? {};
    this.#snapshot = {
      v: 1,
      written_wall: clock.wall(),
      practice,
      config_hash: configHash(config),
      config,
      bindings,
      callbacks,
      certificates,
      first_response_p99_ms,
      bindings_wall,
      token_key,
      names,
      call_moves,
    };
    this.#write();
    return this.#snapshot;
  }

  /** Undefined on a box that never had a good site file. */
  certificatesAre(certificates: CertificateBundle): Snapshot | undefined {
    if (this.#snapshot === undefined) return undefined;
    this.#snapshot = { ...this.#snapshot, certificates };
    this.#write();
    return this.#snapshot;
  }

  bindingsAre({ bindings, callbacks, written_wall, token_key }: Telemetry["engine.bindings"]): void {
    if (this.#snapshot === undefined) return;
    const key = token_key ?? this.#snapshot.token_key;
    this.#snapshot = { ...this.#snapshot, bindings, callbacks, bindings_wall: written_wall, token_key: key };
    this.#soon(this.#writtenAt + BINDINGS_EVERY_MS - this.#options.clock.now());
  }

  learned({ first_response_p99_ms, names, call_moves = [] }: Telemetry["engine.learned"]): void {
    if (this.#snapshot === undefined) return;
    this.#snapshot = {
      ...this.#snapshot,
      first_response_p99_ms,
      call_moves,
      ...(names === undefined ? {} : { names }),
    };
    this.#soon(BINDINGS_EVERY_MS);
  }

  /** Writes what has changed since and stops. */
  close(): void {
    if (this.#timer !== undefined) this.#write();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #soon(delay_ms: number): void {
    this.#timer ??= this.#options.clock.after(Math.max(0, delay_ms), () => this.#write());
  }

  #write(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#snapshot === undefined) return;
    this.#snapshot = { ...this.#snapshot, written_wall: this.#options.clock.wall() };
    this.#writtenAt = this.#options.clock.now();
    let fault: string | undefined;
    try {
      writeSnapshot(this.#options.file, this.#snapshot);
    } catch (error) {
      fault = errorText(error);
      this.#soon(RETRY_MS);
    }
    if ((fault === undefined) !== (this.#fault === undefined)) {
      this.#fault = fault;
      this.#options.onFault(fault);
    }
  }
}
