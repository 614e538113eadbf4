import { randomInt } from "node:crypto";
import type { Clock, Timer } from "../base/clock.ts";
import type { MediaSocket, OpenMediaSocket } from "../media/datagram.ts";
import { decodeG711, FRAME_SAMPLES, type G711PayloadType, PCMA, PCMU } from "../media/g711.ts";
import { type FrameSource, startPlayback } from "../media/playback.ts";
import { parseRtp, printRtp } from "../media/rtp.ts";
import { readSdp } from "../sip/messages/sdp.ts";

/** How much of what came in is kept: five seconds. */
const KEPT_FRAMES = 250;

/** One party's sound: G.711 over RTP on a port of its own, said and heard. */
export class AudioPort {
  readonly #clock: Clock;
  readonly #address: string;
  readonly #heard: Int16Array[] = [];
  readonly #ssrc = randomInt(0x1_0000_0000);
  #socket: MediaSocket | undefined;
  #remote: { readonly address: string; readonly port: number } | undefined;
  #payload: G711PayloadType = PCMU;
  #sequence = randomInt(0x1_0000);
  #timestamp = randomInt(0x1_0000_0000);
  #playing: Timer | undefined;
  #version = 0;
  #closed = false;

  private constructor(clock: Clock, address: string) {
    this.#clock = clock;
    this.#address = address;
  }

  static async open(clock: Clock, address: string, open: OpenMediaSocket): Promise<AudioPort> {
    const port = new AudioPort(clock, address);
    port.#socket = await open(address, 0, (packet) => port.#received(packet));
    return port;
  }

  /** An offer: G.711 both ways. */
  offer(): string {
    return this.#describe([`m=audio ${this.#port} RTP/AVP 0 8`, "a=sendrecv"]);
  }

  /** Takes the other side's answer; false when there is nothing in it to talk with. */
  take(answer: string): boolean {
    return this.#follow(answer) !== undefined;
  }

  /** The answer to an offer: its first plain G.711 stream, the rest refused (RFC 3264 §6). Undefined: nothing fits. */
  answer(offer: string): string | undefined {
    const taken = this.#follow(offer);
    if (taken === undefined) return undefined;
    const lines = readSdp(offer).media.flatMap((media, i) => {
      if (i !== taken) return [`m=${media.type} 0 ${media.protocol} ${media.formats.join(" ")}`];
      const direction =
        media.direction === "sendonly" ? "recvonly" : media.direction === "recvonly" ? "sendonly" : media.direction;
      return [`m=audio ${this.#port} ${media.protocol} ${this.#payload}`, `a=${direction}`];
    });
    return this.#describe(lines);
  }

  /** Says this from now on, again and again when it ends. `make` gives the frames in the negotiated code. */
  say(make: (payload: G711PayloadType) => FrameSource): void {
    this.#playing?.cancel();
    if (this.#closed) return;
    this.#playing = startPlayback(
      this.#clock,
      make(this.#payload),
      (frame) => this.#send(frame),
      () => this.say(make),
    );
  }

  /** What was heard lately, up to five seconds. */
  heard(): Int16Array {
    const samples = new Int16Array(this.#heard.length * FRAME_SAMPLES);
    this.#heard.forEach((frame, i) => {
      samples.set(frame, i * FRAME_SAMPLES);
    });
    return samples;
  }

  close(): void {
    this.#closed = true;
    this.#playing?.cancel();
    this.#socket?.close();
  }

  get #port(): number {
    return this.#socket?.port ?? 0;
  }

  #describe(media: readonly string[]): string {
    return [
      "v=0",
      `o=practice 1 ${++this.#version} IN IP4 ${this.#address}`,
      "s=PRACTICE",
      `c=IN IP4 ${this.#address}`,
      "t=0 0",
      ...media,
      "",
    ].join("\r\n");
  }

  /** Index of the stream to talk over. */
  #follow(sdp: string): number | undefined {
    const { media } = readSdp(sdp);
    const index = media.findIndex(
      ({ type, port, encrypted, formats }) =>
        type === "audio" && port > 0 && !encrypted && formats.some((format) => format === "0" || format === "8"),
    );
    const stream = media[index];
    if (stream?.address === undefined) return undefined;
    this.#remote = { address: stream.address, port: stream.port };
    this.#payload = stream.formats.find((format) => format === "0" || format === "8") === "8" ? PCMA : PCMU;
    return index;
  }

  #send(payload: Uint8Array): void {
    const remote = this.#remote;
    this.#sequence = (this.#sequence + 1) % 0x1_0000;
    this.#timestamp = (this.#timestamp + FRAME_SAMPLES) % 0x1_0000_0000;
    if (remote === undefined) return;
    const packet = printRtp({
      marker: false,
      payload_type: this.#payload,
      sequence: this.#sequence,
      timestamp: this.#timestamp,
      ssrc: this.#ssrc,
      payload,
    });
    this.#socket?.send(packet, remote.port, remote.address);
  }

  #received(packet: Buffer): void {
    const rtp = parseRtp(packet);
    if (rtp === undefined || rtp.payload.length !== FRAME_SAMPLES) return;
    if (rtp.payload_type !== PCMU && rtp.payload_type !== PCMA) return;
    this.#heard.push(decodeG711(rtp.payload_type, rtp.payload));
    if (this.#heard.length > KEPT_FRAMES) this.#heard.shift();
  }
}
