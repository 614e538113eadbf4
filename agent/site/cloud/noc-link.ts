import { randomInt } from "node:crypto";
import { networkInterfaces } from "node:os";
import type { AlarmBoard } from "../../base/alarms.ts";
import { type Clock, every, type Timer } from "../../base/clock.ts";
import type { PathConfig, SiteConfig } from "../../base/config/schema.ts";
import type { HealthState } from "../../base/events.ts";
import { Runner } from "../../base/fsm.ts";
import type { Log } from "../../base/log.ts";
import type { NocStatus, StatusDocument } from "../../base/status.ts";
import type { Operations } from "../operations/operations.ts";
import { significantForNoc } from "../status/significant.ts";
import type { Store } from "../store/store.ts";
import { BrokerNames } from "./broker-names.ts";
import { Commands } from "./commands.ts";
import { type Candidate, IDLE, type PlanEffect, plan } from "./connection-plan.ts";
import { type DownReason, openSession, type Session } from "./mqtt-session.ts";
import { OutboxPump } from "./outbox-pump.ts";
import { type Birth, heartbeatPayload, replyPayload, statePayload, statusPayload } from "./payloads.ts";
import { type Topics, topicsOf } from "./topics.ts";

/** One attempt, from TCP to the broker's CONNACK. */
const CONNECT_WITHIN_MS = 2000;
const STATUS_EVERY_MS = 5 * 60_000;
const UNREACHABLE_AFTER_MS = 60_000;
const FAREWELL_MS = 500;

/** What differs between a path that is paid by the megabyte and one that is not. */
const MANNERS = {
  frugal: { keepalive_s: 60, status_pause_ms: 10_000, replay_per_s: 20, puback_within_ms: 10_000 },
  plain: { keepalive_s: 15, status_pause_ms: 2000, replay_per_s: 100, puback_within_ms: 5000 },
} as const;

export interface NocLinkOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly alarms: AlarmBoard;
  readonly store: Store;
  readonly operations: Operations;
  readonly boot_id: string;
  readonly version: string;
  readonly practice: boolean;
  status(): StatusDocument;
  onChange(): void;
}

interface Open {
  readonly attempt: number;
  readonly candidate: Candidate;
  session: Session | undefined;
  timer: Timer;
  up: boolean;
}

/**
 * The box's line to the NOC: one MQTT connection over whichever path works, and everything that is said over it. What
 * connection there should be is decided by connection-plan.ts; this carries it out.
 */
export class NocLink {
  readonly #options: NocLinkOptions;
  readonly #names = new BrokerNames();
  readonly #commands: Commands;
  readonly #pump: OutboxPump;
  readonly #open = new Map<number, Open>();
  /** Brokers known to speak MQTT 3.1.1 only. */
  readonly #oldBrokers = new Set<string>();
  readonly #runner: Runner<typeof IDLE, Parameters<typeof plan>[1], PlanEffect>;
  readonly #watch: Timer;
  #config: SiteConfig | undefined;
  #topics: Topics | undefined;
  #candidatesKey = "";
  #rest: Timer | undefined;
  #live: Open | undefined;
  #since_wall: number;
  #silentSince_ms: number | undefined;
  #beats: Timer | undefined;
  #beatSeq = 0;
  #toldDigest = "";
  #toldAt_ms = Number.NEGATIVE_INFINITY;
  #statusTimer: Timer | undefined;
  #closed = false;

  constructor(options: NocLinkOptions) {
    this.#options = options;
    this.#since_wall = options.clock.wall();
    this.#commands = new Commands(options.clock, options.operations);
    this.#pump = new OutboxPump({
      clock: options.clock,
      store: options.store,
      acknowledgedBy: () => this.#config?.noc.acknowledge ?? "application",
    });
    this.#runner = new Runner(plan, IDLE, (effect) => this.#perform(effect));
    this.#watch = every(options.clock, 1000, () => this.#watchSilence());
  }

  /** The site file in force. A change of brokers, paths or names begins anew; other changes disturb nothing. */
  configure(config: SiteConfig): void {
    this.#config = config;
    const { org, site, box, noc, paths } = config;
    const key = JSON.stringify([org.id, site.id, box.id, noc.brokers, paths]);
    if (key === this.#candidatesKey) return;
    this.#candidatesKey = key;
    this.#topics = topicsOf(org.id, site.id, box.id);
    this.#silentSince_ms = noc.brokers.length > 0 ? this.#options.clock.now() : undefined;
    const candidates = noc.brokers.flatMap((broker) => broker.paths.map((path) => ({ broker: broker.id, path })));
    this.#runner.feed({ kind: "candidates", candidates });
    this.#options.onChange();
  }

  /** The engine's verdicts, as soon as they are known; an empty record when the engine is silent. */
  pathsAre(health: Readonly<Record<string, HealthState>>): void {
    this.#runner.feed({ kind: "health", health });
  }

  /** The document has changed in a way that the NOC may care about. */
  statusChanged(): void {
    const live = this.#live;
    if (live === undefined || this.#statusTimer !== undefined) return;
    const pause = this.#toldAt_ms + this.#manners(live.candidate.path).status_pause_ms - this.#options.clock.now();
    this.#statusTimer = this.#options.clock.after(Math.max(0, pause), () => {
      this.#statusTimer = undefined;
      this.#sayStatus(false);
    });
  }

  get status(): NocStatus {
    const live = this.#live;
    const configured = (this.#config?.noc.brokers.length ?? 0) > 0;
    return {
      state: !configured
        ? "not_configured"
        : live !== undefined
          ? "connected"
          : this.#open.size > 0
            ? "connecting"
            : "disconnected",
      since_wall: this.#since_wall,
      broker: live?.candidate.broker,
      path: live?.candidate.path,
      waiting_events: this.#options.store.waiting,
    };
  }

  /** Says good-bye where somebody listens. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#watch.cancel();
    this.#rest?.cancel();
    this.#beats?.cancel();
    this.#statusTimer?.cancel();
    this.#pump.close();
    const live = this.#live;
    if (live?.session !== undefined && this.#topics !== undefined) {
      const { clock } = this.#options;
      const { session } = live;
      const farewell = statePayload("offline", this.#birth(), { reason: "stopped" });
      const said = session
        .publish(this.#topics.state, farewell, { qos: 1, retain: true })
        .then(() => session.end())
        .catch(() => {});
      await Promise.race([said, new Promise<void>((resolve) => clock.after(FAREWELL_MS, resolve))]);
    }
    for (const open of this.#open.values()) this.#hangUp(open);
    this.#open.clear();
    this.#live = undefined;
  }

  #perform(effect: PlanEffect): void {
    if (this.#closed) return;
    if (effect.kind === "connect") void this.#connect(effect.attempt, effect.candidate);
    else if (effect.kind === "drop") this.#drop(effect.attempt);
    else {
      this.#rest?.cancel();
      // A fifth of chance either way, so that the boxes of one outage do not knock all together.
      const jittered = effect.for_ms * (0.8 + randomInt(400) / 1000);
      this.#rest = this.#options.clock.after(jittered, () => this.#runner.feed({ kind: "retry" }));
    }
  }

  async #connect(attempt: number, candidate: Candidate): Promise<void> {
    const { clock, log } = this.#options;
    this.#rest?.cancel();
    const open: Open = {
      attempt,
      candidate,
      session: undefined,
      up: false,
      timer: clock.after(CONNECT_WITHIN_MS, () => this.#ended(open, "no answer in time")),
    };
    this.#open.set(attempt, open);
    this.#options.onChange();
    const broker = this.#config?.noc.brokers.find(({ id }) => id === candidate.broker);
    const path = this.#config?.paths.find(({ id }) => id === candidate.path);
    if (broker === undefined || path === undefined) return this.#ended(open, "not in the site file");
    const local_address = localAddressOf(path);
    const [address] = await this.#names.resolve(broker.host, local_address, path.dns_servers);
    if (!this.#open.has(attempt)) return;
    if (address === undefined) return this.#ended(open, "its name has no known address");
    const topics = this.#topics;
    if (topics === undefined) return this.#ended(open, "not in the site file");

    const begin = (version: 4 | 5) => {
      open.session = openSession({
        target: { address, port: broker.port, local_address, tls_name: broker.tls ? broker.host : undefined },
        version,
        client_id: clientId(this.#config),
        username: broker.username,
        password: broker.password,
        keepalive_s: this.#manners(candidate.path).keepalive_s,
        connect_timeout_ms: CONNECT_WITHIN_MS,
        will: { topic: topics.state, payload: statePayload("offline", this.#birth(), { reason: "lost" }) },
        onUp: () => {
          if (version === 4) this.#oldBrokers.add(broker.id);
          this.#connected(open, topics);
        },
        onDown: (reason: DownReason) => {
          if (!this.#open.has(attempt)) return;
          if (version === 5 && reason.version_refused) begin(4);
          else this.#ended(open, reason.detail);
        },
        onMessage: (topic, payload, retained) => void this.#heard(open, topics, topic, payload, retained),
      });
    };
    try {
      begin(this.#oldBrokers.has(broker.id) ? 4 : 5);
    } catch (error) {
      // The practice guard refuses by throwing.
      log.error("noc: connection refused on this machine", { error });
      this.#ended(open, "refused on this machine");
    }
  }

  #connected(open: Open, topics: Topics): void {
    const { clock, log } = this.#options;
    if (!this.#open.has(open.attempt)) return;
    open.timer.cancel();
    open.up = true;
    this.#live = open;
    this.#since_wall = clock.wall();
    this.#silentSince_ms = undefined;
    this.#options.alarms.clear("noc.unreachable", "");
    log.info("noc: connected", { ...open.candidate });
    // The plan now drops the connection that this one replaces.
    this.#runner.feed({ kind: "connected", attempt: open.attempt });
    if (this.#live !== open) return;
    open.session?.subscribe([topics.ack, topics.commands, topics.state]);
    this.#say(topics.state, statePayload("online", this.#birth(), { path: open.candidate.path }), true);
    const manners = this.#manners(open.candidate.path);
    this.#pump.connect({
      publish: (payload) =>
        open.session?.publish(topics.event, payload, { qos: 1, retain: false }) ?? Promise.reject(new Error("gone")),
      replay_per_s: manners.replay_per_s,
      puback_within_ms: manners.puback_within_ms,
      onStalled: () => this.#ended(open, "the broker does not acknowledge any more"),
    });
    this.#sayStatus(true);
    this.#beat();
    this.#options.onChange();
  }

  /** The attempt came to nothing or the connection is lost. */
  #ended(open: Open, detail: string): void {
    if (!this.#open.delete(open.attempt)) return;
    this.#options.log.warn("noc: connection ended", { ...open.candidate, was_up: open.up, detail });
    this.#hangUp(open);
    this.#runner.feed({ kind: "ended", attempt: open.attempt });
    this.#options.onChange();
  }

  #drop(attempt: number): void {
    const open = this.#open.get(attempt);
    if (open === undefined) return;
    this.#open.delete(attempt);
    this.#hangUp(open);
    this.#options.onChange();
  }

  #hangUp(open: Open): void {
    open.timer.cancel();
    open.session?.drop();
    if (this.#live !== open) return;
    this.#live = undefined;
    this.#pump.connect(undefined);
    this.#beats?.cancel();
    this.#since_wall = this.#options.clock.wall();
    this.#silentSince_ms = this.#options.clock.now();
  }

  async #heard(open: Open, topics: Topics, topic: string, payload: Buffer, retained: boolean): Promise<void> {
    if (this.#live !== open) return;
    if (topic === topics.state) {
      // The last will of a connection that this one replaced must not stand as our state.
      if (payload.includes('"offline"')) {
        this.#say(topics.state, statePayload("online", this.#birth(), { path: open.candidate.path }), true);
      }
      return;
    }
    if (retained) return;
    if (topic === topics.ack) {
      this.#acknowledge(payload);
      return;
    }
    const name = topics.commandOf(topic);
    if (name === undefined) return;
    const reply = await this.#commands.carryOut(name, payload);
    if (reply === undefined) this.#options.log.warn("noc: not a command", { name, bytes: payload.length });
    else this.#say(topics.reply(name), replyPayload(reply, this.#options.practice), false);
  }

  #acknowledge(payload: Buffer): void {
    if (payload.length > 256 * 1024) return;
    let value: { ids?: unknown; up_to_seq?: unknown };
    try {
      value = JSON.parse(payload.toString("utf8")) ?? {};
    } catch {
      this.#options.log.warn("noc: an acknowledgement that is not JSON");
      return;
    }
    if (Array.isArray(value.ids)) this.#pump.acknowledged(value.ids.filter((id) => typeof id === "string"));
    if (Number.isSafeInteger(value.up_to_seq)) this.#pump.acknowledgedUpTo(Number(value.up_to_seq));
  }

  #beat(): void {
    this.#beats?.cancel();
    const live = this.#live;
    const config = this.#config;
    if (live === undefined || config === undefined || this.#topics === undefined) return;
    const { heartbeat_lte_ms, heartbeat_wan_ms } = config.noc;
    const interval = this.#frugal(live.candidate.path) ? heartbeat_lte_ms : heartbeat_wan_ms;
    const seq = ++this.#beatSeq;
    const payload = heartbeatPayload(this.#options.status(), { interval_s: interval / 1000, seq });
    this.#say(this.#topics.heartbeat, payload, false);
    this.#beats = this.#options.clock.after(interval, () => this.#beat());
  }

  /** Retained, on change and every five minutes. */
  #sayStatus(always: boolean): void {
    const { clock } = this.#options;
    if (this.#live === undefined || this.#topics === undefined) return;
    const document = this.#options.status();
    const digest = significantForNoc(document);
    if (!always && digest === this.#toldDigest) return;
    this.#toldDigest = digest;
    this.#toldAt_ms = clock.now();
    this.#say(this.#topics.status, statusPayload(document), true);
  }

  #say(topic: string, payload: string, retain: boolean): void {
    // A loss is repeated by the next connection: birth, status and heartbeat are all said anew there.
    this.#live?.session?.publish(topic, payload, { qos: 1, retain }).catch(() => {});
  }

  #watchSilence(): void {
    const now = this.#options.clock.now();
    if (this.#live !== undefined && now - this.#toldAt_ms >= STATUS_EVERY_MS) this.#sayStatus(true);
    const silent = this.#silentSince_ms !== undefined && now - this.#silentSince_ms > UNREACHABLE_AFTER_MS;
    this.#options.alarms.set("noc.unreachable", "", silent, "No broker has answered for a minute.");
  }

  #birth(): Birth {
    const { boot_id, version, practice, clock } = this.#options;
    return { boot_id, version, practice, wall: clock.wall() };
  }

  #frugal(path: string): boolean {
    return this.#config?.paths.find(({ id }) => id === path)?.kind !== "wan";
  }

  #manners(path: string) {
    return this.#frugal(path) ? MANNERS.frugal : MANNERS.plain;
  }
}

function clientId(config: SiteConfig | undefined): string {
  return `holdfast-${config?.org.id}-${config?.site.id}-${config?.box.id}`;
}

/** The address that pins packets to a path: the site file's, else the interface's first. */
function localAddressOf(path: PathConfig): string | undefined {
  if (path.address !== undefined) return path.address;
  const entries = path.interface === undefined ? [] : (networkInterfaces()[path.interface] ?? []);
  return (entries.find(({ family }) => family === "IPv4") ?? entries[0])?.address;
}
