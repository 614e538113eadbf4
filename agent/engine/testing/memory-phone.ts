import type { ManualClock } from "../../base/manual-clock.ts";
import { answerChallenge, chooseChallenge } from "../../sip/auth/digest.ts";
import { buildRequest, buildResponse } from "../../sip/messages/build.ts";
import { cseqOf, header, headerList, headerValues, setHeader } from "../../sip/messages/headers.ts";
import type { Header, SipMessage, SipRequest, SipResponse } from "../../sip/messages/message.ts";
import { parseNameAddr, tagOf } from "../../sip/messages/name-addr.ts";
import type { ClientTransaction } from "../../sip/transactions/client-transaction.ts";
import { TransactionLayer } from "../../sip/transactions/layer.ts";
import type { ServerTransaction } from "../../sip/transactions/server-transaction.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import type { MemoryNetwork } from "../../sip/transport/memory-network.ts";
import type { SipTransport } from "../../sip/transport/sip-transport.ts";

export function sdp(address: string, port: number): string {
  return [
    "v=0",
    `o=- 1 1 IN IP4 ${address}`,
    "s=-",
    `c=IN IP4 ${address}`,
    "t=0 0",
    `m=audio ${port} RTP/AVP 0`,
    "a=sendrecv",
    "",
  ].join("\r\n");
}

/** One side of a dialog, enough of it for a phone. */
export interface PhoneDialog {
  readonly callId: string;
  readonly local: string;
  readonly remote: string;
  readonly target: string;
  readonly route: readonly string[];
}

/** A telephone of the LAN: registers, calls, answers. */
export class MemoryPhone {
  readonly user: string;
  readonly address: string;
  readonly received: SipMessage[] = [];
  readonly pending: ServerTransaction[] = [];
  /** What it does with a request; default: keeps an INVITE in `pending`, answers others with 200. */
  onRequest: (tx: ServerTransaction) => void = (tx) => {
    if (tx.request.method === "INVITE") this.pending.push(tx);
    else tx.respond(buildResponse(tx.request, 200));
  };
  readonly acks: SipRequest[] = [];
  readonly #layer: TransactionLayer;
  readonly #flow: Flow;
  readonly #password: string;
  #cseq = 1;
  #calls = 0;

  private constructor(
    user: string,
    address: string,
    transport: SipTransport,
    clock: ManualClock,
    box: string,
    password: string,
  ) {
    this.user = user;
    this.address = address;
    this.#password = password;
    this.#layer = new TransactionLayer({ transport, clock });
    this.#flow = transport.flowTo({
      protocol: "udp",
      address: box,
      port: 5060,
      local_address: address,
      local_port: 5060,
    });
    this.#layer.onRequest((tx) => {
      this.received.push(tx.request);
      this.onRequest(tx);
    });
    this.#layer.onAck((ack) => void this.acks.push(ack));
  }

  static async start(
    network: MemoryNetwork,
    clock: ManualClock,
    user: string,
    address: string,
    box: string,
    password: string,
  ): Promise<MemoryPhone> {
    const transport = network.transport();
    await transport.listen({ protocol: "udp", address, port: 5060 });
    return new MemoryPhone(user, address, transport, clock, box, password);
  }

  /** What it gives as Contact in dialogs, where that is not what it registered. */
  publicContact: string | undefined;

  /** Starts a request; the transaction can be cancelled. */
  start(request: SipRequest): { readonly transaction: ClientTransaction; readonly answer: Promise<SipResponse> } {
    let settle: (response: SipResponse) => void = () => {};
    const answer = new Promise<SipResponse>((resolve) => {
      settle = resolve;
    });
    const transaction = this.#layer.request(request, this.#flow, {
      onFinal: settle,
      onTimeout: () => {},
      onTransportError: () => {},
    });
    return { transaction, answer };
  }

  get contact(): string {
    return `sip:${this.user}@${this.address}:5060`;
  }

  #aor = () => `sip:${this.user}@pbx.example`;

  /** Sends a request and resolves with all its responses once a final one is there; answers one challenge. */
  send(request: SipRequest, onProvisional: (response: SipResponse) => void = () => {}): Promise<SipResponse> {
    return new Promise((resolve, reject) => {
      this.#layer.request(request, this.#flow, {
        onProvisional: (response) => {
          this.received.push(response);
          onProvisional(response);
        },
        onFinal: (response) => {
          this.received.push(response);
          resolve(response);
        },
        onTimeout: () => reject(new Error("timeout")),
        onTransportError: (error) => reject(new Error(error.detail)),
      });
    });
  }

  /** The same with credentials when it is challenged. */
  async sendProven(request: SipRequest): Promise<SipResponse> {
    const response = await this.send(request);
    if (response.status !== 401 && response.status !== 407) return response;
    const [asks, gives] =
      response.status === 401 ? ["WWW-Authenticate", "Authorization"] : ["Proxy-Authenticate", "Proxy-Authorization"];
    const challenge = chooseChallenge(headerValues(response, asks ?? ""));
    if (challenge === undefined) return response;
    const answer = answerChallenge({
      challenge,
      method: request.method,
      uri: request.uri,
      username: this.user,
      password: this.#password,
      nc: 1,
      cnonce: "c",
    });
    if (!answer.ok) return response;
    const again: SipRequest = { ...request, headers: [...request.headers] };
    setHeader(again, gives ?? "", answer.value);
    setHeader(again, "CSeq", `${++this.#cseq} ${request.method}`);
    return this.send(again);
  }

  registerRequest(options: { expires?: number; contact?: string; headers?: readonly Header[] } = {}): SipRequest {
    return buildRequest({
      method: "REGISTER",
      uri: "sip:pbx.example",
      from: `<${this.#aor()}>;tag=reg`,
      to: `<${this.#aor()}>`,
      callId: `reg-${this.address}`,
      cseq: ++this.#cseq,
      contact: options.contact ?? `<${this.contact}>`,
      headers: [
        { name: "Expires", value: String(options.expires ?? 3600) },
        { name: "User-Agent", value: "Memory Phone 1" },
        ...(options.headers ?? []),
      ],
    });
  }

  register(options: { expires?: number; contact?: string; headers?: readonly Header[] } = {}): Promise<SipResponse> {
    return this.sendProven(this.registerRequest(options));
  }

  inviteRequest(to: string, body = sdp(this.address, 30_000), headers: readonly Header[] = []): SipRequest {
    const uri = to.includes(":") ? to : `sip:${to}@pbx.example`;
    return buildRequest({
      method: "INVITE",
      uri,
      from: `<${this.#aor()}>;tag=call${++this.#calls}`,
      to: `<${uri}>`,
      callId: `call-${this.address}-${this.#calls}`,
      cseq: ++this.#cseq,
      contact: `<${this.contact}>`,
      headers,
      ...(body === "" ? {} : { body, contentType: "application/sdp" }),
    });
  }

  respond(tx: ServerTransaction, status: number, body?: string): void {
    tx.respond(
      buildResponse(tx.request, status, {
        toTag: `t${this.user}`,
        headers:
          status > 100 && status < 300 ? [{ name: "Contact", value: `<${this.publicContact ?? this.contact}>` }] : [],
        ...(body === undefined ? {} : { body, contentType: "application/sdp" }),
      }),
    );
  }

  /** The caller's side of a dialog (RFC 3261 §12.1.2). */
  dialogOf(invite: SipRequest, response: SipResponse): PhoneDialog {
    return {
      callId: header(invite, "Call-ID") ?? "",
      local: header(invite, "From") ?? "",
      remote: header(response, "To") ?? "",
      target: parseNameAddr(header(response, "Contact") ?? "")?.uri ?? "",
      route: headerList(response, "Record-Route").reverse(),
    };
  }

  /** The callee's side (RFC 3261 §12.1.1). */
  dialogFrom(invite: SipRequest): PhoneDialog {
    const to = header(invite, "To") ?? "";
    return {
      callId: header(invite, "Call-ID") ?? "",
      local: tagOf(invite, "To") === undefined ? `${to};tag=t${this.user}` : to,
      remote: header(invite, "From") ?? "",
      target: parseNameAddr(header(invite, "Contact") ?? "")?.uri ?? "",
      route: headerList(invite, "Record-Route"),
    };
  }

  inDialog(dialog: PhoneDialog, method: string, body?: string, cseq?: number): SipRequest {
    return buildRequest({
      method,
      uri: dialog.target,
      from: dialog.local,
      to: dialog.remote,
      callId: dialog.callId,
      cseq: cseq ?? ++this.#cseq,
      route: dialog.route,
      contact: `<${this.contact}>`,
      ...(body === undefined ? {} : { body, contentType: "application/sdp" }),
    });
  }

  ack(invite: SipRequest, response: SipResponse, body?: string): void {
    const dialog = this.dialogOf(invite, response);
    this.#layer.sendAck(this.inDialog(dialog, "ACK", body, cseqOf(response)?.seq ?? 1), this.#flow);
  }
}
