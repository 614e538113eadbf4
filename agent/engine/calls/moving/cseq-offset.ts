/** INVITEs whose ACK or PRACK may still come, with the number that they went on under. */
const INVITES_KEPT = 8;

/**
 * The CSeq numbers of one direction of a dialog in which requests of the box's own may stand among those of the peer
 * (RFC 3261 §12.2.1.1: each number is higher than the one before). Plain data; every function returns the new one.
 */
export interface CseqOffset {
  /** The peer's highest number; absent before its first request. */
  readonly peer?: number;
  /** The highest number sent on, ours among them. */
  readonly sent?: number;
  /** What is added to the peer's numbers: zero until the box has put in a request. */
  readonly offset: number;
  readonly invites: readonly { readonly peer: number; readonly sent: number }[];
}

export const NO_OFFSET: CseqOffset = { offset: 0, invites: [] };

/** A request of the peer goes on: under which number. The ACK to a 2xx has that of its INVITE (§13.2.2.4). */
export function passOn(
  state: CseqOffset,
  method: string,
  peer: number,
): { readonly state: CseqOffset; readonly cseq: number } {
  if (method === "ACK" || method === "CANCEL") return { state, cseq: ofInvite(state, peer) };
  const isNew = state.peer === undefined || peer > state.peer;
  const least = isNew && state.sent !== undefined ? state.sent + 1 : 0;
  const cseq = Math.max(peer + state.offset, least);
  if (!isNew) return { state, cseq };
  const invites = method === "INVITE" ? [...state.invites, { peer, sent: cseq }].slice(-INVITES_KEPT) : state.invites;
  return { state: { peer, sent: cseq, offset: cseq - peer, invites }, cseq };
}

/** The number under which an INVITE of the peer went on: for ACK, CANCEL and RAck (RFC 3262 §7.2). */
export function ofInvite(state: CseqOffset, peer: number): number {
  return state.invites.find((each) => each.peer === peer)?.sent ?? peer + state.offset;
}

/** A request of the box's own took the number `cseq`. */
export function inserted(state: CseqOffset, cseq: number): CseqOffset {
  return { ...state, sent: cseq, offset: state.peer === undefined ? state.offset : cseq - state.peer };
}
