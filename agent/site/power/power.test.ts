import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { AlarmBoard } from "../../base/alarms.ts";
import { memoryCable } from "../../base/byte-stream.ts";
import { systemClock } from "../../base/clock.ts";
import { createEventFactory, type HoldfastEvent } from "../../base/events.ts";
import { silentLog } from "../../base/log.ts";
import { ManualClock } from "../../base/manual-clock.ts";
import { setPracticeGpio } from "../../base/practice-gpio.ts";
import { installPracticeGuard } from "../../base/practice-guard.ts";
import { openPty } from "../../practice/pty.ts";
import { PracticeUps } from "../../practice/ups.ts";
import type { GpioWish } from "./gpio.ts";
import { openGpiomon } from "./gpio-gpiomon.ts";
import { openOnoff } from "./gpio-onoff.ts";
import { createPower, type Power, type PowerConfig, type PowerOptions } from "./power.ts";

installPracticeGuard({ lan: false });

const UPS = { id: "ups-1", protocol: "megatec", port: "/dev/ttyUSB5", poll_ms: 2000 } as const;
const MAINS = {
  id: "mains",
  chip: "practice",
  offset: 4,
  meaning: "mains_present",
  active: "high",
  debounce_ms: 1000,
} as const;

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

function parts(clock = systemClock as PowerOptions["clock"]) {
  const events: HoldfastEvent[] = [];
  const alarms = new AlarmBoard(
    () => clock.wall(),
    () => {},
  );
  const options = {
    practice: true,
    run_dir: mkdtempSync(join(tmpdir(), "power-")),
    clock,
    log: silentLog,
    event: createEventFactory(
      clock,
      () => ({ org: "acme", site: "denver", box: "box-1", boot_id: "b", practice: true }),
      () => "synchronised",
    ),
    record: (event: HoldfastEvent) => events.push(event),
    alarms,
  };
  return { events, options, codes: () => alarms.active().map(({ code, subject }) => `${code} ${subject}`) };
}

describe("power, with a UPS on a cable in memory", () => {
  let clock: ManualClock;
  let ups: PracticeUps;
  let power: Power;
  let present: boolean;
  let opened: number;
  let wish: GpioWish | undefined;
  let it: ReturnType<typeof parts>;
  const start = (config: Partial<PowerConfig>) => {
    power = createPower({
      ...it.options,
      config: { ups: [UPS], gpio_lines: [], ...config },
      openUps: async () => {
        if (!present) throw new Error("no such device");
        opened++;
        const [ours, theirs] = memoryCable(clock);
        ups.plug(theirs);
        return ours;
      },
      openGpio: (given) => {
        wish = given;
        return { close() {} };
      },
    });
    ends.push(() => power.stop());
  };
  const run = async (ms: number) => {
    for (let done = 0; done < ms; done += 100) {
      await turn();
      clock.advance(100);
    }
    await turn();
  };
  beforeEach(() => {
    clock = new ManualClock();
    ups = new PracticeUps(clock);
    it = parts(clock);
    present = true;
    opened = 0;
  });

  test("mains, battery, low battery and back, each an event, each alarm raised and cleared", async () => {
    start({});
    await run(1000);
    expect(power.status()).toMatchObject({
      source: "mains",
      ups: [{ id: "ups-1", state: "online", input_v: 121.3, battery_v: 27.3, charge_percent: undefined }],
    });
    ups.mains(false);
    await run(5000);
    expect(power.status()).toMatchObject({ source: "battery", ups: [{ state: "on_battery", charge_percent: 100 }] });
    expect(it.codes()).toEqual(["power.on_battery ups-1"]);
    await run(30 * 60_000);
    expect(it.codes()).toEqual(["power.on_battery ups-1", "power.low_battery ups-1"]);
    ups.mains(true);
    await run(5000);
    expect(it.codes()).toEqual([]);
    expect(it.events.map(({ type, data }) => [type, data])).toEqual([
      ["power.changed", { source: "mains", charge_percent: undefined, detail: "UPS ups-1: on mains" }],
      ["power.changed", { source: "battery", charge_percent: 100, detail: "UPS ups-1: on battery" }],
      ["power.changed", { source: "battery", charge_percent: 14, detail: "UPS ups-1: battery nearly empty" }],
      ["power.changed", { source: "mains", charge_percent: undefined, detail: "UPS ups-1: on mains" }],
    ]);
  });

  test.each(["silent", "garbage"] as const)("a UPS that is %s is unknown after 15 s, never on battery", async (how) => {
    start({});
    await run(1000);
    ups.mains(false);
    ups.behave(how);
    await run(14_000);
    expect(power.status().source).toBe("mains");
    await run(2000);
    expect(power.status()).toMatchObject({ source: "unknown", ups: [{ state: "unknown", battery_v: undefined }] });
    expect(it.codes()).toEqual(["power.ups_silent ups-1"]);
    const before = opened;
    await run(30_000);
    expect(opened).toBeGreaterThan(before);
    ups.mains(true);
    ups.behave("normal");
    await run(15_000);
    expect(power.status().source).toBe("mains");
    expect(it.codes()).toEqual([]);
  });

  test("a UPS whose port is not there is an alarm that says why, and is found when it comes", async () => {
    present = false;
    start({});
    await run(16_000);
    expect(it.options.alarms.active()).toMatchObject([
      { code: "power.ups_silent", detail: "UPS ups-1: no such device." },
    ]);
    present = true;
    await run(12_000);
    expect(power.status().source).toBe("mains");
    expect(it.codes()).toEqual([]);
  });

  test("an input that says no mains outweighs a UPS on another circuit", async () => {
    start({ gpio_lines: [MAINS] });
    await run(1000);
    wish?.onLevel(true);
    wish?.onLevel(false);
    await run(2000);
    expect(power.status()).toMatchObject({
      source: "battery",
      gpio: [{ id: "mains", meaning: "mains_present", on: false }],
    });
    expect(it.codes()).toEqual(["power.on_battery mains"]);
    expect(it.events.filter(({ type }) => type === "gpio.changed").map(({ data }) => data)).toEqual([
      { line: "mains", meaning: "mains_present", on: true },
      { line: "mains", meaning: "mains_present", on: false },
    ]);
  });

  test("a UPS taken out of the site file takes its alarms with it; what stays is left alone", async () => {
    start({ gpio_lines: [MAINS] });
    await run(1000);
    ups.behave("silent");
    await run(20_000);
    const before = wish;
    power.configIs({ ups: [], gpio_lines: [MAINS] });
    await run(1000);
    expect(it.codes()).toEqual([]);
    expect(power.status()).toMatchObject({ source: "unknown", ups: [] });
    expect(wish).toBe(before);
  });

  test("stops without a timer left", async () => {
    start({});
    await run(3000);
    power.stop();
    ups.unplug();
    await run(3000);
    expect(clock.pending).toBe(0);
  });
});

describe("power, with the practice UPS on a pseudo-terminal", () => {
  test("reads it through the serial port, and an input from the practice world", async () => {
    const { path, device } = await openPty(systemClock);
    const ups = new PracticeUps(systemClock);
    ups.plug(device);
    const it = parts();
    setPracticeGpio(it.options.run_dir, 4, true);
    const power = createPower({
      ...it.options,
      config: { ups: [{ ...UPS, port: path, poll_ms: 500 }], gpio_lines: [{ ...MAINS, debounce_ms: 50 }] },
    });
    ends.push(
      () => power.stop(),
      () => ups.unplug(),
    );
    await vi.waitFor(
      () => expect(power.status()).toMatchObject({ source: "mains", ups: [{ state: "online" }], gpio: [{ on: true }] }),
      { timeout: 5000 },
    );
    ups.mains(false);
    setPracticeGpio(it.options.run_dir, 4, false);
    await vi.waitFor(
      () =>
        expect(power.status()).toMatchObject({
          source: "battery",
          ups: [{ state: "on_battery" }],
          gpio: [{ on: false }],
        }),
      { timeout: 5000 },
    );
    expect(it.events.every(({ practice }) => practice)).toBe(true);
  });

  test.each([
    ["gpiomon", openGpiomon],
    ["onoff", openOnoff],
  ] as const)("no real GPIO line is opened in practice (%s)", (_, open) => {
    const told: string[] = [];
    const input = open({
      chip: "pinctrl-bcm2711",
      offset: 4,
      clock: new ManualClock(),
      onLevel: () => told.push("a level"),
      onUnknown: (why) => told.push(why),
    });
    input.close();
    expect(told).toEqual([expect.stringContaining("practice.forbidden")]);
  });
});
