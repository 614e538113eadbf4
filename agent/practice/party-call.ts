import { token } from "../base/ids.ts";
import type { G711PayloadType } from "../media/g711.ts";
import type { FrameSource } from "../media/playback.ts";
import { type Accept2xx, startAccept2xx } from "../sip/dialogs/accept-2xx.ts";
import { accept, type Dialog, fromUac, fromUas, newAck, newRequest, nextHop } from "../sip/dialogs/dialog.ts";
import { buildRequest, buildResponse } from "../sip/messages/build.ts";
import { cseqOf, header } from "../sip/messages/headers.ts";
import type { Header, SipRequest, SipResponse } from "../sip/messages/message.ts";
import { parseNameAddr } from "../sip/messages/name-addr.ts";
import { sdpOf } from "../sip/messages/sdp.ts";
import { bareHost, parseUri, unescapeText } from "../sip/messages/uri.ts";
import type { ServerTransaction } from "../sip/transactions/server-transaction.ts";
import type { Destination, Flow } from "../sip/transport/flow.ts";
import type { AudioPort } from "./audio-port.ts";
import type { Credentials, Sent, UserAgent } from "./user-agent.ts";

/** Longest call: one whose end was lost in a cut does not stay for ever. */
const LONGEST_MS = 600_000;

export interface Dialling {
  readonly uri: string;
  /** URI of the To header where it differs from the Request-URI. */
  readonly to?: string;
  readonly from: string;
  readonly destination: Destination | Flow;
  readonly credentials?: Credentials;
  readonly headers?: readonly Header[];
}

export interface Answer {
  readonly status: number;
  readonly reason: string;
  /** Milliseconds from the INVITE to the first 18x and to the final response. */
  readonly ringing_ms: number | undefined;
  readonly answered_ms: number;
}

/** One call as one party has it: dialled or incoming, until BYE. */
export class PartyCall {
  readonly #agent: UserAgent;
  readonly #onEnd: (() => void)[] = [];
  readonly #onSettled: (() => void)[] = [];
  #invite: SipRequest | undefined;
  #tx: ServerTransaction | undefined;
  #flow: Flow | undefined;
  #dialog: Dialog | undefined;
  #audio: AudioPort | undefined;
  #accepting: Accept2xx | undefined;
  #sendAck: (() => void) | undefined;
  #sent: Sent | undefined;
  #ended = false;

  private constructor(agent: UserAgent) {
    this.#agent = agent;
  }

  static incoming(agent: UserAgent, tx: ServerTransaction, flow: Flow): PartyCall {
    const call = new PartyCall(agent);
    call.#invite = tx.request;
    call.#tx = tx;
    call.#flow = flow;
    tx.onCancel(() => call.#finish(487));
    return call;
  }

  static dial(
    agent: UserAgent,
    dialling: Dialling,
    audio: AudioPort,
    say: (payload: G711PayloadType) => FrameSource,
  ): { readonly call: PartyCall; readonly answer: Promise<Answer> } {
    const call = new PartyCall(agent);
    call.#audio = audio;
    return { call, answer: call.#dial(dialling, audio, say) };
  }

  /** As it was sent or came. Throws while a dialled call has no final response yet. */
  get invite(): SipRequest {
    if (this.#invite === undefined) throw new Error("the call was not sent");
    return this.#invite;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** What the caller dialled: user of the Request-URI, or the URI itself where it has none. */
  get dialled(): string {
    const uri = parseUri(this.invite.uri);
    return uri?.user === undefined ? this.invite.uri : (unescapeText(uri.user).split(";")[0] ?? "");
  }

  /** Caller as the callee sees it: asserted identity, else From. */
  get caller(): string {
    const value = header(this.invite, "P-Asserted-Identity") ?? header(this.invite, "From") ?? "";
    return parseUri(parseNameAddr(value)?.uri ?? "")?.user ?? "";
  }

  get audio(): AudioPort | undefined {
    return this.#audio;
  }

  /** No longer offered: answered, refused, cancelled. */
  onSettled(handler: () => void): void {
    this.#onSettled.push(handler);
  }

  onEnd(handler: () => void): void {
    this.#onEnd.push(handler);
  }

  ring(): void {
    this.#tx?.respond(buildResponse(this.invite, 180, { toTag: this.#tag, headers: this.#contact }));
  }

  refuse(status: number): void {
    this.#finish(status);
  }

  /** Answers with this sound; false when the offer has nothing that fits, and the call is refused. */
  answer(audio: AudioPort): boolean {
    const tx = this.#tx;
    if (tx === undefined || this.#ended || this.#dialog !== undefined) return false;
    const offer = sdpOf(this.invite);
    const body = offer === undefined ? audio.offer() : audio.answer(offer);
    if (body === undefined) {
      this.#finish(488);
      return false;
    }
    this.#audio = audio;
    const response = this.#ok(this.invite, body);
    const dialog = fromUas(this.invite, response);
    if (dialog === undefined) {
      this.#finish(400);
      return false;
    }
    this.#stand(dialog);
    this.#accepting = startAccept2xx({
      clock: this.#agent.clock,
      send: () => tx.respond(response),
      onTimeout: () => this.hangUp(),
    });
    this.#settled();
    return true;
  }

  acknowledged(ack: SipRequest): void {
    if (this.#accepting?.state === "Unacknowledged" && sdpOf(this.invite) === undefined) {
      this.#audio?.take(sdpOf(ack) ?? "");
    }
    this.#accepting?.acknowledged();
  }

  repeatAck(): void {
    this.#sendAck?.();
  }

  /** A request of the other side within the call. */
  inDialog(tx: ServerTransaction): void {
    const { request } = tx;
    const accepted = this.#dialog === undefined ? undefined : accept(this.#dialog, request);
    if (accepted === undefined || !accepted.ok) {
      tx.respond(buildResponse(request, accepted?.ok === false ? accepted.status : 481));
      return;
    }
    this.#dialog = accepted.dialog;
    if (request.method === "BYE") {
      tx.respond(buildResponse(request, 200));
      this.#end();
      return;
    }
    const offer = sdpOf(request);
    if (request.method !== "INVITE" && offer === undefined) {
      tx.respond(buildResponse(request, 200, { headers: this.#contact }));
      return;
    }
    const body = offer === undefined ? this.#audio?.offer() : this.#audio?.answer(offer);
    if (body === undefined) {
      tx.respond(buildResponse(request, 488));
      return;
    }
    const response = this.#ok(request, body);
    if (request.method !== "INVITE") {
      tx.respond(response);
      return;
    }
    this.#accepting?.stop();
    this.#accepting = startAccept2xx({
      clock: this.#agent.clock,
      send: () => tx.respond(response),
      onTimeout: () => this.hangUp(),
    });
  }

  /** Ends it with a BYE, or a CANCEL while nobody has answered. Resolves with the answer's status. */
  async hangUp(): Promise<number> {
    const { request, destination } = this.#bye() ?? {};
    if (request === undefined || destination === undefined) {
      this.#sent?.cancel();
      return 0;
    }
    this.#end();
    return (await this.#agent.send(request, destination).outcome).status;
  }

  /** Forgets it without a word. */
  abandon(): void {
    this.#end();
  }

  readonly #tag = token(5);

  get #contact(): Header[] {
    return [{ name: "Contact", value: `<${this.#agent.contact}>` }];
  }

  #ok(request: SipRequest, body: string): SipResponse {
    return buildResponse(request, 200, {
      toTag: this.#tag,
      headers: this.#contact,
      body,
      contentType: "application/sdp",
    });
  }

  async #dial(dialling: Dialling, audio: AudioPort, say: (payload: G711PayloadType) => FrameSource): Promise<Answer> {
    const { clock } = this.#agent;
    const started = clock.now();
    let ringing_ms: number | undefined;
    const request = buildRequest({
      method: "INVITE",
      uri: dialling.uri,
      from: `${dialling.from};tag=${this.#tag}`,
      to: `<${dialling.to ?? dialling.uri}>`,
      callId: token(12),
      cseq: 1,
      contact: `<${this.#agent.contact}>`,
      headers: [{ name: "User-Agent", value: "PRACTICE" }, ...(dialling.headers ?? [])],
      body: audio.offer(),
      contentType: "application/sdp",
    });
    this.#sent = this.#agent.send(request, dialling.destination, dialling.credentials, ({ status }) => {
      if (status >= 180) ringing_ms ??= Math.round(clock.now() - started);
    });
    const { status, reason, response, request: invite } = await this.#sent.outcome;
    this.#invite = invite;
    const answered_ms = Math.round(clock.now() - started);
    if (response === undefined || status >= 300 || this.#ended) {
      this.#end();
      return { status, reason, ringing_ms, answered_ms };
    }
    const dialog = fromUac(invite, response);
    if (dialog === undefined) {
      this.#end();
      return { status: 500, reason: "a 200 that makes no dialog", ringing_ms, answered_ms };
    }
    this.#flow =
      "id" in dialling.destination ? dialling.destination : this.#agent.transport.flowTo(dialling.destination);
    this.#stand(dialog);
    this.#sendAck = this.#agent.layer.sendAck(newAck(dialog, cseqOf(invite)?.seq ?? 1), this.#flow);
    audio.take(sdpOf(response) ?? "");
    audio.say(say);
    return { status, reason, ringing_ms, answered_ms };
  }

  #stand(dialog: Dialog): void {
    this.#dialog = dialog;
    this.#agent.adopt(this, dialog);
    const limit = this.#agent.clock.after(LONGEST_MS, () => void this.hangUp());
    this.onEnd(() => limit.cancel());
  }

  #bye(): { request: SipRequest; destination: Destination | Flow } | undefined {
    if (this.#dialog === undefined || this.#ended || this.#flow === undefined) return undefined;
    const { request } = newRequest(this.#dialog, "BYE");
    if (!this.#flow.closed) return { request, destination: this.#flow };
    // The connection is gone: where the other side's Contact or Record-Route says (RFC 3261 §18.1.1).
    const hop = parseUri(nextHop(this.#dialog));
    if (hop === undefined) return undefined;
    const { protocol, local } = this.#flow;
    const to = { protocol, address: bareHost(hop.host), port: hop.port ?? 5060, local_address: local.address };
    return { request, destination: to };
  }

  #finish(status: number): void {
    if (this.#dialog !== undefined || this.#ended) return;
    this.#tx?.respond(buildResponse(this.invite, status, { toTag: this.#tag }));
    this.#end();
  }

  #settled(): void {
    for (const handler of this.#onSettled.splice(0)) handler();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#accepting?.stop();
    this.#settled();
    for (const handler of this.#onEnd.splice(0)) handler();
    this.#audio?.close();
  }
}
