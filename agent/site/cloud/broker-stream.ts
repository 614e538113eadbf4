import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export interface StreamTarget {
  readonly address: string;
  readonly port: number;
  /** Pins the connection to its path. */
  readonly local_address: string | undefined;
  /** Name that the broker's certificate must carry; undefined: no TLS. */
  readonly tls_name: string | undefined;
}

/**
 * Adapter: net and tls. A connection to the broker from the path's own address. The MQTT library's own stream builder
 * drops the local address, and so would let the connection out by another path.
 */
export function openStream(target: StreamTarget): Socket {
  const where = {
    host: target.address,
    port: target.port,
    ...(target.local_address === undefined ? {} : { localAddress: target.local_address }),
  };
  if (target.tls_name === undefined) {
    const socket = connect(where);
    socket.setNoDelay(true);
    return socket;
  }
  return connectTls({ ...where, ...(isIP(target.tls_name) === 0 ? { servername: target.tls_name } : {}) });
}
