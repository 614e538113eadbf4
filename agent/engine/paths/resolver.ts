import { randomInt } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import type { KnownName } from "../../base/snapshot.ts";
import { answered, type Hop, type Locating, locate, questionsOf, type Sought } from "../../sip/locating/locate.ts";
import type { Answer, Question, Records } from "../../sip/locating/records.ts";
import { ipFamily } from "../../sip/transport/ip-address.ts";
import { answersQuestion, type DnsReading, encodeQuestion, readAnswer } from "./dns-answer.ts";
import { type AskServer, askOver, systemServers } from "./dns-client.ts";
import { NameCache } from "./name-cache.ts";

export interface ResolverPorts {
  readonly clock: Clock;
  /** Addresses, or `address:port` for IPv4. None: those of the system. */
  readonly servers: readonly string[];
  readonly random: () => number;
  /** Replaced in tests. */
  readonly ask?: AskServer;
}

/** A peer by the name that the site file has for it. */
export type PeerName = Omit<Sought, "families">;

/** Servers in the order in which they are to be tried. Empty when nothing is known. */
export interface Located {
  readonly hops: readonly Hop[];
  /** Some of it was learned before and could not be asked again: since when (wall ms). Undefined: all is fresh. */
  readonly stale_since_wall: number | undefined;
}

interface Looked {
  readonly answer: Answer;
  readonly stale_since_wall: number | undefined;
}

const SERVERS_MAX = 3;
/** A server that is silent so long has the next one asked beside it; all of them have this long in two rounds. */
const NEXT_SERVER_MS = 500;
const QUERY_TIMEOUT_MS = 1_500;
const ROUNDS = 2;
const UNDER_WAY_MAX = 64;
/** Servers of which none has answered are left alone for so long. */
const SILENT_MS = 5_000;

/** Names resolved on one path only, by its own servers, with what was learned kept for when DNS is dead. */
export class PathResolver {
  readonly #ports: ResolverPorts;
  readonly #ask: AskServer;
  readonly #cache = new NameCache();
  readonly #running = new Map<string, Promise<DnsReading>>();
  readonly #silentUntil_ms = new Map<Question["type"], number>();

  constructor(ports: ResolverPorts) {
    this.#ports = ports;
    this.#ask = ports.ask ?? askOver(ports.clock);
  }

  /**
   * The servers of a SIP name (RFC 3263), asked from `localAddress`. Where the name servers are dead or say that a name
   * has gone, what was learned before is used. Never rejects.
   */
  async locate(peer: PeerName, localAddress: string | undefined): Promise<Located> {
    const sought = soughtFrom(peer, localAddress);
    let locating: Locating = locate(sought);
    let stale_since_wall: number | undefined;
    while (locating.phase !== "located") {
      const looked = await Promise.all(questionsOf(locating).map((question) => this.#look(question, localAddress)));
      stale_since_wall = oldest(stale_since_wall, looked);
      locating = this.#next(locating, looked);
    }
    // Name servers of a dead uplink may say that a name does not exist: what it once was is better than nothing.
    return locating.hops.length > 0 ? { hops: locating.hops, stale_since_wall } : this.known(peer, localAddress);
  }

  /** From memory alone, however old. */
  known(peer: PeerName, localAddress: string | undefined): Located {
    let locating: Locating = locate(soughtFrom(peer, localAddress));
    let stale_since_wall: number | undefined;
    while (locating.phase !== "located") {
      const looked = questionsOf(locating).map((question) => this.#lastGood(question));
      stale_since_wall = oldest(stale_since_wall, looked);
      locating = this.#next(locating, looked);
    }
    return { hops: locating.hops, stale_since_wall };
  }

  /** Asks again at the next use, as after an address change. Answers are kept as a last resort. */
  expire(): void {
    this.#silentUntil_ms.clear();
    this.#cache.expire();
  }

  remembered(): readonly KnownName[] {
    return this.#cache.remembered(this.#ports.clock.wall());
  }

  restore(known: readonly KnownName[]): void {
    this.#cache.restore(known, this.#ports.clock.wall());
  }

  #next(locating: Locating, looked: readonly Looked[]): Locating {
    return answered(
      locating,
      looked.map(({ answer }) => answer),
      this.#ports.random,
    );
  }

  async #look(question: Question, localAddress: string | undefined): Promise<Looked> {
    const { clock } = this.#ports;
    const fresh = this.#cache.fresh(question, clock.now());
    if (fresh !== undefined) return lookedAt(question, fresh.records, undefined);
    const reading = await this.#question(question, localAddress);
    const now = { ms: clock.now(), wall: clock.wall() };
    switch (reading.kind) {
      case "found":
        this.#cache.found(question, reading.records, reading.ttl_s, now);
        return lookedAt(question, reading.records, undefined);
      case "none":
        this.#cache.none(question, reading.ttl_s, now.ms);
        return lookedAt(question, undefined, undefined);
      default:
        return this.#lastGood(question);
    }
  }

  /** The last records found, however old. */
  #lastGood(question: Question): Looked {
    const known = this.#cache.lastFound(question);
    return lookedAt(question, known?.records, known?.learned_wall);
  }

  /** Once a name is asked by many, its servers are asked once; once all of them are silent, nobody waits for the next name. */
  async #question(question: Question, localAddress: string | undefined): Promise<DnsReading> {
    const key = `${question.type} ${question.name}`;
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    // By type: there are name servers that drop the questions they do not know, and answer others.
    if (this.#ports.clock.now() < (this.#silentUntil_ms.get(question.type) ?? 0))
      return { kind: "failed", detail: "no name server answers" };
    if (this.#running.size >= UNDER_WAY_MAX) return { kind: "failed", detail: "too many questions at once" };
    const asked = this.#askAll(question, localAddress);
    this.#running.set(key, asked);
    try {
      return await asked;
    } finally {
      this.#running.delete(key);
    }
  }

  /** The first server that can say. One that is slow does not hold up the next. */
  async #askAll(question: Question, localAddress: string | undefined): Promise<DnsReading> {
    const { clock } = this.#ports;
    const named = this.#ports.servers.length > 0 ? this.#ports.servers : systemServers();
    const servers = named.slice(0, SERVERS_MAX);
    if (servers.length === 0) return { kind: "failed", detail: "no name server" };
    return new Promise((resolve) => {
      let open = servers.length * ROUNDS;
      let failed: DnsReading = { kind: "failed", detail: "no name server answers" };
      let over = false;
      let unheard = 0;
      const done = (reading: DnsReading) => {
        open--;
        if (reading.kind === "failed" && reading.silent === true) unheard++;
        if (over) return;
        if (reading.kind === "failed" || reading.kind === "truncated") {
          if (reading.kind === "failed") failed = reading;
          if (open > 0) return;
        }
        over = true;
        if (unheard === servers.length * ROUNDS) this.#silentUntil_ms.set(question.type, clock.now() + SILENT_MS);
        for (const timer of timers) timer.cancel();
        resolve(reading.kind === "truncated" ? failed : reading);
      };
      const timers = Array.from({ length: servers.length * ROUNDS }, (_, i) =>
        clock.after(i * NEXT_SERVER_MS, () => {
          const server = servers[i % servers.length] ?? "";
          void this.#askOne(question, server, localAddress).then(done);
        }),
      );
    });
  }

  async #askOne(question: Question, server: string, localAddress: string | undefined): Promise<DnsReading> {
    for (const protocol of ["udp", "tcp"] as const) {
      const id = randomInt(1, 65_536);
      const bytes = await this.#ask({
        bytes: encodeQuestion(id, question),
        server,
        protocol,
        local_address: localAddress,
        timeout_ms: QUERY_TIMEOUT_MS,
        matches: (candidate) => answersQuestion(candidate, id, question),
      });
      if (bytes === undefined) return { kind: "failed", detail: `${server} does not answer`, silent: true };
      const reading = readAnswer(bytes, question);
      if (reading.kind !== "truncated") return reading;
    }
    return { kind: "failed", detail: `${server} cuts its answer over TCP too` };
  }
}

function soughtFrom(peer: PeerName, localAddress: string | undefined): Sought {
  const host = peer.host.toLowerCase() === "localhost" ? "127.0.0.1" : peer.host;
  const family = localAddress === undefined ? undefined : ipFamily(localAddress);
  return { ...peer, host, families: family === undefined ? [4, 6] : [family] };
}

function oldest(before: number | undefined, looked: readonly Looked[]): number | undefined {
  const all = [before, ...looked.map(({ stale_since_wall }) => stale_since_wall)].filter((wall) => wall !== undefined);
  return all.length === 0 ? undefined : Math.min(...all);
}

function lookedAt(question: Question, records: Records | undefined, stale_since_wall: number | undefined): Looked {
  return { answer: { question, records: records ?? emptyOf(question.type) }, stale_since_wall };
}

function emptyOf(type: Question["type"]): Records {
  if (type === "NAPTR") return { type, naptr: [] };
  if (type === "SRV") return { type, srv: [] };
  return { type, addresses: [] };
}
