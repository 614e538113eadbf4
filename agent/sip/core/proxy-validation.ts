import { buildResponse } from "../messages/build.ts";
import type { SipRequest, SipResponse } from "../messages/message.ts";
import { parseUri, schemeOf } from "../messages/uri.ts";
import { unsupportedTags } from "./uas-inspection.ts";

/** What a proxy understands (RFC 3261 §16.3), in lower case. */
export interface ProxyAbilities {
  /** URI schemes of a Request-URI. */
  readonly schemes: readonly string[];
  /** Option tags that a Proxy-Require may name. */
  readonly extensions: readonly string[];
}

/**
 * The checks of RFC 3261 §16.3 that need nothing but the request: Request-URI (steps 1 and 2) and Proxy-Require (step 5).
 * Max-Forwards (step 3) is counted where the request is copied, loops (step 4) are known to who forwarded before. The
 * response to refuse the request with, or undefined.
 */
export function validateForProxy(request: SipRequest, abilities: ProxyAbilities): SipResponse | undefined {
  if (!abilities.schemes.includes(schemeOf(request.uri) ?? "")) return buildResponse(request, 416);
  // §19.1.1: a Request-URI has no headers. To make a Route of them would let anybody steer the request.
  if ((parseUri(request.uri)?.headers.length ?? 0) > 0) return buildResponse(request, 400);
  const missing = unsupportedTags(request, "Proxy-Require", abilities.extensions);
  if (missing.length === 0) return undefined;
  return buildResponse(request, 420, { headers: [{ name: "Unsupported", value: missing.join(", ") }] });
}
