import { randomBytes } from "node:crypto";
import type { Clock, Timer } from "../../base/clock.ts";
import { Runner } from "../../base/fsm.ts";
import type { Endpoint, Flow, TransportError } from "./flow.ts";
import { inBrackets } from "./ip-address.ts";
import { type KeepAlive, type KeepAliveEffect, type KeepAliveInput, keepAlive, newKeepAlive } from "./keep-alive.ts";
import { bindingRequest, type StunMessage, TRANSACTION_BYTES } from "./stun.ts";

/** What whoever holds a flow is told of it (RFC 5626 §4.4). */
export interface KeepAliveHandlers {
  /** Longest time between two keep-alives, ms; left out: what ordinary NATs bear. */
  readonly interval_ms?: number | undefined;
  /** The peer answered. `rtt_ms` is undefined where a question had to be repeated. */
  onPong?(rtt_ms: number | undefined): void;
  /** UDP: where the peer sees us, told first and on each change: then a NAT has forgotten us, and what was registered. */
  onMapped?(mapped: Endpoint, before: Endpoint | undefined): void;
  /** A peer that used to answer does not. A stream has been closed for it; over UDP the asking goes on. */
  onFailed?(error: TransportError): void;
}

export interface KeptFlow {
  /** No more keep-alives; the flow itself stays. */
  stop(): void;
}

interface Kept {
  readonly flow: Flow;
  readonly handlers: KeepAliveHandlers;
  readonly runner: Runner<KeepAlive, KeepAliveInput, KeepAliveEffect>;
  timer: Timer | undefined;
}

export interface KeepAlivesPorts {
  readonly clock: Clock;
  /** 0 ≤ n < 1. */
  readonly random: () => number;
  send(flow: Flow, bytes: Uint8Array): void;
  /** Ends a connection whose peer is silent. */
  abort(flow: Flow, error: TransportError): void;
  /** Calls a handler of the user. */
  tell(call: () => void): void;
}

const CRLF_TWICE = Buffer.from("\r\n\r\n");
/** Up to a fifth earlier than the interval. */
const JITTER = 0.2;
/** Peers of which it is remembered that they answer. */
const REMEMBERED = 256;

/** The flows that are kept alive, each by a machine of its own. */
export class KeepAlives {
  readonly #ports: KeepAlivesPorts;
  /** By the flow's id: a UDP flow that was forgotten comes back under the same. */
  readonly #kept = new Map<string, Kept>();
  readonly #answering = new Set<string>();

  constructor(ports: KeepAlivesPorts) {
    this.#ports = ports;
  }

  /** UDP is asked at once, so that the mapped address is known before anything is registered; a stream after a while. */
  keep(flow: Flow, handlers: KeepAliveHandlers): KeptFlow {
    this.stop(flow);
    const over = flow.reliable ? "stream" : "datagram";
    const kept: Kept = {
      flow,
      handlers,
      timer: undefined,
      runner: new Runner(
        keepAlive,
        newKeepAlive(over, this.#answering.has(peerOf(flow)), handlers.interval_ms),
        (effect) => this.#perform(kept, effect),
      ),
    };
    this.#kept.set(flow.id, kept);
    if (flow.reliable) this.#rest(kept);
    else this.#timer(kept);
    return {
      stop: () => {
        if (this.#kept.get(flow.id) === kept) this.stop(flow);
      },
    };
  }

  stop(flow: Flow): void {
    this.#kept.get(flow.id)?.timer?.cancel();
    this.#kept.delete(flow.id);
  }

  stopAll(): void {
    for (const { flow } of [...this.#kept.values()]) this.stop(flow);
  }

  pong(flow: Flow): void {
    this.#kept.get(flow.id)?.runner.feed({ type: "pong", at_ms: this.#ports.clock.now() });
  }

  /** An answer that came by this flow. */
  stun(flow: Flow, { transaction, mapped }: StunMessage): void {
    this.#kept.get(flow.id)?.runner.feed({ type: "stun", transaction, mapped, at_ms: this.#ports.clock.now() });
  }

  #timer(kept: Kept): void {
    if (kept.flow.closed) {
      this.stop(kept.flow);
      return;
    }
    const transaction = randomBytes(TRANSACTION_BYTES).toString("hex");
    kept.runner.feed({ type: "timer", transaction, at_ms: this.#ports.clock.now() });
  }

  #perform(kept: Kept, effect: KeepAliveEffect): void {
    const { flow, handlers } = kept;
    // A handler may have stopped it meanwhile.
    if (this.#kept.get(flow.id) !== kept) return;
    switch (effect.do) {
      case "send_crlf":
        if (flow.connected) this.#ports.send(flow, CRLF_TWICE);
        return;
      case "send_stun":
        this.#ports.send(flow, bindingRequest(effect.transaction));
        return;
      case "arm":
        if (effect.rest) this.#rest(kept);
        else this.#arm(kept, effect.after_ms);
        return;
      case "answered":
        this.#remember(peerOf(flow));
        this.#ports.tell(() => handlers.onPong?.(effect.rtt_ms));
        return;
      case "mapped":
        this.#ports.tell(() => handlers.onMapped?.(effect.mapped, effect.before));
        return;
      case "failed": {
        const error = { code: "ETIMEDOUT", detail: `${flow.id}: ${effect.detail}` };
        this.#ports.tell(() => handlers.onFailed?.(error));
        if (flow.reliable) this.#ports.abort(flow, error);
      }
    }
  }

  #rest(kept: Kept): void {
    this.#arm(kept, kept.runner.state.interval_ms * (1 - JITTER * this.#ports.random()));
  }

  #arm(kept: Kept, after_ms: number): void {
    kept.timer?.cancel();
    kept.timer = this.#ports.clock.after(after_ms, () => this.#timer(kept));
  }

  #remember(peer: string): void {
    if (this.#answering.size >= REMEMBERED && !this.#answering.has(peer)) this.#answering.clear();
    this.#answering.add(peer);
  }
}

function peerOf({ protocol, remote }: Flow): string {
  return `${protocol} ${inBrackets(remote.address)}:${remote.port}`;
}
