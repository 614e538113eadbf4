import { buildResponse } from "../../sip/messages/build.ts";
import { setHeader } from "../../sip/messages/headers.ts";
import type { SipRequest, SipResponse } from "../../sip/messages/message.ts";
import { sdpOf } from "../../sip/messages/sdp.ts";
import { ALLOW } from "./incoming-invite.ts";

/** Seconds after which a request that came too early may be sent again (RFC 3261 §14.2: 0 to 10). */
const AGAIN_AFTER_S = 2;

/**
 * What a request gets in an early dialog of ours, where nobody is there yet to pass it to. `offered_by`: whose offer of
 * the INVITE waits for its answer. Never 481: its sender would take the call itself for gone (RFC 5057 §5.1) and end a
 * 911 call that rings.
 */
export function earlyResponse(request: SipRequest, offered_by: "us" | "peer"): SipResponse {
  // It was sent to our Contact.
  const headers = [{ name: "Contact", value: `<${request.uri}>` }];
  switch (request.method) {
    case "BYE":
      return buildResponse(request, 200);
    case "OPTIONS":
      return buildResponse(request, 200, { headers: [...headers, { name: "Allow", value: ALLOW }] });
    case "PRACK":
      return buildResponse(request, 481);
    case "UPDATE":
      // Without an offer it changes no more than the target, or keeps a session timer (RFC 3311 §5.2).
      if (sdpOf(request) === undefined) return buildResponse(request, 200, { headers });
      return offered_by === "us" ? buildResponse(request, 491) : tooEarly(request);
    case "INVITE":
      return offered_by === "us" ? buildResponse(request, 491) : tooEarly(request);
    default:
      return tooEarly(request);
  }
}

function tooEarly(request: SipRequest): SipResponse {
  const response = buildResponse(request, 500);
  setHeader(response, "Retry-After", String(AGAIN_AFTER_S));
  return response;
}
