import type { Endpoint, Protocol } from "./flow.ts";
import type { StreamFlow } from "./stream-flow.ts";
import type { TransportLimits } from "./transport.ts";

/** The open connections: found by their ends, and counted by who opened them. */
export class StreamBook {
  readonly #limits: TransportLimits;
  readonly #byRemote = new Map<string, StreamFlow[]>();
  /** Those that came in, oldest first, until their sockets are gone: a connection that has ended may still hold one. */
  readonly #inbound = new Set<StreamFlow>();
  readonly #inboundBySource = new Map<string, number>();
  /** Where a peer of proven identity says that it listens, to the connection that it would have used (RFC 5923). */
  readonly #aliases = new Map<string, StreamFlow>();

  constructor(limits: TransportLimits) {
    this.#limits = limits;
  }

  /**
   * Which connection must go before one more from this address may come in; undefined when there is room. The newest is
   * never the one, for it may be a 911 call's: first goes what has ended already, then who has never said anything, then
   * who was heard of longest ago; of the same source, where that has its share.
   */
  crowding(source: string): StreamFlow | undefined {
    const { connections, connections_per_source } = this.#limits;
    const share = (this.#inboundBySource.get(source) ?? 0) >= connections_per_source;
    if (!share && this.#inbound.size < connections) return undefined;
    let least: StreamFlow | undefined;
    for (const flow of this.#inbound) {
      if (share && flow.remote.address !== source) continue;
      if (least === undefined || standing(flow) < standing(least)) least = flow;
    }
    return least;
  }

  add(flow: StreamFlow): void {
    const key = remoteKey(flow.protocol, flow.remote);
    const flows = this.#byRemote.get(key);
    if (flows === undefined) this.#byRemote.set(key, [flow]);
    else flows.push(flow);
    if (!flow.inbound) return;
    this.#inbound.add(flow);
    this.#count(flow.remote.address, 1);
  }

  remove(flow: StreamFlow): void {
    const key = remoteKey(flow.protocol, flow.remote);
    const rest = this.#byRemote.get(key)?.filter((other) => other !== flow) ?? [];
    if (rest.length === 0) this.#byRemote.delete(key);
    else this.#byRemote.set(key, rest);
    for (const [alias, other] of this.#aliases) if (other === flow) this.#aliases.delete(alias);
  }

  /** Its socket is no more: there is room for another. */
  gone(flow: StreamFlow): void {
    if (this.#inbound.delete(flow)) this.#count(flow.remote.address, -1);
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

function standing({ closed, heard_ms = -1 }: StreamFlow): number {
  return closed ? -2 : heard_ms;
}

function aliasKey(tls: string, { address, port }: Endpoint): string {
  return `${tls} ${address} ${port}`;
}

function remoteKey(protocol: Protocol, { address, port }: Endpoint): string {
  return `${protocol} ${address} ${port}`;
}
