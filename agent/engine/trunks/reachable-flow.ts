import type { Clock, Timer } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Endpoint, Flow, TransportError } from "../../sip/transport/flow.ts";
import type { KeptFlow } from "../../sip/transport/keep-alives.ts";
import type { TransportLayer } from "../../sip/transport/transport.ts";

export interface ReachableFlowPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly transport: TransportLayer;
  /** Keep a NAT's bindings open over UDP too, because calls are to come in. Connections are always kept. */
  readonly keep_alive: boolean;
  /** The peer answered a keep-alive that was sent then (Clock ms). */
  pong(sent_ms: number): void;
  failed(source: string, error: TransportError): void;
  /** The peer sees the box elsewhere than before: what was registered leads nowhere. */
  moved(): void;
}

/** Keep-alives: what ordinary NATs bear, and what the most forgetful ones do. */
const LONGEST_KEEP_MS = 25_000;
const SHORTEST_KEEP_MS = 6_000;
/** What a NAT has changed is told to the registrar no more often than this. */
const REMAP_MS = 5_000;

/**
 * The flow that calls from outside come in by (RFC 5626 §4.4): kept alive, and followed when a NAT on the way forgets it.
 * How often it has to be reminded is learned from the registrar (Flow-Timer) and from each time that it forgot.
 */
export class ReachableFlow {
  readonly #ports: ReachableFlowPorts;
  #flow: Flow | undefined;
  #kept: KeptFlow | undefined;
  #mapped: Endpoint | undefined;
  #remap: Timer | undefined;
  #remapped_ms = Number.NEGATIVE_INFINITY;
  /** Undefined: as usual. */
  #every_ms: number | undefined;

  constructor(ports: ReachableFlowPorts) {
    this.#ports = ports;
  }

  /** Where the peer sees us, behind whatever NATs there are; undefined until it has said so. */
  get mapped(): Endpoint | undefined {
    return this.#mapped;
  }

  /** From now on this flow. */
  keep(flow: Flow): void {
    this.#kept?.stop();
    this.#kept = undefined;
    this.#flow = flow;
    const { transport, clock, keep_alive, failed, pong } = this.#ports;
    if (flow.closed || (!flow.reliable && !keep_alive)) return;
    const kept = transport.keepAlive(flow, {
      interval_ms: this.#every_ms,
      onPong: (rtt_ms) => {
        if (rtt_ms !== undefined) pong(clock.now() - rtt_ms);
      },
      onMapped: (mapped) => {
        if (this.#kept === kept) this.mappedTo(mapped);
      },
      onFailed: (error) => {
        // A stream's end is told by itself.
        if (!flow.reliable) failed("stun", error);
      },
    });
    this.#kept = kept;
  }

  /** The flow is gone. */
  drop(): void {
    this.#kept?.stop();
    this.#kept = undefined;
    this.#remap?.cancel();
    this.#flow = undefined;
    this.#mapped = undefined;
  }

  /**
   * The peer tells where it sees us, by STUN or in a Via (RFC 3581). Another place than before means that a NAT has
   * forgotten us (RFC 5626 §4.4.2): then it has to be reminded more often.
   */
  mappedTo(mapped: Endpoint): void {
    const flow = this.#flow;
    // A connection has a port of its own anyway; beyond a NAT it is the only way back, and the contact has to name it.
    if (flow === undefined || (flow.reliable && mapped.address === flow.local.address)) return;
    const before = this.#mapped;
    if (before?.address === mapped.address && before.port === mapped.port) return;
    this.#mapped = mapped;
    const { log, clock, moved } = this.#ports;
    const plain = mapped.address === flow.local.address && mapped.port === flow.local.port;
    if (before === undefined && plain) return;
    if (before !== undefined) {
      const every_ms = Math.max(SHORTEST_KEEP_MS, (this.#every_ms ?? LONGEST_KEEP_MS) / 2);
      log.info("a NAT has given the trunk another port", { before, mapped, keep_alive_ms: every_ms });
      this.#every_ms = every_ms;
      this.keep(flow);
    }
    // A NAT that gives another port each time must not make us register without end.
    const wait_ms = Math.max(0, this.#remapped_ms + REMAP_MS - clock.now());
    this.#remap?.cancel();
    this.#remap = clock.after(wait_ms, () => {
      if (this.#flow !== flow) return;
      this.#remapped_ms = clock.now();
      moved();
    });
  }

  /** The registrar expects a keep-alive at least so often (Flow-Timer). */
  atLeastEvery(flow_timer_s: number): void {
    const wanted_ms = Math.max(SHORTEST_KEEP_MS, flow_timer_s * 1000);
    if (this.#flow === undefined || wanted_ms >= (this.#every_ms ?? LONGEST_KEEP_MS)) return;
    this.#every_ms = wanted_ms;
    this.keep(this.#flow);
  }
}
