import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { errorText } from "../errors.ts";
import { type HoldfastEvent, isEventLike } from "../events.ts";

const LIMIT = 20_000;
const COMPACT_AFTER_ACKS = 500;

/**
 * Records that the other side has not yet put on disk, kept on tmpfs so that they outlive this process. One JSON line
 * per record, `-id` per acknowledgement; rewritten when the acknowledged part grows. Never blocks on a real disk and
 * never throws: what a full tmpfs does not take is kept in memory and written once there is room.
 */
export class RecordJournal {
  readonly #file: string;
  readonly #onFault: (detail: string | undefined) => void;
  readonly #pending = new Map<string, HoldfastEvent>();
  /** Of those, the ones that are not in the file, oldest first. */
  readonly #unwritten = new Set<string>();
  #handle: number | undefined;
  /** Bytes of whole lines in the file. */
  #size = 0;
  #acks = 0;
  #fault: string | undefined;
  /** Records given up because more than 20,000 were waiting; emergency records are the last to go. */
  dropped = 0;

  /** `onFault`: a text when the file cannot be written, undefined once it can again; on change only. */
  constructor(file: string, onFault: (detail: string | undefined) => void = () => {}) {
    this.#file = file;
    this.#onFault = onFault;
    for (const line of readLines(file)) {
      if (line.startsWith("-")) this.#pending.delete(line.slice(1));
      else {
        const event = parse(line);
        if (event !== undefined) this.#pending.set(event.id, event);
      }
    }
    this.#try(() => this.#compact());
  }

  /** Answers the id of the record that was given up for this one, if one was. */
  append(event: HoldfastEvent): string | undefined {
    const victim = this.#pending.size >= LIMIT ? this.#makeRoom() : undefined;
    this.#pending.set(event.id, event);
    this.#unwritten.add(event.id);
    this.#try(() => this.#writeWaiting());
    return victim;
  }

  acknowledge(ids: readonly string[]): void {
    const known = ids.filter((id) => this.#pending.delete(id));
    const written = known.filter((id) => !this.#unwritten.delete(id));
    this.#acks += written.length;
    this.#try(() => {
      if (this.#pending.size === 0 && this.#handle !== undefined) this.#truncate(0);
      // Rewriting costs as much as there is waiting, so it happens as often as that much has gone.
      else if (this.#acks >= Math.max(COMPACT_AFTER_ACKS, this.#pending.size)) this.#compact();
      // An acknowledgement that is lost costs a repetition, which its reader knows by its id.
      else if (written.length > 0) this.#write(written.map((id) => `-${id}\n`).join(""));
      this.#writeWaiting();
    });
  }

  get(id: string): HoldfastEvent | undefined {
    return this.#pending.get(id);
  }

  get size(): number {
    return this.#pending.size;
  }

  pending(): readonly HoldfastEvent[] {
    return [...this.#pending.values()];
  }

  close(): void {
    if (this.#handle !== undefined) closeSync(this.#handle);
    this.#handle = undefined;
  }

  #writeWaiting(): void {
    for (const id of this.#unwritten) {
      this.#write(`${JSON.stringify(this.#pending.get(id))}\n`);
      this.#unwritten.delete(id);
    }
  }

  /** Whole lines or nothing: a file system that is nearly full takes a part and says so only by the count. */
  #write(lines: string): void {
    this.#handle ??= this.#open();
    const bytes = Buffer.from(lines);
    const taken = writeSync(this.#handle, bytes);
    if (taken < bytes.length) {
      ftruncateSync(this.#handle, this.#size);
      throw new Error("no space left for a whole record");
    }
    this.#size += taken;
  }

  #truncate(size: number): void {
    if (this.#handle !== undefined) ftruncateSync(this.#handle, size);
    this.#size = size;
    this.#acks = 0;
  }

  #open(): number {
    const handle = openSync(this.#file, "a", 0o600);
    this.#size = fstatSync(handle).size;
    return handle;
  }

  #compact(): void {
    const beside = `${this.#file}.new`;
    try {
      writeFileSync(beside, [...this.#pending.values()].map((event) => `${JSON.stringify(event)}\n`).join(""), {
        mode: 0o600,
      });
      renameSync(beside, this.#file);
    } catch (error) {
      rmSync(beside, { force: true });
      throw error;
    }
    this.#unwritten.clear();
    this.#acks = 0;
    this.close();
    this.#handle = this.#open();
  }

  #try(work: () => void): void {
    let fault: string | undefined;
    try {
      work();
    } catch (error) {
      fault = errorText(error);
    }
    if ((fault === undefined) === (this.#fault === undefined)) return;
    this.#fault = fault;
    this.#onFault(fault);
  }

  #makeRoom(): string | undefined {
    let victim = this.#pending.keys().next().value;
    for (const event of this.#pending.values()) {
      if (event.type.startsWith("emergency.")) continue;
      victim = event.id;
      break;
    }
    if (victim === undefined) return undefined;
    this.dropped++;
    this.acknowledge([victim]);
    return victim;
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
    const event: unknown = JSON.parse(line);
    return isEventLike(event) ? event : undefined;
  } catch {
    // The last line of a killed process may be half written; what was whole is kept.
    return undefined;
  }
}
