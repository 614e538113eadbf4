import dns from "node:dns";
import { isIP } from "node:net";

/**
 * Adapter: dns. Addresses of a broker's name, asked over one path only and never by the system's resolver, whose
 * packets would take whichever path is the default. What was learned before is used when the path's DNS is dead.
 */
const ASK = { timeout: 700, tries: 1 } as const;

export class BrokerNames {
  readonly #known = new Map<string, readonly string[]>();

  /** Addresses, newest knowledge first; empty when the name was never resolved and cannot be now. */
  async resolve(
    host: string,
    local_address: string | undefined,
    servers: readonly string[],
  ): Promise<readonly string[]> {
    if (isIP(host) !== 0) return [host];
    if (host === "localhost") return ["127.0.0.1"];
    const resolver = new dns.promises.Resolver(ASK);
    try {
      if (local_address !== undefined) {
        if (isIP(local_address) === 6) resolver.setLocalAddress("0.0.0.0", local_address);
        else resolver.setLocalAddress(local_address);
      }
      if (servers.length > 0) resolver.setServers([...servers]);
      const six = local_address !== undefined && isIP(local_address) === 6;
      const found = six ? await resolver.resolve6(host) : await resolver.resolve4(host);
      if (found.length > 0) this.#known.set(host, found);
    } catch {
      // The cache answers.
    }
    return this.#known.get(host) ?? [];
  }
}
