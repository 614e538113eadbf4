import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { AlarmBoard } from "../base/alarms.ts";
import { NO_CERTIFICATES } from "../base/certificates.ts";
import { type Clock, every, type Timer } from "../base/clock.ts";
import { clockQuality } from "../base/clock-quality.ts";
import type { SiteConfig } from "../base/config/schema.ts";
import { errorText, HoldfastError } from "../base/errors.ts";
import { createEventFactory, type EventFactory, type HoldfastEvent } from "../base/events.ts";
import { connectLink, type LinkClient } from "../base/link/link.ts";
import type { Requests, RequestType } from "../base/link/messages.ts";
import type { Log } from "../base/log.ts";
import { configHash, readSnapshot, type Snapshot } from "../base/snapshot.ts";
import { connectRelay, type RelayClient } from "../media/relay-client.ts";
import { networkTransport } from "../sip/transport/network-transport.ts";
import { StandingTransport } from "../sip/transport/standing-transport.ts";
import { readKept, writeKept } from "./bindings-file.ts";
import { BindingsPace } from "./bindings-pace.ts";
import { completeConfig, defaultConfig, type LearnedCloud, localAddresses, outsideAddress } from "./defaults.ts";
import { loadTokenKey } from "./own-tokens.ts";
import { needsRebuild } from "./reload.ts";
import { type Inheritance, SiteEngine } from "./site-engine.ts";
import { SiteTlsPolicies } from "./tls-policies.ts";

const STATUS_MS = 2000;
/** At most five status documents a second. */
const STATUS_COALESCE_MS = 200;
const LEARNED_MS = 60_000;
/** Names are learned in the first second: a power cut soon after must not lose them. */
const FIRST_LEARNED_MS = 5_000;
const RELOAD_TRY_MS = 500;
const LEARNED_MAX = 2;
/** After the engine's start. A phone repeats what is not answered after 0.5, 1.5 and 3.5 s (RFC 3261 §17.1). */
const SITE_FILE_MS = 3000;

export interface EngineProcessOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly boot_id: string;
  readonly practice: boolean;
  readonly state_dir: string;
  readonly run_dir: string;
  readonly version: string;
}

/**
 * The engine among its neighbours: starts on the last snapshot or on built-in defaults, tells `site` what happens, and
 * takes a new site file from it, at once or when no call is up.
 */
export class EngineProcess {
  readonly #options: EngineProcessOptions;
  readonly #keptFile: string;
  readonly #link: LinkClient;
  readonly #relay: RelayClient;
  readonly #alarms: AlarmBoard;
  readonly #events: EventFactory;
  readonly #tokenKey: Uint8Array;
  readonly #tls: SiteTlsPolicies;
  /** Of every engine: phones' connections stand while one follows the other. */
  readonly #transport: StandingTransport;
  readonly #first: Snapshot | undefined;
  readonly #broken: string | undefined;
  readonly #siteFileBy_ms: number;
  readonly #timers: Timer[] = [];
  #config: SiteConfig;
  #engine: SiteEngine | undefined;
  #waiting: Snapshot | undefined;
  #rebuilding = false;
  #clouds: readonly LearnedCloud[] = [];
  #stopping = false;
  #statusTimer: Timer | undefined;
  readonly #bindingsPace: BindingsPace;

  constructor(options: EngineProcessOptions) {
    this.#options = options;
    const { clock, log, boot_id, practice, state_dir, run_dir } = options;
    mkdirSync(run_dir, { recursive: true });
    this.#siteFileBy_ms = clock.now() + SITE_FILE_MS;
    this.#keptFile = join(run_dir, "engine.bindings.json");
    const read = readSnapshot(join(state_dir, "snapshot.json"), practice);
    this.#first = "snapshot" in read ? { ...read.snapshot, config: completeConfig(read.snapshot.config) } : undefined;
    this.#broken = "broken" in read ? read.broken : undefined;
    this.#config = this.#first?.config ?? defaultConfig(localAddresses(practice));
    this.#tls = new SiteTlsPolicies(() => clockQuality(clock.wall()) === "synchronised");
    this.#transport = new StandingTransport(
      networkTransport({
        clock,
        tls: this.#tls,
        onRefused: (address, detail) => log.debug("no TLS connection", { address, detail }),
      }),
    );
    if (this.#first !== undefined) this.#takeCertificates(this.#first);
    this.#tokenKey = loadTokenKey(join(run_dir, "engine.key"), this.#first?.token_key);
    this.#events = createEventFactory(
      clock,
      () => {
        const { org, site, box } = this.#config;
        return { org: org.id, site: site.id, box: box.id, boot_id, practice };
      },
      () => clockQuality(clock.wall()),
    );
    this.#alarms = new AlarmBoard(
      () => clock.wall(),
      ({ change, alarm }) => {
        const { code, severity, detail, subject } = alarm;
        const type = change === "raised" ? "alarm.raised" : "alarm.cleared";
        this.#record(this.#events(type, subject, { code, severity, detail }));
        this.#statusSoon();
      },
    );
    this.#bindingsPace = new BindingsPace(clock, { keep: () => this.#keep(), toDisk: () => this.#sendBindings() });
    const basics = { name: "engine", boot_id, clock, log } as const;
    this.#link = connectLink(
      {
        ...basics,
        socket_path: join(run_dir, "site.sock"),
        journal_file: join(run_dir, "engine.journal"),
        handlers: {
          telemetry: (type, data) => {
            if (type === "site.snapshot") this.#takeSnapshot(data as Snapshot);
          },
          ask: async (type, question) => this.#answer(type, question) as never,
        },
      },
      (connected) => {
        if (!connected) return;
        this.#bindingsPace.flush();
        this.#sendStatus();
      },
    );
    this.#relay = connectRelay({ ...basics, socket_path: join(run_dir, "media.sock") }, () => this.#statusSoon());
  }

  /** Resolves when the LAN is served. */
  async start(): Promise<"snapshot" | "defaults"> {
    const { clock, version } = this.#options;
    const configured = this.#first !== undefined;
    if (this.#broken !== undefined) {
      this.#alarms.raise("engine.snapshot_broken", "", `The snapshot could not be used: ${this.#broken}.`);
    }
    this.#engine = await this.#startEngine(configured, this.#fromFiles());
    const config_hash = this.#first === undefined ? undefined : configHash(this.#first.config);
    this.#record(this.#events("box.started", "", { process: "engine", version, config_hash }));
    this.#timers.push(
      every(clock, STATUS_MS, () => this.#sendStatus()),
      every(clock, RELOAD_TRY_MS, () => void this.#rebuildWhenIdle()),
      clock.after(FIRST_LEARNED_MS, () => this.#sendLearned()),
      every(clock, LEARNED_MS, () => this.#sendLearned()),
    );
    if (this.#waiting !== undefined) this.#takeSnapshot(this.#waiting);
    this.#statusSoon();
    return configured ? "snapshot" : "defaults";
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    for (const timer of this.#timers) timer.cancel();
    this.#bindingsPace.flush();
    await this.#engine?.close();
    await this.#transport.shutdown();
    this.#relay.disconnect();
    this.#link.close();
  }

  #record(event: HoldfastEvent): void {
    this.#link.record(event);
  }

  #answer(type: RequestType, question: unknown): unknown {
    const engine = this.#engine;
    if (engine === undefined) throw new HoldfastError("link.refused", "The engine is starting.");
    if (type === "drill.start") {
      const { by, duration_ms } = question as Requests["drill.start"]["question"];
      return engine.startDrill(by, duration_ms);
    }
    if (type === "drill.stop") return { record: engine.stopDrill() };
    throw new HoldfastError("link.refused", `${type} is not answered by the engine.`);
  }

  #statusSoon(): void {
    this.#statusTimer ??= this.#options.clock.after(STATUS_COALESCE_MS, () => {
      this.#statusTimer = undefined;
      this.#sendStatus();
    });
  }

  #sendStatus(): void {
    if (this.#engine !== undefined && this.#link.connected) {
      this.#link.telemetry("engine.status", this.#engine.status());
    }
  }

  #sendLearned(): void {
    if (this.#engine === undefined) return;
    const { first_response_p99_ms, names, call_moves } = this.#engine.inheritance();
    this.#link.telemetry("engine.learned", { first_response_p99_ms, names, call_moves });
    this.#keep();
  }

  /** Through `site` to the disk. */
  #sendBindings(): void {
    if (this.#engine === undefined) return;
    const { bindings, callbacks, bindings_written_wall: written_wall } = this.#engine.inheritance();
    const token_key = Buffer.from(this.#tokenKey).toString("base64");
    this.#link.telemetry("engine.bindings", { bindings, callbacks, written_wall, token_key });
  }

  /** For a restart of the engine alone. */
  #keep(): void {
    if (this.#engine === undefined) return;
    const { bindings, callbacks, names, bindings_written_wall: written_wall } = this.#engine.inheritance();
    try {
      writeKept(this.#keptFile, { written_wall, bindings, callbacks, names });
    } catch (error) {
      this.#options.log.warn("the bindings could not be kept", { error: errorText(error) });
    }
  }

  /** The engine's own file is newer than the snapshot unless the machine was off. */
  #fromFiles(): Inheritance {
    const kept = readKept(this.#keptFile);
    const onDisk_wall = this.#first?.bindings_wall ?? this.#first?.written_wall ?? 0;
    const isNewer = kept !== undefined && kept.written_wall >= onDisk_wall;
    const newest = isNewer ? kept : this.#first;
    return {
      bindings: newest?.bindings ?? [],
      bindings_written_wall: isNewer ? kept.written_wall : onDisk_wall,
      callbacks: newest?.callbacks ?? [],
      names: newest?.names ?? this.#first?.names ?? {},
      first_response_p99_ms: this.#first?.first_response_p99_ms ?? {},
      call_moves: this.#first?.call_moves ?? [],
    };
  }

  #startEngine(configured: boolean, before: Inheritance): Promise<SiteEngine> {
    const { clock, log, practice, run_dir } = this.#options;
    return SiteEngine.start(
      {
        clock,
        log,
        lendTransport: () => this.#transport.lend(),
        relay: this.#relay,
        alarms: this.#alarms,
        events: this.#events,
        practice,
        run_dir,
        token_key: this.#tokenKey,
        site_file_by_ms: this.#siteFileBy_ms,
        record: (event) => this.#record(event),
        changed: () => this.#statusSoon(),
        learn: (server) => this.#learn(server),
        bindingsChanged: (urgent) => {
          this.#bindingsPace.changed(urgent);
          this.#statusSoon();
        },
      },
      this.#config,
      configured,
      before,
    );
  }

  #takeSnapshot(snapshot: Snapshot): void {
    this.#takeCertificates(snapshot);
    this.#alarms.clear("engine.snapshot_broken", "");
    const engine = this.#engine;
    if (engine === undefined || this.#rebuilding) {
      this.#waiting = snapshot;
      return;
    }
    this.#waiting = undefined;
    if (!engine.configured || needsRebuild(engine.config, snapshot.config)) {
      this.#waiting = snapshot;
      void this.#rebuildWhenIdle();
    } else if (configHash(engine.config) !== snapshot.config_hash) {
      this.#config = snapshot.config;
      engine.configure(snapshot.config);
      this.#applied(snapshot);
    }
  }

  /** Even while the rest waits for an idle moment: certificates touch nothing that stands. */
  #takeCertificates({ config, certificates }: Snapshot): void {
    this.#tls.configure(config, certificates ?? NO_CERTIFICATES);
  }

  async #rebuildWhenIdle(): Promise<void> {
    const snapshot = this.#waiting;
    if (this.#rebuilding || this.#stopping || snapshot === undefined || this.#engine?.idle !== true) return;
    this.#waiting = undefined;
    await this.#rebuild(snapshot.config, true);
    this.#applied(snapshot);
  }

  async #rebuild(config: SiteConfig, configured: boolean): Promise<void> {
    const engine = this.#engine;
    if (engine === undefined) return;
    this.#rebuilding = true;
    const before = engine.inheritance();
    await engine.close();
    this.#config = config;
    // Should the new one not start, nothing serves the phones: then only a fresh process helps.
    this.#engine = await this.#startEngine(configured, before);
    await this.#transport.dropUnused();
    this.#rebuilding = false;
  }

  /** On defaults only; the first few that are named count, so that nobody can push the right one out later. */
  #learn(server: LearnedCloud): boolean {
    const { practice, log } = this.#options;
    const outside = outsideAddress(practice);
    const known = this.#clouds.some(({ host }) => host.toLowerCase() === server.host.toLowerCase());
    if (known || outside === undefined || this.#rebuilding || this.#clouds.length >= LEARNED_MAX) return false;
    this.#clouds = [...this.#clouds, server];
    log.warn("without a site file: using the server that a phone names", { host: server.host, outside });
    void this.#rebuild(defaultConfig(localAddresses(practice), this.#clouds, outside), false);
    return true;
  }

  #applied({ config_hash }: Snapshot): void {
    this.#record(this.#events("config.applied", "", { config_hash }));
    this.#options.log.info("site file taken over", { config_hash });
    this.#statusSoon();
  }
}
