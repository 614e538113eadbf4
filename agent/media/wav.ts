/** WAV files of linear 16-bit mono sound: recordings to judge, announcements to play. */

export interface WavAudio {
  readonly sample_rate_hz: number;
  readonly samples: Int16Array;
}

export type WavResult =
  | { readonly ok: true; readonly audio: WavAudio }
  | {
      readonly ok: false;
      /** What is wrong with the file, for a person. */
      readonly reason: string;
    };

const HEADER_BYTES = 44;
const FORMAT_PCM = 1;

/**
 * Reads a RIFF/WAVE file with PCM of 16 bits, one channel. Unknown chunks are skipped. A recording that was never
 * closed (sizes of 0 or past the end) is read to the end of the file, since its sound is all there.
 */
export function readWav(bytes: Uint8Array): WavResult {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 12 || tag(bytes, 0) !== "RIFF" || tag(bytes, 8) !== "WAVE") {
    return { ok: false, reason: "not a RIFF/WAVE file" };
  }
  let sample_rate_hz = 0;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const name = tag(bytes, at);
    const size = view.getUint32(at + 4, true);
    const body = at + 8;
    if (name === "fmt ") {
      if (size < 16 || body + 16 > bytes.length) return { ok: false, reason: "its fmt chunk is cut short" };
      const format = view.getUint16(body, true);
      const channels = view.getUint16(body + 2, true);
      const bits = view.getUint16(body + 14, true);
      sample_rate_hz = view.getUint32(body + 4, true);
      if (format !== FORMAT_PCM || channels !== 1 || bits !== 16 || sample_rate_hz === 0) {
        return {
          ok: false,
          reason: `format ${format}, ${channels} channels, ${bits} bits: only PCM, 1 channel, 16 bits is read`,
        };
      }
    } else if (name === "data") {
      if (sample_rate_hz === 0) return { ok: false, reason: "no fmt chunk before its data" };
      const end = size === 0 ? bytes.length : Math.min(bytes.length, body + size);
      const samples = new Int16Array((end - body) >> 1);
      for (let i = 0; i < samples.length; i++) samples[i] = view.getInt16(body + i * 2, true);
      return { ok: true, audio: { sample_rate_hz, samples } };
    }
    // Chunks are padded to even sizes.
    at = body + size + (size & 1);
  }
  return { ok: false, reason: "no data chunk" };
}

export function printWav(audio: WavAudio): Uint8Array {
  const size = audio.samples.length * 2;
  const bytes = new Uint8Array(HEADER_BYTES + size);
  const view = new DataView(bytes.buffer);
  const text = (at: number, letters: string) => {
    for (let i = 0; i < letters.length; i++) bytes[at + i] = letters.charCodeAt(i);
  };
  text(0, "RIFF");
  view.setUint32(4, HEADER_BYTES - 8 + size, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, FORMAT_PCM, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, audio.sample_rate_hz, true);
  view.setUint32(28, audio.sample_rate_hz * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, size, true);
  audio.samples.forEach((sample, i) => {
    view.setInt16(HEADER_BYTES + i * 2, sample, true);
  });
  return bytes;
}

function tag(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}
