/** A site in memory for tests of the engine: LAN, a cloud PBX that really proxies, phones, a relay that keeps notes. */
import { readFileSync } from "node:fs";
import { AlarmBoard } from "../../base/alarms.ts";
import { parseConfig } from "../../base/config/load.ts";
import type { SiteConfig } from "../../base/config/schema.ts";
import type { HealthState, Mode } from "../../base/events.ts";
import { silentLog } from "../../base/log.ts";
import { ManualClock } from "../../base/manual-clock.ts";
import type { EndpointInfo, EndpointSpec, Relay, RemotePeer } from "../../media/relay.ts";
import type { SipRequest } from "../../sip/messages/message.ts";
import type { SipUri } from "../../sip/messages/uri.ts";
import { TransactionLayer } from "../../sip/transactions/layer.ts";
import type { ServerTransaction } from "../../sip/transactions/server-transaction.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import { MemoryNetwork } from "../../sip/transport/memory-network.ts";
import { Admission } from "../admission.ts";
import type { CallsPort } from "../calls/calls-port.ts";
import type { CallFiles } from "../calls/moving/call-files.ts";
import { assembleEngine, type EngineParts } from "../engine-parts.ts";
import type { Path } from "../paths/path.ts";
import type { BindingChange } from "../registrar/binding-store.ts";
import type { Trunk, TrunkObservation, Trunks } from "../trunks/trunk.ts";
import { MemoryPbx } from "./memory-pbx.ts";
import { MemoryPhone } from "./memory-phone.ts";

export const BOX = "10.20.0.5";
export const TOKEN_KEY = new Uint8Array(32).fill(7);
export const PBX = "10.40.0.10";
/** The box's address on the cellular side, and what leads to the cloud from there. */
export const BOX_LTE = "10.50.0.5";
export const DETOUR = "cloud--lte";
const PBX_PORT_HERE = 5062;

/** The example site file with changes. */
export function siteConfig(change: (config: SiteConfig) => void = () => {}): SiteConfig {
  const file = new URL("../../../tests/fixtures/site.yaml", import.meta.url);
  const loaded = parseConfig(readFileSync(file, "utf8"), "site.yaml");
  if (!loaded.ok) throw new Error("the example site file is not valid");
  const config = structuredClone(loaded.config) as SiteConfig;
  change(config);
  return config;
}

export class NotedRelay implements Relay {
  connected = true;
  readonly endpoints = new Map<string, EndpointSpec & { readonly port: number; peer?: RemotePeer }>();
  readonly bridges: [string, string][] = [];
  readonly closed: string[] = [];
  #port = 20_000;

  async open(spec: EndpointSpec): Promise<{ port: number }> {
    const known = this.endpoints.get(spec.id);
    if (known !== undefined) return known;
    const opened = { ...spec, port: this.#port };
    this.#port += 2;
    this.endpoints.set(spec.id, opened);
    return opened;
  }

  async setPeer(id: string, peer: RemotePeer): Promise<void> {
    const endpoint = this.endpoints.get(id);
    if (endpoint !== undefined) endpoint.peer = peer;
  }

  async bridge(a: string, b: string): Promise<void> {
    this.bridges.push([a, b]);
  }

  async unbridge(): Promise<void> {}

  /** What is being played, by endpoint. */
  readonly playing = new Set<string>();

  async play(id: string): Promise<void> {
    this.playing.add(id);
  }

  async stop(id: string): Promise<void> {
    this.playing.delete(id);
  }

  async close(id: string): Promise<void> {
    this.endpoints.delete(id);
  }

  async closeCall(call_id: string): Promise<void> {
    this.closed.push(call_id);
    for (const [id, endpoint] of this.endpoints) if (endpoint.call_id === call_id) this.endpoints.delete(id);
  }

  /** Since when each endpoint is silent, for `list`. */
  silent_ms: number | undefined;

  async list(): Promise<readonly EndpointInfo[]> {
    return [...this.endpoints.values()].map(({ id, call_id, local_address, port }) => ({
      id,
      call_id,
      local_address,
      port,
      bridged_to: undefined,
      packets_in: 0,
      packets_out: 0,
      packets_dropped: 0,
      silent_ms: this.silent_ms,
    }));
  }
}

/** Files that outlive the engine of a test, not the test. */
export class NotedFiles implements CallFiles {
  readonly made = new Map<string, string>();

  changed(name: string, make: () => unknown): void {
    this.made.set(name, JSON.stringify(make()));
  }

  remove(name: string): void {
    this.made.delete(name);
  }

  load(): readonly unknown[] {
    return [...this.made.values()].map((text) => JSON.parse(text) as unknown);
  }

  close(): void {}
}

/** Calls that the box would own: noted, and answered with a status that tells which way they came. */
export class NotedCalls implements CallsPort {
  readonly taken: string[] = [];

  takeEmergency(tx: ServerTransaction): void {
    this.taken.push(`emergency ${tx.request.uri}`);
  }

  takeOutbound(tx: ServerTransaction): void {
    this.taken.push(`outbound ${tx.request.uri}`);
  }

  takeInbound(tx: ServerTransaction, _flow: Flow, trunk: Trunk): void {
    this.taken.push(`inbound ${trunk.id} ${tx.request.uri}`);
  }

  owns(_request: SipRequest): boolean {
    return false;
  }

  inDialog(): void {}
  onAck(): void {}
  status = () => [];
  pathChanged(): void {}
  trunkChanged(): void {}
}

export interface MemorySite {
  readonly clock: ManualClock;
  readonly network: MemoryNetwork;
  readonly parts: EngineParts;
  readonly relay: NotedRelay;
  readonly calls: NotedCalls;
  readonly alarms: AlarmBoard;
  readonly changes: BindingChange[];
  readonly observed: TrunkObservation[];
  readonly pbx: MemoryPbx;
  setMode(mode: Mode): void;
  /** Sets the PBX's trunk and tells the engine. */
  setTrunk(state: HealthState): void;
  /** The same for the way to it over LTE, which is down at first. */
  setDetour(state: HealthState): void;
  /** What became of forwarded calls, in words: `moved … by …`, `ended by …: …`. */
  readonly told: string[];
  /** Servers that phones named while there is no site file. */
  readonly learned: string[];
  /** What came over connections and was put aside while there is no site file. */
  readonly held: SipRequest[];
  /** What the watcher of forwarded calls was told, in order. */
  readonly watched: string[];
  phone(user: string, address: string, options?: { password?: string }): Promise<MemoryPhone>;
  /** Lets time pass, and everything that waits on promises. */
  pass(ms: number): Promise<void>;
  /** Everything of the engine but its bindings' snapshot is lost and made anew. */
  restart(): Promise<void>;
}

export async function memorySite(
  options: { config?: SiteConfig; challenge?: boolean; open?: boolean; unconfigured?: { waits(): boolean } } = {},
): Promise<MemorySite> {
  const config = options.config ?? siteConfig();
  const clock = new ManualClock();
  const network = new MemoryNetwork({ clock });
  const pbx = await MemoryPbx.start(network, clock, PBX, options.challenge === true);
  const relay = new NotedRelay();
  const calls = new NotedCalls();
  const changes: BindingChange[] = [];
  const observed: TrunkObservation[] = [];
  const learned: string[] = [];
  const held: SipRequest[] = [];
  const watched: string[] = [];
  const alarms = new AlarmBoard(
    () => clock.wall(),
    () => {},
  );
  let mode: Mode = "normal";
  const states = { wan: "up", lte: "down" } as Record<"wan" | "lte", HealthState>;
  const told: string[] = [];
  const files = new NotedFiles();

  const build = async () => {
    const transport = network.transport();
    const admission = new Admission(transport);
    const transactions = new TransactionLayer({ transport: admission.transport, clock });
    const lan = config.lans[0];
    for (const protocol of ["udp", "tcp"] as const) {
      await transport.listen({ protocol, address: BOX, port: lan?.sip_port ?? 5060 });
    }
    const profile = config.carrier_profiles[0];
    if (profile === undefined) throw new Error("the example site file has no carrier profile");
    const pbxOver = async (id: string, over: "wan" | "lte", address: string): Promise<Trunk> => {
      await transport.listen({ protocol: "udp", address, port: PBX_PORT_HERE });
      const health = () => ({ state: states[over], since_ms: 0, evidence: [] });
      const path: Path = {
        id: over,
        kind: over,
        get health() {
          return health();
        },
        localAddress: address,
        rtt_ms: 10,
        loss_percent: 0,
        locate: async () => ({ hops: [], stale_since_wall: undefined }),
        known: () => ({ hops: [], stale_since_wall: undefined }),
        suspect: () => {},
      };
      return {
        id,
        kind: "pbx",
        path,
        roles: ["emergency"],
        domain: "pbx.example",
        profile,
        get health() {
          return health();
        },
        flow: transport.flowTo({
          ...{ protocol: "udp", address: PBX, port: 5060, local_address: address, local_port: PBX_PORT_HERE },
        }),
        registration: undefined,
        credentials: undefined,
        first_response_p99_ms: undefined,
        contact: (user) => `sip:${user}@${address}:${PBX_PORT_HERE}`,
        local: { address, port: PBX_PORT_HERE },
        observe: (observation) => void observed.push(observation),
        alternative: () => undefined,
        towards: () => undefined,
      };
    };
    const trunk = await pbxOver("cloud", "wan", BOX);
    const detour = await pbxOver(DETOUR, "lte", BOX_LTE);
    const trunks: Trunks = {
      get: (id) => [trunk, detour].find((each) => each.id === id),
      all: () => [trunk],
      pbxs: () => (states.wan === "down" ? [] : [trunk]),
      detour: () => detour,
      of: ({ local, remote }) =>
        local.port !== PBX_PORT_HERE || remote.address !== PBX ? undefined : local.address === BOX ? trunk : detour,
      onChange: () => {},
    };
    const parts = assembleEngine({
      clock,
      log: silentLog,
      transport,
      transactions,
      admission,
      trunks,
      relay,
      alarms,
      tokenKey: TOKEN_KEY,
      watcher: {
        started: () => void watched.push("started"),
        ringing() {},
        answered: () => void watched.push("answered"),
        challenged() {},
        moved: (_, to, by) => void told.push(`moved ${to.id} by ${by}`),
        ended: (_, by, cause) => {
          watched.push("ended");
          told.push(`ended by ${by.kind}: ${cause}`);
        },
      },
      files,
      call_moves: [],
      ...(options.unconfigured === undefined
        ? {}
        : {
            unconfigured: {
              ...options.unconfigured,
              hold: (request: SipRequest) => void held.push(request),
              learn: ({ host }: SipUri) => {
                if (learned.includes(host)) return false;
                learned.push(host);
                return true;
              },
            },
          }),
      config: () => config,
      mode: () => mode,
      onBinding: (change) => void changes.push(change),
      calls: () => calls,
    });
    parts.mover.resume();
    if (options.open !== false) parts.core.open();
    return { transport, parts, trunk, detour };
  };

  let engine = await build();
  const pass = async (ms: number) => {
    for (let left = ms; ; left -= 10) {
      clock.advance(Math.max(0, Math.min(10, left)));
      await new Promise((resolve) => setImmediate(resolve));
      if (left <= 0) break;
    }
    // What promises set off is delivered without time passing.
    for (let round = 0; round < 8; round++) {
      clock.advance(0);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return {
    clock,
    network,
    get parts() {
      return engine.parts;
    },
    relay,
    calls,
    alarms,
    changes,
    observed,
    learned,
    held,
    watched,
    pbx,
    setMode(to) {
      mode = to;
      engine.parts.registrar.modeChanged();
    },
    setTrunk(to) {
      states.wan = to;
      engine.parts.core.trunkChanged(engine.trunk);
    },
    setDetour(to) {
      states.lte = to;
      engine.parts.core.trunkChanged(engine.detour);
    },
    told,
    phone: (user, address, { password } = {}) => MemoryPhone.start(network, clock, user, address, BOX, password ?? ""),
    pass,
    async restart() {
      const kept = engine.parts.store.remembered();
      const written = clock.wall();
      await engine.transport.shutdown();
      engine = await build();
      engine.parts.store.restore(kept, written, { trusted: true });
    },
  };
}
