/** Synthesis of tones. */
import { SAMPLE_RATE_HZ } from "./g711.ts";
import { type Sound, UNTIL_STOPPED } from "./relay.ts";

type Tone = Extract<Sound, { kind: "tone" }>;

/**
 * −16 dBm0 for each frequency, within GR-506's range for call progress: full scale of G.711 is +3.17 dBm0 (μ-law).
 * Eight at once still stay below full scale.
 */
const PEAK = Math.round(32124 * 10 ** ((-16 - 3.17) / 20));

/** Most frequencies one tone may have. */
export const MAX_FREQUENCIES = 8;

/**
 * Fills `into` with the tone's samples from sample `start` on (8000 Hz), counted from its beginning, so that frames
 * made one after another have no clicks between them. Returns false, with silence, once all repeats are over.
 */
export function toneSamples(sound: Tone, start: number, into: Int16Array): boolean {
  const on = Math.round((sound.on_ms * SAMPLE_RATE_HZ) / 1000);
  const cycle = on + Math.round((sound.off_ms * SAMPLE_RATE_HZ) / 1000);
  const total = sound.repeat === UNTIL_STOPPED ? Number.POSITIVE_INFINITY : cycle * sound.repeat;
  into.fill(0);
  if (cycle <= 0 || start >= total) return false;
  for (const frequency of sound.frequencies_hz) {
    const step = (2 * Math.PI * frequency) / SAMPLE_RATE_HZ;
    for (let i = 0; i < into.length && start + i < total; i++) {
      if ((start + i) % cycle < on) into[i] = (into[i] ?? 0) + PEAK * Math.sin(step * (start + i));
    }
  }
  return true;
}

/** A tone as linear samples, for recordings and simulated phones; `duration_ms` at 8000 Hz. */
export function synthesize(frequencies_hz: readonly number[], duration_ms: number): Int16Array {
  const samples = new Int16Array(Math.round((duration_ms * SAMPLE_RATE_HZ) / 1000));
  toneSamples({ kind: "tone", frequencies_hz, on_ms: duration_ms, off_ms: 0, repeat: 1 }, 0, samples);
  return samples;
}
