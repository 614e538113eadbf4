import { statfs } from "node:fs/promises";
import { uptime } from "node:os";
import systeminformation from "systeminformation";
import { type Clock, every, type Timer } from "../../base/clock.ts";
import type { HostStatus } from "../../base/status.ts";

/** Adapter: systeminformation. Reads the machine's health every 10 s; a reading that hangs is left behind after 5 s. */
const EVERY_MS = 10_000;
const PATIENCE_MS = 5000;

export class HostHealth {
  readonly #clock: Clock;
  readonly #folder: string;
  readonly #ticks: Timer;
  #reading: Promise<void> | undefined;
  #last: Omit<HostStatus, "uptime_s"> = {
    cpu_percent: undefined,
    cpu_temperature_c: undefined,
    memory_used_percent: undefined,
    disk_used_percent: undefined,
  };

  constructor(clock: Clock, state_dir: string) {
    this.#clock = clock;
    this.#folder = state_dir;
    this.#ticks = every(clock, EVERY_MS, () => void this.read());
    void this.read();
  }

  get status(): HostStatus {
    return { ...this.#last, uptime_s: Math.round(uptime()) };
  }

  /** One reading; what cannot be had is undefined, not what it was. Readings never overlap: the one under way is joined. */
  read(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<void> {
    const [cpu_percent, cpu_temperature_c, memory_used_percent, disk_used_percent] = await Promise.all([
      this.#bounded(systeminformation.currentLoad().then((load) => load.currentLoad)),
      this.#bounded(systeminformation.cpuTemperature().then((temperature) => temperature.main ?? undefined)),
      this.#bounded(systeminformation.mem().then((memory) => (100 * memory.active) / memory.total)),
      this.#bounded(statfs(this.#folder).then((disk) => 100 * (1 - disk.bavail / disk.blocks))),
    ]);
    this.#last = { cpu_percent, cpu_temperature_c, memory_used_percent, disk_used_percent };
  }

  close(): void {
    this.#ticks.cancel();
  }

  #bounded(reading: Promise<number | undefined>): Promise<number | undefined> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(PATIENCE_MS, () => resolve(undefined));
      const settle = (value: number | undefined) => {
        timer.cancel();
        resolve(value === undefined || !Number.isFinite(value) ? undefined : Math.round(value * 10) / 10);
      };
      reading.then(settle, () => settle(undefined));
    });
  }
}
