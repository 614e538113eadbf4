/** The Relay itself, in the process that owns the sockets. */
import type { Clock } from "../base/clock.ts";
import { HoldfastError } from "../base/errors.ts";
import type { Announcements } from "./announcements.ts";
import { canonicalAddress, type OpenMediaSocket } from "./datagram.ts";
import { Endpoint } from "./endpoint.ts";
import { isLeftBehind } from "./orphans.ts";
import { type FrameSource, sampleFrames, toneFrames } from "./playback.ts";
import { PortRange } from "./port-range.ts";
import type { EndpointInfo, EndpointSpec, Playback, Relay, RemotePeer } from "./relay.ts";
import { MAX_FREQUENCIES } from "./tones.ts";

const MAX_ACCEPT_FROM = 16;

export interface LocalRelayOptions {
  readonly clock: Clock;
  readonly port_min: number;
  /** Inclusive. */
  readonly port_max: number;
  readonly openSocket: OpenMediaSocket;
  readonly announcements: Announcements;
  /** Whether packets may go to an address at all; practice allows only its own machine. */
  readonly allows: (address: string) => boolean;
}

export class LocalRelay implements Relay {
  readonly connected = true;
  readonly #options: LocalRelayOptions;
  readonly #ports: PortRange;
  readonly #endpoints = new Map<string, Endpoint>();
  /** Endpoints whose sockets are being bound, so that a repeated `open` or a hasty `close` meets the first one. */
  readonly #opening = new Map<string, Promise<Endpoint>>();

  constructor(options: LocalRelayOptions) {
    this.#options = options;
    this.#ports = new PortRange(options.port_min, options.port_max, options.openSocket);
  }

  async open(spec: EndpointSpec): Promise<{ readonly port: number }> {
    const known = this.#endpoints.get(spec.id) ?? this.#opening.get(spec.id);
    if (known !== undefined) return { port: (await known).port };
    const opening = this.#open({ ...spec, local_address: this.#address(spec.local_address) });
    this.#opening.set(spec.id, opening);
    try {
      const endpoint = await opening;
      this.#endpoints.set(spec.id, endpoint);
      return { port: endpoint.port };
    } finally {
      this.#opening.delete(spec.id);
    }
  }

  async setPeer(id: string, peer: RemotePeer): Promise<void> {
    const endpoint = await this.#endpoint(id);
    if (!isPort(peer.port) || (peer.rtcp_port !== undefined && !isPort(peer.rtcp_port))) refuse("a port is 0–65535");
    if (peer.accept_from.length > MAX_ACCEPT_FROM) refuse(`accept_from has more than ${MAX_ACCEPT_FROM} addresses`);
    const canonical = {
      ...peer,
      address: this.#address(peer.address),
      accept_from: peer.accept_from.map((address) => this.#address(address)),
    };
    if (isVersion6(canonical.address) !== isVersion6(endpoint.spec.local_address)) {
      refuse(`${peer.address} cannot be reached from ${endpoint.spec.local_address}: one is IPv4, the other IPv6`);
    }
    endpoint.setPeer(canonical);
  }

  async bridge(a: string, b: string): Promise<void> {
    if (a === b) refuse("an endpoint cannot be bridged to itself");
    const [first, second] = await Promise.all([this.#endpoint(a), this.#endpoint(b)]);
    first.join(second);
  }

  async unbridge(id: string): Promise<void> {
    (await this.#find(id))?.part();
  }

  async play(id: string, playback: Playback): Promise<void> {
    const endpoint = await this.#endpoint(id);
    endpoint.play(playback.payload_type, this.#frames(playback));
  }

  async stop(id: string): Promise<void> {
    (await this.#find(id))?.stop();
  }

  async close(id: string): Promise<void> {
    const endpoint = await this.#find(id);
    endpoint?.close();
    if (endpoint !== undefined) this.#endpoints.delete(id);
  }

  async closeCall(call_id: string): Promise<void> {
    await Promise.allSettled(this.#opening.values());
    for (const [id, endpoint] of this.#endpoints) {
      if (endpoint.spec.call_id !== call_id) continue;
      endpoint.close();
      this.#endpoints.delete(id);
    }
  }

  async list(): Promise<readonly EndpointInfo[]> {
    await Promise.allSettled(this.#opening.values());
    return Array.from(this.#endpoints.values(), (endpoint) => endpoint.info());
  }

  /** Closes what an engine that has been away since `orphaned_ms` left behind, and returns what was closed. */
  reap(orphaned_ms: number): readonly EndpointInfo[] {
    const now = this.#options.clock.now();
    const left = [...this.#endpoints.values()].filter((endpoint) => {
      const lastLife_ms = Math.max(endpoint.lastLife_ms, endpoint.partner?.lastLife_ms ?? 0);
      return isLeftBehind({ emergency: endpoint.spec.emergency, lastLife_ms }, orphaned_ms, now);
    });
    const infos = left.map((endpoint) => endpoint.info());
    for (const endpoint of left) {
      endpoint.close();
      this.#endpoints.delete(endpoint.spec.id);
    }
    return infos;
  }

  closeAll(): void {
    for (const endpoint of this.#endpoints.values()) endpoint.close();
    this.#endpoints.clear();
  }

  async #open(spec: EndpointSpec): Promise<Endpoint> {
    const endpoint = new Endpoint(spec, this.#options.clock);
    const { local_address, emergency, port } = spec;
    endpoint.attach(await this.#ports.openPair(local_address, emergency, endpoint.onRtp, endpoint.onRtcp, port));
    return endpoint;
  }

  async #find(id: string): Promise<Endpoint | undefined> {
    await this.#opening.get(id)?.catch(() => undefined);
    return this.#endpoints.get(id);
  }

  async #endpoint(id: string): Promise<Endpoint> {
    const endpoint = await this.#find(id);
    if (endpoint === undefined) throw new HoldfastError("media.unknown_endpoint", `There is no endpoint "${id}".`);
    return endpoint;
  }

  #address(text: string): string {
    const address = canonicalAddress(text);
    if (address === undefined) refuse(`"${text}" is no IP address`);
    if (!this.#options.allows(address)) {
      throw new HoldfastError("practice.forbidden", `Media to or from ${address} would leave the practice.`);
    }
    return address;
  }

  #frames({ payload_type, sound }: Playback): FrameSource {
    if (sound.kind === "announcement") {
      const samples = this.#options.announcements.get(sound.name);
      if (samples === undefined) refuse(`there is no announcement "${sound.name}"`);
      const { again_after_ms } = sound;
      if (again_after_ms !== undefined && !(again_after_ms >= 0)) refuse("a pause is not negative");
      return sampleFrames(samples, payload_type, again_after_ms);
    }
    const { frequencies_hz, on_ms, off_ms, repeat } = sound;
    if (frequencies_hz.length === 0 || frequencies_hz.length > MAX_FREQUENCIES) refuse("a tone has 1–8 frequencies");
    if (!frequencies_hz.every((frequency) => frequency > 0 && frequency < 4000)) refuse("a frequency is 1–3999 Hz");
    if (!(on_ms > 0) || !(off_ms >= 0) || !(repeat >= 0)) refuse("a tone's times are not negative, and on_ms is not 0");
    return toneFrames(sound, payload_type);
  }
}

function refuse(why: string): never {
  throw new HoldfastError("media.refused", `${why}.`);
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= 65535;
}

function isVersion6(address: string): boolean {
  return address.includes(":");
}
