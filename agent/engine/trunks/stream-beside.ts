import type { Clock, Timer } from "../../base/clock.ts";
import type { Destination, Flow } from "../../sip/transport/flow.ts";
import type { TransportLayer } from "../../sip/transport/transport.ts";

/** A peer that took no connection may learn to; one that lost it is asked again soon. */
const REFUSED_MS = 600_000;
const LOST_MS = 5_000;

/**
 * A TCP connection that stands beside a trunk's UDP flow, for requests that are too large for a datagram (RFC 3261
 * §18.1.1): a 911 call with its location is one. Because it stands, such a call waits for no handshake; because it is only
 * used while it stands, a carrier that has no TCP gets the call over UDP in the same moment.
 */
export class StreamBeside {
  readonly #ports: { readonly clock: Clock; readonly transport: TransportLayer };
  #destination: Destination | undefined;
  #flow: Flow | undefined;
  #again: Timer | undefined;
  #stood = false;

  constructor(ports: { readonly clock: Clock; readonly transport: TransportLayer }) {
    this.#ports = ports;
  }

  /** Undefined unless it can be sent on at once. */
  get flow(): Flow | undefined {
    return this.#flow?.connected === true ? this.#flow : undefined;
  }

  owns(flow: Flow): boolean {
    return this.#flow !== undefined && this.#flow.id === flow.id;
  }

  /** The peer answers over UDP at this place: a connection is made where there is none, and none has been refused lately. */
  stand(destination: Destination): void {
    const before = this.#destination;
    if (before?.address !== destination.address || before.port !== destination.port) this.fall();
    this.#destination = destination;
    if (this.#flow === undefined && this.#again === undefined) this.#connect();
    // Once it stood, its end is a loss and no refusal.
    else if (this.flow !== undefined) this.#stood = true;
  }

  /** The connection is not needed any more. */
  fall(): void {
    this.#again?.cancel();
    this.#again = undefined;
    this.#destination = undefined;
    const flow = this.#flow;
    this.#flow = undefined;
    if (flow !== undefined && !flow.closed) this.#ports.transport.close(flow);
  }

  flowClosed(flow: Flow): void {
    if (!this.owns(flow)) return;
    this.#flow = undefined;
    this.#again = this.#ports.clock.after(this.#stood ? LOST_MS : REFUSED_MS, () => {
      this.#again = undefined;
      this.#connect();
    });
    this.#stood = false;
  }

  #connect(): void {
    const { transport } = this.#ports;
    if (this.#destination === undefined) return;
    try {
      const flow = transport.flowTo({ ...this.#destination, protocol: "tcp" });
      if (flow.closed) return;
      this.#flow = flow;
      transport.keepAlive(flow, {});
    } catch {
      // The guard of practice said no.
    }
  }
}
