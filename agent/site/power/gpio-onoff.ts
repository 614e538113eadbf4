import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { every, type Timer } from "../../base/clock.ts";
import { errorText } from "../../base/errors.ts";
import { requireEquipment } from "../../base/practice-guard.ts";
import type { GpioInput, GpioWish } from "./gpio.ts";

/**
 * Adapter: onoff. A GPIO input through the kernel's sysfs interface. The package is optional (it needs a compiler where
 * no build of it fits) and loaded when the first line is opened. A line that cannot be opened is tried again.
 */
const SYSFS = "/sys/class/gpio";
const RETRY_MS = 10_000;
/** An edge may be missed (a driver without interrupts says nothing at all), so the level is also looked at. */
const LOOK_EVERY_MS = 1000;

interface Line {
  readSync(): 0 | 1;
  watch(callback: (error: Error | null | undefined, value: 0 | 1) => void): void;
  unwatchAll(): void;
  unexport(): void;
}

export function openOnoff(wish: GpioWish, sysfs = SYSFS): GpioInput {
  let line: Line | undefined;
  let looks: Timer | undefined;
  let retry: Timer | undefined;
  let closed = false;

  const drop = () => {
    looks?.cancel();
    try {
      line?.unwatchAll();
      line?.unexport();
    } catch {
      // The chip has gone; there is nothing left to give back.
    }
    line = undefined;
  };
  const failed = (error: unknown) => {
    drop();
    if (closed) return;
    wish.onUnknown(errorText(error));
    retry = wish.clock.after(RETRY_MS, () => void open());
  };
  const open = async () => {
    try {
      requireEquipment(`gpio:${wish.chip}`);
      const number = chipBase(wish.chip, sysfs) + wish.offset;
      const { Gpio } = await import("onoff");
      if (closed) return;
      const made: Line = new Gpio(number, "in", "both");
      line = made;
      made.watch((error, value) => (error ? failed(error) : wish.onLevel(value === 1)));
      const look = () => {
        try {
          wish.onLevel(made.readSync() === 1);
        } catch (error) {
          failed(error);
        }
      };
      looks = every(wish.clock, LOOK_EVERY_MS, look);
      look();
    } catch (error) {
      failed(error);
    }
  };
  void open();
  return {
    close() {
      closed = true;
      retry?.cancel();
      drop();
    },
  };
}

/** First line number of the chip with that label. It differs between kernels and boards, so it is never assumed. */
export function chipBase(label: string, sysfs = SYSFS): number {
  for (const name of readdirSync(sysfs)) {
    if (!name.startsWith("gpiochip")) continue;
    if (readFileSync(join(sysfs, name, "label"), "latin1").trim() !== label) continue;
    const base = Number(readFileSync(join(sysfs, name, "base"), "latin1").trim());
    if (Number.isInteger(base) && base >= 0) return base;
  }
  throw new Error(`no GPIO chip is labelled ${label}`);
}
