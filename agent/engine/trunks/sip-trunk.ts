import type { Timer } from "../../base/clock.ts";
import type { CarrierProfile } from "../../base/config/schema.ts";
import type { Availability, HealthState } from "../../base/events.ts";
import { Runner } from "../../base/fsm.ts";
import type { Log } from "../../base/log.ts";
import type { TrunkStatus } from "../../base/status.ts";
import type { HopFailure } from "../../sip/locating/hop-list.ts";
import type { Flow, Protocol, TransportError } from "../../sip/transport/flow.ts";
import { inBrackets } from "../../sip/transport/ip-address.ts";
import { deadline } from "../paths/deadline.ts";
import type { Health } from "../paths/path.ts";
import type { PathMonitor } from "../paths/path-monitor.ts";
import { trunkAvailability } from "./availability.ts";
import { FirstResponseTimes } from "./first-response.ts";
import { OptionsProber } from "./options-prober.ts";
import { RegistrationClient } from "./registration-client.ts";
import type { Trunk, TrunkObservation } from "./trunk.ts";
import { TrunkConnection } from "./trunk-connection.ts";
import type { TrunkPorts, TrunkSetting } from "./trunk-setting.ts";
import {
  initialTrunkVerdict,
  isRefusal,
  type TrunkEffect,
  type TrunkInput,
  type TrunkTimer,
  type TrunkVerdict,
  trunkMachine,
} from "./trunk-verdict.ts";

export interface TrunkReports {
  /** `from` is undefined when something other than the verdict changed. */
  changed(trunk: SipTrunk, from: HealthState | undefined): void;
  refused(trunk: SipTrunk, refused: boolean, detail: string): void;
  /** Whether the site's policy lets work go back to a server that is preferred. */
  mayReturn(): boolean;
  /** What is wrong with the peer's certificate; undefined while it proves what it must. */
  certificate(trunk: SipTrunk, fault: string | undefined): void;
}

const RULES = { suspect_after_ms: 1_000, down_after_ms: 3_500 } as const;
/** So long has a server to answer before the next one is asked. */
const NEXT_SERVER_MS = 800;
/** New connections are hailed at once so often within so long; then only after a while. */
const HAILED_OFTEN = 8;
const HAILED_WITHIN_MS = 30_000;
const HAIL_AGAIN_MS = 5_000;
const STALE_MS = { wan: 120_000, lte: 900_000, modem: 900_000 } as const;
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
  readonly #connection: TrunkConnection;
  #greet: Timer | undefined;
  /** When new connections were hailed of late; clock ms. */
  #hailed: number[] = [];
  #nextServer: Timer | undefined;
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
    this.#connection = new TrunkConnection({
      ...ports,
      log: this.#log,
      path,
      peer: setting,
      keep_alive: setting.registration !== undefined,
      connected: () => this.#connected(),
      lost: () => this.#registration?.flowLost(),
      moved: () => this.#registration?.moved(),
      failed: (source, error) => {
        if (error.code.startsWith("ECERT")) reports.certificate(this, error.detail);
        this.#unsendable(source, error);
      },
      pong: (sent_ms) => this.path.heard(this.#witness, "keep-alive", sent_ms, `${this.id}: keep-alive answered`),
      named: (verdict, detail) => this.#feed({ kind: "note", source: "dns", verdict, detail }),
      ask: (flow, done) => this.#options.ask(flow, done),
      mayReturn: reports.mayReturn,
      isDown: () => this.health.state === "down",
    });
    this.#options = new OptionsProber({
      clock,
      random,
      transactions,
      pace: path.kind === "wan" ? "brisk" : path.kind === "modem" ? "local" : "sparing",
      flow: () => this.flow,
      down_ms: () => (this.health.state === "down" ? clock.now() - this.health.since_ms : undefined),
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
            instance: setting.instance,
            contact: (user) => this.#contact(user),
            mapped: (endpoint) => this.#connection.reachable.mappedTo(endpoint),
            flowTimer: (seconds) => this.#connection.reachable.atLeastEvery(seconds),
            answered: (status, sent_ms) => this.#answered("register", status, sent_ms),
            silent: (sent_ms) => this.#silent("register", sent_ms, "REGISTER: no answer"),
            unsendable: (error) => this.#unsendable("register", error),
            changed: () => this.#registrationChanged(),
          });
  }

  start(): void {
    this.path.onDoubt((urgent, reason) => {
      if (urgent) this.#feed({ kind: "doubt", reason, urgent });
      // A path that is down is brought back by whoever answers on it.
      else if (this.path.health.state === "down") this.#options.unlessLately();
    });
    this.#connection.start();
    this.pathChanged();
    this.#options.start();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#greet?.cancel();
    this.#nextServer?.cancel();
    this.#options.stop();
    this.#registration?.stop();
    await this.#connection.close();
  }

  get health(): Health {
    const { state, since_ms, evidence } = this.#runner.state;
    return { state, since_ms, evidence: [...evidence.values()] };
  }

  /** Whether calls can use it, both ways. */
  get availability(): Availability {
    return trunkAvailability({ state: this.health.state, registered: this.registration?.registered });
  }

  get flow(): Flow | undefined {
    return this.#connection.flow;
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
    return {
      address: this.#connection.localAddress ?? this.path.localAddress ?? "0.0.0.0",
      port: this.#setting.local_port,
    };
  }

  contact(user: string): string {
    // RFC 5626 §4.3: requests of the dialog come back over the same flow.
    return `${this.#contact(user)}${this.#registration?.outbound === true ? ";ob" : ""}`;
  }

  #contact(user: string): string {
    const { mapped } = this.#connection.reachable;
    const at = mapped === undefined ? this.#hostPort() : `${inBrackets(mapped.address)}:${mapped.port}`;
    const transport = this.#protocol === "udp" ? "" : `;transport=${this.#protocol}`;
    return `sip:${user === "" ? "" : `${user}@`}${at}${transport}`;
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

  alternative(tried: readonly Flow[], failure: HopFailure): Flow | undefined {
    return this.#connection.alternative(tried, failure);
  }

  towards(address: string): Flow | undefined {
    return this.#connection.towards(address);
  }

  get stream(): Flow | undefined {
    return this.#connection.stream;
  }

  get lastResort(): Flow | undefined {
    return this.#connection.lastResort;
  }

  /** Where to send what is too large for this flow, if it is the one in use. */
  streamBeside(flow: Flow): Flow | undefined {
    return this.#connection.streamBeside(flow);
  }

  /** Whether a message on this flow comes from the trunk's peer. */
  owns(flow: Flow): boolean {
    return this.#connection.owns(flow);
  }

  /** The path's verdict or address changed. */
  pathChanged(): void {
    if (this.#closed) return;
    const { state } = this.path.health;
    this.#connection.follow();
    this.#feed({ kind: "path", down: state === "down", detail: `path ${this.path.id} is ${state}` });
    if (state === "suspect") this.#feed({ kind: "doubt", reason: `path ${this.path.id} is suspect`, urgent: false });
  }

  /** The transport lost a connection. */
  flowClosed(flow: Flow, error: TransportError | undefined): void {
    this.#connection.flowClosed(flow, error);
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
      since_wall: Math.round(clock.wall() - (clock.now() - since_ms)),
      evidence,
      registered: this.registration?.registered,
      availability: this.availability,
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

  /** What it is spoken to in now. */
  get #protocol(): Protocol {
    const { transport } = this.#setting;
    return this.#connection.protocol ?? (transport === "auto" ? "udp" : transport);
  }

  #hostUri(): string {
    const { port } = this.#setting;
    const transport = this.#protocol;
    const at = port === undefined || port === 5060 ? this.domain : `${this.domain}:${port}`;
    return `sip:${this.kind === "pbx" ? this.domain : at}${transport === "udp" ? "" : `;transport=${transport}`}`;
  }

  #connected(): void {
    this.#reports.changed(this, undefined);
    if (this.path.health.state !== "down") this.#hailInTurn();
  }

  /** A peer that ends each connection after a response would be hailed for ever, over one connection after another. */
  #hailInTurn(): void {
    const { clock } = this.#ports;
    const now_ms = clock.now();
    this.#hailed = this.#hailed.filter((at_ms) => at_ms > now_ms - HAILED_WITHIN_MS);
    if (this.#hailed.length < HAILED_OFTEN) {
      this.#hailed.push(now_ms);
      this.#hail();
      return;
    }
    this.#greet?.cancel();
    this.#greet = clock.after(HAIL_AGAIN_MS, () => {
      if (!this.#closed && this.#connection.flow !== undefined) this.#hail();
    });
  }

  #hail(): void {
    this.#options.soon();
    this.#registration?.start();
  }

  #answered(source: string, status: number, sent_ms: number): void {
    const after = Math.round(this.#ports.clock.now() - sent_ms);
    const detail = `${source.toUpperCase()}: ${status} after ${after} ms`;
    this.#connection.alive();
    this.#reports.certificate(this, this.#connection.overlooked);
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
        if (!this.#options.burst(effect.urgent || effect.founded)) this.#feed({ kind: "unasked" });
        return;
      case "greet":
        this.#greet?.cancel();
        this.#greet = clock.after(random() * 1_000, () => {
          if (this.#closed) return;
          const flow = this.#connection.flow;
          if (flow === undefined) this.#connection.connect();
          else this.#hail();
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
        if (effect.to === "suspect") this.#tryNextServer();
        // It answers again: whoever waits to register need not wait longer.
        if (effect.to === "up" && this.#registration?.waiting === true) this.#registration.start();
        if (effect.to === "down") this.#connection.giveUp();
        this.#reports.changed(this, effect.from);
    }
  }

  /** The server in use does not answer the burst: the others are asked, one after the other, before the trunk is down. */
  #tryNextServer(): void {
    if (this.#closed || this.path.health.state === "down" || !this.#connection.tryNext()) return;
    this.#nextServer?.cancel();
    this.#nextServer = this.#ports.clock.after(NEXT_SERVER_MS, () => {
      if (this.health.state === "suspect") this.#tryNextServer();
    });
  }

  #feed(input: Unstamped<TrunkInput>): void {
    if (this.#closed) return;
    this.#runner.feed({ ...input, at_ms: this.#ports.clock.now(), at_wall: this.#ports.clock.wall() });
  }
}

type Unstamped<T> = T extends TrunkInput ? Omit<T, "at_ms" | "at_wall"> : never;
