import type { AlarmBoard } from "../../base/alarms.ts";
import type { Clock } from "../../base/clock.ts";
import type { PathConfig, SiteConfig } from "../../base/config/schema.ts";
import type { EventFactory, HealthState, HoldfastEvent } from "../../base/events.ts";
import type { Log } from "../../base/log.ts";
import type { KnownName } from "../../base/snapshot.ts";
import type { PathStatus } from "../../base/status.ts";
import { type OpenProbeSocket, openProbeSocket } from "./datagram-socket.ts";
import type { AskServer } from "./dns-client.ts";
import { type IpCommand, startIpCommand } from "./ip-command.ts";
import type { Path, Paths } from "./path.ts";
import { PathMonitor } from "./path-monitor.ts";
import { PathResolver } from "./resolver.ts";
import { type TryCanary, tryCanary } from "./tcp-canary.ts";
import { DEFAULT_RULES } from "./verdict.ts";

export interface SitePathsContext {
  readonly config: SiteConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly alarms: AlarmBoard;
  readonly events: EventFactory;
  record(event: HoldfastEvent): void;
  /** From the snapshot, or from before a restart of the engine. */
  readonly names?: Readonly<Record<string, readonly KnownName[]>>;
  /** Replaced in tests. */
  readonly ask?: AskServer;
  readonly ip?: IpCommand;
  readonly openSocket?: OpenProbeSocket;
  readonly tryCanary?: TryCanary;
  readonly random?: () => number;
}

/** Probes and OPTIONS on WAN come at least every few seconds; on LTE they are rare by design. */
const STALE_MS = { wan: 120_000, lte: 600_000, modem: 600_000 } as const;

/** A sleeping LTE radio may need a second to wake; a waiting call does not grant it that. */
const QUIET_SUSPECT_MS = { wan: 250, lte: 1_250, modem: 1_250 } as const;

const NO_IP: IpCommand = {
  ask: () => Promise.resolve({ ok: false, error: "no link to watch" }),
  onChange() {},
  close() {},
};

/** The paths of the site file, watched. Built once; a changed path list means a new one. */
export class SitePaths implements Paths {
  readonly #context: SitePathsContext;
  readonly #ip: IpCommand;
  readonly #paths: readonly PathMonitor[];
  readonly #listeners: ((path: Path) => void)[] = [];

  constructor(context: SitePathsContext) {
    this.#context = context;
    const { clock, log, config } = context;
    // Practice has no interfaces of its own to watch.
    const links = config.paths.some((path) => path.interface !== undefined);
    this.#ip = context.ip ?? (links ? startIpCommand(clock) : NO_IP);
    this.#paths = config.paths.map(
      (path) =>
        new PathMonitor(
          path,
          {
            ...DEFAULT_RULES,
            suspect_after_ms: { urgent: 250, quiet: QUIET_SUSPECT_MS[path.kind] },
            hold_down_ms: config.failover.hold_down_ms,
            hold_down_max_ms: Math.max(config.failover.hold_down_ms, config.failover.hold_down_max_ms),
            stale_after_ms: STALE_MS[path.kind],
          },
          {
            clock,
            log,
            ip: this.#ip,
            openSocket: context.openSocket ?? openProbeSocket,
            tryCanary: context.tryCanary ?? tryCanary,
            random: context.random ?? Math.random,
          },
          this.#resolver(path),
          (changed, from) => this.#changed(changed, from),
        ),
    );
  }

  #resolver({ id, dns_servers }: PathConfig): PathResolver {
    const { clock, ask, names, random } = this.#context;
    const ports = { clock, servers: dns_servers, random: random ?? Math.random };
    const resolver = new PathResolver(ask === undefined ? ports : { ...ports, ask });
    resolver.restore(names?.[id] ?? []);
    return resolver;
  }

  start(): void {
    for (const path of this.#paths) path.start();
  }

  close(): void {
    for (const path of this.#paths) path.close();
    this.#ip.close();
  }

  get(id: string): PathMonitor | undefined {
    return this.#paths.find((path) => path.id === id);
  }

  all(): readonly PathMonitor[] {
    return this.#paths;
  }

  onChange(listener: (path: Path) => void): void {
    this.#listeners.push(listener);
  }

  /** What the name servers of each path said, for the next start. */
  names(): Readonly<Record<string, readonly KnownName[]>> {
    return Object.fromEntries(this.#paths.map((path) => [path.id, path.names()]));
  }

  status(): PathStatus[] {
    return this.#paths.map((path) => path.status());
  }

  #changed(path: PathMonitor, from: HealthState | undefined): void {
    // Calls hear it first: a 911 attempt is hedged on it.
    for (const listener of this.#listeners) listener(path);
    if (from === undefined) return;
    const { alarms, events, record } = this.#context;
    const { state, evidence } = path.health;
    const why = evidence.findLast((item) => item.verdict === "bad")?.detail ?? "";
    record(events("path.health", path.id, { path: path.id, from, to: state, evidence }));
    alarms.set("path.down", path.id, state === "down", `Path ${path.id} is down: ${why}.`);
    alarms.set("path.degraded", path.id, state === "degraded", `Path ${path.id} is degraded: ${why}.`);
  }
}
