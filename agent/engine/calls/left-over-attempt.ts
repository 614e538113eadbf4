import type { AttemptOutcome } from "../../base/events.ts";
import { parseMessage } from "../../sip/messages/parse.ts";
import type { CallsContext } from "./call-context.ts";
import type { KeptAttempt } from "./journal.ts";
import { OutgoingInvite } from "./outgoing-invite.ts";

/** A PSAP's telephone rings no longer than this; what is older in the journal rings no more (Timer C, RFC 3261 §16.6). */
const RINGS_MS = 180_000;

/**
 * The leg of an emergency call that an engine before this one left unanswered: somewhere a telephone may ring for it. Its
 * transaction is taken up, so that it can be cancelled; should it be answered, it is released at once.
 */
export class LeftOverAttempt {
  readonly kept: KeptAttempt;
  readonly #context: CallsContext;
  readonly #onEnd: () => void;
  readonly #invite: OutgoingInvite;
  #over = false;

  private constructor(context: CallsContext, kept: KeptAttempt, onEnd: () => void) {
    this.kept = kept;
    this.#context = context;
    this.#onEnd = onEnd;
    const { token, contact, destination } = kept;
    const flow = context.transport.flowTo(destination);
    this.#invite = new OutgoingInvite(
      context,
      { token, contact, flow },
      {
        onProvisional: () => {},
        onAnswer: (fork) => {
          this.#invite.release(fork);
          this.#ended("late_answer_released", 200);
        },
        onRefusal: ({ status }) => this.#ended("released", status),
        onTimeout: () => this.#ended("released", undefined),
        onSendError: () => this.#ended("send_error", undefined),
      },
    );
  }

  /** Undefined when it has rung out by now, or cannot be read. */
  static take(context: CallsContext, kept: KeptAttempt, onEnd: () => void): LeftOverAttempt | undefined {
    const parsed = parseMessage(Buffer.from(kept.message, "base64"));
    const age_ms = context.clock.now() - kept.sent_ms;
    if (!parsed.ok || parsed.message.kind !== "request" || age_ms > RINGS_MS) return undefined;
    const leg = new LeftOverAttempt(context, kept, onEnd);
    leg.#invite.resume(parsed.message, kept.proceeding ? "proceeding" : "calling");
    return leg;
  }

  /** At once where a provisional response had come, else on the first one (RFC 3261 §9.1). */
  cancel(): void {
    if (!this.#over) this.#invite.cancel();
  }

  /** Further 2xx of other forks come here too, and each is released. */
  #ended(outcome: AttemptOutcome, status: number | undefined): void {
    const { call_id, attempt, trunk, path, emergency } = this.kept;
    this.#context.log.info("a leg from before the restart is over", { call: call_id, attempt, trunk, outcome, status });
    if (emergency) {
      const after_ms = Math.round(this.#context.clock.now() - this.kept.sent_ms);
      const data = { attempt, trunk, path, outcome, sip_status: status, after_ms, hedged: false };
      const about = { call_id, incident_id: call_id };
      this.#context.record(this.#context.events("emergency.attempt", "", data, about));
    }
    if (this.#over) return;
    this.#over = true;
    this.#onEnd();
  }
}
