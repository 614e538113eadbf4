import { unlinkSync } from "node:fs";
import { connect, createServer } from "node:net";

/**
 * Adapter: a Unix socket. Two sets of processes on the same directories would take each other's sockets, journals and
 * database away, so whoever starts them holds this socket for as long as they run. Resolves with false when somebody
 * else holds it already; a socket left behind by a kill does not count.
 */
export async function holdAlone(socket_path: string): Promise<boolean> {
  if (await answers(socket_path)) return false;
  try {
    unlinkSync(socket_path);
  } catch {
    // There was none.
  }
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(false);
      else reject(error);
    });
    server.listen(socket_path, () => resolve(true));
    server.unref();
  });
}

function answers(socket_path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socket_path);
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}
