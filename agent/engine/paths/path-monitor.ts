import { type Clock, every, type Timer } from "../../base/clock.ts";
import type { PathConfig } from "../../base/config/schema.ts";
import type { Evidence, HealthState } from "../../base/events.ts";
import { Runner } from "../../base/fsm.ts";
import type { Log } from "../../base/log.ts";
import type { KnownName } from "../../base/snapshot.ts";
import type { PathStatus } from "../../base/status.ts";
import { isLoopback } from "../../sip/transport/ip-address.ts";
import type { OpenProbeSocket } from "./datagram-socket.ts";
import { deadline } from "./deadline.ts";
import type { IpCommand } from "./ip-command.ts";
import type { LinkFacts } from "./link-facts.ts";
import { judgeLink, LinkWatcher } from "./link-watcher.ts";
import type { MediaQuality } from "./media-quality.ts";
import type { Health, Path } from "./path.ts";
import { PathProbes } from "./path-probes.ts";
import type { Located, PathResolver, PeerName } from "./resolver.ts";
import type { TryCanary } from "./tcp-canary.ts";
import {
  initialVerdict,
  type Verdict,
  type VerdictEffect,
  type VerdictInput,
  type VerdictRules,
  type VerdictTimer,
  verdictMachine,
} from "./verdict.ts";

export interface PathPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly ip: IpCommand;
  readonly openSocket: OpenProbeSocket;
  readonly tryCanary: TryCanary;
  readonly random: () => number;
}

/** What trunks tell their path in passing, and what the path asks of them. */
export interface Testimony {
  /** A SIP peer beyond this path answered something sent at `sent_ms`. */
  heard(witness: string, source: string, sent_ms: number, detail: string): void;
  /** It did not answer in time. */
  unanswered(witness: string, source: string, sent_ms: number, detail: string): void;
  /** The kernel refused to send: read the link again now. */
  recheck(): void;
  /** The path is in doubt: ask your peer now. */
  onDoubt(listener: (urgent: boolean, reason: string) => void): void;
}

/** An answer later than this had been asked for more than once, and says nothing of the round trip. */
const SLOWEST_PEER_MS = 1_000;

export class PathMonitor implements Path, Testimony {
  readonly id: string;
  readonly kind: PathConfig["kind"];
  readonly #config: PathConfig;
  readonly #clock: Clock;
  readonly #resolver: PathResolver;
  readonly #runner: Runner<Verdict, VerdictInput, VerdictEffect>;
  readonly #watcher: LinkWatcher;
  readonly #probes: PathProbes;
  readonly #timers = new Map<VerdictTimer, Timer>();
  readonly #doubt: ((urgent: boolean, reason: string) => void)[] = [];
  readonly #onChange: (path: PathMonitor, from: HealthState | undefined) => void;
  readonly #log: Log;
  #quality: Timer | undefined;
  #localAddress: string | undefined;
  #peerRtt: number | undefined;
  #media: MediaQuality = { loss_percent: undefined, dead: undefined };

  constructor(
    config: PathConfig,
    rules: VerdictRules,
    ports: PathPorts,
    resolver: PathResolver,
    onChange: (path: PathMonitor, from: HealthState | undefined) => void,
  ) {
    this.id = config.id;
    this.kind = config.kind;
    this.#config = config;
    this.#clock = ports.clock;
    this.#log = ports.log.child({ path: config.id });
    this.#resolver = resolver;
    this.#onChange = onChange;
    // A modem's voice path is a SIP peer on this machine.
    this.#localAddress = config.address ?? (config.kind === "modem" ? "127.0.0.1" : undefined);
    this.#runner = new Runner(verdictMachine(rules), initialVerdict(ports.clock.now()), (effect) =>
      this.#perform(effect),
    );
    this.#watcher = new LinkWatcher(
      ports.clock,
      ports.ip,
      {
        interface: config.interface,
        address: config.address,
        gateway: config.gateway,
        destinations: [
          ...config.echo_responders.map((responder) => responder.address),
          ...(config.tcp_canary === undefined ? [] : [config.tcp_canary.address]),
        ],
      },
      (facts) => this.#learn(facts),
    );
    this.#probes = new PathProbes(config, ports, {
      alive: (witness, source, decisive, sent_ms, detail) =>
        this.#feed({ kind: "alive", witness, source, decisive, sent_ms, detail }),
      silent: (witness, source, decisive, sent_ms, detail) =>
        this.#feed({ kind: "silent", witness, source, decisive, sent_ms, detail }),
      burstOver: (detail) => this.#feed({ kind: "burst_over", detail }),
      note: (source, verdict, detail) => this.#feed({ kind: "note", source, verdict, detail }),
      refused: () => this.recheck(),
    });
  }

  start(): void {
    if (this.#watcher.watches) {
      // Probes wait for the link's facts: only these tell which servers stand beyond the gateway.
      this.#watcher.read();
    } else {
      const address = this.#localAddress;
      const detail =
        address === undefined
          ? "neither interface nor address is named"
          : `${isLoopback(address) ? "loopback address" : "address"} ${address}: no link to watch`;
      this.#feed({ kind: "link", source: "address", usable: undefined, detail });
      this.#probes.use(address, []);
    }
    this.#quality = every(this.#clock, 1_000, () =>
      this.#feed({
        kind: "quality",
        loss_percent: this.loss_percent,
        rtt_ms: this.rtt_ms,
        dead_media: this.#media.dead,
      }),
    );
  }

  close(): void {
    this.#quality?.cancel();
    this.#watcher.close();
    this.#probes.close();
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  get health(): Health {
    const { state, since_ms, evidence } = this.#runner.state;
    return { state, since_ms, evidence: [...evidence.values()] };
  }

  get returned(): { readonly at_ms: number; readonly held_ms: number } | undefined {
    const { returned_ms, held_ms } = this.#runner.state;
    return returned_ms === undefined || held_ms === undefined ? undefined : { at_ms: returned_ms, held_ms };
  }

  get localAddress(): string | undefined {
    return this.#localAddress;
  }

  get rtt_ms(): number | undefined {
    return this.#probes.rtt_ms ?? this.#peerRtt;
  }

  /** Per exchange. What calls lose is lost one way; as far as is known the other way loses as much. */
  get loss_percent(): number | undefined {
    const { loss_percent: oneWay } = this.#media;
    const ofCalls = oneWay === undefined ? undefined : 100 * (1 - (1 - oneWay / 100) ** 2);
    const ofProbes = this.#probes.loss_percent;
    return ofCalls === undefined || ofProbes === undefined ? (ofProbes ?? ofCalls) : Math.max(ofCalls, ofProbes);
  }

  get dead_media(): boolean {
    return this.#runner.state.dead_media;
  }

  /** What calls on this path hear. */
  mediaJudged(quality: MediaQuality): void {
    this.#media = quality;
  }

  locate(sought: PeerName): Promise<Located> {
    return this.#resolver.locate(sought, this.#localAddress);
  }

  known(sought: PeerName): Located {
    return this.#resolver.known(sought, this.#localAddress);
  }

  /** What its name servers said, for the next start. */
  names(): readonly KnownName[] {
    return this.#resolver.remembered();
  }

  suspect(reason: string): void {
    this.#feed({ kind: "suspect", reason });
  }

  heard(witness: string, source: string, sent_ms: number, detail: string): void {
    // A peer's own time to think is in it, so this is an upper bound, for want of probes. An INVITE thinks longest.
    const rtt = Math.max(0, this.#clock.now() - sent_ms);
    if (source === "options" && rtt < SLOWEST_PEER_MS) {
      this.#peerRtt = this.#peerRtt === undefined ? rtt : 0.875 * this.#peerRtt + 0.125 * rtt;
    }
    this.#feed({ kind: "alive", witness, source, decisive: false, sent_ms, detail });
  }

  unanswered(witness: string, source: string, sent_ms: number, detail: string): void {
    this.#feed({ kind: "silent", witness, source, decisive: false, sent_ms, detail });
  }

  recheck(): void {
    this.#watcher.read();
  }

  onDoubt(listener: (urgent: boolean, reason: string) => void): void {
    this.#doubt.push(listener);
  }

  status(): PathStatus {
    const { state, since_ms, evidence } = this.health;
    return {
      id: this.id,
      kind: this.kind,
      state,
      since_wall: Math.round(this.#clock.wall() - (this.#clock.now() - since_ms)),
      evidence,
      rtt_ms: this.rtt_ms,
      loss_percent: this.loss_percent,
    };
  }

  #learn(facts: LinkFacts): void {
    const address = this.#config.address ?? facts.addresses[0]?.address;
    if (this.#config.address === undefined && address !== this.#localAddress && facts.present !== undefined) {
      const before = this.#localAddress;
      this.#localAddress = address;
      this.#resolver.expire();
      this.#feed({ kind: "readdressed", detail: `${before ?? "none"} → ${address ?? "none"}` });
      this.#log.info("path address changed", { from: before, to: address });
      this.#onChange(this, undefined);
    }
    this.#probes.use(this.#localAddress, facts.addresses);
    const judged = judgeLink(facts, this.#config.address);
    const { link, evidence } = this.#runner.state;
    if (judged.usable !== link || evidence.get("link")?.detail !== judged.detail) {
      this.#feed({ kind: "link", ...judged });
    }
    this.#gateway(facts);
  }

  #gateway({ gateway, neighbour }: LinkFacts): void {
    if (gateway === undefined || neighbour === undefined) return;
    const judged: Evidence["verdict"] =
      neighbour === "FAILED" || neighbour === "INCOMPLETE"
        ? "bad"
        : neighbour === "REACHABLE" || neighbour === "PERMANENT"
          ? "good"
          : "unknown";
    const detail = `gateway ${gateway} is ${neighbour}`;
    const before = this.#runner.state.evidence.get("gateway");
    if (before?.detail === detail) return;
    this.#feed({ kind: "note", source: "gateway", verdict: judged, detail });
    // The kernel has asked for the gateway's hardware address three times in vain.
    if (neighbour === "FAILED") this.suspect(detail);
  }

  #perform(effect: VerdictEffect): void {
    switch (effect.do) {
      case "ask":
        this.#probes.burst(effect.urgent);
        for (const listener of this.#doubt) listener(effect.urgent, effect.reason);
        return;
      case "stop_asking":
        this.#probes.endBurst();
        return;
      case "timer": {
        this.#timers.get(effect.timer)?.cancel();
        const { timer } = effect;
        this.#timers.set(
          timer,
          deadline(this.#clock, effect.at_ms, () => {
            this.#timers.delete(timer);
            this.#feed({ kind: "timeout", timer });
          }),
        );
        return;
      }
      case "cancel":
        this.#timers.get(effect.timer)?.cancel();
        this.#timers.delete(effect.timer);
        return;
      case "changed":
        if (effect.from === "down") this.#probes.forgetLoss();
        this.#log.info("path verdict", { from: effect.from, to: effect.to, evidence: this.health.evidence });
        this.#onChange(this, effect.from);
    }
  }

  #feed(input: UnstampedInput): void {
    this.#runner.feed({ ...input, at_ms: this.#clock.now(), at_wall: this.#clock.wall() });
  }
}

type Unstamped<T> = T extends VerdictInput ? Omit<T, "at_ms" | "at_wall"> : never;
type UnstampedInput = Unstamped<VerdictInput>;
