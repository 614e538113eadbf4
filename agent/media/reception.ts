/** What arrives of an RTP stream and what does not, by its sequence numbers (RFC 3550 §A.1, §A.3). */

/** A step larger than this is a new start, not loss (§A.1: MAX_DROPOUT). */
const MAX_DROPOUT = 3000;
/** So far behind is late or repeated (§A.1: MAX_MISORDER). */
const MAX_MISORDER = 100;

export class Reception {
  /** Lost in stretches that are over: before a new source, or a restart of its numbers. */
  #lostBefore = 0;
  #ssrc = -1;
  #base = 0;
  /** Highest number seen, counted on over its wraps. */
  #highest = 0;
  #received = 0;

  /** A packet that {@link looksLikeRtp}. Made for every packet: nothing is allocated. */
  take(packet: Buffer): void {
    const sequence = packet.readUInt16BE(2);
    const ssrc = packet.readUInt32BE(8);
    const step = (sequence - this.#highest) & 0xffff;
    if (ssrc !== this.#ssrc || (step > MAX_DROPOUT && step < 0x1_0000 - MAX_MISORDER)) {
      this.#lostBefore = this.lost;
      this.#ssrc = ssrc;
      this.#base = sequence;
      this.#highest = sequence;
      this.#received = 1;
      return;
    }
    if (step <= MAX_DROPOUT) this.#highest += step;
    this.#received++;
  }

  /** Packets that should have come and did not; a repeated one makes up for one that is missing. */
  get lost(): number {
    const expected = this.#received === 0 ? 0 : this.#highest - this.#base + 1;
    return this.#lostBefore + Math.max(0, expected - this.#received);
  }
}
