import type { Clock } from "../../base/clock.ts";
import { type Machine, Runner } from "../../base/fsm.ts";
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
  type InviteServerTimer,
  inviteServer,
} from "./invite-server.ts";
import {
  NON_INVITE_SERVER_START,
  type NonInviteServerEffect,
  type NonInviteServerInput,
  type NonInviteServerState,
  type NonInviteServerTimer,
  nonInviteServer,
} from "./non-invite-server.ts";
import { TimerSet } from "./timer-set.ts";
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

type CommonInput =
  | { readonly type: "start" }
  | { readonly type: "request" }
  | { readonly type: "ack"; readonly ack: SipRequest }
  | { readonly type: "respond"; readonly response: SipResponse }
  | { readonly type: "transport-error"; readonly error: TransportError };

type CommonEffect = Exclude<
  InviteServerEffect | NonInviteServerEffect,
  { readonly type: "start-timer" | "stop-timer" | "ack" | "send-trying" }
>;

/** One of the two machines with its timers. */
interface Driver {
  state(): ServerTransaction["state"];
  feed(input: CommonInput): void;
  stopTimers(): void;
}

export function newServer(options: ServerOptions): LiveServer {
  return new Server(options);
}

class Server implements LiveServer {
  readonly id: string;
  readonly request: SipRequest;
  readonly flow: Flow;
  readonly #context: ServerContext;
  readonly #driver: Driver;
  #lastBytes: Uint8Array | undefined;
  #lastResponse: SipResponse | undefined;
  #toTag: string | undefined;
  #way: Flow | undefined;
  #ackFlow: Flow;
  #ended = false;
  #cancelHandler: ((cancel: SipRequest) => void) | undefined;
  #transportErrorHandler: ((error: TransportError) => void) | undefined;
  #timeoutHandler: (() => void) | undefined;

  constructor(options: ServerOptions) {
    this.id = options.id;
    this.request = options.request;
    this.flow = options.flow;
    this.#ackFlow = options.flow;
    this.#context = options.context;
    this.#driver =
      options.request.method === "INVITE"
        ? this.#drive(options.machines.invite)
        : this.#driveNonInvite(options.machines.nonInvite);
  }

  get state(): ServerTransaction["state"] {
    return this.#driver.state();
  }

  get toTag(): string | undefined {
    return this.#toTag;
  }

  start(): void {
    this.#feed({ type: "start" });
  }

  respond(response: SipResponse): void {
    this.#feed({ type: "respond", response });
  }

  repeated(): void {
    this.#feed({ type: "request" });
  }

  acked(ack: SipRequest, flow: Flow): void {
    this.#ackFlow = flow;
    this.#feed({ type: "ack", ack });
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

  #feed(input: CommonInput): void {
    if (!this.#ended) this.#after(() => this.#driver.feed(input));
  }

  #after(step: () => void): void {
    step();
    if (this.#ended || this.#driver.state() !== "Terminated") return;
    this.#ended = true;
    this.#driver.stopTimers();
    this.#context.ended(this);
  }

  #drive(machine: ServerMachines["invite"]): Driver {
    const timers = new TimerSet<InviteServerTimer>(this.#context.clock, (timer) =>
      this.#after(() => runner.feed({ type: "timer", timer })),
    );
    const runner = new Runner(machine, INVITE_SERVER_START, (effect) => {
      switch (effect.type) {
        case "start-timer":
          timers.start(effect.timer, effect.after_ms);
          break;
        case "stop-timer":
          timers.stop(effect.timer);
          break;
        case "send-trying":
          this.#send(buildResponse(this.request, 100));
          break;
        case "ack":
          this.#context.ack(effect.ack, this.#ackFlow);
          break;
        default:
          this.#perform(effect);
      }
    });
    return {
      state: () => runner.state.name,
      feed: (input) => runner.feed(input),
      stopTimers: () => timers.stopAll(),
    };
  }

  #driveNonInvite(machine: ServerMachines["nonInvite"]): Driver {
    const timers = new TimerSet<NonInviteServerTimer>(this.#context.clock, (timer) =>
      this.#after(() => runner.feed({ type: "timer", timer })),
    );
    const runner = new Runner(machine, NON_INVITE_SERVER_START, (effect) => {
      switch (effect.type) {
        case "start-timer":
          timers.start(effect.timer, effect.after_ms);
          break;
        case "stop-timer":
          timers.stop(effect.timer);
          break;
        default:
          this.#perform(effect);
      }
    });
    return {
      state: () => runner.state.name,
      feed: (input) => {
        if (input.type !== "ack") runner.feed(input);
      },
      stopTimers: () => timers.stopAll(),
    };
  }

  #perform(effect: CommonEffect): void {
    switch (effect.type) {
      case "send":
        this.#send(effect.response);
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
    if (this.#ended) this.#context.tell(() => this.#transportErrorHandler?.(error));
    else this.#feed({ type: "transport-error", error });
  }
}
