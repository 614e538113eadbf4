import type { Header, SipRequest } from "../messages/message.ts";
import type { Flow } from "../transport/flow.ts";
import type { ClientHandlers, ClientTransaction } from "./client-transaction.ts";

/** RFC 3261 §18.1.1: what is larger goes over a transport with congestion control while the path's MTU is not known. */
export const LARGEST_DATAGRAM_BYTES = 1300;

/** Bytes of a request as it will be printed. */
export function printedBytes({ method, uri, headers, body }: SipRequest): number {
  const firstLine = method.length + Buffer.byteLength(uri) + " SIP/2.0\r\n".length + 1;
  const lines = headers.reduce((sum, { name, value }) => sum + name.length + Buffer.byteLength(value) + 4, 0);
  return firstLine + lines + 2 + body.length;
}

/**
 * A request that is too large for UDP: tried over a stream and, when that fails before anybody has answered, sent over
 * UDP after all (§18.1.1), which the user is not told of. To the user it is one transaction.
 */
export class LargeRequest implements ClientTransaction {
  readonly #handlers: ClientHandlers;
  readonly #overUdp: (handlers: ClientHandlers) => ClientTransaction;
  #current: ClientTransaction;
  #heard = false;
  #given = false;

  constructor(
    handlers: ClientHandlers,
    overStream: (handlers: ClientHandlers) => ClientTransaction,
    overUdp: (handlers: ClientHandlers) => ClientTransaction,
  ) {
    this.#handlers = handlers;
    this.#overUdp = overUdp;
    this.#current = overStream({
      onProvisional: (response, flow) => {
        this.#heard = true;
        handlers.onProvisional?.(response, flow);
      },
      onFinal: (response, flow) => {
        this.#heard = true;
        handlers.onFinal(response, flow);
      },
      onTimeout: () => handlers.onTimeout(),
      onTransportError: (error) => {
        if (this.#heard || this.#given) handlers.onTransportError(error);
        else this.#current = this.#overUdp(this.#handlers);
      },
    });
  }

  get id(): string {
    return this.#current.id;
  }

  get request(): SipRequest {
    return this.#current.request;
  }

  get flow(): Flow {
    return this.#current.flow;
  }

  get state(): ClientTransaction["state"] {
    return this.#current.state;
  }

  cancel(headers?: readonly Header[]): void {
    this.#given = true;
    this.#current.cancel(headers);
  }

  quiet(): void {
    this.#given = true;
    this.#current.quiet();
  }

  abandon(): void {
    this.#given = true;
    this.#current.abandon();
  }
}
