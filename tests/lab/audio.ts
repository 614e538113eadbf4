/** Tones: written as files for telephones to send, and recognised in what the other end recorded. */
import { readFile, writeFile } from "node:fs/promises";
import { encodeG711, PCMU } from "../../agent/media/g711.ts";

const SAMPLE_RATE = 8000;
const FRAME_MS = 50;
/** Share of a frame's energy that must sit at the frequency; a clean sine through G.711 gives above 0.95. */
const TONE_SHARE = 0.6;
/** Frames quieter than this (RMS, of 32767) are silence. */
const SILENCE_RMS = 300;

export interface Pcm {
  readonly sample_rate: number;
  readonly samples: Int16Array;
}

export interface Heard {
  /** The tone that was heard most; undefined when no frame held a known tone. */
  readonly tone_hz: number | undefined;
  /** Milliseconds of each known tone. */
  readonly ms_by_tone: ReadonlyMap<number, number>;
  /** Longest stretch between the first and the last frame of the tone in which it was not there, in ms. */
  readonly longest_gap_ms: number;
  readonly length_ms: number;
}

/** A sine of `seconds`, 16-bit mono at 8 kHz, at half of full scale. */
export function tone(frequency_hz: number, seconds: number): Pcm {
  const samples = new Int16Array(Math.round(seconds * SAMPLE_RATE));
  for (let n = 0; n < samples.length; n++) {
    samples[n] = Math.round(16_000 * Math.sin((2 * Math.PI * frequency_hz * n) / SAMPLE_RATE));
  }
  return { sample_rate: SAMPLE_RATE, samples };
}

export function printWav(pcm: Pcm): Buffer {
  const data = Buffer.from(pcm.samples.buffer, pcm.samples.byteOffset, pcm.samples.byteLength);
  const head = Buffer.alloc(44);
  head.write("RIFF", 0, "latin1");
  head.writeUInt32LE(36 + data.length, 4);
  head.write("WAVEfmt ", 8, "latin1");
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(pcm.sample_rate, 24);
  head.writeUInt32LE(pcm.sample_rate * 2, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36, "latin1");
  head.writeUInt32LE(data.length, 40);
  return Buffer.concat([head, data]);
}

/**
 * Reads 16-bit PCM; of several channels the first is taken. A data length that the writer has not filled in yet (0, or
 * beyond the end) means "to the end of the file".
 */
export function parseWav(bytes: Buffer): Pcm {
  if (bytes.length < 12 || bytes.toString("latin1", 0, 4) !== "RIFF" || bytes.toString("latin1", 8, 12) !== "WAVE") {
    throw new Error(`not a WAV file (${bytes.length} bytes)`);
  }
  let sample_rate = 0;
  let channels = 1;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const id = bytes.toString("latin1", at, at + 4);
    const size = bytes.readUInt32LE(at + 4);
    const start = at + 8;
    if (id === "fmt ") {
      if (bytes.readUInt16LE(start + 14) !== 16) throw new Error("the WAV file is not 16-bit PCM");
      channels = bytes.readUInt16LE(start + 2);
      sample_rate = bytes.readUInt32LE(start + 4);
    } else if (id === "data") {
      const end = size === 0 || start + size > bytes.length ? bytes.length : start + size;
      const samples = new Int16Array(Math.floor((end - start) / (2 * channels)));
      for (let n = 0; n < samples.length; n++) samples[n] = bytes.readInt16LE(start + 2 * channels * n);
      return { sample_rate, samples };
    }
    at = start + size + (size & 1);
  }
  return { sample_rate, samples: new Int16Array(0) };
}

/**
 * Share of a Hann-windowed frame's energy at one frequency (Goertzel): 1 for a pure sine at it, near 0 for another
 * tone, noise or silence.
 */
export function toneShare(frame: Int16Array, sample_rate: number, frequency_hz: number): number {
  const coefficient = 2 * Math.cos((2 * Math.PI * frequency_hz) / sample_rate);
  let before = 0;
  let last = 0;
  let energy = 0;
  let windowSum = 0;
  let windowEnergy = 0;
  for (let n = 0; n < frame.length; n++) {
    const weight = 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / frame.length);
    const value = (frame[n] ?? 0) * weight;
    const next = value + coefficient * last - before;
    before = last;
    last = next;
    energy += value * value;
    windowSum += weight;
    windowEnergy += weight * weight;
  }
  if (energy === 0) return 0;
  const power = last * last + before * before - coefficient * last * before;
  return (power / energy) * ((2 * windowEnergy) / (windowSum * windowSum));
}

/** Which of the known tones is in the recording, for how long, and with what holes. */
export function recognise(pcm: Pcm, tones_hz: readonly number[]): Heard {
  const size = Math.round((pcm.sample_rate * FRAME_MS) / 1000);
  const frames: (number | undefined)[] = [];
  const ms_by_tone = new Map<number, number>();
  for (let start = 0; size > 0 && start + size <= pcm.samples.length; start += size) {
    const frame = pcm.samples.subarray(start, start + size);
    const found = toneOf(frame, pcm.sample_rate, tones_hz);
    frames.push(found);
    if (found !== undefined) ms_by_tone.set(found, (ms_by_tone.get(found) ?? 0) + FRAME_MS);
  }
  const most = [...ms_by_tone].sort((a, b) => b[1] - a[1])[0]?.[0];
  let gap = 0;
  let longest = 0;
  for (const frame of frames.slice(Math.max(0, frames.indexOf(most)), frames.lastIndexOf(most) + 1)) {
    gap = frame === most ? 0 : gap + FRAME_MS;
    longest = Math.max(longest, gap);
  }
  return { tone_hz: most, ms_by_tone, longest_gap_ms: longest, length_ms: frames.length * FRAME_MS };
}

function toneOf(frame: Int16Array, sample_rate: number, tones_hz: readonly number[]): number | undefined {
  let squares = 0;
  for (const sample of frame) squares += sample * sample;
  if (Math.sqrt(squares / frame.length) < SILENCE_RMS) return undefined;
  return tones_hz.find((hz) => toneShare(frame, sample_rate, hz) >= TONE_SHARE);
}

export async function writeTone(path: string, frequency_hz: number, seconds: number): Promise<void> {
  await writeFile(path, printWav(tone(frequency_hz, seconds)));
}

/** The same as raw µ-law, which is what SIPp sends. */
export async function writeMulawTone(path: string, frequency_hz: number, seconds: number): Promise<void> {
  await writeFile(path, encodeG711(PCMU, tone(frequency_hz, seconds).samples));
}

export async function hear(path: string, tones_hz: readonly number[]): Promise<Heard> {
  return recognise(parseWav(await readFile(path)), tones_hz);
}
