import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";

const BLOCK = 1000;

/**
 * Keeps event numbers rising even when the database is lost: a small file beside it says up to which number events may
 * have been given out. It is written once per thousand numbers. After a loss numbering goes on behind it, so the NOC
 * sees a gap, which is the truth, and never an old number twice.
 */
export class SequenceReserve {
  readonly #file: string;
  #reserved: number;

  constructor(file: string) {
    this.#file = file;
    this.#reserved = read(file);
  }

  /** The first number that was certainly never given out. */
  get next(): number {
    return this.#reserved + 1;
  }

  /** To be called before numbers up to `seq` are given out. Throws when the disk cannot be written. */
  cover(seq: number): void {
    if (seq <= this.#reserved) return;
    const reserved = Math.ceil(seq / BLOCK) * BLOCK;
    const beside = `${this.#file}.new`;
    const handle = openSync(beside, "w", 0o600);
    try {
      writeFileSync(handle, `${reserved}\n`);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(beside, this.#file);
    this.#reserved = reserved;
  }
}

function read(file: string): number {
  try {
    const value = Number(readFileSync(file, "utf8"));
    return Number.isSafeInteger(value) && value > 0 ? value : 0;
  } catch {
    return 0;
  }
}
