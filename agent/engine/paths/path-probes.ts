import type { Timer } from "../../base/clock.ts";
import type { PathConfig } from "../../base/config/schema.ts";
import type { Evidence } from "../../base/events.ts";
import { canonicalAddress, isLoopback } from "../../sip/transport/ip-address.ts";
import type { ProbeSocket } from "./datagram-socket.ts";
import { EchoProber, LTE_DNS, LTE_ECHO, type ProbePace, WAN_DNS, WAN_ECHO } from "./echo-prober.ts";
import { type LinkAddress, onLink } from "./link-facts.ts";
import type { PathPorts } from "./path-monitor.ts";
import { decodeAnswer, encodeProbe, type ProbeKind, probeSalt } from "./probe-codec.ts";

/** What the probes of a path report. */
export interface ProbeReports {
  alive(witness: string, source: string, decisive: boolean, sent_ms: number, detail: string): void;
  silent(witness: string, source: string, decisive: boolean, sent_ms: number, detail: string): void;
  burstOver(detail: string): void;
  note(source: string, verdict: Evidence["verdict"], detail: string): void;
  /** The kernel refused to send. */
  refused(): void;
}

interface Target {
  readonly kind: ProbeKind;
  readonly address: string;
  readonly port: number;
  readonly witness: string;
}

const CANARY_INTERVAL_MS = { wan: [8_000, 12_000], lte: [240_000, 360_000], modem: [240_000, 360_000] } as const;
const CANARY_TIMEOUT_MS = 1_000;
const CANARY_BURST_GAP_MS = 500;
const CANARY_BURST = 6;
/** An echo and its answer with IP and UDP headers, and how much of the month's budget probing may take. */
const ECHO_BYTES = 100;
const BUDGET_SHARE = 0.1;
const MONTH_MS = 30 * 86_400_000;

/** All probes of one path, pinned to its local address: echo responders, DNS servers beyond the gateway, TCP canary. */
export class PathProbes {
  readonly #config: PathConfig;
  readonly #ports: PathPorts;
  readonly #reports: ProbeReports;
  readonly #salt = probeSalt();
  readonly #echoTargets: readonly Target[];
  readonly #dnsTargets: readonly Target[];
  readonly #echo: EchoProber;
  readonly #dns: EchoProber;
  #socket: ProbeSocket | undefined;
  #address: string | undefined;
  #onLink: readonly LinkAddress[] = [];
  #canary: { cancel(): void } | undefined;
  #canaryTimer: Timer | undefined;
  #canaryBurst = 0;
  #closed = false;

  constructor(config: PathConfig, ports: PathPorts, reports: ProbeReports) {
    this.#config = config;
    this.#ports = ports;
    this.#reports = reports;
    this.#echoTargets = config.echo_responders.map((responder) => ({
      ...responder,
      address: canonicalAddress(responder.address) ?? responder.address,
      witness: `echo ${responder.address}`,
    }));
    this.#dnsTargets = config.dns_servers.map((server) => ({
      kind: "dns",
      address: canonicalAddress(server) ?? server,
      port: 53,
      witness: `dns ${server}`,
    }));
    this.#echo = this.#prober(echoPace(config), this.#echoTargets, "echo", true);
    this.#dns = this.#prober(config.kind === "wan" ? WAN_DNS : LTE_DNS, this.#dnsTargets, "dns", false);
  }

  get rtt_ms(): number | undefined {
    return this.#echo.rtt_ms ?? this.#dns.rtt_ms;
  }

  get loss_percent(): number | undefined {
    return this.#echo.loss_percent;
  }

  /** Probes from this address from now on; none without one. */
  use(address: string | undefined, onLinkPrefixes: readonly LinkAddress[]): void {
    this.#onLink = onLinkPrefixes;
    if (address === this.#address || this.#closed) return;
    this.#stop();
    this.#address = address;
    if (address === undefined) return;
    if (this.#echoTargets.length + this.#dnsTargets.length > 0) this.#open(address);
    this.#echo.start();
    this.#dns.start();
    if (this.#config.tcp_canary !== undefined) this.#armCanary(0);
  }

  burst(urgent: boolean): void {
    if (this.#socket === undefined && this.#address !== undefined && !this.#closed) this.#open(this.#address);
    this.#echo.burst(urgent);
    this.#dns.burst(false);
    if (this.#config.tcp_canary === undefined || this.#address === undefined) return;
    this.#canaryBurst = CANARY_BURST;
    this.#runCanary();
  }

  endBurst(): void {
    this.#echo.endBurst();
    this.#dns.endBurst();
    this.#canaryBurst = 0;
  }

  /** Starts measuring loss anew. */
  forgetLoss(): void {
    this.#echo.forgetLoss();
  }

  close(): void {
    this.#stop();
    this.#closed = true;
  }

  #stop(): void {
    this.#echo.stop();
    this.#dns.stop();
    this.#canaryTimer?.cancel();
    this.#canary?.cancel();
    this.#canary = undefined;
    this.#socket?.close();
    this.#socket = undefined;
  }

  #open(address: string): void {
    this.#socket = this.#ports.openSocket(address, {
      message: (bytes, from, port) => this.#received(bytes, from, port),
      failed: (code) => {
        this.#reports.refused();
        // The address is not there (yet): the next burst or change of link tries again.
        if (code !== "EADDRNOTAVAIL" && code !== "EINVAL") return;
        this.#socket?.close();
        this.#socket = undefined;
      },
    });
  }

  #prober(pace: ProbePace, targets: readonly Target[], source: string, decisive: boolean): EchoProber {
    return new EchoProber(this.#ports.clock, pace, targets.length, {
      send: (index, id) => {
        const target = targets[index];
        if (target === undefined || target.address.includes(":") !== this.#address?.includes(":")) return;
        if (this.#socket === undefined && this.#address !== undefined && !this.#closed) this.#open(this.#address);
        this.#socket?.send(encodeProbe(target.kind, id, this.#salt), target.address, target.port);
      },
      alive: (index, sent_ms, rtt_ms) => {
        const target = targets[index];
        if (target === undefined) return;
        this.#reports.alive(target.witness, source, decisive, sent_ms, `${target.witness}: ${Math.round(rtt_ms)} ms`);
      },
      silent: (index, sent_ms) => {
        const target = targets[index];
        if (target === undefined) return;
        if (this.#beforeGateway(target)) {
          this.#reports.note("dns", "bad", `${target.witness}: no answer`);
          return;
        }
        this.#reports.silent(target.witness, source, decisive, sent_ms, `${target.witness}: no answer`);
      },
      burstOver: (sent) => {
        if (decisive) this.#reports.burstOver(`no answer to ${sent} probes to ${targets.map(nameOf).join(", ")}`);
      },
      random: this.#ports.random,
    });
  }

  /**
   * A DNS server in the path's own network is the site's router: it answers from its cache when everything behind it is
   * dead. Its answers say something of DNS, nothing of the path.
   */
  #beforeGateway(target: Target): boolean {
    return target.kind === "dns" && !isLoopback(target.address) && onLink(target.address, this.#onLink);
  }

  #received(bytes: Uint8Array, from: string, port: number): void {
    const address = canonicalAddress(from) ?? from;
    for (const [targets, prober] of [
      [this.#echoTargets, this.#echo],
      [this.#dnsTargets, this.#dns],
    ] as const) {
      const target = targets.find((candidate) => candidate.address === address && candidate.port === port);
      if (target === undefined) continue;
      const answer = decodeAnswer(target.kind, bytes, this.#salt);
      if (answer === undefined) continue;
      if (this.#beforeGateway(target)) {
        prober.settle(answer.id);
        const good = answer.rcode === "NOERROR" || answer.rcode === "NXDOMAIN";
        this.#reports.note("dns", good ? "good" : "bad", `${target.witness}: ${answer.rcode ?? "answered"}`);
        continue;
      }
      prober.answered(answer.id);
    }
  }

  #armCanary(delay_ms: number): void {
    this.#canaryTimer?.cancel();
    this.#canaryTimer = this.#ports.clock.after(delay_ms, () => this.#runCanary());
  }

  #runCanary(): void {
    const canary = this.#config.tcp_canary;
    if (canary === undefined || this.#address === undefined || this.#closed || this.#canary !== undefined) return;
    const sent_ms = this.#ports.clock.now();
    const witness = `tcp ${canary.address}`;
    this.#canary = this.#ports.tryCanary({ ...canary, local_address: this.#address }, (result) => {
      this.#canary = undefined;
      this.#canaryTimer?.cancel();
      this.#nextCanary();
      if (result.alive) {
        const rtt = Math.round(this.#ports.clock.now() - sent_ms);
        this.#reports.alive(witness, "tcp", false, sent_ms, `${witness}: connected in ${rtt} ms`);
        return;
      }
      this.#reports.silent(witness, "tcp", false, sent_ms, `${witness}: ${result.code}`);
      if (result.code === "ENETUNREACH" || result.code === "EADDRNOTAVAIL") this.#reports.refused();
    });
    this.#canaryTimer?.cancel();
    this.#canaryTimer = this.#ports.clock.after(CANARY_TIMEOUT_MS, () => {
      this.#canary?.cancel();
      this.#canary = undefined;
      this.#nextCanary();
      this.#reports.silent(witness, "tcp", false, sent_ms, `${witness}: ETIMEDOUT`);
    });
  }

  #nextCanary(): void {
    if (this.#canaryBurst > 0) {
      this.#canaryBurst--;
      this.#armCanary(CANARY_BURST_GAP_MS);
      return;
    }
    const [low, high] = CANARY_INTERVAL_MS[this.#config.kind];
    this.#armCanary(low + this.#ports.random() * (high - low));
  }
}

const nameOf = (target: Target): string => target.address;

function echoPace(config: PathConfig): ProbePace {
  if (config.kind === "wan") return WAN_ECHO;
  if (config.data_budget_mb === undefined) return LTE_ECHO;
  const [low, high] = LTE_ECHO.interval_ms;
  const affordable_ms = (ECHO_BYTES * MONTH_MS) / (config.data_budget_mb * 1_000_000 * BUDGET_SHARE);
  const stretch = Math.max(1, affordable_ms / ((low + high) / 2));
  return { ...LTE_ECHO, interval_ms: [low * stretch, high * stretch] };
}
