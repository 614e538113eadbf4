/** Adapter: SIP over TLS by Node's tls. */
import { constants } from "node:crypto";
import { createServer as createTcpServer, type Socket } from "node:net";
import {
  connect as connectTls,
  createSecureContext,
  createServer as createTlsServer,
  rootCertificates,
  type SecureContext,
  type TLSSocket,
  type Server as TlsServer,
} from "node:tls";
import type { Clock } from "../../base/clock.ts";
import { type ChainVerdict, judgeCertificate } from "./certificate-chain.ts";
import type { Endpoint, TransportError } from "./flow.ts";
import { HandshakeGate, type HandshakeLimits } from "./handshake-gate.ts";
import { ipFamily } from "./ip-address.ts";
import {
  type AcceptedStream,
  type StreamAdapter,
  type StreamEvents,
  type StreamSocket,
  transportError,
} from "./sockets.ts";
import { endsOf, followSocket, KEEP_ALIVE_MS, streamSocket } from "./tcp.ts";
import type { TlsPolicies, TlsPolicy } from "./tls-policy.ts";

export interface TlsSocketsOptions {
  readonly clock: Clock;
  readonly policies: TlsPolicies;
  readonly limits?: HandshakeLimits;
  /** A connection that came in did not become a secure one. */
  refused(remote: Endpoint, detail: string): void;
}

/** TLS 1.2 with forward secrecy and 1.3; a peer may not renegotiate, which costs the server more than the client. */
const SHARED = { minVersion: "TLSv1.2", secureOptions: constants.SSL_OP_NO_RENEGOTIATION } as const;
/** OpenSSL's list goes to 100; what a peer shows beyond this is not looked at. */
const CHAIN_DEPTH = 8;

/**
 * Certificates are taken from the policies for every new connection: a changed one counts from then on, and connections
 * that stand are not touched. `StreamAdapter`'s `policy` is needed.
 */
export function tlsSockets(options: TlsSocketsOptions): StreamAdapter {
  const contexts = new WeakMap<TlsPolicy, SecureContext>();
  const context = (policy: TlsPolicy): SecureContext => {
    const known = contexts.get(policy);
    if (known !== undefined) return known;
    const made = createSecureContext({
      ...SHARED,
      ...(policy.own === undefined ? {} : { cert: policy.own.certificate_pem, key: policy.own.key_pem }),
      ...(policy.ca_pem === undefined ? {} : { ca: policy.ca_pem }),
    });
    contexts.set(policy, made);
    return made;
  };
  return {
    listen: (local, accept, name = "") => new TlsListener(options, context, name, accept).listen(local),
    connect: ({ remote, local_address, local_port, policy: name = "" }, events) => {
      const policy = options.policies.policy(name);
      if (policy?.peer_domain === undefined) {
        queueMicrotask(() =>
          events.closed({ code: "ECERT", detail: `nobody is known to be at ${remote.address} for "${name}"` }),
        );
        return DEAD;
      }
      try {
        const socket = connectTls({
          host: remote.address,
          port: remote.port,
          secureContext: context(policy),
          ...SHARED,
          // The verdict is ours, so that RFC 5922 counts and a clock that nobody trusts does not.
          rejectUnauthorized: false,
          checkServerIdentity: () => undefined,
          ...(ipFamily(policy.peer_domain) === undefined ? { servername: policy.peer_domain } : {}),
          ...(local_address === undefined ? {} : { localAddress: local_address }),
          ...(local_port === undefined ? {} : { localPort: local_port }),
        });
        const mutual = policy.own !== undefined;
        return outgoing(socket, events, remote, () => {
          const judged = judge(socket, policy, options.policies);
          return judged.ok && mutual ? { ok: true, peer: { ...judged.peer, mutual } } : judged;
        });
      } catch (error) {
        // A port out of range, a key that does not fit.
        queueMicrotask(() => events.closed(transportError(error)));
        return DEAD;
      }
    },
  };
}

const DEAD: StreamSocket = { buffered: 0, write: () => {}, end: () => {}, destroy: () => {} };

/** Nothing that is written leaves before the peer has proven who it is. */
function outgoing(
  socket: TLSSocket,
  events: StreamEvents,
  remote: Endpoint,
  verdict: () => ChainVerdict,
): StreamSocket {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  const plain = streamSocket(socket);
  let waiting: Uint8Array[] | undefined = [];
  let ending = false;
  let over = false;
  const closed = (error: TransportError | undefined) => {
    if (over) return;
    over = true;
    waiting = undefined;
    events.closed(error);
  };
  followSocket(socket, {
    connected: () => {},
    data: (bytes) => {
      if (!over) events.data(bytes);
    },
    closed,
    gone: () => events.gone(),
  });
  socket.once("secureConnect", () => {
    if (over) return;
    const judged = verdict();
    if (!judged.ok) {
      const code = judged.dates_only ? "ECERTDATE" : "ECERT";
      closed({ code, detail: `${remote.address}: ${judged.detail}` });
      socket.destroy();
      return;
    }
    const held = waiting ?? [];
    waiting = undefined;
    const ends = endsOf(socket);
    if (ends !== undefined) events.connected(ends.local, judged.peer);
    for (const bytes of held) plain.write(bytes);
    if (ending) plain.end();
  });
  return {
    get buffered() {
      return plain.buffered + (waiting ?? []).reduce((sum, bytes) => sum + bytes.length, 0);
    },
    write(bytes) {
      if (waiting !== undefined) waiting.push(bytes);
      else if (!over) plain.write(bytes);
    },
    end() {
      ending = true;
      if (waiting === undefined || waiting.length === 0) plain.end();
    },
    destroy: () => plain.destroy(),
  };
}

function judge(socket: TLSSocket, policy: TlsPolicy, policies: TlsPolicies): ChainVerdict {
  const { authorizationError } = socket;
  const fault = socket.authorized ? undefined : String(authorizationError ?? "not verified");
  return judgeCertificate(
    { chain: chainOf(socket), fault },
    {
      domain: policy.peer_domain,
      authorities: policy.ca_pem === undefined ? rootCertificates : [policy.ca_pem],
      datesCount: policies.datesCount() && policy.overlooks_dates !== true,
    },
  );
}

/** The peer's own certificate first. */
function chainOf(socket: TLSSocket): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let at = socket.getPeerCertificate(true);
  while (at?.raw !== undefined && chain.length < CHAIN_DEPTH) {
    chain.push(at.raw);
    // A root is its own issuer.
    if (at.issuerCertificate === at || at.issuerCertificate?.raw?.equals(at.raw)) break;
    at = at.issuerCertificate;
  }
  return chain;
}

type Accept = (accepted: AcceptedStream) => StreamEvents | undefined;

/** TCP connections come in here, and go into a TLS server that itself listens nowhere. */
class TlsListener {
  readonly #options: TlsSocketsOptions;
  readonly #context: (policy: TlsPolicy) => SecureContext;
  readonly #name: string;
  readonly #accept: Accept;
  readonly #gate: HandshakeGate;
  /** Handshakes under way, by the remote end. */
  readonly #pending = new Map<string, { readonly policy: TlsPolicy; readonly finish: (secured: boolean) => void }>();
  #server: { readonly policy: TlsPolicy; readonly tls: TlsServer } | undefined;

  constructor(options: TlsSocketsOptions, context: (policy: TlsPolicy) => SecureContext, name: string, accept: Accept) {
    this.#options = options;
    this.#context = context;
    this.#name = name;
    this.#accept = accept;
    this.#gate = new HandshakeGate(options.clock, options.limits);
  }

  listen(local: Endpoint): ReturnType<StreamAdapter["listen"]> {
    return new Promise((resolve, reject) => {
      if (this.#options.policies.policy(this.#name)?.own === undefined) {
        reject(new Error(`there is no certificate for "${this.#name}"`));
        return;
      }
      const server = createTcpServer(
        { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS, pauseOnConnect: true },
        (socket) => this.#connection(socket),
      );
      server.once("error", reject);
      server.listen({ host: local.address, port: local.port, ipv6Only: local.address.includes(":") }, () => {
        server.off("error", reject);
        // Accepting can fail (no file descriptors left); the server stays.
        server.on("error", () => {});
        const bound = server.address();
        const port = bound !== null && typeof bound === "object" ? bound.port : local.port;
        resolve({
          local: { address: local.address, port },
          close: () => {
            this.#gate.close();
            return new Promise((closed) => server.close(() => closed()));
          },
        });
      });
    });
  }

  #connection(raw: Socket): void {
    raw.on("error", () => {});
    const ends = endsOf(raw);
    if (ends === undefined) {
      raw.destroy();
      return;
    }
    const key = keyOf(ends.remote);
    const leave = this.#gate.enter(ends.remote.address, {
      begin: () => this.#begin(raw, ends.remote, key, (secured) => leave(secured)),
      drop: (reason) => {
        this.#pending.delete(key);
        this.#options.refused(ends.remote, `its handshake was ${reason === "slow" ? "too slow" : "one of too many"}`);
        raw.destroy();
      },
    });
    raw.once("close", () => {
      this.#pending.delete(key);
      leave();
    });
  }

  #begin(raw: Socket, remote: Endpoint, key: string, leave: (secured: boolean) => void): void {
    const policy = this.#options.policies.policy(this.#name);
    try {
      if (policy?.own === undefined) throw new Error("its certificate is gone from the site file");
      const server = this.#serverFor(policy);
      // `leave` is there once `enter` has returned, which calls this.
      this.#pending.set(key, { policy, finish: (secured) => leave(secured) });
      server.emit("connection", raw);
    } catch (error) {
      this.#options.refused(remote, transportError(error).detail);
      raw.destroy();
    }
  }

  /** One for each version of the certificate; connections of the one before live on. */
  #serverFor(policy: TlsPolicy): TlsServer {
    if (this.#server?.policy === policy) return this.#server.tls;
    // Throws here and not in a handshake when key and certificate do not fit.
    this.#context(policy);
    const tls = createTlsServer({
      ...SHARED,
      cert: policy.own?.certificate_pem ?? "",
      key: policy.own?.key_pem ?? "",
      ...(policy.ca_pem === undefined ? {} : { ca: policy.ca_pem }),
      requestCert: policy.asks_client,
      rejectUnauthorized: false,
    });
    tls.on("secureConnection", (socket) => this.#secured(socket));
    tls.on("tlsClientError", (error, socket) => {
      const ends = endsOf(socket);
      if (ends !== undefined) this.#options.refused(ends.remote, error.message.slice(0, 200));
      socket.destroy();
    });
    this.#server = { policy, tls };
    return tls;
  }

  #secured(socket: TLSSocket): void {
    socket.on("error", () => {});
    const ends = endsOf(socket);
    const pending = ends === undefined ? undefined : this.#pending.get(keyOf(ends.remote));
    if (ends === undefined || pending === undefined) {
      socket.destroy();
      return;
    }
    this.#pending.delete(keyOf(ends.remote));
    const judged = pending.policy.asks_client ? judge(socket, pending.policy, this.#options.policies) : undefined;
    pending.finish(judged?.ok !== false);
    if (judged?.ok === false) {
      this.#options.refused(ends.remote, judged.detail);
      socket.destroy();
      return;
    }
    const events = this.#accept({
      ...ends,
      socket: streamSocket(socket),
      ...(judged === undefined ? {} : { peer: judged.peer }),
    });
    if (events === undefined) socket.destroy();
    else followSocket(socket, events);
  }
}

function keyOf({ address, port }: Endpoint): string {
  return `${address} ${port}`;
}
