import { type FSWatcher, readFileSync, watch } from "node:fs";
import { basename, dirname } from "node:path";
import { errorText } from "../../base/errors.ts";
import { practiceGpioFile } from "../../base/practice-gpio.ts";
import type { GpioInput, GpioWish } from "./gpio.ts";

/** The simulated input of the practice world: a file, read when it changes. */
export function openPracticeGpio(run_dir: string, wish: GpioWish): GpioInput {
  const file = practiceGpioFile(run_dir, wish.offset);
  const read = () => {
    const level = levelIn(file);
    if (level === undefined) wish.onUnknown(`PRACTICE: ${file} says neither 1 nor 0`);
    else wish.onLevel(level);
  };
  let watcher: FSWatcher | undefined;
  try {
    // The folder, not the file: the file is replaced, and may come later.
    watcher = watch(dirname(file), (_, name) => {
      if (name === basename(file)) read();
    });
    watcher.on("error", (error) => wish.onUnknown(`PRACTICE: ${error.message}`));
  } catch (error) {
    wish.onUnknown(`PRACTICE: ${errorText(error)}`);
  }
  const first = wish.clock.after(0, read);
  return {
    close() {
      first.cancel();
      watcher?.close();
    },
  };
}

function levelIn(file: string): boolean | undefined {
  try {
    const text = readFileSync(file, "latin1").trim();
    return text === "1" ? true : text === "0" ? false : undefined;
  } catch {
    return undefined;
  }
}
