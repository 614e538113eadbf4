import type { Clock } from "../../base/clock.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import { BINDINGS_MAX } from "./binding-store.ts";

/** A request to a phone that came to nothing. */
export interface Unreached {
  readonly detail: string;
  readonly at_wall: number;
}

type Remote = Pick<Flow, "protocol" | "remote">;

/** Phones that did not answer what was sent to them, seen in passing; until anything is heard from there again. */
export class Reach {
  readonly #clock: Clock;
  readonly #unreached = new Map<string, Unreached>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  heard(flow: Remote): void {
    if (this.#unreached.size > 0) this.#unreached.delete(keyOf(flow));
  }

  failed(flow: Remote, detail: string): void {
    const key = keyOf(flow);
    if (this.#unreached.has(key) || this.#unreached.size >= BINDINGS_MAX) return;
    this.#unreached.set(key, { detail, at_wall: this.#clock.wall() });
  }

  of(flow: Remote): Unreached | undefined {
    return this.#unreached.get(keyOf(flow));
  }

  /** Drops what `knows` says no to: the flows of phones that are gone. */
  keepOnly(knows: (address: string, port: number) => boolean): void {
    for (const key of this.#unreached.keys()) {
      const [, address = "", port] = key.split(" ");
      if (!knows(address, Number(port))) this.#unreached.delete(key);
    }
  }
}

const keyOf = ({ protocol, remote }: Remote) => `${protocol} ${remote.address} ${remote.port}`;
