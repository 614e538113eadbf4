import { every, type Timer } from "../../base/clock.ts";
import {
  type HopFailure,
  type HopList,
  hopAnswered,
  hopFailed,
  inOrder,
  isBehind,
  NO_HOPS,
  relocated,
  sameHop,
} from "../../sip/locating/hop-list.ts";
import type { Hop } from "../../sip/locating/locate.ts";
import type { Flow, Protocol, TransportError } from "../../sip/transport/flow.ts";
import { canonicalAddress } from "../../sip/transport/ip-address.ts";
import type { Located, PeerName } from "../paths/resolver.ts";
import { lastResort } from "../tls-policies.ts";
import type { ConnectionPorts } from "./connection-ports.ts";
import { ReachableFlow } from "./reachable-flow.ts";
import { StreamBeside } from "./stream-beside.ts";
import { TrunkListeners } from "./trunk-listeners.ts";

/** Names are asked again so often; what was known before stays known. */
const RESOLVE_MS = 300_000;
const RETRY_MS = 5_000;
/** Reconnecting a standing TCP connection, doubled each time. */
const RECONNECT_MS = [500, 30_000] as const;
/** How often it is asked whether the server that DNS prefers is back. */
const PREFER_MS = 15_000;
/** Where the site leaves the choice and the name servers too. */
const ANY_TRANSPORT: readonly Protocol[] = ["tcp", "udp"];

/**
 * A trunk's sockets: local ports on the path's address, the peer's servers (RFC 3263), and the flow to the one in use, made
 * anew when lost, and to the next server when it fails.
 */
export class TrunkConnection {
  readonly #ports: ConnectionPorts;
  /** Servers of the peer; a request from another address is a stranger's. */
  #list: HopList = NO_HOPS;
  /** The server in use. */
  #hop: Hop | undefined;
  readonly #listeners: TrunkListeners;
  #opening: Promise<void> = Promise.resolve();
  #flow: Flow | undefined;
  /** The connection to a server that was left for a preferred one: what was begun over it comes back over it. */
  #left: Flow | undefined;
  #turn = 0;
  #reconnects = 0;
  #reconnect: Timer | undefined;
  #retry: Timer | undefined;
  /** Keeps the flow open for calls from outside. */
  readonly reachable: ReachableFlow;
  readonly #beside: StreamBeside;
  /** The last connection failed for a date in the peer's certificate alone. */
  #outdated = false;
  readonly #periodic: Timer[] = [];
  #closed = false;

  constructor(ports: ConnectionPorts) {
    this.#ports = ports;
    this.#listeners = new TrunkListeners(ports);
    this.#beside = new StreamBeside(ports);
    this.reachable = new ReachableFlow(ports);
  }

  start(): void {
    const { clock } = this.#ports;
    this.#periodic.push(
      every(clock, RESOLVE_MS, () => void this.#resolve()),
      every(clock, PREFER_MS, () => this.#preferAgain()),
    );
    this.follow();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of [...this.#periodic, this.#reconnect, this.#retry]) timer?.cancel();
    this.reachable.drop();
    this.#beside.fall();
    await this.#opening;
    for (const flow of [this.#flow, this.#left]) if (flow?.reliable) this.#ports.transport.close(flow);
    await this.#listeners.close();
  }

  get localAddress(): string | undefined {
    return this.#boundTo;
  }

  /** A TCP connection that was lost is made anew by asking for it: a call does not wait for the timer. */
  get flow(): Flow | undefined {
    if (this.#flow?.closed === true || (this.#flow === undefined && this.#ports.on_demand)) this.connect();
    return this.#flow;
  }

  /** Whether a message on this flow comes from the peer. */
  owns(flow: Flow): boolean {
    if (flow.id === this.#flow?.id || flow.id === this.#left?.id) return true;
    if (this.#beside.owns(flow) || flow.tls === lastResort(this.#ports.peer.tls)) return true;
    return this.#listeners.took(flow) && this.#list.hops.some(({ address }) => address === flow.remote.address);
  }

  get #boundTo(): string | undefined {
    return this.#listeners.boundTo;
  }

  /** Binds to the path's address, which may have changed. */
  follow(): void {
    if (this.#boundTo !== undefined && this.#ports.path.localAddress === this.#boundTo) return;
    this.#opening = this.#opening
      .then(() => this.#bind())
      .catch((error: unknown) => {
        this.#ports.log.error("trunk sockets", { error });
        this.#retryLater();
      });
  }

  /** Makes a flow to the server in use; the one there is, if it is that. */
  connect(): void {
    const hop = this.#hop ?? inOrder(this.#list, this.#ports.clock.now())[0];
    if (this.#closed || hop === undefined || this.#boundTo === undefined) return;
    this.#hop = hop;
    const before = this.#flow;
    this.#flow = this.#flowTo(hop);
    if (this.#flow === undefined || this.#flow.id === before?.id) return;
    this.reachable.keep(this.#flow);
    this.#ports.connected();
  }

  #flowTo({ transport: protocol, address, port }: Hop, policy = (name: string) => name): Flow | undefined {
    const { transport, peer, log } = this.#ports;
    if (this.#boundTo === undefined) return undefined;
    try {
      return transport.flowTo({
        protocol,
        address,
        port,
        local_address: this.#boundTo,
        // A listening TCP port cannot be connected from as well.
        ...(protocol === "udp" ? { local_port: peer.local_port } : {}),
        ...(protocol === "tls" ? { tls: policy(peer.tls) } : {}),
        ...(protocol === "udp" ? {} : { sent_by_port: peer.local_port }),
      });
    } catch (error) {
      log.warn("trunk may not be reached", { error });
      return undefined;
    }
  }

  /** The peer answers: the next loss is tried again quickly. */
  alive(): void {
    this.#reconnects = 0;
    this.#outdated = false;
    if (this.#hop === undefined) return;
    this.#list = hopAnswered(this.#list, this.#hop);
    const { transport, address, port } = this.#hop;
    if (transport !== "udp" || this.#boundTo === undefined) this.#beside.fall();
    else {
      const sent_by_port = this.#ports.peer.local_port;
      this.#beside.stand({ protocol: "tcp", address, port, local_address: this.#boundTo, sent_by_port });
    }
  }

  get lastResort(): Flow | undefined {
    return this.#outdated && this.#hop?.transport === "tls" ? this.#flowTo(this.#hop, lastResort) : undefined;
  }

  /** Beside the UDP flow in use: where to send what is too large for a datagram, if the peer takes it. */
  get stream(): Flow | undefined {
    return this.#flow?.reliable === false ? this.#beside.flow : undefined;
  }

  /** The same for whoever has nothing but the flow. */
  streamBeside(flow: Flow): Flow | undefined {
    return flow.id === this.#flow?.id ? this.stream : undefined;
  }

  /** What was overlooked of the peer's certificate because the clock cannot be trusted. */
  get overlooked(): string | undefined {
    return this.#flow?.peer?.overlooked;
  }

  /** What the server in use is spoken to in. */
  get protocol(): Protocol | undefined {
    return this.#hop?.transport;
  }

  /** More than one server is known. */
  get hasChoice(): boolean {
    return this.#list.hops.length > 1;
  }

  /** The server in use does not answer: the next one, if there is another. False when there is none. */
  tryNext(): boolean {
    const { clock } = this.#ports;
    if (this.#hop === undefined || !this.hasChoice) return false;
    this.#list = hopFailed(this.#list, this.#hop, clock.now());
    this.#use(inOrder(this.#list, clock.now()).find((hop) => this.#hop === undefined || !sameHop(hop, this.#hop)));
    return true;
  }

  /**
   * Where to repeat a request that failed on the last of `tried` (RFC 3263 §4.3); undefined when every server has been
   * tried. One that refuses or cannot be reached stands behind the others from now on.
   */
  alternative(tried: readonly Flow[], failure: HopFailure): Flow | undefined {
    const { clock } = this.#ports;
    const failed = tried.at(-1);
    const hop = failed === undefined ? undefined : this.#hopOf(failed);
    if (hop === undefined) return undefined;
    if (failure.kind !== "silent") {
      this.#list = hopFailed(
        this.#list,
        hop,
        clock.now(),
        failure.kind === "refused" ? failure.retry_after_s : undefined,
      );
    }
    const known = tried.flatMap((flow) => this.#hopOf(flow) ?? []);
    const next = inOrder(this.#list, clock.now()).find((each) => !known.some((other) => sameHop(each, other)));
    if (next === undefined) return undefined;
    if (failure.kind !== "silent" && this.#hop !== undefined && sameHop(this.#hop, hop)) this.#use(next);
    return this.#flowTo(next);
  }

  /** The flow to the server with this address, so that a dialog stays with the one that it was made with. */
  towards(address: string): Flow | undefined {
    const canonical = canonicalAddress(address);
    if (canonical === undefined || this.#hop === undefined || this.#hop.address === canonical) return undefined;
    const hop = this.#list.hops.find((each) => each.address === canonical);
    return hop === undefined || isBehind(this.#list, hop, this.#ports.clock.now()) ? undefined : this.#flowTo(hop);
  }

  #hopOf(flow: Flow): Hop | undefined {
    const { address, port } = flow.remote;
    return this.#list.hops.find(
      (hop) => hop.address === address && hop.port === port && hop.transport === flow.protocol,
    );
  }

  #use(hop: Hop | undefined): void {
    if (hop === undefined || (this.#hop !== undefined && sameHop(hop, this.#hop))) return;
    this.#ports.log.info("trunk goes to another server", { from: this.#hop?.address, to: hop.address });
    this.#drop();
    this.#hop = hop;
    this.connect();
  }

  /** The server in use is good, and another is preferred: a connection of calls is left open, not cut. */
  #leaveFor(hop: Hop): void {
    const left = this.#flow;
    this.#flow = undefined;
    this.#use(hop);
    if (left?.reliable !== true || left.closed || left.id === this.flow?.id) return;
    if (this.#left !== undefined && !this.#left.closed) this.#ports.transport.close(this.#left);
    this.#left = left;
  }

  /** Where none answers, whoever is back first is found by asking each of the others, however often it failed. */
  #nextInTurn(): Hop | undefined {
    const others = this.#list.hops.filter((hop) => this.#hop === undefined || !sameHop(hop, this.#hop));
    return others[this.#turn++ % others.length];
  }

  /** A server that works or is preferred by DNS is looked for: it is asked, and used once it answers. */
  #preferAgain(): void {
    const { clock, path, ask, mayReturn, isDown } = this.#ports;
    const preferred = isDown() ? this.#nextInTurn() : inOrder(this.#list, clock.now())[0];
    if (preferred === undefined || this.#hop === undefined || sameHop(preferred, this.#hop)) return;
    if (path.health.state === "down" || !(isDown() || mayReturn())) return;
    const flow = this.#flowTo(preferred);
    if (flow === undefined) return;
    ask(flow, (alive) => {
      if (this.#closed) return;
      if (alive) {
        this.#list = hopAnswered(this.#list, preferred);
        if (isDown() || mayReturn()) this.#leaveFor(preferred);
      } else this.#list = hopFailed(this.#list, preferred, clock.now());
    });
  }

  /**
   * The peer is down. A connection into a black hole waits ever longer before it tries again, so the next one must be
   * new; and the next server of the name is tried first.
   */
  giveUp(): void {
    if (this.tryNext()) return;
    if (this.#flow?.reliable !== true) {
      this.connect();
      return;
    }
    this.#drop();
    this.#reconnectIn(RETRY_MS);
  }

  flowClosed(flow: Flow, error: TransportError | undefined): void {
    this.#beside.flowClosed(flow);
    if (this.#closed || this.#flow === undefined || flow.id !== this.#flow.id) return;
    this.#ports.lost();
    if (error !== undefined) this.#outdated = error.code === "ECERTDATE";
    if (error !== undefined) this.#ports.failed(flow.protocol, error);
    if (this.#ports.on_demand) return;
    // A server that was never reached, or no longer is: another may be, and nobody need wait for that.
    if (error !== undefined && this.#hop !== undefined && this.hasChoice) {
      const next = inOrder(this.#list, this.#ports.clock.now()).find(
        (hop) => this.#hop !== undefined && !sameHop(hop, this.#hop),
      );
      if (next !== undefined && !isBehind(this.#list, next, this.#ports.clock.now())) {
        this.tryNext();
        return;
      }
    }
    const [first, most] = RECONNECT_MS;
    this.#reconnectIn(Math.min(most, first * 2 ** Math.min(this.#reconnects, 10)));
    this.#reconnects++;
  }

  async #bind(): Promise<void> {
    const address = this.#ports.path.localAddress;
    if (this.#closed || (address !== undefined && address === this.#boundTo)) return;
    const bound = this.#listeners.move(address);
    this.#drop();
    if (await bound) await this.#resolve();
    else if (address !== undefined) this.#retryLater();
  }

  #retryLater(): void {
    this.#retry?.cancel();
    this.#retry = this.#ports.clock.after(RETRY_MS, () => {
      if (this.#closed) return;
      if (this.#boundTo === undefined) this.follow();
      else void this.#resolve();
    });
  }

  async #resolve(): Promise<void> {
    const { path } = this.#ports;
    if (this.#boundTo === undefined) return;
    const sought = this.#sought;
    // What is remembered serves at once: the name servers may be dead, and a call does not wait for them.
    if (this.#list.hops.length === 0) this.#located(path.known(sought));
    this.#located(await path.locate(sought));
    if (!this.#closed && this.#list.hops.length === 0) this.#retryLater();
  }

  get #sought(): PeerName {
    const { host, port, transport, offers_tls } = this.#ports.peer;
    const chosen = transport === "auto" ? undefined : transport;
    const any: readonly Protocol[] = offers_tls ? ["tls", ...ANY_TRANSPORT] : ANY_TRANSPORT;
    return { host, port, transport: chosen, secure: false, supported: chosen === undefined ? any : [chosen] };
  }

  #located({ hops, stale_since_wall }: Located): void {
    if (this.#closed || hops.length === 0) return;
    const { peer } = this.#ports;
    this.#list = relocated(this.#list, hops);
    if (canonicalAddress(peer.host) === undefined) this.#tell(hops, stale_since_wall);
    const hop = this.#hop;
    // The server in use is kept while the name still has it; and no longer named, until one that is answers: DNS may lie.
    if (hop !== undefined && !hops.some((each) => sameHop(each, hop)) && this.#flow?.closed === false)
      this.#preferAgain();
    else if (this.#flow === undefined && this.#ports.on_demand !== true) this.connect();
  }

  #tell(hops: readonly Hop[], stale_since_wall: number | undefined): void {
    const { clock, named, peer } = this.#ports;
    if (stale_since_wall === undefined) {
      named("good", `${peer.host} is ${hops.map(({ address }) => address).join(", ")}`);
      return;
    }
    const since_min = Math.round((clock.wall() - stale_since_wall) / 60_000);
    named("bad", `name servers do not tell of ${peer.host}: using what they said ${since_min} min ago`);
  }

  #reconnectIn(longest_ms: number): void {
    const { clock, random } = this.#ports;
    this.#reconnect?.cancel();
    this.#reconnect = clock.after(longest_ms * (0.5 + 0.5 * random()), () => {
      if (this.#flow === undefined || this.#flow.closed) this.connect();
    });
  }

  #drop(): void {
    const flow = this.#flow;
    this.#flow = undefined;
    this.reachable.drop();
    this.#ports.lost();
    this.#beside.fall();
    if (flow?.reliable === true && !flow.closed) this.#ports.transport.close(flow);
  }
}
