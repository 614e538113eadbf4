import type { ByteStream } from "../../base/byte-stream.ts";
import { fromBytes, keepOpen, type OpenStream, type StandingStream, toBytes } from "../../base/byte-stream.ts";
import type { Clock, Timer } from "../../base/clock.ts";
import { Runner } from "../../base/fsm.ts";
import type { Log } from "../../base/log.ts";
import { blocksOf, chargePercent } from "./charge.ts";
import { MegatecLines, parseQ1, type Q1Reading } from "./megatec.ts";
import {
  SILENCE_MS,
  UPS_START,
  type UpsEffect,
  type UpsInput,
  type UpsState,
  type UpsVerdict,
  upsMachine,
} from "./ups-machine.ts";

const REPLY_TIMEOUT_MS = 1500;
const QUESTION = toBytes("Q1\r");

export interface UpsView {
  readonly verdict: UpsVerdict;
  readonly since_wall: number;
  /** The last reading; undefined while the verdict is unknown. */
  readonly reading: Q1Reading | undefined;
  readonly charge_percent: number | undefined;
}

export interface UpsReaderOptions {
  readonly open: OpenStream;
  readonly poll_ms: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly onVerdict: (from: UpsVerdict, to: UpsVerdict) => void;
  /** True when nothing readable has come for 15 s, false when something does. */
  readonly onSilent: (silent: boolean, why: string) => void;
  readonly onReading: () => void;
}

/** Asks one UPS how it is, every `poll_ms`, one question at a time. Sends `Q1` and nothing else: some hang on more. */
export class UpsReader {
  readonly #options: UpsReaderOptions;
  readonly #machine: Runner<UpsState, UpsInput, UpsEffect>;
  readonly #lines = new MegatecLines();
  readonly #port: StandingStream;
  #stream: ByteStream | undefined;
  #next: Timer | undefined;
  #patience: Timer | undefined;
  #silence: Timer | undefined;
  #since_wall: number;
  #reading: Q1Reading | undefined;
  #blocks: number | undefined;
  #why = "it does not answer";

  constructor(options: UpsReaderOptions) {
    this.#options = options;
    this.#since_wall = options.clock.wall();
    this.#machine = new Runner(upsMachine, UPS_START, (effect) => this.#perform(effect));
    this.#perform({ type: "await_reading" });
    this.#port = keepOpen({
      open: options.open,
      clock: options.clock,
      onOpen: (stream) => {
        this.#stream = stream;
        this.#lines.clear();
        this.#why = "it does not answer";
        stream.onData((bytes) => this.#receive(fromBytes(bytes)));
        this.#ask();
      },
      onLost: (why) => {
        if (this.#stream !== undefined) options.log.warn("UPS port lost", { why });
        this.#stream = undefined;
        this.#why = why;
        this.#next?.cancel();
        this.#patience?.cancel();
      },
    });
  }

  get view(): UpsView {
    const { verdict } = this.#machine.state;
    const reading = verdict === "unknown" ? undefined : this.#reading;
    return {
      verdict,
      since_wall: this.#since_wall,
      reading,
      charge_percent: reading === undefined ? undefined : chargePercent(reading, this.#blocks),
    };
  }

  stop(): void {
    for (const timer of [this.#next, this.#patience, this.#silence]) timer?.cancel();
    this.#port.stop();
  }

  #ask(): void {
    this.#stream?.write(QUESTION);
    this.#patience = this.#options.clock.after(REPLY_TIMEOUT_MS, () => this.#askLater());
  }

  #askLater(): void {
    this.#patience?.cancel();
    this.#next?.cancel();
    this.#next = this.#options.clock.after(this.#options.poll_ms, () => this.#ask());
  }

  #receive(text: string): void {
    const lines = this.#lines.push(text);
    for (const line of lines) {
      const reading = parseQ1(line);
      if (reading === undefined) {
        this.#why = "what it says cannot be understood";
        continue;
      }
      this.#reading = reading;
      const { battery_v, utility_fail, battery_low } = reading;
      if (battery_v !== undefined && !utility_fail) this.#blocks = blocksOf(battery_v, true) ?? this.#blocks;
      this.#options.onSilent(false, "");
      this.#machine.feed({ type: "reading", utility_fail, battery_low });
      this.#options.onReading();
    }
    if (lines.length > 0) this.#askLater();
  }

  #perform(effect: UpsEffect): void {
    switch (effect.type) {
      case "await_reading":
        this.#silence?.cancel();
        this.#silence = this.#options.clock.after(SILENCE_MS, () => this.#machine.feed({ type: "silence_timeout" }));
        return;
      case "verdict":
        this.#since_wall = this.#options.clock.wall();
        this.#options.onVerdict(effect.from, effect.to);
        return;
      case "silent":
        this.#reading = undefined;
        this.#options.onSilent(true, this.#why);
        this.#port.reopen();
        return;
    }
  }
}
