/** Pairs of UDP ports: RTP on an even one, RTCP on the next (RFC 3550 §11), chosen at random so that they are hard to guess. */
import { randomInt } from "node:crypto";
import { errorText, HoldfastError } from "../base/errors.ts";
import type { MediaSocket, OnPacket, OpenMediaSocket } from "./datagram.ts";

/** Pairs that only emergency calls may take, but never more than a quarter of all. */
const EMERGENCY_RESERVE = 8;

export interface PortPair {
  readonly rtp: MediaSocket;
  readonly rtcp: MediaSocket;
  /** Closes both sockets and gives the ports back. */
  close(): void;
}

export class PortRange {
  readonly #first: number;
  readonly #pairs: number;
  readonly #open: OpenMediaSocket;
  /** RTP ports in use or being opened, by local address. */
  readonly #used = new Map<string, Set<number>>();

  /** `port_min` and `port_max` are inclusive. */
  constructor(port_min: number, port_max: number, open: OpenMediaSocket) {
    this.#first = port_min + (port_min % 2);
    this.#pairs = Math.max(0, Math.floor((port_max - this.#first + 1) / 2));
    this.#open = open;
  }

  /** Binds a pair, on `wanted` where that is free; rejects with `media.no_port` when none is left or the address is not on this machine. */
  async openPair(
    address: string,
    emergency: boolean,
    onRtp: OnPacket,
    onRtcp: OnPacket,
    wanted?: number,
  ): Promise<PortPair> {
    const used = this.#used.get(address) ?? new Set<number>();
    this.#used.set(address, used);
    const reserve = emergency ? 0 : Math.min(EMERGENCY_RESERVE, Math.floor(this.#pairs / 4));
    if (used.size >= this.#pairs - reserve) {
      throw new HoldfastError("media.no_port", `All ${this.#pairs - reserve} pairs on ${address} are in use.`);
    }
    const index = wanted === undefined ? -1 : (wanted - this.#first) / 2;
    const start = Number.isInteger(index) && index >= 0 && index < this.#pairs ? index : randomInt(this.#pairs);
    let refusal: unknown;
    for (let i = 0; i < this.#pairs; i++) {
      const port = this.#first + 2 * ((start + i) % this.#pairs);
      if (used.has(port)) continue;
      used.add(port);
      try {
        return await this.#bind(address, port, onRtp, onRtcp, used);
      } catch (error) {
        used.delete(port);
        refusal = error;
        if (!isPortTaken(error)) break;
      }
    }
    throw new HoldfastError("media.no_port", `No pair on ${address} could be bound: ${errorText(refusal)}.`, refusal);
  }

  async #bind(address: string, port: number, onRtp: OnPacket, onRtcp: OnPacket, used: Set<number>): Promise<PortPair> {
    const rtp = await this.#open(address, port, onRtp);
    let rtcp: MediaSocket;
    try {
      rtcp = await this.#open(address, port + 1, onRtcp);
    } catch (error) {
      rtp.close();
      throw error;
    }
    return {
      rtp,
      rtcp,
      close() {
        rtp.close();
        rtcp.close();
        used.delete(port);
      },
    };
  }
}

/** Another program holds the port: the next one may be free. Anything else is about the address. */
function isPortTaken(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "EADDRINUSE" || code === "EACCES";
}
