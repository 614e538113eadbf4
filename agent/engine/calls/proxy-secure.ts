import { buildResponse } from "../../sip/messages/build.ts";
import type { SipRequest, SipResponse } from "../../sip/messages/message.ts";
import { parseUri } from "../../sip/messages/uri.ts";
import type { Flow } from "../../sip/transport/flow.ts";

/**
 * `sips` through a proxy (RFC 3261 §16.6, §26.2.2; RFC 5630 §5.3): who dials it wants TLS on every hop and is told when
 * there is none, rather than overheard. Not so for 911, which never comes here: there the call counts, by any way.
 */

export function wantsTls({ uri }: SipRequest): boolean {
  return parseUri(uri)?.scheme === "sips";
}

/** 480 with warning 380, "SIPS Not Allowed": the next hop speaks no TLS. */
export function sipsNotAllowed(request: SipRequest): SipResponse {
  return buildResponse(request, 480, { headers: [{ name: "Warning", value: '380 holdfast "SIPS Not Allowed"' }] });
}

/** A Record-Route URI of ours for a request to a `sips` URI, on a side that is TLS (§16.6 step 4). */
export function recordRouteUri(uri: string, request: SipRequest, { protocol }: Pick<Flow, "protocol">): string {
  if (protocol !== "tls" || !wantsTls(request)) return uri;
  return uri.replace(/^sip:/, "sips:").replace(";transport=tls", "");
}
