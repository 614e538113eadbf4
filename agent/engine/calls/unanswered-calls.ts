import type { Timer } from "../../base/clock.ts";
import { errorText } from "../../base/errors.ts";
import { callIdOf } from "../../sip/messages/headers.ts";
import { parseMessage } from "../../sip/messages/parse.ts";
import { printMessage } from "../../sip/messages/print.ts";
import type { ServerTransaction } from "../../sip/transactions/server-transaction.ts";
import type { CallsContext } from "./call-context.ts";
import type { CallJournal, KeptAttempt, KeptInvite, KeptStart } from "./journal.ts";
import { LeftOverAttempt } from "./left-over-attempt.ts";

/** After a restart an unanswered emergency call is taken anew when it is no older: people hang up and dial again. */
const TAKE_AGAIN_MS = 30_000;
/** How long an engine that has just started waits for its trunks' sockets and for the media process. */
const READY_WITHIN_MS = 500;
const READY_AGAIN_MS = 5;
/** A leg from before the restart rings no longer than this beside the call that was taken anew. */
const LEFT_OVER_MS = 2000;
const CLOSE_AGAIN_MS = 1000;
const CLOSE_TRIES = 30;

/** What the journal has of calls that had no answer when the engine before this one died. */
export type Unanswered = Pick<ReturnType<CallJournal["load"]>, "unanswered" | "invites" | "starts" | "attempts">;

/**
 * Emergency calls that an engine leaves unanswered when it dies: the next one takes the caller's INVITE anew, ends the legs that
 * ring for the old one, and closes its ports.
 */
export class UnansweredCalls {
  readonly #context: CallsContext;
  readonly #journal: CallJournal;
  readonly #timers = new Set<Timer>();
  /** Call-IDs of callers' INVITEs that were taken anew: once, lest one of them kills every engine. */
  readonly #takenAgain = new Set<string>();
  /** Those of them that have rung nowhere yet. */
  readonly #awaited = new Set<string>();
  /** Legs that may ring somewhere, and whose trunk has no socket yet. */
  readonly #toEnd = new Set<KeptAttempt>();
  readonly #leftOver = new Set<LeftOverAttempt>();
  #closed = false;

  constructor(context: CallsContext, journal: CallJournal) {
    this.#context = context;
    this.#journal = journal;
  }

  async resume({ unanswered, invites, starts, attempts }: Unanswered): Promise<void> {
    for (const start of starts) this.#recordEnd(start);
    this.#whenReady(this.#context.clock.now() + READY_WITHIN_MS, () => {
      for (const id of unanswered) this.#journal.remove(id);
      for (const invite of invites) this.#takeAgain(invite);
      for (const attempt of attempts) this.#toEnd.add(attempt);
      this.#endLeftOver();
    });
    await this.#closePorts(unanswered, CLOSE_TRIES);
  }

  /** Who looks has seen it begin; taken anew it is another call. */
  #recordEnd({ id, subject, data }: KeptStart): void {
    const end = { ...data, duration_ms: 0, ended_by: "box", cause: "the engine was started anew" } as const;
    this.#context.record(this.#context.events("emergency.ended", subject, end, { call_id: id, incident_id: id }));
  }

  trunkChanged(): void {
    this.#endLeftOver();
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) timer.cancel();
  }

  /**
   * A call that is taken anew in the first milliseconds would find no trunk with a socket and no relay, and be sent without
   * sound or not at all. Both come within a few ms; what has not come by `until_ms` is not waited for.
   */
  #whenReady(until_ms: number, then: () => void): void {
    const { clock, relay, trunks } = this.#context;
    const ready = relay.connected && trunks.all().every(({ flow }) => flow !== undefined && !flow.closed);
    if (ready || clock.now() >= until_ms) then();
    else this.#after(READY_AGAIN_MS, () => this.#whenReady(until_ms, then));
  }

  /** Over TCP the caller's connection ended with the engine, and it knows; over UDP it waits for an answer. */
  begun(call_id: string, { request, flow }: ServerTransaction): void {
    const again = this.#takenAgain.has(callIdOf(request) ?? "");
    const { local, remote } = flow;
    const message = Buffer.from(printMessage(request)).toString("base64");
    const invite: KeptInvite = { v: 1, began_ms: this.#context.clock.now(), message, local, remote };
    this.#journal.begin(call_id, again || flow.protocol !== "udp" ? undefined : invite);
  }

  #takeAgain({ began_ms, message, local, remote }: KeptInvite): void {
    const { clock, log, transport, transactions } = this.#context;
    const age_ms = Math.round(clock.now() - began_ms);
    const parsed = parseMessage(Buffer.from(message, "base64"));
    if (age_ms > TAKE_AGAIN_MS || !parsed.ok || parsed.message.kind !== "request") return;
    const { address, port } = remote;
    const flow = transport.flowTo({
      protocol: "udp",
      address,
      port,
      local_address: local.address,
      local_port: local.port,
    });
    this.#takenAgain.add(callIdOf(parsed.message) ?? "");
    this.#awaited.add(callIdOf(parsed.message) ?? "");
    log.warn("an emergency call that was not answered is taken anew", { age_ms, source: `${address}:${port}` });
    transactions.takeAgain(parsed.message, flow);
  }

  /**
   * Somewhere a telephone rings for a call that the engine before this one made. It is cancelled as soon as the call that was
   * taken anew rings elsewhere, so that the caller is never without one; at once when there is no such call. A trunk that
   * has no socket yet is waited for.
   */
  #endLeftOver(): void {
    for (const kept of [...this.#toEnd]) {
      const trunk = this.#context.trunks.get(kept.trunk);
      if (trunk !== undefined && trunk.flow === undefined) continue;
      this.#toEnd.delete(kept);
      const forget = () => {
        this.#journal.forgetAttempt(kept.call_id, kept.attempt);
        if (leg !== undefined) this.#leftOver.delete(leg);
      };
      const leg = LeftOverAttempt.take(this.#context, kept, forget);
      if (leg === undefined) forget();
      else if (!this.#awaited.has(kept.caller_call_id ?? "")) leg.cancel();
      else {
        this.#leftOver.add(leg);
        this.#after(LEFT_OVER_MS, () => leg.cancel());
      }
    }
  }

  /** A call rings, is answered or has ended; `caller_call_id` is the Call-ID of its caller's INVITE. */
  progressed(caller_call_id: string | undefined): void {
    if (caller_call_id === undefined) return;
    this.#awaited.delete(caller_call_id);
    for (const leg of this.#leftOver) if (leg.kept.caller_call_id === caller_call_id) leg.cancel();
  }

  /** Ports of calls that had not been answered when the engine died: nobody else will close those. */
  async #closePorts(ids: readonly string[], tries: number): Promise<void> {
    if (ids.length === 0 || tries === 0) return;
    const { relay, log } = this.#context;
    try {
      await Promise.all(ids.map((id) => relay.closeCall(id)));
    } catch (error) {
      // The media process may come later than the engine.
      log.debug("media relay", { what: "closeCall", error: errorText(error) });
      this.#after(CLOSE_AGAIN_MS, () => void this.#closePorts(ids, tries - 1));
    }
  }

  #after(delay_ms: number, work: () => void): void {
    if (this.#closed) return;
    const timer = this.#context.clock.after(delay_ms, () => {
      this.#timers.delete(timer);
      work();
    });
    this.#timers.add(timer);
  }
}
