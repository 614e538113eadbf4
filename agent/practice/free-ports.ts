import { createSocket } from "node:dgram";
import { createServer, type Server } from "node:net";

/** Adapter: dgram and net. Finds ports of this machine that nobody uses, by binding them for a moment. */
const TRIES = 50;

/** The first port from `wanted` on that is free at this address for UDP and TCP. Rejects when fifty are taken. */
export async function freePort(address: string, wanted: number): Promise<number> {
  for (let port = wanted; port < wanted + TRIES; port++) {
    if ((await udpIsFree(address, port)) && (await tcpIsFree(address, port))) return port;
  }
  throw new Error(`ports ${wanted} to ${wanted + TRIES - 1} of ${address} are all taken`);
}

function udpIsFree(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    socket.once("error", () => {
      socket.close();
      resolve(false);
    });
    socket.bind({ address, port }, () => socket.close(() => resolve(true)));
  });
}

async function tcpIsFree(address: string, port: number): Promise<boolean> {
  const server = await hold(address, port);
  if (server === undefined) return false;
  await new Promise((closed) => server.close(closed));
  return true;
}

/** Keeps a TCP port until the server is closed; undefined when it is taken. */
export function hold(address: string, port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", () => resolve(undefined));
    server.listen({ host: address, port }, () => resolve(server));
  });
}
