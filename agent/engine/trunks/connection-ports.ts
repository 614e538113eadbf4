import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Flow, Protocol, TransportError } from "../../sip/transport/flow.ts";
import type { TransportLayer } from "../../sip/transport/transport.ts";
import type { Path } from "../paths/path.ts";

/** What a trunk's connection needs, and whom it tells. */
export interface ConnectionPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly transport: TransportLayer;
  readonly random: () => number;
  readonly path: Path;
  readonly peer: {
    readonly host: string;
    readonly port: number | undefined;
    readonly transport: Protocol | "auto";
    readonly local_port: number;
    /** Name of its TLS policy. */
    readonly tls: string;
    /** The box has a certificate to take its TLS connections with. */
    readonly listens_tls: boolean;
    /** The site file says how TLS is to be spoken, so that DNS may choose it. */
    readonly offers_tls: boolean;
  };
  /** Keep a NAT's bindings open over UDP too, because calls are to come in. Connections are always kept. */
  readonly keep_alive: boolean;
  /** No standing connection: it is made when a flow is asked for. */
  readonly on_demand?: boolean;
  /** There is a flow, and it is not the one before. */
  connected(): void;
  /** The flow is gone, and what was registered over it. */
  lost(): void;
  /** The peer sees the box elsewhere than before. */
  moved(): void;
  failed(source: string, error: TransportError): void;
  /** The peer answered a keep-alive that was sent then (Clock ms). */
  pong(sent_ms: number): void;
  /** What is known of the peer's names, for the evidence. */
  named(judged: "good" | "bad", detail: string): void;
  /** Asks whether a server answers (again); `done` is told once. */
  ask(flow: Flow, done: (alive: boolean) => void): void;
  /** Whether the site lets new work go to a server only because it is preferred: not while a 911 call may need this one. */
  mayReturn(): boolean;
  /** No server of the peer answers, as far as is known. */
  isDown(): boolean;
}
