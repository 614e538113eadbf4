import { header } from "../../sip/messages/headers.ts";
import type { SipRequest } from "../../sip/messages/message.ts";

/** Marked as a PSAP's callback (RFC 7090): no refusal for extensions, bodies or the like may keep it from the caller. */
export function isPsapCallback(request: SipRequest): boolean {
  return /^\s*psap-callback\s*$/i.test(header(request, "Priority") ?? "");
}
