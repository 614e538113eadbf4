import type { Clock, Timer } from "../../../base/clock.ts";
import type { SiteConfig } from "../../../base/config/schema.ts";
import { Runner } from "../../../base/fsm.ts";
import type { Log } from "../../../base/log.ts";
import { newRequest } from "../../../sip/dialogs/dialog.ts";
import { callIdOf } from "../../../sip/messages/headers.ts";
import type { Header, SipRequest } from "../../../sip/messages/message.ts";
import { readSdp } from "../../../sip/messages/sdp.ts";
import type { ClientTransaction } from "../../../sip/transactions/client-transaction.ts";
import type { TransactionLayer } from "../../../sip/transactions/layer.ts";
import type { TransportLayer } from "../../../sip/transport/transport.ts";
import { topRoute } from "../../forwarding.ts";
import type { OwnUris } from "../../own-uris.ts";
import type { AddressesOfRecord } from "../../registrar/addresses-of-record.ts";
import type { BindingStore } from "../../registrar/binding-store.ts";
import type { Trunk, Trunks } from "../../trunks/trunk.ts";
import { announcementCodec, HELD } from "../call-media.ts";
import { GAVE_WAY } from "../incoming-invite.ts";
import type { MediaDetour, ProxyMedia } from "../proxy-media.ts";
import type { PassageWatcher } from "../proxy-parties.ts";
import type { CallFiles } from "./call-files.ts";
import { RESUMED_MS } from "./dead-path-exit.ts";
import { FarEndRequests } from "./far-end-requests.ts";
import { FarEndWatch, isDoubtful, SILENT_MS } from "./far-end-watch.ts";
import { isKeptCall, type KeptCall } from "./kept-call.ts";
import { type KeptDialog, pairOf } from "./kept-dialog.ts";
import {
  isBusy,
  type MoveEffect,
  type MoveInput,
  type MoveState,
  moving,
  RUNGS,
  type Rung,
  settledOn,
} from "./move-machine.ts";
import { inPlace, nextIn, offered, offerOf } from "./own-request.ts";
import type { Permissions } from "./permissions.ts";
import { PhoneOffers } from "./phone-offers.ts";
import type { DialogWatcher, ProxiedDialogs } from "./proxied-dialogs.ts";
import { isGone, isOutside, isUsable, phoneOf } from "./ways.ts";

/** So long a caller is left without sound before the next rung is tried: three seconds hold two of them and the verdict. */
const ANSWER_MS = 1200;
/** RFC 3261 §14.1, for who did not begin the dialog: up to 2 s. */
const GLARE_MS = 2000;
const PROBE_AGAIN_MS = [2_000, 8_000, 30_000, 60_000] as const;

export interface CallMoverContext {
  readonly clock: Clock;
  readonly log: Log;
  readonly transactions: TransactionLayer;
  readonly transport: TransportLayer;
  readonly trunks: Trunks;
  readonly own: OwnUris;
  readonly store: BindingStore;
  readonly dialogs: ProxiedDialogs;
  readonly media: ProxyMedia;
  readonly journal: CallFiles;
  readonly permissions: Permissions;
  readonly watcher: PassageWatcher;
  config(): SiteConfig;
  aors(): AddressesOfRecord;
  readonly random: () => number;
}

/** One call on its move, and after it. */
interface Move {
  readonly leg: string;
  readonly runner: Runner<MoveState, MoveInput, MoveEffect>;
  lost_ms: number;
  ports: MediaDetour | undefined;
  asked: ClientTransaction | undefined;
  timer: Timer | undefined;
  /** A re-INVITE that asks whether the call is still known is open. */
  probing: boolean;
  probes: number;
  probe_after_ms: number;
}

/**
 * Moves answered calls between phones and the cloud off a path that died, by `move-machine.ts`, and looks after them
 * there: requests of the far end still come by the dead path, so that its hanging up shows in silence alone.
 */
export class CallMover implements DialogWatcher {
  readonly #context: CallMoverContext;
  readonly #moves = new Map<string, Move>();
  readonly #watch: FarEndWatch;
  readonly #requests: FarEndRequests;
  readonly #phone: PhoneOffers;
  #hush: Timer | undefined;

  constructor(context: CallMoverContext) {
    this.#context = context;
    context.dialogs.watcher = this;
    this.#requests = new FarEndRequests(context);
    this.#phone = new PhoneOffers(context);
    const { clock, dialogs, media, trunks } = context;
    this.#watch = new FarEndWatch({
      clock,
      calls: () => dialogs.size,
      silences: () => media.silences(),
      carrier: (leg) => {
        const kept = dialogs.get(leg);
        const isLost = this.#moves.get(leg)?.runner.state.lost === true;
        return kept === undefined || isLost ? undefined : trunks.get(this.#onOf(leg, kept));
      },
      lost: (leg) => {
        const kept = dialogs.get(leg);
        if (kept !== undefined) this.#lost(kept, this.#onOf(leg, kept));
      },
      looked: (silences) => this.#looked(silences),
    });
  }

  /** Calls from before a restart: the relay has gone on with them. */
  resume(): void {
    const { journal, dialogs, media, log, clock } = this.#context;
    for (const value of journal.load()) {
      if (!isKeptCall(value)) continue;
      const { dialog, media: kept, on } = value;
      if (kept !== undefined) media.resume(dialog.leg, kept);
      dialogs.put(dialog);
      if (on !== dialog.trunk) this.#move(dialog, on);
      this.#watch.resumed(dialog.leg);
    }
    this.#hush = clock.after(RESUMED_MS, () => {
      // They may have been held; what is still cut off has been found so by now.
      for (const { leg } of dialogs.all()) {
        if (this.#moves.get(leg)?.runner.state.told !== true) media.play(leg, undefined);
      }
    });
    if (dialogs.size > 0) log.info("forwarded calls taken up again", { calls: dialogs.size });
  }

  close(): void {
    this.#hush?.cancel();
    this.#watch.stop();
    this.#phone.close();
    for (const move of this.#moves.values()) move.timer?.cancel();
    this.#context.journal.close();
  }

  changed(leg: string): void {
    this.#watch.start();
    this.#context.journal.changed(leg, () => this.#record(leg));
  }

  ended(leg: string): void {
    const move = this.#moves.get(leg);
    this.#phone.ended(leg);
    this.#context.journal.remove(leg);
    if (move === undefined) return;
    move.runner.feed({ type: "ended" });
    move.timer?.cancel();
    this.#moves.delete(leg);
  }

  /** Calls whose end nobody has told are over after hours of silence; see `ProxyMedia.reap`. */
  async reap(up_ms: number): Promise<void> {
    for (const leg of await this.#context.media.reap(up_ms)) {
      const kept = this.#context.dialogs.get(leg);
      if (kept !== undefined) this.#over(kept, "silent for hours");
    }
  }

  /** A verdict on a trunk, a detour or its path. Calls with the outside go before others: the main number is to be answered. */
  trunkChanged(trunk: Trunk): void {
    const outside = (kept: KeptDialog) => Number(isOutside(kept));
    const all = [...this.#context.dialogs.all()].sort((a, b) => outside(b) - outside(a));
    for (const kept of all) {
      const move = this.#moves.get(kept.leg);
      const on = this.#onOf(kept.leg, kept);
      if (trunk.id !== on) {
        if (move?.runner.state.name === "held" && this.#ways(kept, on).some(({ id }) => id === trunk.id)) {
          move.runner.feed({ type: "way", to: trunk.id, rungs: this.#rungs(kept) });
        }
      } else if (isGone(trunk)) this.#lost(kept, on);
      else if (!isDoubtful(trunk.path.health) && !isDoubtful(trunk.health)) move?.runner.feed({ type: "back" });
    }
  }

  /**
   * Every call that goes over this path now is over: an emergency call needs what it takes. Both ends are told, and nobody's
   * word is waited for.
   */
  giveWay(path: string): void {
    const { dialogs, trunks, log } = this.#context;
    for (const kept of [...dialogs.all()]) {
      const on = trunks.get(this.#moves.get(kept.leg)?.runner.state.on ?? kept.trunk);
      if (on?.path.id !== path) continue;
      log.warn("a forwarded call gives way to an emergency call", { leg: kept.leg, path });
      this.#requests.end(kept, on, [GAVE_WAY]);
      this.#endPhone(kept, "gave way to an emergency call", [GAVE_WAY]);
    }
  }

  /** The trunk or detour by which requests of this call reach the far end now; `except` has just failed. */
  wayOut(leg: string, except?: string): Trunk | undefined {
    const kept = this.#context.dialogs.get(leg);
    if (kept === undefined) return undefined;
    const on = this.#onOf(leg, kept);
    const current = this.#context.trunks.get(on);
    if (current !== undefined && on !== except && isUsable(current)) return current;
    return this.#ways(kept, on).find(({ id }) => id !== except);
  }

  /** An offer of the box's own is open on this call: another one would cross it (RFC 3261 §14.1, §14.2). */
  isBusy(leg: string): boolean {
    const move = this.#moves.get(leg);
    return move !== undefined && (move.probing || this.#phone.isAsked(leg) || isBusy(move.runner.state));
  }

  /**
   * A request of the far end in the dialog that another has taken the place of: the BYE by which RFC 3891 §3 has it end
   * that one must not end the call.
   */
  isOfReplaced(leg: string, request: SipRequest): boolean {
    const kept = this.#context.dialogs.get(leg);
    return kept?.replaced === true && callIdOf(request) === kept.near.callId;
  }

  /** A request for the contact that the far end was given at a move, readdressed to the phone; true when it was one. */
  readdress(request: SipRequest): boolean {
    const { own, dialogs, transport } = this.#context;
    const uri = own.of(request.uri);
    if (!uri.ours || uri.token?.side.kind !== "trunk") return false;
    const kept = dialogs.get(uri.token.leg);
    const contact = kept?.contact === undefined ? undefined : own.of(kept.contact);
    if (kept === undefined || contact?.ours !== true || contact.user !== uri.user) return false;
    request.uri = kept.near.remoteTarget;
    const top = topRoute(request);
    if (top === undefined || !own.ofRoute(top).ours) {
      const { flow } = phoneOf(kept, this.#context);
      const route = `<${own.towardsPhone(flow, transport.sentBy(flow), kept.leg)};lr>`;
      request.headers.unshift({ name: "Route", value: route });
    }
    return true;
  }

  #lost(kept: KeptDialog, on: string): void {
    const { dialogs, media, log, trunks } = this.#context;
    const path = trunks.get(on)?.path.id;
    if (path !== undefined) this.#watch.wasRight(path);
    const pair = pairOf(kept, dialogs.all());
    if (pair !== undefined) {
      log.info("a call between two phones of this box goes on without the cloud", { legs: [kept.leg, pair.leg] });
      media.join(kept.leg, pair.leg);
      for (const { leg } of [kept, pair]) this.changed(leg);
      return;
    }
    const move = this.#moves.get(kept.leg) ?? this.#move(kept, on);
    move.lost_ms = this.#context.clock.now();
    move.runner.feed({ type: "lost", to: this.#ways(kept, on)[0]?.id, rungs: this.#rungs(kept) });
  }

  /** What else leads to the far end, the trunk itself before its detour. */
  #ways(kept: KeptDialog, on: string): readonly Trunk[] {
    const { trunks, config } = this.#context;
    const own = trunks.get(kept.trunk);
    const allowed = config().failover.running_calls;
    const detour =
      allowed === "stay" || (allowed === "main_number" && !isOutside(kept)) ? undefined : trunks.detour(kept.trunk);
    return [own, detour].flatMap((trunk) => (trunk !== undefined && trunk.id !== on && isUsable(trunk) ? [trunk] : []));
  }

  #rungs(kept: KeptDialog): readonly Rung[] {
    return this.#context.permissions.order(kept.trunk, RUNGS);
  }

  #move(kept: KeptDialog, on: string): Move {
    const { leg } = kept;
    const move: Move = {
      leg,
      runner: new Runner(moving, settledOn(on), (effect) => this.#perform(move, effect)),
      lost_ms: this.#context.clock.now(),
      ports: undefined,
      asked: undefined,
      timer: undefined,
      probing: false,
      probes: 0,
      probe_after_ms: 0,
    };
    this.#moves.set(leg, move);
    return move;
  }

  #perform(move: Move, effect: MoveEffect): void {
    const { dialogs, media, permissions, clock, log, watcher, trunks, random } = this.#context;
    const kept = dialogs.get(move.leg);
    switch (effect.type) {
      case "open":
        void this.#open(move, effect.to);
        return;
      case "ask":
        if (kept !== undefined) this.#ask(move, kept, effect.rung, effect.to);
        return;
      case "wait":
        this.#arm(move, GLARE_MS * (0.5 + random() / 2), { type: "retry" });
        return;
      case "drop":
        move.asked?.cancel();
        move.asked = undefined;
        move.timer?.cancel();
        move.ports?.drop();
        move.ports = undefined;
        return;
      case "use": {
        move.timer?.cancel();
        const to = trunks.get(effect.to);
        const took_ms = Math.round(clock.now() - move.lost_ms);
        log.info("a running call has moved", { leg: move.leg, to: effect.to, rung: effect.rung, took_ms });
        if (to !== undefined) watcher.moved(move.leg, to, effect.rung, took_ms);
        move.probes = 0;
        move.probe_after_ms = clock.now() + SILENT_MS;
        this.changed(move.leg);
        return;
      }
      case "learn": {
        const { rung, outcome, status } = effect;
        if (kept === undefined) return;
        permissions.learn({
          trunk: kept.trunk,
          rung,
          outcome,
          ...(status === undefined ? {} : { status }),
          at_wall: clock.wall(),
        });
        log.info("what the far side permits", { trunk: kept.trunk, rung, outcome, status });
        return;
      }
      case "hold": {
        const sdp = kept?.sdp;
        log.warn("a running call could not be moved and is held", { leg: move.leg });
        // Sound of ours in the clear would be noise to a phone that expects SRTP.
        if (sdp === undefined || readSdp(sdp).media[0]?.encrypted === true) return;
        media.play(move.leg, { payload_type: announcementCodec(sdp), sound: HELD });
        return;
      }
      case "resume":
        media.play(move.leg, undefined);
        return;
      case "probe":
        if (kept !== undefined) this.#probe(move, kept);
        return;
      case "end_phone":
        if (kept !== undefined) this.#endPhone(kept, effect.cause);
        return;
    }
  }

  async #open(move: Move, to: string): Promise<void> {
    const { trunks, media } = this.#context;
    const trunk = trunks.get(to);
    const flow = trunk?.flow;
    move.ports?.drop();
    move.ports =
      trunk === undefined || flow === undefined
        ? undefined
        : await media.detour(move.leg, {
            local_address: trunk.local.address,
            signalling_address: flow.remote.address,
            path: trunk.path.id,
          });
    if (move.runner.state.name === "over") {
      move.ports?.drop();
      return;
    }
    move.runner.feed({ type: move.ports === undefined ? "no_media" : "opened" });
  }

  #ask(move: Move, kept: KeptDialog, rung: Rung, to: string): void {
    const { trunks, own, media } = this.#context;
    const trunk = trunks.get(to);
    const ports = move.ports;
    const offer = ports === undefined ? undefined : offerOf(kept, ports.targets, media.agreed(kept.leg));
    if (trunk === undefined || ports === undefined || offer === undefined) {
      move.runner.feed({ type: "refused", rung, status: 503 });
      return;
    }
    const contact = own.towardsTrunk(trunk, kept.leg);
    this.#arm(move, ANSWER_MS, { type: "silent" });
    const sent = (transaction: ClientTransaction) => {
      move.asked = transaction;
    };
    if (rung === "replaces") {
      this.#requests.replace(kept, trunk, contact, offer, {
        sent,
        onAnswer: (dialog, sdp) => {
          const now = this.#context.dialogs.get(kept.leg);
          if (now === undefined || move.runner.state.name === "over") return false;
          // Once the far end is in it, the new dialog counts, whatever was answered before.
          this.#context.dialogs.put({ ...offered(inPlace(now, dialog), offer), contact });
          this.#take(ports, kept.leg, sdp);
          move.ports = undefined;
          move.runner.feed({ type: "answered", rung });
          return true;
        },
        onRefusal: (status) => move.runner.feed({ type: "refused", rung, status }),
      });
      return;
    }
    this.#requests.reInvite(kept.leg, trunk, contact, offer, {
      sent,
      onAnswer: (sdp) => {
        const { state } = move.runner;
        if (state.name === "over" || state.to !== to || move.ports !== ports) return;
        const now = this.#context.dialogs.get(kept.leg);
        if (now !== undefined) this.#context.dialogs.put({ ...offered(now, offer), contact });
        // Before anything else: the far end is heard from here on.
        this.#take(ports, kept.leg, sdp);
        move.ports = undefined;
        move.runner.feed({ type: "answered", rung });
      },
      onRefusal: (status) => {
        const now = this.#context.dialogs.get(kept.leg);
        // The version that was refused is used up.
        const seen = now === undefined ? undefined : offerOf(now, []);
        if (now !== undefined && seen !== undefined) this.#context.dialogs.put(offered(now, seen));
        move.runner.feed({ type: "refused", rung, status });
      },
    });
  }

  /** The far end's media goes here from now on; where it speaks with another key or codec than before, the phone is told. */
  #take(ports: MediaDetour, leg: string, sdp: string): void {
    if (!ports.take(sdp)) return;
    const { media, log } = this.#context;
    log.info("the far end of a moved call speaks otherwise than before, and the phone is told", { leg });
    const party = () => {
      const kept = this.#context.dialogs.get(leg);
      return kept === undefined ? undefined : phoneOf(kept, this.#context);
    };
    this.#phone.tell(leg, media.towardsPhone(leg, sdp), party, (answer, { flow }) => {
      const way = { local_address: flow.local.address, signalling_address: flow.remote.address };
      media.heardFromPhone(leg, answer, way);
      this.changed(leg);
    });
  }

  #arm(move: Move, after_ms: number, input: MoveInput): void {
    move.timer?.cancel();
    move.timer = this.#context.clock.after(after_ms, () => move.runner.feed(input));
  }

  /** A moved call whose far end is silent is asked about. */
  #looked(silences: ReadonlyMap<string, number>): void {
    const { dialogs, clock } = this.#context;
    for (const move of this.#moves.values()) {
      const kept = dialogs.get(move.leg);
      const { name, lost } = move.runner.state;
      if (kept === undefined || name !== "settled" || lost || move.probing) continue;
      if ((silences.get(move.leg) ?? SILENT_MS) < SILENT_MS) {
        move.probes = 0;
        move.probe_after_ms = 0;
      } else if (clock.now() >= move.probe_after_ms) this.#probe(move, kept);
    }
  }

  #onOf(leg: string, kept: KeptDialog): string {
    return this.#moves.get(leg)?.runner.state.on ?? kept.trunk;
  }

  /** The same offer once more: who knows the call agrees, who has ended it says 481 (RFC 3261 §12.2.2). */
  #probe(move: Move, kept: KeptDialog): void {
    const { clock } = this.#context;
    const trunk = this.wayOut(move.leg);
    const offer = offerOf(kept, undefined);
    const wait_ms = PROBE_AGAIN_MS[Math.min(move.probes, PROBE_AGAIN_MS.length - 1)] ?? 0;
    move.probes++;
    move.probe_after_ms = clock.now() + wait_ms;
    if (trunk === undefined || offer === undefined) return;
    move.probing = true;
    this.#requests.reInvite(kept.leg, trunk, kept.contact ?? kept.near.remoteTarget, offer, {
      sent: () => {},
      onAnswer: () => {
        move.probing = false;
      },
      onRefusal: (status) => {
        move.probing = false;
        const now = this.#context.dialogs.get(move.leg);
        if (status === 481 && now !== undefined) this.#endPhone(now, "the far end has ended the call");
      },
    });
  }

  /** BYE to the phone in the far end's place; the call is over whatever it says. */
  #endPhone(kept: KeptDialog, cause: string, headers: readonly Header[] = []): void {
    const { flow } = phoneOf(kept, this.#context);
    const { request } = newRequest(nextIn(kept), "BYE", { headers: [...headers] });
    this.#context.transactions.request(request, flow, { onFinal() {}, onTimeout() {}, onTransportError() {} });
    this.#over(kept, cause);
  }

  #over(kept: KeptDialog, cause: string): void {
    const { dialogs, media, watcher, trunks } = this.#context;
    const trunk = trunks.get(kept.trunk);
    media.close(kept.leg);
    if (trunk !== undefined) {
      watcher.ended(kept.leg, { kind: "trunk", trunk, flow: phoneOf(kept, this.#context).flow }, cause);
    }
    dialogs.ended(kept.leg);
  }

  #record(leg: string): KeptCall | undefined {
    const { dialogs, media } = this.#context;
    const dialog = dialogs.get(leg);
    if (dialog === undefined) return undefined;
    const on = this.#onOf(leg, dialog);
    return { v: 1, dialog, media: media.kept(leg), on };
  }
}
