import { buildRequest, type RequestParts } from "../messages/build.ts";
import { callIdOf, cseqOf, header, headerList } from "../messages/headers.ts";
import type { SipMessage, SipRequest, SipResponse } from "../messages/message.ts";
import { type NameAddr, parseNameAddr, printNameAddr, tagOf } from "../messages/name-addr.ts";
import { hasParam, withoutParam, withParam } from "../messages/params.ts";
import { asRequestUri, parseUri } from "../messages/uri.ts";

/**
 * A dialog (RFC 3261 §12) as plain data: it goes through JSON unharmed. Nothing changes in place; what moves a dialog on
 * returns the new one.
 */
export interface Dialog {
  readonly callId: string;
  readonly localTag: string;
  /** Empty when the peer, of RFC 2543, sent none. */
  readonly remoteTag: string;
  /** Our From or To as name-addr without its tag. */
  readonly local: string;
  readonly remote: string;
  /** URI of the peer's latest Contact. */
  readonly remoteTarget: string;
  /** Route elements, the next hop first, as name-addr. */
  readonly routeSet: readonly string[];
  /** CSeq number of our latest request; absent before the first. */
  readonly localSeq?: number;
  /** CSeq number of the peer's latest request; absent before the first. */
  readonly remoteSeq?: number;
  readonly secure: boolean;
  readonly state: "early" | "confirmed" | "terminated";
}

/** Names a dialog among all of this side (§12): Call-ID, local tag and remote tag. */
export function dialogId(dialog: Pick<Dialog, "callId" | "localTag" | "remoteTag">): string {
  return `${dialog.callId}\n${dialog.localTag}\n${dialog.remoteTag}`;
}

/** The id of the dialog that a message we received belongs to; undefined when its headers cannot be read. */
export function dialogIdOf(received: SipMessage): string | undefined {
  const callId = callIdOf(received);
  if (callId === undefined) return undefined;
  const to = tagOf(received, "To") ?? "";
  const from = tagOf(received, "From") ?? "";
  return received.kind === "request"
    ? dialogId({ callId, localTag: to, remoteTag: from })
    : dialogId({ callId, localTag: from, remoteTag: to });
}

/**
 * The dialog that our response makes at the UAS (§12.1.1): early by a 101–199, confirmed by a 2xx. `tls`: the request
 * came over TLS. Undefined when the two make none (no To tag, no readable Contact, other status).
 */
export function fromUas(request: SipRequest, response: SipResponse, tls = false): Dialog | undefined {
  const remoteSeq = cseqOf(request)?.seq;
  const base = ends(response, "To", "From");
  const remoteTarget = contactOf(request);
  const state = stateBy(response);
  if (base === undefined || remoteTarget === undefined || state === undefined || remoteSeq === undefined) {
    return undefined;
  }
  if (base.localTag === "") return undefined;
  return {
    ...base,
    remoteTarget,
    routeSet: headerList(request, "Record-Route"),
    remoteSeq,
    secure: isSecure(request, tls),
    state,
  };
}

/**
 * The dialog that a response makes at the UAC (§12.1.2). `tls`: the request went over TLS. Undefined when it makes none
 * (100, a provisional without To tag, no readable Contact, other status).
 */
export function fromUac(request: SipRequest, response: SipResponse, tls = false): Dialog | undefined {
  const localSeq = cseqOf(request)?.seq;
  const base = ends(response, "From", "To");
  const remoteTarget = contactOf(response);
  const state = stateBy(response);
  if (base === undefined || remoteTarget === undefined || state === undefined || localSeq === undefined) {
    return undefined;
  }
  if (base.localTag === "" || (base.remoteTag === "" && state === "early")) return undefined;
  return {
    ...base,
    remoteTarget,
    routeSet: headerList(response, "Record-Route").reverse(),
    localSeq,
    secure: isSecure(request, tls),
    state,
  };
}

/**
 * The 2xx came or went: confirmed. At the UAC it is given, as route set and target are computed anew by it
 * (§13.2.2.4): a 2xx may come another way than the provisional did.
 */
export function confirm(dialog: Dialog, received?: SipResponse): Dialog {
  if (dialog.state !== "early") return dialog;
  if (received === undefined) return { ...dialog, state: "confirmed" };
  return {
    ...dialog,
    routeSet: headerList(received, "Record-Route").reverse(),
    remoteTarget: contactOf(received) ?? dialog.remoteTarget,
    state: "confirmed",
  };
}

export function terminate(dialog: Dialog): Dialog {
  return { ...dialog, state: "terminated" };
}

/** Takes the peer's new target from a 2xx to our re-INVITE, UPDATE or SUBSCRIBE (§12.2.1.2). */
export function refresh(dialog: Dialog, received: SipResponse): Dialog {
  if (received.status < 200 || received.status >= 300) return dialog;
  const remoteTarget = contactOf(received);
  return remoteTarget === undefined ? dialog : { ...dialog, remoteTarget };
}

/** Requests whose Contact is the peer's new target: RFC 3261 §12.2, RFC 3311, RFC 6665, RFC 3515. */
const TARGET_REFRESH: ReadonlySet<string> = new Set(["INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"]);

export type Acceptance =
  | { readonly ok: true; readonly dialog: Dialog }
  /** Out of order: to be answered with this status (§12.2.2). */
  | { readonly ok: false; readonly status: 400 | 500 };

/** Takes a request of the peer within the dialog (§12.2.2). ACK and CANCEL bear an old number by right. */
export function accept(dialog: Dialog, request: SipRequest): Acceptance {
  const cseq = cseqOf(request);
  if (cseq === undefined) return { ok: false, status: 400 };
  if (request.method === "ACK" || request.method === "CANCEL") return { ok: true, dialog };
  if (dialog.remoteSeq !== undefined && cseq.seq < dialog.remoteSeq) return { ok: false, status: 500 };
  const remoteTarget = TARGET_REFRESH.has(request.method) ? contactOf(request) : undefined;
  return {
    ok: true,
    dialog: { ...dialog, remoteSeq: cseq.seq, remoteTarget: remoteTarget ?? dialog.remoteTarget },
  };
}

/** What a request within a dialog may add to what the dialog says. */
export type InDialogParts = Pick<RequestParts, "contact" | "maxForwards" | "headers" | "body" | "contentType">;

/**
 * Our next request within the dialog (§12.2.1.1) and the dialog with its CSeq counted on. Not for ACK and CANCEL: see
 * {@link newAck}, and `cancel` of the transaction.
 */
export function newRequest(
  dialog: Dialog,
  method: string,
  parts: InDialogParts = {},
): { readonly dialog: Dialog; readonly request: SipRequest } {
  const cseq = (dialog.localSeq ?? 0) + 1;
  return { dialog: { ...dialog, localSeq: cseq }, request: inDialog(dialog, method, cseq, parts) };
}

/** The ACK to a 2xx (§13.2.2.4): `cseq` is the INVITE's number. Credentials of the INVITE go into `parts`. */
export function newAck(dialog: Dialog, cseq: number, parts: InDialogParts = {}): SipRequest {
  return inDialog(dialog, "ACK", cseq, parts);
}

/** URI of the hop that requests of this dialog go to first (§8.1.2). */
export function nextHop(dialog: Dialog): string {
  const [first] = dialog.routeSet;
  return (first === undefined ? undefined : parseNameAddr(first)?.uri) ?? dialog.remoteTarget;
}

function inDialog(dialog: Dialog, method: string, cseq: number, parts: InDialogParts): SipRequest {
  const [first, ...rest] = dialog.routeSet;
  let uri = dialog.remoteTarget;
  let route = dialog.routeSet;
  const firstUri = first === undefined ? undefined : parseNameAddr(first)?.uri;
  if (firstUri !== undefined && !isLoose(firstUri)) {
    // A strict router of RFC 2543 wants to stand in the Request-URI itself, and the target comes last.
    uri = asRequestUri(firstUri);
    route = [...rest, `<${dialog.remoteTarget}>`];
  }
  return buildRequest({
    ...parts,
    method,
    uri,
    from: withTag(dialog.local, dialog.localTag),
    to: withTag(dialog.remote, dialog.remoteTag),
    callId: dialog.callId,
    cseq,
    route,
  });
}

function isLoose(uri: string): boolean {
  const parsed = parseUri(uri);
  return parsed !== undefined && hasParam(parsed.params, "lr");
}

function withTag(address: string, tag: string): NameAddr | string {
  const parsed = parseNameAddr(address);
  if (tag === "" || parsed === undefined) return address;
  return { ...parsed, params: withParam(parsed.params, "tag", tag) };
}

function ends(
  response: SipResponse,
  local: "From" | "To",
  remote: "From" | "To",
): Pick<Dialog, "callId" | "localTag" | "remoteTag" | "local" | "remote"> | undefined {
  const callId = callIdOf(response);
  const localEnd = withoutTag(response, local);
  const remoteEnd = withoutTag(response, remote);
  if (callId === undefined || localEnd === undefined || remoteEnd === undefined) return undefined;
  return {
    callId,
    localTag: tagOf(response, local) ?? "",
    remoteTag: tagOf(response, remote) ?? "",
    local: localEnd,
    remote: remoteEnd,
  };
}

function withoutTag(message: SipMessage, name: "From" | "To"): string | undefined {
  const parsed = parseNameAddr(header(message, name) ?? "");
  return parsed === undefined ? undefined : printNameAddr({ ...parsed, params: withoutParam(parsed.params, "tag") });
}

function contactOf(message: SipMessage): string | undefined {
  return parseNameAddr(headerList(message, "Contact")[0] ?? "")?.uri;
}

function stateBy({ status }: SipResponse): "early" | "confirmed" | undefined {
  if (status > 100 && status < 200) return "early";
  return status >= 200 && status < 300 ? "confirmed" : undefined;
}

function isSecure(request: SipRequest, tls: boolean): boolean {
  return tls && /^sips:/i.test(request.uri);
}

const TEXTS = ["callId", "localTag", "remoteTag", "local", "remote", "remoteTarget"] as const;

/** Reads a dialog back from parsed JSON; undefined when it is none. */
export function dialogFromJson(value: unknown): Dialog | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const data: Readonly<Record<string, unknown>> = { ...value };
  const { routeSet, localSeq, remoteSeq, secure, state } = data;
  const [callId, localTag, remoteTag, local, remote, remoteTarget] = TEXTS.map((key) => data[key]);
  if (typeof callId !== "string" || typeof localTag !== "string" || typeof remoteTag !== "string") return undefined;
  if (typeof local !== "string" || typeof remote !== "string" || typeof remoteTarget !== "string") return undefined;
  if (!Array.isArray(routeSet) || !routeSet.every((route) => typeof route === "string")) return undefined;
  if (!isSeq(localSeq) || !isSeq(remoteSeq) || typeof secure !== "boolean") return undefined;
  if (state !== "early" && state !== "confirmed" && state !== "terminated") return undefined;
  return {
    callId,
    localTag,
    remoteTag,
    local,
    remote,
    remoteTarget,
    routeSet,
    ...(localSeq === undefined ? {} : { localSeq }),
    ...(remoteSeq === undefined ? {} : { remoteSeq }),
    secure,
    state,
  };
}

function isSeq(value: unknown): value is number | undefined {
  return value === undefined || (typeof value === "number" && Number.isInteger(value) && value >= 0);
}
