import type { Clock } from "../../base/clock.ts";
import { buildAck, buildCancel } from "../messages/build.ts";
import type { Header, SipRequest, SipResponse } from "../messages/message.ts";
import { printMessage } from "../messages/print.ts";
import type { Flow, TransportError } from "../transport/flow.ts";
import type { TransportLayer } from "../transport/transport.ts";
import {
  INVITE_CLIENT_PROCEEDING,
  INVITE_CLIENT_START,
  type InviteClientEffect,
  type InviteClientState,
  inviteClient,
} from "./invite-client.ts";
import {
  NON_INVITE_CLIENT_START,
  type NonInviteClientEffect,
  type NonInviteClientState,
  nonInviteClient,
} from "./non-invite-client.ts";
import { runTimed, type TimedMachine } from "./timed-machine.ts";
import type { ClientSetting } from "./timers.ts";

/** What the user of a client transaction is told. At most one of the last three ends it, except as said. */
export interface ClientHandlers {
  /** A 1xx, 100 included. May come any number of times. */
  onProvisional?(response: SipResponse, flow: Flow): void;
  /**
   * The final response. For an INVITE every 2xx comes, repetitions and those of other forks included: the core sends
   * its ACK for each one (RFC 3261 §13.2.2.4, RFC 6026 §8.4). Other finals come once and have their ACK already.
   */
  onFinal(response: SipResponse, flow: Flow): void;
  /** No final response in time (Timers B and F; 64*T1 after CANCEL, §9.1). To be treated as a 408. */
  onTimeout(): void;
  /** The request could not be sent, or its connection is gone. To be treated as a 503. */
  onTransportError(error: TransportError): void;
}

export interface ClientTransaction {
  /** Branch and method; unique in this layer. */
  readonly id: string;
  /** As sent: with our Via on top. */
  readonly request: SipRequest;
  readonly flow: Flow;
  /** The RFC's name of the state. */
  readonly state: (InviteClientState | NonInviteClientState)["name"];
  /**
   * Cancels an INVITE: CANCEL goes out at once or, while no provisional response has come, after the first one (§9.1).
   * The transaction goes on: a final response is still told, and a 2xx may have crossed the CANCEL. `headers` go into
   * the CANCEL (Reason, RFC 3326). Without effect on other methods and after a final response.
   */
  cancel(headers?: readonly Header[]): void;
  /**
   * Repeats an INVITE no more that nobody has responded to; what comes is still told. For one that is cancelled and whose
   * caller is gone: a copy that gets through late would only make a call ring that is over.
   */
  quiet(): void;
  /** Forgets it: nothing more is sent or told, and late responses are stray ones. */
  abandon(): void;
}

/** What a client transaction needs of the layer. */
export interface ClientContext {
  readonly transport: TransportLayer;
  readonly clock: Clock;
  /** Calls a handler of the user and keeps what it throws away from the transaction. */
  tell(call: () => void): void;
  sendCancel(cancel: SipRequest, flow: Flow): void;
  ended(transaction: LiveClient): void;
}

/** The layer's own view of a running client transaction. */
export interface LiveClient extends ClientTransaction {
  receive(response: SipResponse, flow: Flow): void;
  /** Its connection has closed. */
  flowClosed(error: TransportError): void;
}

/**
 * An INVITE that was sent before, under the same branch: a provisional response had come to it (`proceeding`); none had, and it
 * is repeated (`calling`); or its transaction ended in an error although it may have arrived, and nothing is sent, but what
 * comes is taken, a provisional response with a CANCEL (`lost`).
 */
export type ResumedInvite = "proceeding" | "calling" | "lost";

export interface ClientOptions {
  readonly id: string;
  readonly request: SipRequest;
  readonly flow: Flow;
  readonly handlers: ClientHandlers;
  readonly setting: ClientSetting;
  readonly context: ClientContext;
  /** Left out: the request has not been sent yet. */
  readonly resumed?: ResumedInvite;
}

type Input =
  | { readonly type: "start" }
  | { readonly type: "listen" }
  | { readonly type: "response"; readonly response: SipResponse }
  | { readonly type: "cancel" }
  | { readonly type: "quiet" }
  | { readonly type: "transport-error"; readonly error: TransportError };

type Effect = Exclude<InviteClientEffect | NonInviteClientEffect, { readonly type: "start-timer" | "stop-timer" }>;

/** Starts a client transaction: the request is on its way, or refused, when this returns. */
export function startClient(options: ClientOptions): LiveClient {
  const client = new Client(options);
  client.start(options.resumed);
  return client;
}

class Client implements LiveClient {
  readonly id: string;
  readonly request: SipRequest;
  readonly flow: Flow;
  readonly #context: ClientContext;
  readonly #handlers: ClientHandlers;
  readonly #bytes: Uint8Array;
  readonly #machine: TimedMachine<ClientTransaction["state"], Input>;
  #responseFlow: Flow;
  #cancelHeaders: readonly Header[] | undefined;

  constructor(options: ClientOptions) {
    this.id = options.id;
    this.request = options.request;
    this.flow = options.flow;
    this.#context = options.context;
    this.#handlers = options.handlers;
    this.#bytes = printMessage(options.request);
    this.#responseFlow = options.flow;
    const owner = {
      clock: options.context.clock,
      perform: (effect: Effect) => this.#perform(effect),
      ended: () => options.context.ended(this),
    };
    this.#machine =
      options.request.method === "INVITE"
        ? runTimed(
            inviteClient(options.setting),
            options.resumed === "proceeding" ? INVITE_CLIENT_PROCEEDING : INVITE_CLIENT_START,
            owner,
          )
        : runTimed(nonInviteClient(options.setting), NON_INVITE_CLIENT_START, owner);
  }

  get state(): ClientTransaction["state"] {
    return this.#machine.stopped ? "Terminated" : this.#machine.state;
  }

  start(resumed: ResumedInvite | undefined): void {
    if (resumed === "lost") this.#machine.feed({ type: "listen" });
    else if (resumed !== "proceeding") this.#machine.feed({ type: "start" });
  }

  receive(response: SipResponse, flow: Flow): void {
    this.#responseFlow = flow;
    this.#machine.feed({ type: "response", response });
  }

  flowClosed(error: TransportError): void {
    // After the final response nothing is waited for.
    if (this.state !== "Completed" && this.state !== "Accepted") this.#machine.feed({ type: "transport-error", error });
  }

  cancel(headers?: readonly Header[]): void {
    if (this.request.method !== "INVITE") return;
    this.#cancelHeaders ??= headers;
    this.#machine.feed({ type: "cancel" });
  }

  quiet(): void {
    if (this.request.method === "INVITE") this.#machine.feed({ type: "quiet" });
  }

  abandon(): void {
    this.#machine.stop();
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "send":
        this.#send(this.#bytes);
        break;
      case "send-ack":
        this.#send(printMessage(buildAck(this.request, effect.response)));
        break;
      case "send-cancel":
        this.#context.sendCancel(buildCancel(this.request, this.#cancelHeaders), this.flow);
        break;
      case "provisional":
        this.#context.tell(() => this.#handlers.onProvisional?.(effect.response, this.#responseFlow));
        break;
      case "final":
        this.#context.tell(() => this.#handlers.onFinal(effect.response, this.#responseFlow));
        break;
      case "timeout":
        this.#context.tell(() => this.#handlers.onTimeout());
        break;
      case "transport-error":
        this.#context.tell(() => this.#handlers.onTransportError(effect.error));
        break;
    }
  }

  #send(bytes: Uint8Array): void {
    this.#context.transport.send(this.flow, bytes, (error) => this.#machine.feed({ type: "transport-error", error }));
  }
}
