/** Adapter: SIP over UDP by Node's dgram. */
import { createSocket } from "node:dgram";
import { canonicalAddress } from "./ip-address.ts";
import { type DatagramAdapter, transportError } from "./sockets.ts";

/** Room for 500 phones that register in the same few milliseconds; the default loses some of them. */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;

export const udpSockets: DatagramAdapter = {
  bind(local, events) {
    return new Promise((resolve, reject) => {
      const ipv6 = local.address.includes(":");
      const socket = createSocket({
        type: ipv6 ? "udp6" : "udp4",
        ipv6Only: ipv6,
        recvBufferSize: RECEIVE_BUFFER_BYTES,
        // Addresses are literals: without this each datagram would wait for a turn of the resolver.
        lookup: (hostname, _options, done) => done(null, hostname, ipv6 ? 6 : 4),
      });
      socket.once("error", reject);
      socket.bind({ address: local.address, port: local.port }, () => {
        socket.off("error", reject);
        socket.on("error", (error) => events.failed(transportError(error)));
        socket.on("message", (bytes, { address, port }) => {
          events.datagram(bytes, ipv6 ? (canonicalAddress(address) ?? address) : address, port);
        });
        resolve({
          local: { address: local.address, port: socket.address().port },
          send(bytes, address, port, onError) {
            try {
              socket.send(bytes, port, address, (error) => {
                if (error !== null) onError(transportError(error));
              });
            } catch (error) {
              queueMicrotask(() => onError(transportError(error)));
            }
          },
          close: () => new Promise((closed) => socket.close(() => closed())),
        });
      });
    });
  },
};
