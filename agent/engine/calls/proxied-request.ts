import type { Timer } from "../../base/clock.ts";
import { buildResponse } from "../../sip/messages/build.ts";
import { headerValues } from "../../sip/messages/headers.ts";
import type { Header, SipRequest, SipResponse } from "../../sip/messages/message.ts";
import { type FailoverTransaction, type PeerServers, requestWithFailover } from "../../sip/transactions/failover.ts";
import type { ServerTransaction } from "../../sip/transactions/server-transaction.ts";
import { dropAssertions, isInDialog, withoutOurVia } from "../forwarding.ts";
import type { Trunk } from "../trunks/trunk.ts";
import { ELSEWHERE, GAVE_WAY } from "./incoming-invite.ts";
import { dialogOf } from "./proxy-forks.ts";
import { sessionOf } from "./proxy-media.ts";
import { isDown, isSuspect, mediaParties, type Party, type ProxyContext, type Target } from "./proxy-parties.ts";
import { bestResponse } from "./proxy-responses.ts";

/** Timer C (RFC 3261 §16.6 step 11, §16.8): more than three minutes without a final answer to an INVITE. */
const TIMER_C_MS = 185_000;

/** A trunk that has not said anything by then is asked whether it is there. An INVITE gets its 100 from the next hop. */
const SILENCE_INVITE_MS = 500;
const SILENCE_OTHER_MS = 2000;

const NO_OTHERS: PeerServers = { alternative: () => undefined };

/** Why no branch could be used. */
export type Failure = "no_target" | "timeout" | "transport" | "trunk_down";

interface Branch {
  readonly target: Target;
  readonly started_ms: number;
  client: FailoverTransaction | undefined;
  timerC: Timer | undefined;
  silence: Timer | undefined;
  /** Its silence was noticed, and set off probes. */
  asked: boolean;
  /** Some response came. */
  heard: boolean;
  /** A response above 100 came. */
  progressed: boolean;
  final: SipResponse | undefined;
  /** No response can come any more, or none is waited for. */
  done: boolean;
  failure: Failure | undefined;
}

const NOTHING_OFFERED = () => {};

export interface ProxiedRequestOptions {
  readonly context: ProxyContext;
  readonly tx: ServerTransaction;
  readonly from: Party;
  readonly leg: string;
  /** Passages on the way that were left out: they end with this one. */
  readonly skipped: readonly string[];
  readonly onFailed: ((failure: Failure) => boolean) | undefined;
  readonly otherWay: (() => boolean) | undefined;
  readonly ended: () => void;
}

/** The response context of one forwarded request (RFC 3261 §16.7 to §16.10). */
export class ProxiedRequest {
  readonly #options: ProxiedRequestOptions;
  readonly #branches: Branch[] = [];
  readonly #isInvite: boolean;
  readonly #inDialog: boolean;
  #cancelled = false;
  #answered = false;
  #finalSent = false;
  #ended = false;
  /** Puts the media back to what it was before the offer in this very request. */
  #withdrawOffer: () => void = NOTHING_OFFERED;

  constructor(options: ProxiedRequestOptions) {
    this.#options = options;
    const { request } = options.tx;
    this.#isInvite = request.method === "INVITE";
    this.#inDialog = isInDialog(request);
    options.tx.onCancel((cancel) => this.#cancel(reasonOf(cancel)));
    options.tx.onTimeout(() => this.#end());
  }

  start(branches: readonly { readonly target: Target; readonly request: SipRequest }[]): void {
    const { context } = this.#options;
    const started_ms = context.clock.now();
    for (const { target } of branches) {
      this.#branches.push({
        target,
        started_ms,
        client: undefined,
        timerC: undefined,
        silence: undefined,
        asked: false,
        heard: false,
        progressed: false,
        final: undefined,
        done: false,
        failure: undefined,
      });
    }
    const first = branches[0];
    if (first === undefined) {
      this.#settle("no_target");
      return;
    }
    const { from, leg } = this.#options;
    if (this.#isInvite && !this.#inDialog) context.watcher.started(leg, first.request, from, first.target.party);
    branches.forEach(({ target, request }, i) => {
      const branch = this.#branches[i];
      if (branch === undefined) return;
      if (this.#isInVain(target)) this.#fail(branch, "trunk_down");
      else this.#send(branch, request);
    });
  }

  /**
   * Inside of a dialog a trunk that is known to be dead is not waited for, lest a phone take silence for the end of its
   * call or subscription (RFC 3261 §14.1, RFC 5057 §5.1); a BYE is tried all the same, for the verdict may be wrong.
   */
  #isInVain({ party }: Target): boolean {
    return this.#inDialog && this.#options.tx.request.method !== "BYE" && party.kind === "trunk" && isDown(party.trunk);
  }

  /** Nothing more comes over this trunk. */
  trunkDown(trunk: Trunk): void {
    const { from } = this.#options;
    if (from.kind === "trunk" && from.trunk === trunk) {
      // Nobody is left to hear an answer; the phones that ring are told to stop.
      if (this.#isInvite && !this.#inDialog) this.#cancel();
      return;
    }
    this.#giveUp(trunk, () => true);
  }

  /** An emergency call takes this path: a call that is still being set up over it ends now, and nobody's word is waited for. */
  giveWay(path: string): void {
    const { from, tx, context, leg } = this.#options;
    const over = (party: Party) => party.kind === "trunk" && party.trunk.path.id === path;
    const concerned = over(from) || this.#branches.some(({ done, target }) => !done && over(target.party));
    if (!this.#isInvite || this.#inDialog || this.#finalSent || !concerned) return;
    context.log.warn("a call that is being forwarded gives way to an emergency call", { leg, path });
    this.#cancel([GAVE_WAY]);
    this.#finalSent = true;
    tx.respond(buildResponse(tx.request, 480, { reason: "An emergency call needs the line" }));
    this.#callEnded(480);
  }

  /** The trunk does not answer its probes either: a call that it has not said a word about goes another way. */
  trunkSuspect(trunk: Trunk): void {
    for (const branch of this.#branches) {
      const { party } = branch.target;
      if (branch.done || party.kind !== "trunk" || party.trunk !== trunk || branch.heard || !branch.asked) continue;
      // The trunk's next server has the same time to say a word.
      if (branch.client?.moveOn() === true) this.#listen(branch, trunk);
    }
    if (!this.#isInvite || this.#inDialog || this.#options.otherWay?.() === false) return;
    this.#giveUp(trunk, (branch) => !branch.heard && branch.asked);
  }

  #giveUp(trunk: Trunk, wanted: (branch: Branch) => boolean): void {
    for (const branch of this.#branches) {
      const { party } = branch.target;
      if (branch.done || party.kind !== "trunk" || party.trunk !== trunk || !wanted(branch)) continue;
      branch.client?.cancel();
      this.#fail(branch, "trunk_down");
    }
  }

  #send(branch: Branch, request: SipRequest): void {
    const { context, from, leg } = this.#options;
    const { party } = branch.target;
    const parties = mediaParties(from, party);
    if (parties === undefined) {
      this.#sendNow(branch, request);
      return;
    }
    if (this.#inDialog && sessionOf(request) !== undefined) this.#withdrawOffer = context.media.offered(leg, from.kind);
    context.media.pass(leg, from.kind, parties, request, (message) => this.#sendNow(branch, message));
  }

  #sendNow(branch: Branch, request: SipRequest): void {
    if (this.#ended || branch.done) return;
    const { context } = this.#options;
    const { party } = branch.target;
    if (this.#cancelled) {
      branch.done = true;
      this.#settle("no_target");
      return;
    }
    const { method } = request;
    const { leg, from, tx } = this.#options;
    const sent = context.dialogs.onward(leg, request, from, party, tx.request);
    const { transactions: layer, clock } = context;
    const servers = party.kind === "trunk" ? party.trunk : NO_OTHERS;
    branch.client = requestWithFailover({ layer, clock, servers }, sent, party.flow, {
      onProvisional: (response) => {
        this.#heard(branch, method, response.status);
        this.#provisional(branch, response);
      },
      onFinal: (response) => {
        this.#heard(branch, method, response.status);
        this.#final(branch, response);
      },
      onTimeout: () => {
        this.#fail(branch, "timeout");
      },
      onTransportError: (error) => {
        if (party.kind === "trunk") party.trunk.observe({ kind: "send_error", detail: error.detail });
        this.#fail(branch, "transport");
      },
    });
    if (this.#isInvite) this.#startTimerC(branch);
    if (party.kind === "trunk") this.#listen(branch, party.trunk);
  }

  /** Silence of the trunk is noticed, and sets off probes. */
  #listen(branch: Branch, trunk: Trunk): void {
    const { context, tx } = this.#options;
    branch.asked = false;
    branch.silence?.cancel();
    branch.silence = context.clock.after(this.#isInvite ? SILENCE_INVITE_MS : SILENCE_OTHER_MS, () => {
      branch.asked = true;
      trunk.observe({ kind: "no_response", method: tx.request.method });
      if (isSuspect(trunk)) this.trunkSuspect(trunk);
      trunk.path.suspect(`${tx.request.method} to ${trunk.id} has no answer`);
    });
  }

  #heard(branch: Branch, method: string, status: number): void {
    if (branch.heard) return;
    branch.heard = true;
    branch.silence?.cancel();
    const { party } = branch.target;
    if (party.kind !== "trunk") return;
    const after_ms = this.#options.context.clock.now() - branch.started_ms;
    party.trunk.observe({ kind: "first_response", method, after_ms, status });
  }

  #startTimerC(branch: Branch): void {
    branch.timerC?.cancel();
    branch.timerC = this.#options.context.clock.after(TIMER_C_MS, () => {
      // §16.8: with a provisional, cancel and wait for its end; without one, as if a 408 had come.
      if (branch.heard) branch.client?.cancel();
      else this.#fail(branch, "timeout");
    });
  }

  #provisional(branch: Branch, response: SipResponse): void {
    // Of other requests nothing but a 100 goes back, and that is each hop's own (RFC 4320 §4.1).
    if (response.status === 100 || !this.#isInvite || branch.done || this.#finalSent) return;
    this.#startTimerC(branch);
    if (!branch.progressed && !this.#inDialog) this.#options.context.watcher.ringing(this.#options.leg);
    branch.progressed = true;
    this.#back(branch, response);
  }

  #final(branch: Branch, response: SipResponse): void {
    const { status } = response;
    const again = branch.final !== undefined;
    branch.final = response;
    branch.timerC?.cancel();
    if (status < 300) {
      // Every 2xx to an INVITE goes back, those of other forks and repeated ones too (§16.7 step 5).
      const first = !this.#answered;
      this.#answered = true;
      branch.done = true;
      this.#finalSent = true;
      if (!first && this.#isOver(branch)) {
        this.#backAsItIs(response);
        return;
      }
      this.#back(branch, response);
      this.#dialogMade(response);
      if (first) this.#won(branch);
      return;
    }
    if (again || branch.done) return;
    branch.done = true;
    if (status >= 600) for (const other of this.#branches) if (!other.done) other.client?.cancel();
    this.#settle("timeout");
  }

  /** Hung up before a repeated 2xx came: that one opens no media again. */
  #isOver({ target }: Branch): boolean {
    const { context, from, leg } = this.#options;
    return mediaParties(from, target.party) !== undefined && !context.media.has(leg);
  }

  #backAsItIs(response: SipResponse): void {
    const back = withoutOurVia(response);
    if (back !== undefined) this.#options.tx.respond(back);
  }

  #dialogMade(response: SipResponse): void {
    const { context, leg } = this.#options;
    const dialog = this.#isInvite && !this.#inDialog ? dialogOf(response) : undefined;
    if (dialog !== undefined && context.forks.answered(leg, dialog)) context.media.counts(leg, dialog);
  }

  #won(winner: Branch): void {
    const { context, leg, tx } = this.#options;
    for (const other of this.#branches) if (other !== winner && !other.done) other.client?.cancel([ELSEWHERE]);
    if (this.#isInvite && !this.#inDialog) context.watcher.answered(leg);
    if (tx.request.method === "BYE") this.#callEnded(200);
    this.#maybeEnd();
  }

  #fail(branch: Branch, failure: Failure): void {
    if (branch.done) return;
    branch.done = true;
    branch.failure = failure;
    branch.timerC?.cancel();
    this.#settle(failure);
  }

  /** Once no branch is left that could still answer: the best answer, another way, or ours. */
  #settle(failure: Failure): void {
    if (this.#branches.some((branch) => !branch.done)) return;
    const { tx, onFailed } = this.#options;
    if (!this.#finalSent) {
      this.#finalSent = true;
      const best = bestResponse(this.#branches.flatMap((branch) => branch.final ?? []));
      const branch = this.#branches.find((each) => each.final !== undefined && each.final.status === best?.status);
      if (this.#cancelled && (best === undefined || best.status === 408)) tx.respond(buildResponse(tx.request, 487));
      else if (best !== undefined && branch !== undefined) this.#back(branch, best);
      else if (this.#cancelled || onFailed === undefined || !onFailed(failure)) this.#respondFailure(failure);
      this.#withdrawOffer();
      // A BYE that is asked for credentials comes again: the call is still up.
      const ends = tx.request.method === "BYE" ? !isChallenge(best?.status) : this.#isInvite && !this.#inDialog;
      if (ends) this.#callEnded(best?.status ?? 408);
    }
    this.#maybeEnd();
  }

  #respondFailure(failure: Failure): void {
    const { tx, from } = this.#options;
    // A 408 to anything but INVITE comes too late to be of use (RFC 4320 §4.2).
    if (failure === "timeout" && !this.#isInvite) return;
    // A phone's connection that is gone says nothing about the box: 503 would have the cloud leave all of it alone.
    const flowFailed = from.kind === "trunk" && this.#branches.every(({ failure }) => failure === "transport");
    const status = failure === "timeout" ? 408 : failure === "no_target" ? 480 : flowFailed ? 430 : 503;
    tx.respond(buildResponse(tx.request, status));
  }

  #callEnded(status: number): void {
    const { context, leg, skipped, tx, from } = this.#options;
    if (tx.request.method === "BYE") {
      const left = context.forks.ended(leg, dialogOf(tx.request));
      if (left !== undefined) {
        context.media.counts(leg, left);
        context.dialogs.forkEnded(leg, tx.request);
        return;
      }
    }
    const anchored = this.#branches.some(({ target }) => mediaParties(from, target.party) !== undefined);
    for (const each of skipped.length > 0 || anchored ? [leg, ...skipped] : []) {
      context.media.close(each);
      context.dialogs.ended(each);
    }
    for (const each of skipped) context.watcher.ended(each, from, "hung up");
    if (tx.request.method === "BYE") context.watcher.ended(leg, from, "hung up");
    else if (isChallenge(status)) context.watcher.challenged(leg);
    else context.watcher.ended(leg, from, this.#cancelled ? "cancelled" : `refused with ${status}`);
  }

  #back(branch: Branch, response: SipResponse): void {
    const back = withoutOurVia(response);
    if (back === undefined) return;
    const { tx, context, from, leg } = this.#options;
    const { party } = branch.target;
    const parties = mediaParties(from, party);
    if (parties === undefined) {
      if (party.kind === "phone" && from.kind === "phone") dropAssertions(back);
      tx.respond(back);
      return;
    }
    context.media.pass(leg, party.kind, parties, back, (message) => {
      tx.respond(context.dialogs.back(leg, message, from, party, tx.request));
    });
  }

  /** `reason`: as the caller's side gave it, for each phone (RFC 3326). */
  #cancel(reason?: readonly Header[]): void {
    if (this.#cancelled || this.#finalSent) return;
    this.#cancelled = true;
    for (const branch of this.#branches) {
      if (branch.done) continue;
      const { party } = branch.target;
      branch.client?.cancel(reason);
      // Nobody will ever answer the CANCEL.
      if (party.kind === "trunk" && isDown(party.trunk) && !branch.progressed) this.#fail(branch, "trunk_down");
    }
  }

  #maybeEnd(): void {
    if (this.#branches.every((branch) => branch.done)) this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const branch of this.#branches) {
      branch.timerC?.cancel();
      branch.silence?.cancel();
    }
    this.#options.ended();
  }
}

/** CANCEL is each hop's own; why it was sent is not, and tells a phone that it has missed nothing (RFC 3326 §2). */
function reasonOf(cancel: SipRequest): readonly Header[] {
  return headerValues(cancel, "Reason").map((value) => ({ name: "Reason", value }));
}

function isChallenge(status: number | undefined): boolean {
  return status === 401 || status === 407;
}
