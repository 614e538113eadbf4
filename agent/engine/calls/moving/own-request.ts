import { token } from "../../../base/ids.ts";
import { type Dialog, fromUac, newAck, newRequest, refresh } from "../../../sip/dialogs/dialog.ts";
import { buildRequest } from "../../../sip/messages/build.ts";
import { header } from "../../../sip/messages/headers.ts";
import type { Header, SipResponse } from "../../../sip/messages/message.ts";
import { parseNameAddr } from "../../../sip/messages/name-addr.ts";
import { editSdp, keepFormats, type MediaTarget, sdpOf } from "../../../sip/messages/sdp.ts";
import type { ClientTransaction } from "../../../sip/transactions/client-transaction.ts";
import type { TransactionLayer } from "../../../sip/transactions/layer.ts";
import type { Flow } from "../../../sip/transport/flow.ts";
import type { Answerer } from "../credentials.ts";
import { inserted } from "./cseq-offset.ts";
import type { KeptDialog } from "./kept-dialog.ts";
import { raiseVersion, versionAhead } from "./session-version.ts";

/** A move is to be heard within three seconds: the first packet may be lost. */
const RETRANSMIT_MS = [150, 400, 900] as const;

/**
 * The description that the far end has of the phone's side, offered again; with `targets` its media goes elsewhere, in
 * the payload types that the two have `agreed` on.
 */
export function offerOf(
  kept: KeptDialog,
  targets: readonly (MediaTarget | undefined)[] | undefined,
  agreed: readonly (readonly string[] | undefined)[] = [],
): string | undefined {
  const sdp = kept.sdp_before ?? kept.sdp;
  if (sdp === undefined || targets === undefined) return sdp;
  // RFC 3264 §8: a changed description has the next version, also behind an offer of the phone that came to nothing.
  const by = 1 + versionAhead(kept.sdp ?? sdp, sdp);
  return keepFormats(editSdp(raiseVersion(sdp, by), targets), agreed);
}

/** The call after an offer of the box's own: it counts with the far end, and no earlier one does. */
export function offered({ sdp_before: _, ...kept }: KeptDialog, sdp: string): KeptDialog {
  return { ...kept, sdp, raised: kept.raised + 1 };
}

/** The next request of the box's own towards the far end, and the call after it. */
export function nextOut(kept: KeptDialog): { readonly dialog: Dialog; readonly kept: (after: Dialog) => KeptDialog } {
  const { sent } = kept.out;
  return {
    dialog: sent === undefined ? kept.far : { ...kept.far, localSeq: sent },
    kept: (far) => ({ ...kept, far, out: inserted(kept.out, far.localSeq ?? 0) }),
  };
}

/** The same towards the phone. */
export function nextIn(kept: KeptDialog): Dialog {
  const { sent } = kept.in;
  return sent === undefined ? kept.near : { ...kept.near, localSeq: sent };
}

interface OwnOffer {
  readonly transactions: TransactionLayer;
  readonly flow: Flow;
  readonly contact: string;
  readonly offer: string;
  readonly answerer: Answerer;
  /** 408 when no answer came, 503 when it could not be sent; 488 for a 2xx without a description. */
  onRefusal(status: number): void;
}

export interface ReInvite extends OwnOffer {
  kept(): KeptDialog | undefined;
  put(kept: KeptDialog): void;
  /** The far end agreed; `sdp` is its description. Has its ACK. Once only. */
  onAnswer(sdp: string): void;
}

export interface Replacement extends OwnOffer {
  /** The dialog whose place the new one takes. */
  readonly far: Dialog;
  /** The far end is in the new dialog now, and has its ACK. Once only. */
  onAnswer(dialog: Dialog, sdp: string): void;
}

/** RFC 3261 §14.2: who has not yet answered the INVITE before says 500, and when to come again: as good as 491. */
function isBusy(response: SipResponse): boolean {
  return response.status === 500 && header(response, "Retry-After") !== undefined;
}

/**
 * A re-INVITE of the box's own in the phone's place. A challenge is answered once, with what the box knows. Every 2xx,
 * repeated ones too, gets its ACK (RFC 3261 §13.2.2.4). Undefined when the call is gone.
 */
export function reInvite(
  ask: ReInvite,
  credentials: readonly Header[] = [],
  sent: (transaction: ClientTransaction) => void = () => {},
): void {
  const kept = ask.kept();
  if (kept === undefined) return;
  const next = nextOut(kept);
  const made = newRequest(next.dialog, "INVITE", {
    contact: `<${ask.contact}>`,
    headers: [...credentials],
    body: ask.offer,
    contentType: "application/sdp",
  });
  const cseq = made.dialog.localSeq ?? 0;
  ask.put(next.kept(made.dialog));
  let done = false;
  const refused = (status: number) => {
    if (done) return;
    done = true;
    ask.onRefusal(status);
  };
  const accepted = (response: SipResponse) => {
    const now = ask.kept();
    // Another dialog may have taken this one's place meanwhile.
    const same = now !== undefined && now.far.callId === made.dialog.callId;
    const dialog = refresh(same ? now.far : made.dialog, response);
    ask.transactions.sendAck(newAck(dialog, cseq, { headers: [...credentials] }), ask.flow);
    if (done) return;
    done = true;
    if (same) ask.put({ ...now, far: dialog });
    const sdp = sdpOf(response);
    if (sdp === undefined) ask.onRefusal(488);
    else ask.onAnswer(sdp);
  };
  sent(
    ask.transactions.request(
      made.request,
      ask.flow,
      {
        onFinal: (response) => {
          if (response.status < 300) {
            accepted(response);
            return;
          }
          const challenged = response.status === 401 || response.status === 407;
          const proof = challenged && credentials.length === 0 ? ask.answerer(response, made.request) : undefined;
          if (proof === undefined || done) refused(isBusy(response) ? 491 : response.status);
          else {
            done = true;
            reInvite(ask, [proof], sent);
          }
        },
        onTimeout: () => refused(408),
        onTransportError: () => refused(503),
      },
      { retransmit_at_ms: RETRANSMIT_MS },
    ),
  );
}

/**
 * INVITE with Replaces (RFC 3891): a new dialog in the place of the one that cannot be moved. Required of the far side, so
 * that one that does not know it refuses and rings nobody; should it ring all the same, it is cancelled.
 */
export function replace(
  ask: Replacement,
  sent: (transaction: ClientTransaction) => void = () => {},
  attempt: {
    readonly uri: string;
    readonly credentials: readonly Header[];
    readonly callId: string;
    readonly tag: string;
    readonly cseq: number;
  } = {
    uri: ask.far.remoteTarget,
    credentials: [],
    callId: token(12),
    tag: token(5),
    cseq: 1,
  },
): void {
  const { far, transactions, flow } = ask;
  const { uri, credentials, callId, tag, cseq } = attempt;
  const request = buildRequest({
    method: "INVITE",
    uri,
    from: `${far.local};tag=${tag}`,
    to: far.remote,
    callId,
    cseq,
    contact: `<${ask.contact}>`,
    headers: [
      { name: "Replaces", value: `${far.callId};to-tag=${far.remoteTag};from-tag=${far.localTag}` },
      { name: "Require", value: "replaces" },
      ...credentials,
    ],
    body: ask.offer,
    contentType: "application/sdp",
  });
  let done = false;
  const refused = (status: number) => {
    if (done) return;
    done = true;
    ask.onRefusal(status);
  };
  const accepted = (response: SipResponse) => {
    const dialog = fromUac(request, response);
    if (dialog === undefined) {
      refused(488);
      return;
    }
    transactions.sendAck(newAck(dialog, cseq, { headers: [...credentials] }), flow);
    const sdp = sdpOf(response);
    if (!done && sdp !== undefined) {
      done = true;
      ask.onAnswer(dialog, sdp);
    } else if (!done) {
      transactions.request(newRequest(dialog, "BYE").request, flow, {
        onFinal() {},
        onTimeout() {},
        onTransportError() {},
      });
      refused(488);
    }
  };
  const transaction = transactions.request(
    request,
    flow,
    {
      onProvisional: ({ status }) => {
        if (status === 180) transaction.cancel();
      },
      onFinal: (response) => {
        if (response.status < 300) {
          accepted(response);
          return;
        }
        // Some PBXs find nobody by the contact of a phone, but by its address.
        const address = parseNameAddr(far.remote)?.uri;
        if (response.status === 404 && !done && address !== undefined && uri !== address) {
          done = true;
          replace(ask, sent, { ...attempt, uri: address, credentials: [], cseq: cseq + 1 });
          return;
        }
        const challenged = response.status === 401 || response.status === 407;
        const proof = challenged && credentials.length === 0 ? ask.answerer(response, request) : undefined;
        if (proof === undefined || done) refused(response.status);
        else {
          done = true;
          replace(ask, sent, { ...attempt, credentials: [proof], cseq: cseq + 1 });
        }
      },
      onTimeout: () => refused(408),
      onTransportError: () => refused(503),
    },
    { retransmit_at_ms: RETRANSMIT_MS },
  );
  sent(transaction);
}

/** The call after a new dialog has taken the place of the one to the far end: both sides' numbers begin anew behind it. */
export function inPlace(kept: KeptDialog, far: Dialog): KeptDialog {
  const sent = far.localSeq ?? 1;
  const { peer } = kept.out;
  return {
    ...kept,
    far,
    replaced: true,
    out: { sent, offset: peer === undefined ? 0 : sent - peer, invites: [], ...(peer === undefined ? {} : { peer }) },
    in: { offset: 0, invites: [], ...(kept.in.sent === undefined ? {} : { sent: kept.in.sent }) },
  };
}
