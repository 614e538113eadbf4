import type { Clock, Timer } from "../../base/clock.ts";
import type { GpioLineConfig } from "../../base/config/schema.ts";
import type { GpioInput, OpenGpio } from "./gpio.ts";

/**
 * One configured input: a level is believed once it has stood for `debounce_ms`, the first one at once; polarity
 * turned into yes and no. An unreadable line is neither, also only after it has been so for that long.
 */
export class GpioLine {
  readonly #input: GpioInput;
  readonly #clock: Clock;
  readonly #config: GpioLineConfig;
  readonly #onChange: (on: boolean | undefined, why: string) => void;
  #on: boolean | undefined;
  #seen: boolean | undefined;
  #settling: Timer | undefined;

  constructor(options: {
    readonly config: GpioLineConfig;
    readonly open: OpenGpio;
    readonly clock: Clock;
    readonly onChange: (on: boolean | undefined, why: string) => void;
  }) {
    this.#clock = options.clock;
    this.#config = options.config;
    this.#onChange = options.onChange;
    const { chip, offset } = options.config;
    this.#input = options.open({
      chip,
      offset,
      clock: options.clock,
      onLevel: (high) => this.#level(high === (options.config.active === "high"), ""),
      onUnknown: (why) => this.#level(undefined, why),
    });
  }

  get on(): boolean | undefined {
    return this.#on;
  }

  close(): void {
    this.#settling?.cancel();
    this.#input.close();
  }

  #level(on: boolean | undefined, why: string): void {
    if (on === this.#seen) return;
    this.#seen = on;
    this.#settling?.cancel();
    if (on === this.#on) return;
    const settle = () => {
      this.#on = on;
      this.#onChange(on, why);
    };
    if (this.#on === undefined) settle();
    else this.#settling = this.#clock.after(this.#config.debounce_ms, settle);
  }
}
