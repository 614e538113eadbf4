import type { SipMessage, SipResponse } from "../messages/message.ts";
import type { ParseError } from "../messages/parse.ts";
import type { Destination, Endpoint, Flow, Protocol, TransportError } from "./flow.ts";
import type { KeepAliveHandlers, KeptFlow } from "./keep-alives.ts";

/** The transport layer (RFC 3261 §18) as the layers above see it. */
export interface TransportLayer {
  /**
   * Opens a local socket for UDP datagrams or TCP or TLS connections. Port 0 takes a free one. Rejects with a
   * `HoldfastError` `sip.listen`, or with whatever the guard throws.
   */
  listen(at: ListenAt): Promise<Listener>;
  /**
   * The way to a destination. UDP: by the bound socket whose local address and port were asked for; TCP: by the open
   * connection between these ends, else by one that is started now, so that calling it ahead keeps a connection
   * standing. Throws only what the guard throws; where there is no way, the flow is closed and sending tells why.
   */
  flowTo(destination: Destination): Flow;
  /**
   * Sends. A response goes where its top Via says (§18.2.2): see {@link flowForResponse}; anything else, raw bytes
   * included, goes by `flow` alone. Never throws. What the kernel refuses at once is told within the next turn of the
   * event loop, never before this call returns. TCP: a loss later on is told by {@link onFlowClosed}.
   */
  send(flow: Flow, message: SipMessage | Uint8Array, onError?: (error: TransportError) => void): void;
  /**
   * Keeps a flow of ours open from now on and tells how it fares (RFC 5626 §4.4): until it is closed, stopped, or kept by
   * somebody else. Requests of peers for the same are answered without anybody's help.
   */
  keepAlive(flow: Flow, handlers: KeepAliveHandlers): KeptFlow;
  /**
   * The flow for a response to a request that came by `flow`: the same connection, or a new one when it is gone; over
   * UDP the same socket, towards received and rport (RFC 3581 §4). Always from the same local address.
   */
  flowForResponse(response: SipResponse, flow: Flow): Flow;
  /** Our sent-by for requests on this flow: the port at which responses and new connections reach us (§18.1.1). */
  sentBy(flow: Flow): Endpoint;
  /** Ends a TCP connection after what was written. UDP flows have nothing to close. */
  close(flow: Flow): void;
  /**
   * Well-formed messages. A request's top Via has its `received` and `rport` (§18.2.1). `bytes` are the wire's. The
   * message belongs to the last handler; others only read.
   */
  onMessage(handler: (message: SipMessage, flow: Flow, bytes: Uint8Array) => void): void;
  /** What could not be parsed. A request that can be answered has been given its 400 already. */
  onMalformed(handler: (error: ParseError, flow: Flow) => void): void;
  /** A TCP connection has ended or could not be made; `error` is undefined when it ended in order. Told once. */
  onFlowClosed(handler: (flow: Flow, error: TransportError | undefined) => void): void;
  /** The peer answered a keep-alive (CRLF after our CRLFCRLF, RFC 5626 §4.4.1) on a connection that we opened. */
  onPong(handler: (flow: Flow) => void): void;
  /** Sees every message's bytes as received or sent. */
  tap(tap: Tap): void;
  readonly counters: TransportCounters;
  /** Closes all sockets and connections. */
  shutdown(): Promise<void>;
}

export interface ListenAt {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
  /** Over TLS: the name of the policy that holds here. */
  readonly tls?: string;
}

export interface Listener {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
  close(): Promise<void>;
}

export type Tap = (direction: "in" | "out", bytes: Uint8Array, flow: Flow) => void;

/** Numbers since start. */
export interface TransportCounters {
  /** Messages received, malformed ones included, keep-alives not. */
  readonly received: number;
  /** Messages handed to the kernel. */
  readonly sent: number;
  readonly malformed: number;
  /** Messages or connections thrown away, by reason. */
  readonly dropped: Readonly<Record<DropReason, number>>;
}

export type DropReason =
  /** Unparsable and not answerable. */
  | "malformed"
  /** A request whose top Via cannot be read. */
  | "no_via"
  /** A message or head of a message that did not come within its time. */
  | "slow"
  /** A stream without message borders, or a message over 64 KiB. */
  | "framing"
  /** A connection that made room for another, above the limits. */
  | "connection_limit"
  /** A TLS handshake that failed, took too long or was one of too many. */
  | "handshake"
  /** Something like STUN that is no Binding request, or one too many. */
  | "stun"
  /** Sending failed. */
  | "send_error"
  /** The operating system reported an error on a socket. */
  | "socket_error";

/**
 * Asked before anything is opened, and before a datagram goes to a new address: throws to forbid it. In practice it
 * lets nothing leave the machine.
 */
export type AllowGuard = (kind: "listen" | "connect" | "send", address: string) => void;

export interface TransportLimits {
  /** Open connections that came in from one address. */
  readonly connections_per_source: number;
  /** Open connections that came in altogether. */
  readonly connections: number;
  /** Time for the head of a message, and again for its body, from its first byte. */
  readonly message_ms: number;
  /** Time for connecting. */
  readonly connect_ms: number;
  /** Bytes that may wait for a peer that does not read. */
  readonly unsent_bytes: number;
}

export const DEFAULT_LIMITS: TransportLimits = {
  connections_per_source: 8,
  connections: 1024,
  message_ms: 5_000,
  connect_ms: 10_000,
  unsent_bytes: 1_048_576,
};
