import type { Clock, Timer } from "../../base/clock.ts";
import type { Endpoint, Flow, Protocol, TransportError } from "./flow.ts";
import { type BrokenReason, StreamFramer } from "./framing.ts";
import type { StreamEvents, StreamSocket } from "./sockets.ts";
import type { PeerIdentity } from "./tls-policy.ts";
import type { TransportLimits } from "./transport.ts";

/** What a connection tells its owner. */
export interface StreamOwner {
  message(bytes: Uint8Array, flow: StreamFlow): void;
  oversize(head: Uint8Array, flow: StreamFlow): void;
  broken(reason: BrokenReason, head: Uint8Array | undefined, flow: StreamFlow): void;
  slow(flow: StreamFlow): void;
  pong(flow: StreamFlow): void;
  closed(flow: StreamFlow, error: TransportError | undefined): void;
  /** Its socket is no more. */
  gone(flow: StreamFlow): void;
}

/** Time for a peer to take the last of what was written and to end its half, once we have ended ours. */
const LINGER_MS = 2_000;
const CRLF = Buffer.from("\r\n");

/** One TCP or TLS connection: framing, keep-alive, time limits. */
export class StreamFlow implements Flow {
  readonly id: string;
  readonly protocol: Protocol;
  readonly reliable = true;
  readonly remote: Endpoint;
  /** True when the peer opened it. */
  readonly inbound: boolean;
  readonly tls: string | undefined;
  readonly sent_by_port: number | undefined;
  #peer: PeerIdentity | undefined;
  #local: Endpoint;
  #connected: boolean;
  #closed = false;
  #reason: TransportError | undefined;
  #socket: StreamSocket | undefined;
  #deadline: Timer | undefined;
  #phase: StreamFramer["phase"] = "idle";
  #crlfs = 0;
  #heard_ms: number | undefined;
  #linger: Timer | undefined;
  readonly #framer = new StreamFramer();
  readonly #clock: Clock;
  readonly #limits: TransportLimits;
  readonly #owner: StreamOwner;

  constructor(options: {
    readonly id: string;
    readonly protocol: Protocol;
    readonly local: Endpoint;
    readonly remote: Endpoint;
    readonly inbound: boolean;
    readonly tls: string | undefined;
    readonly sent_by_port: number | undefined;
    readonly peer: PeerIdentity | undefined;
    readonly clock: Clock;
    readonly limits: TransportLimits;
    readonly owner: StreamOwner;
  }) {
    this.id = options.id;
    this.protocol = options.protocol;
    this.#local = options.local;
    this.remote = options.remote;
    this.inbound = options.inbound;
    this.tls = options.tls;
    this.sent_by_port = options.sent_by_port;
    this.#peer = options.peer;
    this.#connected = options.inbound;
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#owner = options.owner;
  }

  get local(): Endpoint {
    return this.#local;
  }

  get peer(): PeerIdentity | undefined {
    return this.#peer;
  }

  get connected(): boolean {
    return this.#connected && !this.#closed;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** When the peer last said something; undefined while no whole message has ever come. */
  get heard_ms(): number | undefined {
    return this.#heard_ms;
  }

  /** Gives the flow its socket, connected or connecting. */
  attach(socket: StreamSocket): void {
    this.#socket = socket;
    if (this.#connected || this.#closed) return;
    const { connect_ms } = this.#limits;
    this.#deadline = this.#clock.after(connect_ms, () =>
      this.abort({ code: "ETIMEDOUT", detail: `no connection within ${connect_ms} ms` }),
    );
  }

  /** The socket's events, to be given to the adapter. */
  readonly events: StreamEvents = {
    connected: (local, peer) => {
      if (this.#closed) return;
      this.#deadline?.cancel();
      this.#deadline = undefined;
      this.#local = local;
      this.#peer = peer;
      this.#connected = true;
    },
    data: (bytes) => this.#data(bytes),
    closed: (error) => {
      this.#end(error);
      this.#lingers();
    },
    gone: () => {
      this.#socket = undefined;
      this.#linger?.cancel();
      this.#linger = undefined;
      this.#owner.gone(this);
    },
  };

  /** Why it cannot be written now, a closed connection's own reason included; undefined when the bytes were taken. */
  write(bytes: Uint8Array): TransportError | undefined {
    if (this.#closed || this.#socket === undefined) {
      return this.#reason ?? { code: "ECLOSED", detail: `${this.id} is closed` };
    }
    if (this.#socket.buffered + bytes.length > this.#limits.unsent_bytes) {
      return { code: "ENOBUFS", detail: `${this.id}: the peer does not read` };
    }
    this.#socket.write(bytes);
    return undefined;
  }

  /** Ends the connection after what was written; `error` says why when it is not in order. */
  end(error?: TransportError): void {
    this.#end(error);
    this.#lingers();
    this.#socket?.end();
  }

  /** Ends the connection now. */
  abort(error: TransportError | undefined): void {
    const socket = this.#socket;
    this.#end(error);
    socket?.destroy();
  }

  /** A peer that never ends its half, or does not read, must not keep the socket for ever. */
  #lingers(): void {
    const socket = this.#socket;
    if (socket === undefined || this.#linger !== undefined) return;
    this.#linger = this.#clock.after(LINGER_MS, () => socket.destroy());
  }

  #end(error: TransportError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reason = error;
    this.#deadline?.cancel();
    this.#deadline = undefined;
    this.#owner.closed(this, error);
  }

  #data(bytes: Uint8Array): void {
    if (this.#closed) return;
    let messages = 0;
    for (const frame of this.#framer.push(bytes)) {
      if (this.#closed) return;
      if (frame.type === "crlf") {
        if (this.#heard_ms !== undefined) this.#heard_ms = this.#clock.now();
        this.#keepAlive();
        continue;
      }
      this.#crlfs = 0;
      messages++;
      if (frame.type === "message") {
        this.#heard_ms = this.#clock.now();
        this.#owner.message(frame.bytes, this);
      } else if (frame.type === "oversize") this.#owner.oversize(frame.head, this);
      else this.#owner.broken(frame.reason, frame.head, this);
    }
    this.#watch(messages > 0);
  }

  // RFC 5626 §4.4.1: who opened the connection pings with two CRLF; the other side answers with one.
  #keepAlive(): void {
    if (!this.inbound) {
      this.#owner.pong(this);
      return;
    }
    this.#crlfs++;
    if (this.#crlfs < 2) return;
    this.#crlfs = 0;
    this.write(CRLF);
  }

  /** A message that has begun must be complete in time, so that nobody holds a connection by trickling. */
  #watch(progressed: boolean): void {
    if (this.#closed) return;
    const phase = this.#framer.phase;
    if (phase === this.#phase && !progressed) return;
    this.#phase = phase;
    this.#deadline?.cancel();
    this.#deadline =
      phase === "idle"
        ? undefined
        : this.#clock.after(this.#limits.message_ms, () => {
            this.#owner.slow(this);
            this.abort({ code: "ETIMEDOUT", detail: `${this.id}: a message did not come to its end` });
          });
  }
}
