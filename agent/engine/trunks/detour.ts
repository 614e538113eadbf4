import type { Clock } from "../../base/clock.ts";
import type { CarrierProfile, SiteConfig } from "../../base/config/schema.ts";
import type { Log } from "../../base/log.ts";
import type { HopFailure } from "../../sip/locating/hop-list.ts";
import type { Flow, TransportError } from "../../sip/transport/flow.ts";
import { inBrackets } from "../../sip/transport/ip-address.ts";
import type { TransportLayer } from "../../sip/transport/transport.ts";
import type { Health, Path } from "../paths/path.ts";
import type { Trunk } from "./trunk.ts";
import { TrunkConnection } from "./trunk-connection.ts";
import type { TrunkSetting } from "./trunk-setting.ts";

export interface DetourPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly transport: TransportLayer;
  readonly random: () => number;
}

/**
 * A trunk's peer over another path than the trunk's own: for calls that are up when that path dies. It carries nothing
 * else, is never probed and says nothing about the path's health: a peer that only the WAN leads to is no evidence
 * against cellular. Over TCP it connects when it is first asked for a flow.
 */
export class Detour implements Trunk {
  readonly id: string;
  readonly kind: "pbx" | "trunk";
  readonly path: Path;
  readonly roles = [] as const;
  readonly domain: string;
  readonly profile: CarrierProfile;
  readonly registration = undefined;
  readonly credentials: { readonly username: string; readonly password: string } | undefined;
  readonly first_response_p99_ms = undefined;
  /** The trunk whose peer it leads to. */
  readonly of: string;
  readonly #setting: TrunkSetting;
  readonly #connection: TrunkConnection;

  constructor(setting: TrunkSetting, own: Path, path: Path, local_port: number, ports: DetourPorts) {
    this.id = detourId(setting.id, path.id);
    this.of = setting.id;
    this.kind = setting.kind;
    this.path = path;
    this.domain = setting.domain;
    this.profile = setting.profile;
    this.credentials = setting.registration;
    this.#setting = { ...setting, local_port };
    const log = ports.log.child({ trunk: this.id });
    this.#connection = new TrunkConnection({
      ...ports,
      log,
      path: withAddressesOf(path, own),
      peer: this.#setting,
      keep_alive: false,
      on_demand: true,
      connected: () => {},
      lost: () => {},
      moved: () => {},
      failed: (source, { code, detail }) => log.warn("detour", { source, code, detail }),
      named: () => {},
      pong: () => {},
      mayReturn: () => true,
      isDown: () => false,
      // Asked only when a call is to move: the server that DNS prefers is taken as it is.
      ask: (_flow, done) => done(false),
    });
  }

  start(): void {
    this.#connection.start();
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  /** As good as its path; what the peer says there shows when it is used. */
  get health(): Health {
    const { state, since_ms } = this.path.health;
    return { state: state === "down" ? "down" : "unknown", since_ms, evidence: [] };
  }

  get flow(): Flow | undefined {
    return this.#connection.flow;
  }

  get local(): { readonly address: string; readonly port: number } {
    const address = this.#connection.localAddress ?? this.path.localAddress ?? "0.0.0.0";
    return { address, port: this.#setting.local_port };
  }

  contact(user: string): string {
    const { address, port } = this.local;
    const transport = this.#connection.protocol ?? "udp";
    return `sip:${user}@${inBrackets(address)}:${port}${transport === "udp" ? "" : `;transport=${transport}`}`;
  }

  observe(): void {}

  alternative(tried: readonly Flow[], failure: HopFailure): Flow | undefined {
    return this.#connection.alternative(tried, failure);
  }

  towards(address: string): Flow | undefined {
    return this.#connection.towards(address);
  }

  owns(flow: Flow): boolean {
    return this.#connection.owns(flow);
  }

  pathChanged(): void {
    this.#connection.follow();
  }

  flowClosed(flow: Flow, error: TransportError | undefined): void {
    this.#connection.flowClosed(flow, error);
  }
}

/** Not an id that a site file can have: two hyphens, and the path. */
export function detourId(trunk: string, path: string): string {
  return `${trunk}--${path}`;
}

/** The other path's DNS may not know a name that its own path's does. */
function withAddressesOf(path: Path, own: Path): Path {
  return {
    id: path.id,
    kind: path.kind,
    get health() {
      return path.health;
    },
    get localAddress() {
      return path.localAddress;
    },
    get rtt_ms() {
      return path.rtt_ms;
    },
    get loss_percent() {
      return path.loss_percent;
    },
    locate: async (sought) => {
      const found = await path.locate(sought);
      return found.hops.length > 0 ? found : own.known(sought);
    },
    known: (sought) => {
      const found = path.known(sought);
      return found.hops.length > 0 ? found : own.known(sought);
    },
    suspect: (reason) => path.suspect(reason),
  };
}

/** By which other path each trunk's peer is reached when a call has to leave the trunk's own; `undefined`: by none. */
export function detourPath(
  config: SiteConfig,
  trunk: { readonly id: string; readonly path: string },
): string | undefined {
  if (config.failover.running_calls === "stay") return undefined;
  const named = config.pbx_targets.find(({ id }) => id === trunk.id)?.detour_path;
  const kindOf = (id: string) => config.paths.find((path) => path.id === id)?.kind;
  if (named !== undefined) return named === trunk.path || kindOf(named) === "modem" ? undefined : named;
  if (kindOf(trunk.path) !== "wan") return undefined;
  return config.paths.find(({ kind }) => kind === "lte")?.id;
}

/** The trunk's own local port, or the next one that no trunk and no detour has taken on that path. */
export function freePort(wanted: number, taken: ReadonlySet<number>): number {
  let port = wanted;
  while (taken.has(port)) port++;
  return port;
}
