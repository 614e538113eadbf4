import { type Clock, every, type Timer } from "../../base/clock.ts";
import type { CarrierProfile } from "../../base/config/schema.ts";
import type { HealthState } from "../../base/events.ts";
import { Runner } from "../../base/fsm.ts";
import type { Log } from "../../base/log.ts";
import type { TrunkStatus } from "../../base/status.ts";
import type { TransactionLayer } from "../../sip/transactions/layer.ts";
import type { Flow, TransportError } from "../../sip/transport/flow.ts";
import { inBrackets, ipFamily } from "../../sip/transport/ip-address.ts";
import type { Listener, TransportLayer } from "../../sip/transport/transport.ts";
import { deadline } from "../paths/deadline.ts";
import type { Health } from "../paths/path.ts";
import type { PathMonitor } from "../paths/path-monitor.ts";
import { FirstResponseTimes } from "./first-response.ts";
import { OptionsProber } from "./options-prober.ts";
import { RegistrationClient } from "./registration-client.ts";
import type { Trunk, TrunkObservation } from "./trunk.ts";
import {
  initialTrunkVerdict,
  isRefusal,
  type TrunkEffect,
  type TrunkInput,
  type TrunkTimer,
  type TrunkVerdict,
  trunkMachine,
} from "./trunk-verdict.ts";

/** What a trunk is, from the site file. */
export interface TrunkSetting {
  readonly id: string;
  readonly kind: "pbx" | "trunk";
  readonly roles: readonly ("emergency" | "main_number")[];
  readonly domain: string;
  readonly host: string;
  readonly port: number;
  readonly transport: "udp" | "tcp" | "tls";
  readonly local_port: number;
  readonly profile: CarrierProfile;
  readonly registration:
    | { readonly aor: string; readonly username: string; readonly password: string; readonly expires_s: number }
    | undefined;
  readonly first_response_p99_ms: number | undefined;
}

export interface TrunkPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly transport: TransportLayer;
  readonly transactions: TransactionLayer;
  readonly random: () => number;
}

export interface TrunkReports {
  /** `from` is undefined when something other than the verdict changed. */
  changed(trunk: SipTrunk, from: HealthState | undefined): void;
  refused(trunk: SipTrunk, refused: boolean, detail: string): void;
}

const RULES = { suspect_after_ms: 1_000, down_after_ms: 3_900 } as const;
const STALE_MS = { wan: 120_000, lte: 900_000, modem: 900_000 } as const;
/** Names are asked again so often; what was known before stays known. */
const RESOLVE_MS = 300_000;
const RETRY_MS = 5_000;
/** Reconnecting a standing TCP connection, doubled each time. */
const RECONNECT_MS = [500, 30_000] as const;
/** NAT bindings live at least 30 s in practice for UDP; RFC 5626 §4.4.1 has 95 to 120 s for TCP, CGNATs know less. */
const KEEPALIVE_MS = 25_000;
const KEEPALIVE = new TextEncoder().encode("\r\n\r\n");
const ADDRESSES_KEPT = 16;

/** A SIP peer reached over one path: its sockets, its health, its registration. */
export class SipTrunk implements Trunk {
  readonly id: string;
  readonly kind: "pbx" | "trunk";
  readonly roles: readonly ("emergency" | "main_number")[];
  readonly domain: string;
  readonly profile: CarrierProfile;
  readonly path: PathMonitor;
  readonly credentials: { readonly username: string; readonly password: string } | undefined;
  readonly #setting: TrunkSetting;
  readonly #ports: TrunkPorts;
  readonly #reports: TrunkReports;
  readonly #log: Log;
  readonly #runner: Runner<TrunkVerdict, TrunkInput, TrunkEffect>;
  readonly #timers = new Map<TrunkTimer, Timer>();
  readonly #options: OptionsProber;
  readonly #registration: RegistrationClient | undefined;
  readonly #times: FirstResponseTimes;
  /** Addresses of the peer, the one in use first; a request from another one is a stranger's. */
  #addresses: readonly string[] = [];
  #listeners: readonly Listener[] = [];
  #boundTo: string | undefined;
  #opening: Promise<void> = Promise.resolve();
  #flow: Flow | undefined;
  #reconnects = 0;
  #reconnect: Timer | undefined;
  #retry: Timer | undefined;
  #greet: Timer | undefined;
  readonly #periodic: Timer[] = [];
  #closed = false;

  constructor(setting: TrunkSetting, path: PathMonitor, ports: TrunkPorts, reports: TrunkReports) {
    this.id = setting.id;
    this.kind = setting.kind;
    this.roles = setting.roles;
    this.domain = setting.domain;
    this.profile = setting.profile;
    this.path = path;
    this.credentials = setting.registration;
    this.#setting = setting;
    this.#ports = ports;
    this.#reports = reports;
    this.#log = ports.log.child({ trunk: setting.id });
    this.#times = new FirstResponseTimes(setting.first_response_p99_ms);
    const { clock, random, transactions } = ports;
    this.#runner = new Runner(
      trunkMachine({ ...RULES, stale_after_ms: STALE_MS[path.kind] }),
      initialTrunkVerdict(clock.now()),
      (effect) => this.#perform(effect),
    );
    this.#options = new OptionsProber({
      clock,
      random,
      transactions,
      pace: path.kind === "wan" ? "brisk" : path.kind === "modem" ? "local" : "sparing",
      flow: () => this.flow,
      target: () => this.#hostUri(),
      from: () => `<sip:holdfast@${this.#hostPort()}>`,
      answered: (status, sent_ms) => this.#answered("options", status, sent_ms),
      silent: (sent_ms) => this.#silent("options", sent_ms, "OPTIONS: no answer"),
      unsendable: (error) => this.#unsendable("options", error),
    });
    const account = setting.registration;
    this.#registration =
      account === undefined
        ? undefined
        : new RegistrationClient({
            clock,
            random,
            transactions,
            account,
            flow: () => this.flow,
            contact: (user) => this.contact(user),
            answered: (status, sent_ms) => this.#answered("register", status, sent_ms),
            silent: (sent_ms) => this.#silent("register", sent_ms, "REGISTER: no answer"),
            unsendable: (error) => this.#unsendable("register", error),
            changed: () => this.#registrationChanged(),
          });
  }

  start(): void {
    const { clock } = this.#ports;
    this.path.onDoubt((urgent, reason) => {
      if (urgent) this.#feed({ kind: "doubt", reason });
      // A path that is down is brought back by whoever answers on it.
      else if (this.path.health.state === "down") this.#options.unlessLately();
    });
    this.#periodic.push(every(clock, RESOLVE_MS, () => void this.#resolve()));
    if (this.#setting.registration !== undefined) {
      this.#periodic.push(every(clock, KEEPALIVE_MS, () => this.#keepAlive()));
    }
    this.pathChanged();
    this.#options.start();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#periodic) timer.cancel();
    for (const timer of this.#timers.values()) timer.cancel();
    for (const timer of [this.#reconnect, this.#retry, this.#greet]) timer?.cancel();
    this.#options.stop();
    this.#registration?.stop();
    await this.#opening;
    if (this.#flow?.reliable) this.#ports.transport.close(this.#flow);
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }

  get health(): Health {
    const { state, since_ms, evidence } = this.#runner.state;
    return { state, since_ms, evidence: [...evidence.values()] };
  }

  get flow(): Flow | undefined {
    // A call does not wait for the reconnection timer.
    if (this.#flow?.closed === true) this.#connect();
    return this.#flow;
  }

  get registration(): { readonly aor: string; readonly registered: boolean } | undefined {
    const account = this.#setting.registration;
    if (account === undefined || this.#registration === undefined) return undefined;
    return { aor: account.aor, registered: this.#registration.registered };
  }

  get first_response_p99_ms(): number | undefined {
    return this.#times.p99_ms;
  }

  get local(): { readonly address: string; readonly port: number } {
    return { address: this.#boundTo ?? this.path.localAddress ?? "0.0.0.0", port: this.#setting.local_port };
  }

  contact(user: string): string {
    const transport = this.#setting.transport === "udp" ? "" : `;transport=${this.#setting.transport}`;
    return `sip:${user === "" ? "" : `${user}@`}${this.#hostPort()}${transport}`;
  }

  observe(observation: TrunkObservation): void {
    const now = this.#ports.clock.now();
    switch (observation.kind) {
      case "first_response":
        if (observation.method === "INVITE") this.#times.add(observation.after_ms);
        this.#answered(observation.method.toLowerCase(), observation.status, now - observation.after_ms);
        return;
      case "no_response":
        this.#silent(observation.method.toLowerCase(), now, `${observation.method}: no answer`);
        return;
      case "send_error":
        this.#unsendable("invite", { code: "send", detail: observation.detail });
    }
  }

  /** Whether a message on this flow comes from the trunk's peer. */
  owns(flow: Flow): boolean {
    if (this.#flow !== undefined && flow.id === this.#flow.id) return true;
    const local = this.#listeners.some(
      (listener) =>
        listener.protocol === flow.protocol &&
        listener.address === flow.local.address &&
        listener.port === flow.local.port,
    );
    return local && this.#addresses.includes(flow.remote.address);
  }

  /** The path's verdict or address changed. */
  pathChanged(): void {
    if (this.#closed) return;
    const { state } = this.path.health;
    if (this.path.localAddress !== this.#boundTo || this.#listeners.length === 0) this.#rebind();
    this.#feed({ kind: "path", down: state === "down", detail: `path ${this.path.id} is ${state}` });
    if (state === "suspect") this.#feed({ kind: "doubt", reason: `path ${this.path.id} is suspect` });
  }

  /** The transport lost a connection. */
  flowClosed(flow: Flow, error: TransportError | undefined): void {
    if (this.#closed || this.#flow === undefined || flow.id !== this.#flow.id) return;
    this.#registration?.flowLost();
    if (error !== undefined) this.#unsendable("tcp", error);
    this.#reconnectLater();
  }

  /** The peer answered a keep-alive. */
  pong(flow: Flow): void {
    if (flow.id !== this.#flow?.id) return;
    this.path.heard(this.#witness, "tcp", this.#ports.clock.now(), `${this.id}: keep-alive answered`);
  }

  status(): TrunkStatus {
    const { clock } = this.#ports;
    const { state, since_ms, evidence } = this.health;
    return {
      id: this.id,
      kind: this.kind,
      path: this.path.id,
      roles: this.roles,
      state,
      since_wall: clock.wall() - (clock.now() - since_ms),
      evidence,
      registered: this.registration?.registered,
      first_response_p99_ms: this.first_response_p99_ms,
    };
  }

  get #witness(): string {
    return `trunk ${this.id}`;
  }

  #hostPort(): string {
    const { address, port } = this.local;
    return `${inBrackets(address)}:${port}`;
  }

  #hostUri(): string {
    const { transport, port } = this.#setting;
    const at = port === 5060 ? this.domain : `${this.domain}:${port}`;
    return `sip:${this.kind === "pbx" ? this.domain : at}${transport === "udp" ? "" : `;transport=${transport}`}`;
  }

  #rebind(): void {
    this.#opening = this.#opening
      .then(() => this.#bind())
      .catch((error: unknown) => {
        this.#log.error("trunk sockets", { error });
        this.#retryLater();
      });
  }

  async #bind(): Promise<void> {
    const address = this.path.localAddress;
    if (this.#closed || (address === this.#boundTo && this.#listeners.length > 0)) return;
    const old = this.#listeners;
    this.#listeners = [];
    this.#boundTo = undefined;
    this.#dropFlow();
    await Promise.all(old.map((listener) => listener.close()));
    if (address === undefined) return;
    const opened: Listener[] = [];
    try {
      for (const protocol of ["udp", "tcp"] as const) {
        opened.push(await this.#ports.transport.listen({ protocol, address, port: this.#setting.local_port }));
      }
    } catch (error) {
      // Half a pair is of no use; the address may still be on its way up.
      await Promise.all(opened.map((listener) => listener.close()));
      this.#unsendable("listen", { code: "listen", detail: error instanceof Error ? error.message : String(error) });
      this.#retryLater();
      return;
    }
    this.#listeners = opened;
    this.#boundTo = address;
    await this.#resolve();
  }

  #retryLater(): void {
    this.#retry?.cancel();
    this.#retry = this.#ports.clock.after(RETRY_MS, () => {
      if (this.#closed) return;
      if (this.#listeners.length === 0) this.#rebind();
      else void this.#resolve();
    });
  }

  async #resolve(): Promise<void> {
    const family = this.#boundTo === undefined ? undefined : ipFamily(this.#boundTo);
    if (family === undefined) return;
    const found = (await this.path.resolve(this.#setting.host)).filter((address) => ipFamily(address) === family);
    if (this.#closed) return;
    if (found.length === 0) {
      if (this.#addresses.length === 0) this.#retryLater();
      return;
    }
    const before = this.#addresses[0];
    // The address in use is kept while the name still has it.
    const inUse = before !== undefined && found.includes(before) ? [before] : [];
    this.#addresses = [...new Set([...inUse, ...found, ...this.#addresses])].slice(0, ADDRESSES_KEPT);
    if (this.#flow === undefined || this.#addresses[0] !== before) this.#connect();
  }

  #connect(): void {
    const address = this.#addresses[0];
    if (this.#closed || address === undefined || this.#boundTo === undefined) return;
    const { transport: protocol, port, local_port } = this.#setting;
    const before = this.#flow;
    try {
      this.#flow = this.#ports.transport.flowTo({
        protocol,
        address,
        port,
        local_address: this.#boundTo,
        // A listening TCP port cannot be connected from as well.
        ...(protocol === "udp" ? { local_port } : {}),
      });
    } catch (error) {
      this.#flow = undefined;
      this.#log.warn("trunk may not be reached", { error });
      return;
    }
    if (this.#flow.id === before?.id) return;
    this.#reports.changed(this, undefined);
    if (this.path.health.state === "down") return;
    this.#options.soon();
    this.#registration?.start();
  }

  #reconnectLater(): void {
    const [first, most] = RECONNECT_MS;
    const longest = Math.min(most, first * 2 ** Math.min(this.#reconnects, 10));
    this.#reconnects++;
    this.#reconnect?.cancel();
    this.#reconnect = this.#ports.clock.after(longest * (0.5 + 0.5 * this.#ports.random()), () => {
      if (this.#flow?.closed === true) this.#connect();
    });
  }

  #dropFlow(): void {
    const flow = this.#flow;
    this.#flow = undefined;
    this.#registration?.flowLost();
    if (flow?.reliable === true && !flow.closed) this.#ports.transport.close(flow);
  }

  #keepAlive(): void {
    const flow = this.#flow;
    if (flow === undefined || flow.closed || !flow.connected || this.path.health.state === "down") return;
    this.#ports.transport.send(flow, KEEPALIVE);
  }

  #answered(source: string, status: number, sent_ms: number): void {
    const after = Math.round(this.#ports.clock.now() - sent_ms);
    const detail = `${source.toUpperCase()}: ${status} after ${after} ms`;
    this.#reconnects = 0;
    // The box's own modem process answers also when it has no network: then it refuses, and the path is not there.
    const away = this.path.kind === "modem" && isRefusal(status);
    if (away) this.path.unanswered(this.#witness, source, sent_ms, `${this.id} ${detail}`);
    else this.path.heard(this.#witness, source, sent_ms, `${this.id} ${detail}`);
    this.#feed({ kind: "response", source, status, sent_ms, detail });
  }

  #silent(source: string, sent_ms: number, detail: string): void {
    this.path.unanswered(this.#witness, source, sent_ms, `${this.id} ${detail}`);
    this.#feed({ kind: "silent", source, sent_ms, detail });
  }

  #unsendable(source: string, error: TransportError): void {
    this.path.recheck();
    this.#feed({ kind: "unsendable", source, detail: `${error.code}: ${error.detail}`.slice(0, 200) });
  }

  #registrationChanged(): void {
    const registration = this.#registration;
    if (registration === undefined) return;
    this.#reports.refused(this, registration.refused, registration.detail);
    this.#reports.changed(this, undefined);
  }

  #perform(effect: TrunkEffect): void {
    const { clock, random } = this.#ports;
    switch (effect.do) {
      case "burst":
        this.#options.burst();
        return;
      case "greet":
        this.#greet?.cancel();
        this.#greet = clock.after(random() * 1_000, () => {
          if (this.#closed) return;
          if (this.#flow === undefined || this.#flow.closed) this.#connect();
          else {
            this.#options.soon();
            this.#registration?.start();
          }
        });
        return;
      case "timer": {
        const { timer } = effect;
        this.#timers.get(timer)?.cancel();
        this.#timers.set(
          timer,
          deadline(clock, effect.at_ms, () => {
            this.#timers.delete(timer);
            this.#feed({ kind: "timeout", timer });
          }),
        );
        return;
      }
      case "cancel":
        this.#timers.get(effect.timer)?.cancel();
        this.#timers.delete(effect.timer);
        return;
      case "changed":
        this.#log.info("trunk verdict", { from: effect.from, to: effect.to, evidence: this.health.evidence });
        if (effect.to === "down") this.#wentDown();
        this.#reports.changed(this, effect.from);
    }
  }

  #wentDown(): void {
    // A connection into a black hole waits ever longer before it tries again: the next one must be new. The next
    // address of the name is tried first.
    const [first, ...others] = this.#addresses;
    if (first !== undefined && others.length > 0) this.#addresses = [...others, first];
    if (this.#flow?.reliable === true) {
      this.#dropFlow();
      this.#reconnectAfterDown();
    } else this.#connect();
  }

  #reconnectAfterDown(): void {
    this.#reconnect?.cancel();
    this.#reconnect = this.#ports.clock.after(RETRY_MS * (0.5 + 0.5 * this.#ports.random()), () => {
      if (this.#flow === undefined || this.#flow.closed) this.#connect();
    });
  }

  #feed(input: Unstamped<TrunkInput>): void {
    if (this.#closed) return;
    this.#runner.feed({ ...input, at_ms: this.#ports.clock.now(), at_wall: this.#ports.clock.wall() });
  }
}

type Unstamped<T> = T extends TrunkInput ? Omit<T, "at_ms" | "at_wall"> : never;
