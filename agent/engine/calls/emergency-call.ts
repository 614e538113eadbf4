import { Runner } from "../../base/fsm.ts";
import { token } from "../../base/ids.ts";
import type { CallStatus } from "../../base/status.ts";
import { buildResponse } from "../../sip/messages/build.ts";
import { callIdOf, cseqOf, headerValues } from "../../sip/messages/headers.ts";
import type { SipRequest } from "../../sip/messages/message.ts";
import { tagOf } from "../../sip/messages/name-addr.ts";
import type { ServerTransaction } from "../../sip/transactions/server-transaction.ts";
import type { RouteFacts } from "../emergency/attempt-timing.ts";
import { attempts } from "../emergency/attempts.ts";
import {
  type AttemptsEffect,
  type AttemptsInput,
  type AttemptsState,
  attemptsOf,
  finished,
} from "../emergency/attempts-state.ts";
import type { EmergencyTarget } from "../emergency/classify.ts";
import { routeFacts } from "../emergency/emergency-routes.ts";
import type { Path } from "../paths/path.ts";
import type { Trunk } from "../trunks/trunk.ts";
import { AttemptTimers } from "./attempt-timers.ts";
import { Bridge, type End } from "./bridge.ts";
import type { CallsContext, OwnedCall } from "./call-context.ts";
import { announcementCodec, CallMedia, type MediaSide, mediaSide, sameMedia } from "./call-media.ts";
import { answererFor } from "./credentials.ts";
import { earlyResponse } from "./early-requests.ts";
import { EmergencyAttempt, sideTowards } from "./emergency-attempt.ts";
import { type Answered, type EmergencyFacts, EmergencyRecords } from "./emergency-records.ts";
import { ELSEWHERE, IncomingInvite } from "./incoming-invite.ts";
import type { CallJournal, CallRecord } from "./journal.ts";
import { Leg } from "./leg.ts";
import { DeadPathExit } from "./moving/dead-path-exit.ts";

/** What an emergency call asks of the collection that it is in. */
export interface EmergencyHost {
  readonly journal: CallJournal;
  /** It has not been answered: a killed engine's successor is to know of it. */
  begun(call: EmergencyCall, tx: ServerTransaction): void;
  own(token: string, call: OwnedCall): void;
  /** The caller has been told of ringing or an answer, or the call has ended. */
  progressed(call: EmergencyCall): void;
  /** Every other call on this path ends now. */
  preempt(path: string, by: string): void;
  /** Paths that count as down for a call of this class: an answered 911 call fell silent on them just now, or a drill says so. */
  deadPaths(kind: EmergencyTarget["class"]): ReadonlySet<string>;
  pathLost(path: string): void;
  /** An attempt left the box, was answered, or the call ended: the PSAP may call back from now on. */
  reached(call: EmergencyCall): void;
  /** Nothing is left of it. */
  gone(call: OwnedCall): void;
}

/** Carries out what the attempts machine decides: one caller, several attempts, one of them bridged. */
export class EmergencyCall implements OwnedCall {
  readonly id: string;
  readonly emergency: boolean;
  readonly facts: EmergencyFacts;
  readonly started_wall: number;
  readonly #context: CallsContext;
  readonly #host: EmergencyHost;
  readonly #media: CallMedia;
  readonly #machine: Runner<AttemptsState, AttemptsInput, AttemptsEffect>;
  readonly #running = new Map<number, EmergencyAttempt>();
  /** Ports opened ahead, by trunk. */
  readonly #prepared = new Map<string, MediaSide>();
  readonly #timers: AttemptTimers;
  readonly #callerSide: MediaSide;
  #caller: IncomingInvite | undefined;
  #bridge: Bridge | undefined;
  #answered: Answered | undefined;
  #ended = false;
  #abandoned = false;
  /** An INVITE has left the box. */
  #sent = false;
  /** What the caller has still to be told after its ACK: the answered attempt speaks otherwise than its early media. */
  #reoffer: string | undefined;
  #resumedSdp: string | undefined;
  readonly exit: DeadPathExit;
  readonly #records: EmergencyRecords;

  private constructor(parts: {
    context: CallsContext;
    host: EmergencyHost;
    facts: EmergencyFacts;
    id: string;
    state: AttemptsState;
    callerSide: MediaSide;
    started_wall: number;
    started_ms: number;
  }) {
    this.#context = parts.context;
    this.#host = parts.host;
    this.facts = parts.facts;
    this.id = parts.id;
    this.emergency = parts.facts.target.class === "sos";
    this.started_wall = parts.started_wall;
    this.#callerSide = parts.callerSide;
    this.#media = new CallMedia(parts.context, parts.id, true);
    this.#machine = new Runner(attempts, parts.state, (effect, state) => this.#perform(effect, state));
    this.#timers = new AttemptTimers(parts.context.clock, (timer, attempt) =>
      this.#feed({ type: "timer", timer, attempt }),
    );
    this.#records = new EmergencyRecords(parts);
    this.exit = new DeadPathExit({
      ...parts.context,
      bridge: () => this.#bridge,
      on: () => (this.#answered === undefined ? undefined : { ...this.#answered, end: "callee" }),
      moved: (to, took_ms) => this.#moved(to, took_ms),
    });
  }

  /** Takes the INVITE of a caller; nothing can refuse it any more. */
  static take(
    context: CallsContext,
    host: EmergencyHost,
    facts: EmergencyFacts,
    trunks: readonly Trunk[],
    tx: ServerTransaction,
    local: { readonly address: string | undefined; readonly contact_address: string; readonly port: number },
  ): EmergencyCall {
    const call = new EmergencyCall({
      context,
      host,
      facts,
      id: token(12),
      state: attemptsOf(trunks.map((trunk) => routeFacts(trunk, host.deadPaths(facts.target.class)))),
      callerSide: mediaSide("caller", local.address, tx.flow.remote.address),
      started_wall: context.clock.wall(),
      started_ms: context.clock.now(),
    });
    call.#take(tx, { address: local.contact_address, port: local.port });
    return call;
  }

  /** An answered call from the journal of the engine before this one. */
  static resume(
    context: CallsContext,
    host: EmergencyHost,
    facts: EmergencyFacts,
    record: CallRecord,
  ): EmergencyCall | undefined {
    const trunk = record.trunk === undefined ? undefined : context.trunks.get(record.trunk);
    const config = context.config();
    const answerer = trunk === undefined ? undefined : answererFor(trunk, facts.identity.extension, config);
    const caller = Leg.resume(context, record.caller.leg);
    const callee = Leg.resume(context, record.callee.leg, answerer);
    if (caller === undefined || callee === undefined) return undefined;
    const fork = callee.dialog.remoteTag;
    const route: readonly RouteFacts[] =
      trunk === undefined ? [] : [routeFacts(trunk, host.deadPaths(facts.target.class))];
    const call = new EmergencyCall({
      context,
      host,
      facts,
      id: record.id,
      state: {
        ...attemptsOf(route),
        name: "answered",
        attempts: [
          {
            id: 1,
            trunk: record.trunk ?? "",
            phase: "answered",
            hedged: false,
            location: true,
            proofs: 1,
          },
        ],
        bridged: { attempt: 1, fork },
      },
      callerSide: record.caller.side,
      started_wall: record.started_wall,
      started_ms: record.started_ms,
    });
    call.#resumedSdp = record.caller_sdp;
    call.#answered = {
      wall: record.answered_wall,
      ms: record.answered_ms,
      trunk: record.trunk ?? "",
      path: record.path ?? "",
    };
    call.#connect(caller, callee, record.callee.side, 1, fork);
    host.own(caller.token, call);
    host.own(callee.token, call);
    return call;
  }

  /** Call-ID of the caller's INVITE; undefined for a call from the journal. */
  get callerCallId(): string | undefined {
    return this.#caller === undefined ? undefined : callIdOf(this.#caller.request);
  }

  /** A phone's repeated or forked INVITE of this very call (RFC 3261 §8.2.2.2). */
  isMergedWith(request: SipRequest): boolean {
    const mine = this.#caller?.request;
    return (
      mine !== undefined &&
      callIdOf(mine) === callIdOf(request) &&
      tagOf(mine, "From") === tagOf(request, "From") &&
      cseqOf(mine)?.seq === cseqOf(request)?.seq
    );
  }

  /** Whether this INVITE brings the credentials that the caller of this call was asked for. */
  awaits(request: SipRequest): boolean {
    const mine = this.#caller?.request;
    return (
      this.#machine.state.name === "challenged" &&
      mine !== undefined &&
      callIdOf(mine) === callIdOf(request) &&
      tagOf(mine, "From") === tagOf(request, "From")
    );
  }

  comeBack(tx: ServerTransaction): void {
    this.#caller?.comeBack(tx);
    this.#caller?.trying();
    this.#feed({ type: "credentials" });
  }

  inDialog(id: string, tx: ServerTransaction): void {
    const end = this.#bridge?.endOf(id);
    if (end !== undefined) this.#bridge?.take(end, tx);
    else if (tx.request.method === "PRACK" && this.#caller?.token === id) this.#caller.prack(tx);
    else this.#inEarlyDialog(id, tx);
  }

  /** Before an answer, or while it is passed on, there is nobody whom a request could be passed to. */
  #inEarlyDialog(id: string, tx: ServerTransaction): void {
    const { method } = tx.request;
    if (this.#ended) tx.respond(buildResponse(tx.request, method === "BYE" ? 200 : 481));
    else if (this.#caller?.token === id) {
      tx.respond(earlyResponse(tx.request, "peer"));
      // A caller may end an early dialog by BYE as well (RFC 3261 §15).
      if (method === "BYE") this.#feed({ type: "caller_cancel" });
    } else this.#ofAttempt(id, tx);
  }

  #ofAttempt(id: string, tx: ServerTransaction): void {
    const attempt = [...this.#running.values()].find(({ token }) => token === id);
    const { bridged, attempts: all } = this.#machine.state;
    const phase = all.find((each) => each.id === attempt?.id)?.phase;
    if (attempt === undefined || phase === "over") {
      tx.respond(buildResponse(tx.request, tx.request.method === "BYE" ? 200 : 481));
      return;
    }
    tx.respond(earlyResponse(tx.request, "us"));
    const fork = tagOf(tx.request, "From") ?? "";
    if (tx.request.method === "BYE" && bridged?.attempt === attempt.id && bridged.fork === fork) {
      this.#feed({ type: "callee_bye", ...bridged });
    }
  }

  onAck(id: string, ack: SipRequest): void {
    if (this.#caller?.token === id) this.#caller.acked(ack);
    const end = this.#bridge?.endOf(id);
    if (end !== undefined) this.#bridge?.acked(end, ack);
  }

  pathChanged(path: Path): void {
    this.exit.pathChanged(path);
    this.#newFacts(({ trunk }) => trunk.path.id === path.id);
  }

  trunkChanged(changed: Trunk): void {
    this.#newFacts(({ trunk }) => trunk.id === changed.id);
  }

  abandon(): void {
    this.#abandoned = true;
    this.exit.stop();
    this.#timers.stop();
    this.#caller?.stop();
    this.#bridge?.abandon();
  }

  giveWay(path: string): void {
    // A test call gives way; a real one never does.
    if (!this.emergency && this.#answered?.path === path) this.#feed({ type: "caller_bye" });
  }

  status(): CallStatus | undefined {
    const { state } = this.#machine;
    if (this.#ended) return undefined;
    const alive = [...this.#running.values()].at(-1);
    return {
      call_id: this.id,
      kind: this.emergency ? "emergency" : "outbound",
      state: state.name === "answered" ? "answered" : state.ringing ? "ringing" : "trying",
      caller: this.facts.identity.extension?.number ?? this.facts.callerNumber,
      callee: this.facts.target.digits,
      trunk: this.#answered?.trunk ?? alive?.trunk.id,
      path: this.#answered?.path ?? alive?.trunk.path.id,
      since_wall: this.started_wall,
      location_lines: this.facts.location.lines,
      callback_number: this.facts.callerNumber,
    };
  }

  /** Where it was answered; undefined before. */
  get answeredBy(): { readonly trunk: string; readonly path: string; readonly wall: number } | undefined {
    return this.#answered;
  }

  #take(tx: ServerTransaction, local: { readonly address: string; readonly port: number }): void {
    this.#caller = new IncomingInvite(this.#context, tx, local, {
      onCancel: () => this.#feed({ type: "caller_cancel" }),
      onAck: (sdp) => this.#callerAcked(sdp),
      // Nobody but the PSAP or the caller ends it: sound may flow although the ACK is lost.
      onNoAck: () => this.#context.log.warn("the caller's phone has not acknowledged the answer", { call: this.id }),
    });
    this.#caller.trying();
    this.#host.own(this.#caller.token, this);
    const { data } = this.facts;
    this.#context.log.info("emergency call", { call: this.id, class: this.facts.target.class, dialled: data.dialled });
    this.#records.started();
    this.#feed({ type: "start" });
    // After the attempt has been started: nothing that can wait stands before it.
    if (this.#ended) return;
    this.#prepareOthers();
    this.#host.begun(this, tx);
    this.#records.keepStart();
  }

  #feed(input: AttemptsInput): void {
    if (this.#abandoned) return;
    this.#machine.feed(input);
    this.#closeSpent();
    if (!finished(this.#machine.state)) return;
    this.#timers.stop();
    this.#host.gone(this);
  }

  /** Ports of attempts that are through. */
  #closeSpent(): void {
    const { attempts: all, bridged } = this.#machine.state;
    if (bridged !== undefined) {
      for (const side of this.#prepared.values()) this.#media.closeSide(side);
      this.#prepared.clear();
    }
    for (const { id, phase } of all) {
      const attempt = this.#running.get(id);
      if (phase !== "over" || attempt === undefined) continue;
      if (id !== bridged?.attempt) this.#media.closeSide(attempt.side);
      this.#records.forget(id);
    }
  }

  #newFacts(concerns: (route: { readonly trunk: Trunk }) => boolean): void {
    const dead = this.#host.deadPaths(this.facts.target.class);
    const routes = this.#machine.state.routes.flatMap(({ trunk: id }) => {
      const trunk = this.#context.trunks.get(id);
      const carrier = this.#carrierOf(id);
      const wanted = [trunk, carrier].some((each) => each !== undefined && concerns({ trunk: each }));
      if (trunk === undefined || !wanted) return [];
      const facts = routeFacts(trunk, dead);
      // A call that has moved hangs on the path that it has now, too.
      const worse = carrier?.path.health.state;
      return [worse === "suspect" || worse === "down" ? { ...facts, path_state: worse } : facts];
    });
    if (routes.length > 0) this.#feed({ type: "facts", routes });
  }

  /** What carries the answered call, where that is not the trunk that it was dialled over. */
  #carrierOf(trunk: string): Trunk | undefined {
    const answered = this.#answered;
    const detour = answered?.trunk === trunk ? this.#context.trunks.detour(trunk) : undefined;
    return detour?.path.id === answered?.path ? detour : undefined;
  }

  #perform(effect: AttemptsEffect, state: AttemptsState): void {
    switch (effect.type) {
      case "start":
        this.#start(effect);
        break;
      case "resend":
        void this.#running.get(effect.attempt)?.send(effect, effect.credentials);
        break;
      case "probe":
        // Not before the INVITE: probing takes time of its own.
        this.#running.get(effect.attempt)?.whenSent(({ path }) => {
          path.suspect("an emergency call waits for its first response");
        });
        break;
      case "preempt":
        if (this.emergency) this.#host.preempt(effect.path, this.id);
        break;
      case "arm":
        this.#timers.arm(effect.timer, effect.attempt, effect.after_ms);
        break;
      case "disarm":
        this.#timers.disarm(effect.attempt);
        break;
      case "ring_caller":
        this.#caller?.progress(180, undefined);
        this.#host.progressed(this);
        break;
      case "early_media":
        this.#earlyMedia(effect.attempt);
        this.#host.progressed(this);
        break;
      case "answer_caller":
        void this.#answer(effect.attempt, effect.fork);
        this.#host.progressed(this);
        break;
      case "cancel":
        this.#running.get(effect.attempt)?.cancel(this.#answered === undefined ? [] : [ELSEWHERE]);
        break;
      case "quiet":
        this.#running.get(effect.attempt)?.quiet();
        break;
      case "release":
        this.#running.get(effect.attempt)?.release(effect.fork, this.#answered === undefined ? [] : [ELSEWHERE]);
        break;
      case "hang_up_callee":
        this.#hangUp("callee", effect.attempt, effect.fork);
        break;
      case "hang_up_caller":
        this.#hangUp("caller", state.bridged?.attempt ?? 0, "");
        break;
      case "refuse_caller":
        this.#caller?.refuse(effect.status, effect.reason);
        break;
      case "challenge_caller":
        this.#challenge(effect.attempt);
        break;
      case "check_media":
        this.#checkMedia(effect.attempt);
        break;
      case "announce_dial_again":
        this.#announceDialAgain(effect.trunk);
        break;
      case "record":
        this.#records.attempt(effect);
        break;
      case "ended":
        this.#end(effect.by, effect.cause);
        break;
    }
  }

  /** Ports for the routes that may come next, so that a hedge does not wait for them. */
  #prepareOthers(): void {
    const offer = this.#caller?.sdp;
    if (offer === undefined) return;
    for (const { trunk: id } of this.#machine.state.routes) {
      const trunk = this.#context.trunks.get(id);
      const flow = trunk?.flow;
      if (trunk === undefined || flow === undefined || this.#machine.state.started.includes(id)) continue;
      const side = sideTowards(trunk, flow, `route-${this.#prepared.size + 1}`);
      this.#prepared.set(id, side);
      void this.#media.offer(this.#callerSide, side, offer);
    }
  }

  #start(effect: Extract<AttemptsEffect, { type: "start" }>): void {
    const trunk = this.#context.trunks.get(effect.trunk);
    const flow = trunk?.lastResort ?? trunk?.flow;
    const caller = this.#caller;
    const id = effect.attempt;
    if (trunk === undefined || flow === undefined || flow.closed || caller === undefined) {
      this.#feed({ type: "send_error", attempt: id });
      return;
    }
    const attempt = new EmergencyAttempt({
      context: this.#context,
      media: this.#media,
      content: this.facts,
      caller: { request: caller.request, sdp: caller.sdp, side: this.#callerSide },
      id,
      trunk,
      flow,
      side: this.#prepared.get(trunk.id) ?? sideTowards(trunk, flow, `attempt-${id}`),
      handlers: {
        feed: (input) => this.#feed(input),
        isTrying: () => this.#machine.state.attempts.find((each) => each.id === id)?.phase === "trying",
        onSent: () => {
          if (!this.#sent) this.#host.reached(this);
          this.#sent = true;
        },
        keep: (invite, flow, proceeding) => this.#records.keep(attempt, this.callerCallId, invite, flow, proceeding),
      },
    });
    this.#prepared.delete(trunk.id);
    this.#running.set(id, attempt);
    this.#host.own(attempt.token, this);
    void attempt.send(effect, false);
  }

  #earlyMedia(id: number): void {
    const attempt = this.#running.get(id);
    const sdp = attempt?.early;
    if (attempt === undefined || sdp === undefined || this.#caller === undefined) return;
    const offer = this.#caller.sdp;
    // Without an offer from the caller this SDP is one, and early media would need his answer: ringing is told instead.
    if (offer === undefined) this.#caller.progress(180, undefined);
    else this.#caller.progress(183, this.#media.answer(attempt.side, this.#callerSide, sdp, offer));
  }

  async #answer(id: number, fork: string): Promise<void> {
    const attempt = this.#running.get(id);
    const caller = this.#caller;
    if (attempt === undefined || caller === undefined) return;
    const { clock } = this.#context;
    this.#answered = {
      wall: clock.wall(),
      ms: clock.now(),
      trunk: attempt.trunk.id,
      path: attempt.trunk.path.id,
    };
    const theirs = attempt.answerOf(fork);
    const offer = caller.sdp;
    let seen: string | undefined;
    if (offer === undefined) {
      seen = theirs === undefined ? undefined : await this.#media.offer(attempt.side, this.#callerSide, theirs);
    } else {
      attempt.accept(fork);
      seen = theirs === undefined ? undefined : this.#media.answer(attempt.side, this.#callerSide, theirs, offer);
    }
    if (this.#machine.state.name !== "answered") return;
    const given = caller.given;
    const callerLeg = caller.answer(seen);
    const calleeLeg = attempt.leg(fork);
    if (callerLeg === undefined || calleeLeg === undefined) {
      this.#context.log.error("the caller's INVITE makes no dialog", { call: this.id });
      return;
    }
    this.#connect(callerLeg, calleeLeg, attempt.side, id, fork);
    if (given !== undefined && seen !== undefined && !sameMedia(given, seen)) this.#reoffer = seen;
    this.#save();
    this.#host.reached(this);
    this.#records.answered(this.#answered);
  }

  #callerAcked(sdp: string | undefined): void {
    const { bridged } = this.#machine.state;
    const attempt = bridged === undefined ? undefined : this.#running.get(bridged.attempt);
    if (bridged === undefined || attempt === undefined) return;
    if (this.#caller?.sdp === undefined) {
      const theirs = attempt.answerOf(bridged.fork);
      const seen =
        sdp === undefined || theirs === undefined
          ? undefined
          : this.#media.answer(this.#callerSide, attempt.side, sdp, theirs);
      attempt.accept(bridged.fork, seen);
    } else if (this.#reoffer !== undefined) {
      const theirs = attempt.answerOf(bridged.fork);
      this.#bridge?.reoffer("caller", this.#reoffer, (answer) => {
        if (theirs !== undefined) this.#media.answer(this.#callerSide, attempt.side, answer, theirs);
      });
      this.#reoffer = undefined;
    }
    this.#save();
  }

  #connect(caller: Leg, callee: Leg, side: MediaSide, attempt: number, fork: string): void {
    this.#bridge = new Bridge(
      this.#context.clock,
      this.#media,
      { caller: { leg: caller, side: this.#callerSide }, callee: { leg: callee, side } },
      {
        onEnd: (by) => this.#feed(by === "caller" ? { type: "caller_bye" } : { type: "callee_bye", attempt, fork }),
        onChange: () => this.#save(),
      },
    );
  }

  #hangUp(end: End, attempt: number, fork: string): void {
    if (this.#bridge !== undefined) this.#bridge.hangUp(end);
    else if (end === "callee") this.#running.get(attempt)?.release(fork, []);
    else this.#caller?.refuse(480, "The answered leg hung up");
  }

  #challenge(id: number): void {
    const challenge = this.#running.get(id)?.challenge;
    if (challenge === undefined) return;
    const headers = ["WWW-Authenticate", "Proxy-Authenticate"].flatMap((name) =>
      headerValues(challenge, name).map((value) => ({ name, value })),
    );
    this.#caller?.refuse(challenge.status, challenge.reason, headers);
  }

  #moved(to: Trunk, took_ms: number): void {
    const answered = this.#answered;
    if (answered === undefined || this.#ended) return;
    this.#answered = { ...answered, path: to.path.id };
    this.#records.moved(this.#answered, answered.path, took_ms);
    this.#save();
  }

  #checkMedia(id: number): void {
    const bridged = this.#machine.state.bridged?.attempt === id ? this.#bridge?.parties.callee.side : undefined;
    const side = bridged ?? this.#running.get(id)?.side;
    const flowing = side === undefined ? Promise.resolve(false) : this.#media.flowing(side);
    void flowing.then((yes) => this.#feed({ type: "media", attempt: id, flowing: yes }));
  }

  #announceDialAgain(trunkId: string): void {
    this.#media.announce(this.#callerSide, "dial-again", announcementCodec(this.#caller?.given ?? this.#resumedSdp));
    const path = this.#answered?.path ?? this.#context.trunks.get(trunkId)?.path.id;
    this.#context.log.error("an answered emergency call fell silent: its path is gone", { call: this.id, path });
    if (path !== undefined) this.#host.pathLost(path);
  }

  #end(by: "caller" | "psap" | "box", cause: string): void {
    this.#ended = true;
    this.exit.stop();
    this.#host.progressed(this);
    this.#caller?.stop();
    this.#media.close();
    this.#host.journal.remove(this.id);
    this.#records.ended(by, cause, this.#answered);
    if (this.#sent || this.#answered !== undefined) this.#host.reached(this);
  }

  #save(): void {
    const bridge = this.#bridge;
    const answered = this.#answered;
    if (this.#ended || bridge === undefined || answered === undefined) return;
    this.#records.save(bridge.parties, answered, this.#caller?.given ?? this.#resumedSdp);
    // From now on the record has it.
    const { bridged: leg } = this.#machine.state;
    if (leg !== undefined) this.#records.forget(leg.attempt);
  }
}
