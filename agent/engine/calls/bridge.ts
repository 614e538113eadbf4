import type { Clock } from "../../base/clock.ts";
import { type Accept2xx, startAccept2xx } from "../../sip/dialogs/accept-2xx.ts";
import { buildResponse } from "../../sip/messages/build.ts";
import { headerValues } from "../../sip/messages/headers.ts";
import type { Header, SipRequest, SipResponse } from "../../sip/messages/message.ts";
import { sdpOf } from "../../sip/messages/sdp.ts";
import type { ServerTransaction } from "../../sip/transactions/server-transaction.ts";
import type { Trunk } from "../trunks/trunk.ts";
import type { CallMedia, MediaSide } from "./call-media.ts";
import { ALLOW, sdpContent } from "./incoming-invite.ts";
import type { Leg } from "./leg.ts";

export type End = "caller" | "callee";

export interface BridgeParty {
  readonly leg: Leg;
  readonly side: MediaSide;
}

export interface BridgeHandlers {
  /** One side hung up, or its dialog is gone. Its own request has been answered; the other leg still stands. */
  onEnd(by: End, cause: string): void;
  /** Something that the journal keeps has changed. */
  onChange(): void;
  /** Why a request is not for the other side; undefined: it passes. */
  refuses?(request: SipRequest): { readonly status: number; readonly reason: string } | undefined;
}

/** Headers that have a meaning to the other party; everything else belongs to one dialog alone. */
const PASSED = [
  "Event",
  "Subscription-State",
  "Info-Package",
  "Refer-To",
  "Referred-By",
  "Refer-Sub",
  "Content-Disposition",
  "Accept",
  "Supported",
  "Subject",
  "Reason",
  "Retry-After",
  "Warning",
] as const;

/** A re-INVITE on its way between the legs. */
interface Renegotiation {
  readonly from: End;
  readonly offer: string | undefined;
  accept: Accept2xx | undefined;
  /** Takes the ACK's answer to the far side, where the re-INVITE had no offer. */
  onAck: ((sdp: string | undefined) => void) | undefined;
}

/** Two answered legs and what passes between them: each dialog is ours, only contents go from one to the other. */
export class Bridge {
  readonly #clock: Clock;
  readonly #media: CallMedia;
  readonly #parties: Record<End, BridgeParty>;
  readonly #handlers: BridgeHandlers;
  #renegotiation: Renegotiation | undefined;
  #over = false;

  constructor(clock: Clock, media: CallMedia, parties: Readonly<Record<End, BridgeParty>>, handlers: BridgeHandlers) {
    this.#clock = clock;
    this.#media = media;
    this.#parties = { ...parties };
    this.#handlers = handlers;
  }

  get parties(): Readonly<Record<End, BridgeParty>> {
    return this.#parties;
  }

  endpointsOf(end: End): readonly string[] {
    return this.#media.endpoints(this.#parties[end].side);
  }

  endOf(token: string): End | undefined {
    if (this.#parties.caller.leg.token === token) return "caller";
    return this.#parties.callee.leg.token === token ? "callee" : undefined;
  }

  /** A request of one side within its dialog. */
  take(from: End, tx: ServerTransaction): void {
    const { request } = tx;
    const acceptance = this.#parties[from].leg.accept(request);
    if (!acceptance.ok) {
      tx.respond(buildResponse(request, acceptance.status));
      return;
    }
    switch (request.method) {
      case "BYE":
        tx.respond(buildResponse(request, 200));
        this.#end(from, "hung up");
        break;
      case "OPTIONS":
        tx.respond(buildResponse(request, 200, { headers: [{ name: "Allow", value: ALLOW }] }));
        break;
      case "PRACK":
        tx.respond(buildResponse(request, 481));
        break;
      case "INVITE":
        this.#reinvite(from, tx);
        break;
      case "UPDATE":
        this.#update(from, tx);
        break;
      default:
        this.#pass(from, tx);
    }
    this.#handlers.onChange();
  }

  /** The ACK of one side to the 2xx of its re-INVITE. */
  acked(from: End, ack: SipRequest): void {
    const current = this.#renegotiation;
    if (current?.from !== from || current.accept?.state !== "Unacknowledged") return;
    current.accept.acknowledged();
    current.onAck?.(sdpOf(ack));
    this.#renegotiation = undefined;
  }

  /** Asks one side to take a new description, as where the answered attempt speaks otherwise than its early media did. */
  reoffer(to: End, sdp: string, onAnswer: (sdp: string) => void): void {
    const { leg } = this.#parties[to];
    leg.request("INVITE", { contact: `<${leg.contact}>`, ...sdpContent(sdp) }, ({ status, response, cseq }) => {
      if (status >= 300 || response === undefined) return;
      leg.ack(cseq);
      const answer = sdpOf(response);
      if (answer !== undefined) onAnswer(answer);
      this.#handlers.onChange();
    });
  }

  /**
   * One side's path is dead: its dialog and its sound go over another one, by a re-INVITE there with the description that
   * its peer has. Resolves with the status that came; at 200 it has moved, else everything is as it was.
   */
  async move(end: End, over: Pick<Trunk, "flow" | "local" | "path" | "contact">): Promise<number> {
    const party = this.#parties[end];
    const { flow, local, path } = over;
    if (this.#over || flow === undefined) return 503;
    if (this.#renegotiation !== undefined) return 491;
    const current: Renegotiation = { from: other(end), offer: undefined, accept: undefined, onAck: undefined };
    this.#renegotiation = current;
    const way = { local_address: local.address, signalling_address: flow.remote.address, path: path.id };
    const detour = await this.#media.detour(party.side, way);
    if (detour === undefined || this.#over) {
      if (this.#renegotiation === current) this.#renegotiation = undefined;
      return 503;
    }
    const undo = party.leg.reroute(flow, over.contact(party.leg.token));
    return await new Promise((resolve) => {
      const parts = { contact: `<${party.leg.contact}>`, ...sdpContent(detour.offer) };
      party.leg.request("INVITE", parts, ({ status, response, cseq }) => {
        if (this.#renegotiation === current) this.#renegotiation = undefined;
        const answer = response === undefined || status >= 300 ? undefined : sdpOf(response);
        if (response !== undefined && status < 300) party.leg.ack(cseq);
        if (answer === undefined) {
          undo();
          this.#media.closeSide(detour.side);
          resolve(status < 300 ? 488 : status);
          this.#lost(end, status);
          return;
        }
        const near = this.#parties[other(end)].side;
        const changed = this.#media.moved(detour.side, near, answer, party.side);
        this.#media.closeSide(party.side);
        this.#parties[end] = { leg: party.leg, side: detour.side };
        if (changed !== undefined) {
          this.reoffer(other(end), changed, (told) => void this.#media.answer(near, detour.side, told, answer));
        }
        this.#handlers.onChange();
        resolve(200);
      });
    });
  }

  /** BYE to one side. */
  hangUp(end: End, headers: readonly Header[] = []): void {
    this.#stop();
    this.#parties[end].leg.bye(headers);
  }

  /** Nothing is repeated any more. */
  abandon(): void {
    this.#stop();
  }

  #end(by: End, cause: string): void {
    if (this.#over) return;
    this.#stop();
    this.#handlers.onEnd(by, cause);
  }

  #stop(): void {
    this.#over = true;
    this.#renegotiation?.accept?.stop();
    this.#renegotiation = undefined;
  }

  #reinvite(from: End, tx: ServerTransaction): void {
    const { request } = tx;
    // RFC 3261 §14.1, §14.2: one at a time; the sender tries again after a while.
    if (this.#renegotiation !== undefined) {
      tx.respond(buildResponse(request, 491));
      return;
    }
    const near = this.#parties[from];
    const far = this.#parties[other(from)];
    const offer = sdpOf(request);
    const current: Renegotiation = { from, offer, accept: undefined, onAck: undefined };
    this.#renegotiation = current;
    tx.respond(buildResponse(request, 100));
    void this.#seenBy(near, far, offer).then((sdp) => {
      if (this.#over) {
        tx.respond(buildResponse(request, 487));
        return;
      }
      far.leg.request("INVITE", { contact: `<${far.leg.contact}>`, ...sdpContent(sdp) }, (final) => {
        const { status, response, cseq } = final;
        if (status >= 300 || response === undefined) {
          this.#renegotiation = undefined;
          tx.respond(relayed(request, status, response));
          this.#lost(other(from), status);
          return;
        }
        if (offer !== undefined) far.leg.ack(cseq);
        void this.#takeAnswer(current, tx, response, cseq);
      });
    });
  }

  async #takeAnswer(current: Renegotiation, tx: ServerTransaction, response: SipResponse, cseq: number): Promise<void> {
    const near = this.#parties[current.from];
    const far = this.#parties[other(current.from)];
    const theirs = sdpOf(response);
    let sdp: string | undefined;
    if (current.offer !== undefined) {
      sdp = theirs === undefined ? undefined : this.#media.answer(far.side, near.side, theirs, current.offer);
    } else {
      // Late offer: the far side offers in its 2xx, the near side answers in its ACK.
      sdp = await this.#seenBy(far, near, theirs);
      current.onAck = (answer) => {
        const seen =
          answer === undefined || theirs === undefined
            ? undefined
            : this.#media.answer(near.side, far.side, answer, theirs);
        far.leg.ack(cseq, sdpContent(seen));
      };
    }
    const ok = buildResponse(tx.request, 200, {
      headers: [
        { name: "Contact", value: `<${near.leg.contact}>` },
        { name: "Allow", value: ALLOW },
      ],
      ...sdpContent(sdp),
    });
    current.accept = startAccept2xx({
      clock: this.#clock,
      send: () => tx.respond(ok),
      onTimeout: () => {
        if (this.#renegotiation === current) this.#renegotiation = undefined;
      },
    });
    this.#handlers.onChange();
  }

  #update(from: End, tx: ServerTransaction): void {
    const { request } = tx;
    const near = this.#parties[from];
    const far = this.#parties[other(from)];
    const offer = sdpOf(request);
    if (offer !== undefined && this.#renegotiation !== undefined) {
      tx.respond(buildResponse(request, 491));
      return;
    }
    void this.#seenBy(near, far, offer).then((sdp) => {
      far.leg.request("UPDATE", { contact: `<${far.leg.contact}>`, ...sdpContent(sdp) }, ({ status, response }) => {
        if (status >= 300 || response === undefined) {
          tx.respond(relayed(request, status, response));
          this.#lost(other(from), status);
          return;
        }
        const theirs = sdpOf(response);
        const answer =
          theirs === undefined || offer === undefined
            ? undefined
            : this.#media.answer(far.side, near.side, theirs, offer);
        const headers = [{ name: "Contact", value: `<${near.leg.contact}>` }];
        tx.respond(buildResponse(request, status, { headers, ...sdpContent(answer) }));
      });
    });
  }

  /** INFO, MESSAGE, NOTIFY, REFER and whatever else there is. */
  #pass(from: End, tx: ServerTransaction): void {
    const { request } = tx;
    const refused = this.#handlers.refuses?.(request);
    if (refused !== undefined) {
      tx.respond(buildResponse(request, refused.status, { reason: refused.reason }));
      return;
    }
    const { leg } = this.#parties[other(from)];
    const contact = request.method === "REFER" || request.method === "SUBSCRIBE" || request.method === "NOTIFY";
    const parts = {
      headers: passedHeaders(request),
      body: request.body,
      ...(contact ? { contact: `<${leg.contact}>` } : {}),
    };
    leg.request(request.method, parts, ({ status, response }) => {
      tx.respond(relayed(request, status, response));
      this.#lost(other(from), status);
    });
  }

  async #seenBy(from: BridgeParty, to: BridgeParty, sdp: string | undefined): Promise<string | undefined> {
    return sdp === undefined ? undefined : await this.#media.offer(from.side, to.side, sdp);
  }

  /** RFC 3261 §12.2.1.2: a peer that does not know the dialog has ended it. A peer that is silent may only be cut off. */
  #lost(end: End, status: number): void {
    if (status === 481) this.#end(end, "the far end knows the call no more");
  }
}

function other(end: End): End {
  return end === "caller" ? "callee" : "caller";
}

function passedHeaders(message: SipRequest | SipResponse): Header[] {
  const names = message.body.length === 0 ? PASSED : [...PASSED, "Content-Type"];
  return names.flatMap((name) => headerValues(message, name).map((value) => ({ name, value })));
}

function relayed(request: SipRequest, status: number, response: SipResponse | undefined): SipResponse {
  // A challenge of the far side means nothing on this one.
  if (response === undefined || status === 401 || status === 407) {
    return buildResponse(request, status === 401 || status === 407 ? 403 : status);
  }
  return buildResponse(request, status, {
    reason: response.reason,
    headers: passedHeaders(response),
    body: response.body,
  });
}
