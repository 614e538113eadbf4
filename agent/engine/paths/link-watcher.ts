import { type Clock, every, type Timer } from "../../base/clock.ts";
import { isLoopback } from "../../sip/transport/ip-address.ts";
import type { IpCommand } from "./ip-command.ts";
import { type LinkFacts, readLink, readNeighbour, readRoute, UNKNOWN_FACTS } from "./link-facts.ts";

/** What to look at for one path. */
export interface LinkTarget {
  readonly interface: string | undefined;
  /** The configured local address; else the interface's first. */
  readonly address: string | undefined;
  readonly gateway: string | undefined;
  /** Places beyond the gateway that this path must have a route to; the first of the address's family is asked for. */
  readonly destinations: readonly string[];
}

/** Somewhere no packet is ever sent: documentation networks (RFC 5737, RFC 3849), looked up only. */
const NOWHERE = { v4: "192.0.2.1", v6: "2001:db8::1" } as const;

/** Events may be lost; state is read again so often anyway. */
const REREAD_MS = 5_000;

/**
 * Keeps the facts about one path's link. Every event of the kernel is only a reason to read the state again; reads that
 * overlap are joined. Without an interface, or for a loopback address (practice), there is nothing to know.
 */
export class LinkWatcher {
  readonly #target: LinkTarget;
  readonly #ip: IpCommand;
  readonly #onFacts: (facts: LinkFacts) => void;
  readonly #timer: Timer | undefined;
  #reading = false;
  #again = false;
  #closed = false;

  constructor(clock: Clock, ip: IpCommand, target: LinkTarget, onFacts: (facts: LinkFacts) => void) {
    this.#target = target;
    this.#ip = ip;
    this.#onFacts = onFacts;
    if (!this.watches) return;
    ip.onChange(() => this.read());
    this.#timer = every(clock, REREAD_MS, () => this.read());
  }

  get watches(): boolean {
    const { interface: name, address } = this.#target;
    return name !== undefined && !(address !== undefined && isLoopback(address));
  }

  /** Reads now. The facts come by the listener. */
  read(): void {
    if (this.#closed || !this.watches) return;
    if (this.#reading) {
      this.#again = true;
      return;
    }
    this.#reading = true;
    void this.#read().then((facts) => {
      this.#reading = false;
      if (this.#closed) return;
      this.#onFacts(facts);
      if (!this.#again) return;
      this.#again = false;
      this.read();
    });
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  async #read(): Promise<LinkFacts> {
    const { interface: name, address, destinations } = this.#target;
    if (name === undefined) return UNKNOWN_FACTS;
    // All questions are written at once: the configured address lets the route be asked before the answer is known.
    const linkAsked = this.#ip.ask(`addr show dev ${name}`);
    const neighboursAsked = this.#ip.ask(`neigh show dev ${name}`);
    const early = address === undefined ? undefined : this.#ip.ask(routeQuestion(destinations, address));
    const link = readLink(await linkAsked);
    const local = address ?? link.addresses[0]?.address;
    if (link.present !== true || local === undefined) return { ...UNKNOWN_FACTS, ...link };
    const route = readRoute(await (early ?? this.#ip.ask(routeQuestion(destinations, local))), name);
    const gateway = this.#target.gateway ?? route.gateway;
    const neighbour = gateway === undefined ? undefined : readNeighbour(await neighboursAsked, gateway);
    return { ...link, ...route, gateway, neighbour };
  }
}

function routeQuestion(destinations: readonly string[], from: string): string {
  const v6 = from.includes(":");
  const to = destinations.find((destination) => destination.includes(":") === v6) ?? (v6 ? NOWHERE.v6 : NOWHERE.v4);
  return `route get ${to} from ${from}`;
}

/** Judges facts: can a packet leave by this link? Undefined when it cannot be known. */
export function judgeLink(
  facts: LinkFacts,
  address: string | undefined,
): { readonly source: string; readonly usable: boolean | undefined; readonly detail: string } {
  if (facts.present === undefined) return { source: "link", usable: undefined, detail: "the link cannot be read" };
  if (!facts.present) return { source: "carrier", usable: false, detail: "the interface does not exist" };
  if (facts.carrier === false) return { source: "carrier", usable: false, detail: "no carrier" };
  const own = address ?? facts.addresses[0]?.address;
  if (own === undefined || !facts.addresses.some((entry) => entry.address === own)) {
    return { source: "address", usable: false, detail: own === undefined ? "no address" : `${own} is not there` };
  }
  if (facts.route === false) return { source: "route", usable: false, detail: `no route: ${facts.route_detail}` };
  return { source: "carrier", usable: true, detail: `link up, address ${own}` };
}
