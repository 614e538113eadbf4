import { headerValues } from "../../sip/messages/headers.ts";
import type { SipResponse } from "../../sip/messages/message.ts";

/**
 * The best of the final responses of all branches (RFC 3261 §16.7 step 6): a 6xx ends the search; else the lowest class,
 * and among 4xx those that tell the caller how to try again. Undefined when there is none. A 503 goes on as a 500: with
 * a 503 the box would say that it serves nobody itself, and a phone that heeds its Retry-After (§21.5.4) would send it
 * nothing meanwhile, no 911 call either.
 */
export function bestResponse(responses: readonly SipResponse[]): SipResponse | undefined {
  const best = responses.reduce<SipResponse | undefined>(
    (least, each) => (least === undefined || rank(each.status) < rank(least.status) ? each : least),
    undefined,
  );
  if (best?.status === 503) return { ...best, status: 500 };
  return best === undefined ? undefined : withAllChallenges(best, responses);
}

/** Tell the caller what to change: credentials, media type, extension, more digits (§16.7 step 6). */
const HELPFUL: ReadonlySet<number> = new Set([401, 407, 415, 420, 484]);

function rank(status: number): number {
  if (status >= 600) return 0;
  const base = Math.floor(status / 100) * 1000;
  // A 503 says "not through this server", so anything that a callee said goes before it; a 408 says least.
  if (status === 503) return base + 999;
  if (status === 408) return base + 998;
  return HELPFUL.has(status) ? base : base + 1 + (status % 100);
}

/** §16.7 step 7: a 401 or 407 carries the challenges of all branches, so that one retry answers them all. */
function withAllChallenges(best: SipResponse, responses: readonly SipResponse[]): SipResponse {
  if (best.status !== 401 && best.status !== 407) return best;
  const headers = [...best.headers];
  for (const other of responses) {
    if (other === best || (other.status !== 401 && other.status !== 407)) continue;
    for (const name of ["WWW-Authenticate", "Proxy-Authenticate"]) {
      for (const value of headerValues(other, name)) headers.push({ name, value });
    }
  }
  return { ...best, headers };
}
