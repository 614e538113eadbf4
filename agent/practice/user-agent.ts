import type { Clock } from "../base/clock.ts";
import { token } from "../base/ids.ts";
import { answerChallenge, chooseChallenge } from "../sip/auth/digest.ts";
import { type Dialog, dialogId, dialogIdOf } from "../sip/dialogs/dialog.ts";
import { buildRequest, buildResponse } from "../sip/messages/build.ts";
import { cseqOf, headerValues, setHeader } from "../sip/messages/headers.ts";
import type { SipRequest, SipResponse } from "../sip/messages/message.ts";
import { tagOf } from "../sip/messages/name-addr.ts";
import type { ClientTransaction } from "../sip/transactions/client-transaction.ts";
import { TransactionLayer } from "../sip/transactions/layer.ts";
import type { ServerTransaction } from "../sip/transactions/server-transaction.ts";
import type { Destination, Flow } from "../sip/transport/flow.ts";
import type { SipTransport } from "../sip/transport/sip-transport.ts";
import { PartyCall } from "./party-call.ts";

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export interface Outcome {
  /** 408 when nobody answered, 503 when it could not be sent (RFC 3261 §8.1.3.1). */
  readonly status: number;
  readonly reason: string;
  readonly response: SipResponse | undefined;
  /** As sent last: with credentials where they were asked for. */
  readonly request: SipRequest;
}

export interface Sent {
  readonly outcome: Promise<Outcome>;
  cancel(): void;
}

/** One SIP endpoint of the practice site: telephone, carrier or answering point (RFC 3261 §8, §13, §15). */
export class UserAgent {
  readonly clock: Clock;
  readonly transport: SipTransport;
  readonly layer: TransactionLayer;
  readonly contact: string;
  readonly #calls = new Map<string, PartyCall>();
  readonly #pending = new Map<string, PartyCall>();
  #onCall: (call: PartyCall) => void = (call) => call.refuse(480);
  #onOther: (tx: ServerTransaction) => void = (tx) => tx.respond(buildResponse(tx.request, 405));

  /** `transport` listens already; `contact` is the URI at which it does. */
  constructor(clock: Clock, transport: SipTransport, contact: string) {
    this.clock = clock;
    this.transport = transport;
    this.contact = contact;
    this.layer = new TransactionLayer({ transport, clock });
    this.layer.onRequest((tx, flow) => this.#request(tx, flow));
    this.layer.onAck((ack) => this.#calls.get(dialogIdOf(ack) ?? "")?.acknowledged(ack));
    this.layer.onStrayResponse((response) => {
      // A repeated 2xx whose transaction is over: its ACK was lost.
      if (response.status >= 200 && response.status < 300 && cseqOf(response)?.method === "INVITE") {
        this.#calls.get(dialogIdOf(response) ?? "")?.repeatAck();
      }
    });
  }

  onCall(handler: (call: PartyCall) => void): void {
    this.#onCall = handler;
  }

  /** Requests outside of a dialog other than INVITE, ACK, CANCEL and OPTIONS. */
  onOther(handler: (tx: ServerTransaction) => void): void {
    this.#onOther = handler;
  }

  /** Sends a request and answers one challenge. A 2xx to an INVITE is acknowledged by whoever makes a call of it. */
  send(
    request: SipRequest,
    destination: Destination | Flow,
    credentials?: Credentials,
    onProvisional: (response: SipResponse) => void = () => {},
  ): Sent {
    let current: ClientTransaction | undefined;
    let cancelled = false;
    const outcome = new Promise<Outcome>((resolve) => {
      const ended = (sent: SipRequest, status: number, reason: string, response?: SipResponse) =>
        resolve({ status, reason, response, request: sent });
      const attempt = (sent: SipRequest, again: boolean) => {
        const flow = "id" in destination ? destination : this.transport.flowTo(destination);
        current = this.layer.request(sent, flow, {
          onProvisional,
          onFinal: (response) => {
            const proven =
              again && credentials !== undefined && !cancelled
                ? withCredentials(sent, response, credentials)
                : undefined;
            if (proven === undefined) ended(sent, response.status, response.reason, response);
            else attempt(proven, false);
          },
          onTimeout: () => ended(sent, 408, "no answer"),
          onTransportError: ({ detail }) => ended(sent, 503, detail),
        });
      };
      attempt(request, true);
    });
    return {
      outcome,
      cancel() {
        cancelled = true;
        current?.cancel();
      },
    };
  }

  register(account: {
    readonly aor: string;
    readonly registrar: string;
    readonly destination: Destination;
    readonly credentials: Credentials;
    readonly expires_s: number;
    readonly cseq: number;
    readonly callId: string;
  }): Promise<Outcome> {
    const request = buildRequest({
      method: "REGISTER",
      uri: account.registrar,
      from: `<${account.aor}>;tag=${token(5)}`,
      to: `<${account.aor}>`,
      callId: account.callId,
      cseq: account.cseq,
      contact: `<${this.contact}>`,
      headers: [
        { name: "Expires", value: String(account.expires_s) },
        { name: "User-Agent", value: "PRACTICE phone" },
      ],
    });
    return this.send(request, account.destination, account.credentials).outcome;
  }

  /** Known from now on by its dialog. */
  adopt(call: PartyCall, dialog: Dialog): void {
    const id = dialogId(dialog);
    this.#calls.set(id, call);
    call.onEnd(() => void this.#calls.delete(id));
  }

  async close(): Promise<void> {
    for (const call of [...this.#calls.values(), ...this.#pending.values()]) call.abandon();
    await this.transport.shutdown();
  }

  #request(tx: ServerTransaction, flow: Flow): void {
    const { request } = tx;
    if (tagOf(request, "To") !== undefined) {
      const call = this.#calls.get(dialogIdOf(request) ?? "");
      if (call === undefined) tx.respond(buildResponse(request, 481));
      else call.inDialog(tx);
      return;
    }
    if (request.method === "INVITE") {
      const call = PartyCall.incoming(this, tx, flow);
      this.#pending.set(tx.id, call);
      call.onSettled(() => void this.#pending.delete(tx.id));
      this.#onCall(call);
    } else if (request.method === "OPTIONS") tx.respond(buildResponse(request, 200));
    else this.#onOther(tx);
  }
}

/** The same request with the credentials that a 401 or 407 asks for; undefined when it asks for none that we have. */
function withCredentials(
  request: SipRequest,
  response: SipResponse,
  { username, password }: Credentials,
): SipRequest | undefined {
  if (response.status !== 401 && response.status !== 407) return undefined;
  const [asks, gives] =
    response.status === 401 ? ["WWW-Authenticate", "Authorization"] : ["Proxy-Authenticate", "Proxy-Authorization"];
  const challenge = chooseChallenge(headerValues(response, asks ?? ""));
  if (challenge === undefined) return undefined;
  const { method, uri } = request;
  const answer = answerChallenge({ challenge, method, uri, username, password, nc: 1, cnonce: token(8) });
  if (!answer.ok) return undefined;
  const proven: SipRequest = { ...request, headers: [...request.headers] };
  setHeader(proven, gives ?? "", answer.value);
  setHeader(proven, "CSeq", `${(cseqOf(request)?.seq ?? 0) + 1} ${method}`);
  return proven;
}
