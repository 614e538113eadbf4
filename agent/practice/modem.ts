import { type ByteStream, fromBytes, toBytes } from "../base/byte-stream.ts";
import type { Clock } from "../base/clock.ts";

/**
 * An LTE modem's AT port, in the manner of SIMCom's SIM7600 or of Quectel's EC25, as far as identity, SIM,
 * registration, signal and network time go. It dials nobody. Every name it gives itself says PRACTICE.
 */
export type PracticeFamily = "simcom" | "quectel";
export type PracticeRegistration = "home" | "roaming" | "searching" | "denied" | "emergency_only";

export interface PracticeSignal {
  readonly rsrp_dbm: number;
  readonly rsrq_db: number;
  readonly rssi_dbm: number;
  readonly sinr_db: number;
}

const REPLY_DELAY_MS = 10;
const RESTART_MS = 2000;
const LINE_LIMIT = 512;
const STAT: Readonly<Record<PracticeRegistration, number>> = {
  searching: 2,
  home: 1,
  denied: 3,
  roaming: 5,
  emergency_only: 8,
};
const GOOD_SIGNAL: PracticeSignal = { rsrp_dbm: -87, rsrq_db: -9, rssi_dbm: -57, sinr_db: 15 };
const SIM_MISSING = { code: 10, text: "SIM not inserted" };
const NOT_ALLOWED = { code: 3, text: "operation not allowed" };

interface Names {
  readonly manufacturer: string;
  readonly model: string;
  readonly firmware: string;
}

const NAMES: Readonly<Record<PracticeFamily, Names>> = {
  simcom: { manufacturer: "SIMCOM PRACTICE", model: "PRACTICE-7600", firmware: "PRACTICE-LE20B04" },
  quectel: { manufacturer: "Quectel PRACTICE", model: "PRACTICE-EC25", firmware: "PRACTICE-R06A08" },
};

/** A reply to one command: its information lines, then how it ends. */
interface Reply {
  readonly lines: readonly string[];
  readonly fault: { readonly code: number; readonly text: string } | "plain" | undefined;
}

const ok = (...lines: string[]): Reply => ({ lines, fault: undefined });
const refuse = (fault: NonNullable<Reply["fault"]>): Reply => ({ lines: [], fault });

export class PracticeModem {
  readonly #clock: Clock;
  readonly #family: PracticeFamily;
  #stream: ByteStream | undefined;
  #line = "";
  #busy = false;
  #waiting: string[] = [];
  #hung = false;
  #sim = true;
  #registration: PracticeRegistration = "home";
  #signal: PracticeSignal | undefined = GOOD_SIGNAL;
  /** Settings that a restart forgets. */
  #echo = true;
  #cmee = 0;
  #reports = new Map<string, number>();
  #radio = true;
  /** How often it was told to start anew while it hung. */
  resetsIgnored = 0;

  constructor(clock: Clock, family: PracticeFamily = "simcom") {
    this.#clock = clock;
    this.#family = family;
  }

  /** Connects it to a line and starts it, as power does. */
  plug(stream: ByteStream): void {
    this.#stream?.close();
    this.#stream = stream;
    this.#forget();
    stream.onData((bytes) => this.#receive(fromBytes(bytes)));
  }

  unplug(): void {
    this.#stream?.close();
    this.#stream = undefined;
  }

  /** A modem that hangs takes bytes and answers nothing. */
  hang(hung: boolean): void {
    this.#hung = hung;
    this.#waiting = [];
  }

  sim(inserted: boolean): void {
    if (this.#sim === inserted) return;
    this.#sim = inserted;
    this.#unasked(inserted ? "+CPIN: READY" : "+CPIN: NOT READY");
    this.#report();
  }

  registration(registration: PracticeRegistration): void {
    if (this.#registration === registration) return;
    this.#registration = registration;
    this.#report();
  }

  /** Undefined: there is nothing to receive, and so no registration either. */
  signal(signal: Partial<PracticeSignal> | undefined): void {
    const before = this.#stat();
    this.#signal = signal === undefined ? undefined : { ...GOOD_SIGNAL, ...signal };
    if (this.#stat() !== before) this.#report();
  }

  /** Starts again by itself, as a crash of its firmware does. */
  restart(): void {
    this.#forget();
    this.#hung = true;
    const stream = this.#stream;
    this.#clock.after(RESTART_MS, () => {
      if (this.#stream !== stream) return;
      this.#hung = false;
      this.#unasked("RDY");
      if (this.#sim) this.#unasked("+CPIN: READY");
      this.#unasked(this.#family === "simcom" ? "SMS DONE" : '+QIND: "SMS DONE"');
      this.#unasked(this.#family === "simcom" ? "PB DONE" : '+QIND: "PB DONE"');
    });
  }

  /** Sends a line that nobody asked for. */
  say(line: string): void {
    this.#unasked(line);
  }

  #forget(): void {
    this.#line = "";
    this.#waiting = [];
    this.#busy = false;
    this.#echo = true;
    this.#cmee = 0;
    this.#reports = new Map();
    this.#radio = true;
  }

  #stat(): number {
    if (!this.#radio) return 0;
    if (this.#signal === undefined) return STAT.searching;
    return this.#sim ? STAT[this.#registration] : STAT.emergency_only;
  }

  #report(): void {
    for (const [name, mode] of this.#reports) {
      if (mode > 0) this.#unasked(`${name}: ${this.#stat()}${mode > 1 ? this.#cell() : ""}`);
    }
  }

  #cell(): string {
    return [1, 5].includes(this.#stat()) ? ',"1A2B","0C0FFEE1",7' : "";
  }

  #unasked(line: string): void {
    if (!this.#hung) this.#stream?.write(toBytes(`\r\n${line}\r\n`));
  }

  #receive(text: string): void {
    for (const char of text) {
      if (char === "\u001b") this.#line = "";
      else if (char === "\r") {
        const command = this.#line.trim();
        this.#line = "";
        if (this.#hung) this.resetsIgnored += /^AT\+CFUN=1,1$/i.test(command) ? 1 : 0;
        else if (command !== "") this.#waiting.push(command);
        this.#next();
      } else if (char !== "\n" && this.#line.length < LINE_LIMIT) this.#line += char;
    }
  }

  /** One command after the other, as modems do; what comes meanwhile waits. */
  #next(): void {
    if (this.#busy) return;
    const command = this.#waiting.shift();
    if (command === undefined) return;
    this.#busy = true;
    if (this.#echo) this.#stream?.write(toBytes(`${command}\r`));
    this.#clock.after(REPLY_DELAY_MS, () => {
      this.#busy = false;
      if (!this.#hung) this.#answer(command);
      this.#next();
    });
  }

  #answer(command: string): void {
    const { lines, fault } = this.#reply(command.toUpperCase());
    const final =
      fault === undefined
        ? "OK"
        : fault === "plain" || this.#cmee === 0
          ? "ERROR"
          : `+CME ERROR: ${this.#cmee === 1 ? fault.code : fault.text}`;
    this.#stream?.write(toBytes([...lines, final].map((line) => `\r\n${line}\r\n`).join("")));
    if (/^AT\+CFUN=1,1$/i.test(command)) this.restart();
  }

  #reply(command: string): Reply {
    const names = NAMES[this.#family];
    const number = Number(/=([0-9]+)/.exec(command)?.[1] ?? Number.NaN);
    switch (command.replace(/=[0-9,]+$/, "=")) {
      case "AT":
      case "ATZ":
      case "AT&F":
      case "ATV1":
        return ok();
      case "ATE0":
      case "ATE1":
        this.#echo = command === "ATE1";
        return ok();
      case "ATI":
        return ok(`Manufacturer: ${names.manufacturer}`, `Model: ${names.model}`, `Revision: ${names.firmware}`);
      case "AT+CGMI":
        return ok(names.manufacturer);
      case "AT+CGMM":
        return ok(names.model);
      case "AT+CGMR":
        return ok(this.#family === "simcom" ? `+CGMR: ${names.firmware}` : names.firmware);
      case "AT+CGSN":
        return ok("PRACTICE");
      case "AT+CMEE?":
        return ok(`+CMEE: ${this.#cmee}`);
      case "AT+CMEE=":
        if (!(number <= 2)) return refuse("plain");
        this.#cmee = number;
        return ok();
      case "AT+CFUN?":
        return ok(`+CFUN: ${this.#radio ? 1 : 0}`);
      case "AT+CFUN=":
        this.#radio = number === 1;
        this.#report();
        return ok();
      case "AT+CPIN?":
        return this.#sim ? ok("+CPIN: READY") : refuse(SIM_MISSING);
      case "AT+CTZU=":
        return ok();
      case "AT+CCLK?":
        return ok(`+CCLK: "${this.#localTime()}"`);
      default:
        return this.#network(command, number);
    }
  }

  #network(command: string, number: number): Reply {
    const registration = /^AT(\+C(?:REG|GREG|EREG))(\?|=[0-2]$)/.exec(command);
    if (registration !== null) {
      const name = registration[1] ?? "";
      if (registration[2] === "?") {
        const mode = this.#reports.get(name) ?? 0;
        return ok(`${name}: ${mode},${this.#stat()}${mode > 1 ? this.#cell() : ""}`);
      }
      this.#reports.set(name, number);
      return ok();
    }
    const served = [1, 5].includes(this.#stat());
    const signal = this.#radio ? this.#signal : undefined;
    switch (command) {
      case "AT+COPS?":
        return ok(served ? '+COPS: 0,0,"PRACTICE LTE",7' : "+COPS: 0");
      case "AT+CSQ":
        return ok(signal === undefined ? "+CSQ: 99,99" : `+CSQ: ${index(signal.rssi_dbm, -113, 2, 31)},99`);
      case "AT+CESQ":
        return ok(
          signal === undefined
            ? "+CESQ: 99,99,255,255,255,255"
            : `+CESQ: 99,99,255,255,${index(signal.rsrq_db, -20, 0.5, 34)},${index(signal.rsrp_dbm, -141, 1, 97)}`,
        );
      case "AT+CPSI?":
        if (this.#family !== "simcom") return refuse("plain");
        return ok(signal === undefined || !served ? "+CPSI: NO SERVICE,Online" : `+CPSI: ${lteCell(signal)}`);
      case "AT+QCSQ":
        if (this.#family !== "quectel") return refuse("plain");
        return ok(signal === undefined || !served ? '+QCSQ: "NOSERVICE"' : `+QCSQ: ${lteQuality(signal)}`);
      default:
        return command.startsWith("AT+") ? refuse(NOT_ALLOWED) : refuse("plain");
    }
  }

  /** As the network tells it: local time of a site seven hours behind UTC. */
  #localTime(): string {
    const quarters = -28;
    const local = new Date(this.#clock.wall() + quarters * 15 * 60_000).toISOString();
    return `${local.slice(2, 19).replaceAll("-", "/").replace("T", ",")}-28`;
  }
}

function index(value: number, from: number, step: number, most: number): number {
  return Math.min(most, Math.max(0, Math.round((value - from) / step)));
}

/** RSRQ, RSRP and RSSI in tenths, SNR whole, as the SIM7600 prints them. */
function lteCell({ rsrp_dbm, rsrq_db, rssi_dbm, sinr_db }: PracticeSignal): string {
  const tenths = [rsrq_db, rsrp_dbm, rssi_dbm].map((value) => Math.round(value * 10)).join(",");
  return `LTE,Online,001-01,0x1A2B,202375905,257,EUTRAN-BAND13,5230,3,3,${tenths},${sinr_db}`;
}

function lteQuality({ rsrp_dbm, rsrq_db, rssi_dbm, sinr_db }: PracticeSignal): string {
  return `"LTE",${rssi_dbm},${rsrp_dbm},${Math.round((sinr_db + 20) * 5)},${rsrq_db}`;
}
