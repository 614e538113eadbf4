/**
 * From whom one socket accepts and where it sends: symmetric RTP (RFC 4961) without RTP bleed. Before a peer is set
 * nothing is accepted. The first packet from an allowed address fixes address and port until the peer changes; a
 * stranger who guesses the port, or sends sooner or more often, gains nothing.
 */
export class Latch {
  #allowed: readonly string[] = [];
  #latched = false;
  #address = "";
  #port = 0;
  #sendPort = 0;

  /** Where to send, "" and 0 when nowhere. Plain reads: they are made for every packet. */
  get address(): string {
    return this.#address;
  }

  get port(): number {
    return this.#sendPort;
  }

  get latched(): boolean {
    return this.#latched;
  }

  /** Forgets what was learned: packets go to `address`:`port` until one has come from an `allowed` address. */
  set(address: string, port: number, allowed: readonly string[]): void {
    this.#latched = false;
    this.#allowed = allowed;
    this.#address = address;
    this.#port = port;
    this.#sendPort = port;
  }

  /** Whether a packet from there is the peer's. The first one latches. */
  accepts(address: string, port: number): boolean {
    if (this.#latched) return port === this.#port && address === this.#address;
    if (!this.#allowed.includes(address)) return false;
    this.#latched = true;
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
