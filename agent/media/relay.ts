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
  /**
   * Only a rule for what the engine left behind when it died: an emergency endpoint stays while RTP flows and 10 min
   * after, others until 60 s without RTP. While an engine is connected nothing is reaped. Some ports are kept for these.
   */
  readonly emergency: boolean;
  /**
   * Whatever the peer sends is passed on as it is: UDPTL (T.38), STUN and DTLS beside RTP (RFC 7983), ZRTP. Without it
   * only RTP and RTCP pass.
   */
  readonly opaque?: boolean;
  /** The way out of the building that its packets take; left out on the LAN's side. */
  readonly path?: string;
  /** The port it had in a media process that was killed: the peer knows no other. Another one where that is taken. */
  readonly port?: number;
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
      /** Up to 8, each below 4000; 350 and 440 is the dial tone. */
      readonly frequencies_hz: readonly number[];
      readonly on_ms: number;
      readonly off_ms: number;
      /** How many cycles of on and off; {@link UNTIL_STOPPED} has no end. */
      readonly repeat: number;
    }
  /** A named announcement shipped with the relay; said once or, with `again_after_ms` of silence between, until stopped. */
  | { readonly kind: "announcement"; readonly name: string; readonly again_after_ms?: number };

/** `repeat` of a tone that plays until it is stopped. */
export const UNTIL_STOPPED = 0;

function progressTone(frequencies_hz: readonly number[], on_ms: number, off_ms: number) {
  return { kind: "tone", frequencies_hz, on_ms, off_ms, repeat: UNTIL_STOPPED } as const;
}

/** North American call-progress tones (precise tone plan: Telcordia GR-506; ITU-T E.180 Supplement 2). */
export const US_TONES = {
  dial: progressTone([350, 440], 1000, 0),
  ringback: progressTone([440, 480], 2000, 4000),
  busy: progressTone([480, 620], 500, 500),
  /** Also "fast busy", congestion: no way through the network. */
  reorder: progressTone([480, 620], 250, 250),
} as const satisfies Record<string, Sound>;

/** The announcements there are: what they say and how long that takes. */
export const ANNOUNCEMENTS = {
  "practice-psap": {
    text: "This is a practice, not real 9 1 1. No help is on the way. In a real emergency, call from another phone.",
    duration_ms: 8578,
  },
  "dial-again": { text: "Your call was interrupted. Please hang up, and dial again.", duration_ms: 4900 },
  "being-reconnected": {
    text: "Your call was interrupted. It is being reconnected. You can stay on the line, or hang up.",
    duration_ms: 6918,
  },
} as const;

export type AnnouncementName = keyof typeof ANNOUNCEMENTS;

export interface EndpointInfo {
  readonly id: string;
  readonly call_id: string;
  readonly local_address: string;
  readonly port: number;
  readonly bridged_to: string | undefined;
  /** RTP packets accepted from the peer; of an opaque endpoint, all but RTCP. */
  readonly packets_in: number;
  /** RTP packets sent to the peer, played ones too. */
  readonly packets_out: number;
  /** RTP and RTCP that was malformed or from somebody else. */
  readonly packets_dropped: number;
  /** Milliseconds since the last accepted RTP packet; undefined when none came yet. */
  readonly silent_ms: number | undefined;
  readonly emergency?: boolean;
  readonly opaque?: boolean;
  readonly path?: string;
  /** As it was set last, so that an engine that was restarted can have it again after this process was too. */
  readonly peer?: RemotePeer;
  /** RTP packets that should have come from the peer and did not. */
  readonly packets_lost?: number;
  /** RTCP of a peer that listens and sends no sound, as on hold: receiver reports (RFC 3550 §6.4.2). */
  readonly receiver_reports?: number;
  /** Whether a playback is running; it becomes false by itself when the sound is over. */
  readonly playing?: boolean;
}

/**
 * Every call settles; it rejects with HoldfastError: `media.unreachable` when the media process is away or has not
 * answered in 150 ms (it may still carry the request out: opening the same id again, or closing the call, is safe),
 * `media.no_port`, `media.unknown_endpoint`, `media.refused` (an address that is none, an unknown announcement).
 * Undoing what is already undone (`unbridge`, `stop`, `close`, `closeCall` of what is not there) succeeds.
 */
export interface Relay {
  /** Opens an endpoint and resolves with its even RTP port. Opening an id that exists returns the port it has. */
  open(spec: EndpointSpec): Promise<{ readonly port: number }>;
  setPeer(id: string, peer: RemotePeer): Promise<void>;
  /** Joins two endpoints, both ways; each endpoint is in at most one bridge, an older one is undone. */
  bridge(a: string, b: string): Promise<void>;
  unbridge(id: string): Promise<void>;
  /**
   * Plays towards the endpoint's peer until done or until `stop`; a bridge goes on silently beneath it. Resolves when
   * the sound has begun. From then on the packets relayed to this peer are renumbered into the same RTP stream: not for
   * a stream that is SRTP.
   */
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
