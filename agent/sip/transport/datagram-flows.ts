import type { Endpoint, Flow, TransportError } from "./flow.ts";
import { inBrackets } from "./ip-address.ts";
import type { DatagramSocket } from "./sockets.ts";

/** A remote address and port as seen from one UDP socket. */
export class DatagramFlow implements Flow {
  readonly id: string;
  readonly protocol = "udp";
  readonly reliable = false;
  readonly connected = true;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly binding: DatagramBinding;

  constructor(binding: DatagramBinding, address: string, port: number) {
    this.binding = binding;
    this.local = binding.local;
    this.remote = { address, port };
    this.id = `udp:${inBrackets(this.local.address)}:${this.local.port}>${inBrackets(address)}:${port}`;
  }

  get closed(): boolean {
    return this.binding.closed;
  }
}

/** Flows remembered for each socket. Forgetting one is harmless: the same ends give the same id again. */
const REMEMBERED = 4096;

/** One bound UDP socket and the flows by it. */
export class DatagramBinding {
  readonly socket: DatagramSocket;
  readonly local: Endpoint;
  closed = false;
  readonly #flows = new Map<string, DatagramFlow>();

  constructor(socket: DatagramSocket) {
    this.socket = socket;
    this.local = socket.local;
  }

  known(address: string, port: number): DatagramFlow | undefined {
    return this.#flows.get(`${address} ${port}`);
  }

  flow(address: string, port: number): DatagramFlow {
    const key = `${address} ${port}`;
    const known = this.#flows.get(key);
    if (known !== undefined) return known;
    if (this.#flows.size >= REMEMBERED) {
      for (const oldest of this.#flows.keys()) {
        this.#flows.delete(oldest);
        break;
      }
    }
    const flow = new DatagramFlow(this, address, port);
    this.#flows.set(key, flow);
    return flow;
  }
}

/** Where there is no way: closed from the start, and every sending gives the reason. */
export class NoFlow implements Flow {
  readonly id: string;
  readonly protocol: Flow["protocol"];
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly reliable: boolean;
  readonly connected = false;
  readonly closed = true;
  readonly error: TransportError;

  constructor(protocol: Flow["protocol"], local: Endpoint, remote: Endpoint, error: TransportError) {
    this.id = `none:${protocol}:${inBrackets(remote.address)}:${remote.port}`;
    this.protocol = protocol;
    this.local = local;
    this.remote = remote;
    this.reliable = protocol !== "udp";
    this.error = error;
  }
}
