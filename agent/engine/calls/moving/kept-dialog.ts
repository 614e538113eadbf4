import { type Dialog, fromUac, fromUas } from "../../../sip/dialogs/dialog.ts";
import { cseqOf, header, headerList, removeHeader, setHeader } from "../../../sip/messages/headers.ts";
import type { SipRequest, SipResponse } from "../../../sip/messages/message.ts";
import { parseNameAddr, printNameAddr, tagOf } from "../../../sip/messages/name-addr.ts";
import { withParam } from "../../../sip/messages/params.ts";
import { sdpOf, withSdp } from "../../../sip/messages/sdp.ts";
import type { Destination } from "../../../sip/transport/flow.ts";
import { type CseqOffset, NO_OFFSET, ofInvite, passOn } from "./cseq-offset.ts";
import { raiseVersion } from "./session-version.ts";

/** Which way a message goes: from the phone to the trunk, or from the trunk to the phone. */
export type Way = "out" | "in";

/**
 * An answered call between a phone and a trunk that the box forwards, as far as the box must know it to put in requests
 * of its own. Plain data: it goes through JSON unharmed; nothing changes in place.
 */
export interface KeptDialog {
  readonly v: 1;
  readonly leg: string;
  /** The trunk over which it was set up. */
  readonly trunk: string;
  /** Where the phone is. */
  readonly phone: Destination;
  readonly phone_called: boolean;
  /** The box in the phone's place, towards the far end. */
  readonly far: Dialog;
  /** The box in the far end's place, towards the phone. */
  readonly near: Dialog;
  readonly out: CseqOffset;
  readonly in: CseqOffset;
  /** The description that the far end got last, as it got it. */
  readonly sdp?: string;
  /** What the far end counts with again, should it refuse the offer that is open. */
  readonly sdp_before?: string;
  /** Offers that the box put in: so much are versions in o= raised. */
  readonly raised: number;
  /** Where the far end was told that the phone is, after a move. */
  readonly contact?: string;
  /** `far` has taken the place of the dialog that the phone knows: its names are given to every message. */
  readonly replaced?: boolean;
}

/** What is known of a call before its answer: the INVITE, as it came and as it went on. */
export interface BegunDialog {
  readonly leg: string;
  readonly trunk: string;
  readonly phone: Destination;
  readonly phone_called: boolean;
  readonly received: SipRequest;
  readonly sent: SipRequest;
}

const TARGET_REFRESH: ReadonlySet<string> = new Set(["INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"]);

/**
 * The 2xx that answers the call: `received` as it came, `sent` as it goes back. `isOurs` knows the Record-Route elements
 * of this leg. Undefined when the two make no dialog.
 */
export function confirmed(
  begun: BegunDialog,
  received: SipResponse,
  sent: SipResponse,
  isOurs: (element: string) => boolean,
): KeptDialog | undefined {
  const towardsCaller = fromUas(begun.received, sent);
  const towardsCallee = fromUac(begun.sent, received);
  const seq = cseqOf(begun.sent)?.seq;
  if (towardsCaller === undefined || towardsCallee === undefined || seq === undefined) return undefined;
  const callee = { ...towardsCallee, routeSet: behindOurs(towardsCallee.routeSet, isOurs) };
  const invited: CseqOffset = { peer: seq, sent: seq, offset: 0, invites: [{ peer: seq, sent: seq }] };
  const { leg, trunk, phone, phone_called } = begun;
  const sdp = sdpOf(phone_called ? sent : begun.sent);
  return {
    v: 1,
    leg,
    trunk,
    phone,
    phone_called,
    far: phone_called ? towardsCaller : callee,
    near: phone_called ? callee : towardsCaller,
    out: phone_called ? NO_OFFSET : invited,
    in: phone_called ? invited : NO_OFFSET,
    ...(sdp === undefined ? {} : { sdp }),
    raised: 0,
  };
}

function behindOurs(routes: readonly string[], isOurs: (element: string) => boolean): readonly string[] {
  return routes.slice(routes.findLastIndex(isOurs) + 1);
}

/** Whether a request belongs to this dialog and not to another fork of the same call. */
export function isOfDialog({ near, far }: KeptDialog, way: Way, request: SipRequest): boolean {
  const [from, to] = [tagOf(request, "From"), tagOf(request, "To")];
  return way === "out"
    ? from === near.remoteTag && to === near.localTag
    : from === far.remoteTag && to === far.localTag;
}

/** A request of one side as it has to go on to the other, and the dialog after it. */
export function passRequest(
  kept: KeptDialog,
  way: Way,
  request: SipRequest,
): { readonly kept: KeptDialog; readonly request: SipRequest } {
  const cseq = cseqOf(request);
  if (cseq === undefined) return { kept, request };
  const numbered = passOn(kept[way], request.method, cseq.seq);
  let copy = request;
  if (numbered.cseq !== cseq.seq) {
    copy = { ...request, headers: [...request.headers] };
    setHeader(copy, "CSeq", `${numbered.cseq} ${request.method}`);
  }
  copy = withRack(kept[way], copy);
  if (kept.replaced) copy = renamed(kept, way, copy);
  let after: KeptDialog = way === "out" ? { ...kept, out: numbered.state } : { ...kept, in: numbered.state };
  after = withTarget(after, way, request.method, headerList(request, "Contact")[0]);
  return way === "out" ? describe(after, copy) : { kept: after, request: copy };
}

/** RFC 3262 §7.2: RAck names the INVITE by its number. */
function withRack(numbers: CseqOffset, request: SipRequest): SipRequest {
  if (request.method !== "PRACK") return request;
  const rack = /^\s*([0-9]+)\s+([0-9]+)\s+(\S+)\s*$/.exec(headerList(request, "RAck")[0] ?? "");
  if (rack === null) return request;
  const sent = ofInvite(numbers, Number(rack[2]));
  if (sent === Number(rack[2])) return request;
  const copy: SipRequest = { ...request, headers: [...request.headers] };
  setHeader(copy, "RAck", `${rack[1]} ${sent} ${rack[3]}`);
  return copy;
}

/** A request of one dialog as one of the other: Call-ID and tags and, towards the far end, target and route. */
function renamed({ near, far }: KeptDialog, way: Way, request: SipRequest): SipRequest {
  const to = way === "out" ? far : near;
  const copy: SipRequest = { ...request, headers: [...request.headers] };
  setHeader(copy, "Call-ID", to.callId);
  setHeader(copy, "From", withTag(header(copy, "From") ?? "", to.localTag));
  setHeader(copy, "To", withTag(header(copy, "To") ?? "", to.remoteTag));
  if (way === "in") return copy;
  copy.uri = to.remoteTarget;
  removeHeader(copy, "Route");
  for (const value of [...to.routeSet].reverse()) copy.headers.unshift({ name: "Route", value });
  return copy;
}

function withTag(value: string, tag: string): string {
  const parsed = parseNameAddr(value);
  return parsed === undefined ? value : printNameAddr({ ...parsed, params: withParam(parsed.params, "tag", tag) });
}

/**
 * A response as it has to go back to who sent `received`: it bears that one's number. `way` is the request's; `offered`:
 * the request had a description.
 */
export function passResponse(
  kept: KeptDialog,
  way: Way,
  received: SipRequest,
  response: SipResponse,
): { readonly kept: KeptDialog; readonly response: SipResponse } {
  let copy = response;
  const [theirs, ours] = [cseqOf(received), cseqOf(response)];
  if (theirs !== undefined && ours !== undefined && theirs.seq !== ours.seq) {
    copy = { ...response, headers: [...response.headers] };
    setHeader(copy, "CSeq", `${theirs.seq} ${theirs.method}`);
  }
  if (kept.replaced) {
    copy = { ...copy, headers: [...copy.headers] };
    for (const name of ["Call-ID", "From", "To"]) setHeader(copy, name, header(received, name) ?? "");
  }
  const { status } = response;
  const method = received.method;
  let after = kept;
  if (status >= 200 && status < 300) {
    after = withTarget(after, way === "out" ? "in" : "out", method, headerList(response, "Contact")[0]);
  }
  if (way === "in") {
    const described = describe(after, copy);
    return { kept: described.kept, response: described.request };
  }
  // An offer of the phone that the far end refuses leaves the session as it was (RFC 3261 §14.1).
  const renegotiates = method === "INVITE" || method === "UPDATE";
  if (renegotiates && status >= 300 && after.sdp_before !== undefined) {
    const { sdp_before, ...rest } = after;
    after = { ...rest, sdp: sdp_before };
  } else if (renegotiates && status >= 200 && after.sdp_before !== undefined) {
    const { sdp_before: _, ...rest } = after;
    after = rest;
  }
  return { kept: after, response: copy };
}

/** What the far end is told of the phone's side: kept, with its version raised behind the box's own offers. */
function describe<M extends SipRequest | SipResponse>(
  kept: KeptDialog,
  message: M,
): { readonly kept: KeptDialog; readonly request: M } {
  const sdp = message.body.length === 0 ? undefined : sdpOf(message);
  if (sdp === undefined) return { kept, request: message };
  const raised = raiseVersion(sdp, kept.raised);
  const isOffer = message.kind === "request" && message.method !== "ACK";
  const before = isOffer && kept.sdp !== undefined ? { sdp_before: kept.sdp_before ?? kept.sdp } : {};
  return {
    kept: { ...kept, ...before, sdp: raised },
    request: raised === sdp ? message : withSdp(message, raised),
  };
}

/** RFC 3261 §12.2: a Contact in a request that refreshes the target, or in the 2xx to one, is where its sender is now. */
function withTarget(kept: KeptDialog, way: Way, method: string, contact: string | undefined): KeptDialog {
  if (contact === undefined || !TARGET_REFRESH.has(method)) return kept;
  const target = parseNameAddr(contact)?.uri;
  if (target === undefined) return kept;
  return way === "out"
    ? { ...kept, near: { ...kept.near, remoteTarget: target } }
    : { ...kept, far: { ...kept.far, remoteTarget: target } };
}

/**
 * The other passage of a call between two phones of this box (phone → box → PBX → box → phone): the same dialog, seen
 * from the other end. Undefined where a B2BUA has made two calls of it, or the other phone is elsewhere.
 */
export function pairOf({ leg, near }: KeptDialog, all: Iterable<KeptDialog>): KeptDialog | undefined {
  for (const other of all) {
    if (other.leg === leg || other.near.callId !== near.callId) continue;
    if (other.near.localTag === near.remoteTag && other.near.remoteTag === near.localTag) return other;
  }
  return undefined;
}
