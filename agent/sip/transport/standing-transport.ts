import type { SipMessage, SipResponse } from "../messages/message.ts";
import type { ParseError } from "../messages/parse.ts";
import { printMessage } from "../messages/print.ts";
import type { Destination, Endpoint, Flow, TransportError } from "./flow.ts";
import type { KeepAliveHandlers, KeptFlow } from "./keep-alives.ts";
import type { ListenAt, Listener, Tap, TransportLayer } from "./transport.ts";

/** A message that came while nobody was there for it. */
interface Waiting {
  readonly message: SipMessage;
  readonly flow: Flow;
  readonly bytes: Uint8Array;
}

interface Standing {
  readonly listener: Listener;
  user: Lent | undefined;
}

const WAITING_MAX = 2000;

/** A transport as one of its successive users sees it: `shutdown` ends the use, not the sockets. */
export interface LentTransport extends TransportLayer {
  /** Puts a message aside for the next user, or until `deliver`: over a connection nobody sends it again. */
  hold(message: SipMessage, flow: Flow): void;
  /** What was put aside comes as if it came now. */
  deliver(): void;
}

/**
 * A transport that outlives those who use it, one after the other: the next one takes over the sockets that it listens on
 * too, so that connections of peers stand, and what they send meanwhile waits.
 */
export class StandingTransport {
  readonly #transport: TransportLayer;
  readonly #standing = new Map<string, Standing>();
  /** Connections that peers have made and used. */
  readonly #connections = new Map<string, Flow>();
  #waiting: Waiting[] = [];
  #user: Lent | undefined;

  constructor(transport: TransportLayer) {
    this.#transport = transport;
    transport.onMessage((message, flow, bytes) => {
      if (flow.reliable) this.#connections.set(flow.id, flow);
      if (this.#user === undefined) this.#wait({ message, flow, bytes });
      else this.#user.messages.call(message, flow, bytes);
    });
    transport.onMalformed((error, flow) => this.#user?.malformed.call(error, flow));
    transport.onPong((flow) => this.#user?.pongs.call(flow));
    transport.tap((direction, bytes, flow) => this.#user?.taps.call(direction, bytes, flow));
    transport.onFlowClosed((flow, error) => {
      this.#connections.delete(flow.id);
      this.#user?.closed.call(flow, error);
    });
  }

  /** For the next user; the one before must have shut down. */
  lend(): LentTransport {
    const lent = new Lent(this.#transport, {
      listen: (at) => this.#listen(lent, at),
      hold: (message, flow) => this.#wait({ message, flow, bytes: printMessage(message) }),
      deliver: () => this.#deliver(),
      ended: () => this.#ended(lent),
    });
    this.#user = lent;
    return lent;
  }

  /** Closes the listeners that the present user has not taken over, and the connections that came in by them. */
  async dropUnused(): Promise<void> {
    for (const [key, { listener, user }] of this.#standing) {
      if (user !== undefined) continue;
      this.#standing.delete(key);
      for (const flow of this.#connections.values()) {
        if (flow.local.address === listener.address && flow.local.port === listener.port) this.#transport.close(flow);
      }
      await listener.close();
    }
  }

  /** Closes all sockets and connections. */
  shutdown(): Promise<void> {
    return this.#transport.shutdown();
  }

  async #listen(user: Lent, at: ListenAt): Promise<Listener> {
    const key = `${at.protocol} ${at.address} ${at.port} ${at.tls ?? ""}`;
    const found = this.#standing.get(key);
    const standing =
      found !== undefined && found.user === undefined ? found : { listener: await this.#transport.listen(at), user };
    standing.user = user;
    this.#standing.set(key, standing);
    const { protocol, address, port } = standing.listener;
    return {
      protocol,
      address,
      port,
      close: async () => {
        if (this.#standing.get(key) === standing) this.#standing.delete(key);
        await standing.listener.close();
      },
    };
  }

  #ended(user: Lent): void {
    for (const standing of this.#standing.values()) if (standing.user === user) standing.user = undefined;
    if (this.#user === user) this.#user = undefined;
  }

  #wait(waiting: Waiting): void {
    // A response is to a request of one who is gone.
    if (waiting.message.kind === "request" && this.#waiting.length < WAITING_MAX) this.#waiting.push(waiting);
  }

  #deliver(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { message, flow, bytes } of waiting) {
      if (!flow.closed) this.#user?.messages.call(message, flow, bytes);
    }
  }
}

/** Handlers of one kind. */
class Handlers<Args extends readonly unknown[]> {
  readonly all: ((...args: Args) => void)[] = [];

  call(...args: Args): void {
    for (const handler of this.all) handler(...args);
  }
}

interface LentPorts {
  listen(at: ListenAt): Promise<Listener>;
  hold(message: SipMessage, flow: Flow): void;
  deliver(): void;
  ended(): void;
}

class Lent implements LentTransport {
  readonly messages = new Handlers<[SipMessage, Flow, Uint8Array]>();
  readonly malformed = new Handlers<[ParseError, Flow]>();
  readonly closed = new Handlers<[Flow, TransportError | undefined]>();
  readonly pongs = new Handlers<[Flow]>();
  readonly taps = new Handlers<Parameters<Tap>>();
  readonly #transport: TransportLayer;
  readonly #ports: LentPorts;
  readonly #kept = new Set<KeptFlow>();
  #over = false;

  constructor(transport: TransportLayer, ports: LentPorts) {
    this.#transport = transport;
    this.#ports = ports;
  }

  listen(at: ListenAt): Promise<Listener> {
    return this.#ports.listen(at);
  }

  flowTo(destination: Destination): Flow {
    return this.#transport.flowTo(destination);
  }

  send(flow: Flow, message: SipMessage | Uint8Array, onError?: (error: TransportError) => void): void {
    if (!this.#over) this.#transport.send(flow, message, onError);
    else queueMicrotask(() => onError?.({ code: "ECLOSED", detail: `${flow.id}: this use of the transport is over` }));
  }

  keepAlive(flow: Flow, handlers: KeepAliveHandlers): KeptFlow {
    const kept = this.#transport.keepAlive(flow, handlers);
    this.#kept.add(kept);
    return {
      stop: () => {
        this.#kept.delete(kept);
        kept.stop();
      },
    };
  }

  flowForResponse(response: SipResponse, flow: Flow): Flow {
    return this.#transport.flowForResponse(response, flow);
  }

  sentBy(flow: Flow): Endpoint {
    return this.#transport.sentBy(flow);
  }

  close(flow: Flow): void {
    this.#transport.close(flow);
  }

  onMessage(handler: (message: SipMessage, flow: Flow, bytes: Uint8Array) => void): void {
    // What waited is for the whole user, who is being put together right now.
    if (this.messages.all.length === 0) queueMicrotask(() => this.#ports.deliver());
    this.messages.all.push(handler);
  }

  onMalformed(handler: (error: ParseError, flow: Flow) => void): void {
    this.malformed.all.push(handler);
  }

  onFlowClosed(handler: (flow: Flow, error: TransportError | undefined) => void): void {
    this.closed.all.push(handler);
  }

  onPong(handler: (flow: Flow) => void): void {
    this.pongs.all.push(handler);
  }

  tap(tap: Tap): void {
    this.taps.all.push(tap);
  }

  get counters() {
    return this.#transport.counters;
  }

  hold(message: SipMessage, flow: Flow): void {
    this.#ports.hold(message, flow);
  }

  deliver(): void {
    this.#ports.deliver();
  }

  async shutdown(): Promise<void> {
    this.#over = true;
    for (const kept of this.#kept) kept.stop();
    this.#kept.clear();
    this.#ports.ended();
  }
}
