import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import {
  type Acceptance,
  accept,
  type Dialog,
  dialogFromJson,
  type InDialogParts,
  newAck,
  newRequest,
  refresh,
} from "../../sip/dialogs/dialog.ts";
import { cseqOf } from "../../sip/messages/headers.ts";
import type { SipRequest, SipResponse } from "../../sip/messages/message.ts";
import type { ClientTransaction } from "../../sip/transactions/client-transaction.ts";
import type { TransactionLayer } from "../../sip/transactions/layer.ts";
import type { Destination, Flow } from "../../sip/transport/flow.ts";
import type { TransportLayer } from "../../sip/transport/transport.ts";
import type { Answerer } from "./credentials.ts";

export interface LegContext {
  readonly clock: Clock;
  readonly transactions: TransactionLayer;
  readonly transport: TransportLayer;
  readonly log: Log;
}

/** A leg as the journal keeps it. */
export interface LegRecord {
  /** User part of our Contact: what requests of the peer within the dialog are known by. */
  readonly token: string;
  readonly contact: string;
  readonly dialog: Dialog;
  readonly destination: Destination;
}

export interface LegFinal {
  /** Status of the final response; 408 when none came, 503 when the request could not be sent (RFC 3261 §8.1.3.1). */
  readonly status: number;
  readonly response: SipResponse | undefined;
  /** CSeq number of the request it belongs to. */
  readonly cseq: number;
}

/** One side of an answered call: its dialog, and the way to the peer. */
export class Leg {
  readonly token: string;
  readonly #context: LegContext;
  readonly #answerer: Answerer | undefined;
  #contact: string;
  #destination: Destination;
  #flow: Flow;
  #dialog: Dialog;

  constructor(
    context: LegContext,
    parts: {
      readonly token: string;
      readonly contact: string;
      readonly dialog: Dialog;
      readonly flow: Flow;
      readonly answerer?: Answerer | undefined;
    },
  ) {
    this.#context = context;
    this.token = parts.token;
    this.#contact = parts.contact;
    this.#dialog = parts.dialog;
    this.#flow = parts.flow;
    this.#answerer = parts.answerer;
    this.#destination = destinationOf(parts.flow);
  }

  get contact(): string {
    return this.#contact;
  }

  /** From now on the peer is reached by another path. Returns what undoes that. */
  reroute(flow: Flow, contact: string): () => void {
    const before = { contact: this.#contact, destination: this.#destination, flow: this.#flow };
    this.#contact = contact;
    this.#destination = destinationOf(flow);
    this.#flow = flow;
    return () => {
      this.#contact = before.contact;
      this.#destination = before.destination;
      this.#flow = before.flow;
    };
  }

  /** A leg from the journal, on a flow of its own. */
  static resume(context: LegContext, record: LegRecord, answerer?: Answerer): Leg | undefined {
    const dialog = dialogFromJson(record.dialog);
    if (dialog === undefined) return undefined;
    const { token, contact, destination } = record;
    return new Leg(context, { token, contact, dialog, flow: context.transport.flowTo(destination), answerer });
  }

  get dialog(): Dialog {
    return this.#dialog;
  }

  get record(): LegRecord {
    return { token: this.token, contact: this.#contact, dialog: this.#dialog, destination: this.#destination };
  }

  get flow(): Flow {
    if (this.#flow.closed) this.#flow = this.#context.transport.flowTo(this.#destination);
    return this.#flow;
  }

  /** Takes a request of the peer: its order is checked and its new target kept. */
  accept(request: SipRequest): Acceptance {
    const acceptance = accept(this.#dialog, request);
    if (acceptance.ok) this.#dialog = acceptance.dialog;
    return acceptance;
  }

  /** Sends a request within the dialog; a challenge is answered once with the leg's own credentials. */
  request(
    method: string,
    parts: InDialogParts,
    onFinal: (final: LegFinal) => void,
    retried = false,
  ): ClientTransaction {
    const next = newRequest(this.#dialog, method, parts);
    this.#dialog = next.dialog;
    const cseq = next.dialog.localSeq ?? 0;
    let done = false;
    const finish = (status: number, response: SipResponse | undefined) => {
      if (done) return;
      done = true;
      if (response !== undefined) this.#dialog = refresh(this.#dialog, response);
      onFinal({ status, response, cseq });
    };
    return this.#context.transactions.request(next.request, this.flow, {
      onFinal: (response) => {
        const challenged = response.status === 401 || response.status === 407;
        const credentials = challenged && !retried && !done ? this.#answerer?.(response, next.request) : undefined;
        if (credentials === undefined) {
          if (done && method === "INVITE" && response.status < 300) this.ack(cseq);
          finish(response.status, response);
          return;
        }
        done = true;
        this.request(method, { ...parts, headers: [...(parts.headers ?? []), credentials] }, onFinal, true);
      },
      onTimeout: () => finish(408, undefined),
      onTransportError: () => finish(503, undefined),
    });
  }

  /** ACK to the 2xx of a re-INVITE. */
  ack(cseq: number, parts: InDialogParts = {}): void {
    this.#context.transactions.sendAck(newAck(this.#dialog, cseq, parts), this.flow);
  }

  bye(headers: InDialogParts["headers"] = []): void {
    this.request("BYE", { headers }, ({ status }) => {
      this.#context.log.debug("BYE answered", { token: this.token, status });
    });
  }
}

/** How to reach the other end of a flow again from the same local address. */
export function destinationOf({ protocol, local, remote }: Flow): Destination {
  return {
    protocol,
    address: remote.address,
    port: remote.port,
    local_address: local.address,
    ...(protocol === "udp" ? { local_port: local.port } : {}),
  };
}

export function cseqNumber(request: SipRequest): number {
  return cseqOf(request)?.seq ?? 0;
}
