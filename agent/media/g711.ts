/**
 * G.711: 8 bits a sample, 8000 samples a second, μ-law (PCMU) and A-law (PCMA), by ITU-T G.711 tables 1 and 2.
 * Linear samples are signed 16 bit: the recommendation's 14-bit (μ) and 13-bit (A) values shifted to the top.
 */

/** Static RTP payload types (RFC 3551 §6). */
export const PCMU = 0;
export const PCMA = 8;
export type G711PayloadType = typeof PCMU | typeof PCMA;

export const SAMPLE_RATE_HZ = 8000;
/** Samples, and as G.711 bytes, in a packet of 20 ms: what every phone sends. */
export const FRAME_SAMPLES = 160;
export const FRAME_MS = 20;

/** The code words of digital silence. */
export const SILENCE = { [PCMU]: 0xff, [PCMA]: 0xd5 } as const;

const ULAW_BIAS = 132;
const ULAW_CLIP = 32635;

function encodeUlaw(sample: number): number {
  const magnitude = Math.min(sample < 0 ? -sample : sample, ULAW_CLIP) + ULAW_BIAS;
  const segment = 24 - Math.clz32(magnitude);
  const code = (sample < 0 ? 0x80 : 0) | (segment << 4) | ((magnitude >> (segment + 3)) & 15);
  return ~code & 0xff;
}

function decodeUlaw(code: number): number {
  const bits = ~code & 0xff;
  const magnitude = ((((bits & 15) << 3) + ULAW_BIAS) << ((bits >> 4) & 7)) - ULAW_BIAS;
  return bits & 0x80 ? -magnitude : magnitude;
}

function encodeAlaw(sample: number): number {
  // A negative value of two's complement is one step further from zero than its code says: ~x, not -x.
  const magnitude = sample < 0 ? ~sample : sample;
  const segment = magnitude < 256 ? 0 : 24 - Math.clz32(magnitude);
  const mantissa = (magnitude >> (segment === 0 ? 4 : segment + 3)) & 15;
  return ((sample < 0 ? 0 : 0x80) | (segment << 4) | mantissa) ^ 0x55;
}

function decodeAlaw(code: number): number {
  const bits = code ^ 0x55;
  const segment = (bits >> 4) & 7;
  const step = ((bits & 15) << 4) + 8;
  const magnitude = segment === 0 ? step : (step + 256) << (segment - 1);
  return bits & 0x80 ? magnitude : -magnitude;
}

function encodeTable(encode: (sample: number) => number): Uint8Array {
  return Uint8Array.from({ length: 65536 }, (_, index) => encode(index - 32768));
}

const ENCODE = { [PCMU]: encodeTable(encodeUlaw), [PCMA]: encodeTable(encodeAlaw) } as const;
const DECODE = {
  [PCMU]: Int16Array.from({ length: 256 }, (_, code) => decodeUlaw(code)),
  [PCMA]: Int16Array.from({ length: 256 }, (_, code) => decodeAlaw(code)),
} as const;

/** Code words of `samples`, one byte each; written into `into` from its start when given. */
export function encodeG711(
  payload_type: G711PayloadType,
  samples: Int16Array,
  into: Uint8Array = new Uint8Array(samples.length),
): Uint8Array {
  const table = ENCODE[payload_type];
  for (let i = 0; i < samples.length; i++) into[i] = table[(samples[i] ?? 0) + 32768] ?? 0;
  return into;
}

/** Linear samples of G.711 code words. Every byte is a valid code word. */
export function decodeG711(payload_type: G711PayloadType, codes: Uint8Array): Int16Array {
  const table = DECODE[payload_type];
  const samples = new Int16Array(codes.length);
  for (let i = 0; i < codes.length; i++) samples[i] = table[codes[i] ?? 0] ?? 0;
  return samples;
}
