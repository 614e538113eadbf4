import { randomInt } from "node:crypto";
import { type Answer, encode, type Packet, type Question, RECURSION_AVAILABLE, RECURSION_DESIRED } from "dns-packet";
import type { Clock, Timer } from "../../base/clock.ts";
import type { LanConfig, SiteConfig } from "../../base/config/schema.ts";
import type { Mode } from "../../base/events.ts";
import type { Log } from "../../base/log.ts";
import { ipFamily } from "../../sip/transport/ip-address.ts";
import { answersQuestion, readPacket } from "../paths/dns-answer.ts";
import { type AskServer, askOver } from "../paths/dns-client.ts";
import type { Path, Paths } from "../paths/path.ts";
import { cloudNameIn, decide, mayAsk, type OwnNames } from "./answers.ts";
import { type DnsServer, openDnsServer, type Reply } from "./dns-sockets.ts";

export interface NamesContext {
  readonly config: SiteConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly paths: Paths;
  mode(): Mode;
  /** Replaced in tests. */
  readonly ask?: AskServer;
}

export interface NamesCounters {
  own: number;
  forwarded: number;
  failed: number;
  refused: number;
  dropped: number;
}

/** A phone asks again after two or three seconds. */
const FORWARD_TIMEOUT_MS = 1_500;
/** A server that is silent so long has the next one asked beside it. */
const NEXT_SERVER_MS = 300;
const MAX_FORWARDING = 256;
const QUERY_BYTES = 1_024;
/** So that phones that were told of the cloud ask again soon after it is gone. Seconds. */
const CLOUD_TTL_S = 60;
const AGAIN_MS = 5_000;
/** Classic limit of a UDP answer; longer ones are cut, and the client comes back over TCP. */
const UDP_BYTES = 512;
const UDP_BYTES_EDNS = 1_232;

/**
 * The box's DNS for phones: its own names from memory, so that phones find it when the site's router is dead; the cloud
 * PBX's names as the WAN's servers have them, and as the box itself when the cloud is away or nobody can say; other names from
 * the WAN's servers while they answer, else SERVFAIL, which lets a phone try its next server. Questions from elsewhere than
 * the LAN are dropped.
 */
export class Names {
  readonly #context: NamesContext;
  readonly #ask: AskServer;
  readonly #servers: DnsServer[] = [];
  readonly #again: Timer[] = [];
  #forwarding = 0;
  #closed = false;
  readonly counters: NamesCounters = { own: 0, forwarded: 0, failed: 0, refused: 0, dropped: 0 };

  constructor(context: NamesContext) {
    this.#context = context;
    this.#ask = context.ask ?? askOver(context.clock);
  }

  /** Serves every LAN that names a DNS port. One whose address or port cannot be had yet is tried again. */
  async start(): Promise<void> {
    const serving = this.#context.config.lans.map(async (lan) => {
      if (lan.dns_port !== undefined) await this.#serve(lan, lan.dns_port);
    });
    await Promise.all(serving);
  }

  async #serve(lan: LanConfig, port: number): Promise<void> {
    const { config, clock, log } = this.#context;
    const names = config.box.sip_names.map((name) => name.toLowerCase());
    const own = { names, address: lan.address, sip_port: lan.sip_port, tls_port: lan.tls?.port };
    const admits = (source: string) => mayAsk(source, lan.subnets);
    try {
      const server = await openDnsServer(clock, lan.address, port, {
        admits,
        query: (bytes, source, protocol, reply) => {
          if (admits(source)) this.#query(bytes, own, protocol, reply);
          else this.counters.dropped++;
        },
      });
      if (this.#closed) await server.close();
      else this.#servers.push(server);
    } catch (error) {
      if (this.#closed) return;
      log.warn("the box's DNS cannot be served yet", { lan: lan.id, error });
      this.#again.push(clock.after(AGAIN_MS, () => void this.#serve(lan, port)));
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#again) timer.cancel();
    await Promise.all(this.#servers.splice(0).map((server) => server.close()));
  }

  /** Ports in use, in the order of the LANs. */
  get ports(): readonly number[] {
    return this.#servers.map((server) => server.port);
  }

  #query(bytes: Uint8Array, own: OwnNames, protocol: "udp" | "tcp", reply: Reply): void {
    const query = readPacket(bytes, QUERY_BYTES);
    if (query === undefined) {
      this.counters.dropped++;
      return;
    }
    const limit = protocol === "tcp" ? 65_535 : largestUdp(query);
    const decision = decide(query, own);
    switch (decision.kind) {
      case "drop":
        this.counters.dropped++;
        return;
      case "refuse":
        this.counters.refused++;
        respond(query, { rcode: decision.rcode }, limit, reply);
        return;
      case "own":
        this.#answer(query, decision.answers, limit, reply);
        return;
      case "forward": {
        const cloud = cloudNameIn(decision.question.name, this.#cloudNames);
        const here = cloud === undefined ? undefined : decide(query, { ...own, names: [cloud] });
        const answers = here?.kind === "own" ? here.answers : undefined;
        const away = answers !== undefined && this.#context.mode() !== "normal";
        if (away) this.#answer(query, answers, limit, reply);
        else void this.#forward(query, decision.question, limit, reply, answers);
      }
    }
  }

  #answer(query: Packet, answers: readonly Answer[], limit: number, reply: Reply): void {
    this.counters.own++;
    respond(query, { rcode: "NOERROR", authoritative: true, answers }, limit, reply);
  }

  get #cloudNames(): readonly string[] {
    const names = this.#context.config.pbx_targets.flatMap(({ domain, host }) => [domain, host]);
    return [...new Set(names.map((name) => name.toLowerCase()))].filter((name) => ipFamily(name) === undefined);
  }

  /** `otherwise`: what the box says when nobody else can. */
  async #forward(
    query: Packet,
    question: Question,
    limit: number,
    reply: Reply,
    otherwise: readonly Answer[] | undefined,
  ): Promise<void> {
    if (this.#forwarding >= MAX_FORWARDING) {
      this.counters.dropped++;
      return;
    }
    this.#forwarding++;
    try {
      for (const path of this.#waysOut()) {
        const answer = await this.#askPath(path, question);
        if (answer === undefined) continue;
        const rcode = rcodeOf(answer);
        // The cloud's own name exists: whoever denies it is in no state to tell.
        if (rcode === "NXDOMAIN" && this.#cloudNames.includes(bareName(question.name))) continue;
        this.counters.forwarded++;
        const all = answer.answers ?? [];
        const answers = otherwise === undefined ? all : all.map(shortLived);
        respond(query, { rcode, answers, authorities: answer.authorities ?? [] }, limit, reply);
        return;
      }
      if (otherwise !== undefined) {
        this.#answer(query, otherwise, limit, reply);
        return;
      }
      this.counters.failed++;
      respond(query, { rcode: "SERVFAIL" }, limit, reply);
    } finally {
      this.#forwarding--;
    }
  }

  /** Names of the world are asked over WAN only: cellular data is for calls. */
  #waysOut(): readonly Path[] {
    return this.#context.paths.all().filter((path) => path.kind === "wan" && path.health.state !== "down");
  }

  /** The first of a path's servers that can say. One that is silent does not hold up the next. */
  #askPath(path: Path, question: Question): Promise<Packet | undefined> {
    const { config, clock } = this.#context;
    const servers = (config.paths.find((each) => each.id === path.id)?.dns_servers ?? []).slice(0, 2);
    return new Promise((resolve) => {
      let open = servers.length;
      if (open === 0) resolve(undefined);
      const timers = servers.map((server, i) =>
        clock.after(i * NEXT_SERVER_MS, () => {
          void this.#askServer(server, path, question).then((packet) => {
            open--;
            if (packet === undefined && open > 0) return;
            for (const timer of timers) timer.cancel();
            resolve(packet);
          });
        }),
      );
    });
  }

  /** Undefined from a server that fails or refuses: that says nothing about the name, nor about the next server. */
  async #askServer(server: string, path: Path, question: Question): Promise<Packet | undefined> {
    const id = randomInt(1, 65_536);
    const answer = await this.#ask({
      bytes: encode({ type: "query", id, flags: RECURSION_DESIRED, questions: [question] }),
      server,
      protocol: "udp",
      local_address: path.localAddress,
      timeout_ms: FORWARD_TIMEOUT_MS,
      matches: (candidate) => answersQuestion(candidate, id, question),
    });
    const packet = answer === undefined ? undefined : readPacket(answer);
    return packet !== undefined && SAYS_SOMETHING.has(rcodeOf(packet)) ? packet : undefined;
  }
}

const SAYS_SOMETHING: ReadonlySet<string> = new Set(["NOERROR", "NXDOMAIN"]);

const rcodeOf = (packet: Packet): string => (packet as { readonly rcode?: string }).rcode ?? "NOERROR";

const bareName = (name: string): string => name.toLowerCase().replace(/\.$/, "");

function shortLived(answer: Answer): Answer {
  return "ttl" in answer && answer.ttl !== undefined ? { ...answer, ttl: Math.min(answer.ttl, CLOUD_TTL_S) } : answer;
}

function largestUdp(query: Packet): number {
  const edns = query.additionals?.find((record) => record.type === "OPT");
  if (edns?.type !== "OPT") return UDP_BYTES;
  return Math.min(Math.max(edns.udpPayloadSize, UDP_BYTES), UDP_BYTES_EDNS);
}

const RCODES: Readonly<Record<string, number>> = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
};
const AUTHORITATIVE = 0x0400;
const TRUNCATED = 0x0200;

interface ResponseParts {
  readonly rcode: string;
  readonly authoritative?: boolean;
  readonly answers?: readonly NonNullable<Packet["answers"]>[number][];
  readonly authorities?: readonly NonNullable<Packet["authorities"]>[number][];
}

function respond(query: Packet, parts: ResponseParts, limit: number, reply: Reply): void {
  const desired = (query.flags ?? 0) & RECURSION_DESIRED;
  const flags = desired | RECURSION_AVAILABLE | (parts.authoritative === true ? AUTHORITATIVE : 0);
  const head = { type: "response" as const, id: query.id ?? 0, questions: query.questions ?? [] };
  const code = RCODES[parts.rcode] ?? 2;
  try {
    const full = encode({
      ...head,
      flags: flags | code,
      answers: [...(parts.answers ?? [])],
      authorities: [...(parts.authorities ?? [])],
    });
    reply(full.length <= limit ? full : encode({ ...head, flags: flags | code | TRUNCATED }));
  } catch {
    // An upstream record that our library reads but cannot write.
    reply(encode({ ...head, flags: flags | 2 }));
  }
}
