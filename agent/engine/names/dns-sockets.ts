/** Adapter: dgram, net. Sockets of the box's DNS: a server on UDP and TCP. */
import { createSocket, type Socket } from "node:dgram";
import { createServer, type Server, type Socket as TcpSocket } from "node:net";
import type { Clock } from "../../base/clock.ts";
import { HoldfastError } from "../../base/errors.ts";

export type Reply = (bytes: Uint8Array) => void;

export interface DnsServerEvents {
  /** Anything a client sent. `limit` is the most bytes it can take back. */
  query(bytes: Uint8Array, source: string, protocol: "udp" | "tcp", reply: Reply): void;
  /** Whether a TCP connection is let in at all. */
  admits(source: string): boolean;
}

export interface DnsServer {
  readonly port: number;
  close(): Promise<void>;
}

const TCP_CONNECTIONS = 32;
const TCP_LIFE_MS = 10_000;
const MAX_QUERY_BYTES = 4_096;

/** Rejects with `sip.listen` when the port cannot be had. Port 0 takes a free one, the same for both. */
export async function openDnsServer(
  clock: Clock,
  address: string,
  port: number,
  events: DnsServerEvents,
): Promise<DnsServer> {
  const udp = createSocket({ type: address.includes(":") ? "udp6" : "udp4" });
  try {
    await new Promise<void>((resolve, reject) => {
      udp.once("error", reject);
      udp.bind({ address, port }, () => {
        udp.off("error", reject);
        resolve();
      });
    });
    udp.on("error", () => {});
    udp.on("message", (bytes, from) =>
      events.query(bytes, from.address, "udp", (answer) => udp.send(answer, from.port, from.address, () => {})),
    );
    const bound = udp.address().port;
    const server = await listenTcp(clock, address, bound, events);
    return { port: bound, close: () => closeBoth(udp, server) };
  } catch (error) {
    udp.close();
    const detail = error instanceof Error ? error.message : String(error);
    throw new HoldfastError("sip.listen", `DNS ${address}:${port}: ${detail}`, error);
  }
}

async function listenTcp(clock: Clock, address: string, port: number, events: DnsServerEvents): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    const source = socket.remoteAddress;
    if (source === undefined || !events.admits(source)) {
      socket.destroy();
      return;
    }
    // One question with its answer is all a phone needs a connection for.
    const limit = clock.after(TCP_LIFE_MS, () => socket.destroy());
    socket.on("close", () => limit.cancel());
    serveStream(socket, source, events);
  });
  server.maxConnections = TCP_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: address, port }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  server.on("error", () => {});
  return server;
}

/** Two bytes of length before each message (RFC 1035 §4.2.2). */
function serveStream(socket: TcpSocket, source: string, events: DnsServerEvents): void {
  let held = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    held = Buffer.concat([held, chunk]);
    while (held.length >= 2) {
      const length = held.readUInt16BE(0);
      if (length > MAX_QUERY_BYTES) {
        socket.destroy();
        return;
      }
      if (held.length < 2 + length) return;
      const query = held.subarray(2, 2 + length);
      held = held.subarray(2 + length);
      events.query(query, source, "tcp", (answer) => {
        const head = Buffer.alloc(2);
        head.writeUInt16BE(answer.length, 0);
        if (socket.writable) socket.write(Buffer.concat([head, answer]));
      });
    }
  });
}

async function closeBoth(udp: Socket, server: Server): Promise<void> {
  udp.close();
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
