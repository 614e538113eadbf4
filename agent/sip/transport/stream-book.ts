import type { Endpoint, Protocol } from "./flow.ts";
import type { StreamFlow } from "./stream-flow.ts";
import type { TransportLimits } from "./transport.ts";

/** The open connections: found by their ends, and counted by who opened them. */
export class StreamBook {
  readonly #limits: TransportLimits;
  readonly #byRemote = new Map<string, StreamFlow[]>();
  readonly #inboundBySource = new Map<string, number>();
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
  }

  /** An open connection to this remote end for somebody who asked for these local ends, or for any. */
  find(protocol: Protocol, remote: Endpoint, address?: string, port?: number): StreamFlow | undefined {
    return this.#byRemote
      .get(remoteKey(protocol, remote))
      ?.find(
        ({ closed, local }) =>
          !closed &&
          (address === undefined || local.address === address) &&
          (port === undefined || local.port === port),
      );
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

function remoteKey(protocol: Protocol, { address, port }: Endpoint): string {
  return `${protocol} ${address} ${port}`;
}
