/**
 * Text from the wire and back without loss. SIP headers and SDP are UTF-8 (RFC 3261 §25.1, RFC 8866 §5), but a byte that
 * is not must pass through unharmed. Such a byte becomes a lone surrogate U+DC80–U+DCFF and turns back into the same
 * byte when printed; no valid UTF-8 decodes to a lone surrogate, so the two never collide.
 */
const REPLACEMENT = "\uFFFD";

/** Length of the well-formed UTF-8 sequence at `i` (RFC 3629 §4), 0 when there is none. */
function sequenceLength(bytes: Uint8Array, i: number): number {
  const first = bytes[i] ?? 0;
  if (first < 0x80) return 1;
  const length =
    first >= 0xc2 && first <= 0xdf ? 2 : first >= 0xe0 && first <= 0xef ? 3 : 0xf0 <= first && first <= 0xf4 ? 4 : 0;
  if (length === 0 || i + length > bytes.length) return 0;
  for (let n = 1; n < length; n++) if (((bytes[i + n] ?? 0) & 0xc0) !== 0x80) return 0;
  const second = bytes[i + 1] ?? 0;
  if (first === 0xe0 && second < 0xa0) return 0;
  if (first === 0xed && second > 0x9f) return 0;
  if (first === 0xf0 && second < 0x90) return 0;
  if (first === 0xf4 && second > 0x8f) return 0;
  return length;
}

/** Decodes UTF-8; bytes that are not UTF-8 become lone surrogates. Never throws. */
export function decodeText(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString("utf8");
  if (!text.includes(REPLACEMENT)) return text;
  const pieces: string[] = [];
  let from = 0;
  for (let i = 0; i < buffer.length; ) {
    const length = sequenceLength(buffer, i);
    if (length > 0) {
      i += length;
      continue;
    }
    if (i > from) pieces.push(buffer.toString("utf8", from, i));
    pieces.push(String.fromCharCode(0xdc00 + (buffer[i] ?? 0)));
    from = ++i;
  }
  pieces.push(buffer.toString("utf8", from));
  return pieces.join("");
}

/** The inverse of {@link decodeText}. */
export function encodeText(text: string): Buffer {
  if (text.isWellFormed()) return Buffer.from(text, "utf8");
  const pieces: Buffer[] = [];
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit <= 0xdbff && isLowSurrogate(text.charCodeAt(i + 1))) {
      i++;
      continue;
    }
    if (unit < 0xdc80 || unit > 0xdcff) continue;
    if (i > from) pieces.push(Buffer.from(text.slice(from, i), "utf8"));
    pieces.push(Buffer.of(unit - 0xdc00));
    from = i + 1;
  }
  pieces.push(Buffer.from(text.slice(from), "utf8"));
  return Buffer.concat(pieces);
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
