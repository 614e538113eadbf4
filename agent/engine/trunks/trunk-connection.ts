import { type Clock, every, type Timer } from "../../base/clock.ts";
import { errorText } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Flow, TransportError } from "../../sip/transport/flow.ts";
import { ipFamily } from "../../sip/transport/ip-address.ts";
import type { Listener, TransportLayer } from "../../sip/transport/transport.ts";
import type { Path } from "../paths/path.ts";

export interface ConnectionPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly transport: TransportLayer;
  readonly random: () => number;
  readonly path: Path;
  readonly peer: {
    readonly host: string;
    readonly port: number;
    readonly transport: "udp" | "tcp" | "tls";
    readonly local_port: number;
  };
  /** Keep NAT bindings open, because calls are to come in. */
  readonly keep_alive: boolean;
  /** There is a flow, and it is not the one before. */
  connected(): void;
  /** The flow is gone, and what was registered over it. */
  lost(): void;
  failed(source: string, error: TransportError): void;
}

/** Names are asked again so often; what was known before stays known. */
const RESOLVE_MS = 300_000;
const RETRY_MS = 5_000;
/** Reconnecting a standing TCP connection, doubled each time. */
const RECONNECT_MS = [500, 30_000] as const;
/** NAT bindings live at least 30 s in practice for UDP; RFC 5626 §4.4.1 has 95 to 120 s for TCP, CGNATs know less. */
const KEEPALIVE_MS = 25_000;
const KEEPALIVE = new TextEncoder().encode("\r\n\r\n");
const ADDRESSES_KEPT = 16;

/** A trunk's sockets: local ports on the path's address, the peer's addresses, and the flow to it, made anew when lost. */
export class TrunkConnection {
  readonly #ports: ConnectionPorts;
  /** Addresses of the peer, the one in use first; a request from another one is a stranger's. */
  #addresses: readonly string[] = [];
  #listeners: readonly Listener[] = [];
  #boundTo: string | undefined;
  #opening: Promise<void> = Promise.resolve();
  #flow: Flow | undefined;
  #reconnects = 0;
  #reconnect: Timer | undefined;
  #retry: Timer | undefined;
  #pinged_ms: number | undefined;
  readonly #periodic: Timer[] = [];
  #closed = false;

  constructor(ports: ConnectionPorts) {
    this.#ports = ports;
  }

  start(): void {
    const { clock, keep_alive } = this.#ports;
    this.#periodic.push(every(clock, RESOLVE_MS, () => void this.#resolve()));
    if (keep_alive) this.#periodic.push(every(clock, KEEPALIVE_MS, () => this.#keepAlive()));
    this.follow();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of [...this.#periodic, this.#reconnect, this.#retry]) timer?.cancel();
    await this.#opening;
    if (this.#flow?.reliable) this.#ports.transport.close(this.#flow);
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }

  get localAddress(): string | undefined {
    return this.#boundTo;
  }

  /** A TCP connection that was lost is made anew by asking for it: a call does not wait for the timer. */
  get flow(): Flow | undefined {
    if (this.#flow?.closed === true) this.connect();
    return this.#flow;
  }

  /** Whether a message on this flow comes from the peer. */
  owns(flow: Flow): boolean {
    if (this.#flow !== undefined && flow.id === this.#flow.id) return true;
    const local = this.#listeners.some(
      (listener) =>
        listener.protocol === flow.protocol &&
        listener.address === flow.local.address &&
        listener.port === flow.local.port,
    );
    return local && this.#addresses.includes(flow.remote.address);
  }

  /** Binds to the path's address, which may have changed. */
  follow(): void {
    if (this.#ports.path.localAddress === this.#boundTo && this.#listeners.length > 0) return;
    this.#opening = this.#opening
      .then(() => this.#bind())
      .catch((error: unknown) => {
        this.#ports.log.error("trunk sockets", { error });
        this.#retryLater();
      });
  }

  /** Makes a flow to the peer's first address; the one there is, if it is that. */
  connect(): void {
    const [address] = this.#addresses;
    const { transport, peer, log } = this.#ports;
    if (this.#closed || address === undefined || this.#boundTo === undefined) return;
    const before = this.#flow;
    try {
      this.#flow = transport.flowTo({
        protocol: peer.transport,
        address,
        port: peer.port,
        local_address: this.#boundTo,
        // A listening TCP port cannot be connected from as well.
        ...(peer.transport === "udp" ? { local_port: peer.local_port } : {}),
      });
    } catch (error) {
      this.#flow = undefined;
      log.warn("trunk may not be reached", { error });
      return;
    }
    if (this.#flow.id !== before?.id) this.#ports.connected();
  }

  /** The peer answers: the next loss is tried again quickly. */
  alive(): void {
    this.#reconnects = 0;
  }

  /**
   * The peer is down. A connection into a black hole waits ever longer before it tries again, so the next one must be
   * new; and the next address of the name is tried first.
   */
  giveUp(): void {
    const [first, ...others] = this.#addresses;
    if (first !== undefined && others.length > 0) this.#addresses = [...others, first];
    if (this.#flow?.reliable !== true) {
      this.connect();
      return;
    }
    this.#drop();
    this.#reconnectIn(RETRY_MS);
  }

  flowClosed(flow: Flow, error: TransportError | undefined): void {
    if (this.#closed || this.#flow === undefined || flow.id !== this.#flow.id) return;
    this.#ports.lost();
    if (error !== undefined) this.#ports.failed("tcp", error);
    const [first, most] = RECONNECT_MS;
    this.#reconnectIn(Math.min(most, first * 2 ** Math.min(this.#reconnects, 10)));
    this.#reconnects++;
  }

  /** When the keep-alive was sent that the peer has answered on this flow; undefined when it was not on ours. */
  pong(flow: Flow): number | undefined {
    return flow.id === this.#flow?.id ? this.#pinged_ms : undefined;
  }

  async #bind(): Promise<void> {
    const { path, transport, peer, failed } = this.#ports;
    const address = path.localAddress;
    if (this.#closed || (address === this.#boundTo && this.#listeners.length > 0)) return;
    const old = this.#listeners;
    this.#listeners = [];
    this.#boundTo = undefined;
    this.#drop();
    await Promise.all(old.map((listener) => listener.close()));
    if (address === undefined) return;
    const opened: Listener[] = [];
    try {
      for (const protocol of ["udp", "tcp"] as const) {
        opened.push(await transport.listen({ protocol, address, port: peer.local_port }));
      }
    } catch (error) {
      // Half a pair is of no use; the address may still be on its way up.
      await Promise.all(opened.map((listener) => listener.close()));
      failed("listen", { code: "listen", detail: errorText(error) });
      this.#retryLater();
      return;
    }
    this.#listeners = opened;
    this.#boundTo = address;
    await this.#resolve();
  }

  #retryLater(): void {
    this.#retry?.cancel();
    this.#retry = this.#ports.clock.after(RETRY_MS, () => {
      if (this.#closed) return;
      if (this.#listeners.length === 0) this.follow();
      else void this.#resolve();
    });
  }

  async #resolve(): Promise<void> {
    const { path, peer } = this.#ports;
    const family = this.#boundTo === undefined ? undefined : ipFamily(this.#boundTo);
    if (family === undefined) return;
    const found = (await path.resolve(peer.host)).filter((address) => ipFamily(address) === family);
    if (this.#closed) return;
    if (found.length === 0) {
      if (this.#addresses.length === 0) this.#retryLater();
      return;
    }
    const [before] = this.#addresses;
    // The address in use is kept while the name still has it.
    const inUse = before !== undefined && found.includes(before) ? [before] : [];
    this.#addresses = [...new Set([...inUse, ...found, ...this.#addresses])].slice(0, ADDRESSES_KEPT);
    if (this.#flow === undefined || this.#addresses[0] !== before) this.connect();
  }

  #reconnectIn(longest_ms: number): void {
    const { clock, random } = this.#ports;
    this.#reconnect?.cancel();
    this.#reconnect = clock.after(longest_ms * (0.5 + 0.5 * random()), () => {
      if (this.#flow === undefined || this.#flow.closed) this.connect();
    });
  }

  #drop(): void {
    const flow = this.#flow;
    this.#flow = undefined;
    this.#ports.lost();
    if (flow?.reliable === true && !flow.closed) this.#ports.transport.close(flow);
  }

  #keepAlive(): void {
    const { transport, clock, path } = this.#ports;
    const flow = this.#flow;
    if (flow === undefined || !flow.connected || flow.closed || path.health.state === "down") return;
    this.#pinged_ms = clock.now();
    transport.send(flow, KEEPALIVE);
  }
}
