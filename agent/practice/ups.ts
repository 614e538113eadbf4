import { type ByteStream, fromBytes, toBytes } from "../base/byte-stream.ts";
import type { Clock } from "../base/clock.ts";

/**
 * A line-interactive UPS with a 24 V battery that speaks Megatec Q1. It can lose the mains, run down, fall silent and
 * talk nonsense. Whoever asks for its name is told PRACTICE.
 */
export type UpsBehaviour = "normal" | "silent" | "garbage";

const REPLY_DELAY_MS = 60;
const LINE_LIMIT = 64;
const FULL_ON_MAINS_V = 27.3;
const FULL_ON_BATTERY_V = 25.2;
const LOW_V = 21.6;
const EMPTY_V = 20.4;
const FALL_V_PER_MINUTE = 0.12;

export class PracticeUps {
  readonly #clock: Clock;
  #stream: ByteStream | undefined;
  #line = "";
  #behaviour: UpsBehaviour = "normal";
  /** Monotonic ms since when the mains are away. */
  #mainsLost_ms: number | undefined;
  #low = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Connects it to a serial line; a former one is let go. */
  plug(stream: ByteStream): void {
    this.#stream?.close();
    this.#stream = stream;
    this.#line = "";
    stream.onData((bytes) => this.#receive(bytes));
  }

  unplug(): void {
    this.#stream?.close();
    this.#stream = undefined;
  }

  mains(on: boolean): void {
    this.#mainsLost_ms = on ? undefined : (this.#mainsLost_ms ?? this.#clock.now());
  }

  /** Says that the battery is nearly empty, without waiting for it to run down. */
  batteryLow(low: boolean): void {
    this.#low = low;
  }

  behave(behaviour: UpsBehaviour): void {
    this.#behaviour = behaviour;
  }

  #receive(bytes: Uint8Array): void {
    for (const char of fromBytes(bytes)) {
      if (char !== "\r") {
        if (this.#line.length < LINE_LIMIT) this.#line += char;
        continue;
      }
      const command = this.#line;
      this.#line = "";
      const { behaviour, stream } = { behaviour: this.#behaviour, stream: this.#stream };
      if (behaviour === "silent" || command === "") continue;
      const reply = behaviour === "garbage" ? "\u00ff(1)2 07\u0000;;" : this.#reply(command);
      this.#clock.after(REPLY_DELAY_MS, () => stream?.write(toBytes(`${reply}\r`)));
    }
  }

  /** An unknown command is sent back as it came (Megatec protocol). */
  #reply(command: string): string {
    if (command === "Q1") return this.#status();
    if (command === "F") return "#120.0 002 024.0 60.0";
    if (command === "I") return `#${"PRACTICE".padEnd(15)} ${"PRACTICE".padEnd(10)} ${"PRACTICE".padEnd(10)}`;
    return command;
  }

  #status(): string {
    const lost_ms = this.#mainsLost_ms;
    const failed = lost_ms !== undefined;
    const minutes = failed ? (this.#clock.now() - lost_ms) / 60_000 : 0;
    const running_v = Math.max(EMPTY_V, FULL_ON_BATTERY_V - minutes * FALL_V_PER_MINUTE);
    const battery_v = !failed ? FULL_ON_MAINS_V : this.#low ? Math.min(running_v, LOW_V) : running_v;
    const low = this.#low || battery_v <= LOW_V;
    const bits = `${failed ? 1 : 0}${low ? 1 : 0}00100${failed ? 1 : 0}`;
    const input = failed ? "000.0" : "121.3";
    return `(${input} ${input} 120.0 018 60.0 ${battery_v.toFixed(1).padStart(4, "0")} 27.5 ${bits}`;
  }
}
