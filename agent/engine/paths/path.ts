import type { Evidence, HealthState } from "../../base/events.ts";
import type { Located, PeerName } from "./resolver.ts";

/** A verdict with its reasons; the same shape for paths and trunks. */
export interface Health {
  readonly state: HealthState;
  /** Monotonic ms of the last change of state. */
  readonly since_ms: number;
  readonly evidence: readonly Evidence[];
}

/** A way out of the building as the rest of the engine sees it. */
export interface Path {
  readonly id: string;
  readonly kind: "wan" | "lte" | "modem";
  readonly health: Health;
  /** The local address that pins packets to this path; undefined while the interface has none. */
  readonly localAddress: string | undefined;
  /** When it last came back from an outage, and how long it had been good by then; undefined when it never did. */
  readonly returned?: { readonly at_ms: number; readonly held_ms: number } | undefined;
  /** Smoothed round-trip time of what probes there are; undefined before the first answer. */
  readonly rtt_ms: number | undefined;
  readonly loss_percent: number | undefined;
  /** SIP passes and sound does not, as far as calls have shown. */
  readonly dead_media?: boolean | undefined;
  /** The servers of a SIP name (RFC 3263), asked on this path only; what was learned before serves when DNS is dead. */
  locate(sought: PeerName): Promise<Located>;
  /** The same from memory alone, however old: nobody is asked. */
  known(sought: PeerName): Located;
  /** A call saw no answer in time: probe now, and judge within 250 ms. */
  suspect(reason: string): void;
}

export interface Paths {
  get(id: string): Path | undefined;
  all(): readonly Path[];
  /** Called after every change of a path's state or local address. */
  onChange(listener: (path: Path) => void): void;
}
