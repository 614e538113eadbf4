import type { AlarmBoard } from "../../base/alarms.ts";
import { errorText } from "../../base/errors.ts";
import { token } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { Playback, Relay, RemotePeer } from "../../media/relay.ts";
import { cseqOf } from "../../sip/messages/headers.ts";
import type { SipMessage } from "../../sip/messages/message.ts";
import { editSdp, type MediaTarget, readSdp, type SdpMedia, sdpOf, withSdp } from "../../sip/messages/sdp.ts";
import { ipFamily } from "../../sip/transport/ip-address.ts";
import { agreedOn, type Spoken, speaksAlike, spokenIn } from "./moving/spoken.ts";
import { dialogOf, FORKS_MAX } from "./proxy-forks.ts";

/** The two sides between which media is anchored. */
export type MediaSide = "phone" | "trunk";

/** Where a side's media arrives here, and where its signalling comes from. */
export interface MediaParty {
  readonly local_address: string;
  readonly signalling_address: string;
  /** The way out of the building, on the trunk's side. */
  readonly path?: string;
}

export type MediaParties = Readonly<Record<MediaSide, MediaParty>>;

/** What a side's last description says of one m= line. */
interface Described {
  readonly peer: RemotePeer;
  /** a=rtcp-mux; it is in use when both sides say so (RFC 5761 §5.1.1). */
  readonly mux: boolean;
  readonly spoken: Spoken;
}

/** One of the relay's two endpoints for a line. */
interface LineEnd {
  readonly id: string;
  readonly address: string;
  readonly port: number;
}

interface Line {
  readonly ends: Record<MediaSide, LineEnd>;
  readonly described: Partial<Record<MediaSide, Described>>;
  /** What the relay was told of each side last. */
  readonly told: Partial<Record<MediaSide, { readonly described: Described; readonly mux: boolean }>>;
}

interface Session {
  readonly lines: (Line | undefined)[];
  /** What each dialog of a forked call said of its lines, by dialog (see `dialogOf`). */
  readonly forks: Map<string, Partial<Record<MediaSide, Described>>[]>;
  /** The dialog whose media goes through; before the first answer it is whichever spoke last. */
  counts: string | undefined;
  /** The trunk's side, after the call has moved to another path. */
  moved: MediaParty | undefined;
  /** The other passage of a call between two phones, whose sound comes from there directly. */
  joined: string | undefined;
  /** What waits for ports, in order: messages of one call must not overtake each other. */
  queue: Promise<void> | undefined;
}

/** The media of one call as the journal keeps it: by m= line, `null` where there is none. */
export type KeptMedia = {
  readonly moved: MediaParty | undefined;
  readonly joined?: string | undefined;
  readonly lines: readonly (Pick<Line, "ends" | "described"> | null)[];
};

/** Ports on another path for the trunk's side of a call: opened, and used or given back later. */
export interface MediaDetour {
  /** What the far end is to be told, by m= line. */
  readonly targets: readonly (MediaTarget | undefined)[];
  /**
   * The far end has answered with this description: from now on its media goes here. True when it speaks otherwise than
   * the phone knows.
   */
  take(sdp: string): boolean;
  drop(): void;
}

export interface ProxyMediaContext {
  readonly relay: Relay;
  readonly alarms: AlarmBoard;
  readonly log: Log;
}

/**
 * Puts the relay into the media of calls between the LAN and the cloud (sound, pictures, fax, text: whatever goes by
 * UDP), changing nothing in their descriptions but addresses and ports. Offer and answer need not be told apart: a description from one side says where that side hears,
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
    const sdp = sessionOf(message);
    if (sdp === undefined) {
      if (session?.queue === undefined) go(message);
      else this.#enqueue(session, () => go(message));
      return;
    }
    const media = readSdp(sdp).media;
    const known = session ?? this.#newSession(leg);
    if (known.queue === undefined && media.every((line, i) => !isRelayed(line) || known.lines[i] !== undefined)) {
      go(this.#rewrite(known, from, parties, media, sdp, message));
      return;
    }
    this.#enqueue(known, async () => {
      if (await this.#open(leg, known, from, parties, media)) {
        go(this.#rewrite(known, from, parties, media, sdp, message));
      } else go(message);
    });
  }

  /**
   * An offer in an established call begins. Returns what puts back, should it be refused, how its side was described
   * before (RFC 3264 §8: the session stays as it was); the other side's offers, refused or not, are untouched by it.
   */
  offered(leg: string, side: MediaSide): () => void {
    const session = this.#sessions.get(leg);
    // No media of it is known: what this offer opens, nobody else would give back. It may have crossed the BYE.
    if (session === undefined) return () => this.close(leg);
    const before = session.lines.map((line) => line?.described[side]);
    const forked = [...session.forks].map(([dialog, lines]) => [dialog, lines.map((fork) => fork[side])] as const);
    return () => {
      for (const [dialog, lines] of forked) {
        const fork = session.forks.get(dialog);
        lines.forEach((described, i) => {
          if (fork !== undefined && described !== undefined) fork[i] = { ...fork[i], [side]: described };
        });
      }
      before.forEach((described, i) => {
        const line = session.lines[i];
        if (line === undefined || described === undefined) return;
        line.described[side] = described;
        this.#setPeers(line);
      });
    };
  }

  /** Whether anything has been described in this call, which is not over. */
  has(leg: string): boolean {
    return this.#sessions.has(leg);
  }

  /** From now on it is this dialog's media that goes through: its fork was answered first, or is the one that is left. */
  counts(leg: string, dialog: string): void {
    const session = this.#sessions.get(leg);
    if (session === undefined) return;
    session.counts = dialog;
    session.forks.get(dialog)?.forEach((fork, i) => {
      const line = session.lines[i];
      if (line === undefined) return;
      Object.assign(line.described, fork);
      this.#setPeers(line);
    });
  }

  /** What is to outlive this engine; undefined when no media of this call is anchored. */
  kept(leg: string): KeptMedia | undefined {
    const session = this.#sessions.get(leg);
    if (session === undefined) return undefined;
    const lines = Array.from(session.lines, (line) =>
      line === undefined ? null : { ends: line.ends, described: line.described },
    );
    return { moved: session.moved, joined: session.joined, lines };
  }

  /** A call from before a restart: the relay has gone on with it. */
  resume(leg: string, { moved, joined, lines }: KeptMedia): void {
    const session = this.#newSession(leg);
    session.moved = moved;
    session.joined = joined;
    lines.forEach((line, i) => {
      if (line !== null) session.lines[i] = { ends: { ...line.ends }, described: { ...line.described }, told: {} };
    });
  }

  /** Payload types that both sides have named last, by m= line. */
  agreed(leg: string): readonly (readonly string[] | undefined)[] {
    return Array.from(this.#sessions.get(leg)?.lines ?? [], (line) =>
      agreedOn(line?.described.phone?.spoken, line?.described.trunk?.spoken),
    );
  }

  /** A description of the far end as the phone is to see it. */
  towardsPhone(leg: string, sdp: string): string {
    const lines = this.#sessions.get(leg)?.lines ?? [];
    const targets = Array.from(lines, (line) => line?.ends.phone);
    return editSdp(sdp, targets, "relayed");
  }

  /** What the phone has answered to the box's own offer. */
  heardFromPhone(leg: string, sdp: string, party: MediaParty): void {
    const { media } = readSdp(sdp);
    this.#sessions.get(leg)?.lines.forEach((line, i) => {
      const description = media[i];
      if (line === undefined || description === undefined) return;
      const spoken = spokenIn(description);
      line.described.phone = { peer: peerOf(description, party), mux: description.rtcpMux, spoken };
      this.#setPeers(line);
    });
  }

  /** Opens ports for the trunk's side of a call on another path. Undefined when they cannot be had. */
  async detour(leg: string, party: MediaParty): Promise<MediaDetour | undefined> {
    const session = this.#sessions.get(leg);
    const { relay } = this.#context;
    if (session === undefined || !relay.connected) return undefined;
    const ends: (LineEnd | undefined)[] = [];
    const close = (end: LineEnd | undefined) => {
      if (end !== undefined) relay.close(end.id).catch((error) => this.#trouble(error));
    };
    try {
      await Promise.all(
        Array.from(session.lines, async (line, i) => {
          if (line !== undefined)
            ends[i] = await this.#openEnd(leg, `${endpointId(leg, i, "trunk")}-${token(3)}`, party);
        }),
      );
    } catch (error) {
      this.#trouble(error);
      ends.forEach(close);
      return undefined;
    }
    return {
      targets: Array.from(ends, (end) => (end === undefined ? undefined : { address: end.address, port: end.port })),
      take: (sdp) => {
        if (this.#sessions.get(leg) !== session) return false;
        const { media } = readSdp(sdp);
        let differs = false;
        session.moved = party;
        session.lines.forEach((line, i) => {
          const end = ends[i];
          if (line === undefined || end === undefined) return;
          const old = line.ends.trunk;
          line.ends.trunk = end;
          delete line.told.trunk;
          const description = media[i];
          if (description !== undefined) {
            const spoken = spokenIn(description);
            const { phone, trunk } = line.described;
            if (!speaksAlike(phone?.spoken, trunk?.spoken, spoken)) differs = true;
            line.described.trunk = { peer: peerOf(description, party), mux: description.rtcpMux, spoken };
          }
          this.#setPeers(line);
          relay.bridge(line.ends.phone.id, end.id).catch((error) => this.#trouble(error));
          if (old.id !== end.id) close(old);
        });
        return differs;
      },
      drop: () => ends.forEach(close),
    };
  }

  /**
   * Two passages of one call between two phones of this box (phone → box → PBX → box → phone): their sound goes from the
   * one to the other here, and no longer through the cloud.
   */
  join(one: string, other: string): void {
    const [near, far] = [this.#sessions.get(one), this.#sessions.get(other)];
    if (near === undefined || far === undefined) return;
    near.joined = other;
    far.joined = one;
    near.lines.forEach((line, i) => {
      const id = far.lines[i]?.ends.phone.id;
      if (line === undefined || id === undefined) return;
      this.#context.relay.bridge(line.ends.phone.id, id).catch((error) => this.#trouble(error));
    });
  }

  /** The cloud has a say in the call again: music on hold, say, comes from there. */
  #part(session: Session): void {
    const other = session.joined === undefined ? undefined : this.#sessions.get(session.joined);
    for (const each of other === undefined ? [session] : [session, other]) {
      each.joined = undefined;
      for (const line of each.lines) {
        if (line === undefined) continue;
        this.#context.relay.bridge(line.ends.phone.id, line.ends.trunk.id).catch((error) => this.#trouble(error));
      }
    }
  }

  /** Sound towards the phone of a call, over what comes from the trunk; undefined stops it. */
  play(leg: string, playback: Playback | undefined): void {
    const end = this.#sessions.get(leg)?.lines[0]?.ends.phone;
    if (end === undefined) return;
    const { relay } = this.#context;
    const done = playback === undefined ? relay.stop(end.id) : relay.play(end.id, playback);
    done.catch((error) => this.#trouble(error));
  }

  /** For how long nothing has come from the far end of each call, in ms; calls whose far end was never heard are not in it. */
  async silences(): Promise<ReadonlyMap<string, number>> {
    const silent = new Map<string, number>();
    try {
      const byId = new Map((await this.#context.relay.list()).map(({ id, silent_ms }) => [id, silent_ms]));
      for (const [leg, { lines }] of this.#sessions) {
        const heard = lines.flatMap((line) => (line === undefined ? [] : (byId.get(line.ends.trunk.id) ?? [])));
        if (heard.length > 0) silent.set(leg, Math.min(...heard));
      }
    } catch (error) {
      this.#trouble(error);
    }
    return silent;
  }

  /** The call is over. */
  close(leg: string): void {
    this.#sessions.delete(leg);
    this.#context.relay.closeCall(callIdOf(leg)).catch((error) => this.#trouble(error));
  }

  /**
   * Gives back ports whose call ended unseen: phones that vanished, calls from before a restart that were never
   * answered. `up_ms`: how long this engine runs. To be called about every minute. Resolves with those calls.
   */
  async reap(up_ms: number): Promise<readonly string[]> {
    const { relay } = this.#context;
    const gone: string[] = [];
    if (!relay.connected) return gone;
    try {
      const calls = new Map<string, number>();
      for (const { call_id, silent_ms } of await relay.list()) {
        if (!call_id.startsWith(PREFIX)) continue;
        calls.set(call_id, Math.min(calls.get(call_id) ?? Number.POSITIVE_INFINITY, silent_ms ?? up_ms));
      }
      for (const [call_id, silent_ms] of calls) {
        const leg = call_id.slice(PREFIX.length);
        if (silent_ms <= (this.#sessions.has(leg) ? SILENT_KNOWN_MS : SILENT_UNKNOWN_MS)) continue;
        this.close(leg);
        gone.push(leg);
      }
    } catch (error) {
      this.#trouble(error);
    }
    return gone;
  }

  #newSession(leg: string): Session {
    const session: Session = {
      lines: [],
      moved: undefined,
      joined: undefined,
      forks: new Map(),
      counts: undefined,
      queue: undefined,
    };
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

  async #open(
    leg: string,
    session: Session,
    from: MediaSide,
    parties: MediaParties,
    media: readonly SdpMedia[],
  ): Promise<boolean> {
    const { relay } = this.#context;
    const to: MediaSide = from === "phone" ? "trunk" : "phone";
    if (!relay.connected) {
      this.#context.alarms.raise("media.down", "", "The media process is not connected.");
      return false;
    }
    const open = (side: MediaSide, i: number) =>
      this.#openEnd(leg, endpointId(leg, i, side), side === "trunk" ? (session.moved ?? parties.trunk) : parties.phone);
    try {
      await Promise.all(
        media.map(async (line, i) => {
          if (!isRelayed(line) || session.lines[i] !== undefined) return;
          const [phone, trunk] = await Promise.all([open("phone", i), open("trunk", i)]);
          session.lines[i] = { ends: { phone, trunk }, described: {}, told: {} };
          // Whoever made the offer is ready to hear from now on (RFC 3264 §5.1), before the answer has come.
          const early = beforeItsAnswer(parties[to]);
          relay.setPeer((to === "phone" ? phone : trunk).id, early).catch((error) => this.#trouble(error));
          relay.bridge(phone.id, trunk.id).catch((error) => this.#trouble(error));
        }),
      );
      this.#context.alarms.clear("media.down", "");
      return true;
    } catch (error) {
      this.#trouble(error);
      return false;
    }
  }

  async #openEnd(leg: string, id: string, { local_address, path }: MediaParty): Promise<LineEnd> {
    const { port } = await this.#context.relay.open({
      id,
      call_id: callIdOf(leg),
      local_address,
      emergency: false,
      opaque: true,
      ...(path === undefined ? {} : { path }),
    });
    return { id, address: local_address, port };
  }

  #rewrite<M extends SipMessage>(
    session: Session,
    from: MediaSide,
    parties: MediaParties,
    media: readonly SdpMedia[],
    sdp: string,
    message: M,
  ): M {
    const to: MediaSide = from === "phone" ? "trunk" : "phone";
    if (session.joined !== undefined) this.#part(session);
    const targets: (MediaTarget | undefined)[] = [];
    media.forEach((description, i) => {
      const line = session.lines[i];
      if (line === undefined || !isDatagram(description)) return;
      const before = this.#isOurs(line, from, description) ? line.described[from] : undefined;
      const peer = before?.peer ?? peerOf(description, parties[from]);
      const described = { peer, mux: description.rtcpMux, spoken: spokenIn(description) };
      this.#describe(session, dialogOf(message), from, i, described);
      // Sections that share a port go on sharing one: they are bundled (RFC 9143), and the first one's ports serve all.
      const sharer = media.findIndex(
        (other) => other.port === description.port && other.address === description.address,
      );
      targets[i] = targets[sharer] ?? { address: line.ends[to].address, port: line.ends[to].port };
    });
    return targets.length === 0 ? message : withSdp(message, editSdp(sdp, targets, "relayed"));
  }

  /**
   * Under ICE somebody may describe himself by the address that the other end's checks saw (a peer-reflexive candidate,
   * RFC 8445 §7.2.5.3.1): that is a port of the relay's. No phone is at any of them; the cloud is at those of other calls,
   * where a call comes round through it.
   */
  #isOurs(line: Line, from: MediaSide, { address, port }: SdpMedia): boolean {
    if (address !== line.ends.phone.address && address !== line.ends.trunk.address) return false;
    const lines = from === "phone" ? [...this.#sessions.values()].flatMap((session) => session.lines) : [line];
    return lines.some(
      (each) =>
        each !== undefined &&
        [each.ends.phone, each.ends.trunk].some((end) => end.address === address && end.port === port),
    );
  }

  /** Another fork than the one that counts is only noted, for the case that it is the one that remains. */
  #describe(session: Session, dialog: string | undefined, side: MediaSide, i: number, described: Described): void {
    if (dialog !== undefined) {
      const fork = session.forks.get(dialog) ?? [];
      if (session.forks.has(dialog) || session.forks.size < FORKS_MAX) session.forks.set(dialog, fork);
      fork[i] = { ...fork[i], [side]: described };
      if (session.counts !== undefined && session.counts !== dialog) return;
    }
    const line = session.lines[i];
    if (line === undefined) return;
    line.described[side] = described;
    this.#setPeers(line);
  }

  /** Both ends of a line: what one side says of multiplexing counts for the other too. */
  #setPeers(line: Line): void {
    const mux = line.described.phone?.mux === true && line.described.trunk?.mux === true;
    for (const side of ["phone", "trunk"] as const) {
      const described = line.described[side];
      const told = line.told[side];
      if (described === undefined || (told?.described === described && told.mux === mux)) continue;
      line.told[side] = { described, mux };
      const peer = mux ? { ...described.peer, rtcp_port: described.peer.port } : described.peer;
      this.#context.relay.setPeer(line.ends[side].id, peer).catch((error) => this.#trouble(error));
    }
  }

  #trouble(error: unknown): void {
    this.#context.log.warn("media relay", { error: errorText(error) });
    if (!this.#context.relay.connected) this.#context.alarms.raise("media.down", "", errorText(error));
  }
}

/** Offers and answers travel in these and in their responses (RFC 3261 §13.2.1, RFC 3262 §5, RFC 3311 §5). */
const OFFER_ANSWER: ReadonlySet<string | undefined> = new Set(["INVITE", "ACK", "PRACK", "UPDATE"]);

/** The description that a message negotiates with; one in an OPTIONS or its answer only tells what somebody can do. */
export function sessionOf(message: SipMessage): string | undefined {
  if (message.body.length === 0) return undefined;
  const method = message.kind === "request" ? message.method : cseqOf(message)?.method;
  return OFFER_ANSWER.has(method) ? sdpOf(message) : undefined;
}

const PREFIX = "proxied-";
/** A call on hold may be silent for long. */
const SILENT_KNOWN_MS = 4 * 3_600_000;
const SILENT_UNKNOWN_MS = 600_000;

const callIdOf = (leg: string) => `${PREFIX}${leg}`;
const endpointId = (leg: string, line: number, side: MediaSide) => `${PREFIX}${leg}-${line}-${side}`;

/** What goes by UDP; BFCP and MSRP over TCP, say, find their own way. */
const isDatagram = ({ protocol }: SdpMedia) => /^(?:RTP\/|UDP\/|UDP$|UDPTL$|DTLS\/)/i.test(protocol);
const isRelayed = (media: SdpMedia) => isDatagram(media) && media.port !== 0;

function peerOf(media: SdpMedia, { local_address, signalling_address }: MediaParty): RemotePeer {
  const family = media.address === undefined ? undefined : ipFamily(media.address);
  const held = family !== undefined && isUnspecified(media.address ?? "");
  // Of the other family it cannot be reached from here; where its signalling comes from is the best guess left.
  const usable = family !== undefined && !held && family === ipFamily(local_address);
  const address = usable ? (media.address ?? signalling_address) : signalling_address;
  return {
    address,
    port: held ? 0 : media.port,
    ...(media.rtcp === undefined ? {} : { rtcp_port: media.rtcp.port }),
    accept_from: address === signalling_address ? [address] : [address, signalling_address],
  };
}

/**
 * What is known of a side that has not described itself: its signalling's address. Of a call that comes round through the
 * cloud (phone → box → PBX → box → phone) our own other end may be the first that is heard.
 */
function beforeItsAnswer({ local_address, signalling_address }: MediaParty): RemotePeer {
  return { address: signalling_address, port: 0, accept_from: [...new Set([signalling_address, local_address])] };
}

const isUnspecified = (address: string) => address === "0.0.0.0" || address === "::";
