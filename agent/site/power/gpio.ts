import type { Clock } from "../../base/clock.ts";
import { PRACTICE_CHIP } from "../../base/practice-gpio.ts";
import { gpiomonPresent, openGpiomon } from "./gpio-gpiomon.ts";
import { openOnoff } from "./gpio-onoff.ts";
import { openPracticeGpio } from "./gpio-practice.ts";

/** A GPIO input as the box sees it, whatever is underneath. Levels are raw: polarity and debounce are not its concern. */
export interface GpioInput {
  close(): void;
}

export interface GpioWish {
  /** Label of the chip (`pinctrl-bcm2711`): its number changes from kernel to kernel. */
  readonly chip: string;
  readonly offset: number;
  readonly clock: Clock;
  /** Called with the level found and with every change, perhaps repeatedly with the same. */
  readonly onLevel: (high: boolean) => void;
  /** The level is not known any more; the adapter goes on trying. */
  readonly onUnknown: (why: string) => void;
}

export type OpenGpio = (wish: GpioWish) => GpioInput;

/**
 * Chooses what is there: the practice world's file for the chip `practice` (in practice only), the kernel's character
 * device through libgpiod's tools where they are installed, else sysfs through onoff.
 */
export function gpioOf(options: { readonly practice: boolean; readonly run_dir: string }): OpenGpio {
  return (wish) => {
    if (options.practice && wish.chip === PRACTICE_CHIP) return openPracticeGpio(options.run_dir, wish);
    return gpiomonPresent() ? openGpiomon(wish) : openOnoff(wish);
  };
}
