import type { Timer } from "../../base/clock.ts";
import type { CallData, EventData, EventType } from "../../base/events.ts";
import { token } from "../../base/ids.ts";
import type { Binding } from "../../base/snapshot.ts";
import type { CallStatus } from "../../base/status.ts";
import { buildRequest, buildResponse } from "../../sip/messages/build.ts";
import { header, headerValues } from "../../sip/messages/headers.ts";
import type { Header, SipRequest } from "../../sip/messages/message.ts";
import { parseNameAddr } from "../../sip/messages/name-addr.ts";
import type { ServerTransaction } from "../../sip/transactions/server-transaction.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import { inBrackets } from "../../sip/transport/ip-address.ts";
import { responseWindow } from "../emergency/attempt-timing.ts";
import { routeFacts } from "../emergency/emergency-routes.ts";
import type { Path } from "../paths/path.ts";
import type { Trunk } from "../trunks/trunk.ts";
import { Bridge, type End } from "./bridge.ts";
import type { CallsContext, OwnedCall } from "./call-context.ts";
import { CallMedia, type MediaSide, mediaSide } from "./call-media.ts";
import { type Answerer, answererFor } from "./credentials.ts";
import { ALLOW, ELSEWHERE, IncomingInvite, sdpContent } from "./incoming-invite.ts";
import type { CallJournal, CallRecord } from "./journal.ts";
import { Leg } from "./leg.ts";
import { OutgoingInvite } from "./outgoing-invite.ts";
import { newCallId, trunkInvite } from "./trunk-invite.ts";

export interface TrunkCallHost {
  readonly journal: CallJournal;
  own(token: string, call: OwnedCall): void;
  gone(call: OwnedCall): void;
}

/** Somebody to ring. */
export type RingTarget =
  | { readonly kind: "trunk"; readonly trunk: Trunk; readonly number: string }
  | { readonly kind: "phone"; readonly binding: Binding };

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

interface Ringing {
  readonly target: RingTarget;
  readonly side: MediaSide;
  readonly token: string;
  readonly callId: string;
  readonly fromTag: string;
  readonly answerer: Answerer | undefined;
  cseq: number;
  invite: OutgoingInvite | undefined;
  state: "ringing" | "answered" | "releasing" | "over";
  /** No response came within the window: the next stage has been started. */
  passed: boolean;
  authenticated: boolean;
  credentials: Header | undefined;
  sent_ms: number;
  responded: boolean;
  readonly sdp: Map<string, string>;
  timer: Timer | undefined;
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
  readonly #ringing: Ringing[] = [];
  #caller: IncomingInvite | undefined;
  #bridge: Bridge | undefined;
  #winner: { readonly ringing: Ringing; readonly fork: string } | undefined;
  #answered: { readonly wall: number; readonly ms: number } | undefined;
  #data: CallData;
  #rings = false;
  #best = DEFAULT_STATUS;
  #stageTimer: Timer | undefined;
  #limit: Timer | undefined;
  #ended = false;

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
  }

  static take(
    context: CallsContext,
    host: TrunkCallHost,
    plan: TrunkCallPlan,
    tx: ServerTransaction,
    local: { readonly address: string | undefined; readonly contact_address: string; readonly port: number },
  ): TrunkCall {
    const side = mediaSide("caller", local.address, tx.flow.remote.address);
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
    host.own(caller.token, call);
    host.own(callee.token, call);
    return call;
  }

  inDialog(id: string, tx: ServerTransaction): void {
    const end = this.#bridge?.endOf(id);
    if (end !== undefined) this.#bridge?.take(end, tx);
    else if (tx.request.method === "PRACK" && this.#caller?.token === id) this.#caller.prack(tx);
    else tx.respond(buildResponse(tx.request, tx.request.method === "BYE" ? 200 : 481));
  }

  onAck(id: string, ack: SipRequest): void {
    if (this.#caller?.token === id) this.#caller.acked(ack);
    const end = this.#bridge?.endOf(id);
    if (end !== undefined) this.#bridge?.acked(end, ack);
  }

  pathChanged(_path: Path): void {}

  trunkChanged(changed: Trunk): void {
    if (changed.health.state !== "down" && changed.path.health.state !== "down") return;
    for (const ringing of this.#ringing) {
      if (ringing.target.kind === "trunk" && ringing.target.trunk.id === changed.id) this.#pass(ringing);
    }
  }

  giveWay(path: string): void {
    const trunk = this.#data.trunk === undefined ? undefined : this.#context.trunks.get(this.#data.trunk);
    const onPath = this.#data.path === path || trunk?.path.id === path;
    const rings = this.#ringing.some(({ target }) => target.kind === "trunk" && target.trunk.path.id === path);
    if (!onPath && !rings) return;
    if (this.#bridge === undefined) this.#refuse(503, "An emergency call needs the line");
    else {
      const headers = [{ name: "Reason", value: 'SIP;cause=503;text="An emergency call needs the line"' }];
      this.#bridge.hangUp("caller", headers);
      this.#bridge.hangUp("callee", headers);
    }
    this.#end("box", "gave way to an emergency call");
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
        onCancel: () => {
          this.#refuse(487, "Request Terminated");
          this.#end("caller", "cancelled");
        },
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
  }

  #nextStage(): void {
    this.#stageTimer?.cancel();
    const stage = this.#stages.shift();
    if (stage === undefined || this.#ended || this.#winner !== undefined) return;
    if (stage.patience_ms !== undefined) {
      this.#stageTimer = this.#context.clock.after(stage.patience_ms, () => this.#nextStage());
    }
    for (const target of stage.targets) void this.#ring(target);
    if (stage.targets.length === 0) this.#settle();
  }

  async #ring(target: RingTarget): Promise<void> {
    const flow = target.kind === "trunk" ? target.trunk.flow : this.#flowTo(target.binding);
    const local =
      target.kind === "trunk"
        ? (target.trunk.path.localAddress ?? target.trunk.local.address)
        : target.binding.local_address;
    const ringing: Ringing = {
      target,
      side: mediaSide(`callee-${this.#ringing.length + 1}`, local, flow?.remote.address ?? ""),
      token: token(),
      callId: newCallId(),
      fromTag: token(8),
      answerer: target.kind === "trunk" ? answererFor(target.trunk, undefined, this.#context.config()) : undefined,
      cseq: 0,
      invite: undefined,
      state: "ringing",
      passed: false,
      authenticated: false,
      credentials: undefined,
      sent_ms: this.#context.clock.now(),
      responded: false,
      sdp: new Map(),
      timer: undefined,
    };
    this.#ringing.push(ringing);
    if (flow === undefined || flow.closed) {
      this.#failed(ringing, 503);
      return;
    }
    this.#host.own(ringing.token, this);
    if (target.kind === "trunk") {
      const { window_ms } = responseWindow(routeFacts(target.trunk, new Set()));
      ringing.timer = this.#context.clock.after(window_ms, () => this.#pass(ringing));
    }
    await this.#send(ringing, flow);
  }

  #flowTo(binding: Binding): Flow {
    return this.#context.transport.flowTo({
      protocol: binding.transport,
      address: binding.source_address,
      port: binding.source_port,
      local_address: binding.local_address,
      ...(binding.transport === "udp" ? { local_port: binding.local_port } : {}),
    });
  }

  async #send(ringing: Ringing, flow: Flow): Promise<void> {
    const offer = this.#caller?.sdp;
    const sdp = offer === undefined ? undefined : await this.#media.offer(this.#callerSide, ringing.side, offer);
    if (ringing.state !== "ringing" || this.#ended) {
      ringing.state = "over";
      return;
    }
    ringing.invite ??= this.#newInvite(ringing, flow);
    ringing.cseq++;
    ringing.invite.send(
      ringing.target.kind === "trunk"
        ? this.#trunkInvite(ringing, ringing.target, sdp)
        : this.#phoneInvite(ringing, ringing.target.binding, flow, sdp),
    );
  }

  #contactOf(ringing: Ringing, flow: Flow): string {
    if (ringing.target.kind === "trunk") return ringing.target.trunk.contact(ringing.token);
    const { address, port } = this.#context.transport.sentBy(flow);
    const transport = flow.protocol === "udp" ? "" : `;transport=${flow.protocol}`;
    return `sip:${ringing.token}@${inBrackets(address)}:${port}${transport}`;
  }

  #newInvite(ringing: Ringing, flow: Flow): OutgoingInvite {
    const { target } = ringing;
    const trunk = target.kind === "trunk" ? target.trunk : undefined;
    const contact = this.#contactOf(ringing, flow);
    const seen = (status: number) => {
      ringing.timer?.cancel();
      if (ringing.responded) return;
      ringing.responded = true;
      const after_ms = this.#context.clock.now() - ringing.sent_ms;
      trunk?.observe({ kind: "first_response", method: "INVITE", after_ms, status });
    };
    const parts = { token: ringing.token, contact, flow, answerer: ringing.answerer };
    const invite: OutgoingInvite = new OutgoingInvite(this.#context, parts, {
      onProvisional: (response, sdp) => {
        seen(response.status);
        if (sdp !== undefined) ringing.sdp.set("", sdp);
        this.#progress(ringing, response.status, sdp);
      },
      onAnswer: (fork, sdp) => {
        seen(200);
        if (sdp !== undefined) ringing.sdp.set(fork, sdp);
        void this.#answer(ringing, fork);
      },
      onRefusal: (response) => {
        seen(response.status);
        const challenged = response.status === 401 || response.status === 407;
        const credentials = challenged && !ringing.authenticated ? invite.credentials(response) : undefined;
        if (credentials !== undefined && ringing.state === "ringing") {
          ringing.authenticated = true;
          ringing.credentials = credentials;
          void this.#send(ringing, flow);
        } else this.#failed(ringing, challenged ? 403 : response.status);
      },
      onTimeout: () => this.#failed(ringing, 408),
      onSendError: ({ code, detail }) => {
        trunk?.observe({ kind: "send_error", detail: `${code} ${detail}` });
        this.#failed(ringing, 503);
      },
    });
    return invite;
  }

  #trunkInvite(ringing: Ringing, target: Extract<RingTarget, { kind: "trunk" }>, sdp: string | undefined): SipRequest {
    return trunkInvite({
      trunk: target.trunk,
      contact: target.trunk.contact(ringing.token),
      number: target.number,
      callId: ringing.callId,
      fromTag: ringing.fromTag,
      cseq: ringing.cseq,
      maxForwards: this.#hopsLeft(),
      callerNumber: this.#plan.callerNumber,
      displayName: this.#plan.displayName,
      phoneFrom: undefined,
      sdp,
      emergency: undefined,
      headers: ringing.credentials === undefined ? [] : [ringing.credentials],
    });
  }

  #phoneInvite(ringing: Ringing, binding: Binding, flow: Flow, sdp: string | undefined): SipRequest {
    const { address } = this.#context.transport.sentBy(flow);
    const { displayName, callerNumber } = this.#plan;
    const priority = this.#caller === undefined ? undefined : header(this.#caller.request, "Priority");
    return buildRequest({
      method: "INVITE",
      uri: binding.contact,
      from: {
        ...(displayName === undefined ? {} : { displayName }),
        uri: `sip:${callerNumber}@${inBrackets(address)}`,
        params: [{ name: "tag", value: ringing.fromTag }],
      },
      to: `<${binding.aor}>`,
      callId: ringing.callId,
      cseq: ringing.cseq,
      maxForwards: this.#hopsLeft(),
      contact: `<${this.#contactOf(ringing, flow)}>`,
      headers: [
        { name: "Allow", value: ALLOW },
        ...(priority === undefined ? [] : [{ name: "Priority", value: priority }]),
      ],
      ...sdpContent(sdp),
    });
  }

  #hopsLeft(): number {
    const value = this.#caller === undefined ? undefined : headerValues(this.#caller.request, "Max-Forwards")[0];
    const hops = Number(value ?? 70);
    return Number.isInteger(hops) && hops > 0 && hops <= 70 ? hops - 1 : 69;
  }

  #progress(ringing: Ringing, status: number, sdp: string | undefined): void {
    if (status === 100 || status === 199 || ringing.state !== "ringing" || this.#winner !== undefined) return;
    const offer = this.#caller?.sdp;
    if (sdp !== undefined && offer !== undefined && this.#caller?.given === undefined && this.#isAlone(ringing)) {
      this.#caller?.progress(183, this.#media.answer(ringing.side, this.#callerSide, sdp, offer));
    } else if (!this.#rings) this.#caller?.progress(180, undefined);
    this.#rings = true;
  }

  /** Early media is the caller's only answer: it is taken from a trunk, never from one of several phones. */
  #isAlone(ringing: Ringing): boolean {
    return ringing.target.kind === "trunk" && this.#ringing.filter(({ state }) => state === "ringing").length === 1;
  }

  /** Silence: the next stage begins beside this one. */
  #pass(ringing: Ringing): void {
    if (ringing.passed || ringing.state !== "ringing" || this.#winner !== undefined) return;
    ringing.passed = true;
    if (!ringing.responded && ringing.target.kind === "trunk") {
      ringing.target.trunk.observe({ kind: "no_response", method: "INVITE" });
      ringing.target.trunk.path.suspect("a call waits for its first response");
    }
    this.#nextStage();
  }

  #failed(ringing: Ringing, status: number): void {
    ringing.timer?.cancel();
    if (ringing.state === "over" || ringing.state === "answered") return;
    const released = ringing.state === "releasing";
    ringing.state = "over";
    if (!released && status !== 408) this.#best = betterStatus(this.#best, status);
    this.#settle();
  }

  #settle(): void {
    if (this.#ended) {
      this.#goneWhenDone();
      return;
    }
    if (this.#winner !== undefined || this.#ringing.some(({ state }) => state === "ringing")) return;
    if (this.#stages.length > 0) {
      this.#nextStage();
      return;
    }
    this.#refuse(this.#best, undefined);
    this.#end("box", `nobody took it (${this.#best})`);
  }

  async #answer(ringing: Ringing, fork: string): Promise<void> {
    const caller = this.#caller;
    if (this.#winner !== undefined || this.#ended || caller === undefined) {
      ringing.invite?.release(fork);
      if (ringing !== this.#winner?.ringing) {
        ringing.state = "over";
        this.#goneWhenDone();
      }
      return;
    }
    this.#winner = { ringing, fork };
    ringing.state = "answered";
    this.#stageTimer?.cancel();
    this.#limit?.cancel();
    for (const other of this.#ringing) if (other !== ringing) this.#cancel(other);
    const { target } = ringing;
    if (target.kind === "trunk") this.#data = { ...this.#data, trunk: target.trunk.id, path: target.trunk.path.id };
    const theirs = ringing.sdp.get(fork) ?? ringing.sdp.get("");
    let seen: string | undefined;
    if (caller.sdp !== undefined) {
      ringing.invite?.accept(fork);
      seen = theirs === undefined ? undefined : this.#media.answer(ringing.side, this.#callerSide, theirs, caller.sdp);
    } else seen = theirs === undefined ? undefined : await this.#media.offer(ringing.side, this.#callerSide, theirs);
    const calleeLeg = ringing.invite?.leg(fork);
    const callerLeg = this.#ended ? undefined : caller.answer(seen);
    if (callerLeg === undefined || calleeLeg === undefined) {
      ringing.invite?.release(fork);
      return;
    }
    this.#answered = { wall: this.#context.clock.wall(), ms: this.#context.clock.now() };
    this.#connect(callerLeg, calleeLeg, ringing.side);
    this.#event("call.answered", this.#data);
    this.#save();
  }

  #callerAcked(sdp: string | undefined): void {
    const winner = this.#winner;
    if (winner === undefined || this.#caller?.sdp !== undefined) return;
    const { ringing, fork } = winner;
    const theirs = ringing.sdp.get(fork);
    const answer =
      sdp === undefined || theirs === undefined
        ? undefined
        : this.#media.answer(this.#callerSide, ringing.side, sdp, theirs);
    ringing.invite?.accept(fork, answer);
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
      },
    );
  }

  #hangUp(end: End, cause: string): void {
    this.#bridge?.hangUp(end);
    this.#end("box", cause);
  }

  #cancel(ringing: Ringing): void {
    ringing.timer?.cancel();
    if (ringing.state !== "ringing") return;
    ringing.state = ringing.invite === undefined ? "over" : "releasing";
    ringing.invite?.cancel(this.#winner === undefined ? [] : [ELSEWHERE]);
  }

  #refuse(status: number, reason: string | undefined): void {
    this.#caller?.refuse(status, reason);
    for (const ringing of this.#ringing) this.#cancel(ringing);
  }

  #end(by: "caller" | "callee" | "box", cause: string): void {
    if (this.#ended) return;
    this.#ended = true;
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
    const busy = this.#ringing.some(({ state }) => state === "ringing" || state === "releasing");
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
