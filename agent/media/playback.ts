/** Sound as G.711 frames, sent one every 20 ms by the clock. */
import type { Clock, Timer } from "../base/clock.ts";
import { encodeG711, FRAME_MS, FRAME_SAMPLES, type G711PayloadType, SILENCE } from "./g711.ts";
import type { Sound } from "./relay.ts";
import { toneSamples } from "./tones.ts";

/** Writes the next 160 code words and returns true, or returns false when the sound is over. */
export type FrameSource = (into: Uint8Array) => boolean;

/** How far behind the clock a playback may fall and still catch up by sending at once what was missed. */
const CATCH_UP_FRAMES = 5;

export function toneFrames(sound: Extract<Sound, { kind: "tone" }>, payload_type: G711PayloadType): FrameSource {
  const samples = new Int16Array(FRAME_SAMPLES);
  let position = 0;
  return (into) => {
    if (!toneSamples(sound, position, samples)) return false;
    position += FRAME_SAMPLES;
    encodeG711(payload_type, samples, into);
    return true;
  };
}

/**
 * The last frame is filled up with silence. With `again_after_ms` it begins anew after so much silence, without end;
 * 0 samples are over at once in either case.
 */
export function sampleFrames(samples: Int16Array, payload_type: G711PayloadType, again_after_ms?: number): FrameSource {
  const pause = again_after_ms === undefined ? 0 : Math.ceil(again_after_ms / FRAME_MS) * FRAME_SAMPLES;
  let position = 0;
  return (into) => {
    if (again_after_ms !== undefined && position >= samples.length + pause) position = 0;
    if (samples.length === 0 || (again_after_ms === undefined && position >= samples.length)) return false;
    into.fill(SILENCE[payload_type]);
    encodeG711(payload_type, samples.subarray(position, position + FRAME_SAMPLES), into);
    position += FRAME_SAMPLES;
    return true;
  };
}

/**
 * Calls `send` for each frame, 20 ms apart counted from the start, so that no drift gathers. After a stall of up to
 * 100 ms the missed frames go out at once; after a longer one the sound pauses, and `skipped` says for how many frames,
 * so that timestamps still tell the time. Calls `done` when the sound is over, not when it is cancelled.
 */
export function startPlayback(
  clock: Clock,
  next: FrameSource,
  send: (frame: Uint8Array, skipped: number) => void,
  done: () => void,
): Timer {
  const frame = new Uint8Array(FRAME_SAMPLES);
  let due = clock.now();
  let timer: Timer | undefined;
  let cancelled = false;
  const tick = () => {
    if (cancelled) return;
    const late = Math.floor((clock.now() - due) / FRAME_MS);
    let skipped = late > CATCH_UP_FRAMES ? late : 0;
    due += skipped * FRAME_MS;
    do {
      if (!next(frame)) {
        done();
        return;
      }
      send(frame, skipped);
      skipped = 0;
      due += FRAME_MS;
    } while (due <= clock.now());
    timer = clock.after(due - clock.now(), tick);
  };
  tick();
  return {
    cancel() {
      cancelled = true;
      timer?.cancel();
    },
  };
}
