import { randomBytes } from "node:crypto";

const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

let lastTime = 0;
let lastRandom: number[] = [];

/**
 * A ULID: 48 bits of wall time and 80 random bits in Crockford base 32, 26 characters. Ids made in one process rise
 * strictly, even within a millisecond or when the wall clock steps back, so that sorting by id keeps their order.
 */
export function ulid(wall_ms: number): string {
  const time = Math.max(Math.floor(wall_ms), lastTime);
  if (time === lastTime && lastRandom.length > 0) {
    let i = lastRandom.length - 1;
    while (i >= 0 && lastRandom[i] === 31) lastRandom[i--] = 0;
    if (i >= 0) lastRandom[i] = (lastRandom[i] ?? 0) + 1;
  } else {
    lastRandom = Array.from(randomBytes(16), (byte) => byte & 31);
    lastTime = time;
  }
  let head = "";
  for (let rest = time, n = 0; n < 10; n++, rest = Math.floor(rest / 32)) head = CROCKFORD.charAt(rest % 32) + head;
  return head + lastRandom.map((value) => CROCKFORD.charAt(value)).join("");
}

/** A random token of `bytes` bytes in base 32 without padding, lower case: safe in SIP tags, branches and URIs. */
export function token(bytes = 10): string {
  let text = "";
  let bits = 0;
  let value = 0;
  for (const byte of randomBytes(bytes)) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += CROCKFORD.charAt((value >>> bits) & 31);
      value &= (1 << bits) - 1;
    }
  }
  if (bits > 0) text += CROCKFORD.charAt((value << (5 - bits)) & 31);
  return text.toLowerCase();
}
