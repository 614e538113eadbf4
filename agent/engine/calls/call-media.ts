import type { AlarmBoard } from "../../base/alarms.ts";
import type { Clock } from "../../base/clock.ts";
import { errorText, HoldfastError } from "../../base/errors.ts";
import { token } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { Relay, RemotePeer } from "../../media/relay.ts";
import { editSdp, keepFormats, type MediaTarget, readSdp, type SdpMedia } from "../../sip/messages/sdp.ts";
import { ipFamily } from "../../sip/transport/ip-address.ts";
import { raiseVersion } from "./moving/session-version.ts";
import { agreedOn, type Spoken, speaksAlike, spokenIn } from "./moving/spoken.ts";

/** A call waits no longer than this for the media process, and then goes on without it. */
export const MEDIA_PATIENCE_MS = 150;

/** What somebody hears whose far end is cut off: that he is held, and what he can do. */
export const HELD = { kind: "announcement", name: "being-reconnected", again_after_ms: 15_000 } as const;

/** One leg's sound as the box holds it: the local ports its peer sends to. */
export interface MediaSide {
  /** Unique within the call, stable over restarts: it names the relay's endpoints. */
  readonly name: string;
  /** Undefined where the box has no usable address: the leg's descriptions then pass untouched. */
  readonly local_address: string | undefined;
  /** Where its signalling comes from: a peer behind NAT sends its sound from there too. */
  readonly signalling_address: string;
  /** The way out of the building; undefined on the LAN's side. */
  readonly path: string | undefined;
  /** RTP port by number of the m= section. */
  ports: Record<number, number>;
  /** The relay could not be had for it. */
  untouched: boolean;
  /** The description that its peer was given last. */
  told?: string;
  /** What its peer named last, by number of the m= section. */
  heard?: Record<number, Spoken>;
  /** Offers that the box put in: so much are versions in o= raised (RFC 3264 §8). */
  raised?: number;
}

/** Where a side goes when its path dies. */
export interface MediaWay {
  readonly local_address: string;
  readonly signalling_address: string;
  readonly path: string;
}

export function mediaSide(
  name: string,
  local_address: string | undefined,
  signalling_address: string,
  path?: string,
): MediaSide {
  return { name, local_address, signalling_address, path, ports: {}, untouched: local_address === undefined };
}

export interface CallMediaContext {
  readonly relay: Relay;
  readonly clock: Clock;
  readonly log: Log;
  readonly alarms: AlarmBoard;
}

/**
 * The sound of one call, anchored in the relay: each leg is told an address of the box on its own side, and the relay
 * joins the two. Without a relay the descriptions pass untouched, so that the call goes on where networks allow.
 */
export class CallMedia {
  readonly #context: CallMediaContext;
  readonly #call_id: string;
  readonly #emergency: boolean;
  readonly #opening = new Map<string, Promise<void>>();

  constructor(context: CallMediaContext, call_id: string, emergency: boolean) {
    this.#context = context;
    this.#call_id = call_id;
    this.#emergency = emergency;
  }

  /** An offer of `from` as `to` is to see it. Waits at most {@link MEDIA_PATIENCE_MS} for ports. */
  async offer(from: MediaSide, to: MediaSide, sdp: string): Promise<string> {
    const { media } = readSdp(sdp);
    await Promise.all([this.#ready(from, media), this.#ready(to, media)]);
    return this.#tell(to, isAnchored(from, to) ? pointTo(to, sdp, media) : sdp);
  }

  /** Ports for a side on another path, with the offer that asks its peer there; undefined when they cannot be had. */
  async detour(
    side: MediaSide,
    way: MediaWay,
  ): Promise<{ readonly side: MediaSide; readonly offer: string } | undefined> {
    if (side.told === undefined || side.untouched) return undefined;
    const next = mediaSide(`${side.name}-${token(3)}`, way.local_address, way.signalling_address, way.path);
    const { media } = readSdp(side.told);
    await this.#ready(next, media);
    if (next.untouched) return undefined;
    const agreed = media.map((section, i) => agreedOn(spokenIn(section), side.heard?.[i]));
    const offer = keepFormats(pointTo(next, raiseVersion(side.told, 1), media), agreed);
    next.told = offer;
    next.raised = (side.raised ?? 0) + 1;
    return { side: next, offer };
  }

  /**
   * The peer of a side has agreed to the offer of {@link detour}: from now on its sound goes there. Where it speaks with
   * another key or codec than on the side it was on `before`: the description that `to` needs.
   */
  moved(from: MediaSide, to: MediaSide, sdp: string, before: MediaSide): string | undefined {
    const { media } = readSdp(sdp);
    const alike = media.map((section, i) => {
      const same = speaksAlike(to.heard?.[i], before.heard?.[i], spokenIn(section));
      if (from.ports[i] !== undefined && to.ports[i] !== undefined) {
        this.#learn(from, i, section, section.rtcpMux);
        this.#try("bridge", () => this.#context.relay.bridge(this.#id(from, i), this.#id(to, i)));
      }
      return same;
    });
    return alike.every((same) => same) ? undefined : this.#tell(to, pointTo(to, sdp, media));
  }

  /** The answer of `from` as `to`, who offered, is to see it; from now on the sound of both is joined. */
  answer(from: MediaSide, to: MediaSide, sdp: string, offer: string | undefined): string {
    if (!isAnchored(from, to)) return this.#tell(to, sdp);
    const { media } = readSdp(sdp);
    const offered = offer === undefined ? media : readSdp(offer).media;
    media.forEach((section, i) => {
      const asked = offered[i];
      if (from.ports[i] === undefined || to.ports[i] === undefined || asked === undefined) return;
      // RFC 5761 §5.1.1: RTCP shares the RTP port only when both say so.
      const mux = section.rtcpMux && asked.rtcpMux;
      this.#learn(from, i, section, mux);
      if (offer !== undefined) this.#learn(to, i, asked, mux);
      this.#try("bridge", () => this.#context.relay.bridge(this.#id(from, i), this.#id(to, i)));
    });
    return this.#tell(to, pointTo(to, sdp, media));
  }

  /** The relay's endpoints of a side. */
  endpoints(side: MediaSide): readonly string[] {
    return Object.keys(side.ports).map((section) => this.#id(side, Number(section)));
  }

  /** Whether sound has come in on this side within the last second. */
  async flowing(side: MediaSide): Promise<boolean> {
    try {
      const ids = new Set(this.endpoints(side));
      const list = await this.#within(this.#context.relay.list());
      return list.some(({ id, silent_ms }) => ids.has(id) && silent_ms !== undefined && silent_ms < 1000);
    } catch (error) {
      this.#trouble("list", error);
      return false;
    }
  }

  /** Speaks an announcement to a leg, in the codec it was told last. */
  announce(side: MediaSide, name: string, payload_type: 0 | 8): void {
    if (side.ports[0] === undefined) return;
    const id = this.#id(side, 0);
    this.#try("play", () => this.#context.relay.play(id, { payload_type, sound: { kind: "announcement", name } }));
  }

  /** Tells a leg that its far end is away for now, until {@link hush}. To SRTP sound of ours in the clear is noise. */
  hold(side: MediaSide): void {
    if (side.ports[0] === undefined || side.told === undefined) return;
    if (readSdp(side.told).media[0]?.encrypted === true) return;
    const playback = { payload_type: announcementCodec(side.told), sound: HELD };
    this.#try("play", () => this.#context.relay.play(this.#id(side, 0), playback));
  }

  hush(side: MediaSide): void {
    if (side.ports[0] !== undefined) this.#try("stop", () => this.#context.relay.stop(this.#id(side, 0)));
  }

  closeSide(side: MediaSide): void {
    for (const section of Object.keys(side.ports)) {
      this.#try("close", () => this.#context.relay.close(this.#id(side, Number(section))));
    }
    side.ports = {};
  }

  close(): void {
    this.#try("close", () => this.#context.relay.closeCall(this.#call_id));
  }

  #tell(side: MediaSide, sdp: string): string {
    const told = raiseVersion(sdp, side.raised ?? 0);
    side.told = told;
    return told;
  }

  #id(side: MediaSide, section: number): string {
    return `${this.#call_id}-${side.name}-${section}`;
  }

  async #ready(side: MediaSide, media: readonly SdpMedia[]): Promise<void> {
    const running = this.#opening.get(side.name);
    if (running !== undefined) await running;
    const missing = media.flatMap((section, i) => (isRelayed(section) && side.ports[i] === undefined ? [i] : []));
    if (missing.length === 0 || side.untouched) return;
    const opening = this.#open(side, missing);
    this.#opening.set(side.name, opening);
    await opening;
    this.#opening.delete(side.name);
  }

  async #open(side: MediaSide, sections: readonly number[]): Promise<void> {
    const { relay, alarms } = this.#context;
    const local_address = side.local_address;
    if (local_address === undefined) return;
    try {
      if (!relay.connected) throw new HoldfastError("media.unreachable", "the media process is not connected");
      const call_id = this.#call_id;
      const emergency = this.#emergency;
      await this.#within(
        Promise.all(
          sections.map(async (section) => {
            const { port } = await relay.open({
              id: this.#id(side, section),
              call_id,
              local_address,
              emergency,
              // Keys may be agreed upon in the media itself (DTLS-SRTP, RFC 5764): without them nobody is heard.
              opaque: true,
              ...(side.path === undefined ? {} : { path: side.path }),
            });
            side.ports[section] = port;
          }),
        ),
      );
      alarms.clear("media.down", "");
    } catch (error) {
      side.untouched = true;
      this.#trouble("open", error);
    }
  }

  /** The relay keeps this bound itself; a call does not rest its life on that. */
  async #within<T>(work: Promise<T>): Promise<T> {
    return await new Promise<T>((resolve, reject) => {
      const timer = this.#context.clock.after(MEDIA_PATIENCE_MS, () =>
        reject(new HoldfastError("media.unreachable", `no answer in ${MEDIA_PATIENCE_MS} ms`)),
      );
      work.then(resolve, reject).finally(() => timer.cancel());
    });
  }

  #learn(side: MediaSide, section: number, media: SdpMedia, mux: boolean): void {
    const peer = peerOf(media, side.signalling_address, mux);
    side.heard = { ...side.heard, [section]: spokenIn(media) };
    this.#try("setPeer", () => this.#context.relay.setPeer(this.#id(side, section), peer));
  }

  #try(what: string, work: () => Promise<void>): void {
    work().catch((error) => this.#trouble(what, error));
  }

  #trouble(what: string, error: unknown): void {
    this.#context.log.warn("media relay", { call: this.#call_id, what, error: errorText(error) });
    if (!this.#context.relay.connected || what === "open") {
      this.#context.alarms.raise("media.down", "", errorText(error));
    }
  }
}

function isAnchored(one: MediaSide, other: MediaSide): boolean {
  return !one.untouched && !other.untouched;
}

/** RTP over UDP. What else a phone offers (T.38, MSRP) cannot be relayed and is refused in the description. */
function isRelayed({ port, protocol }: SdpMedia): boolean {
  return port !== 0 && /^(?:UDP\/TLS\/)?RTP\//i.test(protocol);
}

function pointTo(side: MediaSide, sdp: string, media: readonly SdpMedia[]): string {
  const address = side.local_address ?? "";
  return editSdp(
    sdp,
    media.map((_, i): MediaTarget => ({ address, port: side.ports[i] ?? 0 })),
  );
}

function peerOf(media: SdpMedia, signalling: string, mux: boolean): RemotePeer {
  const named = media.address !== undefined && ipFamily(media.address) !== undefined ? media.address : undefined;
  const nowhere = named === "0.0.0.0" || named === "::";
  const address = named === undefined || nowhere ? signalling : named;
  const rtcp_port = mux ? media.port : media.rtcp?.port;
  return {
    address,
    port: nowhere ? 0 : media.port,
    ...(rtcp_port === undefined ? {} : { rtcp_port }),
    accept_from: address === signalling ? [address] : [address, signalling],
  };
}

/** PCMU or PCMA, whichever the description names first; PCMU when neither. */
export function announcementCodec(sdp: string | undefined): 0 | 8 {
  const formats = sdp === undefined ? [] : (readSdp(sdp).media[0]?.formats ?? []);
  return formats.find((format) => format === "0" || format === "8") === "8" ? 8 : 0;
}

/** Whether sound can come of a description: some section of it is not refused. */
export function offersSound(sdp: string): boolean {
  return readSdp(sdp).media.some(({ port }) => port !== 0);
}

/** Whether two descriptions ask the same of whoever gets them, apart from who made them and when. */
export function sameMedia(one: string, other: string): boolean {
  const key = (sdp: string) =>
    JSON.stringify(
      readSdp(sdp).media.map(({ type, port, protocol, formats, address, direction, encrypted }) => [
        type,
        port,
        protocol,
        formats,
        address,
        direction,
        encrypted,
      ]),
    );
  return key(one) === key(other);
}
