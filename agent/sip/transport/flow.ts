import type { PeerIdentity } from "./tls-policy.ts";

/**
 * A flow is where messages go and come from: for UDP a local socket and a remote address and port, for TCP one
 * connection (RFC 5626 §2). Whoever holds a flow can answer, or send, on the very path a message came by.
 */
export type Protocol = "udp" | "tcp" | "tls";

/** An IP address in canonical text form (RFC 5952 for IPv6, without brackets) and a port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export interface Flow {
  /** Same for the same local and remote ends over UDP; new for each TCP or TLS connection. */
  readonly id: string;
  readonly protocol: Protocol;
  /** Over TCP the port is 0 until connected, unless one was asked for. */
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** No retransmission needed (TCP, TLS). */
  readonly reliable: boolean;
  /** True when it can be sent on at once: UDP always, TCP once connected, TLS once the peer has proven who it is. */
  readonly connected: boolean;
  /** True when nothing can be sent any more. A new one is had by `flowTo`. */
  readonly closed: boolean;
  /** Over TLS: the policy that it was made under. */
  readonly tls?: string | undefined;
  /** Over TLS: whom the peer has proven to be, where it showed a certificate. */
  readonly peer?: PeerIdentity | undefined;
}

/** Where to send. Addresses are IP literals: names are resolved per path, above the transport. */
export interface Destination {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
  /** The path to leave by. Nothing is ever sent from another local address than this one. */
  readonly local_address?: string;
  readonly local_port?: number;
  /** Where we listen for the peer's own connections, for our Via; left out: at any port of the same address. */
  readonly sent_by_port?: number;
  /** Over TLS: the policy that the peer has to meet. Left out: only a connection that the peer has made can be used. */
  readonly tls?: string;
}

/**
 * Why something could not be sent. `code` is the kernel's (`ENETUNREACH`, `EHOSTUNREACH`, `ECONNREFUSED`, …) or one of
 * `ENOSOCKET` (no socket is bound to the asked local address), `ECLOSED` (the flow is closed), `ETIMEDOUT` (no answer
 * to connecting), `ENOBUFS` (the peer does not read), `EUNSUPPORTED` (no such transport here), `EFORBIDDEN` (the guard
 * said no), `ECERT` (over TLS the peer's certificate does not prove what it must), `ECERTDATE` (it
 * would, were it valid today).
 */
export interface TransportError {
  readonly code: string;
  readonly detail: string;
}
