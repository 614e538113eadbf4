/** Adapter: SIP over TCP by Node's net. */
import { connect, createServer, type Socket } from "node:net";
import type { Endpoint, TransportError } from "./flow.ts";
import { canonicalAddress } from "./ip-address.ts";
import { type StreamAdapter, type StreamEvents, type StreamSocket, transportError } from "./sockets.ts";

/** Idle time after which the kernel begins to ask whether the peer is still there. */
export const KEEP_ALIVE_MS = 30_000;

export const tcpSockets: StreamAdapter = {
  listen(local, accept) {
    return new Promise((resolve, reject) => {
      const server = createServer(
        { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS },
        (socket) => {
          // A peer that is gone already has no addresses left.
          const ends = endsOf(socket);
          const events = ends === undefined ? undefined : accept({ ...ends, socket: streamSocket(socket) });
          if (events === undefined) {
            socket.on("error", () => {});
            socket.destroy();
          } else followSocket(socket, events);
        },
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
          close: () => new Promise((closed) => server.close(() => closed())),
        });
      });
    });
  },

  connect({ remote, local_address, local_port }, events) {
    try {
      const socket = connect({
        host: remote.address,
        port: remote.port,
        family: remote.address.includes(":") ? 6 : 4,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: KEEP_ALIVE_MS,
        autoSelectFamily: false,
        ...(local_address === undefined ? {} : { localAddress: local_address }),
        ...(local_port === undefined ? {} : { localPort: local_port }),
      });
      socket.once("connect", () => {
        const ends = endsOf(socket);
        if (ends !== undefined) events.connected(ends.local);
      });
      followSocket(socket, events);
      return streamSocket(socket);
    } catch (error) {
      // A port out of range and the like.
      queueMicrotask(() => events.closed(transportError(error)));
      return { buffered: 0, write: () => {}, end: () => {}, destroy: () => {} };
    }
  },
};

/** Passes a socket's events on. */
export function followSocket(socket: Socket, events: StreamEvents): void {
  let error: TransportError | undefined;
  socket.on("data", (bytes) => events.data(bytes));
  socket.on("error", (cause) => {
    error = transportError(cause);
    events.closed(error);
  });
  // The peer has ended its half, and Node ends ours: nothing can be asked or answered here any more.
  socket.on("end", () => events.closed(undefined));
  socket.on("close", () => {
    if (error === undefined) events.closed(undefined);
    events.gone();
  });
}

export function streamSocket(socket: Socket): StreamSocket {
  return {
    get buffered() {
      return socket.writableLength;
    },
    write: (bytes) => void socket.write(bytes),
    end: () => void socket.end(),
    destroy: () => void socket.destroy(),
  };
}

/** Undefined when the peer is gone already. */
export function endsOf(socket: Socket): { local: Endpoint; remote: Endpoint } | undefined {
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  if (
    localAddress === undefined ||
    localPort === undefined ||
    remoteAddress === undefined ||
    remotePort === undefined
  ) {
    return undefined;
  }
  return {
    local: { address: canonicalAddress(localAddress) ?? localAddress, port: localPort },
    remote: { address: canonicalAddress(remoteAddress) ?? remoteAddress, port: remotePort },
  };
}
