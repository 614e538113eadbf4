/** Adapter: dgram. One UDP socket bound to a path's local address, for probes. */
import { createSocket } from "node:dgram";
import { errorText } from "../../base/errors.ts";

export interface ProbeSocket {
  send(bytes: Uint8Array, address: string, port: number): void;
  close(): void;
}

export interface ProbeSocketEvents {
  message(bytes: Uint8Array, address: string, port: number): void;
  /** The kernel refused to send or to bind: no route, no such address. */
  failed(code: string, detail: string): void;
}

/** Opens the socket at once; what is sent before it is bound waits for it. */
export type OpenProbeSocket = (localAddress: string, events: ProbeSocketEvents) => ProbeSocket;

export const openProbeSocket: OpenProbeSocket = (localAddress, events) => {
  const socket = createSocket({
    type: localAddress.includes(":") ? "udp6" : "udp4",
    // Only literals are ever sent to, so nothing needs the system's resolver.
    lookup: (hostname, _options, callback) => callback(null, hostname, localAddress.includes(":") ? 6 : 4),
  });
  let closed = false;
  const failed = (error: Error) => {
    if (closed) return;
    const code = "code" in error && typeof error.code === "string" ? error.code : "EUNKNOWN";
    events.failed(code, errorText(error));
  };
  socket.on("error", failed);
  socket.on("message", (bytes, from) => events.message(bytes, from.address, from.port));
  try {
    socket.bind({ address: localAddress, port: 0 });
  } catch (error) {
    failed(error instanceof Error ? error : new Error(String(error)));
  }
  socket.unref();
  return {
    send(bytes, address, port) {
      if (closed) return;
      try {
        socket.send(bytes, port, address, (error) => {
          if (error !== null) failed(error);
        });
      } catch (error) {
        failed(error instanceof Error ? error : new Error(String(error)));
      }
    },
    close() {
      if (closed) return;
      closed = true;
      socket.close();
    },
  };
};
