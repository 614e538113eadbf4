import { type ByteStream, keepOpen, type OpenStream, type StandingStream } from "../base/byte-stream.ts";
import type { Clock, Timer } from "../base/clock.ts";
import type { ModemState } from "../base/events.ts";
import { Runner } from "../base/fsm.ts";
import { clean, type Log } from "../base/log.ts";
import type { ModemStatus } from "../base/status.ts";
import { ANY_LINE, AtChannel, type AtCommand, type AtResult } from "./at/channel.ts";
import { saysRestarted } from "./at/unsolicited.ts";
import { MODEM_START, type ModemBelief, type ModemEffect, type ModemInput, modemMachine } from "./modem-machine.ts";
import { type Identity, identityOf, identityText, simFault } from "./parse/identity.ts";
import { parseCclk } from "./parse/network-time.ts";
import {
  parseCops,
  parseRegistrationAnswer,
  parseRegistrationReport,
  type Registration,
} from "./parse/registration.ts";
import { NO_SIGNAL, parseCesq, parseCpsi, parseCsq, parseQcsq, type Signal } from "./parse/signal.ts";

const POLL_MS = 5000;
const RETRY_MS = 1000;
/** Settling time after a modem said that it has started: it does not take commands well before. */
const STARTED_MS = 1000;
const OPERATOR_TIMEOUT_MS = 10_000;
/** A modem that was reset and whose port cannot be opened for this long is not there any more. */
const REOPEN_PATIENCE_MS = 15_000;

export interface ModemOptions {
  readonly id: string;
  readonly path: string;
  readonly practice: boolean;
  readonly open: OpenStream;
  readonly clock: Clock;
  readonly log: Log;
  /** Something in {@link Modem.status} changed. */
  readonly onChange: () => void;
  /** A state or operator that lasted long enough to be told as an event. */
  readonly onNews: (state: ModemState, operator: string | undefined, rsrp_dbm: number | undefined) => void;
  /** A measurement of the signal was taken. */
  readonly onSignal: (rsrp_dbm: number | undefined) => void;
}

/** One modem: keeps its port open, finds out what it is, and follows its registration and signal. */
export class Modem {
  readonly #options: ModemOptions;
  readonly #machine: Runner<ModemBelief, ModemInput, ModemEffect>;
  readonly #port: StandingStream;
  #channel: AtChannel | undefined;
  #identity: Identity | undefined;
  #operator: string | undefined;
  #technology: string | undefined;
  #signal: Signal = NO_SIGNAL;
  #measured_wall: number | undefined;
  #network_time_offset_ms: number | undefined;
  #since_wall: number;
  #told = "missing ";
  #timer: Timer | undefined;
  #polling = false;
  #again = false;
  #resetting = false;

  constructor(options: ModemOptions) {
    this.#options = options;
    this.#since_wall = options.clock.wall();
    this.#machine = new Runner(modemMachine, MODEM_START, (effect) => this.#perform(effect));
    this.#port = keepOpen({
      open: options.open,
      clock: options.clock,
      onOpen: (stream) => this.#opened(stream),
      onLost: (why) => this.#lost(why),
    });
  }

  get belief(): ModemBelief {
    return this.#machine.state;
  }

  status(): ModemStatus {
    const { id, path, practice } = this.#options;
    return {
      id,
      path,
      state: this.#machine.state.state,
      since_wall: this.#since_wall,
      model: this.#identity?.model,
      firmware: this.#identity?.firmware,
      operator: this.#operator,
      technology: this.#technology,
      rsrp_dbm: this.#signal.rsrp_dbm,
      rsrq_db: this.#signal.rsrq_db,
      rssi_dbm: this.#signal.rssi_dbm,
      measured_wall: this.#measured_wall,
      network_time_offset_ms: this.#network_time_offset_ms,
      practice,
    };
  }

  stop(): void {
    this.#timer?.cancel();
    this.#channel?.close();
    this.#port.stop();
  }

  #opened(stream: ByteStream): void {
    this.#resetting = false;
    this.#channel = new AtChannel({
      stream,
      clock: this.#options.clock,
      onUnsolicited: (line) => this.#unsolicited(line),
    });
    this.#feed({ type: "opened" });
  }

  #lost(why: string): void {
    this.#channel?.close();
    this.#channel = undefined;
    // Opening anew is part of a reset, not a modem that went away.
    if (!this.#resetting) this.#feed({ type: "lost", why });
  }

  #feed(input: ModemInput): void {
    const before = this.#machine.state;
    this.#machine.feed(input);
    const after = this.#machine.state;
    if (after.state === before.state && after.reason === before.reason) return;
    if (after.state !== before.state) this.#since_wall = this.#options.clock.wall();
    this.#options.log.info("modem state", { modem: this.#options.id, state: after.state, why: after.reason });
    if (after.state === "missing" || (after.state === "failed" && after.resets > 0)) {
      this.#forget();
      this.#tellNews();
    }
    this.#options.onChange();
  }

  #perform(effect: ModemEffect): void {
    const { clock } = this.#options;
    switch (effect.type) {
      case "identify":
        this.#later(this.#machine.state.reason === "" ? 0 : STARTED_MS, () => void this.#identify());
        return;
      case "poll":
        this.#later(0, () => void this.#poll());
        return;
      case "stop":
        this.#timer?.cancel();
        return;
      case "reset":
        this.#channel?.shout("AT+CFUN=1,1");
        this.#resetting = true;
        this.#timer = clock.after(effect.reopen_after_ms, () => this.#reopen());
        return;
    }
  }

  #reopen(): void {
    this.#port.reopen();
    this.#later(REOPEN_PATIENCE_MS, () => {
      if (!this.#resetting) return;
      this.#resetting = false;
      this.#feed({ type: "lost", why: "it did not come back after a reset" });
    });
  }

  #later(after_ms: number, work: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(after_ms, work);
  }

  /** Sends one command; undefined when it was not answered, after which nothing more should be sent in this round. */
  async #ask(command: AtCommand): Promise<Exclude<AtResult, { type: "timeout" | "closed" }> | undefined> {
    const channel = this.#channel;
    if (channel === undefined) return undefined;
    const result = await channel.send(command);
    // What a former port's modem said does not count for this one.
    if (result.type === "closed" || channel !== this.#channel) return undefined;
    if (result.type === "timeout") {
      this.#feed({ type: "timed_out" });
      return undefined;
    }
    this.#feed({ type: "answered" });
    return result;
  }

  async #identify(): Promise<void> {
    const texts: (string | undefined)[] = [];
    for (const text of ["ATE0", "AT+CMEE=1", "AT+CGMI", "AT+CGMM", "AT+CGMR"]) {
      const bare = text.startsWith("AT+CGM");
      const result = await this.#ask(bare ? { text, accepts: ANY_LINE } : { text });
      if (result === undefined) return this.#retry(() => void this.#identify());
      if (bare) texts.push(result.type === "ok" ? identityText(result.lines) : undefined);
    }
    const [manufacturer, model, firmware] = texts.map((text) => (text === undefined ? undefined : clean(text, 64)));
    this.#identity = identityOf(manufacturer, model, firmware);
    // Quectel's 1 would put UTC into a clock that then names a zone; its 3 keeps local time, as others do.
    const zone = this.#identity.family === "quectel" ? "AT+CTZU=3" : "AT+CTZU=1";
    for (const text of ["AT+CREG=1", "AT+CEREG=1", zone]) {
      // A modem that knows one of these not is asked often enough anyway.
      if ((await this.#ask({ text })) === undefined) return this.#retry(() => void this.#identify());
    }
    this.#feed({ type: "identified" });
    this.#options.onChange();
  }

  /** After a command without an answer; unless that was the one that led to a reset. */
  #retry(work: () => void): void {
    const { state, resets } = this.#machine.state;
    const waitingForReset = state === "failed" && resets > 0 && this.#resetting;
    if (this.#channel !== undefined && !waitingForReset) this.#later(RETRY_MS, work);
  }

  async #poll(): Promise<void> {
    if (this.#polling) {
      this.#again = true;
      return;
    }
    this.#polling = true;
    this.#again = false;
    const whole = await this.#round();
    this.#polling = false;
    const { state } = this.#machine.state;
    if (state === "missing" || state === "identifying" || this.#resetting) return;
    if (whole) this.#tellNews();
    this.#options.onChange();
    if (!whole) this.#retry(() => void this.#poll());
    else this.#later(this.#again ? 0 : POLL_MS, () => void this.#poll());
  }

  /** Asks for everything once. False when a question was not answered. */
  async #round(): Promise<boolean> {
    const sim = await this.#ask({ text: "AT+CPIN?" });
    if (sim === undefined) return false;
    const fault = simFault(sim.lines, sim.type === "error" ? sim.cme : undefined);
    if (fault !== undefined) {
      this.#forgetService();
      this.#feed({ type: "sim_fault", why: fault });
      return true;
    }
    const found: Registration[] = [];
    for (const text of ["AT+CEREG?", "AT+CREG?"]) {
      const result = await this.#ask({ text, accepts: (line) => parseRegistrationAnswer(line) !== undefined });
      if (result === undefined) return false;
      for (const line of result.lines) {
        const report = parseRegistrationAnswer(line);
        if (report !== undefined) found.push(report.registration);
      }
    }
    this.#feed({ type: "registration", of: found });
    if (this.#machine.state.state !== "registered") {
      this.#forgetService();
      return true;
    }
    return (await this.#askOperator()) && (await this.#askSignal()) && (await this.#askTime());
  }

  async #askOperator(): Promise<boolean> {
    const result = await this.#ask({ text: "AT+COPS?", timeout_ms: OPERATOR_TIMEOUT_MS });
    if (result === undefined) return false;
    const cops = result.lines.map(parseCops).find((parsed) => parsed !== undefined);
    this.#operator = cops?.name === undefined ? undefined : clean(cops.name, 64);
    this.#technology = cops?.technology;
    return true;
  }

  /** The maker's own question where there is one, else the standard's two. */
  async #askSignal(): Promise<boolean> {
    let signal: Signal = NO_SIGNAL;
    const { family } = this.#identity ?? { family: "other" };
    if (family !== "other") {
      const [text, parse] =
        family === "simcom" ? (["AT+CPSI?", parseCpsi] as const) : (["AT+QCSQ", parseQcsq] as const);
      const result = await this.#ask({ text });
      if (result === undefined) return false;
      const system = result.lines.map(parse).find((parsed) => parsed !== undefined);
      signal = system?.signal ?? NO_SIGNAL;
      this.#technology = system?.technology ?? this.#technology;
    }
    if (signal.rsrp_dbm === undefined) {
      const [cesq, csq] = [await this.#ask({ text: "AT+CESQ" }), await this.#ask({ text: "AT+CSQ" })];
      if (cesq === undefined || csq === undefined) return false;
      const extended = cesq.lines.map(parseCesq).find((parsed) => parsed !== undefined) ?? NO_SIGNAL;
      const plain = csq.lines.map(parseCsq).find((parsed) => parsed !== undefined) ?? NO_SIGNAL;
      signal = { ...extended, rssi_dbm: signal.rssi_dbm ?? extended.rssi_dbm ?? plain.rssi_dbm };
    }
    this.#signal = signal;
    this.#measured_wall = this.#options.clock.wall();
    this.#options.onSignal(signal.rsrp_dbm);
    return true;
  }

  async #askTime(): Promise<boolean> {
    const result = await this.#ask({ text: "AT+CCLK?" });
    if (result === undefined) return false;
    const told = result.lines.map(parseCclk).find((parsed) => parsed !== undefined);
    this.#network_time_offset_ms = told === undefined ? undefined : told - this.#options.clock.wall();
    return true;
  }

  #unsolicited(line: string): void {
    if (saysRestarted(line)) {
      this.#resetting = false;
      this.#feed({ type: "restarted" });
      return;
    }
    const listening = !["missing", "identifying"].includes(this.#machine.state.state) && !this.#resetting;
    const news = parseRegistrationReport(line) !== undefined || line.startsWith("+CPIN:");
    if (news && listening) void this.#poll();
  }

  #forgetService(): void {
    this.#operator = undefined;
    this.#technology = undefined;
    this.#signal = NO_SIGNAL;
    this.#measured_wall = undefined;
    this.#network_time_offset_ms = undefined;
    this.#options.onSignal(undefined);
  }

  #forget(): void {
    this.#identity = undefined;
    this.#forgetService();
  }

  #tellNews(): void {
    const { state } = this.#machine.state;
    const news = `${state} ${this.#operator ?? ""}`;
    if (news === this.#told) return;
    this.#told = news;
    this.#options.onNews(state, this.#operator, this.#signal.rsrp_dbm);
  }
}
