import type { Clock } from "../../base/clock.ts";
import type { Endpoint, TransportError } from "./flow.ts";
import { MemoryNat } from "./memory-nat.ts";
import { SipTransport, type SipTransportOptions } from "./sip-transport.ts";
import type {
  DatagramAdapter,
  DatagramEvents,
  StreamAdapter,
  StreamEvents,
  StreamSocket,
  StreamTarget,
} from "./sockets.ts";

/** How packets fare from one address to another. */
export interface PathConditions {
  /** One-way delay in milliseconds. */
  readonly delay_ms: number;
  /** A random part of 0 … this many milliseconds on top, for each datagram: they may overtake one another. */
  readonly jitter_ms: number;
  /** Probability 0 … 1 that a datagram is lost. */
  readonly loss: number;
  /** Probability 0 … 1 that a datagram comes twice. */
  readonly duplicate: number;
  /** `black-hole` swallows everything in silence; an error code is what the kernel gives to every sending. */
  readonly cut: "none" | "black-hole" | { readonly error: string };
}

const GOOD: PathConditions = { delay_ms: 0, jitter_ms: 0, loss: 0, duplicate: 0, cut: "none" };

/** What a TCP sender waits before it tries a black hole again. */
const TCP_RETRY_MS = 200;

/**
 * A network in memory for tests and simulations: addresses, UDP with loss, delay, duplicates and reordering, TCP with
 * refusal, resets and black holes. It moves by its clock alone, and the same seed gives the same run.
 */
export class MemoryNetwork {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #sockets = new Map<string, DatagramEvents>();
  readonly #servers = new Map<string, Parameters<StreamAdapter["listen"]>[1]>();
  readonly #conditions = new Map<string, PathConditions>();
  readonly #connections = new Set<MemoryConnection>();
  /** By the inside address. */
  readonly #nats = new Map<string, MemoryNat>();
  #nextPort = 49_152;

  constructor(options: { readonly clock: Clock; readonly seed?: number }) {
    this.#clock = options.clock;
    this.#random = randomFrom(options.seed ?? 1);
  }

  /** A transport layer on this network. It may bind any address that nobody else has bound at that port. */
  transport(options: Pick<SipTransportOptions, "allow" | "limits" | "onHandlerError"> = {}): SipTransport {
    return new SipTransport({
      ...options,
      clock: this.#clock,
      datagrams: this.datagrams,
      streams: this.#streams,
      defer: (run) => void this.#clock.after(0, run),
    });
  }

  /**
   * Sets the conditions from one address to another, in this direction only; "*" stands for any address. The most
   * particular rule counts: both ends, then the sender, then the receiver, then any. What is left out is good.
   */
  setPath(from: string, to: string, conditions: Partial<PathConditions>): void {
    this.#conditions.set(`${from} ${to}`, { ...GOOD, ...conditions });
  }

  /** Sets both directions. */
  setPaths(one: string, other: string, conditions: Partial<PathConditions>): void {
    this.setPath(one, other, conditions);
    this.setPath(other, one, conditions);
  }

  /** Puts an address behind a NAT, for UDP. */
  masquerade(inside: string, outside: string, forgets_ms: number): MemoryNat {
    const nat = new MemoryNat(this.#clock, outside, forgets_ms);
    this.#nats.set(inside, nat);
    return nat;
  }

  /** Resets the TCP connections between two addresses; "*" stands for any. */
  resetConnections(one: string, other: string): void {
    const is = (pattern: string, address: string) => pattern === "*" || pattern === address;
    for (const connection of [...this.#connections]) {
      const [a, b] = connection.addresses;
      if ((is(one, a) && is(other, b)) || (is(one, b) && is(other, a))) connection.reset();
    }
  }

  /** Lets a datagram arrive as from there, whoever sent it. */
  inject(bytes: Uint8Array, from: Endpoint, to: Endpoint): void {
    this.#clock.after(0, () => this.#sockets.get(endKey(to))?.datagram(bytes, from.address, from.port));
  }

  #path(from: string, to: string): PathConditions {
    for (const key of [`${from} ${to}`, `${from} *`, `* ${to}`, "* *"]) {
      const conditions = this.#conditions.get(key);
      if (conditions !== undefined) return conditions;
    }
    return GOOD;
  }

  #port(asked: number): number {
    return asked === 0 ? this.#nextPort++ : asked;
  }

  /** Plain sockets, for a peer that is no SIP transport. */
  readonly datagrams: DatagramAdapter = {
    bind: async (asked, events) => {
      const local = { address: asked.address, port: this.#port(asked.port) };
      const key = endKey(local);
      if (this.#sockets.has(key)) throw failure("EADDRINUSE", key);
      this.#sockets.set(key, events);
      return {
        local,
        send: (bytes, address, port, onError) => this.#sendDatagram(bytes, local, { address, port }, onError),
        close: async () => void this.#sockets.delete(key),
      };
    },
  };

  #sendDatagram(bytes: Uint8Array, from: Endpoint, to: Endpoint, onError: (error: TransportError) => void): void {
    const path = this.#path(from.address, to.address);
    if (path.cut === "black-hole") return;
    if (path.cut !== "none") {
      const { error: code } = path.cut;
      this.#clock.after(0, () => onError({ code, detail: `send ${code} ${endKey(to)}` }));
      return;
    }
    const copies = this.#random() < path.duplicate ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (this.#random() < path.loss) continue;
      const content = Uint8Array.from(bytes);
      const source = this.#nats.get(from.address)?.out(from) ?? from;
      this.#clock.after(path.delay_ms + this.#random() * path.jitter_ms, () => {
        const nat = [...this.#nats.values()].find(({ outside }) => outside === to.address);
        const target = nat === undefined ? to : nat.in(to.port);
        if (target !== undefined) this.#sockets.get(endKey(target))?.datagram(content, source.address, source.port);
      });
    }
  }

  readonly #streams: StreamAdapter = {
    listen: async (asked, accept) => {
      const local = { address: asked.address, port: this.#port(asked.port) };
      const key = endKey(local);
      if (this.#servers.has(key)) throw failure("EADDRINUSE", key);
      this.#servers.set(key, accept);
      return { local, close: async () => void this.#servers.delete(key) };
    },
    connect: (to, events) => this.#connect(to, events),
  };

  #connect({ remote, local_address, local_port }: StreamTarget, events: StreamEvents): StreamSocket {
    const address = local_address ?? (remote.address.includes(":") ? "::1" : "127.0.0.1");
    const local = { address, port: this.#port(local_port ?? 0) };
    const connection = new MemoryConnection({
      clock: this.#clock,
      client: local,
      server: remote,
      path: (from, to) => this.#path(from, to),
      ended: () => void this.#connections.delete(connection),
    });
    this.#connections.add(connection);
    return connection.open(events, () => this.#servers.get(endKey(remote)));
  }
}

interface Side {
  readonly end: Endpoint;
  events: StreamEvents | undefined;
  closed: boolean;
}

/** One TCP connection: bytes arrive in order or not at all. */
class MemoryConnection {
  readonly #clock: Clock;
  readonly #client: Side;
  readonly #server: Side;
  readonly #path: (from: string, to: string) => PathConditions;
  readonly #ended: () => void;
  #established = false;
  /** What each side has sent and the network not yet delivered, in order. */
  readonly #queues = new Map<Side, (() => void)[]>();

  constructor(options: {
    readonly clock: Clock;
    readonly client: Endpoint;
    readonly server: Endpoint;
    readonly path: (from: string, to: string) => PathConditions;
    readonly ended: () => void;
  }) {
    this.#clock = options.clock;
    this.#client = { end: options.client, events: undefined, closed: false };
    this.#server = { end: options.server, events: undefined, closed: false };
    this.#path = options.path;
    this.#ended = options.ended;
  }

  get addresses(): readonly [string, string] {
    return [this.#client.end.address, this.#server.end.address];
  }

  open(
    events: StreamEvents,
    findServer: () =>
      | ((accepted: Parameters<Parameters<StreamAdapter["listen"]>[1]>[0]) => StreamEvents | undefined)
      | undefined,
  ): StreamSocket {
    const client = this.#client;
    client.events = events;
    this.#carry(client, () => {
      const accept = findServer();
      const accepted = accept?.({
        local: this.#server.end,
        remote: client.end,
        socket: this.#socket(this.#server),
      });
      this.#server.events = accepted;
      this.#carry(this.#server, () => {
        if (accepted === undefined) {
          this.#close(client, {
            code: accept === undefined ? "ECONNREFUSED" : "ECONNRESET",
            detail: endKey(this.#server.end),
          });
          return;
        }
        this.#established = true;
        if (!client.closed) events.connected(client.end);
        this.#pump(client);
      });
    });
    return this.#socket(client);
  }

  reset(): void {
    const error = { code: "ECONNRESET", detail: "connection reset" };
    this.#close(this.#client, error);
    this.#close(this.#server, error);
  }

  #other(side: Side): Side {
    return side === this.#client ? this.#server : this.#client;
  }

  #socket(side: Side): StreamSocket {
    let finished = false;
    const finish = () => {
      if (finished) return;
      finished = true;
      side.closed = true;
      side.events?.gone();
      this.#send(side, () => this.#close(this.#other(side), undefined));
      if (this.#other(side).closed) this.#ended();
    };
    return {
      buffered: 0,
      write: (bytes) => {
        const content = Uint8Array.from(bytes);
        this.#send(side, () => {
          const other = this.#other(side);
          if (!other.closed) other.events?.data(content);
        });
      },
      end: finish,
      destroy: finish,
    };
  }

  #send(from: Side, deliver: () => void): void {
    const queue = this.#queues.get(from) ?? [];
    this.#queues.set(from, queue);
    queue.push(deliver);
    if (queue.length === 1 && (this.#established || from === this.#server)) this.#pump(from);
  }

  /** Delivers the first piece in the queue, then the next one. */
  #pump(from: Side): void {
    const queue = this.#queues.get(from);
    if (queue === undefined || queue.length === 0) return;
    this.#carry(from, () => {
      // All that was written meanwhile travels in the same flight.
      for (let deliver = queue.shift(); deliver !== undefined; deliver = queue.shift()) deliver();
    });
  }

  /** Runs `arrive` after the path's delay; through a black hole only once it has opened. */
  #carry(from: Side, arrive: () => void): void {
    const to = this.#other(from);
    const path = this.#path(from.end.address, to.end.address);
    if (typeof path.cut === "object") {
      const error = { code: path.cut.error, detail: `connect ${path.cut.error} ${endKey(to.end)}` };
      this.#clock.after(0, () => this.#close(from, error));
    } else if (path.cut === "black-hole") {
      if (!from.closed) this.#clock.after(TCP_RETRY_MS, () => this.#carry(from, arrive));
    } else this.#clock.after(path.delay_ms, arrive);
  }

  #close(side: Side, error: TransportError | undefined): void {
    if (side.closed) return;
    side.closed = true;
    side.events?.closed(error);
    side.events?.gone();
    if (this.#other(side).closed) this.#ended();
  }
}

function endKey({ address, port }: Endpoint): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function failure(code: string, detail: string): Error {
  return Object.assign(new Error(`${code} ${detail}`), { code });
}

/** Mulberry32: small, quick and good enough to shuffle packets. Numbers 0 ≤ n < 1. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
