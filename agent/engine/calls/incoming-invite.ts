import type { Clock, Timer } from "../../base/clock.ts";
import { token } from "../../base/ids.ts";
import type { UasAbilities } from "../../sip/core/uas-inspection.ts";
import { type Accept2xx, startAccept2xx } from "../../sip/dialogs/accept-2xx.ts";
import { fromUas } from "../../sip/dialogs/dialog.ts";
import { buildResponse } from "../../sip/messages/build.ts";
import { cseqOf, header, headerList, setHeader } from "../../sip/messages/headers.ts";
import type { Header, SipRequest } from "../../sip/messages/message.ts";
import { parseNameAddr } from "../../sip/messages/name-addr.ts";
import { sdpOf } from "../../sip/messages/sdp.ts";
import { parseDecimal } from "../../sip/messages/syntax.ts";
import type { ServerTransaction } from "../../sip/transactions/server-transaction.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import { inBrackets } from "../../sip/transport/ip-address.ts";
import { Leg, type LegContext } from "./leg.ts";

export const ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, MESSAGE, NOTIFY, REFER";
/** What we understand as the UAS of a call. */
export const ABILITIES: UasAbilities = {
  methods: ALLOW.split(", "),
  schemes: ["sip", "sips", "tel"],
  extensions: ["100rel"],
  contentTypes: ["application/sdp"],
};
/** In the CANCEL of a call that somebody else took (RFC 3326): phones then show no missed call. */
export const ELSEWHERE: Header = { name: "Reason", value: 'SIP;cause=200;text="Call completed elsewhere"' };
/** In the BYE of a call that had to make room (RFC 3326). */
export const GAVE_WAY: Header = { name: "Reason", value: 'SIP;cause=503;text="An emergency call needs the line"' };
const T1_MS = 500;
const RELIABLE_LIMIT_MS = 64 * T1_MS;

export interface IncomingHandlers {
  onCancel(): void;
  /** The ACK to our 2xx; `sdp` is its answer where the INVITE had no offer. */
  onAck(sdp: string | undefined): void;
  /** No ACK came in 64*T1. */
  onNoAck(): void;
}

/** The caller's INVITE, whose UAS we are: one To-tag, one SDP answer, whatever happens on the other side. */
export class IncomingInvite {
  /** User part of our Contact. */
  readonly token = token();
  readonly contact: string;
  readonly sdp: string | undefined;
  readonly #context: LegContext & { readonly clock: Clock };
  readonly #handlers: IncomingHandlers;
  readonly #tag = token(8);
  /** The caller wants each provisional response acknowledged (RFC 3262). */
  readonly #reliable: boolean;
  #tx: ServerTransaction;
  #rseq = 0;
  #unacknowledged: { readonly rseq: number; readonly timer: Timer } | undefined;
  #given: string | undefined;
  #accept: Accept2xx | undefined;
  #finished = false;

  constructor(
    context: LegContext & { readonly clock: Clock },
    tx: ServerTransaction,
    local: { readonly address: string; readonly port: number },
    handlers: IncomingHandlers,
    /** The trunk it came over; undefined for a phone. */
    trunk?: { contact(user: string): string },
  ) {
    this.#context = context;
    this.#tx = tx;
    this.#handlers = handlers;
    this.sdp = sdpOf(tx.request);
    this.#reliable = headerList(tx.request, "Require").some((tag) => tag.toLowerCase() === "100rel");
    const transport = tx.flow.protocol === "udp" ? "" : `;transport=${tx.flow.protocol}`;
    this.contact =
      trunk?.contact(this.token) ?? `sip:${this.token}@${inBrackets(local.address)}:${local.port}${transport}`;
    this.#listen(tx);
  }

  get request(): SipRequest {
    return this.#tx.request;
  }

  /** The SDP answer that the caller has been given, if any. */
  get given(): string | undefined {
    return this.#given;
  }

  trying(): void {
    this.#tx.respond(buildResponse(this.request, 100));
  }

  /** 180, or 183 with early media. Once an answer has been given, it is the only one. */
  progress(status: number, sdp: string | undefined): void {
    if (this.#finished) return;
    if (sdp !== undefined) this.#given ??= sdp;
    const body = sdp === undefined ? undefined : this.#given;
    const headers: Header[] = [
      { name: "Contact", value: `<${this.contact}>` },
      { name: "Allow", value: ALLOW },
    ];
    if (this.#reliable) {
      // RFC 3262 §3: one at a time. What comes while one is unacknowledged is left out: the final response tells all.
      if (this.#unacknowledged !== undefined) return;
      this.#rseq++;
      headers.push({ name: "Require", value: "100rel" }, { name: "RSeq", value: String(this.#rseq) });
    }
    const response = buildResponse(this.request, status, { toTag: this.#tag, headers, ...sdpContent(body) });
    this.#tx.respond(response);
    if (this.#reliable) this.#repeat(() => this.#tx.respond(response), T1_MS, T1_MS);
  }

  /** A PRACK for a provisional of ours (RFC 3262 §3). */
  prack(tx: ServerTransaction): void {
    const [rseq = "", seq = "", method] = (header(tx.request, "RAck") ?? "").split(/[ \t]+/);
    const matches =
      this.#unacknowledged !== undefined &&
      parseDecimal(rseq, 2 ** 32 - 1) === this.#unacknowledged.rseq &&
      parseDecimal(seq, 2 ** 31 - 1) === cseqOf(this.request)?.seq &&
      method === "INVITE";
    if (matches) this.#settled();
    tx.respond(buildResponse(tx.request, matches ? 200 : 481, { toTag: this.#tag }));
  }

  /** 200, repeated until the ACK. The leg, or undefined when the INVITE makes no dialog. */
  answer(sdp: string | undefined, headers: readonly Header[] = []): Leg | undefined {
    if (this.#finished) return undefined;
    this.#finished = true;
    this.#settled();
    if (sdp !== undefined) this.#given ??= sdp;
    const response = buildResponse(this.request, 200, {
      toTag: this.#tag,
      headers: [{ name: "Contact", value: `<${this.contact}>` }, { name: "Allow", value: ALLOW }, ...headers],
      ...sdpContent(this.#given),
    });
    const tx = this.#tx;
    this.#accept = startAccept2xx({
      clock: this.#context.clock,
      send: () => tx.respond(response),
      onTimeout: () => this.#handlers.onNoAck(),
    });
    const dialog = fromUas(withContact(this.request, tx.flow), response, tx.flow.protocol === "tls");
    if (dialog === undefined) return undefined;
    return new Leg(this.#context, { token: this.token, contact: this.contact, dialog, flow: tx.flow });
  }

  /** A final response other than 2xx. */
  refuse(status: number, reason?: string, headers: readonly Header[] = []): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#settled();
    const phrase = reason === undefined ? {} : { reason };
    this.#tx.respond(buildResponse(this.request, status, { toTag: this.#tag, ...phrase, headers }));
  }

  acked(ack: SipRequest): void {
    if (this.#accept?.state !== "Unacknowledged") return;
    this.#accept.acknowledged();
    this.#handlers.onAck(sdpOf(ack));
  }

  /** The call has ended: nothing is repeated any more. */
  stop(): void {
    this.#settled();
    this.#accept?.stop();
  }

  /** The same call in a new INVITE, with the credentials that were asked for. */
  comeBack(tx: ServerTransaction): void {
    this.#tx = tx;
    this.#finished = false;
    this.#given = undefined;
    this.#listen(tx);
  }

  #listen(tx: ServerTransaction): void {
    tx.onCancel(() => {
      if (!this.#finished) this.#handlers.onCancel();
    });
  }

  #repeat(send: () => void, delay_ms: number, waited_ms: number): void {
    const timer = this.#context.clock.after(delay_ms, () => {
      if (waited_ms >= RELIABLE_LIMIT_MS) {
        this.#settled();
        return;
      }
      send();
      this.#repeat(send, delay_ms * 2, waited_ms + delay_ms * 2);
    });
    this.#unacknowledged = { rseq: this.#rseq, timer };
  }

  #settled(): void {
    this.#unacknowledged?.timer.cancel();
    this.#unacknowledged = undefined;
  }
}

/** An INVITE without a readable Contact breaks RFC 3261 §8.1.1.8, but its sender can be reached where it came from. */
function withContact(request: SipRequest, { protocol, remote }: Flow): SipRequest {
  const contact = headerList(request, "Contact")[0];
  if (contact !== undefined && parseNameAddr(contact) !== undefined) return request;
  const copy: SipRequest = { ...request, headers: [...request.headers] };
  const transport = protocol === "udp" ? "" : `;transport=${protocol}`;
  setHeader(copy, "Contact", `<sip:${inBrackets(remote.address)}:${remote.port}${transport}>`);
  return copy;
}

export function sdpContent(sdp: string | undefined): { body?: string; contentType?: string } {
  return sdp === undefined ? {} : { body: sdp, contentType: "application/sdp" };
}
