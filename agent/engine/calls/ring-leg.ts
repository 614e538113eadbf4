import type { Timer } from "../../base/clock.ts";
import { token } from "../../base/ids.ts";
import type { Binding } from "../../base/snapshot.ts";
import { buildRequest } from "../../sip/messages/build.ts";
import { header } from "../../sip/messages/headers.ts";
import type { Header, SipRequest, SipResponse } from "../../sip/messages/message.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import { inBrackets } from "../../sip/transport/ip-address.ts";
import { responseWindow } from "../emergency/attempt-timing.ts";
import { routeFacts } from "../emergency/emergency-routes.ts";
import type { Trunk } from "../trunks/trunk.ts";
import type { CallsContext } from "./call-context.ts";
import { type CallMedia, type MediaSide, mediaSide } from "./call-media.ts";
import { answererFor, isStale } from "./credentials.ts";
import { ALLOW, sdpContent } from "./incoming-invite.ts";
import type { Leg } from "./leg.ts";
import { OutgoingInvite } from "./outgoing-invite.ts";
import { newCallId, trunkInvite } from "./trunk-invite.ts";

/** How often a leg proves itself: once, and again where the nonce went stale meanwhile. */
const PROOFS = 3;

/** Somebody to ring. */
export type RingTarget =
  | { readonly kind: "trunk"; readonly trunk: Trunk; readonly number: string }
  | { readonly kind: "phone"; readonly binding: Binding };

/** What every leg of one call says. */
export interface RingContent {
  /** E.164, or the number of an extension, shown to the callee. */
  readonly callerNumber: string;
  readonly displayName: string | undefined;
  /** The caller's INVITE. */
  readonly request: SipRequest;
  /** Its offer; undefined when it wants one. */
  readonly sdp: string | undefined;
  readonly callerSide: MediaSide;
}

export interface RingHandlers {
  onProgress(leg: RingLeg, status: number, sdp: string | undefined): void;
  onAnswer(leg: RingLeg, fork: string): void;
  /** It will not answer; the status tells the caller why. */
  onFailed(leg: RingLeg, status: number): void;
  /** A trunk has not said anything within its window; it is tried on. */
  onSilence(leg: RingLeg): void;
}

export type RingState = "ringing" | "answered" | "releasing" | "over";

/** An INVITE of ours to one trunk or one phone, among those that ring for a call. */
export class RingLeg {
  readonly target: RingTarget;
  readonly side: MediaSide;
  /** User part of our Contact. */
  readonly token = token();
  state: RingState = "ringing";
  readonly #context: CallsContext;
  readonly #media: CallMedia;
  readonly #content: RingContent;
  readonly #handlers: RingHandlers;
  readonly #flow: Flow | undefined;
  readonly #callId = newCallId();
  readonly #fromTag = token(8);
  readonly #sent_ms: number;
  readonly #answers = new Map<string, string>();
  #early: string | undefined;
  #invite: OutgoingInvite | undefined;
  #cseq = 0;
  #credentials: Header | undefined;
  #proofs = 0;
  #responded = false;
  #window: Timer | undefined;

  constructor(
    context: CallsContext,
    media: CallMedia,
    content: RingContent,
    target: RingTarget,
    name: string,
    handlers: RingHandlers,
  ) {
    this.#context = context;
    this.#media = media;
    this.#content = content;
    this.#handlers = handlers;
    this.target = target;
    this.#flow = target.kind === "trunk" ? target.trunk.flow : flowTo(context, target.binding);
    const local =
      target.kind === "trunk"
        ? (target.trunk.path.localAddress ?? target.trunk.local.address)
        : target.binding.local_address;
    this.side = mediaSide(name, local, this.#flow?.remote.address ?? "", this.trunk?.path.id);
    this.#sent_ms = context.clock.now();
  }

  get trunk(): Trunk | undefined {
    return this.target.kind === "trunk" ? this.target.trunk : undefined;
  }

  answerOf(fork: string): string | undefined {
    return this.#answers.get(fork) ?? this.#early;
  }

  start(): void {
    const flow = this.#flow;
    if (flow === undefined || flow.closed) {
      this.#fail(503);
      return;
    }
    const { trunk } = this;
    if (trunk !== undefined) {
      this.#arm(trunk);
    }
    this.#invite = this.#newInvite(flow, trunk);
    void this.#send(this.#invite, flow);
  }

  /** Cancelled when it rings; what has not been sent yet never is. */
  cancel(headers: readonly Header[]): void {
    this.#window?.cancel();
    if (this.state !== "ringing") return;
    this.state = this.#cseq === 0 ? "over" : "releasing";
    this.#invite?.cancel(headers);
  }

  abandon(): void {
    this.#window?.cancel();
  }

  accept(fork: string, sdp?: string): void {
    this.#invite?.accept(fork, sdp);
  }

  release(fork: string): void {
    this.#invite?.release(fork);
  }

  leg(fork: string): Leg | undefined {
    return this.#invite?.leg(fork);
  }

  #arm(trunk: Trunk): void {
    const { window_ms } = responseWindow(routeFacts(trunk, new Set()));
    this.#window = this.#context.clock.after(window_ms, () => this.#silent());
  }

  #silent(): void {
    if (this.state !== "ringing" || this.#responded) return;
    this.trunk?.observe({ kind: "no_response", method: "INVITE" });
    this.trunk?.path.suspect("a call waits for its first response");
    if (this.trunk !== undefined && this.#invite?.moveOn() === true) {
      this.#arm(this.trunk);
      return;
    }
    this.#handlers.onSilence(this);
  }

  #fail(status: number): void {
    this.#window?.cancel();
    this.#handlers.onFailed(this, status);
  }

  async #send(invite: OutgoingInvite, flow: Flow): Promise<void> {
    const { sdp: offer, callerSide } = this.#content;
    const sdp = offer === undefined ? undefined : await this.#media.offer(callerSide, this.side, offer);
    if (this.state !== "ringing") return;
    this.#cseq++;
    const { target } = this;
    invite.send(target.kind === "trunk" ? this.#toTrunk(target, sdp) : this.#toPhone(target.binding, flow, sdp));
  }

  #newInvite(flow: Flow, trunk: Trunk | undefined): OutgoingInvite {
    const answerer = trunk === undefined ? undefined : answererFor(trunk, undefined, this.#context.config());
    const parts = { token: this.token, contact: this.#contact(flow), flow, answerer, servers: trunk };
    const invite: OutgoingInvite = new OutgoingInvite(this.#context, parts, {
      onProvisional: ({ status }, sdp) => {
        this.#firstResponse(status);
        if (sdp !== undefined) this.#early = sdp;
        this.#handlers.onProgress(this, status, sdp);
      },
      onAnswer: (fork, sdp) => {
        this.#firstResponse(200);
        if (sdp !== undefined) this.#answers.set(fork, sdp);
        this.#handlers.onAnswer(this, fork);
      },
      onRefusal: (response) => this.#refused(invite, flow, response),
      onTimeout: () => this.#fail(408),
      onSendError: ({ code, detail }) => {
        trunk?.observe({ kind: "send_error", detail: `${code} ${detail}` });
        this.#fail(503);
      },
    });
    return invite;
  }

  #refused(invite: OutgoingInvite, flow: Flow, response: SipResponse): void {
    this.#firstResponse(response.status);
    const challenged = response.status === 401 || response.status === 407;
    const worthIt = this.#proofs === 0 || (this.#proofs < PROOFS && isStale(response));
    if (challenged && worthIt && this.state === "ringing") {
      this.#proofs++;
      this.#credentials = invite.credentials(response);
      if (this.#credentials !== undefined) {
        void this.#send(invite, flow);
        return;
      }
    }
    // A trunk's challenge is none of the caller's business.
    this.#fail(challenged ? 403 : response.status);
  }

  #firstResponse(status: number): void {
    this.#window?.cancel();
    if (this.#responded) return;
    this.#responded = true;
    const after_ms = this.#context.clock.now() - this.#sent_ms;
    this.trunk?.observe({ kind: "first_response", method: "INVITE", after_ms, status });
  }

  #contact(flow: Flow): string {
    if (this.target.kind === "trunk") return this.target.trunk.contact(this.token);
    const { address, port } = this.#context.transport.sentBy(flow);
    const transport = flow.protocol === "udp" ? "" : `;transport=${flow.protocol}`;
    return `sip:${this.token}@${inBrackets(address)}:${port}${transport}`;
  }

  #toTrunk(target: Extract<RingTarget, { kind: "trunk" }>, sdp: string | undefined): SipRequest {
    const { callerNumber, displayName, request } = this.#content;
    return trunkInvite({
      trunk: target.trunk,
      contact: target.trunk.contact(this.token),
      number: target.number,
      callId: this.#callId,
      fromTag: this.#fromTag,
      cseq: this.#cseq,
      maxForwards: hopsLeft(request),
      callerNumber,
      displayName,
      phoneFrom: undefined,
      sdp,
      emergency: undefined,
      headers: this.#credentials === undefined ? [] : [this.#credentials],
    });
  }

  #toPhone(binding: Binding, flow: Flow, sdp: string | undefined): SipRequest {
    const { callerNumber, displayName, request } = this.#content;
    const { address } = this.#context.transport.sentBy(flow);
    // RFC 7090: the phone may have to let a PSAP's return call through its own "do not disturb".
    const priority = header(request, "Priority");
    return buildRequest({
      method: "INVITE",
      uri: binding.contact,
      from: {
        ...(displayName === undefined ? {} : { displayName }),
        uri: `sip:${callerNumber}@${inBrackets(address)}`,
        params: [{ name: "tag", value: this.#fromTag }],
      },
      to: `<${binding.aor}>`,
      callId: this.#callId,
      cseq: this.#cseq,
      maxForwards: hopsLeft(request),
      contact: `<${this.#contact(flow)}>`,
      headers: [
        { name: "Allow", value: ALLOW },
        ...(priority === undefined ? [] : [{ name: "Priority", value: priority }]),
      ],
      ...sdpContent(sdp),
    });
  }
}

function flowTo(context: CallsContext, binding: Binding): Flow {
  return context.transport.flowTo({
    protocol: binding.transport,
    address: binding.source_address,
    port: binding.source_port,
    local_address: binding.local_address,
    ...(binding.transport === "udp" ? { local_port: binding.local_port } : {}),
  });
}

/** One hop less than the caller gave, so that a loop through the box comes to an end (RFC 3261 §16.6 step 3). */
function hopsLeft(request: SipRequest): number {
  const hops = Number(header(request, "Max-Forwards") ?? 70);
  return Number.isInteger(hops) && hops > 0 && hops <= 70 ? hops - 1 : 69;
}
