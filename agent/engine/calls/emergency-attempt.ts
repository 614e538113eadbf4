import { token } from "../../base/ids.ts";
import { header, headerValues } from "../../sip/messages/headers.ts";
import type { Header, SipRequest, SipResponse } from "../../sip/messages/message.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import { responseWindow } from "../emergency/attempt-timing.ts";
import type { AttemptsInput, Challenged } from "../emergency/attempts-state.ts";
import type { EmergencyTarget } from "../emergency/classify.ts";
import { routeFacts } from "../emergency/emergency-routes.ts";
import type { ResolvedLocation } from "../emergency/location.ts";
import type { Trunk } from "../trunks/trunk.ts";
import type { CallsContext } from "./call-context.ts";
import { type CallMedia, type MediaSide, mediaSide, offersSound } from "./call-media.ts";
import { answererFor, isStale } from "./credentials.ts";
import type { Leg } from "./leg.ts";
import { OutgoingInvite } from "./outgoing-invite.ts";
import { type CallerIdentity, newCallId, trunkInvite } from "./trunk-invite.ts";

/** What every attempt of one call says. */
export interface AttemptContent {
  readonly target: EmergencyTarget;
  readonly identity: CallerIdentity;
  readonly callerNumber: string;
  readonly location: ResolvedLocation;
}

/** The caller as its attempts see it. */
export interface AttemptCaller {
  readonly request: SipRequest;
  /** Its offer; undefined when it wants one. */
  readonly sdp: string | undefined;
  readonly side: MediaSide;
}

export interface AttemptShape {
  readonly location: boolean;
  readonly retransmit_at_ms: readonly number[];
}

export interface AttemptHandlers {
  /** For the attempts machine. */
  feed(input: AttemptsInput): void;
  /** What the journal has to know of its INVITE: it has just been sent, or the first response has come. */
  keep(invite: SipRequest, flow: Flow, proceeding: boolean): void;
  /** Whether the machine still waits for this attempt's first response. */
  isTrying(): boolean;
  onSent(): void;
}

/** The box's end of the sound on a trunk. */
export function sideTowards(trunk: Trunk, flow: Flow, name: string): MediaSide {
  return mediaSide(name, trunk.path.localAddress ?? trunk.local.address, flow.remote.address, trunk.path.id);
}

/** One attempt on one trunk: its own Call-ID and tags, its own ports. */
export class EmergencyAttempt {
  readonly id: number;
  readonly trunk: Trunk;
  readonly side: MediaSide;
  /** User part of our Contact. */
  readonly token = token();
  readonly contact: string;
  readonly #context: CallsContext;
  readonly #media: CallMedia;
  readonly #content: AttemptContent;
  readonly #caller: AttemptCaller;
  readonly #handlers: AttemptHandlers;
  readonly #invite: OutgoingInvite;
  readonly #callId = newCallId();
  readonly #fromTag = token(8);
  /** SDP of its answers by fork. */
  readonly #answers = new Map<string, string>();
  #early: string | undefined;
  #cseq = 0;
  #sent_ms: number | undefined;
  #responded = false;
  /** A send error has ended its transaction. */
  #lost = false;
  /** A provisional response to the newest INVITE has come. */
  #proceeding = false;
  #challenge: SipResponse | undefined;
  #sent: ((trunk: Trunk) => void) | undefined;

  constructor(parts: {
    readonly context: CallsContext;
    readonly media: CallMedia;
    readonly content: AttemptContent;
    readonly caller: AttemptCaller;
    readonly id: number;
    readonly trunk: Trunk;
    readonly flow: Flow;
    readonly side: MediaSide;
    readonly handlers: AttemptHandlers;
  }) {
    const { context, trunk, flow } = parts;
    this.#context = context;
    this.#media = parts.media;
    this.#content = parts.content;
    this.#caller = parts.caller;
    this.#handlers = parts.handlers;
    this.id = parts.id;
    this.trunk = trunk;
    this.side = parts.side;
    const answerer = answererFor(trunk, parts.content.identity.extension, context.config());
    this.contact = trunk.contact(this.token);
    const { contact } = this;
    this.#invite = this.#newInvite({ token: this.token, contact, flow, answerer, servers: trunk });
  }

  /** The last 401 or 407. */
  get challenge(): SipResponse | undefined {
    return this.#challenge;
  }

  get early(): string | undefined {
    return this.#early;
  }

  /** What a fork answered; with a reliable provisional before it the 2xx itself may carry nothing. */
  answerOf(fork: string): string | undefined {
    return this.#answers.get(fork) ?? this.#early;
  }

  /** Sends the INVITE once ports are there; `answered`: with the box's credentials for the last challenge. */
  async send(shape: AttemptShape, answered: boolean): Promise<void> {
    const { sdp: offer, side } = this.#caller;
    const sdp = offer === undefined ? undefined : await this.#media.offer(side, this.side, offer);
    // Ports were waited for: by now the caller may be gone, or another attempt may have been answered.
    if (!this.#handlers.isTrying()) {
      this.#handlers.feed({ type: "timeout", attempt: this.id });
      return;
    }
    this.#cseq++;
    this.#sent_ms ??= this.#context.clock.now();
    // The trunk's next server, where it has one, gets the call in the moment in which another trunk would.
    const { window_ms } = responseWindow(routeFacts(this.trunk, new Set()));
    this.#invite.send(this.#request(shape, sdp, this.#credentials(answered)), shape.retransmit_at_ms, window_ms);
    this.#sent?.(this.trunk);
    this.#sent = undefined;
    this.#handlers.onSent();
    this.#keep(false);
  }

  /** Calls back once the INVITE has left; at once when it has. */
  whenSent(then: (trunk: Trunk) => void): void {
    if (this.#cseq > 0) then(this.trunk);
    else this.#sent = then;
  }

  cancel(headers: readonly Header[]): void {
    this.#invite.cancel(headers);
  }

  accept(fork: string, sdp?: string): void {
    this.#invite.accept(fork, sdp);
  }

  quiet(): void {
    this.#invite.quiet();
  }

  release(fork: string, headers: readonly Header[]): void {
    this.#invite.release(fork, headers);
  }

  leg(fork: string): Leg | undefined {
    return this.#invite.leg(fork);
  }

  #request({ location }: AttemptShape, sdp: string | undefined, headers: readonly Header[]): SipRequest {
    const { target, identity, callerNumber } = this.#content;
    return trunkInvite({
      trunk: this.trunk,
      contact: this.trunk.contact(this.token),
      number: target.digits,
      callId: this.#callId,
      fromTag: this.#fromTag,
      cseq: this.#cseq,
      maxForwards: 70,
      callerNumber,
      displayName: identity.extension?.name,
      phoneFrom: header(this.#caller.request, "From"),
      sdp,
      emergency: {
        location: location ? this.#content.location : undefined,
        instance: identity.instance,
        wall_ms: this.#context.clock.wall(),
      },
      headers,
    });
  }

  /** The box's own, or what a phone has brought along for its PBX. */
  #credentials(answered: boolean): Header[] {
    if (answered && this.#challenge !== undefined) {
      const own = this.#invite.credentials(this.#challenge);
      return own === undefined ? [] : [own];
    }
    if (this.trunk.kind !== "pbx") return [];
    return ["Authorization", "Proxy-Authorization"].flatMap((name) =>
      headerValues(this.#caller.request, name).map((value) => ({ name, value })),
    );
  }

  #newInvite(parts: ConstructorParameters<typeof OutgoingInvite>[1]): OutgoingInvite {
    const { feed } = this.#handlers;
    const attempt = this.id;
    return new OutgoingInvite(this.#context, parts, {
      onProvisional: ({ status }, sdp) => {
        this.#firstResponse(status);
        if (sdp !== undefined) this.#early = sdp;
        if (!this.#proceeding) this.#keep(true);
        feed({ type: "provisional", attempt, status, early_media: sdp !== undefined });
      },
      onAnswer: (fork, sdp) => {
        this.#firstResponse(200);
        if (sdp !== undefined) this.#answers.set(fork, sdp);
        const answer = this.answerOf(fork);
        const mute = answer === undefined || !offersSound(answer);
        if (mute) this.#context.log.warn("an answer that describes no sound", { trunk: this.trunk.id, attempt });
        feed({ type: "answer", attempt, fork, mute });
      },
      onRefusal: (response) => {
        this.#firstResponse(response.status);
        feed({ type: "refusal", attempt, status: response.status, challenge: this.#whoAnswers(response) });
      },
      onTimeout: () => feed({ type: "timeout", attempt }),
      onSendError: ({ code, detail }) => {
        this.trunk.observe({ kind: "send_error", detail: `${code} ${detail}` });
        feed({ type: "send_error", attempt });
        // Once: should that fail as well, nobody can be told anything.
        if (!this.#lost) this.#listenOn();
      },
    });
  }

  #whoAnswers(response: SipResponse): Challenged | undefined {
    if (response.status !== 401 && response.status !== 407) return undefined;
    this.#challenge = response;
    if (this.#invite.credentials(response) !== undefined) return isStale(response) ? "stale" : "box";
    // A trunk's challenge is none of the phone's business; its PBX's is.
    return this.trunk.kind === "pbx" ? "caller" : undefined;
  }

  #listenOn(): void {
    this.#lost = true;
    const { flow } = this.trunk;
    const anew = flow?.reliable === true && !flow.closed && flow !== this.#invite.flow ? flow : undefined;
    this.#invite.listenOn(anew, this.#proceeding);
  }

  #keep(proceeding: boolean): void {
    this.#proceeding = proceeding;
    const { request, flow } = this.#invite;
    if (request !== undefined) this.#handlers.keep(request, flow, proceeding);
  }

  #firstResponse(status: number): void {
    if (this.#responded || this.#sent_ms === undefined) return;
    this.#responded = true;
    const after_ms = this.#context.clock.now() - this.#sent_ms;
    this.trunk.observe({ kind: "first_response", method: "INVITE", after_ms, status });
  }
}
