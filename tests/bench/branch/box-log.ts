/** What the box's processes write into their log, live: verdicts, modes and emergency calls with the box's own time. */
import { readdirSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { Journal } from "../../lab/deadline.ts";

export interface BoxEntry {
  /** Wall-clock milliseconds by the box. */
  readonly at: number;
  readonly msg: string;
  readonly process: string;
  readonly path?: string;
  readonly trunk?: string;
  readonly from?: string;
  readonly to?: string;
  readonly call?: string;
  readonly outcome?: string;
  readonly after_ms?: number;
}

const EVERY_MS = 15;

export class BoxLog {
  readonly entries = new Journal<BoxEntry>();
  readonly #directory: string;
  readonly #files = new Map<string, { readonly handle: FileHandle; at: number; rest: string }>();
  readonly #timer: NodeJS.Timeout;
  #reading = false;

  constructor(directory: string) {
    this.#directory = directory;
    this.#timer = setInterval(() => void this.#read(), EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The last known state of a path or trunk, among the entries from `mark` on. */
  stateOf(kind: "path" | "trunk", id: string, mark: number): string | undefined {
    const since = this.entries.since(mark);
    return since.findLast((entry) => entry.msg === `${kind} verdict` && entry[kind] === id)?.to;
  }

  /** The mode by what was written from `mark` on; a site file taken over begins in normal mode. */
  modeSince(mark: number): string {
    const last = this.entries
      .since(mark)
      .findLast(({ msg }) => msg === "mode changed" || msg === "site file taken over");
    return last?.to ?? "normal";
  }

  /** A path or mode transition, from `mark` on. */
  next(what: string, deadline_ms: number, matches: (entry: BoxEntry) => boolean, mark: number): Promise<BoxEntry> {
    return this.entries.next(what, deadline_ms, matches, mark);
  }

  async #read(): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    try {
      for (const name of readdirSync(this.#directory)) {
        if (/^box-\d+\.log$/.test(name)) await this.#readFile(name);
      }
    } finally {
      this.#reading = false;
    }
  }

  async #readFile(name: string): Promise<void> {
    let file = this.#files.get(name);
    if (file === undefined) {
      file = { handle: await open(join(this.#directory, name)), at: 0, rest: "" };
      this.#files.set(name, file);
    }
    const buffer = Buffer.alloc(65_536);
    for (;;) {
      const { bytesRead } = await file.handle.read(buffer, 0, buffer.length, file.at);
      if (bytesRead === 0) return;
      file.at += bytesRead;
      const lines = (file.rest + buffer.toString("utf8", 0, bytesRead)).split("\n");
      file.rest = lines.pop() ?? "";
      for (const line of lines) this.#take(line);
    }
  }

  #take(line: string): void {
    const json = line.slice(line.indexOf(" ") + 1);
    if (!json.startsWith("{")) return;
    try {
      const { time, ...entry } = JSON.parse(json) as Omit<BoxEntry, "at"> & { time: string };
      this.entries.push({ ...entry, at: Date.parse(time) });
    } catch {
      // A line that a killed process did not finish.
    }
  }
}
