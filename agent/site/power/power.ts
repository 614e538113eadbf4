import type { AlarmBoard } from "../../base/alarms.ts";
import type { OpenStream } from "../../base/byte-stream.ts";
import type { Clock } from "../../base/clock.ts";
import type { GpioLineConfig, SiteConfig } from "../../base/config/schema.ts";
import type { EventFactory, HoldfastEvent } from "../../base/events.ts";
import type { Log } from "../../base/log.ts";
import { openSerial } from "../../base/serial.ts";
import type { PowerStatus } from "../../base/status.ts";
import { gpioOf, type OpenGpio } from "./gpio.ts";
import { GpioLine } from "./gpio-line.ts";
import { powerSource } from "./power-source.ts";
import { UpsReader } from "./ups-reader.ts";

const BAUD = 2400;

export type PowerConfig = Pick<SiteConfig, "ups" | "gpio_lines">;
type UpsConfig = PowerConfig["ups"][number];

export interface PowerOptions {
  readonly config: PowerConfig;
  readonly practice: boolean;
  /** Where the practice world keeps its simulated GPIO inputs. */
  readonly run_dir: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly event: EventFactory;
  readonly record: (event: HoldfastEvent) => void;
  readonly alarms: AlarmBoard;
  /** Something in {@link Power.status} may have changed. */
  readonly onChange?: () => void;
  /** Hardware, for tests: real serial ports and GPIO lines where left out. */
  readonly openUps?: (config: UpsConfig) => ReturnType<OpenStream>;
  readonly openGpio?: OpenGpio;
}

export interface Power {
  status(): PowerStatus;
  /** Applies a changed site file while running; what did not change is left alone. */
  configIs(config: PowerConfig): void;
  stop(): void;
}

interface Kept<C, D> {
  readonly config: C;
  readonly device: D;
  readonly json: string;
}

/** Watches UPSs and GPIO inputs and says what the box runs on. Never throws; a device that fails is `unknown`. */
export function createPower(options: PowerOptions): Power {
  const { clock, log, alarms, event, record } = options;
  const openUps =
    options.openUps ??
    (({ port }: UpsConfig) => openSerial({ path: port, baud: BAUD, clock, lines: { dtr: true, rts: false } }));
  const openGpio = options.openGpio ?? gpioOf(options);
  const upses = new Map<string, Kept<UpsConfig, UpsReader>>();
  const lines = new Map<string, Kept<GpioLineConfig, GpioLine>>();
  let source: PowerStatus["source"] = "unknown";
  let since_wall = clock.wall();

  const upsStatus = (): PowerStatus["ups"] =>
    [...upses].map(([id, { device }]) => {
      const { verdict, since_wall, reading, charge_percent } = device.view;
      return {
        id,
        state: verdict,
        since_wall,
        input_v: reading?.input_v,
        load_percent: reading?.load_percent,
        battery_v: reading?.battery_v,
        charge_percent,
        temperature_c: reading?.temperature_c,
      };
    });
  const gpioStatus = (): PowerStatus["gpio"] =>
    [...lines].map(([id, { config, device }]) => ({ id, meaning: config.meaning, on: device.on }));

  /** `force` reports although the source is the same: a battery that has become low is news. */
  const judge = (detail: string, force = false) => {
    const ups = upsStatus();
    const now = powerSource(ups, gpioStatus());
    options.onChange?.();
    if (now === source && !force) return;
    if (now !== source) since_wall = clock.wall();
    source = now;
    const charges = ups.map(({ charge_percent }) => charge_percent).filter((value) => value !== undefined);
    const charge_percent = charges.length === 0 ? undefined : Math.min(...charges);
    record(event("power.changed", "", { source, charge_percent, detail }));
  };

  const startUps = (config: UpsConfig): UpsReader => {
    const { id, poll_ms } = config;
    return new UpsReader({
      open: () => openUps(config),
      poll_ms,
      clock,
      log: log.child({ ups: id }),
      onVerdict(from, to) {
        log.info("UPS verdict", { ups: id, from, to });
        const onBattery = to === "on_battery" || to === "low_battery";
        alarms.set("power.on_battery", id, onBattery, `UPS ${id} runs on its battery.`);
        alarms.set("power.low_battery", id, to === "low_battery", `The battery of UPS ${id} is nearly empty.`);
        judge(`UPS ${id}: ${WORDS[to]}`, to === "low_battery");
      },
      onSilent: (silent, why) => alarms.set("power.ups_silent", id, silent, `UPS ${id}: ${why}.`),
      onReading: () => options.onChange?.(),
    });
  };
  const startLine = (config: GpioLineConfig): GpioLine => {
    const { id, meaning } = config;
    return new GpioLine({
      config,
      clock,
      open: openGpio,
      onChange(on, why) {
        if (on === undefined) log.warn("GPIO line cannot be read", { line: id, why });
        else record(event("gpio.changed", id, { line: id, meaning, on }));
        if (meaning === "mains_present") {
          alarms.set("power.on_battery", id, on === false, `Input ${id} says that the mains are gone.`);
        } else if (meaning === "battery_low") {
          alarms.set("power.low_battery", id, on === true, `Input ${id} says that the battery is nearly empty.`);
        }
        judge(`Input ${id}: ${on === undefined ? "unknown" : on ? "yes" : "no"}`);
      },
    });
  };

  const configIs = (config: PowerConfig) => {
    const gone = [
      ...sync(upses, config.ups, startUps, (device) => device.stop()),
      ...sync(lines, config.gpio_lines, startLine, (device) => device.close()),
    ];
    for (const id of gone) {
      for (const code of ["power.on_battery", "power.low_battery", "power.ups_silent"] as const) alarms.clear(code, id);
    }
    judge("The site file was changed");
  };
  configIs(options.config);

  return {
    status: () => ({ source, since_wall, ups: upsStatus(), gpio: gpioStatus() }),
    configIs,
    stop() {
      for (const { device } of upses.values()) device.stop();
      for (const { device } of lines.values()) device.close();
      upses.clear();
      lines.clear();
    },
  };
}

const WORDS = {
  online: "on mains",
  on_battery: "on battery",
  low_battery: "battery nearly empty",
  unknown: "not known",
} as const;

/** Makes `kept` what `wanted` says; returns the ids of devices that were ended. */
function sync<C extends { readonly id: string }, D>(
  kept: Map<string, Kept<C, D>>,
  wanted: readonly C[],
  start: (config: C) => D,
  end: (device: D) => void,
): string[] {
  const ended: string[] = [];
  const json = new Map(wanted.map((config) => [config.id, JSON.stringify(config)]));
  for (const [id, { device, json: was }] of kept) {
    if (json.get(id) === was) continue;
    end(device);
    kept.delete(id);
    ended.push(id);
  }
  for (const config of wanted) {
    if (!kept.has(config.id)) kept.set(config.id, { config, device: start(config), json: json.get(config.id) ?? "" });
  }
  return ended;
}
