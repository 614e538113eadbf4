import type { Clock } from "../../base/clock.ts";
import { HoldfastError } from "../../base/errors.ts";
import { buildResponse } from "../messages/build.ts";
import type { SipMessage, SipRequest, SipResponse } from "../messages/message.ts";
import { hasParam } from "../messages/params.ts";
import { type ParseError, parseMessage } from "../messages/parse.ts";
import { printMessage } from "../messages/print.ts";
import { topVia } from "../messages/via.ts";
import { DatagramBinding, DatagramFlow, NoFlow } from "./datagram-flows.ts";
import type { Destination, Endpoint, Flow, Protocol, TransportError } from "./flow.ts";
import type { BrokenReason } from "./framing.ts";
import { canonicalAddress, ipFamily, isLoopback, isWildcard } from "./ip-address.ts";
import { type KeepAliveHandlers, KeepAlives, type KeptFlow } from "./keep-alives.ts";
import type { AcceptedStream, DatagramAdapter, StreamAdapter, StreamEvents, StreamServer } from "./sockets.ts";
import { transportError } from "./sockets.ts";
import { StreamBook } from "./stream-book.ts";
import { StreamFlow, type StreamOwner } from "./stream-flow.ts";
import { answerBinding, looksLikeStun, parseStun } from "./stun.ts";
import { StunLimit } from "./stun-limit.ts";
import {
  type AllowGuard,
  DEFAULT_LIMITS,
  type DropReason,
  type ListenAt,
  type Listener,
  type Tap,
  type TransportLayer,
  type TransportLimits,
} from "./transport.ts";
import { defaultPort, responseTarget, stampReceived } from "./via-route.ts";

export interface SipTransportOptions {
  readonly clock: Clock;
  readonly datagrams: DatagramAdapter;
  readonly streams: StreamAdapter;
  /** TLS; left out where there is none. */
  readonly secure?: StreamAdapter;
  readonly allow?: AllowGuard;
  readonly limits?: Partial<TransportLimits>;
  /** 0 ≤ n < 1. Default: the runtime's. */
  readonly random?: () => number;
  /** Runs something after the caller has returned. Default: the runtime's microtask queue. */
  readonly defer?: (run: () => void) => void;
  /** A handler of ours threw. Default: thrown again outside of the socket's callback. */
  readonly onHandlerError?: (error: unknown) => void;
}

interface StreamListener {
  readonly protocol: Protocol;
  readonly server: StreamServer;
}

/** The transport layer over whatever sockets it is given. */
export class SipTransport implements TransportLayer {
  readonly counters = {
    received: 0,
    sent: 0,
    malformed: 0,
    dropped: {
      malformed: 0,
      no_via: 0,
      slow: 0,
      framing: 0,
      connection_limit: 0,
      handshake: 0,
      stun: 0,
      send_error: 0,
      socket_error: 0,
    } satisfies Record<DropReason, number>,
  };
  readonly #options: SipTransportOptions;
  readonly #limits: TransportLimits;
  readonly #defer: (run: () => void) => void;
  readonly #bindings: DatagramBinding[] = [];
  readonly #servers: StreamListener[] = [];
  readonly #streams: StreamBook;
  #streamCount = 0;
  readonly #taps: Tap[] = [];
  readonly #onMessage: ((message: SipMessage, flow: Flow, bytes: Uint8Array) => void)[] = [];
  readonly #onMalformed: ((error: ParseError, flow: Flow) => void)[] = [];
  readonly #onFlowClosed: ((flow: Flow, error: TransportError | undefined) => void)[] = [];
  readonly #onPong: ((flow: Flow) => void)[] = [];
  readonly #streamOwner: StreamOwner;
  readonly #keepAlives: KeepAlives;
  readonly #stunLimit: StunLimit;

  constructor(options: SipTransportOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#streams = new StreamBook(this.#limits);
    this.#defer = options.defer ?? queueMicrotask;
    this.#streamOwner = {
      message: (bytes, flow) => this.#incoming(bytes, flow),
      oversize: (head, flow) => this.#refuseHead(head, 513, flow),
      broken: (reason, head, flow) => this.#brokenStream(reason, head, flow),
      slow: () => void this.counters.dropped.slow++,
      pong: (flow) => {
        this.#keepAlives.pong(flow);
        this.#call(this.#onPong, flow);
      },
      closed: (flow, error) => this.#streamClosed(flow, error),
      gone: (flow) => this.#streams.gone(flow),
    };
    this.#stunLimit = new StunLimit(options.clock);
    this.#keepAlives = new KeepAlives({
      clock: options.clock,
      random: options.random ?? Math.random,
      send: (flow, bytes) => this.#sendKeepAlive(flow, bytes),
      abort: (flow, error) => {
        if (flow instanceof StreamFlow) flow.abort(error);
      },
      tell: (call) => this.#call([call]),
    });
  }

  async listen(at: ListenAt): Promise<Listener> {
    const address = canonicalAddress(at.address);
    if (address === undefined || (at.protocol === "tls" && this.#options.secure === undefined)) {
      throw new HoldfastError("sip.listen", `${at.protocol} ${at.address}:${at.port} cannot be listened on`);
    }
    this.#options.allow?.("listen", address);
    const local = { address, port: at.port };
    try {
      return at.protocol === "udp" ? await this.#bind(local) : await this.#listenStream(at.protocol, local, at.tls);
    } catch (error) {
      const { detail } = transportError(error);
      throw new HoldfastError("sip.listen", `${at.protocol} ${at.address}:${at.port}: ${detail}`, error);
    }
  }

  async #bind(local: Endpoint): Promise<Listener> {
    let binding: DatagramBinding | undefined;
    const socket = await this.#options.datagrams.bind(local, {
      datagram: (bytes, address, port) => {
        if (binding !== undefined) this.#datagram(bytes, binding, address, port);
      },
      failed: () => void this.counters.dropped.socket_error++,
    });
    const bound = new DatagramBinding(socket);
    binding = bound;
    this.#bindings.push(bound);
    return {
      protocol: "udp",
      ...socket.local,
      close: async () => {
        if (bound.closed) return;
        bound.closed = true;
        this.#bindings.splice(this.#bindings.indexOf(bound), 1);
        await socket.close();
      },
    };
  }

  /** The sockets of a stream protocol. */
  #adapter(protocol: Protocol): StreamAdapter | undefined {
    return protocol === "tls" ? this.#options.secure : this.#options.streams;
  }

  async #listenStream(protocol: Protocol, local: Endpoint, tls: string | undefined): Promise<Listener> {
    const adapter = this.#adapter(protocol) ?? this.#options.streams;
    const server = await adapter.listen(local, (accepted) => this.#accept(protocol, tls, accepted), tls);
    const listener: StreamListener = { protocol, server };
    this.#servers.push(listener);
    return {
      protocol,
      ...server.local,
      close: async () => {
        const index = this.#servers.indexOf(listener);
        if (index < 0) return;
        this.#servers.splice(index, 1);
        await server.close();
      },
    };
  }

  #accept(
    protocol: Protocol,
    tls: string | undefined,
    { local, remote, socket, peer }: AcceptedStream,
  ): StreamEvents | undefined {
    const crowding = this.#streams.crowding(remote.address);
    if (crowding !== undefined) {
      this.counters.dropped.connection_limit++;
      crowding.abort({ code: "ECONNABORTED", detail: `${crowding.id} had to make room` });
      this.#streams.gone(crowding);
    }
    const flow = this.#newStream({ protocol, local, remote, inbound: true, tls, sent_by_port: local.port, peer });
    flow.attach(socket);
    return flow.events;
  }

  flowTo(destination: Destination): Flow {
    const { protocol, port } = destination;
    const address = canonicalAddress(destination.address);
    const localAddress =
      destination.local_address === undefined ? undefined : canonicalAddress(destination.local_address);
    const none = (code: string, detail: string) =>
      new NoFlow(
        protocol,
        { address: destination.local_address ?? "", port: destination.local_port ?? 0 },
        { address: destination.address, port },
        { code, detail },
      );
    if (address === undefined || (destination.local_address !== undefined && localAddress === undefined)) {
      return none(
        "EINVAL",
        `${destination.address} from ${destination.local_address ?? "any"} is no pair of addresses`,
      );
    }
    if (protocol === "udp") {
      const binding = this.#bindingFor(address, localAddress, destination.local_port);
      if (binding === undefined) {
        const from = `${destination.local_address ?? "any address"}${destination.local_port === undefined ? "" : ` port ${destination.local_port}`}`;
        return none("ENOSOCKET", `no UDP socket is bound to ${from}`);
      }
      return this.#datagramFlow(binding, { address, port });
    }
    const { tls } = destination;
    const remote = { address, port };
    const known = this.#streams.find({
      protocol,
      remote,
      address: localAddress,
      port: destination.local_port,
      tls: protocol === "tls" ? tls : undefined,
    });
    if (known !== undefined) return known;
    const adapter = this.#adapter(protocol);
    if (adapter === undefined) return none("EUNSUPPORTED", "there is no TLS here");
    if (protocol === "tls" && tls === undefined) {
      return none(
        "ECLOSED",
        `the TLS connection of ${address} port ${port} is gone, and only its own side can make one`,
      );
    }
    this.#options.allow?.("connect", address);
    return this.#connect(adapter, protocol, remote, destination);
  }

  #datagramFlow(binding: DatagramBinding, to: Endpoint): DatagramFlow {
    const known = binding.known(to.address, to.port);
    if (known !== undefined) return known;
    this.#options.allow?.("send", to.address);
    return binding.flow(to.address, to.port);
  }

  #bindingFor(to: string, local: string | undefined, port: number | undefined): DatagramBinding | undefined {
    const family = ipFamily(to);
    let best: DatagramBinding | undefined;
    for (const binding of this.#bindings) {
      if (port !== undefined && binding.local.port !== port) continue;
      if (local !== undefined) {
        if (binding.local.address === local) return binding;
        continue;
      }
      if (ipFamily(binding.local.address) !== family) continue;
      // With no path asked for: a socket that can reach the address at all is better than the first one.
      if (!isWildcard(binding.local.address) && isLoopback(binding.local.address) !== isLoopback(to)) continue;
      best ??= binding;
    }
    return best;
  }

  #connect(adapter: StreamAdapter, protocol: Protocol, remote: Endpoint, destination: Destination): StreamFlow {
    const unspecified = ipFamily(remote.address) === 6 ? "::" : "0.0.0.0";
    const { local_port: port, tls } = destination;
    const address = destination.local_address === undefined ? undefined : canonicalAddress(destination.local_address);
    const local = { address: address ?? unspecified, port: port ?? 0 };
    const flow = this.#newStream({
      ...{ protocol, local, remote, inbound: false, tls, peer: undefined },
      sent_by_port: destination.sent_by_port,
    });
    flow.attach(
      adapter.connect(
        {
          remote,
          ...(address === undefined ? {} : { local_address: address }),
          ...(port === undefined ? {} : { local_port: port }),
          ...(tls === undefined ? {} : { policy: tls }),
        },
        flow.events,
      ),
    );
    return flow;
  }

  #newStream(
    stream: Pick<StreamFlow, "protocol" | "local" | "remote" | "inbound" | "tls" | "sent_by_port" | "peer">,
  ): StreamFlow {
    const flow = new StreamFlow({
      ...stream,
      id: `${stream.protocol}:${++this.#streamCount}`,
      clock: this.#options.clock,
      limits: this.#limits,
      owner: this.#streamOwner,
    });
    this.#streams.add(flow);
    return flow;
  }

  #streamClosed(flow: StreamFlow, error: TransportError | undefined): void {
    this.#streams.remove(flow);
    this.#keepAlives.stop(flow);
    this.#call(this.#onFlowClosed, flow, error);
  }

  send(flow: Flow, message: SipMessage | Uint8Array, onError?: (error: TransportError) => void): void {
    if (message instanceof Uint8Array) {
      this.#sendBytes(flow, message, onError);
      return;
    }
    const way = message.kind === "response" ? this.flowForResponse(message, flow) : flow;
    this.#sendBytes(way, printMessage(message), onError);
  }

  #sendBytes(flow: Flow, bytes: Uint8Array, onError: ((error: TransportError) => void) | undefined): void {
    const failed = (error: TransportError) => {
      this.counters.dropped.send_error++;
      if (onError !== undefined) this.#call([onError], error);
    };
    if (flow instanceof DatagramFlow) {
      if (flow.closed) {
        this.#defer(() => failed({ code: "ECLOSED", detail: `${flow.id}: the socket is closed` }));
        return;
      }
      this.counters.sent++;
      for (const tap of this.#taps) tap("out", bytes, flow);
      flow.binding.socket.send(bytes, flow.remote.address, flow.remote.port, failed);
      return;
    }
    const error =
      flow instanceof StreamFlow
        ? flow.write(bytes)
        : flow instanceof NoFlow
          ? flow.error
          : { code: "EUNSUPPORTED", detail: `${flow.id} is not of this transport` };
    if (error !== undefined) {
      this.#defer(() => failed(error));
      return;
    }
    this.counters.sent++;
    for (const tap of this.#taps) tap("out", bytes, flow);
  }

  flowForResponse(response: SipResponse, flow: Flow): Flow {
    if (flow.protocol !== "udp" && !flow.closed) return flow;
    const via = topVia(response);
    const target = via === undefined ? undefined : responseTarget(via, flow.protocol);
    if (target === undefined) return flow;
    if (flow.protocol === "udp" && target.address === flow.remote.address && target.port === flow.remote.port)
      return flow;
    try {
      if (flow instanceof DatagramFlow) return this.#datagramFlow(flow.binding, target);
      return this.flowTo({
        protocol: flow.protocol,
        ...target,
        local_address: flow.local.address,
        ...(flow.tls === undefined ? {} : { tls: flow.tls }),
      });
    } catch (error) {
      const { detail } = transportError(error);
      return new NoFlow(flow.protocol, flow.local, target, { code: "EFORBIDDEN", detail });
    }
  }

  sentBy(flow: Flow): Endpoint {
    if (!flow.reliable) return flow.local;
    if (flow instanceof StreamFlow && flow.sent_by_port !== undefined) {
      return { address: flow.local.address, port: flow.sent_by_port };
    }
    const server = this.#servers.find(
      ({ protocol, server: { local } }) =>
        protocol === flow.protocol && (local.address === flow.local.address || isWildcard(local.address)),
    );
    return server === undefined ? flow.local : { address: flow.local.address, port: server.server.local.port };
  }

  close(flow: Flow): void {
    if (flow instanceof StreamFlow) flow.end();
  }

  keepAlive(flow: Flow, handlers: KeepAliveHandlers): KeptFlow {
    return this.#keepAlives.keep(flow, handlers);
  }

  /** Neither counted nor tapped: it is no message. A refusal by the kernel is as good as silence. */
  #sendKeepAlive(flow: Flow, bytes: Uint8Array): void {
    if (flow instanceof StreamFlow) flow.write(bytes);
    else if (flow instanceof DatagramFlow && !flow.closed) {
      flow.binding.socket.send(bytes, flow.remote.address, flow.remote.port, () => {});
    }
  }

  onMessage(handler: (message: SipMessage, flow: Flow, bytes: Uint8Array) => void): void {
    this.#onMessage.push(handler);
  }

  onMalformed(handler: (error: ParseError, flow: Flow) => void): void {
    this.#onMalformed.push(handler);
  }

  onFlowClosed(handler: (flow: Flow, error: TransportError | undefined) => void): void {
    this.#onFlowClosed.push(handler);
  }

  onPong(handler: (flow: Flow) => void): void {
    this.#onPong.push(handler);
  }

  tap(tap: Tap): void {
    this.#taps.push(tap);
  }

  async shutdown(): Promise<void> {
    this.#keepAlives.stopAll();
    for (const flow of this.#streams.all()) flow.abort(undefined);
    const closing = [
      ...this.#servers.splice(0).map(({ server }) => server.close()),
      ...this.#bindings.splice(0).map((binding) => {
        binding.closed = true;
        return binding.socket.close();
      }),
    ];
    await Promise.all(closing);
  }

  #datagram(bytes: Uint8Array, binding: DatagramBinding, address: string, port: number): void {
    if (looksLikeStun(bytes)) {
      this.#stun(bytes, binding, { address, port });
      return;
    }
    // CRLF and NUL keep-alives of phones behind NAT (RFC 3581 §1 and older habits): no message begins like that.
    const [first] = bytes;
    if (first === undefined || first < 0x0a || (bytes.length <= 4 && (first === 0x0d || first === 0x0a))) return;
    this.#incoming(bytes, binding.flow(address, port));
  }

  /** RFC 5626 §8: whoever sends SIP to a port may ask there where it is seen to come from. */
  #stun(bytes: Uint8Array, binding: DatagramBinding, source: Endpoint): void {
    const message = parseStun(bytes);
    if (message?.type === "success" || message?.type === "error") {
      const flow = binding.known(source.address, source.port);
      if (flow !== undefined) this.#keepAlives.stun(flow, message);
      return;
    }
    const answer = message === undefined ? undefined : answerBinding(message, source);
    if (answer === undefined || !this.#stunLimit.take()) {
      this.counters.dropped.stun++;
      return;
    }
    binding.socket.send(answer, source.address, source.port, () => {});
  }

  #incoming(bytes: Uint8Array, flow: Flow): void {
    this.counters.received++;
    for (const tap of this.#taps) tap("in", bytes, flow);
    const parsed = parseMessage(bytes);
    if (!parsed.ok) {
      this.#malformed(parsed.error, flow);
      return;
    }
    const { message } = parsed;
    if (message.kind === "request" && !stampReceived(message, flow.remote)) {
      this.counters.dropped.no_via++;
      return;
    }
    if (message.kind === "request" && flow instanceof StreamFlow && isReusable(flow)) this.#learnAlias(message, flow);
    this.#call(this.#onMessage, message, flow, bytes);
  }

  /** RFC 5923 §5: `alias` in the Via of a peer that has proven who it is. */
  #learnAlias(request: SipRequest, flow: StreamFlow): void {
    const via = topVia(request);
    if (via === undefined || !hasParam(via.params, "alias")) return;
    this.#streams.alias(flow, { address: flow.remote.address, port: via.port ?? defaultPort(flow.protocol) });
  }

  #malformed(error: ParseError, flow: Flow): void {
    this.counters.malformed++;
    const { request } = error;
    if (request === undefined || request.method === "ACK" || !stampReceived(request, flow.remote)) {
      this.counters.dropped.malformed++;
    } else this.#refuse(request, error.status, flow);
    this.#call(this.#onMalformed, error, flow);
  }

  /** One response, and nothing kept of the request. */
  #refuse(request: SipRequest, status: ParseError["status"], flow: Flow): void {
    this.send(flow, buildResponse(request, status));
  }

  /** Of a message that cannot be had as a whole. */
  #refuseHead(head: Uint8Array | undefined, status: 400 | 513, flow: StreamFlow): void {
    this.counters.received++;
    this.counters.dropped.framing++;
    const parsed = head === undefined ? undefined : parseMessage(head);
    const request = parsed?.ok ? parsed.message : parsed?.error.request;
    if (request?.kind === "request" && request.method !== "ACK" && stampReceived(request, flow.remote)) {
      this.#refuse(request, status, flow);
    }
  }

  #brokenStream(reason: BrokenReason, head: Uint8Array | undefined, flow: StreamFlow): void {
    this.#refuseHead(head, reason === "too_large" ? 513 : 400, flow);
    flow.end({ code: "EPROTO", detail: `${flow.id}: ${reason}` });
  }

  #call<Args extends readonly unknown[]>(handlers: readonly ((...args: Args) => void)[], ...args: Args): void {
    for (const handler of handlers) {
      try {
        handler(...args);
      } catch (error) {
        const report = this.#options.onHandlerError;
        if (report !== undefined) report(error);
        else {
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    }
  }
}

/** Only where mutual TLS has proven the peer's domain may its connection stand for its listening port. */
function isReusable({ inbound, tls, peer }: StreamFlow): boolean {
  return inbound && tls !== undefined && peer !== undefined && peer.domains.length > 0;
}
