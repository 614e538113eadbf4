import { Duplex } from "node:stream";
import type { OpenMediaSocket } from "../media/datagram.ts";
import type { DatagramAdapter } from "../sip/transport/sockets.ts";

export type CableState = "plugged" | "pulled";

/**
 * The WAN cable of the practice site. While it is pulled, nothing passes between the box's WAN address and the world
 * behind it, in either direction and without a word, as in a black hole; traffic inside that world goes on. Datagrams
 * are lost; a TCP stream stands still and goes on where it stood.
 */
export class WanCable {
  readonly #box: string;
  readonly #listeners: ((state: CableState) => void)[] = [];
  #state: CableState = "plugged";

  /** `box` is the box's WAN address. */
  constructor(box: string) {
    this.#box = box;
  }

  get state(): CableState {
    return this.#state;
  }

  set(state: CableState): void {
    if (state === this.#state) return;
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }

  onChange(listener: (state: CableState) => void): () => void {
    this.#listeners.push(listener);
    return () => {
      const index = this.#listeners.indexOf(listener);
      if (index >= 0) this.#listeners.splice(index, 1);
    };
  }

  /** Whether what goes to or comes from this address is lost now. */
  swallows(address: string): boolean {
    return this.#state === "pulled" && address === this.#box;
  }

  /** Sockets of the world behind the cable. */
  datagrams(adapter: DatagramAdapter): DatagramAdapter {
    return {
      bind: async (local, events) => {
        const socket = await adapter.bind(local, {
          ...events,
          datagram: (bytes, address, port) => {
            if (!this.swallows(address)) events.datagram(bytes, address, port);
          },
        });
        return {
          local: socket.local,
          send: (bytes, address, port, onError) => {
            if (!this.swallows(address)) socket.send(bytes, address, port, onError);
          },
          close: () => socket.close(),
        };
      },
    };
  }

  media(open: OpenMediaSocket): OpenMediaSocket {
    return async (address, port, onPacket) => {
      const socket = await open(address, port, (packet, from, fromPort) => {
        if (!this.swallows(from)) onPacket(packet, from, fromPort);
      });
      return {
        port: socket.port,
        send: (packet, toPort, to) => {
          if (!this.swallows(to)) socket.send(packet, toPort, to);
        },
        close: () => socket.close(),
      };
    };
  }

  /** A TCP connection through the cable, seen from the world behind it. */
  stream(connection: Duplex): Duplex {
    return new CabledStream(this, connection);
  }
}

/** Stands still while the cable is pulled: bytes wait, and so do the ends of the connection, whoever ended it. */
class CabledStream extends Duplex {
  readonly #cable: WanCable;
  readonly #connection: Duplex;
  readonly #off: () => void;
  #waiting: (() => void)[] = [];

  constructor(cable: WanCable, connection: Duplex) {
    super();
    this.#cable = cable;
    this.#connection = connection;
    this.#off = cable.onChange((state) => {
      if (state === "pulled") connection.pause();
      else this.#resume();
    });
    connection.on("data", (bytes: Buffer) =>
      this.#whenPlugged(() => {
        if (!this.push(bytes) && cable.state === "plugged") connection.pause();
      }),
    );
    connection.on("end", () => this.#whenPlugged(() => this.push(null)));
    connection.on("error", () => {});
    connection.on("close", () => this.#whenPlugged(() => this.destroy()));
    if (cable.state === "pulled") connection.pause();
  }

  #whenPlugged(act: () => void): void {
    if (this.#cable.state === "plugged") act();
    else this.#waiting.push(act);
  }

  #resume(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const act of waiting) act();
    if (!this.destroyed) this.#connection.resume();
  }

  override _read(): void {
    if (this.#cable.state === "plugged") this.#connection.resume();
  }

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#whenPlugged(() => {
      if (this.#connection.destroyed) done();
      else this.#connection.write(bytes, () => done());
    });
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#whenPlugged(() => {
      this.#connection.end();
      done();
    });
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#whenPlugged(() => {
      this.#off();
      this.#connection.destroy();
    });
    done(error);
  }
}
