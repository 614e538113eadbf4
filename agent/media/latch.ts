/**
 * From whom one socket accepts and where it sends: symmetric RTP (RFC 4961) without RTP bleed. Before a peer is set
 * nothing is accepted. The first packet from an allowed address fixes address and port until the peer changes; a
 * stranger who guesses the port, or sends sooner or more often, gains nothing. Only the address and port that were
 * negotiated overrule that: after a re-INVITE the last packets from the port of before may come first.
 */
export class Latch {
  #allowed: readonly string[] = [];
  #latched = false;
  #learned = 0;
  #address = "";
  #port = 0;
  #sendPort = 0;
  #namedAddress = "";
  #namedPort = 0;

  /** Where to send, "" and 0 when nowhere. Plain reads: they are made for every packet. */
  get address(): string {
    return this.#address;
  }

  get port(): number {
    return this.#sendPort;
  }

  /** How often a packet has fixed address and port: rises when they change. */
  get learned(): number {
    return this.#learned;
  }

  /** Forgets what was learned: packets go to `address`:`port` until one has come from an `allowed` address. */
  set(address: string, port: number, allowed: readonly string[]): void {
    this.#latched = false;
    this.#allowed = allowed;
    this.#address = address;
    this.#port = port;
    this.#sendPort = port;
    this.#namedAddress = address;
    this.#namedPort = port;
  }

  /** Whether a packet from there is the peer's. The first one latches. */
  accepts(address: string, port: number): boolean {
    if (this.#latched) {
      if (port === this.#port && address === this.#address) return true;
      if (port !== this.#namedPort || address !== this.#namedAddress) return false;
    } else if (!this.#allowed.includes(address)) return false;
    this.#latched = true;
    this.#learned++;
    this.#address = address;
    this.#port = port;
    // A peer on hold (port 0) is heard, but sent nothing.
    if (this.#sendPort !== 0) this.#sendPort = port;
    return true;
  }

  /** Takes `address`:`port` as likelier, and `address` as the only one allowed, unless a packet has said otherwise. */
  suggest(address: string, port: number): void {
    if (this.#latched) return;
    this.#allowed = [address];
    this.#address = address;
    if (this.#sendPort !== 0) this.#sendPort = port;
  }
}
