/** Adapter: dns. Names resolved on one path only, by its own servers, with what was learned kept for when DNS is dead. */
import { Resolver } from "node:dns/promises";
import { isIP } from "node:net";
import type { Clock } from "../../base/clock.ts";

interface Known {
  readonly addresses: readonly string[];
  readonly until_ms: number;
}

const QUERY_TIMEOUT_MS = 1_500;
const CACHE_NAMES = 256;
const MIN_TTL_S = 30;
const MAX_TTL_S = 3_600;

export class PathResolver {
  readonly #clock: Clock;
  readonly #servers: readonly string[];
  readonly #known = new Map<string, Known>();
  readonly #running = new Map<string, Promise<readonly string[]>>();

  /** `servers`: addresses, or `address:port` for IPv4. None: those of the system. */
  constructor(clock: Clock, servers: readonly string[]) {
    this.#clock = clock;
    this.#servers = servers;
  }

  /**
   * Addresses of `host`, IPv4 first. A fresh answer from the cache; else asked over `localAddress`; else what was known
   * before, however old. Empty when nothing is known. Never rejects.
   */
  async resolve(host: string, localAddress: string | undefined): Promise<readonly string[]> {
    if (isIP(host) !== 0) return [host];
    const name = host.toLowerCase();
    if (name === "localhost") return ["127.0.0.1"];
    const known = this.#known.get(name);
    if (known !== undefined && known.until_ms > this.#clock.now()) return known.addresses;
    const running = this.#running.get(name);
    if (running !== undefined) return running;
    const asked = this.#ask(name, localAddress).then((found) => {
      this.#running.delete(name);
      if (found === undefined) return known?.addresses ?? [];
      this.#remember(name, found);
      return found.addresses;
    });
    this.#running.set(name, asked);
    return asked;
  }

  /** What is known already, however old. */
  cached(host: string): readonly string[] {
    return isIP(host) !== 0 ? [host] : (this.#known.get(host.toLowerCase())?.addresses ?? []);
  }

  /** Asks again at the next use, as after an address change. Answers are kept as a last resort. */
  expire(): void {
    for (const [name, known] of this.#known) this.#known.set(name, { ...known, until_ms: 0 });
  }

  #remember(name: string, known: Known): void {
    this.#known.delete(name);
    this.#known.set(name, known);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= CACHE_NAMES) break;
      this.#known.delete(oldest);
    }
  }

  async #ask(name: string, localAddress: string | undefined): Promise<Known | undefined> {
    const resolver = new Resolver({ timeout: QUERY_TIMEOUT_MS, tries: 2 });
    try {
      if (this.#servers.length > 0) resolver.setServers(this.#servers.map(bracketed));
      if (localAddress !== undefined) {
        if (localAddress.includes(":")) resolver.setLocalAddress("0.0.0.0", localAddress);
        else resolver.setLocalAddress(localAddress);
      }
    } catch {
      return undefined;
    }
    const [four, six] = await Promise.allSettled([
      resolver.resolve4(name, { ttl: true }),
      resolver.resolve6(name, { ttl: true }),
    ]);
    const records = [four, six].flatMap((result) => (result.status === "fulfilled" ? result.value : []));
    if (records.length === 0) return undefined;
    const ttl_s = Math.min(...records.map((record) => record.ttl));
    return {
      addresses: records.map((record) => record.address).slice(0, 16),
      until_ms: this.#clock.now() + Math.min(Math.max(ttl_s, MIN_TTL_S), MAX_TTL_S) * 1000,
    };
  }
}

function bracketed(server: string): string {
  return isIP(server) === 6 ? `[${server}]` : server;
}
