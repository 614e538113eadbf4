import { buildResponse } from "../sip/messages/build.ts";
import { removeFirst } from "../sip/messages/headers.ts";
import type { SipRequest, SipResponse } from "../sip/messages/message.ts";
import type { ClientTransaction } from "../sip/transactions/client-transaction.ts";
import type { TransactionLayer } from "../sip/transactions/layer.ts";
import type { ServerTransaction } from "../sip/transactions/server-transaction.ts";
import type { Flow } from "../sip/transport/flow.ts";

export interface Branch {
  readonly request: SipRequest;
  readonly flow: Flow;
}

/** One request proxied to all its targets at once (RFC 3261 §16.6, §16.7): the first 2xx wins, the rest are cancelled. */
export class ForkedRequest {
  readonly #tx: ServerTransaction;
  readonly #running = new Set<ClientTransaction>();
  #best: SipResponse | undefined;
  #won = false;

  constructor(tx: ServerTransaction, layer: TransactionLayer, branches: readonly Branch[]) {
    this.#tx = tx;
    if (tx.request.method === "INVITE") tx.respond(buildResponse(tx.request, 100));
    tx.onCancel(() => this.#cancel());
    for (const { request, flow } of branches) {
      const client: ClientTransaction = layer.request(request, flow, {
        onProvisional: (response) => {
          if (response.status > 100 && !this.#won) tx.respond(withoutVia(response));
        },
        onFinal: (response) => this.#final(client, withoutVia(response)),
        onTimeout: () => this.#final(client, buildResponse(tx.request, 408)),
        onTransportError: () => this.#final(client, buildResponse(tx.request, 503)),
      });
      this.#running.add(client);
    }
  }

  /** `response` has the server side's Via on top. */
  #final(client: ClientTransaction, response: SipResponse): void {
    this.#running.delete(client);
    if (response.status < 300) {
      this.#won = true;
      this.#tx.respond(response);
      this.#cancel();
      return;
    }
    // §16.7 step 6: a 6xx first, else the lowest class.
    const rank = ({ status }: SipResponse) => (status >= 600 ? 0 : Math.floor(status / 100));
    if (this.#best === undefined || rank(response) < rank(this.#best)) this.#best = response;
    if (this.#running.size === 0 && !this.#won) this.#tx.respond(this.#best);
  }

  #cancel(): void {
    for (const client of this.#running) client.cancel();
  }
}

function withoutVia(response: SipResponse): SipResponse {
  const copy: SipResponse = { ...response, headers: [...response.headers] };
  removeFirst(copy, "Via");
  return copy;
}
