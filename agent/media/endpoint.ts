/**
 * One local RTP port and its RTCP port, the peer beyond it, and the endpoint it is bridged to. All that happens for a
 * packet happens here: no look-up, nothing allocated.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { FRAME_SAMPLES } from "./g711.ts";
import { Latch } from "./latch.ts";
import { OutboundStream } from "./outbound-stream.ts";
import { type FrameSource, startPlayback } from "./playback.ts";
import type { PortPair } from "./port-range.ts";
import { Reception } from "./reception.ts";
import type { EndpointInfo, EndpointSpec, RemotePeer } from "./relay.ts";
import { rewriteTowardsReceiver, rewriteTowardsSource } from "./rtcp.ts";
import { looksLikeRtcp, looksLikeRtp, RTP_HEADER_BYTES } from "./rtp.ts";

/** Packet type of RTCP. */
const RECEIVER_REPORT = 201;

export class Endpoint {
  readonly spec: EndpointSpec;
  readonly #clock: Clock;
  readonly #opened_ms: number;
  readonly #opaque: boolean;
  readonly #rtpLatch = new Latch();
  readonly #rtcpLatch = new Latch();
  readonly #stream = new OutboundStream();
  readonly #reception = new Reception();
  #ports: PortPair | undefined;
  #peer: RemotePeer | undefined;
  /** RTP and RTCP share the RTP port (RFC 5761). */
  #multiplexed = false;
  #partner: Endpoint | undefined;
  #playback: Timer | undefined;
  #packetsIn = 0;
  #packetsOut = 0;
  #packetsDropped = 0;
  #receiverReports = 0;
  /** 0 until the first packet. */
  #heard_ms = 0;

  constructor(spec: EndpointSpec, clock: Clock) {
    this.spec = spec;
    this.#clock = clock;
    this.#opened_ms = clock.now();
    this.#opaque = spec.opaque === true;
  }

  /** Gives the endpoint its sockets, whose packets go to {@link onRtp} and {@link onRtcp}. */
  attach(ports: PortPair): void {
    this.#ports = ports;
  }

  get port(): number {
    return this.#ports?.rtp.port ?? 0;
  }

  get partner(): Endpoint | undefined {
    return this.#partner;
  }

  /** When RTP was last accepted here, or else when the endpoint was opened; the clock's ms. */
  get lastLife_ms(): number {
    return this.#packetsIn > 0 ? this.#heard_ms : this.#opened_ms;
  }

  /** Addresses are canonical. The same peer again changes nothing, above all not what was latched. */
  setPeer(peer: RemotePeer): void {
    if (this.#peer !== undefined && samePeer(this.#peer, peer)) return;
    this.#peer = peer;
    const rtcpPort = peer.rtcp_port ?? portBeside(peer.port);
    this.#multiplexed = peer.port !== 0 && rtcpPort === peer.port;
    this.#rtpLatch.set(peer.address, peer.port, peer.accept_from);
    this.#rtcpLatch.set(peer.address, peer.port === 0 ? 0 : rtcpPort, peer.accept_from);
  }

  join(other: Endpoint): void {
    this.part();
    other.part();
    this.#partner = other;
    other.#partner = this;
  }

  part(): void {
    const partner = this.#partner;
    if (partner === undefined) return;
    partner.#partner = undefined;
    this.#partner = undefined;
  }

  /** Replaces what is being played. What comes over the bridge is muted meanwhile, in this direction only. */
  play(payload_type: number, frames: FrameSource): void {
    this.stop();
    this.#stream.take(this.#clock.now());
    let marker = true;
    let over = false;
    const timer = startPlayback(
      this.#clock,
      frames,
      (frame, skipped) => {
        this.#sendPlayed(payload_type, frame, marker || skipped > 0, skipped);
        marker = false;
      },
      () => {
        over = true;
        this.#playback = undefined;
      },
    );
    if (!over) this.#playback = timer;
  }

  stop(): void {
    this.#playback?.cancel();
    this.#playback = undefined;
  }

  close(): void {
    this.stop();
    this.part();
    this.#ports?.close();
    this.#ports = undefined;
  }

  info(): EndpointInfo {
    return {
      id: this.spec.id,
      call_id: this.spec.call_id,
      local_address: this.spec.local_address,
      port: this.port,
      bridged_to: this.#partner?.spec.id,
      packets_in: this.#packetsIn,
      packets_out: this.#packetsOut,
      packets_dropped: this.#packetsDropped,
      silent_ms: this.#packetsIn > 0 ? this.#clock.now() - this.#heard_ms : undefined,
      emergency: this.spec.emergency,
      ...(this.spec.opaque === undefined ? {} : { opaque: this.spec.opaque }),
      ...(this.spec.path === undefined ? {} : { path: this.spec.path }),
      ...(this.#peer === undefined ? {} : { peer: this.#peer }),
      packets_lost: this.#reception.lost,
      receiver_reports: this.#receiverReports,
      playing: this.#playback !== undefined,
    };
  }

  readonly onRtp = (packet: Buffer, address: string, port: number): void => {
    const latch = this.#rtpLatch;
    if (this.#multiplexed && looksLikeRtcp(packet)) {
      if (latch.accepts(address, port)) this.#control(packet);
      else this.#packetsDropped++;
      return;
    }
    const learned = latch.learned;
    if (!(this.#opaque || looksLikeRtp(packet)) || !latch.accepts(address, port)) {
      this.#packetsDropped++;
      return;
    }
    if (latch.learned !== learned) this.#guideRtcp(address, port);
    const now = this.#clock.now();
    this.#packetsIn++;
    if (looksLikeRtp(packet)) this.#reception.take(packet);
    this.#heard_ms = now;
    this.#partner?.sendRtp(packet, now);
  };

  readonly onRtcp = (packet: Buffer, address: string, port: number): void => {
    const passes = this.#opaque || looksLikeRtcp(packet);
    if (passes && this.#rtcpLatch.accepts(address, port)) this.#control(packet);
    else this.#packetsDropped++;
  };

  #control(packet: Buffer): void {
    // Of SRTCP too: this octet is in the clear.
    if (packet[1] === RECEIVER_REPORT) this.#receiverReports++;
    this.#partner?.sendRtcp(packet, this);
  }

  private sendRtp(packet: Buffer, now_ms: number): void {
    const port = this.#rtpLatch.port;
    if (port === 0 || this.#playback !== undefined) return;
    if (looksLikeRtp(packet)) this.#stream.relay(packet, now_ms);
    this.#ports?.rtp.send(packet, port, this.#rtpLatch.address);
    this.#packetsOut++;
  }

  private sendRtcp(packet: Buffer, from: Endpoint): void {
    const multiplexed = this.#multiplexed;
    const latch = multiplexed ? this.#rtpLatch : this.#rtcpLatch;
    if (latch.port === 0 || (looksLikeRtcp(packet) && !this.#translate(packet, from))) return;
    const socket = multiplexed ? this.#ports?.rtp : this.#ports?.rtcp;
    socket?.send(packet, latch.port, latch.address);
  }

  /** Fits RTCP to what was rewritten in the RTP of either direction; false when it would be untrue. */
  #translate(packet: Buffer, from: Endpoint): boolean {
    for (const [stream, rewrite] of [
      [this.#stream, rewriteTowardsReceiver],
      [from.#stream, rewriteTowardsSource],
    ] as const) {
      if (!stream.owned) continue;
      if (stream.rewriting === undefined || !rewrite(packet, stream.rewriting)) return false;
    }
    return true;
  }

  #sendPlayed(payload_type: number, frame: Uint8Array, marker: boolean, skipped: number): void {
    const packet = Buffer.allocUnsafe(RTP_HEADER_BYTES + FRAME_SAMPLES);
    this.#stream.play(packet, payload_type, FRAME_SAMPLES, marker, skipped, this.#clock.now());
    packet.set(frame, RTP_HEADER_BYTES);
    const port = this.#rtpLatch.port;
    if (port === 0) return;
    this.#ports?.rtp.send(packet, port, this.#rtpLatch.address);
    this.#packetsOut++;
  }

  /** RTP has shown where the peer is: its RTCP can come only from there, beside the RTP unless the peer named a port. */
  #guideRtcp(address: string, port: number): void {
    const peer = this.#peer;
    if (peer === undefined) return;
    const moved = address !== peer.address || port !== peer.port;
    this.#rtcpLatch.suggest(address, moved ? portBeside(port) : (peer.rtcp_port ?? portBeside(port)));
  }
}

/** RFC 3550 §11: RTCP on the next port; 0, nowhere, where there is none. */
function portBeside(rtp: number): number {
  return rtp < 65535 ? rtp + 1 : 0;
}

function samePeer(a: RemotePeer, b: RemotePeer): boolean {
  return (
    a.address === b.address &&
    a.port === b.port &&
    a.rtcp_port === b.rtcp_port &&
    a.accept_from.length === b.accept_from.length &&
    a.accept_from.every((address) => b.accept_from.includes(address))
  );
}
