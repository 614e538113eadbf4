import type { Endpoint, TransportError } from "./flow.ts";
import type { PeerIdentity } from "./tls-policy.ts";

/** What the transport needs of the operating system's sockets. The network adapters and the in-memory network give it. */
export interface DatagramAdapter {
  /** Binds a socket to exactly this address; port 0 takes a free one. Rejects with the kernel's error. */
  bind(local: Endpoint, events: DatagramEvents): Promise<DatagramSocket>;
}

export interface DatagramEvents {
  /** One datagram; `bytes` belong to the receiver. */
  datagram(bytes: Uint8Array, address: string, port: number): void;
  /** The socket reported an error outside of a sending. It stays open. */
  failed(error: TransportError): void;
}

export interface DatagramSocket {
  readonly local: Endpoint;
  /** Sends at once where the kernel takes it; a refusal is told in the next turn at the latest. */
  send(bytes: Uint8Array, address: string, port: number, onError: (error: TransportError) => void): void;
  close(): Promise<void>;
}

export interface StreamAdapter {
  /** Rejects with the kernel's error. `policy`: over TLS, the name of the one that holds here. */
  listen(
    local: Endpoint,
    accept: (accepted: AcceptedStream) => StreamEvents | undefined,
    policy?: string,
  ): Promise<StreamServer>;
  /** Starts connecting; writing is allowed at once and waits for the connection. Never throws. */
  connect(to: StreamTarget, events: StreamEvents): StreamSocket;
}

export interface StreamTarget {
  readonly remote: Endpoint;
  readonly local_address?: string;
  readonly local_port?: number;
  /** Over TLS: the name of the policy that the peer has to meet. */
  readonly policy?: string;
}

/** A connection that came in; `accept` returns undefined to refuse it. */
export interface AcceptedStream {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly socket: StreamSocket;
  /** Over TLS, where a certificate was asked for: whom it proves. */
  readonly peer?: PeerIdentity;
}

export interface StreamEvents {
  /** `peer`: over TLS, whom it has proven to be. */
  connected(local: Endpoint, peer?: PeerIdentity): void;
  data(bytes: Uint8Array): void;
  /** Once, last: with the error when the connection did not end in order. */
  closed(error: TransportError | undefined): void;
  /** The operating system holds nothing of it any more; comes after `closed`, or after an end of ours. */
  gone(): void;
}

export interface StreamSocket {
  /** Bytes written and not yet taken by the kernel. */
  readonly buffered: number;
  write(bytes: Uint8Array): void;
  /** Ends the connection after what was written has gone out. */
  end(): void;
  /** Ends it now. */
  destroy(): void;
}

export interface StreamServer {
  readonly local: Endpoint;
  /** Stops accepting; open connections stay. */
  close(): Promise<void>;
}

/** The kernel's error as data. */
export function transportError(error: unknown): TransportError {
  if (error instanceof Error) {
    const code = "code" in error && typeof error.code === "string" ? error.code : "EUNKNOWN";
    return { code, detail: error.message };
  }
  return { code: "EUNKNOWN", detail: String(error) };
}
