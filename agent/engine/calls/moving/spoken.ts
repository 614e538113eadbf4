/** What one m= line says of how it is to be spoken to, and what a call may be moved with. */
import type { SdpMedia } from "../../../sip/messages/sdp.ts";

export interface Spoken {
  /** Payload types in the order of preference. */
  readonly formats: readonly string[];
  /** See `SdpMedia.keys`. */
  readonly keys: readonly string[];
}

export function spokenIn({ formats, keys }: SdpMedia): Spoken {
  return { formats, keys };
}

/**
 * Payload types that both sides have named: a phone may have stopped listening for what was in its offer and not in the
 * answer (RFC 3264 §7). Undefined where that is not known or nothing; then everything is offered again.
 */
export function agreedOn(one: Spoken | undefined, other: Spoken | undefined): readonly string[] | undefined {
  const both = one?.formats.filter((format) => other?.formats.includes(format) === true) ?? [];
  return both.length === 0 ? undefined : both;
}

/**
 * Whether a phone that listens by `before` understands a far end that speaks by `after`: the same keys, and first the
 * payload type in use.
 */
export function speaksAlike(phone: Spoken | undefined, before: Spoken | undefined, after: Spoken): boolean {
  // Of another version's journal: as it was.
  if (phone === undefined || before === undefined) return true;
  const [first] = after.formats;
  const inUse = [agreedOn(phone, before)?.[0], agreedOn(before, phone)?.[0]];
  const keyed = before.keys.length > 0 === after.keys.length > 0;
  return keyed && after.keys.every((key) => before.keys.includes(key)) && inUse.includes(first);
}
