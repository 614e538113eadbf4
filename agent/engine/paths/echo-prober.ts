import type { Clock, Timer } from "../../base/clock.ts";

/**
 * Paced probes to the witnesses of one kind that answer datagrams, and bursts of them when there is doubt.
 *
 * The rule, by calculation. Loss of 5 % each way leaves 9.75 % of exchanges unanswered, 20 % leaves 36 %. Probes go
 * every 250 ms; the first that is missed sets off 18 more, 25 ms apart, and only 19 in a row unanswered count as
 * silence. In ten minutes 2,400 probes go out; at 20 % about 860 of them are missed, and the chance that one such miss
 * is followed by 18 more is 0.36^18 = 1e-8, so 9e-6 false verdicts in ten minutes (one in about 19,000 hours); at 5 %
 * it is 234 * 0.0975^18, about 1e-16. Real loss comes in runs: the 19 probes spread over at least 0.6 s outlast those.
 * Time to the verdict, worst case: 250 (the cut follows an answer) + timeout + 17 * 25 + timeout; the timeout is
 * max(100 ms, smoothed round trip + 4 deviations + 50 ms), and no verdict sooner than 725 ms after the first question
 * that was missed: 975 ms at round trips up to 80 ms. A full uplink may hold packets back from one to the next, and a
 * round trip that jumps to 700 ms is not death. One that was longer lately, late answers included, is waited for so long.
 * Where more is lost, a burst is longer: as many as leave 1e-8 to chance, 41 at 40 % each way.
 * On LTE, where data costs and a sleeping radio needs up to 2 s to wake, probes are 15 to 30 s apart, and a miss sets
 * off 12 at 200 ms with a timeout of 1 s: 3.2 s after the first evidence.
 */
export interface ProbePace {
  /** Interval between probes in quiet times, drawn evenly between the two, ms. */
  readonly interval_ms: readonly [number, number];
  readonly timeout_min_ms: number;
  readonly timeout_max_ms: number;
  /** Probes in a burst and the gap between them, ms. */
  readonly burst: number;
  readonly burst_gap_ms: number;
}

export const WAN_ECHO: ProbePace = {
  interval_ms: [250, 250],
  timeout_min_ms: 100,
  timeout_max_ms: 2_000,
  burst: 18,
  burst_gap_ms: 25,
};

export const LTE_ECHO: ProbePace = {
  interval_ms: [15_000, 30_000],
  timeout_min_ms: 1_000,
  timeout_max_ms: 1_000,
  burst: 12,
  burst_gap_ms: 200,
};

/** DNS servers beyond the gateway are asked rarely, and in a burst no faster than a person retrying would. */
export const WAN_DNS: ProbePace = {
  interval_ms: [4_000, 6_000],
  timeout_min_ms: 1_000,
  timeout_max_ms: 1_000,
  burst: 12,
  burst_gap_ms: 250,
};

export const LTE_DNS: ProbePace = { ...WAN_DNS, interval_ms: [120_000, 180_000] };

/** When a call waits for the answer: so many at once-like gaps, the last early enough to be answered in 250 ms. */
const URGENT = 8;
const URGENT_GAP_MS = 15;
/** A timer this late means the process stood still: what has arrived meanwhile is read before anyone is judged. */
const STALL_MS = 30;
const STALL_GRACE_MS = 20;
/** Loss is measured on so many of the latest quiet-time probes, and only once there are enough to mean something. */
const LOSS_WINDOW = 120;
const LOSS_MINIMUM = 20;
const UNKNOWN_RTT_TIMEOUT_MS = 250;
/** So long after the first missed question nothing is said of death; longer where it has lately taken longer, to a limit. */
const PATIENCE_MS = [725, 2_000] as const;
/** What the slowest answer was is remembered so long; beside it a path is given this much. */
const SLOWEST_MEMORY_MS = 600_000;
const SLACK_MS = 100;
/** The chance that all of a burst is lost by ordinary loss, and how much longer than usual a burst may be for it. */
const CHANCE = 1e-8;
const BURST_STRETCH = 2.5;
/** An answer so much later than its time is a sign of life still. */
const LATE_MS = 2_000;

interface Outstanding {
  readonly target: number;
  readonly sent_ms: number;
  readonly burst: boolean;
  missed: boolean;
}

export interface ProberPorts {
  /** Sends one probe; the answer comes back by {@link EchoProber.answered} with the same id. */
  send(target: number, id: number): void;
  alive(target: number, sent_ms: number, rtt_ms: number): void;
  /** A quiet-time probe was not answered in time. */
  silent(target: number, sent_ms: number): void;
  /** A whole burst was sent and nothing was answered. */
  burstOver(sent: number): void;
  random(): number;
}

export class EchoProber {
  readonly #clock: Clock;
  readonly #pace: ProbePace;
  readonly #targets: number;
  readonly #ports: ProberPorts;
  readonly #outstanding = new Map<number, Outstanding>();
  readonly #window: boolean[] = [];
  #timer: Timer | undefined;
  #due_ms = 0;
  #nextQuiet_ms = 0;
  #nextBurst_ms: number | undefined;
  #burstLeft = 0;
  #urgentLeft = 0;
  #burstSent = 0;
  #grace_ms = 0;
  #nextId = 1;
  #turn = 0;
  #srtt: number | undefined;
  #rttvar = 0;
  #slowest = { rtt_ms: 0, at_ms: Number.NEGATIVE_INFINITY };
  #patientUntil_ms = Number.NEGATIVE_INFINITY;
  #running = false;

  constructor(clock: Clock, pace: ProbePace, targets: number, ports: ProberPorts) {
    this.#clock = clock;
    this.#pace = pace;
    this.#targets = targets;
    this.#ports = ports;
  }

  get rtt_ms(): number | undefined {
    return this.#srtt;
  }

  get loss_percent(): number | undefined {
    // Who never answered is not there, which says nothing of the path.
    if (this.#srtt === undefined || this.#window.length < LOSS_MINIMUM) return undefined;
    return (100 * this.#window.filter((answered) => !answered).length) / this.#window.length;
  }

  get timeout_ms(): number {
    const wanted = this.#srtt === undefined ? UNKNOWN_RTT_TIMEOUT_MS : this.#srtt + 4 * this.#rttvar + 50;
    return Math.min(Math.max(wanted, this.#pace.timeout_min_ms), this.#pace.timeout_max_ms);
  }

  forgetLoss(): void {
    this.#window.length = 0;
  }

  start(): void {
    if (this.#running || this.#targets === 0) return;
    this.#running = true;
    this.#nextQuiet_ms = this.#clock.now();
    this.#arm();
  }

  stop(): void {
    this.#running = false;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#outstanding.clear();
    this.endBurst();
  }

  /** Asks in quick succession until answered or stopped. One that is under way goes on, faster when now urgent. */
  burst(urgent: boolean): void {
    if (!this.#running) return;
    if (this.#burstLeft === 0 && this.#nextBurst_ms === undefined) {
      this.#burstLeft = this.#burstLength;
      this.#burstSent = 0;
    }
    if (urgent) {
      this.#urgentLeft = Math.min(URGENT, Math.max(this.#burstLeft, URGENT));
      this.#burstLeft = Math.max(this.#burstLeft, this.#urgentLeft);
    }
    this.#nextBurst_ms = this.#clock.now();
    this.#tick();
  }

  endBurst(): void {
    this.#burstLeft = 0;
    this.#urgentLeft = 0;
    this.#nextBurst_ms = undefined;
    for (const [id, probe] of this.#outstanding) if (probe.burst) this.#outstanding.delete(id);
    if (this.#running) this.#arm();
  }

  answered(id: number): void {
    const probe = this.#outstanding.get(id);
    if (probe === undefined) return;
    this.#outstanding.delete(id);
    const rtt = this.#clock.now() - probe.sent_ms;
    // A late one too: its id says which probe it answers, and else a path that has grown slow would stay late for ever.
    this.#measure(rtt);
    if (!probe.burst && !probe.missed) this.#count(true);
    this.#ports.alive(probe.target, probe.sent_ms, rtt);
  }

  /** Forgets a probe that was answered in a way that says nothing of the path. */
  settle(id: number): void {
    this.#outstanding.delete(id);
  }

  /** Who loses much is asked more often before silence means something. */
  get #burstLength(): number {
    const { burst } = this.#pace;
    const lost = (this.loss_percent ?? 0) / 100;
    const wanted = lost <= 0 ? 0 : lost >= 1 ? Number.POSITIVE_INFINITY : Math.log(CHANCE) / Math.log(lost);
    return Math.min(Math.max(burst, Math.ceil(wanted)), Math.ceil(burst * BURST_STRETCH));
  }

  get #patience_ms(): number {
    const [least, most] = PATIENCE_MS;
    return Math.min(Math.max(least, this.#slowest.rtt_ms + SLACK_MS), most);
  }

  #measure(rtt: number): void {
    const now = this.#clock.now();
    const { rtt_ms, at_ms } = this.#slowest;
    if (rtt >= rtt_ms || now - at_ms > SLOWEST_MEMORY_MS) this.#slowest = { rtt_ms: rtt, at_ms: now };
    // RFC 6298 §2.
    if (this.#srtt === undefined) {
      this.#srtt = rtt;
      this.#rttvar = rtt / 2;
      return;
    }
    this.#rttvar = 0.75 * this.#rttvar + 0.25 * Math.abs(this.#srtt - rtt);
    this.#srtt = 0.875 * this.#srtt + 0.125 * rtt;
  }

  #count(answered: boolean): void {
    this.#window.push(answered);
    if (this.#window.length > LOSS_WINDOW) this.#window.shift();
  }

  #tick(): void {
    if (!this.#running) return;
    const now = this.#clock.now();
    if (this.#nextBurst_ms !== undefined && this.#burstLeft > 0 && now >= this.#nextBurst_ms) {
      const gap = this.#urgentLeft > 0 ? URGENT_GAP_MS : this.#pace.burst_gap_ms;
      this.#urgentLeft = Math.max(0, this.#urgentLeft - 1);
      this.#burstLeft--;
      this.#burstSent++;
      this.#nextBurst_ms = now + gap;
      this.#send(true);
    }
    if (now >= this.#nextQuiet_ms) {
      const [low, high] = this.#pace.interval_ms;
      this.#nextQuiet_ms = now + low + this.#ports.random() * (high - low);
      // In a burst the burst's own probes do the asking.
      if (this.#nextBurst_ms === undefined) this.#send(false);
    }
    if (now >= this.#grace_ms) this.#judge(now);
    if (this.#running) this.#arm();
  }

  #judge(now: number): void {
    const timeout = this.timeout_ms;
    const missed: Outstanding[] = [];
    for (const [id, probe] of this.#outstanding) {
      // As #arm reckons: a difference rounds otherwise than a sum, and the timer would fire at this moment for ever.
      if (!probe.missed && now >= probe.sent_ms + timeout) {
        probe.missed = true;
        if (!probe.burst) {
          this.#count(false);
          missed.push(probe);
        }
      }
      // Kept for a late answer, which is a sign of life too.
      if (now >= probe.sent_ms + timeout + LATE_MS) this.#outstanding.delete(id);
    }
    for (const probe of missed) {
      this.#patientUntil_ms = Math.max(this.#patientUntil_ms, probe.sent_ms + this.#patience_ms);
      this.#ports.silent(probe.target, probe.sent_ms);
    }
    if (this.#nextBurst_ms === undefined || this.#burstLeft > 0) return;
    for (const probe of this.#outstanding.values()) if (probe.burst && !probe.missed) return;
    if (now < this.#patientUntil_ms) return;
    this.#nextBurst_ms = undefined;
    this.#ports.burstOver(this.#burstSent);
  }

  #send(burst: boolean): void {
    const id = this.#nextId;
    this.#nextId = this.#nextId >= 0xffff ? 1 : this.#nextId + 1;
    const target = this.#turn++ % this.#targets;
    this.#outstanding.set(id, { target, sent_ms: this.#clock.now(), burst, missed: false });
    this.#ports.send(target, id);
  }

  #arm(): void {
    const armed_ms = this.#clock.now();
    let at = this.#nextQuiet_ms;
    if (this.#nextBurst_ms !== undefined && this.#burstLeft > 0) at = Math.min(at, this.#nextBurst_ms);
    if (this.#nextBurst_ms !== undefined && this.#burstLeft === 0 && this.#patientUntil_ms > armed_ms) {
      at = Math.min(at, this.#patientUntil_ms);
    }
    const timeout = this.timeout_ms;
    for (const probe of this.#outstanding.values()) {
      const judged_ms = probe.sent_ms + timeout + (probe.missed ? LATE_MS : 0);
      at = Math.min(at, Math.max(judged_ms, this.#grace_ms));
    }
    // What fell due while the process stood still is due now: only this timer's own lateness is a stall.
    this.#due_ms = Math.max(at, armed_ms);
    this.#timer?.cancel();
    this.#timer = this.#clock.after(this.#due_ms - armed_ms, () => {
      const now = this.#clock.now();
      // Once for each stall: a process that is late every time must judge nevertheless.
      if (now - this.#due_ms > STALL_MS && this.#grace_ms < this.#due_ms) this.#grace_ms = now + STALL_GRACE_MS;
      this.#tick();
    });
  }
}
