import { join } from "node:path";
import type { AlarmBoard } from "../base/alarms.ts";
import { type Clock, every, type Timer } from "../base/clock.ts";
import { clockQuality } from "../base/clock-quality.ts";
import type { LanConfig, SiteConfig } from "../base/config/schema.ts";
import { errorText } from "../base/errors.ts";
import type { DrillRecord, EventFactory, HoldfastEvent } from "../base/events.ts";
import type { Log } from "../base/log.ts";
import { type Binding, type CallbackEntry, configHash, type KnownName, type MovePermission } from "../base/snapshot.ts";
import type { EngineStatus } from "../base/status.ts";
import type { Relay } from "../media/relay.ts";
import type { SipRequest } from "../sip/messages/message.ts";
import type { SipUri } from "../sip/messages/uri.ts";
import { TransactionLayer } from "../sip/transactions/layer.ts";
import type { Flow } from "../sip/transport/flow.ts";
import type { LentTransport } from "../sip/transport/standing-transport.ts";
import { Admission } from "./admission.ts";
import { Calls } from "./calls/calls.ts";
import { FolderOfCalls } from "./calls/moving/call-files.ts";
import { Passages } from "./calls/passages.ts";
import type { LearnedCloud } from "./defaults.ts";
import { readiness } from "./emergency/readiness.ts";
import { assembleEngine, type EngineParts } from "./engine-parts.ts";
import { Failover } from "./failover/runner.ts";
import { Names } from "./names/names.ts";
import { NetWatch } from "./net-watch.ts";
import { MediaWatch } from "./paths/media-watch.ts";
import { SitePaths } from "./paths/site-paths.ts";
import type { BindingChange } from "./registrar/binding-store.ts";
import { PhoneWatch } from "./registrar/phone-watch.ts";
import { routingView } from "./routing/view.ts";
import { engineStatus } from "./status.ts";
import { lanPolicy } from "./tls-policies.ts";
import { SiteTrunks } from "./trunks/site-trunks.ts";

export interface SiteEngineContext {
  readonly clock: Clock;
  readonly log: Log;
  /** A new one for each engine: it goes down with it. */
  lendTransport(): LentTransport;
  readonly relay: Relay;
  readonly alarms: AlarmBoard;
  readonly events: EventFactory;
  readonly practice: boolean;
  readonly run_dir: string;
  readonly token_key: Uint8Array;
  record(event: HoldfastEvent): void;
  /** Something that the status document shows has changed. */
  changed(): void;
  /** The site process, when it has a site file, has brought it by then (Clock ms). */
  readonly site_file_by_ms: number;
  /** Without a site file: a phone named this server to the outside. True when it is new and will be used. */
  learn(server: LearnedCloud): boolean;
  /** Bindings changed; `urgent` when one came or went. */
  bindingsChanged(urgent: boolean): void;
}

/** What a start takes over from before. */
export interface Inheritance {
  readonly bindings: readonly Binding[];
  readonly bindings_written_wall: number;
  readonly callbacks: readonly CallbackEntry[];
  readonly first_response_p99_ms: Readonly<Record<string, number>>;
  /** What the name servers of each path had said. */
  readonly names: Readonly<Record<string, readonly KnownName[]>>;
  readonly call_moves: readonly MovePermission[];
}

/** A listener that could not be opened, because its address is not there yet, is tried again this often. */
const LISTEN_AGAIN_MS = 1000;
const SWEEP_MS = 1000;
const REAP_MS = 60_000;
/** The media process may be a little later than the engine. */
const MEDIA_START_MS = 5000;

/** The whole engine on one configuration. A change that cannot be taken over in flight means a new one. */
export class SiteEngine {
  readonly #context: SiteEngineContext;
  readonly #configured: boolean;
  readonly #transport: LentTransport;
  readonly #started_ms: number;
  #config: SiteConfig;
  #hash: string | undefined;
  readonly #parts: EngineParts;
  readonly #phones: PhoneWatch;
  readonly #calls: Calls;
  readonly #paths: SitePaths;
  readonly #trunks: SiteTrunks;
  readonly #failover: Failover;
  readonly #passages: Passages;
  readonly #names: Names;
  readonly #net: NetWatch;
  readonly #mediaWatch: MediaWatch;
  readonly #timers: Timer[] = [];
  readonly #listening = new Set<string>();
  #closed = false;

  private constructor(context: SiteEngineContext, config: SiteConfig, configured: boolean, before: Inheritance) {
    this.#context = context;
    this.#config = config;
    this.#configured = configured;
    this.#hash = configured ? configHash(config) : undefined;
    const { clock, log, alarms, events, relay } = context;
    const transport = context.lendTransport();
    this.#transport = transport;
    this.#started_ms = clock.now();
    const record = (event: HoldfastEvent) => this.#record(event);
    const shared = { config, clock, log, alarms, events, record };
    const admission = new Admission(transport);
    const transactions: TransactionLayer = new TransactionLayer({
      streamBeside: (flow) => this.#trunks.streamBeside(flow),
      transport: admission.transport,
      clock,
      onHandlerError: (error) => log.error("a request handler failed", { error: stackOf(error) }),
    });
    this.#paths = new SitePaths({ ...shared, names: before.names });
    this.#trunks = new SiteTrunks({
      ...shared,
      transport,
      transactions,
      paths: this.#paths,
      first_response_p99_ms: before.first_response_p99_ms,
    });
    this.#failover = new Failover({
      ...shared,
      trunks: this.#trunks,
      practice: context.practice,
      clockIsSet: () => clockQuality(clock.wall()) !== "unset",
    });
    const folder = (name: string) => new FolderOfCalls(join(context.run_dir, "calls", name), clock, log);
    this.#passages = new Passages({ clock, events, journal: folder("passages"), record, changed: context.changed });
    this.#trunks.returnsWhen(() => this.#failover.mayReturn);
    let calls: Calls | undefined;
    this.#parts = assembleEngine({
      clock,
      log,
      transport,
      transactions,
      admission,
      trunks: this.#trunks,
      relay,
      alarms,
      tokenKey: context.token_key,
      watcher: this.#passages,
      files: folder("forwarded"),
      call_moves: before.call_moves,
      ...(configured
        ? {}
        : {
            unconfigured: {
              waits: () => clock.now() < context.site_file_by_ms,
              learn: (server: SipUri, flow: Flow) => this.#learn(server, flow),
              hold: (request: SipRequest, flow: Flow) => transport.hold(request, flow),
            },
          }),
      config: () => this.#config,
      mode: () => this.#failover.mode,
      onBinding: (change) => this.#bindingChanged(change),
      onRefused: (aor, address, status) => this.#phones.refused(aor, address, status),
      calls: (store) => {
        calls = new Calls({
          config: () => this.#config,
          mode: () => this.#failover.mode,
          clock,
          log,
          transactions,
          transport,
          trunks: this.#trunks,
          paths: this.#paths,
          contacts: store,
          relay,
          record,
          events,
          alarms,
          forwardedGiveWay: (path) => this.#parts.proxy.giveWay(path),
          journalDir: join(context.run_dir, "calls"),
        });
        return calls;
      },
    });
    if (calls === undefined) throw new Error("calls were not built");
    this.#calls = calls;
    const { store, reach, registrar } = this.#parts;
    this.#phones = new PhoneWatch({
      clock,
      store,
      reach,
      alarms,
      events,
      record,
      config: () => this.#config,
      mode: () => this.#failover.mode,
      aors: () => this.#parts.aors(),
      canProve: (aor) => this.#parts.canProve(aor),
      elsewhere: (aor) => registrar.elsewhere(aor),
    });
    this.#names = new Names({ ...shared, paths: this.#paths, mode: () => this.#failover.mode });
    this.#net = new NetWatch(shared);
    this.#mediaWatch = new MediaWatch({ clock, log, relay, paths: this.#paths.all() });
    calls.adoptCallbacks(before.callbacks);
    this.#parts.store.restore(before.bindings, before.bindings_written_wall, {
      trusted: clockQuality(clock.wall()) === "synchronised",
    });
  }

  /** Serves the LAN when this resolves; whatever cannot be opened yet is tried again. */
  static async start(
    context: SiteEngineContext,
    config: SiteConfig,
    configured: boolean,
    before: Inheritance,
  ): Promise<SiteEngine> {
    const engine = new SiteEngine(context, config, configured, before);
    await engine.#start();
    return engine;
  }

  async #start(): Promise<void> {
    const { clock, alarms } = this.#context;
    this.#failover.onChange(() => {
      this.#parts.registrar.modeChanged();
      this.#phones.modeChanged();
      this.#context.changed();
    });
    // Calls hear of a path before its trunks do: a 911 attempt is hedged on it.
    this.#paths.onChange((path) => {
      this.#net.changed();
      this.#calls.pathChanged(path);
      for (const trunk of this.#trunks.over(path.id)) this.#parts.core.trunkChanged(trunk);
      this.#context.changed();
    });
    this.#trunks.onChange((trunk) => {
      this.#parts.core.trunkChanged(trunk);
      this.#context.changed();
    });
    await Promise.all(this.#config.lans.map((lan) => this.#listen(lan)));
    this.#paths.start();
    this.#trunks.start();
    this.#failover.start();
    void this.#startNames();
    this.#net.start();
    this.#mediaWatch.start();
    await this.#calls.resume();
    this.#passages.resume();
    this.#parts.mover.resume();
    this.#phones.start();
    this.#parts.core.open();
    this.#timers.push(
      every(clock, SWEEP_MS, () => {
        this.#parts.store.sweep();
        this.#parts.strangers.sweep();
        this.#phones.sweep();
        this.#watchEmergency();
        this.#failover.calls(this.#talking);
        this.#watchReadiness();
      }),
      every(clock, REAP_MS, () => void this.#parts.mover.reap(clock.now() - this.#started_ms)),
    );
    if (!this.#configured) {
      const left_ms = Math.max(0, this.#context.site_file_by_ms - clock.now());
      this.#timers.push(clock.after(left_ms, () => this.#transport.deliver()));
    }
    alarms.set(
      "engine.defaults",
      "",
      !this.#configured,
      "There is no valid site file: 911 is taken and leaves by the server that phones name or by the modem; if neither answers, callers get 503.",
    );
  }

  async #listen(lan: LanConfig): Promise<void> {
    const { log, clock } = this.#context;
    const plain = (["udp", "tcp"] as const).map((protocol) => ({ protocol, port: lan.sip_port, policy: {} }));
    const secure =
      lan.tls === undefined
        ? []
        : [{ protocol: "tls" as const, port: lan.tls.port, policy: { tls: lanPolicy(lan.id) } }];
    for (const { protocol, port, policy } of [...plain, ...secure]) {
      const name = `${protocol} ${lan.address}:${port}`;
      if (this.#listening.has(name) || this.#closed) continue;
      try {
        await this.#transport.listen({ protocol, address: lan.address, port, ...policy });
        this.#listening.add(name);
      } catch (error) {
        log.warn("cannot listen for phones yet", { where: name, error: errorText(error) });
        this.#timers.push(clock.after(LISTEN_AGAIN_MS, () => void this.#listen(lan)));
        return;
      }
    }
    this.#context.changed();
  }

  async #startNames(): Promise<void> {
    try {
      await this.#names.start();
    } catch (error) {
      this.#context.log.warn("the box's DNS does not serve every LAN", { error: errorText(error) });
    }
  }

  /** Over UDP a phone repeats its request, over TCP it is put aside for the next engine. No call that is up may be lost over it. */
  #learn({ host, port }: SipUri, flow: Flow): boolean {
    const transport = flow.protocol === "tcp" ? "tcp" : "udp";
    return this.#calls.status().length === 0 && this.#context.learn({ host, port, transport });
  }

  /** Takes over what can change while calls run: phones, locations, credentials, numbers. */
  configure(config: SiteConfig): void {
    this.#config = config;
    this.#hash = configHash(config);
    this.#parts.configure(config);
    this.#context.changed();
  }

  get config(): SiteConfig {
    return this.#config;
  }

  get configured(): boolean {
    return this.#configured;
  }

  /** No call is up or being made: a moment to rebuild. */
  get idle(): boolean {
    // Over a connection a phone whose answer gets lost asks again after half a minute only.
    const registering = this.#configured && this.#parts.registrar.size > 0;
    return !this.#talking && this.#parts.proxy.size === 0 && !registering;
  }

  /** A call is up or being made. */
  get #talking(): boolean {
    return this.#calls.status().length > 0 || this.#passages.size > 0;
  }

  inheritance(): Inheritance {
    return {
      bindings: this.#parts.store.remembered(),
      bindings_written_wall: this.#context.clock.wall(),
      callbacks: this.#calls.callbacks(),
      ...this.#trunks.learned(),
      names: this.#paths.names(),
      call_moves: this.#parts.permissions.all(),
    };
  }

  startDrill(by: string, duration_ms: number): { drill: string; ends_wall: number } {
    return this.#failover.startDrill(by, duration_ms);
  }

  stopDrill(): DrillRecord {
    return this.#failover.stopDrill();
  }

  status(): EngineStatus {
    const view = routingView(this.#failover.mode, this.#trunks);
    const { counters } = this.#transport;
    return engineStatus({
      configured: this.#configured,
      config_hash: this.#hash,
      config: this.#config,
      failover: this.#failover.status(),
      view,
      paths: this.#paths.status(),
      trunks: this.#trunks.status(),
      contacts: this.#parts.store,
      phones: this.#phones,
      calls: [...this.#calls.status(), ...this.#passages.status()],
      emergency: this.#readiness(),
      callback_until_wall: this.#calls.callbackUntil_wall,
      call_moves: this.#parts.permissions.all(),
      alarms: this.#context.alarms.active(),
      counters: {
        ...this.#parts.counters.all(),
        sip_received: counters.received,
        sip_sent: counters.sent,
        sip_malformed: counters.malformed,
        bindings: this.#parts.store.all().length,
        proxied_calls: this.#passages.size,
      },
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#calls.close();
    this.#parts.mover.close();
    this.#passages.close();
    this.#failover.close();
    this.#net.close();
    this.#mediaWatch.close();
    await this.#names.close();
    await this.#trunks.close();
    this.#paths.close();
    await this.#transport.shutdown();
  }

  #readiness() {
    return readiness({
      config: this.#config,
      configured: this.#configured,
      view: routingView(this.#failover.mode, this.#trunks),
      listening: this.#listening.size > 0,
      media_connected: this.#context.relay.connected,
    });
  }

  #watchReadiness(): void {
    const { state, reason } = this.#readiness();
    const { alarms, relay, clock } = this.#context;
    alarms.set("emergency.not_ready", "", state === "not_ready", reason);
    alarms.set("emergency.one_path", "", state === "one_path", reason);
    const away = !relay.connected && clock.now() - this.#started_ms > MEDIA_START_MS;
    if (away || relay.connected) alarms.set("media.down", "", away, "The media process is not connected.");
  }

  #watchEmergency(): void {
    const until = this.#calls.callbackUntil_wall;
    this.#failover.emergency(
      this.#calls.activeEmergency || (until !== undefined && until > this.#context.clock.wall()),
    );
  }

  /** Records go out, and some of them steer: a real 911 ends a drill, a call counts in its record. */
  #record(event: HoldfastEvent): void {
    this.#context.record(event);
    if (event.type === "emergency.started" || event.type === "call.started") this.#failover.callStarted();
    // Told of calls to emergency numbers alone, and before the call stands among the others.
    if (event.type === "emergency.started") this.#failover.abortDrill();
    if (event.type.startsWith("emergency.")) this.#watchEmergency();
    this.#context.changed();
  }

  #bindingChanged(change: BindingChange): void {
    this.#phones.bindingChanged(change);
    this.#context.bindingsChanged(change.kind !== "refreshed");
    if (change.kind === "refreshed" || change.kind === "moved") return;
    const { events } = this.#context;
    const { aor, source_address, trust, instance } = change.binding;
    const extension = this.#parts.aors().extensionOf(aor);
    if (change.kind !== "removed") {
      const urn = instance?.replace(/[<>"]/g, "");
      const device = this.#config.devices.find((each) => each.instance !== undefined && each.instance === urn)?.id;
      this.#record(
        events("registration.added", extension ?? aor, { aor, extension, device, source: source_address, trust }),
      );
    } else {
      this.#record(events("registration.removed", extension ?? aor, { aor, extension, reason: change.reason }));
    }
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
