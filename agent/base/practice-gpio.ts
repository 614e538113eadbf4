import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * A simulated GPIO input is a file of the run folder that the practice world writes and the box reads: `1` is high,
 * `0` is low, anything else or no file is a line that cannot be read. In a practice site file its chip is `practice`.
 */
export const PRACTICE_CHIP = "practice";

export function practiceGpioFile(run_dir: string, offset: number): string {
  return join(run_dir, `practice-gpio-${offset}`);
}

/** For the practice world: sets the level, atomically. */
export function setPracticeGpio(run_dir: string, offset: number, high: boolean): void {
  const file = practiceGpioFile(run_dir, offset);
  writeFileSync(`${file}.new`, high ? "1\n" : "0\n");
  renameSync(`${file}.new`, file);
}
