import type { FastifyInstance } from "fastify";
import { type Clock, every, type Timer } from "../../base/clock.ts";
import { errorText } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";

const RETRY_MS = 2000;

/**
 * Keeps one listening application per wanted address and port. An address that is not there yet (a LAN that comes up
 * after the box) is tried again every two seconds; one that is no longer wanted is closed.
 */
export class ApiListeners {
  readonly #build: () => Promise<FastifyInstance>;
  readonly #log: Log;
  readonly #open = new Map<string, FastifyInstance>();
  readonly #complained = new Set<string>();
  readonly #retries: Timer;
  #wanted: readonly string[] = [];
  #settling: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(clock: Clock, log: Log, build: () => Promise<FastifyInstance>) {
    this.#build = build;
    this.#log = log;
    this.#retries = every(clock, RETRY_MS, () => void this.#settle());
  }

  /** Resolves once every address has been tried. */
  async want(addresses: readonly { readonly address: string; readonly port: number }[]): Promise<void> {
    this.#wanted = [...new Set(addresses.map(({ address, port }) => `${address} ${port}`))];
    await this.#settle();
  }

  /** `address port` of each that is open. */
  get listening(): readonly string[] {
    return [...this.#open.keys()];
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#retries.cancel();
    await Promise.all([...this.#open.values()].map((app) => app.close()));
    this.#open.clear();
  }

  /** One settling after another, so that two never open the same port. */
  #settle(): Promise<void> {
    this.#settling = this.#settling.then(() => this.#settleOnce());
    return this.#settling;
  }

  async #settleOnce(): Promise<void> {
    if (this.#closed) return;
    for (const [key, app] of this.#open) {
      if (this.#wanted.includes(key)) continue;
      this.#open.delete(key);
      await app.close();
    }
    await Promise.all(this.#wanted.filter((key) => !this.#open.has(key)).map((key) => this.#listen(key)));
  }

  async #listen(key: string): Promise<void> {
    const [host = "", port = ""] = key.split(" ");
    try {
      const app = await this.#build();
      try {
        await app.listen({ host, port: Number(port) });
      } catch (error) {
        await app.close();
        throw error;
      }
      if (this.#closed || !this.#wanted.includes(key)) await app.close();
      else this.#open.set(key, app);
      this.#complained.delete(key);
    } catch (error) {
      if (!this.#complained.has(key))
        this.#log.error("api: cannot listen", { address: host, port, detail: errorText(error) });
      this.#complained.add(key);
    }
  }
}
