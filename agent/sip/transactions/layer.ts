import type { Clock } from "../../base/clock.ts";
import { token } from "../../base/ids.ts";
import { buildResponse } from "../messages/build.ts";
import { cseqOf, headerValues } from "../messages/headers.ts";
import type { SipMessage, SipRequest, SipResponse } from "../messages/message.ts";
import { tagOf } from "../messages/name-addr.ts";
import { printMessage } from "../messages/print.ts";
import { splitOutside } from "../messages/syntax.ts";
import { topVia } from "../messages/via.ts";
import type { Flow, TransportError } from "../transport/flow.ts";
import { inBrackets } from "../transport/ip-address.ts";
import type { TransportLayer } from "../transport/transport.ts";
import {
  type ClientContext,
  type ClientHandlers,
  type ClientTransaction,
  type LiveClient,
  type ResumedInvite,
  startClient,
} from "./client-transaction.ts";
import { LARGEST_DATAGRAM_BYTES, LargeRequest, printedBytes } from "./large-request.ts";
import { clientKey, isUniqueBranch, keyOfResponse, MAGIC_COOKIE, serverKey } from "./matching.ts";
import {
  type LiveServer,
  newServer,
  type ServerContext,
  type ServerMachines,
  type ServerTransaction,
  serverMachines,
} from "./server-transaction.ts";
import { RFC_TIMERS, type TransactionTimers } from "./timers.ts";

export interface TransactionLayerOptions {
  readonly transport: TransportLayer;
  readonly clock: Clock;
  readonly timers?: TransactionTimers;
  /**
   * A standing connection to where this UDP flow leads, for a request that is too large for a datagram (RFC 3261
   * §18.1.1). Undefined where there is none: then it goes over UDP.
   */
  readonly streamBeside?: (flow: Flow) => Flow | undefined;
  /** A handler of the user threw. Default: thrown again after the transaction has done its work. */
  readonly onHandlerError?: (error: unknown) => void;
}

export interface RequestOptions {
  /**
   * Times of the first retransmissions in milliseconds after the first sending, instead of Timer A's or E's doubling,
   * which goes on from T1 after the list. Without effect on a reliable transport.
   */
  readonly retransmit_at_ms?: readonly number[];
}

export type RequestOutcome = "answered" | "silence" | "unsent";

/** The transaction layer (RFC 3261 §17 with RFC 6026): one for all flows of a transport. */
export class TransactionLayer {
  readonly #transport: TransportLayer;
  readonly #timers: TransactionTimers;
  readonly #streamBeside: (flow: Flow) => Flow | undefined;
  readonly #report: (error: unknown) => void;
  readonly #clients = new Map<string, LiveClient>();
  readonly #servers = new Map<string, LiveServer>();
  /** Client transactions of each connection, to be told when it closes. */
  readonly #byConnection = new Map<Flow, Set<LiveClient>>();
  readonly #clientContext: ClientContext;
  readonly #serverContext: ServerContext;
  readonly #reliableMachines: ServerMachines;
  readonly #unreliableMachines: ServerMachines;
  #onRequest: (transaction: ServerTransaction, flow: Flow) => void = () => {};
  #onAck: (ack: SipRequest, flow: Flow) => void = () => {};
  #onStrayResponse: (response: SipResponse, flow: Flow) => void = () => {};
  #onOutcome: (flow: Flow, outcome: RequestOutcome) => void = () => {};

  constructor({ transport, clock, timers, streamBeside, onHandlerError }: TransactionLayerOptions) {
    this.#streamBeside = streamBeside ?? (() => undefined);
    this.#transport = transport;
    this.#timers = timers ?? RFC_TIMERS;
    this.#reliableMachines = serverMachines(true, this.#timers);
    this.#unreliableMachines = serverMachines(false, this.#timers);
    this.#report =
      onHandlerError ??
      ((error) =>
        queueMicrotask(() => {
          throw error;
        }));
    const tell = (call: () => void) => this.#tell(call);
    this.#clientContext = {
      transport,
      clock,
      tell,
      sendCancel: (cancel, flow) => void this.#start(cancel, flow, IGNORED, []),
      ended: (client) => this.#clientEnded(client),
    };
    this.#serverContext = {
      transport,
      clock,
      tell,
      ack: (ack, flow) => tell(() => this.#onAck(ack, flow)),
      ended: (server) => void this.#servers.delete(server.id),
    };
    transport.onMessage((message, flow) => this.#receive(message, flow));
    transport.onFlowClosed((flow, error) => this.#flowClosed(flow, error));
  }

  /** Transactions that are not terminated. */
  get size(): { readonly clients: number; readonly servers: number } {
    return { clients: this.#clients.size, servers: this.#servers.size };
  }

  /**
   * Sends a request, under a top Via of ours, in a client transaction of its own. The message given is not changed.
   * No handler is called before this returns. An ACK is not for here: see {@link sendAck}.
   */
  request(message: SipRequest, flow: Flow, handlers: ClientHandlers, options: RequestOptions = {}): ClientTransaction {
    const retransmitAt_ms = options.retransmit_at_ms ?? [];
    const overUdp = (told: ClientHandlers) => this.#start(this.#withVia(message, flow), flow, told, retransmitAt_ms);
    const stream = flow.protocol === "udp" && isLarge(message) ? this.#streamBeside(flow) : undefined;
    const user = this.#seen(flow, handlers);
    if (stream === undefined) return overUdp(user);
    return new LargeRequest(
      user,
      (told) => this.#start(this.#withVia(message, stream), stream, told, retransmitAt_ms),
      overUdp,
    );
  }

  /** Takes up the client transaction of an INVITE that was sent before, under the Via that it had. */
  resumeInvite(invite: SipRequest, flow: Flow, handlers: ClientHandlers, resumed: ResumedInvite): ClientTransaction {
    return this.#start(invite, flow, handlers, [], resumed);
  }

  /**
   * Sends the ACK to a 2xx, which belongs to no transaction, under a top Via of ours. Returns how to send the very same
   * again, as for each repetition of the 2xx (RFC 3261 §13.2.2.4).
   */
  sendAck(ack: SipRequest, flow: Flow, onError?: (error: TransportError) => void): () => void {
    const bytes = printMessage(this.#withVia(ack, flow));
    const send = () => this.#transport.send(flow, bytes, onError);
    send();
    return send;
  }

  /** Takes a request that had come to an earlier process: as if it came now. */
  takeAgain(request: SipRequest, flow: Flow): void {
    this.#receiveRequest(request, flow);
  }

  /** New requests except ACK and CANCEL. Handlers on the transaction are to be set before this returns. */
  onRequest(handler: (transaction: ServerTransaction, flow: Flow) => void): void {
    this.#onRequest = handler;
  }

  /** ACKs to a 2xx, and those that match nothing. */
  onAck(handler: (ack: SipRequest, flow: Flow) => void): void {
    this.#onAck = handler;
  }

  /** Responses that match no client transaction. RFC 6026 §8.9 has a proxy drop them; a core may want a late 2xx. */
  onStrayResponse(handler: (response: SipResponse, flow: Flow) => void): void {
    this.#onStrayResponse = handler;
  }

  /** Told once for each request: whether there was any response at all. For those who want to know of a peer, not of a call. */
  onOutcome(handler: (flow: Flow, outcome: RequestOutcome) => void): void {
    this.#onOutcome = handler;
  }

  #seen(flow: Flow, handlers: ClientHandlers): ClientHandlers {
    let told = false;
    const tell = (outcome: RequestOutcome) => {
      if (told) return;
      told = true;
      this.#tell(() => this.#onOutcome(flow, outcome));
    };
    return {
      onProvisional: (response, by) => {
        tell("answered");
        handlers.onProvisional?.(response, by);
      },
      onFinal: (response, by) => {
        tell("answered");
        handlers.onFinal(response, by);
      },
      onTimeout: () => {
        tell("silence");
        handlers.onTimeout();
      },
      onTransportError: (error) => {
        tell("unsent");
        handlers.onTransportError(error);
      },
    };
  }

  #withVia(message: SipRequest, flow: Flow): SipRequest {
    const { address, port } = this.#transport.sentBy(flow);
    const sentBy = `${inBrackets(address)}${port === 0 ? "" : `:${port}`}`;
    const alias = flow.peer?.mutual === true ? ";alias" : "";
    const value = `SIP/2.0/${flow.protocol.toUpperCase()} ${sentBy};rport;branch=${MAGIC_COOKIE}${token()}${alias}`;
    return { ...message, headers: [{ name: "Via", value }, ...message.headers] };
  }

  #start(
    request: SipRequest,
    flow: Flow,
    handlers: ClientHandlers,
    retransmitAt_ms: readonly number[],
    resumed?: ResumedInvite,
  ): ClientTransaction {
    const id = clientKey(branchOf(request), request.method);
    const client = startClient({
      id,
      request,
      flow,
      handlers,
      setting: { reliable: flow.reliable, timers: this.#timers, retransmitAt_ms },
      context: this.#clientContext,
      ...(resumed === undefined ? {} : { resumed }),
    });
    this.#clients.set(id, client);
    if (flow.reliable) {
      const others = this.#byConnection.get(flow);
      if (others === undefined) this.#byConnection.set(flow, new Set([client]));
      else others.add(client);
    }
    return client;
  }

  #clientEnded(client: LiveClient): void {
    if (this.#clients.get(client.id) === client) this.#clients.delete(client.id);
    const others = this.#byConnection.get(client.flow);
    others?.delete(client);
    if (others?.size === 0) this.#byConnection.delete(client.flow);
  }

  #flowClosed(flow: Flow, error: TransportError | undefined): void {
    const reason = error ?? { code: "ECLOSED", detail: `${flow.id}: the connection has ended` };
    for (const client of [...(this.#byConnection.get(flow) ?? [])]) client.flowClosed(reason);
  }

  #receive(message: SipMessage, flow: Flow): void {
    if (message.kind === "response") this.#receiveResponse(message, flow);
    else if (message.method === "ACK") this.#receiveAck(message, flow);
    else if (message.method === "CANCEL") this.#receiveCancel(message, flow);
    else this.#receiveRequest(message, flow);
  }

  #receiveResponse(response: SipResponse, flow: Flow): void {
    const method = cseqOf(response)?.method;
    const key = method === undefined ? undefined : keyOfResponse(response, method);
    const client = key === undefined ? undefined : this.#clients.get(key);
    // §8.1.3.3: a response with more Vias than its request had has lost its way.
    if (client === undefined || viasOf(response) > viasOf(client.request)) {
      this.#tell(() => this.#onStrayResponse(response, flow));
    } else client.receive(response, flow);
  }

  #receiveRequest(request: SipRequest, flow: Flow): void {
    const via = topVia(request);
    if (via === undefined) return;
    const key = serverKey(request, via, request.method);
    const known = this.#servers.get(key);
    if (known !== undefined) {
      known.repeated();
      return;
    }
    const server = this.#newServer(key, request, flow);
    this.#tell(() => this.#onRequest(server, flow));
  }

  #receiveAck(ack: SipRequest, flow: Flow): void {
    const via = topVia(ack);
    const server = via === undefined ? undefined : this.#servers.get(serverKey(ack, via, "INVITE"));
    // An old client's ACK has no branch that tells calls apart; its To tag is the response's (§17.2.3).
    if (server !== undefined && (isOfRfc3261(ack) || tagOf(ack, "To") === server.toTag)) server.acked(ack, flow);
    else this.#tell(() => this.#onAck(ack, flow));
  }

  #receiveCancel(cancel: SipRequest, flow: Flow): void {
    const via = topVia(cancel);
    if (via === undefined) return;
    const key = serverKey(cancel, via, "CANCEL");
    const known = this.#servers.get(key);
    if (known !== undefined) {
      known.repeated();
      return;
    }
    const invite = this.#servers.get(serverKey(cancel, via, "INVITE"));
    const server = this.#newServer(key, cancel, flow);
    if (invite === undefined) {
      // §9.2: another request than INVITE is known, but has no answer that could still be stopped.
      const other = CANCELLABLE.some((method) => this.#servers.has(serverKey(cancel, via, method)));
      server.respond(buildResponse(cancel, other ? 200 : 481));
      return;
    }
    // §9.2: the To tag should be that of the responses to the INVITE.
    const toTag = invite.toTag;
    server.respond(buildResponse(cancel, 200, toTag === undefined ? {} : { toTag }));
    invite.cancelled(cancel);
  }

  #newServer(id: string, request: SipRequest, flow: Flow): LiveServer {
    const server = newServer({
      id,
      request,
      flow,
      machines: flow.reliable ? this.#reliableMachines : this.#unreliableMachines,
      context: this.#serverContext,
    });
    this.#servers.set(id, server);
    server.start();
    return server;
  }

  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#report(error);
    }
  }
}

/** Methods that a CANCEL may be for besides INVITE; ACK and CANCEL themselves are not (§9.2). */
const CANCELLABLE = "BYE INFO MESSAGE NOTIFY OPTIONS PRACK PUBLISH REFER REGISTER SUBSCRIBE UPDATE".split(" ");

/** The layer's own CANCELs: whatever becomes of them, the INVITE's transaction decides. */
const IGNORED: ClientHandlers = { onFinal: () => {}, onTimeout: () => {}, onTransportError: () => {} };

function viasOf(message: SipMessage): number {
  let count = 0;
  for (const value of headerValues(message, "Via")) count += value.includes(",") ? splitOutside(value, ",").length : 1;
  return count;
}

/** A Via of ours is still to come, with an IPv6 address, the longest port and our branch; and perhaps a Content-Length. */
const VIA_BYTES = 130;

function isLarge(message: SipRequest): boolean {
  return printedBytes(message) + VIA_BYTES > LARGEST_DATAGRAM_BYTES;
}

function branchOf(request: SipRequest): string {
  const via = topVia(request);
  return via?.params.find((param) => param.name.toLowerCase() === "branch")?.value ?? "";
}

function isOfRfc3261(request: SipRequest): boolean {
  return isUniqueBranch(branchOf(request));
}
