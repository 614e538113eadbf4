import { closeSync, ftruncateSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import type { HoldfastEvent } from "../events.ts";

const LIMIT = 20_000;
const COMPACT_AFTER_ACKS = 500;

/**
 * Records that the other side has not yet put on disk, kept on tmpfs so that they outlive this process. One JSON line
 * per record, `-id` per acknowledgement; rewritten when the acknowledged part grows. Never blocks on a real disk.
 */
export class RecordJournal {
  readonly #file: string;
  readonly #pending = new Map<string, HoldfastEvent>();
  #handle: number;
  #acks = 0;
  /** Records given up because more than 20,000 were waiting; emergency records are the last to go. */
  dropped = 0;

  constructor(file: string) {
    this.#file = file;
    for (const line of readLines(file)) {
      if (line.startsWith("-")) this.#pending.delete(line.slice(1));
      else {
        const event = parse(line);
        if (event !== undefined) this.#pending.set(event.id, event);
      }
    }
    this.#handle = this.#compact();
  }

  append(event: HoldfastEvent): void {
    if (this.#pending.size >= LIMIT) this.#makeRoom();
    this.#pending.set(event.id, event);
    writeSync(this.#handle, `${JSON.stringify(event)}\n`);
  }

  acknowledge(ids: readonly string[]): void {
    for (const id of ids) {
      if (!this.#pending.delete(id)) continue;
      this.#acks++;
      writeSync(this.#handle, `-${id}\n`);
    }
    if (this.#pending.size === 0 && this.#acks > 0) {
      ftruncateSync(this.#handle, 0);
      this.#acks = 0;
    } else if (this.#acks >= COMPACT_AFTER_ACKS) {
      closeSync(this.#handle);
      this.#handle = this.#compact();
    }
  }

  pending(): readonly HoldfastEvent[] {
    return [...this.#pending.values()];
  }

  close(): void {
    closeSync(this.#handle);
  }

  #compact(): number {
    const beside = `${this.#file}.new`;
    writeFileSync(beside, [...this.#pending.values()].map((event) => `${JSON.stringify(event)}\n`).join(""), {
      mode: 0o600,
    });
    renameSync(beside, this.#file);
    this.#acks = 0;
    return openSync(this.#file, "a");
  }

  #makeRoom(): void {
    const victim =
      [...this.#pending.values()].find((event) => !event.type.startsWith("emergency.")) ??
      this.#pending.values().next().value;
    if (victim === undefined) return;
    this.dropped++;
    this.acknowledge([victim.id]);
  }
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "");
  } catch {
    return [];
  }
}

function parse(line: string): HoldfastEvent | undefined {
  try {
    const event = JSON.parse(line) as HoldfastEvent;
    return typeof event.id === "string" ? event : undefined;
  } catch {
    // The last line of a killed process may be half written; what was whole is kept.
    return undefined;
  }
}
