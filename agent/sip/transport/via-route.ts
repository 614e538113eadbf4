import { canonicalName, header } from "../messages/headers.ts";
import type { SipRequest } from "../messages/message.ts";
import { hasParam, paramValue, withoutParam, withParam } from "../messages/params.ts";
import { splitOutside } from "../messages/syntax.ts";
import { parseVia, printVia, type Via } from "../messages/via.ts";
import type { Endpoint, Protocol } from "./flow.ts";
import { canonicalAddress } from "./ip-address.ts";

/** How a request's top Via learns where it came from, and how a response finds its way by it. */

export function defaultPort(protocol: Protocol): number {
  return protocol === "tls" ? 5061 : 5060;
}

/**
 * Notes in the top Via the address a request came from: `received` when sent-by differs (RFC 3261 §18.2.1), `received`
 * and `rport` when the client asked for it (RFC 3581 §4). What a client wrote there itself does not count, as the
 * response would follow it. False when the top Via cannot be read.
 */
export function stampReceived(request: SipRequest, source: Endpoint): boolean {
  const value = header(request, "Via");
  if (value === undefined) return false;
  const elements = value.includes(",") ? splitOutside(value, ",") : [value];
  const via = parseVia(elements[0] ?? "");
  if (via === undefined) return false;
  const rport = hasParam(via.params, "rport");
  const differs = canonicalAddress(via.host) !== source.address;
  if (!rport && !differs && !hasParam(via.params, "received")) return true;
  let params = via.params;
  params = rport || differs ? withParam(params, "received", source.address) : withoutParam(params, "received");
  if (rport) params = withParam(params, "rport", String(source.port));
  elements[0] = printVia({ ...via, params });
  const index = request.headers.findIndex((line) => canonicalName(line.name) === "Via");
  const line = request.headers[index];
  if (line === undefined) return false;
  request.headers[index] = { name: line.name, value: elements.join(", ") };
  return true;
}

/**
 * Where a response goes by its top Via (RFC 3261 §18.2.2, RFC 3581 §4) over UDP, or where a new connection goes when
 * the request's own is gone. `maddr` is not followed, although §18.2.2 would have it: it serves multicast, which nobody
 * here uses, and lets anybody on the LAN send our responses to a third party. Undefined when the Via names no IP literal: the caller then answers the source.
 */
export function responseTarget(via: Via, protocol: Protocol): Endpoint | undefined {
  const port = via.port ?? defaultPort(protocol);
  const address = canonicalAddress(paramValue(via.params, "received") ?? "") ?? canonicalAddress(via.host);
  if (address === undefined) return undefined;
  // rport is the far end of the connection that is gone, so it says nothing about a new one.
  const rport = protocol === "udp" ? Number(paramValue(via.params, "rport") || Number.NaN) : Number.NaN;
  return { address, port: Number.isInteger(rport) && rport > 0 && rport <= 65535 ? rport : port };
}
