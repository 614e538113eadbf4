import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock, Timer } from "../../../base/clock.ts";
import { errorText } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";

/** Changes of this long are written together: a call that is over by then is never written. */
const GATHER_MS = 200;

/** What a killed engine leaves of the calls that it forwarded. */
export interface CallFiles {
  /** `make` is asked when it is written; the name has lower-case letters and digits only. */
  changed(name: string, make: () => unknown): void;
  remove(name: string): void;
  load(): readonly unknown[];
  close(): void;
}

/** For engines that keep nothing: tests, and a box without a folder. */
export const NO_FILES: CallFiles = { changed() {}, remove() {}, load: () => [], close() {} };

/** One small file for each call in a folder on a tmpfs, replaced as a whole. What cannot be written is logged. */
export class FolderOfCalls implements CallFiles {
  readonly #dir: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #changed = new Map<string, () => unknown>();
  readonly #written = new Set<string>();
  #timer: Timer | undefined;
  #made = false;

  constructor(dir: string, clock: Clock, log: Log) {
    this.#dir = dir;
    this.#clock = clock;
    this.#log = log;
  }

  changed(leg: string, make: () => unknown): void {
    this.#changed.set(leg, make);
    this.#timer ??= this.#clock.after(GATHER_MS, () => {
      this.#timer = undefined;
      this.#write();
    });
  }

  remove(leg: string): void {
    this.#changed.delete(leg);
    if (this.#written.delete(leg)) this.#try("remove", () => rmSync(this.#file(leg), { force: true }));
  }

  load(): readonly unknown[] {
    let names: string[] = [];
    try {
      names = readdirSync(this.#dir).filter((name) => /^[0-9a-z]+\.json$/.test(name));
    } catch {
      // The first start: there is no folder yet.
    }
    return names.flatMap((name) => {
      this.#written.add(name.slice(0, -".json".length));
      try {
        return [JSON.parse(readFileSync(join(this.#dir, name), "utf8")) as unknown];
      } catch (error) {
        this.#log.error("call files", { what: "read", name, error: errorText(error) });
        return [];
      }
    });
  }

  /** The engine ends and the calls go on: what is known last is written. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#write();
  }

  #write(): void {
    if (!this.#made) this.#try("make", () => mkdirSync(this.#dir, { recursive: true, mode: 0o700 }));
    this.#made = true;
    for (const [leg, make] of this.#changed) {
      this.#try("write", () => {
        const file = this.#file(leg);
        writeFileSync(`${file}.new`, JSON.stringify(make()), { mode: 0o600 });
        renameSync(`${file}.new`, file);
        this.#written.add(leg);
      });
    }
    this.#changed.clear();
  }

  #file(leg: string): string {
    return join(this.#dir, `${leg}.json`);
  }

  #try(what: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#log.error("call files", { what, error: errorText(error) });
    }
  }
}
