import type { Clock } from "../../base/clock.ts";
import { SipTransport, type SipTransportOptions } from "./sip-transport.ts";
import { tcpSockets } from "./tcp.ts";
import { udpSockets } from "./udp.ts";

/** The transport layer over the machine's own sockets. */
export function networkTransport(
  options: { readonly clock: Clock } & Pick<SipTransportOptions, "allow" | "limits" | "onHandlerError">,
): SipTransport {
  return new SipTransport({ ...options, datagrams: udpSockets, streams: tcpSockets });
}
