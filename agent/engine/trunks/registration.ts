import { go, type Transition } from "../../base/fsm.ts";

/**
 * The box's own registration at a trunk (RFC 3261 §10.2), as a pure machine: refresh at about 80 % of what was granted,
 * 423 obeyed, a digest challenge answered once (again when it was only stale), and after failures waits that double
 * and are drawn at random (RFC 5626 §4.5), so that thousands of boxes do not come at once.
 */
export type RegistrationPhase = "idle" | "trying" | "registered" | "waiting";

export interface Registration {
  readonly phase: RegistrationPhase;
  /** Monotonic ms at which the binding lapses; the registration counts until then. */
  readonly valid_until_ms: number | undefined;
  readonly ask_expires_s: number;
  readonly failures: number;
  /** Challenges answered in this round. */
  readonly answered: number;
  /** The registrar said no to these credentials. */
  readonly refused: boolean;
}

export type RegistrationInput = { readonly at_ms: number } & (
  | { readonly kind: "start" }
  | {
      readonly kind: "challenged";
      readonly stale: boolean;
      /** False when it cannot be answered (unknown algorithm). */
      readonly answerable: boolean;
    }
  | { readonly kind: "accepted"; readonly expires_s: number }
  /** A NAT has moved us: what is registered leads nowhere (RFC 5626 §4.4.2). */
  | { readonly kind: "moved" }
  /** 439: the same again without asking for outbound (RFC 5626 §11.6). */
  | { readonly kind: "without_outbound" }
  | { readonly kind: "too_brief"; readonly min_expires_s: number }
  | { readonly kind: "rejected"; readonly status: number; readonly retry_after_s: number | undefined }
  /** No response, or it could not be sent. */
  | { readonly kind: "failed" }
  | { readonly kind: "due" }
  /** The path or the flow is gone: a new flow needs a new registration. */
  | { readonly kind: "stop" }
);

export type RegistrationEffect =
  | { readonly do: "register"; readonly expires_s: number; readonly with_answer: boolean }
  | { readonly do: "due_at"; readonly at_ms: number }
  | { readonly do: "cancel_due" };

type Step = Transition<Registration, RegistrationEffect>;

/** RFC 5626 §4.5, for one flow: that is all of them. */
const BASE_WAIT_S = 30;
const MAX_WAIT_S = 1_800;
/** Wrong credentials do not become right by trying. */
const REFUSED_WAIT_S = 600;
/** A Retry-After is obeyed up to this. */
const LONGEST_ASKED_S = 3_600;
/** A registration under an address that is no longer ours counts until its successor should be there. */
const MOVED_GRACE_MS = 10_000;
const REFRESH_AT = 0.8;
const MAX_EXPIRES_S = 86_400;

export function initialRegistration(expires_s: number): Registration {
  return {
    phase: "idle",
    valid_until_ms: undefined,
    ask_expires_s: expires_s,
    failures: 0,
    answered: 0,
    refused: false,
  };
}

export function isRegistered(registration: Registration, now_ms: number): boolean {
  return registration.valid_until_ms !== undefined && registration.valid_until_ms > now_ms;
}

/** `random` gives 0 … 1. */
export function registrationMachine(random: () => number) {
  return (registration: Registration, input: RegistrationInput): Step => step(registration, input, random);
}

function step(registration: Registration, input: RegistrationInput, random: () => number): Step {
  // What answers a request that is no longer waited for changes nothing.
  const command = input.kind === "start" || input.kind === "due" || input.kind === "stop" || input.kind === "moved";
  if (!command && registration.phase !== "trying") return go(registration);
  switch (input.kind) {
    case "start":
    case "due":
      if (registration.phase === "trying") return go(registration);
      return go(
        { ...registration, phase: "trying", answered: 0 },
        { do: "cancel_due" },
        { do: "register", expires_s: registration.ask_expires_s, with_answer: false },
      );
    case "challenged": {
      const again = registration.answered === 0 || (input.stale && registration.answered < 3);
      if (!again || !input.answerable) return refuse(registration, input.at_ms, random);
      return go(
        { ...registration, answered: registration.answered + 1 },
        { do: "register", expires_s: registration.ask_expires_s, with_answer: true },
      );
    }
    case "accepted": {
      const expires_s = Math.max(1, Math.min(input.expires_s, MAX_EXPIRES_S));
      // 75 to 85 %: boxes that started together drift apart.
      const refresh_ms = expires_s * 1000 * (REFRESH_AT - 0.05 + 0.1 * random());
      return go(
        {
          ...registration,
          phase: "registered",
          valid_until_ms: input.at_ms + expires_s * 1000,
          failures: 0,
          answered: 0,
          refused: false,
        },
        { do: "due_at", at_ms: input.at_ms + refresh_ms },
      );
    }
    case "moved": {
      if (registration.phase === "idle") return go(registration);
      const { valid_until_ms } = registration;
      const lapses_ms = input.at_ms + MOVED_GRACE_MS;
      return go(
        {
          ...registration,
          phase: "trying",
          answered: 0,
          valid_until_ms: valid_until_ms === undefined ? undefined : Math.min(valid_until_ms, lapses_ms),
        },
        { do: "cancel_due" },
        { do: "register", expires_s: registration.ask_expires_s, with_answer: false },
      );
    }
    case "without_outbound":
      return go(registration, {
        do: "register",
        expires_s: registration.ask_expires_s,
        with_answer: registration.answered > 0,
      });
    case "too_brief":
      if (input.min_expires_s <= registration.ask_expires_s || input.min_expires_s > MAX_EXPIRES_S) {
        return wait(registration, input.at_ms, undefined, random);
      }
      return go(
        { ...registration, ask_expires_s: input.min_expires_s },
        { do: "register", expires_s: input.min_expires_s, with_answer: registration.answered > 0 },
      );
    case "rejected":
      if (input.status === 403 || input.status === 404) return refuse(registration, input.at_ms, random);
      return wait(registration, input.at_ms, input.retry_after_s, random);
    case "failed":
      return wait(registration, input.at_ms, undefined, random);
    case "stop":
      return go(
        { ...registration, phase: "idle", valid_until_ms: undefined, answered: 0, failures: 0 },
        { do: "cancel_due" },
      );
  }
}

function refuse(registration: Registration, at_ms: number, random: () => number): Step {
  const next = { ...registration, refused: true, valid_until_ms: undefined };
  return wait(next, at_ms, REFUSED_WAIT_S, random);
}

function wait(registration: Registration, at_ms: number, asked_s: number | undefined, random: () => number): Step {
  const longest_s = Math.min(MAX_WAIT_S, BASE_WAIT_S * 2 ** Math.min(registration.failures, 10));
  const wait_s = Math.max(asked_s ?? 0, longest_s * (0.5 + 0.5 * random()));
  return go(
    { ...registration, phase: "waiting", failures: registration.failures + 1, answered: 0 },
    { do: "due_at", at_ms: at_ms + Math.min(wait_s, LONGEST_ASKED_S) * 1000 },
  );
}
