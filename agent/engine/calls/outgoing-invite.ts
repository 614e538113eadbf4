import { confirm, type Dialog, fromUac, newAck, newRequest } from "../../sip/dialogs/dialog.ts";
import { cseqOf, header, headerList, headerValues, setHeader } from "../../sip/messages/headers.ts";
import type { Header, SipRequest, SipResponse } from "../../sip/messages/message.ts";
import { tagOf } from "../../sip/messages/name-addr.ts";
import { sdpOf } from "../../sip/messages/sdp.ts";
import type { ClientHandlers, ClientTransaction, ResumedInvite } from "../../sip/transactions/client-transaction.ts";
import { type PeerServers, requestWithFailover } from "../../sip/transactions/failover.ts";
import type { Flow, TransportError } from "../../sip/transport/flow.ts";
import type { Answerer } from "./credentials.ts";
import { sdpContent } from "./incoming-invite.ts";
import { Leg, type LegContext } from "./leg.ts";

export interface OutgoingHandlers {
  onProvisional(response: SipResponse, sdp: string | undefined): void;
  /** The first 2xx of a fork. It has to be acknowledged, or released. */
  onAnswer(fork: string, sdp: string | undefined): void;
  onRefusal(response: SipResponse): void;
  /** No final response came in time. */
  onTimeout(): void;
  onSendError(error: TransportError): void;
}

interface Fork {
  /** Where its server is: the dialog stays there. */
  readonly flow: Flow;
  readonly dialog: Dialog;
  readonly request: SipRequest;
  sendAckAgain: (() => void) | undefined;
}

/** An INVITE of ours: one attempt, with its forks, its reliable provisionals and every 2xx accounted for. */
export class OutgoingInvite {
  readonly #context: LegContext;
  readonly #handlers: OutgoingHandlers;
  readonly #token: string;
  readonly #contact: string;
  readonly #answerer: Answerer | undefined;
  readonly #first: Flow;
  readonly #servers: PeerServers;
  readonly #forks = new Map<string, Fork>();
  /** Early dialogs, for PRACK; the number of the last RSeq of each. */
  readonly #early = new Map<string, { dialog: Dialog; rseq: number }>();
  #transaction: (ClientTransaction & { moveOn?(): boolean }) | undefined;

  constructor(
    context: LegContext,
    parts: {
      readonly token: string;
      readonly contact: string;
      readonly flow: Flow;
      readonly answerer?: Answerer | undefined;
      /** Where to go on when the server behind the flow fails. */
      readonly servers?: PeerServers | undefined;
    },
    handlers: OutgoingHandlers,
  ) {
    this.#context = context;
    this.#handlers = handlers;
    this.#token = parts.token;
    this.#contact = parts.contact;
    this.#first = parts.flow;
    this.#servers = parts.servers ?? NO_OTHERS;
    this.#answerer = parts.answerer;
  }

  get request(): SipRequest | undefined {
    return this.#transaction?.request;
  }

  get flow(): Flow {
    return this.#transaction?.flow ?? this.#first;
  }

  /**
   * Sends the INVITE, or sends it anew with a higher CSeq after a refusal that can be met. Without any response for
   * `patience_ms` the peer's next server gets it too.
   */
  send(invite: SipRequest, retransmit_at_ms: readonly number[] = [], patience_ms?: number): void {
    const { transactions: layer, clock } = this.#context;
    this.#run(invite, (handlers) =>
      requestWithFailover({ layer, clock, servers: this.#servers }, invite, this.flow, handlers, {
        retransmit_at_ms,
        ...(patience_ms === undefined ? {} : { patience_ms }),
      }),
    );
  }

  /** Goes on with an INVITE that was sent before; see {@link ResumedInvite}. */
  resume(invite: SipRequest, resumed: ResumedInvite, flow = this.flow): void {
    this.#run(invite, (handlers) => this.#context.transactions.resumeInvite(invite, flow, handlers, resumed));
  }

  /**
   * After a send error: an earlier sending may have arrived all the same (RFC 3261 §17.1.4 ends the transaction there, and would
   * leave whoever answers without a word). For 64*T1 a late answer is told, and a late ringing cancelled. `anew`: another
   * connection in the place of a broken one. There the CANCEL goes at once where a provisional response had come (`proceeding`),
   * else the INVITE once more, so that it can be cancelled.
   */
  listenOn(anew: Flow | undefined, proceeding: boolean): void {
    const { request } = this;
    if (request === undefined) return;
    if (anew === undefined) {
      this.resume(request, "lost");
      return;
    }
    this.resume(request, proceeding ? "proceeding" : "calling", anew);
    this.cancel();
  }

  #run(invite: SipRequest, start: (handlers: ClientHandlers) => ClientTransaction & { moveOn?(): boolean }): void {
    // The handlers know which sending they belong to: a late word of an earlier one is not taken for the new one's.
    let transaction: ClientTransaction | undefined;
    const current = () => transaction === undefined || transaction === this.#transaction;
    const started = start({
      onProvisional: (response, flow) => {
        if (current()) this.#provisional(invite, response, flow);
      },
      onFinal: (response, flow) => {
        if (response.status < 300) this.#answered(invite, response, flow);
        else if (current()) this.#handlers.onRefusal(response);
      },
      onTimeout: () => {
        if (current()) this.#handlers.onTimeout();
      },
      onTransportError: (error) => {
        if (current()) this.#handlers.onSendError(error);
      },
    });
    transaction = started;
    this.#transaction = started;
  }

  /** The peer's next server gets the INVITE too, if this one has not said a word. False when there is none. */
  moveOn(): boolean {
    return this.#transaction?.moveOn?.() ?? false;
  }

  /** What the box can answer a challenge with. */
  credentials(response: SipResponse): Header | undefined {
    const { request } = this;
    return request === undefined ? undefined : this.#answerer?.(response, request);
  }

  cancel(headers: readonly Header[] = []): void {
    this.#transaction?.cancel(headers);
  }

  /** The INVITE is repeated no more while nobody responds to it. */
  quiet(): void {
    this.#transaction?.quiet();
  }

  /** ACKs the 2xx of a fork; `sdp` is the answer where the INVITE had no offer. The leg to go on with. */
  accept(fork: string, sdp?: string): Leg | undefined {
    const known = this.#forks.get(fork);
    if (known === undefined) return undefined;
    this.#ack(known, sdp);
    return this.leg(fork);
  }

  leg(fork: string): Leg | undefined {
    const known = this.#forks.get(fork);
    return known === undefined
      ? undefined
      : new Leg(this.#context, {
          token: this.#token,
          contact: this.#contact,
          dialog: known.dialog,
          flow: known.flow,
          answerer: this.#answerer,
        });
  }

  /** A 2xx that nobody wants: ACK, and BYE at once. */
  release(fork: string, headers: readonly Header[] = []): void {
    this.accept(fork)?.bye(headers);
  }

  #ack(fork: Fork, sdp: string | undefined): void {
    if (fork.sendAckAgain !== undefined) return;
    // §13.2.2.4: the ACK bears the credentials of the INVITE.
    const headers = ["Authorization", "Proxy-Authorization"].flatMap((name) =>
      headerValues(fork.request, name).map((value): Header => ({ name, value })),
    );
    const cseq = cseqOf(fork.request)?.seq ?? 1;
    const ack = newAck(fork.dialog, cseq, { headers, ...sdpContent(sdp) });
    fork.sendAckAgain = this.#context.transactions.sendAck(ack, fork.flow);
  }

  #provisional(invite: SipRequest, response: SipResponse, flow: Flow): void {
    this.#acknowledge(invite, response, flow);
    this.#handlers.onProvisional(response, sdpOf(response));
  }

  /** PRACK for a reliable provisional (RFC 3262 §4): we do not ask for them, but some peers send them all the same. */
  #acknowledge(invite: SipRequest, response: SipResponse, flow: Flow): void {
    const rseq = Number(header(response, "RSeq") ?? Number.NaN);
    const reliable = headerList(response, "Require").some((tag) => tag.toLowerCase() === "100rel");
    const tag = tagOf(response, "To");
    if (!reliable || !Number.isInteger(rseq) || tag === undefined) return;
    const known = this.#early.get(tag);
    if (known !== undefined && rseq <= known.rseq) return;
    const dialog = known?.dialog ?? fromUac(invite, response);
    if (dialog === undefined) return;
    const seq = cseqOf(invite)?.seq ?? 1;
    const next = newRequest(dialog, "PRACK", { headers: [{ name: "RAck", value: `${rseq} ${seq} INVITE` }] });
    this.#early.set(tag, { dialog: next.dialog, rseq });
    this.#context.transactions.request(next.request, flow, {
      onFinal: () => {},
      onTimeout: () => {},
      onTransportError: () => {},
    });
  }

  #answered(invite: SipRequest, response: SipResponse, flow: Flow): void {
    const fork = tagOf(response, "To") ?? "";
    const known = this.#forks.get(fork);
    if (known !== undefined) {
      known.sendAckAgain?.();
      return;
    }
    const early = this.#early.get(fork);
    const dialog = early === undefined ? confirmed(invite, response) : confirm(early.dialog, response);
    if (dialog === undefined) {
      this.#context.log.warn("a 2xx that makes no dialog", { call_id: header(response, "Call-ID") ?? "" });
      return;
    }
    this.#forks.set(fork, { flow, dialog, request: this.request ?? invite, sendAckAgain: undefined });
    this.#handlers.onAnswer(fork, sdpOf(response));
  }
}

const NO_OTHERS: PeerServers = { alternative: () => undefined };

/** A 2xx without a readable Contact breaks RFC 3261 §12.1.1, but its sender can be reached where the INVITE went. */
function confirmed(invite: SipRequest, response: SipResponse): Dialog | undefined {
  const dialog = fromUac(invite, response);
  if (dialog !== undefined) return dialog;
  const copy: SipResponse = { ...response, headers: [...response.headers] };
  setHeader(copy, "Contact", `<${invite.uri}>`);
  return fromUac(invite, copy);
}
