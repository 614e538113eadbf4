import type { Clock } from "../../base/clock.ts";
import { SipTransport, type SipTransportOptions } from "./sip-transport.ts";
import { tcpSockets } from "./tcp.ts";
import { tlsSockets } from "./tls.ts";
import type { TlsPolicies } from "./tls-policy.ts";
import { udpSockets } from "./udp.ts";

export interface NetworkTransportOptions extends Pick<SipTransportOptions, "allow" | "limits" | "onHandlerError"> {
  readonly clock: Clock;
  /** Left out: no TLS. */
  readonly tls?: TlsPolicies;
  /** A TLS handshake with somebody who connected came to nothing. */
  onRefused?(address: string, detail: string): void;
}

/** The transport layer over the machine's own sockets. */
export function networkTransport({ tls, onRefused, ...options }: NetworkTransportOptions): SipTransport {
  const secure =
    tls === undefined
      ? undefined
      : tlsSockets({
          clock: options.clock,
          policies: tls,
          refused: ({ address }, detail) => {
            transport.counters.dropped.handshake++;
            onRefused?.(address, detail);
          },
        });
  const transport: SipTransport = new SipTransport({
    ...options,
    datagrams: udpSockets,
    streams: tcpSockets,
    ...(secure === undefined ? {} : { secure }),
  });
  return transport;
}
