import type { AlarmBoard } from "../base/alarms.ts";
import type { Clock } from "../base/clock.ts";
import type { SiteConfig } from "../base/config/schema.ts";
import type { Mode } from "../base/events.ts";
import type { Log } from "../base/log.ts";
import type { MovePermission } from "../base/snapshot.ts";
import type { Relay } from "../media/relay.ts";
import type { TransactionLayer } from "../sip/transactions/layer.ts";
import type { Flow } from "../sip/transport/flow.ts";
import type { TransportLayer } from "../sip/transport/transport.ts";
import type { Admission } from "./admission.ts";
import { Callers } from "./caller.ts";
import type { CallsPort } from "./calls/calls-port.ts";
import type { CallFiles } from "./calls/moving/call-files.ts";
import { CallMover } from "./calls/moving/call-mover.ts";
import { Permissions } from "./calls/moving/permissions.ts";
import { ProxiedDialogs } from "./calls/moving/proxied-dialogs.ts";
import { SipProxy } from "./calls/proxy.ts";
import { ProxyForks } from "./calls/proxy-forks.ts";
import { ProxyMedia } from "./calls/proxy-media.ts";
import type { PassageWatcher } from "./calls/proxy-parties.ts";
import { Core } from "./core.ts";
import { Counters } from "./counters.ts";
import { LanSide } from "./lan-side.ts";
import { OwnTokens } from "./own-tokens.ts";
import { OwnUris } from "./own-uris.ts";
import { AddressesOfRecord } from "./registrar/addresses-of-record.ts";
import { type BindingChange, BindingStore } from "./registrar/binding-store.ts";
import { Reach } from "./registrar/reach.ts";
import { Registrar } from "./registrar/registrar.ts";
import { PhoneDigest } from "./registrar/trust.ts";
import type { Trunks } from "./trunks/trunk.ts";
import type { Unconfigured } from "./unconfigured.ts";

export interface EnginePartsContext {
  readonly clock: Clock;
  readonly log: Log;
  readonly transport: TransportLayer;
  readonly transactions: TransactionLayer;
  /** In front of the transaction layer. */
  readonly admission: Admission;
  readonly trunks: Trunks;
  readonly relay: Relay;
  readonly alarms: AlarmBoard;
  readonly tokenKey: Uint8Array;
  readonly watcher: PassageWatcher;
  /** Where forwarded calls are kept for the engine after this one. */
  readonly files: CallFiles;
  /** What each PBX is known to permit. */
  readonly call_moves: readonly MovePermission[];
  /** Left out when there is a site file. */
  readonly unconfigured?: Unconfigured;
  config(): SiteConfig;
  mode(): Mode;
  onBinding(change: BindingChange): void;
  /** Built once the bindings are there, which calls look at. */
  calls(store: BindingStore): CallsPort;
  /** The cloud has refused a phone's registration. */
  onRefused?(aor: string, source_address: string, status: number): void;
}

export interface EngineParts {
  readonly core: Core;
  readonly calls: CallsPort;
  readonly proxy: SipProxy;
  readonly media: ProxyMedia;
  readonly dialogs: ProxiedDialogs;
  readonly mover: CallMover;
  readonly permissions: Permissions;
  readonly registrar: Registrar;
  readonly store: BindingStore;
  readonly counters: Counters;
  readonly strangers: StrangerWatch;
  readonly reach: Reach;
  aors(): AddressesOfRecord;
  /** A secret is provisioned for the phone of this address of record. */
  canProve(aor: string): boolean;
  /** Takes over a changed site file while calls run. */
  configure(config: SiteConfig): void;
}

const STRANGERS_ALARM = 20;
const STRANGERS_WINDOW_MS = 600_000;

/** Failed registrations: many of them within ten minutes are an alarm, until ten minutes are quiet. */
export class StrangerWatch {
  readonly #clock: Clock;
  readonly #alarms: AlarmBoard;
  #times: number[] = [];

  constructor(clock: Clock, alarms: AlarmBoard) {
    this.#clock = clock;
    this.#alarms = alarms;
  }

  seen(source: string): void {
    this.#times.push(this.#clock.now());
    if (this.#times.length > STRANGERS_ALARM) this.#times = this.#times.slice(-STRANGERS_ALARM);
    this.#judge(source);
  }

  /** To be called now and then. */
  sweep(): void {
    this.#judge("");
  }

  #judge(source: string): void {
    const since = this.#clock.now() - STRANGERS_WINDOW_MS;
    const lately = this.#times.filter((time) => time > since).length;
    if (lately >= STRANGERS_ALARM) {
      this.#alarms.raise("registrar.strangers", "", `${lately} failed registrations, the last from ${source}`);
    } else if (lately === 0) this.#alarms.clear("registrar.strangers", "");
  }
}

/** Hears in passing which phones answer what is sent to them, and whose connections end. */
function watchReach({ clock, transport, transactions, trunks }: EnginePartsContext, store: BindingStore): Reach {
  const reach = new Reach(clock);
  const isPhones = (flow: Flow) => store.ofSource(flow.remote.address, flow.remote.port).length > 0;
  transactions.onOutcome((flow, outcome) => {
    if (outcome === "answered") reach.heard(flow);
    else if (trunks.of(flow) === undefined && isPhones(flow)) {
      reach.failed(flow, outcome === "silence" ? "it did not answer a request" : "a request could not be sent to it");
    }
  });
  transport.onFlowClosed((flow) => {
    if (isPhones(flow)) reach.failed(flow, "its connection has ended");
  });
  return reach;
}

/** Puts registrar, proxy and dispatcher together over given trunks and transport. */
export function assembleEngine(context: EnginePartsContext): EngineParts {
  const { clock, log, transport, transactions, trunks, relay, alarms } = context;
  const configured = context.unconfigured === undefined;
  const counters = new Counters();
  let aors = new AddressesOfRecord(context.config());
  const tokens = new OwnTokens(context.tokenKey);
  const own = new OwnUris(tokens, trunks, context.config());
  const lan = new LanSide(context.config());
  context.admission.admits = (flow) => lan.of(flow) !== undefined || trunks.of(flow) !== undefined;
  context.admission.onStranger = () => counters.count("dropped_strangers");
  const digest = new PhoneDigest(clock, context.config());
  const store = new BindingStore(clock, aors, (change) => {
    registrar.bindingChanged(change);
    context.onBinding(change);
  });
  const strangers = new StrangerWatch(clock, alarms);
  const reach = watchReach(context, store);
  const shared = {
    clock,
    log,
    transport,
    transactions,
    trunks,
    store,
    own,
    config: context.config,
    mode: context.mode,
  };
  const registrar: Registrar = new Registrar({
    ...shared,
    configured,
    digest,
    aors: () => aors,
    stranger: (source) => {
      counters.count("register_challenges");
      strangers.seen(source);
    },
    absorbed: () => counters.count("registers_absorbed"),
    refused: (aor, address, status) => context.onRefused?.(aor, address, status),
  });
  const media = new ProxyMedia({ relay, alarms, log });
  const dialogs = new ProxiedDialogs(own);
  const permissions = new Permissions(context.call_moves);
  const mover = new CallMover({
    ...shared,
    dialogs,
    media,
    permissions,
    journal: context.files,
    watcher: context.watcher,
    aors: () => aors,
    random: Math.random,
  });
  const proxy = new SipProxy({ ...shared, media, dialogs, mover, forks: new ProxyForks(), watcher: context.watcher });
  const calls = context.calls(store);
  const callers = new Callers({ store, digest, configured, aors: () => aors });
  const core = new Core({
    ...shared,
    registrar,
    proxy,
    calls,
    callers,
    counters,
    reach,
    unconfigured: context.unconfigured,
    aors: () => aors,
  });
  context.admission.leaves = (request, flow) => core.leaves(request, flow);
  return {
    core,
    calls,
    proxy,
    media,
    dialogs,
    mover,
    permissions,
    registrar,
    store,
    counters,
    strangers,
    reach,
    aors: () => aors,
    canProve: (aor) => digest.canProve(aor, aors),
    configure(config) {
      aors = new AddressesOfRecord(config);
      store.useAddresses(aors);
      own.configure(config);
      lan.configure(config);
      digest.configure(config);
    },
  };
}
