/** A plain UDP peer on this machine, for tests: sends what it is told to and keeps what it gets. */
import { type MediaSocket, openMediaSocket } from "./datagram.ts";
import { parseRtp, printRtp, type RtpPacket } from "./rtp.ts";

export interface Received {
  readonly packet: Buffer;
  readonly address: string;
  readonly port: number;
}

export class UdpPeer {
  readonly address: string;
  readonly #socket: MediaSocket;
  readonly #queue: Received[];
  readonly #waiting: ((received: Received) => void)[];

  private constructor(address: string, socket: MediaSocket, queue: Received[], waiting: ((r: Received) => void)[]) {
    this.address = address;
    this.#socket = socket;
    this.#queue = queue;
    this.#waiting = waiting;
  }

  /** Port 0 takes any free one. */
  static async open(address = "127.0.0.1", port = 0): Promise<UdpPeer> {
    const queue: Received[] = [];
    const waiting: ((received: Received) => void)[] = [];
    const socket = await openMediaSocket(address, port, (packet, from, fromPort) => {
      const received = { packet, address: from, port: fromPort };
      const next = waiting.shift();
      if (next === undefined) queue.push(received);
      else next(received);
    });
    return new UdpPeer(address, socket, queue, waiting);
  }

  get port(): number {
    return this.#socket.port;
  }

  send(bytes: Uint8Array, port: number, address = this.address): void {
    this.#socket.send(bytes, port, address);
  }

  sendRtp(packet: Partial<RtpPacket>, port: number): void {
    const { sequence = 1, timestamp = 160, ssrc = 7, payload_type = 0, marker = false } = packet;
    const payload = packet.payload ?? new Uint8Array(160);
    this.send(printRtp({ sequence, timestamp, ssrc, payload_type, marker, payload }), port);
  }

  /** The next datagram, once there is one. */
  next(): Promise<Received> {
    const received = this.#queue.shift();
    if (received !== undefined) return Promise.resolve(received);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async nextRtp(): Promise<RtpPacket> {
    const packet = parseRtp((await this.next()).packet);
    if (packet === undefined) throw new Error("what came is no RTP");
    return packet;
  }

  /** Datagrams that have come and were not asked for. */
  get unread(): number {
    return this.#queue.length;
  }

  close(): void {
    this.#socket.close();
  }
}
