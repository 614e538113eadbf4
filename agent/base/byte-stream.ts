import type { Clock, Timer } from "./clock.ts";

/**
 * A device as its driver sees it: bytes in, bytes out, and an end. Drivers and simulators hold one of these, so that a
 * serial port, a pseudo-terminal and two objects in one test are the same to them.
 */
export interface ByteStream {
  /** One listener; bytes that come before it is set are lost, as on a wire. */
  onData(listener: (bytes: Uint8Array) => void): void;
  /** Called once, however the stream ended; `why` is for people. Not called after our own {@link close}. */
  onClose(listener: (why: string) => void): void;
  /** Never throws and never blocks. What cannot be delivered ends the stream. */
  write(bytes: Uint8Array): void;
  /** Ends the stream from this side. Harmless when it has ended. */
  close(): void;
}

/** Opens a device; rejects with a reason for people. */
export type OpenStream = () => Promise<ByteStream>;

/** Serial protocols here are ASCII; other bytes are kept apart one by one, so that nothing from outside can throw. */
export function fromBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

export function toBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0) & 0xff);
}

class End implements ByteStream {
  peer: End | undefined;
  #clock: Clock;
  #data: (bytes: Uint8Array) => void = () => {};
  #closed: (why: string) => void = () => {};
  #open = true;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.#data = listener;
  }

  onClose(listener: (why: string) => void): void {
    this.#closed = listener;
  }

  write(bytes: Uint8Array): void {
    if (!this.#open) return;
    const copy = Uint8Array.from(bytes);
    this.#clock.after(0, () => this.peer?.receive(copy));
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#clock.after(0, () => this.peer?.hungUp());
  }

  receive(bytes: Uint8Array): void {
    if (this.#open) this.#data(bytes);
  }

  hungUp(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#closed("the other end was closed");
  }
}

/** A cable in memory: what one end writes, the other reads, one turn of the clock later. */
export function memoryCable(clock: Clock): readonly [ByteStream, ByteStream] {
  const [a, b] = [new End(clock), new End(clock)];
  a.peer = b;
  b.peer = a;
  return [a, b];
}

/** Waits between attempts to open a device: a plug that is put back is found within seconds, an absent one costs little. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
/** A device that stays open this long was really there. */
const SETTLED_MS = 10_000;

export interface StandingStream {
  /** Closes the device and opens it again after the usual wait. */
  reopen(): void;
  stop(): void;
}

/** Keeps a device open for ever: opens it, and when it is lost opens it again with growing waits. */
export function keepOpen(options: {
  readonly open: OpenStream;
  readonly clock: Clock;
  readonly onOpen: (stream: ByteStream) => void;
  /** It went away or could not be opened; called for every failed attempt. */
  readonly onLost: (why: string) => void;
}): StandingStream {
  const { clock } = options;
  let stream: ByteStream | undefined;
  let timer: Timer | undefined;
  let wait_ms = FIRST_WAIT_MS;
  let opened_ms = 0;
  let stopped = false;

  const lost = (why: string) => {
    if (stream !== undefined && clock.now() - opened_ms >= SETTLED_MS) wait_ms = FIRST_WAIT_MS;
    stream = undefined;
    timer = clock.after(wait_ms, attempt);
    wait_ms = Math.min(wait_ms * 2, LONGEST_WAIT_MS);
    options.onLost(why);
  };
  const attempt = () => {
    options.open().then(
      (made) => {
        if (stopped) {
          made.close();
          return;
        }
        stream = made;
        opened_ms = clock.now();
        made.onClose((why) => {
          if (stream === made && !stopped) lost(why);
        });
        options.onOpen(made);
      },
      (error: unknown) => {
        if (!stopped) lost(error instanceof Error ? error.message : String(error));
      },
    );
  };
  attempt();
  return {
    reopen() {
      if (stream === undefined || stopped) return;
      stream.close();
      lost("it is being opened again");
    },
    stop() {
      stopped = true;
      timer?.cancel();
      stream?.close();
    },
  };
}
