/** Which of several known frequencies are in a recording: Goertzel's algorithm over short windows. */

const BLOCK_MS = 50;
/** A block quieter than this is silence: about −46 dB of full scale, above G.711's own noise. */
const SILENCE_RMS = 164;
/** A tone is in a block when this share of its energy is: below 0.5, so that both of a pair are found. */
const MIN_SHARE = 0.2;

export interface DetectedTone {
  readonly frequency_hz: number;
  /** How long it was there, in steps of 50 ms. */
  readonly present_ms: number;
  /** Its mean share of the energy while it was there, 0–1: 1 for a pure tone, 0.5 for each of an even pair. */
  readonly share: number;
}

/**
 * Finds the frequencies of `candidates_hz` that sound for at least `min_ms` in all, loudest share first. Candidates
 * should lie 80 Hz or more apart: a window of 50 ms tells no closer, and forgives a sound card's clock.
 */
export function detectTones(
  samples: Int16Array,
  sample_rate_hz: number,
  candidates_hz: readonly number[],
  min_ms = 200,
): DetectedTone[] {
  const length = Math.round((sample_rate_hz * BLOCK_MS) / 1000);
  const window = Float64Array.from({ length }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / length));
  const block = new Float64Array(length);
  const found = candidates_hz.map((frequency_hz) => ({ frequency_hz, blocks: 0, shares: 0 }));
  for (let start = 0; start + length <= samples.length; start += length) {
    if (!windowed(samples, start, window, block)) continue;
    let energy = 0;
    for (const value of block) energy += value * value;
    for (const tone of found) {
      // A pure tone under a Hann window of N points has |X|² = energy · N / 3.
      const share = power(block, tone.frequency_hz / sample_rate_hz) / ((energy * length) / 3);
      if (share < MIN_SHARE) continue;
      tone.blocks++;
      tone.shares += share;
    }
  }
  return found
    .map(({ frequency_hz, blocks, shares }) => ({
      frequency_hz,
      present_ms: blocks * BLOCK_MS,
      share: blocks === 0 ? 0 : shares / blocks,
    }))
    .filter((tone) => tone.present_ms >= min_ms && tone.present_ms > 0)
    .sort((a, b) => b.share * b.present_ms - a.share * a.present_ms);
}

/** Copies one block without its mean, windowed, into `block`; false when it is silent. */
function windowed(samples: Int16Array, start: number, window: Float64Array, block: Float64Array): boolean {
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < block.length; i++) {
    const sample = samples[start + i] ?? 0;
    sum += sample;
    squares += sample * sample;
  }
  const mean = sum / block.length;
  if (squares / block.length - mean * mean < SILENCE_RMS * SILENCE_RMS) return false;
  for (let i = 0; i < block.length; i++) block[i] = ((samples[start + i] ?? 0) - mean) * (window[i] ?? 0);
  return true;
}

/** |X(f)|² of a real block; `frequency` in cycles a sample. */
function power(block: Float64Array, frequency: number): number {
  const coefficient = 2 * Math.cos(2 * Math.PI * frequency);
  let last = 0;
  let previous = 0;
  for (const value of block) {
    const next = value + coefficient * last - previous;
    previous = last;
    last = next;
  }
  return last * last + previous * previous - coefficient * last * previous;
}
