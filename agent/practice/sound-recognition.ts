/** What a simulated party heard: one of the voices of the practice site, or a spoken announcement. */
import { FRAME_SAMPLES, SAMPLE_RATE_HZ } from "../media/g711.ts";
import { detectTones } from "../media/tone-detection.ts";

/** Frames that have to be there before speech is compared: 1.2 s. */
const ENOUGH_FRAMES = 60;
const SAME = 0.95;
const VOICE_MS = 300;

/** The frequencies, of those that may be there, that were heard for 300 ms or more, the clearest first. */
export function voicesIn(samples: Int16Array, candidates_hz: readonly number[]): number[] {
  return detectTones(samples, SAMPLE_RATE_HZ, candidates_hz, VOICE_MS).map((tone) => tone.frequency_hz);
}

/**
 * Whether a recording of 1.2 s or more is a piece of an announcement that plays over and over: loudness, frame by
 * frame, must follow the announcement's at some offset with a correlation of 0.95.
 */
export function isAnnouncement(samples: Int16Array, announcement: Int16Array): boolean {
  const heard = loudness(samples);
  const spoken = loudness(announcement);
  const start = heard.findIndex((level) => level > 100);
  const piece = heard.slice(Math.max(0, start));
  if (start < 0 || piece.length < ENOUGH_FRAMES || spoken.length < ENOUGH_FRAMES) return false;
  const length = Math.min(piece.length, spoken.length);
  const window = piece.slice(0, length);
  for (let offset = 0; offset < spoken.length; offset++) {
    const reference = window.map((_, i) => spoken[(offset + i) % spoken.length] ?? 0);
    if (correlation(window, reference) >= SAME) return true;
  }
  return false;
}

/** Root mean square of each whole frame of 20 ms. */
function loudness(samples: Int16Array): number[] {
  return Array.from({ length: Math.floor(samples.length / FRAME_SAMPLES) }, (_, frame) => {
    let sum = 0;
    for (const sample of samples.subarray(frame * FRAME_SAMPLES, (frame + 1) * FRAME_SAMPLES)) sum += sample * sample;
    return Math.sqrt(sum / FRAME_SAMPLES);
  });
}

function correlation(left: readonly number[], right: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [a, b] = [mean(left), mean(right)];
  let both = 0;
  let leftOnly = 0;
  let rightOnly = 0;
  left.forEach((value, i) => {
    const other = (right[i] ?? 0) - b;
    both += (value - a) * other;
    leftOnly += (value - a) ** 2;
    rightOnly += other ** 2;
  });
  return leftOnly === 0 || rightOnly === 0 ? 0 : both / Math.sqrt(leftOnly * rightOnly);
}
