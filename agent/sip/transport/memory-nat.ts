import type { Clock } from "../../base/clock.ts";
import type { Endpoint } from "./flow.ts";

interface Mapping {
  readonly inside: Endpoint;
  readonly port: number;
  used_ms: number;
}

/**
 * A NAT of the memory network, for UDP: each inside endpoint has one outside port, which is forgotten once nothing has
 * passed for a while; the next packet out gets another one.
 */
export class MemoryNat {
  readonly outside: string;
  readonly #clock: Clock;
  readonly #forgets_ms: number;
  readonly #mappings = new Map<string, Mapping>();
  #nextPort = 40_001;

  constructor(clock: Clock, outside: string, forgets_ms: number) {
    this.#clock = clock;
    this.outside = outside;
    this.#forgets_ms = forgets_ms;
  }

  /** Where a packet out seems to come from. */
  out(inside: Endpoint): Endpoint {
    const key = `${inside.address} ${inside.port}`;
    const known = this.#mappings.get(key);
    const mapping = known !== undefined && this.#lives(known) ? known : { inside, port: this.#nextPort++, used_ms: 0 };
    mapping.used_ms = this.#clock.now();
    this.#mappings.set(key, mapping);
    return { address: this.outside, port: mapping.port };
  }

  /** Whom a packet in is for; undefined when nobody is remembered there. */
  in(port: number): Endpoint | undefined {
    const mapping = [...this.#mappings.values()].find((each) => each.port === port && this.#lives(each));
    if (mapping === undefined) return undefined;
    mapping.used_ms = this.#clock.now();
    return mapping.inside;
  }

  /** As after it has lost its power. */
  forgetAll(): void {
    this.#mappings.clear();
  }

  #lives({ used_ms }: Mapping): boolean {
    return this.#clock.now() - used_ms <= this.#forgets_ms;
  }
}
