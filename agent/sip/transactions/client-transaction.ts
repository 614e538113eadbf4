import type { Clock } from "../../base/clock.ts";
import { Runner } from "../../base/fsm.ts";
import { buildAck, buildCancel } from "../messages/build.ts";
import type { Header, SipRequest, SipResponse } from "../messages/message.ts";
import { printMessage } from "../messages/print.ts";
import type { Flow, TransportError } from "../transport/flow.ts";
import type { TransportLayer } from "../transport/transport.ts";
import {
  INVITE_CLIENT_START,
  type InviteClientEffect,
  type InviteClientState,
  type InviteClientTimer,
  inviteClient,
} from "./invite-client.ts";
import {
  NON_INVITE_CLIENT_START,
  type NonInviteClientEffect,
  type NonInviteClientState,
  type NonInviteClientTimer,
  nonInviteClient,
} from "./non-invite-client.ts";
import { TimerSet } from "./timer-set.ts";
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

export interface ClientOptions {
  readonly id: string;
  readonly request: SipRequest;
  readonly flow: Flow;
  readonly handlers: ClientHandlers;
  readonly setting: ClientSetting;
  readonly context: ClientContext;
}

type CommonInput =
  | { readonly type: "start" }
  | { readonly type: "response"; readonly response: SipResponse }
  | { readonly type: "cancel" }
  | { readonly type: "transport-error"; readonly error: TransportError };

type CommonEffect = Exclude<
  InviteClientEffect | NonInviteClientEffect,
  { readonly type: "start-timer" | "stop-timer" | "send-ack" | "send-cancel" }
>;

/** One of the two machines with its timers. */
interface Driver {
  state(): ClientTransaction["state"];
  feed(input: CommonInput): void;
  stopTimers(): void;
}

/** Starts a client transaction: the request is on its way, or refused, when this returns. */
export function startClient(options: ClientOptions): LiveClient {
  const client = new Client(options);
  client.start();
  return client;
}

class Client implements LiveClient {
  readonly id: string;
  readonly request: SipRequest;
  readonly flow: Flow;
  readonly #context: ClientContext;
  readonly #handlers: ClientHandlers;
  readonly #bytes: Uint8Array;
  readonly #driver: Driver;
  #responseFlow: Flow;
  #cancelHeaders: readonly Header[] | undefined;
  #ended = false;

  constructor(options: ClientOptions) {
    this.id = options.id;
    this.request = options.request;
    this.flow = options.flow;
    this.#context = options.context;
    this.#handlers = options.handlers;
    this.#bytes = printMessage(options.request);
    this.#responseFlow = options.flow;
    this.#driver =
      options.request.method === "INVITE" ? this.#drive(options.setting) : this.#driveNonInvite(options.setting);
  }

  get state(): ClientTransaction["state"] {
    return this.#ended ? "Terminated" : this.#driver.state();
  }

  start(): void {
    this.#feed({ type: "start" });
  }

  receive(response: SipResponse, flow: Flow): void {
    this.#responseFlow = flow;
    this.#feed({ type: "response", response });
  }

  flowClosed(error: TransportError): void {
    // After the final response nothing is waited for.
    if (this.state !== "Completed" && this.state !== "Accepted") this.#feed({ type: "transport-error", error });
  }

  cancel(headers?: readonly Header[]): void {
    this.#cancelHeaders ??= headers;
    this.#feed({ type: "cancel" });
  }

  abandon(): void {
    this.#end();
  }

  #feed(input: CommonInput): void {
    if (!this.#ended) this.#after(() => this.#driver.feed(input));
  }

  #after(step: () => void): void {
    step();
    if (this.#driver.state() === "Terminated") this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#driver.stopTimers();
    this.#context.ended(this);
  }

  #drive(setting: ClientSetting): Driver {
    const timers = new TimerSet<InviteClientTimer>(this.#context.clock, (timer) =>
      this.#after(() => runner.feed({ type: "timer", timer })),
    );
    const runner = new Runner(inviteClient(setting), INVITE_CLIENT_START, (effect) => {
      if (this.#ended) return;
      switch (effect.type) {
        case "start-timer":
          timers.start(effect.timer, effect.after_ms);
          break;
        case "stop-timer":
          timers.stop(effect.timer);
          break;
        case "send-ack":
          this.#send(printMessage(buildAck(this.request, effect.response)));
          break;
        case "send-cancel":
          this.#context.sendCancel(buildCancel(this.request, this.#cancelHeaders), this.flow);
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

  #driveNonInvite(setting: ClientSetting): Driver {
    const timers = new TimerSet<NonInviteClientTimer>(this.#context.clock, (timer) =>
      this.#after(() => runner.feed({ type: "timer", timer })),
    );
    const runner = new Runner(nonInviteClient(setting), NON_INVITE_CLIENT_START, (effect) => {
      if (this.#ended) return;
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
        if (input.type !== "cancel") runner.feed(input);
      },
      stopTimers: () => timers.stopAll(),
    };
  }

  #perform(effect: CommonEffect): void {
    switch (effect.type) {
      case "send":
        this.#send(this.#bytes);
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
    this.#context.transport.send(this.flow, bytes, (error) => this.#feed({ type: "transport-error", error }));
  }
}
