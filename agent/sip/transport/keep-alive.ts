import { go, type Transition } from "../../base/fsm.ts";
import type { Endpoint } from "./flow.ts";

/**
 * Keep-alive of one flow of ours (RFC 5626 §4.4), as a pure machine. A stream is pinged with a double CRLF and answers
 * with one within ten seconds; over UDP a STUN Binding request does it, and tells where the peer sees us. A peer that has
 * never answered may know neither: then nothing can be concluded from its silence, and UDP goes on with double CRLFs,
 * which keep a NAT open all the same.
 */
export interface KeepAlive {
  readonly over: "stream" | "datagram";
  /** The peer has answered once, on this flow or an earlier one: from then on silence is failure. */
  readonly answers: boolean;
  /** STUN requests that nobody answered, while nobody ever did. */
  readonly in_vain: number;
  /** Undefined between two questions. */
  readonly asked: Asked | undefined;
  readonly mapped: Endpoint | undefined;
  /** Longest time between two questions, ms. */
  readonly interval_ms: number;
}

export interface Asked {
  readonly at_ms: number;
  /** STUN: transaction id. */
  readonly transaction: string;
  readonly sendings: number;
}

export type KeepAliveInput = { readonly at_ms: number } & (
  | { readonly type: "timer"; readonly transaction: string }
  | { readonly type: "pong" }
  | { readonly type: "stun"; readonly transaction: string; readonly mapped: Endpoint | undefined }
);

export type KeepAliveEffect =
  | { readonly do: "send_crlf" }
  | { readonly do: "send_stun"; readonly transaction: string }
  /** One timer at a time; `rest` where the next question follows: a little earlier at random, so that boxes drift apart. */
  | { readonly do: "arm"; readonly after_ms: number; readonly rest: boolean }
  | { readonly do: "answered"; readonly rtt_ms: number | undefined }
  | { readonly do: "mapped"; readonly mapped: Endpoint; readonly before: Endpoint | undefined }
  | { readonly do: "failed"; readonly detail: string };

/** Carrier-grade NATs were seen to forget a UDP binding after 30 s. */
export const INTERVAL_MS = 25_000;
/** RFC 5626 §4.4.1. */
export const PONG_MS = 10_000;
/** RFC 8489 §6.2.1 with five sendings: after 0, 0.5, 1.5, 3.5 and 7.5 s, given up after 11.5 s. */
const RTO_MS = 500;
const SENDINGS = 5;
const LAST_WAIT_MS = 4_000;
/** Then it is taken not to know STUN. */
const IN_VAIN_MAX = 2;

type Step = Transition<KeepAlive, KeepAliveEffect>;

export function newKeepAlive(over: KeepAlive["over"], answers: boolean, interval_ms = INTERVAL_MS): KeepAlive {
  return { over, answers, in_vain: 0, asked: undefined, mapped: undefined, interval_ms };
}

export function keepAlive(state: KeepAlive, input: KeepAliveInput): Step {
  switch (input.type) {
    case "timer":
      if (state.asked === undefined) return ask(state, input);
      return state.over === "stream" ? silence(state, `no pong within ${PONG_MS} ms`) : askAgain(state, state.asked);
    case "pong":
      if (state.over !== "stream" || state.asked === undefined) return go(state);
      return answered(state, input.at_ms - state.asked.at_ms);
    case "stun":
      return state.asked === undefined || state.asked.transaction !== input.transaction || state.over === "stream"
        ? go(state)
        : bound(state, state.asked, input.at_ms, input.mapped);
  }
}

const rest = ({ interval_ms }: KeepAlive): KeepAliveEffect => ({ do: "arm", after_ms: interval_ms, rest: true });

function ask(state: KeepAlive, { at_ms, transaction }: { readonly at_ms: number; readonly transaction: string }): Step {
  const asked = { at_ms, transaction, sendings: 1 };
  if (state.over === "stream") {
    return go({ ...state, asked }, { do: "send_crlf" }, { do: "arm", after_ms: PONG_MS, rest: false });
  }
  if (!state.answers && state.in_vain >= IN_VAIN_MAX) return go(state, { do: "send_crlf" }, rest(state));
  return go({ ...state, asked }, { do: "send_stun", transaction }, { do: "arm", after_ms: RTO_MS, rest: false });
}

function askAgain(state: KeepAlive, asked: Asked): Step {
  const { sendings, transaction } = asked;
  if (sendings >= SENDINGS) return silence(state, `no answer to ${SENDINGS} STUN requests`);
  const last = sendings + 1 === SENDINGS;
  const after_ms = last ? LAST_WAIT_MS : RTO_MS * 2 ** sendings;
  return go(
    { ...state, asked: { ...asked, sendings: sendings + 1 } },
    { do: "send_stun", transaction },
    { do: "arm", after_ms, rest: false },
  );
}

function silence(state: KeepAlive, detail: string): Step {
  const next = { ...state, asked: undefined };
  return state.answers
    ? go(next, { do: "failed", detail }, rest(state))
    : go({ ...next, in_vain: Math.min(state.in_vain + 1, IN_VAIN_MAX) }, rest(state));
}

function answered(state: KeepAlive, rtt_ms: number | undefined, ...more: readonly KeepAliveEffect[]): Step {
  return go({ ...state, answers: true, asked: undefined }, { do: "answered", rtt_ms }, ...more, rest(state));
}

function bound(state: KeepAlive, asked: Asked, at_ms: number, mapped: Endpoint | undefined): Step {
  // Of a repeated question nobody knows which one was answered.
  const rtt_ms = asked.sendings === 1 ? at_ms - asked.at_ms : undefined;
  const before = state.mapped;
  if (mapped === undefined || (before?.address === mapped.address && before.port === mapped.port)) {
    return answered(state, rtt_ms);
  }
  return answered({ ...state, mapped }, rtt_ms, { do: "mapped", mapped, before });
}
