import type { Clock } from "../../base/clock.ts";
import type { Machine } from "../../base/fsm.ts";
import { buildResponse } from "../messages/build.ts";
import type { SipRequest, SipResponse } from "../messages/message.ts";
import { tagOf } from "../messages/name-addr.ts";
import { printMessage } from "../messages/print.ts";
import type { Flow, TransportError } from "../transport/flow.ts";
import type { TransportLayer } from "../transport/transport.ts";
import {
  INVITE_SERVER_START,
  type InviteServerEffect,
  type InviteServerInput,
  type InviteServerState,
  inviteServer,
} from "./invite-server.ts";
import {
  NON_INVITE_SERVER_START,
  type NonInviteServerEffect,
  type NonInviteServerInput,
  type NonInviteServerState,
  nonInviteServer,
} from "./non-invite-server.ts";
import { runTimed, type TimedMachine } from "./timed-machine.ts";
import type { TransactionTimers } from "./timers.ts";

/** The machines that server transactions share, as they differ by transport alone. */
export interface ServerMachines {
  readonly invite: Machine<InviteServerState, InviteServerInput, InviteServerEffect>;
  readonly nonInvite: Machine<NonInviteServerState, NonInviteServerInput, NonInviteServerEffect>;
}

export function serverMachines(reliable: boolean, timers: TransactionTimers): ServerMachines {
  const setting = { reliable, timers };
  return { invite: inviteServer(setting), nonInvite: nonInviteServer(setting) };
}

export interface ServerTransaction {
  /** Unique in this layer. */
  readonly id: string;
  readonly request: SipRequest;
  /** The flow the request came by. */
  readonly flow: Flow;
  /** The RFC's name of the state. */
  readonly state: (InviteServerState | NonInviteServerState)["name"];
  /**
   * Sends a response made of this request (`buildResponse`). After the final one only further 2xx of an INVITE are
   * sent (RFC 6026 §8.7); anything else has no effect.
   */
  respond(response: SipResponse): void;
  /** A CANCEL came before the final response; it has its 200. The user answers the INVITE with 487 (§9.2). */
  onCancel(handler: (cancel: SipRequest) => void): void;
  /** A response could not be sent. */
  onTransportError(handler: (error: TransportError) => void): void;
  /** INVITE: no ACK to a final response other than 2xx (Timer H). Others: no final response was given in time. */
  onTimeout(handler: () => void): void;
}

/** What a server transaction needs of the layer. */
export interface ServerContext {
  readonly transport: TransportLayer;
  readonly clock: Clock;
  /** Calls a handler of the user and keeps what it throws away from the transaction. */
  tell(call: () => void): void;
  /** An ACK for the core (to a 2xx). */
  ack(ack: SipRequest, flow: Flow): void;
  ended(transaction: LiveServer): void;
}

/** The layer's own view of a running server transaction. */
export interface LiveServer extends ServerTransaction {
  start(): void;
  /** The request came again. */
  repeated(): void;
  /** An ACK matched this INVITE. */
  acked(ack: SipRequest, flow: Flow): void;
  cancelled(cancel: SipRequest): void;
  /** To tag of the last response sent, if it had one. */
  readonly toTag: string | undefined;
}

export interface ServerOptions {
  readonly id: string;
  readonly request: SipRequest;
  readonly flow: Flow;
  readonly machines: ServerMachines;
  readonly context: ServerContext;
}

type Input =
  | { readonly type: "start" }
  | { readonly type: "request" }
  | { readonly type: "ack"; readonly ack: SipRequest }
  | { readonly type: "respond"; readonly response: SipResponse }
  | { readonly type: "transport-error"; readonly error: TransportError };

type Effect = Exclude<InviteServerEffect | NonInviteServerEffect, { readonly type: "start-timer" | "stop-timer" }>;

export function newServer(options: ServerOptions): LiveServer {
  return new Server(options);
}

class Server implements LiveServer {
  readonly id: string;
  readonly request: SipRequest;
  readonly flow: Flow;
  readonly #context: ServerContext;
  readonly #machine: TimedMachine<ServerTransaction["state"], Input>;
  #lastBytes: Uint8Array | undefined;
  #lastResponse: SipResponse | undefined;
  #toTag: string | undefined;
  #way: Flow | undefined;
  #ackFlow: Flow;
  #cancelHandler: ((cancel: SipRequest) => void) | undefined;
  #transportErrorHandler: ((error: TransportError) => void) | undefined;
  #timeoutHandler: (() => void) | undefined;

  constructor(options: ServerOptions) {
    this.id = options.id;
    this.request = options.request;
    this.flow = options.flow;
    this.#ackFlow = options.flow;
    this.#context = options.context;
    const owner = {
      clock: options.context.clock,
      perform: (effect: Effect) => this.#perform(effect),
      ended: () => options.context.ended(this),
    };
    this.#machine =
      options.request.method === "INVITE"
        ? runTimed(options.machines.invite, INVITE_SERVER_START, owner)
        : runTimed(options.machines.nonInvite, NON_INVITE_SERVER_START, owner);
  }

  get state(): ServerTransaction["state"] {
    return this.#machine.state;
  }

  get toTag(): string | undefined {
    return this.#toTag;
  }

  start(): void {
    this.#machine.feed({ type: "start" });
  }

  respond(response: SipResponse): void {
    this.#machine.feed({ type: "respond", response });
  }

  repeated(): void {
    this.#machine.feed({ type: "request" });
  }

  acked(ack: SipRequest, flow: Flow): void {
    this.#ackFlow = flow;
    this.#machine.feed({ type: "ack", ack });
  }

  cancelled(cancel: SipRequest): void {
    // §9.2: after a final response a CANCEL has no effect.
    if (this.state === "Proceeding") this.#context.tell(() => this.#cancelHandler?.(cancel));
  }

  onCancel(handler: (cancel: SipRequest) => void): void {
    this.#cancelHandler = handler;
  }

  onTransportError(handler: (error: TransportError) => void): void {
    this.#transportErrorHandler = handler;
  }

  onTimeout(handler: () => void): void {
    this.#timeoutHandler = handler;
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "send":
        this.#send(effect.response);
        break;
      case "send-trying":
        this.#send(buildResponse(this.request, 100));
        break;
      case "ack":
        this.#context.ack(effect.ack, this.#ackFlow);
        break;
      case "send-again":
        if (this.#lastBytes !== undefined) this.#transmit(this.#lastBytes);
        break;
      case "timeout":
        this.#context.tell(() => this.#timeoutHandler?.());
        break;
      case "transport-error":
        this.#context.tell(() => this.#transportErrorHandler?.(effect.error));
        break;
    }
  }

  #send(response: SipResponse): void {
    // Only an INVITE is looked for by it: by the ACK of an old client, and for the 200 to a CANCEL.
    if (this.request.method === "INVITE") this.#toTag = tagOf(response, "To") ?? this.#toTag;
    this.#lastBytes = printMessage(response);
    // Only a way that can close is ever looked for again.
    this.#lastResponse = this.flow.reliable ? response : undefined;
    this.#way ??= this.#context.transport.flowForResponse(response, this.flow);
    this.#transmit(this.#lastBytes);
  }

  #transmit(bytes: Uint8Array): void {
    // A connection that is gone is replaced by a new one (RFC 3261 §18.2.2).
    if (this.#way?.closed && this.#lastResponse !== undefined) {
      this.#way = this.#context.transport.flowForResponse(this.#lastResponse, this.flow);
    }
    this.#context.transport.send(this.#way ?? this.flow, bytes, (error) => this.#sendFailed(error));
  }

  #sendFailed(error: TransportError): void {
    // Over TCP the machine may be through already (Timer J zero), but the user has to know.
    if (this.#machine.stopped) this.#context.tell(() => this.#transportErrorHandler?.(error));
    else this.#machine.feed({ type: "transport-error", error });
  }
}
