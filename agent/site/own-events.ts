import { errorText } from "../base/errors.ts";
import type { HoldfastEvent } from "../base/events.ts";
import { RecordJournal } from "../base/link/journal.ts";
import type { Log } from "../base/log.ts";
import type { Store } from "./store/store.ts";

/** This process's own events: journalled on tmpfs like every other process's until the store has them on disk. */
export class OwnEvents {
  readonly #store: Store;
  readonly #log: Log;
  readonly #journal: RecordJournal;

  constructor(journal_file: string, store: Store, log: Log) {
    this.#store = store;
    this.#log = log;
    this.#journal = new RecordJournal(journal_file);
    for (const event of this.#journal.pending()) this.#keep(event);
  }

  record(event: HoldfastEvent): void {
    this.#careful(() => this.#journal.append(event));
    this.#keep(event);
  }

  close(): void {
    this.#careful(() => this.#journal.close());
  }

  #keep(event: HoldfastEvent): void {
    this.#store.add(event, () => this.#careful(() => this.#journal.acknowledge([event.id])));
  }

  /** A full tmpfs costs durability of this one event, not the process. */
  #careful(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#log.error("own journal cannot be written", { detail: errorText(error) });
    }
  }
}
