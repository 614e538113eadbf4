/** G.711 µ-law octets to 16-bit samples (ITU-T G.711 table 2a); the lab's own, for the product is not its own judge. */
export function fromMuLaw(octets: Buffer): Int16Array {
  const samples = new Int16Array(octets.length);
  for (const [n, octet] of octets.entries()) {
    const bits = ~octet & 0xff;
    const exponent = (bits >> 4) & 7;
    const magnitude = ((((bits & 15) << 3) + 132) << exponent) - 132;
    samples[n] = (bits & 0x80) !== 0 ? -magnitude : magnitude;
  }
  return samples;
}
