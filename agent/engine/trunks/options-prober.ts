import type { Clock, Timer } from "../../base/clock.ts";
import { token } from "../../base/ids.ts";
import { buildRequest } from "../../sip/messages/build.ts";
import type { ClientTransaction } from "../../sip/transactions/client-transaction.ts";
import type { TransactionLayer } from "../../sip/transactions/layer.ts";
import type { Flow, TransportError } from "../../sip/transport/flow.ts";
import { isRefusal } from "./trunk-verdict.ts";

/**
 * OPTIONS to a trunk, on the flow that carries everything else: in quiet times at least 15 s apart and at random, so
 * that ten thousand boxes never come at once; three within a second when there is doubt, but only so many times an hour.
 */
export interface OptionsProberPorts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly transactions: TransactionLayer;
  /** `brisk` on WAN; `sparing` where data costs; `local` on this machine. */
  readonly pace: "brisk" | "sparing" | "local";
  flow(): Flow | undefined;
  /** How long the peer has been down, ms; undefined when it is not. */
  down_ms(): number | undefined;
  target(): string;
  from(): string;
  answered(status: number, sent_ms: number): void;
  /** No answer within a second (or within the request's time, when it was told before). */
  silent(sent_ms: number): void;
  unsendable(error: TransportError): void;
}

const QUIET_MS = { brisk: [15_000, 25_000], sparing: [120_000, 180_000], local: [15_000, 20_000] } as const;
/**
 * A peer that has been down for some minutes is asked less often, yet so often that phones are home within a minute of its
 * return.
 */
const PATIENT_AFTER_MS = 300_000;
const PATIENT_MS = [30_000, 45_000] as const;
const BURST = [0, 333, 667] as const;
export const BURSTS_PER_HOUR = 20;
/** Where no burst is left, one that is not answered is followed by another. */
const SECOND_MS = 1_200;
/** Once this hour's bursts are used up, no two are closer than this. */
const SHORTEST_MS = 500;
const HOUR_MS = 3_600_000;
const SILENCE_MS = 1_000;
/** Nobody waits for an answer longer than this; a transaction's 32 s would pile up. */
const GIVE_UP_MS = 5_000;
/** Over UDP, so that one lost packet is not silence; the later ones while it is in doubt. */
const RETRANSMIT_MS = [150, 400, 900, 1_600, 2_700] as const;

export class OptionsProber {
  readonly #ports: OptionsProberPorts;
  readonly #bursts: number[] = [];
  readonly #running = new Set<{ readonly transaction: ClientTransaction; readonly timers: readonly Timer[] }>();
  readonly #burstTimers = new Set<Timer>();
  #timer: Timer | undefined;
  #stopped = true;
  #last_ms: number | undefined;
  #answered_ms = Number.NEGATIVE_INFINITY;

  constructor(ports: OptionsProberPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#stopped = false;
    this.#arm(this.#ports.random() * 1_000);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    for (const timer of this.#burstTimers) timer.cancel();
    for (const probe of this.#running) {
      probe.transaction.abandon();
      for (const timer of probe.timers) timer.cancel();
    }
    this.#running.clear();
  }

  /** One now, as after connecting. */
  soon(): void {
    if (!this.#stopped) this.#arm(0);
  }

  /** One now, unless one was sent within the shortest interval of quiet times. */
  unlessLately(): void {
    if (!this.#askedLately()) this.soon();
  }

  #askedLately(): boolean {
    return this.#last_ms !== undefined && this.#ports.clock.now() - this.#last_ms < QUIET_MS.brisk[0];
  }

  /** Whether the server at the other end of a flow answers, and does not refuse. `done` is told once, within a second. */
  ask(flow: Flow, done: (alive: boolean) => void): void {
    this.#request(flow, {
      answered: (status) => done(!isRefusal(status)),
      silent: () => done(false),
      unsendable: () => done(false),
    });
  }

  /**
   * Three in a second. Once this hour's are used up: one or two, at once when it is needed because a call waits for the answer or
   * OPTIONS was not answered well, else unless one was sent lately. False when none was sent: then silence says nothing.
   */
  burst(needed: boolean): boolean {
    const { clock } = this.#ports;
    const now = clock.now();
    while (this.#bursts[0] !== undefined && now - this.#bursts[0] > HOUR_MS) this.#bursts.shift();
    if (this.#stopped) return false;
    if (this.#bursts.length >= BURSTS_PER_HOUR) {
      if (!needed && this.#askedLately()) return false;
      // Over connections that a peer ends as soon as they are made there would be one after the other without end.
      if (this.#last_ms !== undefined && now - this.#last_ms < SHORTEST_MS) return false;
      this.#send();
      this.#later(SECOND_MS, () => {
        if (this.#answered_ms < now) this.#send();
      });
      return true;
    }
    this.#bursts.push(now);
    for (const at of BURST) {
      if (at === 0) {
        this.#send();
        continue;
      }
      this.#later(at, () => this.#send());
    }
    return true;
  }

  #later(delay_ms: number, then: () => void): void {
    const timer = this.#ports.clock.after(delay_ms, () => {
      this.#burstTimers.delete(timer);
      then();
    });
    this.#burstTimers.add(timer);
  }

  #arm(delay_ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#ports.clock.after(delay_ms, () => {
      const patient = this.#ports.pace === "brisk" && (this.#ports.down_ms() ?? 0) >= PATIENT_AFTER_MS;
      const [low, high] = patient ? PATIENT_MS : QUIET_MS[this.#ports.pace];
      this.#arm(low + this.#ports.random() * (high - low));
      this.#send();
    });
  }

  #send(): void {
    const flow = this.#ports.flow();
    if (this.#stopped || flow === undefined) return;
    this.#last_ms = this.#ports.clock.now();
    this.#request(flow, this.#ports);
  }

  #request(flow: Flow, witness: Pick<OptionsProberPorts, "answered" | "silent" | "unsendable">): void {
    const { clock, transactions } = this.#ports;
    const sent_ms = clock.now();
    const uri = this.#ports.target();
    const request = buildRequest({
      method: "OPTIONS",
      uri,
      from: `${this.#ports.from()};tag=${token(5)}`,
      to: `<${uri}>`,
      callId: token(),
      cseq: 1,
      headers: [{ name: "Accept", value: "application/sdp" }],
    });
    let over = false;
    let told = false;
    const end = () => {
      over = true;
      for (const timer of probe.timers) timer.cancel();
      this.#running.delete(probe);
    };
    const silent = () => {
      if (over || told) return;
      told = true;
      witness.silent(sent_ms);
    };
    const timers = [
      clock.after(SILENCE_MS, silent),
      clock.after(GIVE_UP_MS, () => {
        if (over) return;
        end();
        probe.transaction.abandon();
      }),
    ];
    const transaction = transactions.request(
      request,
      flow,
      {
        onFinal: (response) => {
          if (over) return;
          end();
          this.#answered_ms = clock.now();
          if (!told || witness === this.#ports) witness.answered(response.status, sent_ms);
        },
        onTimeout: () => {
          if (over) return;
          silent();
          end();
        },
        onTransportError: (error) => {
          if (over) return;
          end();
          witness.unsendable(error);
        },
      },
      { retransmit_at_ms: RETRANSMIT_MS },
    );
    const probe = { transaction, timers };
    this.#running.add(probe);
  }
}
