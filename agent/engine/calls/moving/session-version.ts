const ORIGIN = /^(o=[^ \r\n]+ +[^ \r\n]+ +)([0-9]{1,20})( )/m;

/** By how much the version of one description is above that of another; 0 when it is not. */
export function versionAhead(one: string, other: string): number {
  const [ahead, behind] = [one, other].map((sdp) => BigInt(ORIGIN.exec(sdp)?.[2] ?? 0));
  const by = (ahead ?? 0n) - (behind ?? 0n);
  return by > 0n ? Number(by) : 0;
}

/**
 * The description with the version of its o= line raised (RFC 3264 §8): behind an offer that the box put in, the peer's
 * own count is too low, and the other side would take a changed description for the one it has. Every other byte stays.
 */
export function raiseVersion(sdp: string, by: number): string {
  if (by === 0) return sdp;
  return sdp.replace(ORIGIN, (_, before: string, version: string, after: string) => {
    return `${before}${BigInt(version) + BigInt(by)}${after}`;
  });
}
