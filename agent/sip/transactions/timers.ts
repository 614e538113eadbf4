/** The transaction timers' base values in milliseconds (RFC 3261 §17.1.1.1 and Appendix A). */
export interface TransactionTimers {
  /** T1: round-trip estimate. */
  readonly t1_ms: number;
  /** T2: longest retransmit interval of non-INVITE requests and INVITE responses. */
  readonly t2_ms: number;
  /** T4: longest time a message stays in the network. */
  readonly t4_ms: number;
}

export const RFC_TIMERS: TransactionTimers = { t1_ms: 500, t2_ms: 4000, t4_ms: 5000 };

/** 64*T1: Timers B, F, H, J, L and M. */
export function transactionTimeout(timers: TransactionTimers): number {
  return 64 * timers.t1_ms;
}

/** Timer D: at least 32 s over an unreliable transport (§17.1.1.2), and never shorter than the server's Timer H. */
export function timerD(timers: TransactionTimers): number {
  return Math.max(32_000, transactionTimeout(timers));
}

/** From the first sending until Timer E has doubled from T1 to T2: 3.5 s with the RFC's values (RFC 4320 §4.1). */
export function untilT2({ t1_ms, t2_ms }: TransactionTimers): number {
  let passed = 0;
  for (let interval = t1_ms; interval < t2_ms; interval *= 2) passed += interval;
  return passed;
}

/** What a transaction needs to know to run its machine. */
export interface TransactionSetting {
  /** Over TCP or TLS: nothing is retransmitted and the absorbing timers D, I, J and K are zero. */
  readonly reliable: boolean;
  readonly timers: TransactionTimers;
}

/** Setting of a client transaction. */
export interface ClientSetting extends TransactionSetting {
  /**
   * Times of the first retransmissions in milliseconds after the first sending, rising. Doubling from T1 goes on after
   * the last one. Empty for the RFC's own pace.
   */
  readonly retransmitAt_ms: readonly number[];
}

/**
 * Delay from the `sent`-th sending (1 = the first) to the next: the paced schedule while it lasts, then T1 doubling
 * (Timers A and E), never above `ceiling_ms`.
 */
export function retransmitDelay(setting: ClientSetting, sent: number, ceiling_ms: number): number {
  const paced = setting.retransmitAt_ms;
  const next = paced[sent - 1];
  if (next !== undefined) return Math.max(0, next - (paced[sent - 2] ?? 0));
  return Math.min(setting.timers.t1_ms * 2 ** (sent - 1 - paced.length), ceiling_ms);
}
