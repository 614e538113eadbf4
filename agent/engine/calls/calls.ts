import type { Timer } from "../../base/clock.ts";
import type { EmergencyData } from "../../base/events.ts";
import type { Binding, CallbackEntry } from "../../base/snapshot.ts";
import type { CallStatus } from "../../base/status.ts";
import { MergedRequests } from "../../sip/core/merged-requests.ts";
import { inspectRequest } from "../../sip/core/uas-inspection.ts";
import { buildResponse } from "../../sip/messages/build.ts";
import { header } from "../../sip/messages/headers.ts";
import type { SipRequest } from "../../sip/messages/message.ts";
import { parseUri, userOf } from "../../sip/messages/uri.ts";
import type { ServerTransaction } from "../../sip/transactions/server-transaction.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import { isWildcard } from "../../sip/transport/ip-address.ts";
import { classify, type EmergencyTarget } from "../emergency/classify.ts";
import { locate } from "../emergency/location.ts";
import { isPsapCallback } from "../emergency/psap-callback.ts";
import type { Path } from "../paths/path.ts";
import { toE164 } from "../routing/numbers.ts";
import { plan, planEmergency } from "../routing/plan.ts";
import type { RoutePlan, RouteStep } from "../routing/plan-types.ts";
import { routingView } from "../routing/view.ts";
import type { Trunk } from "../trunks/trunk.ts";
import type { CallsContext, OwnedCall } from "./call-context.ts";
import { callerOf, dialledOf, localEnd, tokenOf, userOfHeader } from "./call-requests.ts";
import { CallbackLedger } from "./callback-ledger.ts";
import type { CallsPort } from "./calls-port.ts";
import { EmergencyCall, type EmergencyHost } from "./emergency-call.ts";
import type { EmergencyFacts } from "./emergency-records.ts";
import { ABILITIES } from "./incoming-invite.ts";
import { CallJournal, type CallRecord } from "./journal.ts";
import type { FarEndWatch } from "./moving/far-end-watch.ts";
import { watchOwnedCalls } from "./moving/owned-calls-watch.ts";
import { rehearse, rehearseMedia } from "./rehearsal.ts";
import type { RingTarget } from "./ring-leg.ts";
import { displayNameOf, type RingStage, TrunkCall } from "./trunk-call.ts";
import { identify } from "./trunk-invite.ts";
import { UnansweredCalls } from "./unanswered-calls.ts";

export type { CallsContext } from "./call-context.ts";

/** For so long a redialled 911 leaves out the path on which the call before fell silent. */
const LOST_PATH_MS = 5 * 60_000;
/** A PSAP's return call rings the 911 phone alone for so long, then the main group too. */
const CALLBACK_ALONE_MS = 15_000;

const REHEARSE_AFTER_MS = 50;
const REHEARSE_AGAIN_MS = 1000;
const REHEARSE_TRIES = 30;
const MEDIA_RUNS = 3;

/** Every call whose dialogs the box owns: emergency calls, and calls of the main number over trunks. */
export class Calls implements CallsPort {
  readonly #context: CallsContext;
  readonly #journal: CallJournal;
  readonly #host: EmergencyHost;
  readonly #ledger = new CallbackLedger();
  /** By the user part of our Contact in each dialog. */
  readonly #byToken = new Map<string, OwnedCall>();
  readonly #calls = new Set<OwnedCall>();
  readonly #timers = new Set<Timer>();
  readonly #merged = new MergedRequests();
  #closed = false;
  readonly #unanswered: UnansweredCalls;
  readonly #sound: FarEndWatch;
  /** Paths that failed an answered 911 call, and until when (monotonic ms) they count as down for the next one. */
  readonly #lost = new Map<string, number>();

  constructor(context: CallsContext) {
    this.#context = context;
    this.#journal = new CallJournal(context.journalDir, context.log);
    this.#unanswered = new UnansweredCalls(context, this.#journal);
    this.#sound = watchOwnedCalls({ ...context, calls: () => this.#calls });
    this.#host = {
      journal: this.#journal,
      begun: (call, tx) => this.#unanswered.begun(call.id, tx),
      own: (id, call) => void this.#byToken.set(id, call),
      progressed: (call) => this.#unanswered.progressed(call.callerCallId),
      preempt: (path, by) => {
        for (const call of [...this.#calls]) if (call.id !== by) call.giveWay(path);
        context.forwardedGiveWay(path);
      },
      deadPaths: (kind) => this.#deadPaths(kind),
      pathLost: (path) => void this.#lost.set(path, context.clock.now() + LOST_PATH_MS),
      reached: (call) => this.#openWindow(call),
      gone: (call) => this.#forget(call),
    };
  }

  /** An INVITE that `classify` knows. It is never refused; a repeated one (RFC 3261 §8.2.2.2) is told so. */
  takeEmergency(tx: ServerTransaction, _flow: Flow): void {
    const config = this.#context.config();
    const { request } = tx;
    const target = classify(request, config);
    if (target === undefined) {
      tx.respond(buildResponse(request, 404));
      return;
    }
    for (const call of this.#calls) {
      if (!(call instanceof EmergencyCall)) continue;
      if (call.awaits(request)) {
        call.comeBack(tx);
        return;
      }
      if (call.isMergedWith(request)) {
        tx.respond(buildResponse(request, 482));
        return;
      }
    }
    const { remote } = tx.flow;
    const binding = this.#context.contacts.bySource(remote.address, remote.port);
    const identity = identify(request, header(request, "From"), binding, config);
    const location = locate(
      {
        extension: identity.extension?.id,
        registered: identity.registered,
        instance: identity.instance,
        source_address: remote.address,
      },
      config,
    );
    const subject = identity.extension?.id ?? remote.address;
    this.#context.alarms.set("emergency.location_missing", subject, !location.trusted, location.doubt);
    const callerNumber = identity.extension?.caller_number ?? config.site.main_number;
    const data: EmergencyData = {
      dialled: dialledOf(request),
      extension: identity.extension?.id,
      caller_number: callerNumber,
      source: `${remote.address}:${remote.port}`,
      location_id: location.location?.id ?? "",
      location_version: location.location?.version ?? 0,
      location_lines: location.lines,
      location_trusted: location.trusted,
    };
    const view = routingView("normal", this.#context.trunks, this.#deadPaths(target.class));
    const route = planEmergency(target.digits, config, view);
    this.#context.log.info("emergency plan", { because: route.because, location: location.source });
    const facts: EmergencyFacts = { target, identity, callerNumber, location, data };
    const call = EmergencyCall.take(
      this.#context,
      this.#host,
      facts,
      this.#trunksOf(route.steps),
      tx,
      localEnd(this.#context, tx.flow, request),
    );
    this.#add(call);
  }

  /** A call by a phone that the plan sends over trunks. */
  takeOutbound(tx: ServerTransaction, _flow: Flow, route: RoutePlan): void {
    if (this.#refuses(tx)) return;
    const config = this.#context.config();
    const { remote } = tx.flow;
    const binding = this.#context.contacts.bySource(remote.address, remote.port);
    const identity = identify(tx.request, header(tx.request, "From"), binding, config);
    const refusal = route.steps.find((step) => step.kind === "reject");
    if (refusal !== undefined) {
      tx.respond(buildResponse(tx.request, refusal.status, { reason: refusal.reason }));
      return;
    }
    const callerNumber = identity.extension?.caller_number ?? config.site.main_number;
    const first = route.steps.find((step) => step.kind === "trunk");
    this.#add(
      TrunkCall.take(
        this.#context,
        this.#host,
        {
          data: {
            direction: route.kind === "internal" ? "internal" : "outbound",
            caller: identity.extension?.number ?? callerNumber,
            callee: first?.number ?? dialledOf(tx.request),
            trunk: undefined,
            path: undefined,
          },
          callerNumber: route.kind === "internal" ? (identity.extension?.number ?? callerNumber) : callerNumber,
          displayName: identity.extension?.name,
          stages: this.#stagesOf(route.steps),
          from: undefined,
        },
        tx,
        localEnd(this.#context, tx.flow, tx.request),
      ),
    );
  }

  /** RFC 3261 §8.2, for calls that are no emergency. */
  #refuses(tx: ServerTransaction): boolean {
    const refusal = this.#merged.isMerged(tx) ? buildResponse(tx.request, 482) : inspectRequest(tx.request, ABILITIES);
    if (refusal !== undefined) tx.respond(refusal);
    return refusal !== undefined;
  }

  /** A call that a trunk brings: for a DID, the main number, or a PSAP's return call. */
  takeInbound(tx: ServerTransaction, _flow: Flow, trunk: Trunk): void {
    const config = this.#context.config();
    const { request } = tx;
    const now = this.#context.clock.wall();
    const uri = parseUri(request.uri);
    const user = uri === undefined ? "" : (userOf(uri) ?? "");
    const called = [user, userOfHeader(request, "To")]
      .map((each) => toE164(each, config))
      .find((each) => each !== undefined);
    const route = plan(
      { dialled: "", user: called ?? user, from: { side: "trunk", trunk: trunk.id } },
      config,
      routingView("survivable", this.#context.trunks),
    );
    const refusal = route.steps.find((step) => step.kind === "reject");
    const marked = isPsapCallback(request);
    const entry =
      this.#ledger.callerOf(called ?? config.site.main_number, now) ?? (marked ? this.#ledger.latest(now) : undefined);
    // Nothing may keep a PSAP from its caller.
    if (entry === undefined && !marked && this.#refuses(tx)) return;
    const caller = callerOf(request, config);
    const stages = [...this.#callbackStage(entry), ...this.#stagesOf(route.steps)];
    if (entry?.extension !== undefined) {
      const event = this.#context.events("emergency.callback", entry.extension, {
        from: caller,
        extension: entry.extension,
      });
      this.#context.record(event);
    }
    if (refusal !== undefined && stages.every(({ targets }) => targets.length === 0)) {
      tx.respond(buildResponse(request, refusal.status, { reason: refusal.reason }));
      return;
    }
    this.#add(
      TrunkCall.take(
        this.#context,
        this.#host,
        {
          data: {
            direction: "inbound",
            caller,
            callee: called ?? config.site.main_number,
            trunk: trunk.id,
            path: trunk.path.id,
          },
          callerNumber: caller,
          displayName: displayNameOf(request),
          stages,
          from: trunk,
        },
        tx,
        {
          address: trunk.path.localAddress ?? trunk.local.address,
          contact_address: trunk.local.address,
          port: trunk.local.port,
        },
      ),
    );
  }

  owns(request: SipRequest): boolean {
    return this.#byToken.has(tokenOf(request));
  }

  inDialog(tx: ServerTransaction, _flow: Flow): void {
    const id = tokenOf(tx.request);
    const call = this.#byToken.get(id);
    if (call === undefined) tx.respond(buildResponse(tx.request, 481));
    else call.inDialog(id, tx);
  }

  onAck(message: SipRequest, _flow: Flow): void {
    const id = tokenOf(message);
    this.#byToken.get(id)?.onAck(id, message);
  }

  status(): readonly CallStatus[] {
    return [...this.#calls].flatMap((call) => call.status() ?? []);
  }

  pathChanged(path: Path): void {
    // A 911 call leaves a dead path before any other.
    const first = (call: OwnedCall) => Number(!call.emergency);
    for (const call of [...this.#calls].sort((a, b) => first(a) - first(b))) call.pathChanged(path);
  }

  trunkChanged(trunk: Trunk): void {
    this.#unanswered.trunkChanged();
    for (const call of [...this.#calls]) call.trunkChanged(trunk);
  }

  /** The engine ends. Calls go on: what is answered is in the journal, for the next engine. */
  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#unanswered.close();
    this.#sound.stop();
    for (const call of this.#calls) call.abandon();
  }

  #after(delay_ms: number, work: () => void): void {
    if (this.#closed) return;
    const timer = this.#context.clock.after(delay_ms, () => {
      this.#timers.delete(timer);
      work();
    });
    this.#timers.add(timer);
  }

  /** A real emergency call is up: no update, reboot or failback now. */
  get activeEmergency(): boolean {
    return [...this.#calls].some((call) => call.emergency && call.status() !== undefined);
  }

  /** End of the callback window, wall ms; undefined when none is open. */
  get callbackUntil_wall(): number | undefined {
    return this.#ledger.until(this.#context.clock.wall());
  }

  /** For the snapshot. */
  callbacks(): readonly CallbackEntry[] {
    return this.#ledger.entries(this.#context.clock.wall());
  }

  /** From the snapshot, at boot. */
  adoptCallbacks(entries: readonly CallbackEntry[]): void {
    this.#ledger.adopt(entries);
  }

  /**
   * Takes up the answered calls that the engine before this one left, emergency calls first, and takes its unanswered
   * emergency calls anew: the phone waits for an answer to an INVITE that nobody else knows. Once that is done and
   * phones are served, a rehearsal warms the way of an emergency call.
   */
  async resume(): Promise<void> {
    this.#after(REHEARSE_AFTER_MS, () => {
      rehearse(this.#context.config());
      void this.#rehearseMedia(REHEARSE_TRIES);
    });
    const { calls, callbacks, ...unanswered } = this.#journal.load();
    this.#ledger.adopt(callbacks);
    for (const record of calls) {
      const call = this.#resumed(record);
      if (call === undefined) {
        this.#context.log.error("a call could not be resumed", { call: record.id });
        this.#journal.remove(record.id);
        continue;
      }
      this.#add(call);
      this.#sound.resumed(call.id);
      this.#context.log.info("call resumed", { call: record.id, kind: record.kind });
    }
    await this.#unanswered.resume(unanswered);
  }

  /** The media process, too, opens its first ports slowly. It may come later than the engine. */
  async #rehearseMedia(tries: number): Promise<void> {
    const { relay } = this.#context;
    const address = this.#context.config().lans.find((lan) => !isWildcard(lan.address))?.address;
    if (address === undefined || tries === 0) return;
    if (!relay.connected) {
      this.#after(REHEARSE_AGAIN_MS, () => void this.#rehearseMedia(tries - 1));
      return;
    }
    for (let run = 0; run < MEDIA_RUNS; run++) await rehearseMedia(this.#context, address);
  }

  #resumed(record: CallRecord): OwnedCall | undefined {
    if (record.emergency === undefined) return TrunkCall.resume(this.#context, this.#host, record);
    const { target, data, aor, registered, instance } = record.emergency;
    const config = this.#context.config();
    const extension = config.extensions.find(({ id }) => id === data.extension);
    const location = config.locations.find(
      ({ id, version }) => id === data.location_id && version === data.location_version,
    );
    const facts: EmergencyFacts = {
      target,
      identity: { extension, registered, aor, instance },
      callerNumber: data.caller_number,
      location: {
        location,
        source: location === undefined ? "none" : "extension",
        device: undefined,
        trusted: data.location_trusted,
        doubt: "",
        lines: data.location_lines,
      },
      data,
    };
    return EmergencyCall.resume(this.#context, this.#host, facts, record);
  }

  #add(call: OwnedCall): void {
    if (call.status() === undefined) return;
    this.#calls.add(call);
    this.#sound.start();
  }

  #forget(call: OwnedCall): void {
    this.#calls.delete(call);
    for (const [id, owner] of this.#byToken) if (owner === call) this.#byToken.delete(id);
  }

  /** The callback window: from the first attempt on, and anew from the answer and from the end of the call. */
  #openWindow(call: EmergencyCall): void {
    if (!call.emergency) return;
    const now = this.#context.clock.wall();
    const { identity, callerNumber } = call.facts;
    this.#ledger.put({
      call_id: call.id,
      extension: identity.extension?.id,
      aor: identity.aor,
      presented_number: callerNumber,
      trunk: call.answeredBy?.trunk ?? "",
      started_wall: call.started_wall,
      until_wall: now + this.#context.config().emergency.callback_window_min * 60_000,
    });
    this.#journal.saveCallbacks(this.#ledger.entries(now));
  }

  /** Paths that count as down for a new call: those just lost, and in a drill every WAN, but for a real 911 call never. */
  #deadPaths(kind: EmergencyTarget["class"]): ReadonlySet<string> {
    const { clock, mode, paths } = this.#context;
    const now = clock.now();
    const dead = new Set([...this.#lost].filter(([, until]) => until > now).map(([path]) => path));
    if (kind === "test" && mode() === "forced") {
      for (const path of paths.all()) if (path.kind === "wan") dead.add(path.id);
    }
    return dead;
  }

  #trunksOf(steps: readonly RouteStep[]): Trunk[] {
    return steps.flatMap((step) => (step.kind === "trunk" ? (this.#context.trunks.get(step.trunk) ?? []) : []));
  }

  #stagesOf(steps: readonly RouteStep[]): RingStage[] {
    return steps.map((step): RingStage => {
      switch (step.kind) {
        case "trunk": {
          const trunk = this.#context.trunks.get(step.trunk);
          return {
            targets: trunk === undefined ? [] : [{ kind: "trunk", trunk, number: step.number }],
            patience_ms: undefined,
          };
        }
        case "ring_extension":
          return { targets: this.#phonesOf([step.extension]), patience_ms: undefined };
        case "ring_main_group":
          return { targets: this.#phonesOf(step.extensions), patience_ms: undefined };
        default:
          return { targets: [], patience_ms: undefined };
      }
    });
  }

  #callbackStage(entry: CallbackEntry | undefined): RingStage[] {
    if (entry === undefined) return [];
    const { contacts } = this.#context;
    const own = entry.extension === undefined ? [] : contacts.ofExtension(entry.extension);
    const bindings = own.length > 0 ? own : contacts.all().filter(({ aor }) => aor === entry.aor);
    return bindings.length === 0 ? [] : [{ targets: bindings.map(toTarget), patience_ms: CALLBACK_ALONE_MS }];
  }

  #phonesOf(extensions: readonly string[]): RingTarget[] {
    return extensions.flatMap((id) => this.#context.contacts.ofExtension(id).map(toTarget));
  }
}

function toTarget(binding: Binding): RingTarget {
  return { kind: "phone", binding };
}
