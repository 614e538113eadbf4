import { buildResponse } from "../sip/messages/build.ts";
import type { SipRequest, SipResponse } from "../sip/messages/message.ts";
import type { SipUri } from "../sip/messages/uri.ts";
import type { Flow } from "../sip/transport/flow.ts";

/** What is different while there is no site file. */
export interface Unconfigured {
  /**
   * The site process may still bring one. What a phone repeats by itself is left alone until then: the answer to a
   * REGISTER could only be a refusal, for which many phones stay away for a minute, and a 911 call taken now would not
   * know of the trunks that come with the site file.
   */
  waits(): boolean;
  /**
   * A phone names a server to the outside. True when a new engine is about to serve that one too and the phone's
   * repetition will find it, so that this request is to be left alone.
   */
  learn(server: SipUri, flow: Flow): boolean;
  /** Over a connection a phone repeats nothing: its request is put aside for the engine with the site file, or until the wait is over. */
  hold(request: SipRequest, flow: Flow): void;
}

/**
 * What is said to a phone that would have to prove itself while there is no site file: no secret is known, so a challenge,
 * in a realm that could only be made up, would make the phone give up. With 503 it asks its next server, or us again;
 * without Retry-After, for which a phone would send us no 911 call either (RFC 3261 §21.5.4).
 */
export function withoutSiteFile(request: SipRequest): SipResponse {
  return buildResponse(request, 503);
}
