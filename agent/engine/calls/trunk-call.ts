import type { Timer } from "../../base/clock.ts";
import type { CallData, EventData, EventType } from "../../base/events.ts";
import { token } from "../../base/ids.ts";
import type { CallStatus } from "../../base/status.ts";
import { buildResponse } from "../../sip/messages/build.ts";
import { header } from "../../sip/messages/headers.ts";
import type { SipRequest } from "../../sip/messages/message.ts";
import { parseNameAddr } from "../../sip/messages/name-addr.ts";
import type { ServerTransaction } from "../../sip/transactions/server-transaction.ts";
import { classifyReferTo } from "../emergency/classify.ts";
import type { Path } from "../paths/path.ts";
import type { Trunk } from "../trunks/trunk.ts";
import { Bridge, type End } from "./bridge.ts";
import type { CallsContext, OwnedCall } from "./call-context.ts";
import { CallMedia, type MediaSide, mediaSide } from "./call-media.ts";
import { answererFor } from "./credentials.ts";
import { earlyResponse } from "./early-requests.ts";
import { ELSEWHERE, GAVE_WAY, IncomingInvite } from "./incoming-invite.ts";
import type { CallJournal, CallRecord } from "./journal.ts";
import { Leg } from "./leg.ts";
import { DeadPathExit } from "./moving/dead-path-exit.ts";
import { RingLeg, type RingTarget } from "./ring-leg.ts";

export interface TrunkCallHost {
  readonly journal: CallJournal;
  own(token: string, call: OwnedCall): void;
  gone(call: OwnedCall): void;
}

/** Targets that ring together. The next stage begins when all of these failed, or after `patience_ms` beside them. */
export interface RingStage {
  readonly targets: readonly RingTarget[];
  readonly patience_ms: number | undefined;
}

export interface TrunkCallPlan {
  readonly data: CallData;
  /** E.164 shown to the callee. */
  readonly callerNumber: string;
  readonly displayName: string | undefined;
  readonly stages: readonly RingStage[];
  /** The trunk of the caller's side, for an inbound call. */
  readonly from: Trunk | undefined;
}

/** How long a call may ring at all (Timer C of RFC 3261 §16.6 is longer than 3 minutes; people give up before). */
const RING_LIMIT_MS = 180_000;
const DEFAULT_STATUS = 480;

/** A call by the main number over a trunk, out or in: the first to answer is bridged, the others are cancelled. */
export class TrunkCall implements OwnedCall {
  readonly id: string;
  readonly emergency = false;
  readonly #context: CallsContext;
  readonly #host: TrunkCallHost;
  readonly #plan: Omit<TrunkCallPlan, "stages" | "from">;
  readonly #stages: RingStage[];
  readonly #media: CallMedia;
  readonly #callerSide: MediaSide;
  readonly #started_wall: number;
  readonly #started_ms: number;
  readonly #legs: RingLeg[] = [];
  #caller: IncomingInvite | undefined;
  #bridge: Bridge | undefined;
  #winner: { readonly leg: RingLeg; readonly fork: string } | undefined;
  #answered: { readonly wall: number; readonly ms: number } | undefined;
  #data: CallData;
  /** Legs beside which the next stage has been started. */
  readonly #passed = new Set<RingLeg>();
  #rings = false;
  #best = DEFAULT_STATUS;
  #stageTimer: Timer | undefined;
  #limit: Timer | undefined;
  #ended = false;
  readonly exit: DeadPathExit;

  private constructor(
    context: CallsContext,
    host: TrunkCallHost,
    id: string,
    plan: TrunkCallPlan,
    callerSide: MediaSide,
    started: { readonly wall: number; readonly ms: number },
  ) {
    this.#context = context;
    this.#host = host;
    this.id = id;
    this.#plan = plan;
    this.#data = plan.data;
    this.#stages = [...plan.stages];
    this.#callerSide = callerSide;
    this.#started_wall = started.wall;
    this.#started_ms = started.ms;
    this.#media = new CallMedia(context, id, false);
    this.exit = new DeadPathExit({
      ...context,
      bridge: () => this.#bridge,
      on: () => this.#onTrunk(),
      moved: (to, took_ms) => this.#moved(to, took_ms),
      held: (isHeld) => this.#held(isHeld),
    });
  }

  static take(
    context: CallsContext,
    host: TrunkCallHost,
    plan: TrunkCallPlan,
    tx: ServerTransaction,
    local: { readonly address: string | undefined; readonly contact_address: string; readonly port: number },
  ): TrunkCall {
    const side = mediaSide("caller", local.address, tx.flow.remote.address, context.trunks.of(tx.flow)?.path.id);
    const { clock } = context;
    const call = new TrunkCall(context, host, token(12), plan, side, { wall: clock.wall(), ms: clock.now() });
    call.#take(tx, plan.from, { address: local.contact_address, port: local.port });
    return call;
  }

  static resume(context: CallsContext, host: TrunkCallHost, record: CallRecord): TrunkCall | undefined {
    const caller = Leg.resume(context, record.caller.leg);
    const trunk = record.trunk === undefined ? undefined : context.trunks.get(record.trunk);
    const answerer = trunk === undefined ? undefined : answererFor(trunk, undefined, context.config());
    const callee = Leg.resume(context, record.callee.leg, answerer);
    if (caller === undefined || callee === undefined) return undefined;
    const plan: TrunkCallPlan = {
      data: record.data,
      callerNumber: record.data.caller,
      displayName: undefined,
      stages: [],
      from: undefined,
    };
    const started = { wall: record.started_wall, ms: record.started_ms };
    const call = new TrunkCall(context, host, record.id, plan, record.caller.side, started);
    call.#answered = { wall: record.answered_wall, ms: record.answered_ms };
    call.#connect(caller, callee, record.callee.side);
    call.exit.resumed();
    host.own(caller.token, call);
    host.own(callee.token, call);
    return call;
  }

  inDialog(id: string, tx: ServerTransaction): void {
    const end = this.#bridge?.endOf(id);
    if (end !== undefined) this.#bridge?.take(end, tx);
    else if (tx.request.method === "PRACK" && this.#caller?.token === id) this.#caller.prack(tx);
    else this.#inEarlyDialog(id, tx);
  }

  #inEarlyDialog(id: string, tx: ServerTransaction): void {
    const { method } = tx.request;
    const leg = this.#legs.find(({ token, state }) => token === id && state === "ringing");
    if (!this.#ended && this.#caller?.token === id) {
      tx.respond(earlyResponse(tx.request, "peer"));
      // A caller may end an early dialog by BYE as well (RFC 3261 §15).
      if (method === "BYE") this.#cancelled();
    } else if (!this.#ended && leg !== undefined) tx.respond(earlyResponse(tx.request, "us"));
    else tx.respond(buildResponse(tx.request, method === "BYE" ? 200 : 481));
  }

  #cancelled(): void {
    this.#refuse(487, "Request Terminated");
    this.#end("caller", "cancelled");
  }

  onAck(id: string, ack: SipRequest): void {
    if (this.#caller?.token === id) this.#caller.acked(ack);
    const end = this.#bridge?.endOf(id);
    if (end !== undefined) this.#bridge?.acked(end, ack);
  }

  pathChanged(path: Path): void {
    this.exit.pathChanged(path);
  }

  trunkChanged(changed: Trunk): void {
    if (changed.health.state !== "down" && changed.path.health.state !== "down") return;
    for (const leg of [...this.#legs]) if (leg.trunk?.id === changed.id) this.#pass(leg);
  }

  giveWay(path: string): void {
    const trunk = this.#data.trunk === undefined ? undefined : this.#context.trunks.get(this.#data.trunk);
    const onPath = this.#data.path === path || trunk?.path.id === path;
    const rings = this.#legs.some((leg) => leg.state === "ringing" && leg.trunk?.path.id === path);
    if (!onPath && !rings) return;
    if (this.#bridge === undefined) this.#refuse(503, "An emergency call needs the line");
    else {
      this.#bridge.hangUp("caller", [GAVE_WAY]);
      this.#bridge.hangUp("callee", [GAVE_WAY]);
    }
    this.#end("box", "gave way to an emergency call");
  }

  abandon(): void {
    this.exit.stop();
    this.#stageTimer?.cancel();
    this.#limit?.cancel();
    this.#caller?.stop();
    this.#bridge?.abandon();
    for (const leg of this.#legs) leg.abandon();
  }

  status(): CallStatus | undefined {
    if (this.#ended) return undefined;
    return {
      call_id: this.id,
      kind: this.#data.direction,
      state: this.#answered !== undefined ? "answered" : this.#rings ? "ringing" : "trying",
      caller: this.#data.caller,
      callee: this.#data.callee,
      trunk: this.#data.trunk,
      path: this.#data.path,
      since_wall: this.#started_wall,
      location_lines: undefined,
      callback_number: undefined,
    };
  }

  #take(
    tx: ServerTransaction,
    from: Trunk | undefined,
    local: { readonly address: string; readonly port: number },
  ): void {
    this.#caller = new IncomingInvite(
      this.#context,
      tx,
      local,
      {
        onCancel: () => this.#cancelled(),
        onAck: (sdp) => this.#callerAcked(sdp),
        onNoAck: () => this.#hangUp("callee", "the caller's side has not acknowledged the answer"),
      },
      from,
    );
    this.#caller.trying();
    this.#host.own(this.#caller.token, this);
    this.#event("call.started", this.#data);
    this.#limit = this.#context.clock.after(RING_LIMIT_MS, () => {
      if (this.#answered !== undefined) return;
      this.#refuse(DEFAULT_STATUS, "No answer");
      this.#end("box", "no answer");
    });
    this.#nextStage();
    if (!this.#ended) this.#host.journal.begin(this.id);
  }

  #nextStage(): void {
    this.#stageTimer?.cancel();
    const stage = this.#stages.shift();
    if (stage === undefined || this.#ended || this.#winner !== undefined) return;
    if (stage.patience_ms !== undefined) {
      this.#stageTimer = this.#context.clock.after(stage.patience_ms, () => this.#nextStage());
    }
    // All are there before the first starts: one that fails at once must not look like the last one.
    const legs = stage.targets.flatMap((target) => this.#newLeg(target) ?? []);
    for (const leg of legs) leg.start();
    if (legs.length === 0) this.#settle();
  }

  #newLeg(target: RingTarget): RingLeg | undefined {
    const caller = this.#caller;
    if (caller === undefined) return undefined;
    const content = {
      callerNumber: this.#plan.callerNumber,
      displayName: this.#plan.displayName,
      request: caller.request,
      sdp: caller.sdp,
      callerSide: this.#callerSide,
    };
    const leg = new RingLeg(this.#context, this.#media, content, target, `callee-${this.#legs.length + 1}`, {
      onProgress: (from, status, sdp) => this.#progress(from, status, sdp),
      onAnswer: (from, fork) => void this.#answer(from, fork),
      onFailed: (from, status) => this.#failed(from, status),
      onSilence: (from) => this.#pass(from),
    });
    this.#legs.push(leg);
    this.#host.own(leg.token, this);
    return leg;
  }

  #progress(leg: RingLeg, status: number, sdp: string | undefined): void {
    if (status === 100 || status === 199 || leg.state !== "ringing" || this.#winner !== undefined) return;
    const offer = this.#caller?.sdp;
    if (sdp !== undefined && offer !== undefined && this.#caller?.given === undefined && this.#isAlone(leg)) {
      this.#caller?.progress(183, this.#media.answer(leg.side, this.#callerSide, sdp, offer));
    } else if (!this.#rings) this.#caller?.progress(180, undefined);
    this.#rings = true;
  }

  /** Early media is the caller's only answer: it is taken from a trunk, never from one of several phones. */
  #isAlone(leg: RingLeg): boolean {
    return leg.trunk !== undefined && this.#legs.filter(({ state }) => state === "ringing").length === 1;
  }

  /** Silence, or a bad verdict: the next stage begins beside this one, once. */
  #pass(leg: RingLeg): void {
    if (this.#passed.has(leg) || leg.state !== "ringing" || this.#winner !== undefined) return;
    this.#passed.add(leg);
    this.#nextStage();
  }

  #failed(leg: RingLeg, status: number): void {
    if (leg.state === "over" || leg.state === "answered") return;
    const released = leg.state === "releasing";
    leg.state = "over";
    if (!released && status !== 408) this.#best = betterStatus(this.#best, status);
    this.#settle();
  }

  #settle(): void {
    if (this.#ended) {
      this.#goneWhenDone();
      return;
    }
    if (this.#winner !== undefined || this.#legs.some(({ state }) => state === "ringing")) return;
    if (this.#stages.length > 0) {
      this.#nextStage();
      return;
    }
    this.#refuse(this.#best, undefined);
    this.#end("box", `nobody took it (${this.#best})`);
  }

  async #answer(leg: RingLeg, fork: string): Promise<void> {
    const caller = this.#caller;
    if (this.#winner !== undefined || this.#ended || caller === undefined) {
      leg.release(fork);
      if (leg !== this.#winner?.leg) {
        leg.state = "over";
        this.#goneWhenDone();
      }
      return;
    }
    this.#winner = { leg, fork };
    leg.state = "answered";
    this.#stageTimer?.cancel();
    this.#limit?.cancel();
    for (const other of this.#legs) if (other !== leg) other.cancel([ELSEWHERE]);
    if (leg.trunk !== undefined) this.#data = { ...this.#data, trunk: leg.trunk.id, path: leg.trunk.path.id };
    const theirs = leg.answerOf(fork);
    let seen: string | undefined;
    if (caller.sdp !== undefined) {
      leg.accept(fork);
      seen = theirs === undefined ? undefined : this.#media.answer(leg.side, this.#callerSide, theirs, caller.sdp);
    } else seen = theirs === undefined ? undefined : await this.#media.offer(leg.side, this.#callerSide, theirs);
    const calleeLeg = leg.leg(fork);
    const callerLeg = this.#ended ? undefined : caller.answer(seen);
    if (callerLeg === undefined || calleeLeg === undefined) {
      leg.release(fork);
      return;
    }
    this.#answered = { wall: this.#context.clock.wall(), ms: this.#context.clock.now() };
    this.#connect(callerLeg, calleeLeg, leg.side);
    this.#event("call.answered", this.#data);
    this.#save();
  }

  #callerAcked(sdp: string | undefined): void {
    const winner = this.#winner;
    if (winner === undefined || this.#caller?.sdp !== undefined) return;
    const { leg, fork } = winner;
    const theirs = leg.answerOf(fork);
    const answer =
      sdp === undefined || theirs === undefined
        ? undefined
        : this.#media.answer(this.#callerSide, leg.side, sdp, theirs);
    leg.accept(fork, answer);
  }

  #connect(caller: Leg, callee: Leg, side: MediaSide): void {
    this.#bridge = new Bridge(
      this.#context.clock,
      this.#media,
      { caller: { leg: caller, side: this.#callerSide }, callee: { leg: callee, side } },
      {
        onEnd: (by, cause) => {
          this.#bridge?.hangUp(by === "caller" ? "callee" : "caller");
          this.#end(by, cause);
        },
        onChange: () => this.#save(),
        refuses: (request) => this.#refusesTransfer(request),
      },
    );
  }

  /**
   * A transfer to 911 would have the carrier dial it without a location, or somebody outside make a phone of ours dial
   * it. Whoever needs help dials, and is never refused.
   */
  #refusesTransfer(request: SipRequest) {
    if (request.method !== "REFER" || classifyReferTo(request, this.#context.config()) === undefined) return undefined;
    this.#context.log.warn("a transfer to an emergency number was refused", { call: this.id });
    return { status: 403, reason: "Emergency numbers are dialled, not transferred to" };
  }

  #onTrunk() {
    const { trunk, path, direction } = this.#data;
    if (this.#answered === undefined || trunk === undefined || path === undefined) return undefined;
    return { trunk, path, end: direction === "inbound" ? ("caller" as const) : ("callee" as const) };
  }

  #moved(to: Trunk, took_ms: number): void {
    if (this.#ended) return;
    const from_path = this.#data.path;
    this.#data = { ...this.#data, path: to.path.id };
    this.#event("call.moved", { ...this.#data, from_path, by: "reinvite", took_ms });
    this.#save();
  }

  /** Who is still there hears why it is silent. */
  #held(isHeld: boolean): void {
    const end = this.#onTrunk()?.end;
    const side = end === undefined ? undefined : this.#bridge?.parties[end === "caller" ? "callee" : "caller"].side;
    if (side === undefined) return;
    if (isHeld) {
      this.#context.log.warn("a call on a dead path is held", { call: this.id });
      this.#media.hold(side);
    } else this.#media.hush(side);
  }

  #hangUp(end: End, cause: string): void {
    this.#bridge?.hangUp(end);
    this.#end("box", cause);
  }

  #refuse(status: number, reason: string | undefined): void {
    this.#caller?.refuse(status, reason);
    for (const leg of this.#legs) leg.cancel([]);
  }

  #end(by: "caller" | "callee" | "box", cause: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.exit.stop();
    this.#stageTimer?.cancel();
    this.#limit?.cancel();
    this.#caller?.stop();
    this.#media.close();
    this.#host.journal.remove(this.id);
    const duration_ms = this.#answered === undefined ? 0 : Math.round(this.#context.clock.now() - this.#answered.ms);
    this.#event("call.ended", { ...this.#data, duration_ms, ended_by: by, cause });
    this.#goneWhenDone();
  }

  #goneWhenDone(): void {
    const busy = this.#legs.some(({ state }) => state === "ringing" || state === "releasing");
    if (this.#ended && !busy) this.#host.gone(this);
  }

  #event<T extends EventType>(type: T, data: EventData[T]): void {
    this.#context.record(this.#context.events(type, "", data, { call_id: this.id }));
  }

  #save(): void {
    const bridge = this.#bridge;
    const answered = this.#answered;
    if (this.#ended || bridge === undefined || answered === undefined) return;
    const { caller, callee } = bridge.parties;
    this.#host.journal.save({
      v: 1,
      id: this.id,
      kind: this.#data.direction,
      started_wall: this.#started_wall,
      started_ms: this.#started_ms,
      answered_wall: answered.wall,
      answered_ms: answered.ms,
      trunk: this.#data.trunk,
      path: this.#data.path,
      data: this.#data,
      emergency: undefined,
      caller: { leg: caller.leg.record, side: caller.side },
      callee: { leg: callee.leg.record, side: callee.side },
      caller_sdp: undefined,
    });
  }
}

/** RFC 3261 §16.7: a 6xx counts most; "busy" tells the caller more than the box's own "unavailable". */
function betterStatus(best: number, status: number): number {
  if (best >= 600) return best;
  if (status >= 600 || best === DEFAULT_STATUS) return status;
  return best === 486 ? best : status;
}

export function displayNameOf(request: SipRequest): string | undefined {
  return parseNameAddr(header(request, "From") ?? "")?.displayName;
}
