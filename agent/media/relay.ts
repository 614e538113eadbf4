/**
 * The engine's whole view of the media process. Nothing here decides anything: the engine says which sockets to open,
 * which peer each one talks to and which two are joined, and the relay goes on doing that when the engine is gone.
 */

/** A local RTP socket (with RTCP on the next odd port, or on the same port under rtcp-mux). */
export interface EndpointSpec {
  /** The engine's name for it; unique, stable over engine restarts. */
  readonly id: string;
  /** The call it belongs to, so that a restarted engine can find or drop what it left behind. */
  readonly call_id: string;
  /** Local address to bind, which decides the path the packets leave by. */
  readonly local_address: string;
  /** Kept until closed by name even when the engine is away for long; others are reaped when silent and orphaned. */
  readonly emergency: boolean;
}

/** Where an endpoint sends, and from whom it accepts. */
export interface RemotePeer {
  readonly address: string;
  /** RTP port; 0 when the peer has put the stream on hold or rejected it. */
  readonly port: number;
  /** RTCP port where the peer named one (RFC 3605) or multiplexes (RFC 5761); else RTP port + 1. */
  readonly rtcp_port?: number;
  /**
   * Source addresses a first packet may come from: the negotiated one and, for a peer behind NAT, the address its
   * signalling came from. The first packet from one of them latches its address and port; nothing relearns it in
   * mid-call until `setPeer` is called again with a changed peer.
   */
  readonly accept_from: readonly string[];
}

/** Sound the relay makes itself towards one endpoint's peer, as G.711 in RTP. */
export interface Playback {
  /** 0 = PCMU, 8 = PCMA. */
  readonly payload_type: 0 | 8;
  readonly sound: Sound;
}

export type Sound =
  | {
      readonly kind: "tone";
      readonly frequencies_hz: readonly number[];
      readonly on_ms: number;
      readonly off_ms: number;
      readonly repeat: number;
    }
  /** A named announcement shipped with the relay. */
  | { readonly kind: "announcement"; readonly name: string };

export interface EndpointInfo {
  readonly id: string;
  readonly call_id: string;
  readonly local_address: string;
  readonly port: number;
  readonly bridged_to: string | undefined;
  readonly packets_in: number;
  readonly packets_out: number;
  readonly packets_dropped: number;
  /** Milliseconds since the last accepted packet; undefined when none came yet. */
  readonly silent_ms: number | undefined;
}

/** Every call settles; it rejects with HoldfastError `media.*` when the media process is away or out of ports. */
export interface Relay {
  /** Opens an endpoint and resolves with its even RTP port. Opening an id that exists returns the port it has. */
  open(spec: EndpointSpec): Promise<{ readonly port: number }>;
  setPeer(id: string, peer: RemotePeer): Promise<void>;
  /** Joins two endpoints, both ways; each endpoint is in at most one bridge, an older one is undone. */
  bridge(a: string, b: string): Promise<void>;
  unbridge(id: string): Promise<void>;
  /** Plays towards the endpoint's peer until done or until `stop`; a bridge goes on silently beneath it. */
  play(id: string, playback: Playback): Promise<void>;
  stop(id: string): Promise<void>;
  close(id: string): Promise<void>;
  /** Closes every endpoint of a call. */
  closeCall(call_id: string): Promise<void>;
  /** What is open, for a restarted engine to adopt. */
  list(): Promise<readonly EndpointInfo[]>;
  /** False while the media process cannot be reached. */
  readonly connected: boolean;
}
