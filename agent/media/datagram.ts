/** Adapter: dgram. UDP sockets for media, bound to one address and port, never asking DNS. */
import { createSocket, type Socket } from "node:dgram";
import { isIPv4, isIPv6, SocketAddress } from "node:net";

export interface MediaSocket {
  readonly port: number;
  /**
   * Hands one datagram to the kernel. Address and port are literal. What the network does with it is unknown: media
   * has no acknowledgement, and a send that fails is a packet lost.
   */
  send(packet: Uint8Array, port: number, address: string): void;
  close(): void;
}

/** Called for each datagram; `packet` is the callee's to change. */
export type OnPacket = (packet: Buffer, address: string, port: number) => void;

/** Opens a UDP socket; rejects with the system's error (EADDRINUSE, EADDRNOTAVAIL) when it cannot be bound. */
export type OpenMediaSocket = (address: string, port: number, onPacket: OnPacket) => Promise<MediaSocket>;

export const openMediaSocket: OpenMediaSocket = (address, port, onPacket) =>
  new Promise((resolve, reject) => {
    const socket = createSocket({
      type: isIPv6(address) ? "udp6" : "udp4",
      // Addresses are literal: answering at once spares each packet a turn of the event loop, and no name is asked for.
      lookup: (host, _options, done) => done(null, host, isIPv6(host) ? 6 : 4),
    });
    socket.once("error", reject);
    socket.bind({ address, port }, () => {
      socket.removeListener("error", reject);
      // A later socket error (interface gone) costs packets, not the process.
      socket.on("error", () => {});
      socket.on("message", (packet, from) => onPacket(packet, from.address, from.port));
      resolve(mediaSocket(socket));
    });
  });

function mediaSocket(socket: Socket): MediaSocket {
  let open = true;
  return {
    port: socket.address().port,
    send(packet, port, address) {
      if (!open) return;
      try {
        socket.send(packet, port, address);
      } catch {
        // Lost, as if the network had dropped it: a thrown refusal must not end every other call.
      }
    },
    close() {
      if (!open) return;
      open = false;
      socket.close();
    },
  };
}

/**
 * An IP address as the system prints source addresses, so that texts can be compared; undefined when it is none.
 * A zone (`fe80::1%eth0`) is kept.
 */
export function canonicalAddress(text: string): string | undefined {
  if (isIPv4(text)) return text;
  if (!isIPv6(text)) return undefined;
  const [address = "", zone] = text.split("%");
  const canonical = new SocketAddress({ address, family: "ipv6" }).address;
  return zone === undefined ? canonical : `${canonical}%${zone}`;
}
