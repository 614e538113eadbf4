import type { AttemptOutcome } from "../../base/events.ts";
import type { RouteFacts } from "./attempt-timing.ts";

export interface Attempt {
  /** 1, 2, … in the order of starting. */
  readonly id: number;
  readonly trunk: string;
  readonly phase: AttemptPhase;
  /** The next attempt was started because of this one, while it went on. */
  readonly hedged: boolean;
  /** Location goes with it. */
  readonly location: boolean;
  /** So many times it was sent with credentials. */
  readonly proofs: number;
}

export type AttemptPhase =
  /** Sent; nothing came back. */
  | "trying"
  /** 100. */
  | "proceeding"
  /** 181, 183 and the like: the far side works on it. */
  | "progressing"
  /** 180 or 182. */
  | "ringing"
  | "answered"
  /** Cancelled, its final response is awaited. */
  | "releasing"
  | "over";

export interface AttemptsState {
  readonly name:
    | "calling"
    /** Every route failed; another round begins after a pause. */
    | "waiting"
    /** The caller was asked for credentials and may come back with them. */
    | "challenged"
    | "answered"
    | "ended";
  /** In the plan's order. */
  readonly routes: readonly RouteFacts[];
  readonly attempts: readonly Attempt[];
  /** Trunks that were started in this round. */
  readonly started: readonly string[];
  readonly round: number;
  /** The attempt whose early media the caller hears. */
  readonly early: number | undefined;
  readonly ringing: boolean;
  readonly bridged: { readonly attempt: number; readonly fork: string } | undefined;
  /** Trunks that refused location (424) or its body: from now on without. */
  readonly without_location: readonly string[];
  /** The last attempt whose challenge only the caller could answer. */
  readonly challenged: number | undefined;
  /** The bridged leg's path is bad since the last verdict. */
  readonly path_lost: "no" | "suspected" | "announced";
}

export type Challenged = "box" | "stale" | "caller";

export type AttemptTimer = "no_response" | "ring" | "progress" | "round" | "path_lost" | "challenge";

export type AttemptsInput =
  | { readonly type: "start" }
  | {
      readonly type: "provisional";
      readonly attempt: number;
      readonly status: number;
      /** It carried SDP: the caller can hear it. */
      readonly early_media: boolean;
    }
  /** A 2xx. `fork` is its To-tag: a proxy on the way may bring several. */
  | {
      readonly type: "answer";
      readonly attempt: number;
      readonly fork: string;
      /** No sound can come of it: it describes none. */
      readonly mute?: boolean;
    }
  /**
   * A final response other than 2xx; `challenge`: who can answer its 401 or 407, if it is one. `stale`: the box can, and the
   * answer that it gave was right but for a nonce that had expired.
   */
  | {
      readonly type: "refusal";
      readonly attempt: number;
      readonly status: number;
      readonly challenge: Challenged | undefined;
    }
  | { readonly type: "send_error"; readonly attempt: number }
  /** The transaction ended without a final response. */
  | { readonly type: "timeout"; readonly attempt: number }
  | { readonly type: "timer"; readonly timer: AttemptTimer; readonly attempt: number }
  /** Health, delay or learned times changed. */
  | { readonly type: "facts"; readonly routes: readonly RouteFacts[] }
  /** Answer to `check_media`: whether sound comes in from that attempt. */
  | { readonly type: "media"; readonly attempt: number; readonly flowing: boolean }
  /** The caller came back with credentials. */
  | { readonly type: "credentials" }
  | { readonly type: "caller_cancel" }
  | { readonly type: "caller_bye" }
  | { readonly type: "callee_bye"; readonly attempt: number; readonly fork: string };

export type AttemptsEffect =
  | {
      readonly type: "start";
      readonly attempt: number;
      readonly trunk: string;
      readonly location: boolean;
      /** With the credentials that the caller gave. */
      readonly credentials: boolean;
      readonly retransmit_at_ms: readonly number[];
    }
  /** The same attempt again, with credentials of the box's own or without location. */
  | {
      readonly type: "resend";
      readonly attempt: number;
      readonly trunk: string;
      readonly location: boolean;
      readonly credentials: boolean;
      readonly retransmit_at_ms: readonly number[];
    }
  /** With the INVITE of this attempt a burst of probes on path and trunk leaves, judged within 250 ms. */
  | { readonly type: "probe"; readonly attempt: number; readonly trunk: string }
  /** Every other call on this path gives way now. */
  | { readonly type: "preempt"; readonly path: string }
  | { readonly type: "arm"; readonly timer: AttemptTimer; readonly attempt: number; readonly after_ms: number }
  /** All timers of an attempt; 0: those of the call. */
  | { readonly type: "disarm"; readonly attempt: number }
  | { readonly type: "ring_caller"; readonly attempt: number }
  | { readonly type: "early_media"; readonly attempt: number }
  | { readonly type: "answer_caller"; readonly attempt: number; readonly fork: string }
  | { readonly type: "cancel"; readonly attempt: number }
  /** Its INVITE, cancelled and without any response, is repeated no more: the call that it was for is over. */
  | { readonly type: "quiet"; readonly attempt: number }
  /** ACK, and BYE at once. */
  | { readonly type: "release"; readonly attempt: number; readonly fork: string }
  | { readonly type: "hang_up_callee"; readonly attempt: number; readonly fork: string }
  | { readonly type: "hang_up_caller" }
  | { readonly type: "refuse_caller"; readonly status: number; readonly reason: string }
  | { readonly type: "challenge_caller"; readonly attempt: number }
  | { readonly type: "check_media"; readonly attempt: number }
  /** Tell the caller to hang up and dial again; the redial leaves this trunk's path out. */
  | { readonly type: "announce_dial_again"; readonly trunk: string }
  | {
      readonly type: "record";
      readonly attempt: number;
      readonly trunk: string;
      readonly outcome: AttemptOutcome;
      readonly status: number | undefined;
      readonly hedged: boolean;
    }
  | { readonly type: "ended"; readonly by: "caller" | "psap" | "box"; readonly cause: string };

/** After all routes failed everything is tried again, so often altogether. */
export const ROUNDS = 3;

export function attemptsOf(routes: readonly RouteFacts[]): AttemptsState {
  return {
    name: "calling",
    routes,
    attempts: [],
    started: [],
    round: 1,
    early: undefined,
    ringing: false,
    bridged: undefined,
    without_location: [],
    challenged: undefined,
    path_lost: "no",
  };
}

/** Nothing is left to do for any leg: the call object may go. */
export function finished(state: AttemptsState): boolean {
  return state.name === "ended" && state.attempts.every(({ phase }) => phase === "over");
}
