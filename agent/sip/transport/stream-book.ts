import type { Endpoint, Protocol } from "./flow.ts";
import type { StreamFlow } from "./stream-flow.ts";
import type { TransportLimits } from "./transport.ts";

/** The open connections: found by their ends, and counted by who opened them. */
export class StreamBook {
  readonly #limits: TransportLimits;
  readonly #byRemote = new Map<string, StreamFlow[]>();
  readonly #inboundBySource = new Map<string, number>();
  /** Where a peer of proven identity says that it listens, to the connection that it would have used (RFC 5923). */
  readonly #aliases = new Map<string, StreamFlow>();
  #inbound = 0;

  constructor(limits: TransportLimits) {
    this.#limits = limits;
  }

  /** Whether one more connection from this address may come in. */
  admits(source: string): boolean {
    const fromSource = this.#inboundBySource.get(source) ?? 0;
    return fromSource < this.#limits.connections_per_source && this.#inbound < this.#limits.connections;
  }

  add(flow: StreamFlow): void {
    const key = remoteKey(flow.protocol, flow.remote);
    const flows = this.#byRemote.get(key);
    if (flows === undefined) this.#byRemote.set(key, [flow]);
    else flows.push(flow);
    if (flow.inbound) this.#count(flow.remote.address, 1);
  }

  remove(flow: StreamFlow): void {
    const key = remoteKey(flow.protocol, flow.remote);
    const rest = this.#byRemote.get(key)?.filter((other) => other !== flow) ?? [];
    if (rest.length === 0) this.#byRemote.delete(key);
    else this.#byRemote.set(key, rest);
    if (flow.inbound) this.#count(flow.remote.address, -1);
    for (const [alias, other] of this.#aliases) if (other === flow) this.#aliases.delete(alias);
  }

  /**
   * An open connection to this remote end for somebody who asked for these local ends, or for any. Over TLS one under
   * another policy has proven something else.
   */
  find({ protocol, remote, address, port, tls }: WantedStream): StreamFlow | undefined {
    const fits = ({ closed, local, tls: policy }: StreamFlow) =>
      !closed &&
      (address === undefined || local.address === address) &&
      (port === undefined || local.port === port) &&
      (tls === undefined || policy === tls);
    const direct = this.#byRemote.get(remoteKey(protocol, remote))?.find(fits);
    if (direct !== undefined || tls === undefined) return direct;
    const alias = this.#aliases.get(aliasKey(tls, remote));
    return alias !== undefined && fits(alias) ? alias : undefined;
  }

  /** RFC 5923 §5: the peer of this connection takes requests for `listens` on it too. The newest such connection counts. */
  alias(flow: StreamFlow, listens: Endpoint): void {
    if (flow.tls !== undefined && this.#aliases.size < this.#limits.connections) {
      this.#aliases.set(aliasKey(flow.tls, listens), flow);
    }
  }

  all(): StreamFlow[] {
    return [...this.#byRemote.values()].flat();
  }

  #count(source: string, by: 1 | -1): void {
    this.#inbound += by;
    const fromSource = (this.#inboundBySource.get(source) ?? 0) + by;
    if (fromSource <= 0) this.#inboundBySource.delete(source);
    else this.#inboundBySource.set(source, fromSource);
  }
}

export interface WantedStream {
  readonly protocol: Protocol;
  readonly remote: Endpoint;
  readonly address: string | undefined;
  readonly port: number | undefined;
  readonly tls: string | undefined;
}

function aliasKey(tls: string, { address, port }: Endpoint): string {
  return `${tls} ${address} ${port}`;
}

function remoteKey(protocol: Protocol, { address, port }: Endpoint): string {
  return `${protocol} ${address} ${port}`;
}
