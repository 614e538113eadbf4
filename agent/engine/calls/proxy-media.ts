import type { AlarmBoard } from "../../base/alarms.ts";
import { errorText } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Relay, RemotePeer } from "../../media/relay.ts";
import type { SipMessage } from "../../sip/messages/message.ts";
import { editSdp, type MediaTarget, readSdp, type SdpMedia, sdpOf, withSdp } from "../../sip/messages/sdp.ts";
import { ipFamily } from "../../sip/transport/ip-address.ts";

/** The two sides between which media is anchored. */
export type MediaSide = "phone" | "trunk";

/** Where a side's media arrives here, and where its signalling comes from. */
export interface MediaParty {
  readonly local_address: string;
  readonly signalling_address: string;
}

export type MediaParties = Readonly<Record<MediaSide, MediaParty>>;

interface Line {
  readonly ports: Readonly<Record<MediaSide, number>>;
  /** a=rtcp-mux in the last description of each side; it is in use when both say so (RFC 5761 §5.1.1). */
  readonly mux: Record<MediaSide, boolean>;
}

interface Session {
  readonly lines: (Line | undefined)[];
  /** What waits for ports, in order: messages of one call must not overtake each other. */
  queue: Promise<void> | undefined;
  /** Peers as they were before the offer that is open, to go back to when it is refused. */
  before: { readonly side: MediaSide; readonly peers: ReadonlyMap<string, RemotePeer> } | undefined;
  readonly peers: Map<string, RemotePeer>;
}

export interface ProxyMediaContext {
  readonly relay: Relay;
  readonly alarms: AlarmBoard;
  readonly log: Log;
}

/**
 * Puts the relay into the sound of calls between the LAN and the cloud, changing nothing in their descriptions but
 * addresses and ports. Offer and answer need not be told apart: a description from one side says where that side hears,
 * and the other side is told where to send so that it gets there. Ids are made of the leg's id, so that a restarted
 * engine finds the ports again.
 */
export class ProxyMedia {
  readonly #context: ProxyMediaContext;
  readonly #sessions = new Map<string, Session>();

  constructor(context: ProxyMediaContext) {
    this.#context = context;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /**
   * Calls `go` with the message as it has to be sent on, at once where nothing has to be waited for, and after all
   * earlier messages of the same leg.
   */
  pass<M extends SipMessage>(
    leg: string,
    from: MediaSide,
    parties: MediaParties,
    message: M,
    go: (message: M) => void,
  ): void {
    const session = this.#sessions.get(leg);
    const sdp = message.body.length === 0 ? undefined : sdpOf(message);
    if (sdp === undefined) {
      if (session?.queue === undefined) go(message);
      else this.#enqueue(session, () => go(message));
      return;
    }
    const media = readSdp(sdp).media;
    const known = session ?? this.#newSession(leg);
    if (known.queue === undefined && media.every((line, i) => !isRelayed(line) || known.lines[i] !== undefined)) {
      go(this.#rewrite(leg, known, from, parties, media, sdp, message));
      return;
    }
    this.#enqueue(known, async () => {
      if (await this.#open(leg, known, parties, media)) {
        go(this.#rewrite(leg, known, from, parties, media, sdp, message));
      } else go(message);
    });
  }

  /** An offer in an established call was refused: what was before counts again. */
  refused(leg: string): void {
    const session = this.#sessions.get(leg);
    if (session?.before === undefined) return;
    for (const [id, peer] of session.before.peers) this.#setPeer(session, id, peer);
    session.before = undefined;
  }

  /** An offer in an established call begins. */
  offered(leg: string, side: MediaSide): void {
    const session = this.#sessions.get(leg);
    if (session !== undefined) session.before = { side, peers: new Map(session.peers) };
  }

  /** The call is over. */
  close(leg: string): void {
    this.#sessions.delete(leg);
    this.#context.relay.closeCall(callIdOf(leg)).catch((error) => this.#trouble(error));
  }

  /**
   * Gives back ports whose call ended unseen: phones that vanished, calls from before a restart that were never
   * answered. `up_ms`: how long this engine runs. To be called about every minute.
   */
  async reap(up_ms: number): Promise<void> {
    const { relay } = this.#context;
    if (!relay.connected) return;
    try {
      const calls = new Map<string, number>();
      for (const { call_id, silent_ms } of await relay.list()) {
        if (!call_id.startsWith(PREFIX)) continue;
        calls.set(call_id, Math.min(calls.get(call_id) ?? Number.POSITIVE_INFINITY, silent_ms ?? up_ms));
      }
      for (const [call_id, silent_ms] of calls) {
        const leg = call_id.slice(PREFIX.length);
        if (silent_ms > (this.#sessions.has(leg) ? SILENT_KNOWN_MS : SILENT_UNKNOWN_MS)) this.close(leg);
      }
    } catch (error) {
      this.#trouble(error);
    }
  }

  #newSession(leg: string): Session {
    const session: Session = { lines: [], queue: undefined, before: undefined, peers: new Map() };
    this.#sessions.set(leg, session);
    return session;
  }

  #enqueue(session: Session, step: () => void | Promise<void>): void {
    const run = (session.queue ?? Promise.resolve()).then(step).catch((error) => {
      this.#context.log.error("proxied media", { error: errorText(error) });
    });
    session.queue = run;
    void run.then(() => {
      if (session.queue === run) session.queue = undefined;
    });
  }

  async #open(leg: string, session: Session, parties: MediaParties, media: readonly SdpMedia[]): Promise<boolean> {
    const { relay } = this.#context;
    if (!relay.connected) {
      this.#context.alarms.raise("media.down", "", "The media process is not connected.");
      return false;
    }
    const open = (side: MediaSide, i: number) =>
      relay.open({
        id: endpointId(leg, i, side),
        call_id: callIdOf(leg),
        local_address: parties[side].local_address,
        emergency: false,
      });
    try {
      await Promise.all(
        media.map(async (line, i) => {
          if (!isRelayed(line) || session.lines[i] !== undefined) return;
          const [phone, trunk] = await Promise.all([open("phone", i), open("trunk", i)]);
          session.lines[i] = {
            ports: { phone: phone.port, trunk: trunk.port },
            mux: { phone: false, trunk: false },
          };
          relay.bridge(endpointId(leg, i, "phone"), endpointId(leg, i, "trunk")).catch((error) => this.#trouble(error));
        }),
      );
      this.#context.alarms.clear("media.down", "");
      return true;
    } catch (error) {
      this.#trouble(error);
      return false;
    }
  }

  #rewrite<M extends SipMessage>(
    leg: string,
    session: Session,
    from: MediaSide,
    parties: MediaParties,
    media: readonly SdpMedia[],
    sdp: string,
    message: M,
  ): M {
    const to: MediaSide = from === "phone" ? "trunk" : "phone";
    const targets: (MediaTarget | undefined)[] = media.map((description, i) => {
      const line = session.lines[i];
      if (line === undefined || !isMedia(description)) return undefined;
      const id = endpointId(leg, i, from);
      line.mux[from] = description.rtcpMux;
      this.#setPeer(session, id, peerOf(description, line, parties[from].signalling_address));
      return { address: parties[to].local_address, port: line.ports[to] };
    });
    return targets.every((target) => target === undefined) ? message : withSdp(message, editSdp(sdp, targets));
  }

  #setPeer(session: Session, id: string, peer: RemotePeer): void {
    session.peers.set(id, peer);
    this.#context.relay.setPeer(id, peer).catch((error) => this.#trouble(error));
  }

  #trouble(error: unknown): void {
    this.#context.log.warn("media relay", { error: errorText(error) });
    if (!this.#context.relay.connected) this.#context.alarms.raise("media.down", "", errorText(error));
  }
}

const PREFIX = "proxied-";
/** A call on hold may be silent for long. */
const SILENT_KNOWN_MS = 4 * 3_600_000;
const SILENT_UNKNOWN_MS = 600_000;

const callIdOf = (leg: string) => `${PREFIX}${leg}`;
const endpointId = (leg: string, line: number, side: MediaSide) => `${PREFIX}${leg}-${line}-${side}`;

const isMedia = ({ type }: SdpMedia) => type === "audio" || type === "video";
const isRelayed = (media: SdpMedia) => isMedia(media) && media.port !== 0;

function peerOf(media: SdpMedia, line: Line, signalling: string): RemotePeer {
  const named = media.address !== undefined && ipFamily(media.address) !== undefined ? media.address : undefined;
  const address = named === undefined || isUnspecified(named) ? signalling : named;
  const rtcp = line.mux.phone && line.mux.trunk ? media.port : media.rtcp?.port;
  return {
    address,
    port: named !== undefined && isUnspecified(named) ? 0 : media.port,
    ...(rtcp === undefined ? {} : { rtcp_port: rtcp }),
    accept_from: address === signalling ? [address] : [address, signalling],
  };
}

const isUnspecified = (address: string) => address === "0.0.0.0" || address === "::";
