import type { AlarmBoard } from "../../base/alarms.ts";
import type { Clock, Timer } from "../../base/clock.ts";
import type { CarrierProfile, SiteConfig } from "../../base/config/schema.ts";
import type { Availability, EventFactory, HealthState, HoldfastEvent } from "../../base/events.ts";
import { Runner } from "../../base/fsm.ts";
import type { Log } from "../../base/log.ts";
import type { TrunkStatus } from "../../base/status.ts";
import type { TransactionLayer } from "../../sip/transactions/layer.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import { inBrackets } from "../../sip/transport/ip-address.ts";
import type { TransportLayer } from "../../sip/transport/transport.ts";
import { deadline } from "../paths/deadline.ts";
import type { SitePaths } from "../paths/site-paths.ts";
import { trunkPolicy } from "../tls-policies.ts";
import { Detour, type DetourPorts, detourPath, freePort } from "./detour.ts";
import { instanceUrn } from "./instance.ts";
import {
  NO_CHOICE,
  type PbxChoice,
  type PbxChoiceEffect,
  type PbxChoiceInput,
  pbxChoice,
  pbxOrder,
} from "./pbx-choice.ts";
import { SipTrunk } from "./sip-trunk.ts";
import type { Trunk, Trunks } from "./trunk.ts";
import type { TrunkSetting } from "./trunk-setting.ts";

export interface SiteTrunksContext {
  readonly config: SiteConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly transport: TransportLayer;
  readonly transactions: TransactionLayer;
  readonly paths: SitePaths;
  readonly alarms: AlarmBoard;
  readonly events: EventFactory;
  record(event: HoldfastEvent): void;
  /** From the snapshot. */
  readonly first_response_p99_ms: Readonly<Record<string, number>>;
  readonly random?: () => number;
}

const PBX_LOCAL_PORT = 5062;
const TRUNK_LOCAL_PORT = 5070;

/** For a PBX that names none: as a plain SIP trunk, location by value. */
export const PLAIN_PROFILE: CarrierProfile = {
  id: "plain",
  request_uri: "sip:{number}@{host}",
  caller_identity: "from_and_pai",
  location: "value",
  geolocation_routing: true,
  ring_deadline_ms: 10_000,
};

/** The PBX targets and trunks of the site file, in its order. Built once; changed lists mean a new one. */
export class SiteTrunks implements Trunks {
  readonly #context: SiteTrunksContext;
  readonly #trunks: readonly SipTrunk[];
  readonly #detours: readonly Detour[];
  readonly #listeners: ((trunk: Trunk) => void)[] = [];
  readonly #available = new Map<string, Availability>();
  readonly #choice: Runner<PbxChoice, PbxChoiceInput, PbxChoiceEffect>;
  #choiceTimer: Timer | undefined;
  #mayReturn: () => boolean = () => true;
  #started = false;

  constructor(context: SiteTrunksContext) {
    this.#context = context;
    const { clock, log, transport, transactions, paths } = context;
    const random = context.random ?? Math.random;
    const { hold_down_ms, hold_down_max_ms } = context.config.failover;
    this.#choice = new Runner(pbxChoice({ hold_down_ms, hold_down_max_ms }), NO_CHOICE, (effect) =>
      this.#perform(effect),
    );
    const ports = { clock, log, transport, transactions, random };
    const settings = settingsOf(context.config, context.first_response_p99_ms);
    this.#detours = detoursOf(context.config, settings, paths, ports);
    this.#trunks = settings.flatMap(({ path, ...setting }) => {
      const over = paths.get(path);
      if (over === undefined) return [];
      return [
        new SipTrunk(setting, over, ports, {
          changed: (trunk, from) => this.#changed(trunk, from),
          mayReturn: () => this.#mayReturn(),
          refused: (trunk, refused, detail) =>
            context.alarms.set(
              "trunk.refused",
              trunk.id,
              refused,
              `Trunk ${trunk.id} refuses the registration: ${detail}.`,
            ),
          certificate: (trunk, fault) =>
            context.alarms.set("trunk.certificate", trunk.id, fault !== undefined, `${trunk.id}: ${fault ?? ""}.`),
        }),
      ];
    });
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#choose();
    const { transport, paths } = this.#context;
    paths.onChange((path) => {
      for (const trunk of [...this.#trunks, ...this.#detours]) if (trunk.path.id === path.id) trunk.pathChanged();
      this.#choose();
    });
    transport.onFlowClosed((flow, error) => {
      for (const trunk of [...this.#trunks, ...this.#detours]) trunk.flowClosed(flow, error);
    });
    for (const trunk of [...this.#trunks, ...this.#detours]) trunk.start();
  }

  async close(): Promise<void> {
    this.#choiceTimer?.cancel();
    await Promise.all([...this.#trunks, ...this.#detours].map((trunk) => trunk.close()));
  }

  get(id: string): SipTrunk | Detour | undefined {
    return this.#trunks.find((trunk) => trunk.id === id) ?? this.#detours.find((detour) => detour.id === id);
  }

  detour(id: string): Detour | undefined {
    return this.#detours.find((detour) => detour.of === id);
  }

  all(): readonly SipTrunk[] {
    return this.#trunks;
  }

  /** Those on one path, detours too. */
  over(path: string): readonly Trunk[] {
    return [...this.#trunks, ...this.#detours].filter((trunk) => trunk.path.id === path);
  }

  of(flow: Flow): SipTrunk | Detour | undefined {
    return this.#trunks.find((trunk) => trunk.owns(flow)) ?? this.#detours.find((detour) => detour.owns(flow));
  }

  pbxs(): readonly SipTrunk[] {
    return pbxOrder(this.#choice.state).flatMap((id) => this.#trunks.find((trunk) => trunk.id === id) ?? []);
  }

  /** Asked before the site goes back to a PBX target that it prefers, or a trunk to a server. */
  returnsWhen(may: () => boolean): void {
    this.#mayReturn = may;
  }

  #choose(): void {
    const facts = this.#trunks.flatMap(({ id, kind, health, path }) =>
      kind === "pbx" ? [{ id, state: path.health.state === "down" ? ("down" as const) : health.state }] : [],
    );
    this.#choice.feed({ kind: "facts", at_ms: this.#context.clock.now(), may_return: this.#mayReturn(), facts });
  }

  #perform(effect: PbxChoiceEffect): void {
    const { clock, log } = this.#context;
    if (effect.do === "chosen") {
      log.info("PBX target", { from: effect.from, to: effect.to, because: effect.because });
      return;
    }
    this.#choiceTimer?.cancel();
    this.#choiceTimer = deadline(clock, effect.at_ms, () =>
      this.#choice.feed({ kind: "timeout", at_ms: clock.now(), may_return: this.#mayReturn() }),
    );
  }

  /** RFC 3261 §18.1.1: where a request goes that is too large for this UDP flow; undefined: over UDP all the same. */
  streamBeside(flow: Flow): Flow | undefined {
    for (const trunk of this.#trunks) {
      const stream = trunk.streamBeside(flow);
      if (stream !== undefined) return stream;
    }
    return undefined;
  }

  onChange(listener: (trunk: Trunk) => void): void {
    this.#listeners.push(listener);
  }

  status(): TrunkStatus[] {
    const { current } = this.#choice.state;
    return this.#trunks.map((trunk) =>
      trunk.kind === "pbx" ? { ...trunk.status(), in_use: trunk.id === current } : trunk.status(),
    );
  }

  /** For telemetry `engine.learned`. */
  learned(): { readonly first_response_p99_ms: Readonly<Record<string, number>> } {
    const known = this.#trunks.flatMap((trunk) => {
      const p99 = trunk.first_response_p99_ms;
      return p99 === undefined ? [] : [[trunk.id, p99] as const];
    });
    return { first_response_p99_ms: Object.fromEntries(known) };
  }

  #changed(trunk: SipTrunk, from: HealthState | undefined): void {
    // Whoever hears of the change goes by the new choice.
    if (trunk.kind === "pbx") this.#choose();
    for (const listener of this.#listeners) listener(trunk);
    this.#tellAvailability(trunk);
    if (from === undefined) return;
    const { alarms, events, record } = this.#context;
    const { state, evidence } = trunk.health;
    record(events("trunk.health", trunk.id, { trunk: trunk.id, from, to: state, evidence }));
    const why = evidence.findLast((item) => item.verdict === "bad")?.detail ?? "";
    // A trunk over a dead path is the path's alarm.
    const own = state === "down" && trunk.path.health.state !== "down";
    alarms.set("trunk.down", trunk.id, own, `${trunk.id} does not answer over ${trunk.path.id}: ${why}.`);
  }

  #tellAvailability(trunk: SipTrunk): void {
    const { id, availability: to } = trunk;
    const from = this.#available.get(id) ?? "unknown";
    if (from === to) return;
    this.#available.set(id, to);
    const { events, record, clock } = this.#context;
    const { evidence } = trunk.health;
    record(events("trunk.availability", id, { id, from, to, since_wall: clock.wall(), evidence }));
  }
}

/** One for each trunk that has another path to leave by, on a local port of its own there. */
function detoursOf(
  config: SiteConfig,
  settings: readonly (TrunkSetting & { readonly path: string })[],
  paths: SitePaths,
  ports: DetourPorts,
): readonly Detour[] {
  const taken = new Map<string, Set<number>>();
  const takenOn = (path: string) => {
    const known = taken.get(path) ?? new Set(settings.flatMap((each) => (each.path === path ? [each.local_port] : [])));
    taken.set(path, known);
    return known;
  };
  return settings.flatMap(({ path, ...setting }) => {
    const other = detourPath(config, { id: setting.id, path });
    const [own, over] = [paths.get(path), other === undefined ? undefined : paths.get(other)];
    if (own === undefined || over === undefined) return [];
    const port = freePort(setting.local_port, takenOn(over.id));
    takenOn(over.id).add(port);
    return [new Detour(setting, own, over, port, ports)];
  });
}

/** PBX targets first, each with its default local port. */
export function settingsOf(
  config: SiteConfig,
  learned: Readonly<Record<string, number>>,
): (TrunkSetting & { readonly path: string })[] {
  const profileOf = (id: string | undefined): CarrierProfile =>
    config.carrier_profiles.find((profile) => profile.id === id) ?? PLAIN_PROFILE;
  const instance = instanceUrn(config);
  const pbxs = config.pbx_targets.map((pbx, i) => ({
    id: pbx.id,
    kind: "pbx" as const,
    path: pbx.path,
    roles: pbx.carries_emergency ? (["emergency"] as const) : [],
    domain: pbx.domain,
    host: pbx.host,
    port: pbx.port,
    transport: pbx.transport,
    local_port: pbx.local_port ?? PBX_LOCAL_PORT + i,
    tls: trunkPolicy(pbx.id),
    listens_tls: pbx.tls?.certificate !== undefined,
    offers_tls: pbx.tls !== undefined,
    profile: profileOf(pbx.carrier_profile),
    instance,
    registration: undefined,
    first_response_p99_ms: learned[pbx.id],
  }));
  const trunks = config.trunks.map((trunk, i) => ({
    id: trunk.id,
    kind: "trunk" as const,
    path: trunk.path,
    roles: trunk.roles,
    domain: inBrackets(trunk.host),
    host: trunk.host,
    port: trunk.port,
    transport: trunk.transport,
    local_port: trunk.local_port ?? TRUNK_LOCAL_PORT + i,
    tls: trunkPolicy(trunk.id),
    listens_tls: trunk.tls?.certificate !== undefined,
    offers_tls: trunk.tls !== undefined,
    profile: profileOf(trunk.carrier_profile),
    instance,
    registration: trunk.registration,
    first_response_p99_ms: learned[trunk.id],
  }));
  return [...pbxs, ...trunks];
}
