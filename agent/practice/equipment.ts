import type { Clock } from "../base/clock.ts";
import { errorText } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { setPracticeGpio } from "../base/practice-gpio.ts";
import { PracticeModem } from "./modem.ts";
import { openPty, type Pty } from "./pty.ts";
import { MAINS_GPIO } from "./site-file.ts";
import { PracticeUps } from "./ups.ts";

/** The simulated things with wires: modem and UPS on pseudo-terminals, one GPIO input. */
export interface Equipment {
  /** Paths of the pseudo-terminals; undefined where this machine gave none. */
  readonly modem: string | undefined;
  readonly ups: string | undefined;
  close(): void;
}

export async function startEquipment(clock: Clock, log: Log, run_dir: string): Promise<Equipment> {
  setPracticeGpio(run_dir, MAINS_GPIO, true);
  const open = (what: string): Promise<Pty | undefined> =>
    openPty(clock).catch((error: unknown) => {
      log.warn("left out: no pseudo-terminal for it", { what, detail: errorText(error) });
      return undefined;
    });
  const [modemPty, upsPty] = await Promise.all([open("modem"), open("UPS")]);
  const modem = new PracticeModem(clock);
  const ups = new PracticeUps(clock);
  if (modemPty !== undefined) modem.plug(modemPty.device);
  if (upsPty !== undefined) ups.plug(upsPty.device);
  return {
    modem: modemPty?.path,
    ups: upsPty?.path,
    close() {
      modem.unplug();
      ups.unplug();
    },
  };
}
