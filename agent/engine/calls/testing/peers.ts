/** Played SIP peers: what they get, what they answer, and the calls they make. */
import { token } from "../../../base/ids.ts";
import type { ManualClock } from "../../../base/manual-clock.ts";
import { type Dialog, fromUac, fromUas, newAck, newRequest } from "../../../sip/dialogs/dialog.ts";
import { buildResponse, type ResponseParts } from "../../../sip/messages/build.ts";
import { cseqOf } from "../../../sip/messages/headers.ts";
import type { Header, SipRequest, SipResponse } from "../../../sip/messages/message.ts";
import { tagOf } from "../../../sip/messages/name-addr.ts";
import { sdpOf } from "../../../sip/messages/sdp.ts";
import type { ClientTransaction } from "../../../sip/transactions/client-transaction.ts";
import { TransactionLayer } from "../../../sip/transactions/layer.ts";
import type { ServerTransaction } from "../../../sip/transactions/server-transaction.ts";
import type { Flow } from "../../../sip/transport/flow.ts";
import type { MemoryNetwork } from "../../../sip/transport/memory-network.ts";
import type { TransportLayer } from "../../../sip/transport/transport.ts";
import { phoneSdp } from "./site.ts";

/** What a played trunk or phone does with an INVITE. */
export type Script = (call: PlayedCall) => void | Promise<void>;

/** One INVITE as a played peer has it. */
export class PlayedCall {
  readonly tx: ServerTransaction;
  readonly peer: Peer;
  readonly at_ms: number;
  cancelled = false;
  acked: SipRequest | undefined;
  acks = 0;
  bye: SipRequest | undefined;
  dialog: Dialog | undefined;
  readonly tag = token(5);

  constructor(tx: ServerTransaction, peer: Peer, at_ms: number) {
    this.tx = tx;
    this.peer = peer;
    this.at_ms = at_ms;
    tx.onCancel(() => {
      this.cancelled = true;
      if (!peer.ignoresCancel) this.respond(487);
    });
  }
  get request(): SipRequest {
    return this.tx.request;
  }
  get sdp(): string | undefined {
    return sdpOf(this.tx.request);
  }
  respond(status: number, parts: ResponseParts = {}, tag = this.tag): SipResponse {
    const headers: Header[] = [
      { name: "Contact", value: `<sip:peer@${this.peer.address}:5060>` },
      ...(parts.headers ?? []),
    ];
    const response = buildResponse(this.request, status, { toTag: tag, ...parts, headers });
    this.tx.respond(response);
    if (status >= 200 && status < 300 && this.dialog === undefined) this.dialog = fromUas(this.request, response);
    return response;
  }
  ring(): void {
    this.respond(180);
  }
  early(): void {
    this.respond(183, { body: phoneSdp(this.peer.address, "0 101"), contentType: "application/sdp" });
  }
  answer(tag = this.tag, formats = "0 101"): void {
    this.respond(200, { body: phoneSdp(this.peer.address, formats), contentType: "application/sdp" }, tag);
  }
  hangUp(): void {
    this.send("BYE");
  }
  send(method: string, parts: { body?: string; contentType?: string; headers?: Header[] } = {}): Promise<SipResponse> {
    if (this.dialog === undefined) throw new Error("no dialog");
    const next = newRequest(this.dialog, method, { contact: `<sip:peer@${this.peer.address}:5060>`, ...parts });
    this.dialog = next.dialog;
    return this.peer.request(next.request, this.tx.flow);
  }
}

/** A SIP peer on its own address: it records what comes and plays its script. */
export class Peer {
  readonly address: string;
  readonly layer: TransactionLayer;
  readonly transport: TransportLayer;
  readonly calls: PlayedCall[] = [];
  readonly inDialog: SipRequest[] = [];
  script: Script = (call) => call.answer();
  /** What a request within a dialog gets. */
  inDialogStatus = 200;
  /** What it speaks in answers there. */
  inDialogFormats = "0 101";
  ignoresCancel = false;
  readonly #clock: ManualClock;

  constructor(address: string, network: MemoryNetwork, clock: ManualClock) {
    this.address = address;
    this.#clock = clock;
    this.transport = network.transport();
    this.layer = new TransactionLayer({ transport: this.transport, clock });
    this.layer.onRequest((tx) => this.#take(tx));
    this.layer.onAck((ack) => {
      const call = this.calls.findLast(({ request }) => sameCall(request, ack));
      if (call === undefined) return;
      call.acked = ack;
      call.acks++;
    });
  }
  async listen(): Promise<void> {
    await this.transport.listen({ protocol: "udp", address: this.address, port: 5060 });
    await this.transport.listen({ protocol: "tcp", address: this.address, port: 5060 });
  }
  request(request: SipRequest, flow: Flow): Promise<SipResponse> {
    return new Promise((resolve) => {
      this.layer.request(request, flow, {
        onFinal: resolve,
        onTimeout: () => resolve(buildResponse(request, 408)),
        onTransportError: () => resolve(buildResponse(request, 503)),
      });
    });
  }
  get last(): PlayedCall {
    const call = this.calls.at(-1);
    if (call === undefined) throw new Error(`${this.address} got no INVITE`);
    return call;
  }
  #take(tx: ServerTransaction): void {
    const { request } = tx;
    if (request.method === "INVITE" && tagOf(request, "To") === undefined) {
      const call = new PlayedCall(tx, this, this.#clock.now());
      this.calls.push(call);
      void this.script(call);
      return;
    }
    this.inDialog.push(request);
    const call = this.calls.findLast((each) => sameCall(each.request, request));
    if (request.method === "BYE" && call !== undefined) call.bye = request;
    const sdp = sdpOf(request);
    tx.respond(
      buildResponse(request, request.method === "BYE" ? 200 : this.inDialogStatus, {
        headers: [{ name: "Contact", value: `<sip:peer@${this.address}:5060>` }],
        ...(request.method === "INVITE" || (request.method === "UPDATE" && sdp !== undefined)
          ? { body: phoneSdp(this.address, this.inDialogFormats), contentType: "application/sdp" }
          : {}),
      }),
    );
  }
}

function sameCall(a: SipRequest, b: SipRequest): boolean {
  const id = (request: SipRequest) => request.headers.find(({ name }) => name === "Call-ID")?.value;
  return id(a) === id(b);
}

/** A call that a played phone makes. */
export class Outgoing {
  readonly responses: SipResponse[] = [];
  readonly request: SipRequest;
  dialog: Dialog | undefined;
  tx: ClientTransaction | undefined;
  readonly #peer: Peer;
  readonly #flow: Flow;

  constructor(peer: Peer, flow: Flow, request: SipRequest) {
    this.#peer = peer;
    this.#flow = flow;
    this.request = request;
  }
  start(): this {
    this.tx = this.#peer.layer.request(this.request, this.#flow, {
      onProvisional: (response) => void this.responses.push(response),
      onFinal: (response) => {
        this.responses.push(response);
        if (response.status >= 300 || this.dialog !== undefined) return;
        this.dialog = fromUac(this.request, response);
        if (this.dialog !== undefined && this.answersWith === undefined) this.ack();
        else if (this.dialog !== undefined) this.ack(this.answersWith);
      },
      onTimeout: () => {},
      onTransportError: () => {},
    });
    return this;
  }
  /** For a late offer: the answer in the ACK. */
  answersWith: string | undefined;
  ack(sdp?: string): void {
    if (this.dialog === undefined) return;
    const content = sdp === undefined ? {} : { body: sdp, contentType: "application/sdp" };
    this.#peer.layer.sendAck(newAck(this.dialog, cseqOf(this.request)?.seq ?? 1, content), this.#flow);
  }
  send(method: string, parts: { body?: string; contentType?: string; headers?: Header[] } = {}): Promise<SipResponse> {
    if (this.dialog === undefined) throw new Error("no dialog");
    const next = newRequest(this.dialog, method, { contact: `<sip:peer@${this.#peer.address}:5060>`, ...parts });
    this.dialog = next.dialog;
    return this.#peer.request(next.request, this.#flow);
  }
  ackLast(): void {
    if (this.dialog === undefined) return;
    this.#peer.layer.sendAck(newAck(this.dialog, this.dialog.localSeq ?? 1), this.#flow);
  }
  get statuses(): number[] {
    return this.responses.map(({ status }) => status);
  }
  get final(): SipResponse | undefined {
    return this.responses.find(({ status }) => status >= 200);
  }
}
