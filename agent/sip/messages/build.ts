import { token } from "../../base/ids.ts";
import { header, headerValues } from "./headers.ts";
import type { Header, SipRequest, SipResponse } from "./message.ts";
import { type NameAddr, parseNameAddr, printNameAddr, tagOf } from "./name-addr.ts";
import { printParams, withParam } from "./params.ts";
import { printVia, topVia, type Via } from "./via.ts";
import { encodeText } from "./wire-text.ts";

/** What both kinds of message may carry besides their own parts. */
interface Content {
  /** Added after the headers that the builder makes, in their order. */
  readonly headers?: readonly Header[];
  readonly body?: Uint8Array | string;
  /** Content-Type of `body`. */
  readonly contentType?: string;
}

export interface RequestParts extends Content {
  readonly method: string;
  readonly uri: string;
  readonly from: NameAddr | string;
  readonly to: NameAddr | string;
  readonly callId: string;
  /** CSeq number. */
  readonly cseq: number;
  /** The client transaction adds it where it is missing. */
  readonly via?: Via | string;
  /** Default 70 (RFC 3261 §8.1.1.6). */
  readonly maxForwards?: number;
  /** Route elements from the top. */
  readonly route?: readonly (NameAddr | string)[];
  readonly contact?: NameAddr | string;
}

function address(value: NameAddr | string): string {
  return typeof value === "string" ? value : printNameAddr(value);
}

function contentOf({ headers, body, contentType }: Content): { headers: Header[]; body: Uint8Array } {
  const out = [...(headers ?? [])];
  if (contentType !== undefined) out.push({ name: "Content-Type", value: contentType });
  const bytes = typeof body === "string" ? encodeText(body) : (body ?? new Uint8Array(0));
  out.push({ name: "Content-Length", value: String(bytes.length) });
  return { headers: out, body: bytes };
}

/** A request by RFC 3261 §8.1.1. */
export function buildRequest(parts: RequestParts): SipRequest {
  const headers: Header[] = [];
  const add = (name: string, value: string) => headers.push({ name, value });
  if (parts.via !== undefined) add("Via", typeof parts.via === "string" ? parts.via : printVia(parts.via));
  for (const route of parts.route ?? []) add("Route", address(route));
  add("Max-Forwards", String(parts.maxForwards ?? 70));
  add("From", address(parts.from));
  add("To", address(parts.to));
  add("Call-ID", parts.callId);
  add("CSeq", `${parts.cseq} ${parts.method}`);
  if (parts.contact !== undefined) add("Contact", address(parts.contact));
  const content = contentOf(parts);
  return {
    kind: "request",
    method: parts.method,
    uri: parts.uri,
    headers: [...headers, ...content.headers],
    body: content.body,
  };
}

export interface ResponseParts extends Content {
  readonly reason?: string;
  /** To-tag where the request's To has none; made up when not given. Never added to a 100. */
  readonly toTag?: string;
}

/**
 * A response by RFC 3261 §8.2.6: Via, From, To, Call-ID and CSeq of the request, Timestamp in a 100, and Record-Route
 * in what can make a dialog (§12.1.1).
 */
export function buildResponse(request: SipRequest, status: number, parts: ResponseParts = {}): SipResponse {
  const headers: Header[] = [];
  const copy = (name: string) => {
    for (const value of headerValues(request, name)) headers.push({ name, value });
  };
  copy("Via");
  if (status > 100 && status < 300) copy("Record-Route");
  copy("From");
  const to = header(request, "To");
  if (to !== undefined) headers.push({ name: "To", value: status === 100 ? to : withTag(request, to, parts.toTag) });
  copy("Call-ID");
  copy("CSeq");
  if (status === 100) copy("Timestamp");
  const content = contentOf(parts);
  return {
    kind: "response",
    status,
    reason: parts.reason ?? reasonPhrase(status),
    headers: [...headers, ...content.headers],
    body: content.body,
  };
}

function withTag(request: SipRequest, to: string, tag: string | undefined): string {
  if (tagOf(request, "To") !== undefined) return to;
  const parsed = parseNameAddr(to);
  // An unreadable To (the 400 for it) gets its tag as text.
  if (parsed === undefined) return `${to};tag=${tag ?? token()}`;
  return to.trimEnd() + printParams(withParam([], "tag", tag ?? token()));
}

/** The parts that ACK and CANCEL take from the INVITE: one Via, its top one, and Route (§9.1, §17.1.1.3). */
function sameHop(
  invite: SipRequest,
  method: string,
  to: string | undefined,
  headers: readonly Header[] = [],
): SipRequest {
  const out: Header[] = [];
  const via = topVia(invite);
  if (via !== undefined) out.push({ name: "Via", value: printVia(via) });
  for (const value of headerValues(invite, "Route")) out.push({ name: "Route", value });
  out.push({ name: "Max-Forwards", value: "70" });
  out.push({ name: "From", value: header(invite, "From") ?? "" });
  out.push({ name: "To", value: to ?? header(invite, "To") ?? "" });
  out.push({ name: "Call-ID", value: header(invite, "Call-ID") ?? "" });
  const seq = (header(invite, "CSeq") ?? "").split(/[ \t]/)[0] ?? "";
  out.push({ name: "CSeq", value: `${seq} ${method}` });
  out.push(...headers, { name: "Content-Length", value: "0" });
  return { kind: "request", method, uri: invite.uri, headers: out, body: new Uint8Array(0) };
}

/** The ACK to a final response other than 2xx (RFC 3261 §17.1.1.3): To is the response's. */
export function buildAck(invite: SipRequest, response: SipResponse): SipRequest {
  return sameHop(invite, "ACK", header(response, "To"));
}

/** The CANCEL of a request (RFC 3261 §9.1); `headers` may carry a Reason (RFC 3326). */
export function buildCancel(request: SipRequest, headers?: readonly Header[]): SipRequest {
  return sameHop(request, "CANCEL", undefined, headers);
}

/** RFC 3261 §21 and the IANA registry of response codes. */
const REASONS: Readonly<Record<number, string>> = {
  100: "Trying",
  180: "Ringing",
  181: "Call Is Being Forwarded",
  182: "Queued",
  183: "Session Progress",
  199: "Early Dialog Terminated",
  200: "OK",
  202: "Accepted",
  204: "No Notification",
  300: "Multiple Choices",
  301: "Moved Permanently",
  302: "Moved Temporarily",
  305: "Use Proxy",
  380: "Alternative Service",
  400: "Bad Request",
  401: "Unauthorized",
  402: "Payment Required",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  407: "Proxy Authentication Required",
  408: "Request Timeout",
  410: "Gone",
  412: "Conditional Request Failed",
  413: "Request Entity Too Large",
  414: "Request-URI Too Long",
  415: "Unsupported Media Type",
  416: "Unsupported URI Scheme",
  417: "Unknown Resource-Priority",
  420: "Bad Extension",
  421: "Extension Required",
  422: "Session Interval Too Small",
  423: "Interval Too Brief",
  424: "Bad Location Information",
  425: "Bad Alert Message",
  428: "Use Identity Header",
  429: "Provide Referrer Identity",
  430: "Flow Failed",
  433: "Anonymity Disallowed",
  436: "Bad Identity Info",
  437: "Unsupported Credential",
  438: "Invalid Identity Header",
  439: "First Hop Lacks Outbound Support",
  440: "Max-Breadth Exceeded",
  469: "Bad Info Package",
  470: "Consent Needed",
  480: "Temporarily Unavailable",
  481: "Call/Transaction Does Not Exist",
  482: "Loop Detected",
  483: "Too Many Hops",
  484: "Address Incomplete",
  485: "Ambiguous",
  486: "Busy Here",
  487: "Request Terminated",
  488: "Not Acceptable Here",
  489: "Bad Event",
  491: "Request Pending",
  493: "Undecipherable",
  494: "Security Agreement Required",
  500: "Server Internal Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Server Time-out",
  505: "Version Not Supported",
  513: "Message Too Large",
  555: "Push Notification Service Not Supported",
  580: "Precondition Failure",
  600: "Busy Everywhere",
  603: "Decline",
  604: "Does Not Exist Anywhere",
  606: "Not Acceptable",
  607: "Unwanted",
  608: "Rejected",
};

const CLASSES = ["", "Trying", "OK", "Multiple Choices", "Bad Request", "Server Internal Error", "Busy Everywhere"];

/** The registered phrase; for an unknown status that of its class's x00 (RFC 3261 §8.1.3.2). */
export function reasonPhrase(status: number): string {
  return REASONS[status] ?? CLASSES[Math.floor(status / 100)] ?? "Unknown";
}
