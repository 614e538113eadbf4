import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../base/clock.ts";
import type { GpioLineConfig } from "../../base/config/schema.ts";
import { ManualClock } from "../../base/manual-clock.ts";
import { practiceGpioFile, setPracticeGpio } from "../../base/practice-gpio.ts";
import { permitLive } from "../../base/practice-guard.ts";
import type { GpioWish } from "./gpio.ts";
import { chipNamed, edgeLevel, gpiomonPresent, openGpiomon } from "./gpio-gpiomon.ts";
import { GpioLine } from "./gpio-line.ts";
import { chipBase } from "./gpio-onoff.ts";
import { openPracticeGpio } from "./gpio-practice.ts";

permitLive(true);

const folder = () => mkdtempSync(join(tmpdir(), "gpio-"));
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

function collecting(clock = systemClock, wish: Partial<GpioWish> = {}) {
  const told: (boolean | string)[] = [];
  const made: GpioWish = {
    chip: "practice",
    offset: 4,
    clock,
    onLevel: (high) => told.push(high),
    onUnknown: (why) => told.push(why),
    ...wish,
  };
  return { told, wish: made };
}

describe("an input of the practice world", () => {
  test("follows its file, which may come later and be replaced", async () => {
    const run_dir = folder();
    const { told, wish } = collecting();
    const input = openPracticeGpio(run_dir, wish);
    closers.push(() => input.close());
    await vi.waitFor(() => expect(told).toEqual([expect.stringContaining("PRACTICE")]));
    setPracticeGpio(run_dir, 4, true);
    await vi.waitFor(() => expect(told.at(-1)).toBe(true));
    setPracticeGpio(run_dir, 5, false);
    setPracticeGpio(run_dir, 4, false);
    await vi.waitFor(() => expect(told.at(-1)).toBe(false));
    writeFileSync(practiceGpioFile(run_dir, 4), "maybe");
    await vi.waitFor(() => expect(told.at(-1)).toContain("neither"));
  });
});

describe("a configured line", () => {
  let clock: ManualClock;
  let wish: GpioWish;
  let told: (boolean | undefined)[];
  let line: GpioLine;
  const config = (active: "high" | "low"): GpioLineConfig => ({
    id: "mains",
    chip: "x",
    offset: 0,
    meaning: "mains_present",
    active,
    debounce_ms: 2000,
  });
  const open = (active: "high" | "low") => {
    line = new GpioLine({
      config: config(active),
      clock,
      open: (given) => {
        wish = given;
        return { close() {} };
      },
      onChange: (on) => told.push(on),
    });
  };
  beforeEach(() => {
    clock = new ManualClock();
    told = [];
  });

  test("believes the first level at once and a change only when it has stood for the debounce time", () => {
    open("high");
    wish.onLevel(true);
    expect(told).toEqual([true]);
    wish.onLevel(false);
    clock.advance(1999);
    wish.onLevel(true);
    wish.onLevel(false);
    clock.advance(1999);
    expect(told).toEqual([true]);
    clock.advance(1);
    expect(told).toEqual([true, false]);
    expect(line.on).toBe(false);
  });

  test("open collector: low means yes where the site file says so", () => {
    open("low");
    wish.onLevel(false);
    expect(line.on).toBe(true);
  });

  test("is not known when it cannot be read for the debounce time, and known again with the next level", () => {
    open("high");
    wish.onLevel(true);
    wish.onUnknown("the chip has gone");
    wish.onLevel(true);
    clock.advance(5000);
    expect(told).toEqual([true]);
    wish.onUnknown("the chip has gone");
    clock.advance(2000);
    expect(told).toEqual([true, undefined]);
    wish.onLevel(false);
    expect(told).toEqual([true, undefined, false]);
  });

  test("leaves no timer behind", () => {
    open("high");
    wish.onLevel(true);
    wish.onLevel(false);
    line.close();
    expect(clock.pending).toBe(0);
  });
});

describe("libgpiod's tools", () => {
  test("chips are found by label, not by number", () => {
    const detected = "gpiochip0 [pinctrl-bcm2711] (58 lines)\ngpiochip1 [raspberrypi-exp-gpio] (8 lines)\n";
    expect(chipNamed("raspberrypi-exp-gpio", detected)).toBe("gpiochip1");
    expect(chipNamed("pinctrl", detected)).toBeUndefined();
  });

  test("edges of both versions are understood, anything else is not", () => {
    expect(["1", "0", "2", "3", "", "rising"].map(edgeLevel)).toEqual([
      true,
      false,
      false,
      undefined,
      undefined,
      undefined,
    ]);
  });

  /** Stand-ins for the tools; `gpiomon` prints what is appended to a file. */
  function tools(version: "v1.6.3" | "v2.2.1") {
    const bin = folder();
    const script = (name: string, body: string) => {
      writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`);
      chmodSync(join(bin, name), 0o755);
    };
    const edges = join(bin, "edges");
    writeFileSync(edges, "");
    script("gpiodetect", 'echo "gpiochip3 [gpio-test] (8 lines)"');
    script("gpioget", `echo "$@" > ${join(bin, "asked")}; echo 1`);
    script(
      "gpiomon",
      `[ "$1" = --version ] && { echo "gpiomon (libgpiod) ${version}"; exit; }\necho "$@" > ${join(bin, "watched")}; exec tail -n +1 -s 0.05 -f ${edges}`,
    );
    return { bin, edges };
  }

  test.each([
    ["v1.6.3", "1\n", "0\n"],
    ["v2.2.1", "1\n", "2\n"],
  ] as const)("%s: level first, then edges", async (version, rising, falling) => {
    const { bin, edges } = tools(version);
    vi.stubEnv("PATH", `${bin}:${process.env.PATH}`);
    const { told, wish } = collecting(systemClock, { chip: "gpio-test" });
    const input = openGpiomon(wish);
    closers.push(
      () => input.close(),
      () => vi.unstubAllEnvs(),
    );
    await vi.waitFor(() => expect(told).toEqual([true]), { timeout: 5000 });
    writeFileSync(edges, falling, { flag: "a" });
    await vi.waitFor(() => expect(told).toEqual([true, false]), { timeout: 5000 });
    writeFileSync(edges, rising, { flag: "a" });
    await vi.waitFor(() => expect(told).toEqual([true, false, true]), { timeout: 5000 });
  });

  test("a chip that is not there is unknown, with its label", async () => {
    const { bin } = tools("v1.6.3");
    vi.stubEnv("PATH", `${bin}:${process.env.PATH}`);
    expect(gpiomonPresent()).toBe(true);
    const { told, wish } = collecting(systemClock, { chip: "no-such" });
    const input = openGpiomon(wish);
    closers.push(
      () => input.close(),
      () => vi.unstubAllEnvs(),
    );
    await vi.waitFor(() => expect(told).toEqual(["no GPIO chip is labelled no-such"]));
  });

  test("are looked for in PATH", () => {
    expect(gpiomonPresent(`/nowhere:${folder()}`)).toBe(false);
  });
});

describe("sysfs", () => {
  test("the base of a chip comes from its label", () => {
    const sysfs = folder();
    for (const [name, label, base] of [
      ["gpiochip512", "pinctrl-bcm2711", "512"],
      ["gpiochip570", "raspberrypi-exp-gpio", "570"],
    ] as const) {
      mkdirSync(join(sysfs, name));
      writeFileSync(join(sysfs, name, "label"), `${label}\n`);
      writeFileSync(join(sysfs, name, "base"), `${base}\n`);
    }
    mkdirSync(join(sysfs, "gpio17"));
    expect(chipBase("raspberrypi-exp-gpio", sysfs)).toBe(570);
    expect(() => chipBase("absent", sysfs)).toThrow("no GPIO chip is labelled absent");
  });
});
