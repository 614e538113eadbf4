import { header } from "../messages/headers.ts";
import type { SipRequest, SipResponse } from "../messages/message.ts";
import { tagOf } from "../messages/name-addr.ts";
import { paramValue } from "../messages/params.ts";
import { topVia, type Via } from "../messages/via.ts";

/** Keys by which messages find their transaction. A line feed, which no header value holds, parts their pieces. */

export const MAGIC_COOKIE = "z9hG4bK";

/** Whether a branch tells transactions apart. The cookie alone does not (RFC 4475 §3.2.1). */
export function isUniqueBranch(branch: string | undefined): branch is string {
  return branch !== undefined && branch.length > MAGIC_COOKIE.length && branch.startsWith(MAGIC_COOKIE);
}

/** Of a client transaction: branch of the top Via and method of CSeq (RFC 3261 §17.1.3). */
export function clientKey(branch: string, method: string): string {
  return `${branch}\n${method}`;
}

/** The key of the client transaction a response belongs to, by its top Via; undefined without a branch. */
export function keyOfResponse(response: SipResponse, method: string): string | undefined {
  const via = topVia(response);
  const branch = via === undefined ? undefined : paramValue(via.params, "branch");
  return branch === undefined ? undefined : clientKey(branch, method);
}

/**
 * Of a server transaction: branch, sent-by and method (§17.2.3). `method` is the transaction's: "INVITE" also for an
 * ACK, and for a CANCEL when it looks for what it cancels. A client of RFC 2543, whose branch does not begin with the
 * cookie, is known by Request-URI, From tag, Call-ID, CSeq number and top Via; its To tag counts unless an ACK or a
 * CANCEL looks for an INVITE, as the ACK's is the response's.
 */
export function serverKey(request: SipRequest, via: Via, method: string): string {
  const branch = paramValue(via.params, "branch");
  if (isUniqueBranch(branch)) {
    return `${branch}\n${via.host.toLowerCase()}\n${via.port ?? ""}\n${method}`;
  }
  const sequence = (header(request, "CSeq") ?? "").split(/[ \t]/, 1)[0] ?? "";
  return [
    "2543",
    request.uri,
    tagOf(request, "From") ?? "",
    method === "INVITE" ? "" : (tagOf(request, "To") ?? ""),
    header(request, "Call-ID") ?? "",
    sequence,
    `${via.transport} ${via.host.toLowerCase()}:${via.port ?? ""} ${branch ?? ""}`,
    method,
  ].join("\n");
}
