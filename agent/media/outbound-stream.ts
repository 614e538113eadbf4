/**
 * The RTP stream one endpoint sends to its peer. As long as nothing was played, relayed packets pass untouched (they
 * may be SRTP). Once the relay itself has played, the stream is its own: one SSRC, sequence and timestamp going on
 * without a jump whoever speaks, so that a phone that pins the SSRC still hears the bridge afterwards
 * (RFC 3550 §5.1, and §7.1 for what a translator must rewrite).
 */
import { randomInt } from "node:crypto";
import type { Rewriting } from "./rtcp.ts";

const TICKS_PER_MS = 8;
/** Rounds timestamps' steps to a frame, so that receivers see no odd gap. */
const FRAME_TICKS = 160;
const SEQUENCES = 0x1_0000;
const WORDS = 0x1_0000_0000;
/** A packet further behind than this was not overtaken: its source began anew (RFC 3550 §A.1, MAX_MISORDER). */
const MISORDERED = 100;

export class OutboundStream {
  #owned = false;
  #started = false;
  #ssrc = 0;
  #sequence = 0;
  #timestamp = 0;
  #sent_ms = 0;
  /** What relayed packets are mapped from; undefined until the first one after a playback. */
  #rewriting: Rewriting | undefined;

  /** True once the relay has put sound of its own into the stream; relayed packets are then rewritten. */
  get owned(): boolean {
    return this.#owned;
  }

  /** What relayed packets undergo, for their RTCP; undefined while nothing is relayed under our SSRC. */
  get rewriting(): Rewriting | undefined {
    return this.#rewriting;
  }

  /** Takes note of a relayed packet and, in an owned stream, rewrites its header in place. `packet` is valid RTP. */
  relay(packet: Buffer, now_ms: number): void {
    let ssrc = packet.readUInt32BE(8);
    if (this.#owned) {
      if (this.#rewriting?.source_ssrc !== ssrc) this.#rewriting = this.#splice(packet, ssrc, now_ms);
      packet.writeUInt16BE((packet.readUInt16BE(2) + this.#rewriting.sequenceShift) % SEQUENCES, 2);
      packet.writeUInt32BE((packet.readUInt32BE(4) + this.#rewriting.timestampShift) % WORDS, 4);
      ssrc = this.#ssrc;
      packet.writeUInt32BE(ssrc, 8);
    }
    const sequence = packet.readUInt16BE(2);
    // A packet that was overtaken on its way must not take the stream back.
    if (this.#started && this.#ssrc === ssrc && isOvertaken(sequence, this.#sequence)) return;
    this.#started = true;
    this.#ssrc = ssrc;
    this.#sequence = sequence;
    this.#timestamp = packet.readUInt32BE(4);
    this.#sent_ms = now_ms;
  }

  /** Begins a playback: the stream is ours from here on. */
  take(now_ms: number): void {
    if (!this.#started) {
      this.#started = true;
      this.#ssrc = randomInt(WORDS);
      this.#sequence = randomInt(SEQUENCES);
      this.#timestamp = randomInt(WORDS);
    } else {
      this.#timestamp = (this.#timestamp + this.#ticksSince(now_ms) - FRAME_TICKS + WORDS) % WORDS;
    }
    this.#owned = true;
    this.#rewriting = undefined;
    this.#sent_ms = now_ms;
  }

  /** Writes the header of the next played packet of `ticks` samples. `skipped` frames before it were not sent. */
  play(packet: Buffer, payload_type: number, ticks: number, marker: boolean, skipped: number, now_ms: number): void {
    this.#sequence = (this.#sequence + 1) % SEQUENCES;
    this.#timestamp = (this.#timestamp + ticks * (1 + skipped)) % WORDS;
    this.#sent_ms = now_ms;
    packet.writeUInt8(0x80, 0);
    packet.writeUInt8((marker ? 0x80 : 0) | payload_type, 1);
    packet.writeUInt16BE(this.#sequence, 2);
    packet.writeUInt32BE(this.#timestamp, 4);
    packet.writeUInt32BE(this.#ssrc, 8);
  }

  /** The first packet of another source continues where the stream stands, marked as a new talk spurt. */
  #splice(packet: Buffer, source_ssrc: number, now_ms: number): Rewriting {
    packet.writeUInt8(packet.readUInt8(1) | 0x80, 1);
    return {
      source_ssrc,
      sent_ssrc: this.#ssrc,
      sequenceShift: (this.#sequence + 1 - packet.readUInt16BE(2) + SEQUENCES) % SEQUENCES,
      timestampShift: (this.#timestamp + this.#ticksSince(now_ms) - packet.readUInt32BE(4) + WORDS) % WORDS,
    };
  }

  /** Timestamp ticks from the last packet to one sent now: whole frames, at least one. */
  #ticksSince(now_ms: number): number {
    const frames = Math.round(((now_ms - this.#sent_ms) * TICKS_PER_MS) / FRAME_TICKS);
    return Math.max(1, frames) * FRAME_TICKS;
  }
}

function isOvertaken(sequence: number, by: number): boolean {
  const behind = (by - sequence + SEQUENCES) % SEQUENCES;
  return behind > 0 && behind <= MISORDERED;
}
