import { cseqOf, header, headerValues, removeFirst, removeHeader, setHeader } from "../sip/messages/headers.ts";
import type { SipMessage, SipRequest, SipResponse } from "../sip/messages/message.ts";
import { tagOf } from "../sip/messages/name-addr.ts";
import { firstElement } from "../sip/messages/syntax.ts";

/** What every request and response undergoes on its way through a proxy (RFC 3261 §16.6, §16.7). */

/** A copy that may be changed without touching the one received. */
export function copyRequest(request: SipRequest): SipRequest {
  return { ...request, headers: [...request.headers] };
}

const DEFAULT_MAX_FORWARDS = 70;

/** §16.6 step 3: one hop less. False when none is left. */
export function takeHop(request: SipRequest): boolean {
  const text = header(request, "Max-Forwards")?.trim();
  const left = text !== undefined && /^[0-9]{1,9}$/.test(text) ? Number(text) : DEFAULT_MAX_FORWARDS;
  if (left <= 0) return false;
  setHeader(request, "Max-Forwards", String(Math.min(left, 255) - 1));
  return true;
}

/** The top Route element, or undefined. */
export function topRoute(request: SipRequest): string | undefined {
  for (const value of headerValues(request, "Route")) {
    const { first } = firstElement(value);
    if (first !== "") return first;
  }
  return undefined;
}

/** A response for the next hop back: a copy without our Via (§16.7 step 3). Undefined when no other is left. */
export function withoutOurVia(response: SipResponse): SipResponse | undefined {
  const copy: SipResponse = { ...response, headers: [...response.headers] };
  removeFirst(copy, "Via");
  return header(copy, "Via") === undefined ? undefined : copy;
}

/**
 * Takes out what only somebody who is trusted may assert (RFC 3325 §5, §9.1): between two phones no cloud stands that
 * knows who is who, and a phone's word about itself is not passed off as anybody's proof.
 */
export function dropAssertions(message: SipMessage): void {
  for (const name of ["P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID"]) removeHeader(message, name);
}

/** Whether To has a tag: as a parameter of its own, not as text within another one's quotes. */
export function isInDialog(request: SipRequest): boolean {
  // Most have none, and are not taken apart for it.
  return /tag/i.test(header(request, "To") ?? "") && tagOf(request, "To") !== undefined;
}

export function methodOf(response: SipResponse): string | undefined {
  return cseqOf(response)?.method;
}
