import type { Clock } from "../base/clock.ts";
import type { SiteConfig } from "../base/config/schema.ts";
import type { Mode } from "../base/events.ts";
import type { Log } from "../base/log.ts";
import { type ProxyAbilities, validateForProxy } from "../sip/core/proxy-validation.ts";
import { inspectRequest, type UasAbilities } from "../sip/core/uas-inspection.ts";
import { buildResponse } from "../sip/messages/build.ts";
import type { SipRequest } from "../sip/messages/message.ts";
import { parseUri, userOf } from "../sip/messages/uri.ts";
import type { TransactionLayer } from "../sip/transactions/layer.ts";
import type { ServerTransaction } from "../sip/transactions/server-transaction.ts";
import type { Flow } from "../sip/transport/flow.ts";
import type { TransportLayer } from "../sip/transport/transport.ts";
import { BesideCalls } from "./beside-calls.ts";
import type { Callers, KnownCaller } from "./caller.ts";
import type { CallsPort } from "./calls/calls-port.ts";
import type { SipProxy } from "./calls/proxy.ts";
import { type Party, phoneParty, type Target } from "./calls/proxy-parties.ts";
import type { Counters } from "./counters.ts";
import { classify } from "./emergency/classify.ts";
import { isPsapCallback } from "./emergency/psap-callback.ts";
import { isInDialog, topRoute } from "./forwarding.ts";
import type { OwnUris } from "./own-uris.ts";
import { RateLimit } from "./rate-limit.ts";
import type { AddressesOfRecord } from "./registrar/addresses-of-record.ts";
import type { BindingStore } from "./registrar/binding-store.ts";
import type { Reach } from "./registrar/reach.ts";
import type { Registrar } from "./registrar/registrar.ts";
import { plan } from "./routing/plan.ts";
import type { RoutePlan, RouteStep } from "./routing/plan-types.ts";
import { routingView } from "./routing/view.ts";
import type { Trunk, Trunks } from "./trunks/trunk.ts";
import type { Unconfigured } from "./unconfigured.ts";

export interface CoreContext {
  readonly clock: Clock;
  readonly log: Log;
  readonly transport: TransportLayer;
  readonly transactions: TransactionLayer;
  readonly trunks: Trunks;
  readonly store: BindingStore;
  readonly registrar: Registrar;
  readonly proxy: SipProxy;
  readonly calls: CallsPort;
  readonly callers: Callers;
  readonly own: OwnUris;
  readonly counters: Counters;
  readonly reach: Reach;
  readonly unconfigured: Unconfigured | undefined;
  config(): SiteConfig;
  aors(): AddressesOfRecord;
  mode(): Mode;
}

/** A call by a phone, on its way through its plan. */
interface LanCall {
  readonly tx: ServerTransaction;
  readonly from: Party;
  caller(): KnownCaller;
}

/** What the box itself does (RFC 3261 §8.2). */
const ABILITIES: UasAbilities = {
  methods: "INVITE ACK CANCEL OPTIONS BYE UPDATE PRACK INFO REFER NOTIFY SUBSCRIBE MESSAGE REGISTER".split(" "),
  schemes: ["sip", "sips"],
  extensions: ["path"],
  contentTypes: ["application/sdp"],
};

/**
 * What it passes on (§16.3): im and pres are those of RFC 3859 and 3860, urn that of RFC 5031. Privacy (RFC 3323) is
 * granted by the cloud; here it asks for nothing but that we add no name, and we add none.
 */
const PASSED_ON: ProxyAbilities = { schemes: ["sip", "sips", "tel", "urn", "im", "pres"], extensions: ["privacy"] };

const HELD_MAX = 2000;

/** What one address of the LAN may send besides emergency calls; hundreds of phones may share an address. */
const LAN_LIMIT = { per_second: 1000, burst: 5000 } as const;

/**
 * Takes every request of a trunk or a LAN and says who handles it. The order is the product: an emergency call is seen before anything
 * that could refuse it.
 */
export class Core {
  readonly #context: CoreContext;
  readonly #limit: RateLimit;
  readonly #besideCalls: BesideCalls;
  /** Until `open`. */
  #held: (() => void)[] | undefined = [];

  constructor(context: CoreContext) {
    this.#context = context;
    this.#limit = new RateLimit(context.clock, LAN_LIMIT);
    this.#besideCalls = new BesideCalls(context);
    const { transactions, counters } = context;
    transactions.onRequest((tx, flow) => this.#whenOpen(() => this.#request(tx, flow)));
    transactions.onAck((ack, flow) => this.#whenOpen(() => this.#ack(ack, flow)));
    transactions.onStrayResponse(() => counters.count("stray_responses"));
  }

  /** Calls from before a restart are known again: what came meanwhile is handled now. */
  open(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const step of held) step();
  }

  /** While there is no site file yet: what a phone repeats waits for it. The server that a call names is learned at once. */
  leaves(request: SipRequest, flow: Flow): boolean {
    const { unconfigured, trunks } = this.#context;
    if (unconfigured === undefined || trunks.of(flow) !== undefined) return false;
    if (request.method !== "REGISTER" && (request.method !== "INVITE" || isInDialog(request))) return false;
    const waits = unconfigured.waits();
    if (!waits && !flow.reliable) return false;
    const learned = (request.method === "INVITE" || !waits) && this.#learns(request, flow);
    if (!waits && !learned) return false;
    if (flow.reliable) unconfigured.hold(request, flow);
    return true;
  }

  #whenOpen(step: () => void): void {
    if (this.#held === undefined) step();
    else if (this.#held.length < HELD_MAX) this.#held.push(step);
  }

  #request(tx: ServerTransaction, flow: Flow): void {
    const trunk = this.#context.trunks.of(flow);
    if (trunk === undefined) this.#fromLan(tx, flow);
    else this.#fromTrunk(tx, { kind: "trunk", trunk, flow });
  }

  #fromLan(tx: ServerTransaction, flow: Flow): void {
    const { calls, registrar, proxy, counters, reach } = this.#context;
    const { request } = tx;
    reach.heard(flow);
    const inside = isInDialog(request);
    if (!inside && this.#learns(request, flow)) return;
    if (request.method === "INVITE" && !inside) {
      if (classify(request, this.#context.config()) !== undefined) {
        counters.count("emergency_calls");
        calls.takeEmergency(tx, flow);
        return;
      }
    }
    if (inside && calls.owns(request)) {
      calls.inDialog(tx, flow);
      return;
    }
    if (!this.#limit.take(flow.remote.address)) {
      counters.count("limited_lan");
      // A 503 would keep a phone that heeds it from sending anything, a 911 call too (RFC 3261 §21.5.4).
      tx.respond(buildResponse(request, 500, { headers: [{ name: "Retry-After", value: "5" }] }));
      return;
    }
    const from: Party = { kind: "phone", flow };
    if (this.#refuses(tx, from)) return;
    if (inside) {
      if (!proxy.byRoute(tx, from)) this.#withoutRoute(tx, from);
      return;
    }
    if (request.method === "REGISTER") {
      counters.count("registers");
      registrar.handle(tx, flow);
    } else if (this.#isForUs(request, from) || this.#standsInFor(request)) this.#answerForUs(tx);
    else if (request.method === "INVITE") this.#call(tx, flow);
    else this.#besideCalls.fromLan(tx, from);
  }

  #learns(request: SipRequest, flow: Flow): boolean {
    const { unconfigured, own } = this.#context;
    if (unconfigured === undefined || (request.method !== "INVITE" && request.method !== "REGISTER")) return false;
    const uri = parseUri(request.uri);
    if (uri === undefined || uri.host === "" || own.ofParsed(uri).ours) return false;
    return unconfigured.learn(uri, flow);
  }

  #fromTrunk(tx: ServerTransaction, from: Extract<Party, { kind: "trunk" }>): void {
    const { calls, proxy, counters } = this.#context;
    const { request } = tx;
    const inside = isInDialog(request);
    if (inside && calls.owns(request)) {
      calls.inDialog(tx, from.flow);
      return;
    }
    if (!isPsapCallback(request) && this.#refuses(tx, from)) return;
    if (proxy.byRoute(tx, from)) return;
    if (request.method === "REGISTER") {
      tx.respond(buildResponse(request, 403));
      return;
    }
    const target = this.#phoneOfUri(request);
    if (target !== undefined) {
      proxy.forward({ tx, from, targets: target });
      return;
    }
    if (inside) {
      tx.respond(buildResponse(request, 481));
      return;
    }
    if (request.method === "INVITE") {
      counters.count("trunk_invites");
      calls.takeInbound(tx, from.flow, from.trunk);
    } else this.#answerForUs(tx);
  }

  /** A call by a phone that is no emergency: the plan says where to. */
  #call(tx: ServerTransaction, flow: Flow): void {
    const { callers, counters } = this.#context;
    counters.count("lan_invites");
    const mode = this.#context.mode();
    // Asked at most once: credentials are used up by being checked.
    let known: KnownCaller | undefined;
    const call: LanCall = {
      tx,
      from: { kind: "phone", flow },
      caller: () => {
        known ??= callers.identify(tx.request, flow);
        return known;
      },
    };
    const made = (mode === "normal" ? this.#besideTarget(call) : undefined) ?? this.#plan(call, mode);
    this.#context.log.debug("call planned", { because: made.because, mode });
    this.#execute(call, made, 0, () => {
      if (made.steps[0]?.kind !== "proxy_to_pbx") return false;
      // The cloud did not answer while it counted as alive: the box decides as if it were gone.
      this.#execute(call, this.#plan(call, "survivable"), 0, () => false);
      return true;
    });
  }

  #plan({ tx, caller }: LanCall, mode: Mode): RoutePlan {
    const { config, trunks } = this.#context;
    const extension = mode === "normal" ? undefined : caller().extension;
    return plan({ ...dialledIn(tx.request), from: { side: "lan", extension } }, config(), routingView(mode, trunks));
  }

  /**
   * After a change of PBX target a phone is known to the new one only once it has registered again. Until then calls to it
   * are put through here; undefined when there is nothing of that.
   */
  #besideTarget({ tx }: LanCall): RoutePlan | undefined {
    const { config, trunks, store } = this.#context;
    const [inUse] = trunks.pbxs();
    if (inUse === undefined || config().pbx_targets.length < 2) return undefined;
    const from = { side: "lan", extension: undefined } as const;
    const made = plan({ ...dialledIn(tx.request), from }, config(), routingView("survivable", trunks));
    const [step] = made.steps;
    if (step?.kind !== "ring_extension" || made.steps.length > 1) return undefined;
    const bindings = store.ofExtension(step.extension);
    const elsewhere = bindings.every(({ cloud_target }) => cloud_target !== undefined && cloud_target !== inUse.id);
    if (bindings.length === 0 || !elsewhere) return undefined;
    return { ...made, because: `${step.extension} has not registered with ${inUse.id} yet` };
  }

  /** Carries out a plan from its `at`-th step; `otherwise` is asked when nothing of it could be reached. */
  #execute(call: LanCall, made: RoutePlan, at: number, otherwise: () => boolean): void {
    const { trunks, proxy, calls, callers } = this.#context;
    const { tx, from } = call;
    const step = made.steps[at];
    if (step === undefined) {
      if (!otherwise()) tx.respond(buildResponse(tx.request, 480));
      return;
    }
    const next = () => {
      if (made.steps[at + 1] === undefined) return otherwise();
      this.#execute(call, made, at + 1, otherwise);
      return true;
    };
    if (step.kind === "proxy_to_pbx") {
      const trunk = trunks.get(step.trunk);
      const flow = trunk?.flow;
      const targets: Target[] =
        trunk === undefined || flow === undefined ? [] : [{ party: { kind: "trunk", trunk, flow } }];
      // A slow answer of the PBX is better than a refusal of the box's own.
      const otherWay = () =>
        made.steps[at + 1] !== undefined || this.#plan(call, "survivable").steps[0]?.kind !== "reject";
      proxy.forward({ tx, from, targets, onFailed: next, otherWay });
      return;
    }
    const refusal = callers.refusal(tx.request, call.caller(), step.kind === "trunk" ? "outside" : "inside");
    if (refusal !== undefined) {
      tx.respond(refusal);
      return;
    }
    switch (step.kind) {
      case "ring_extension":
      case "ring_main_group":
        proxy.forward({ tx, from, targets: this.#phonesOf(step), onFailed: next });
        return;
      case "trunk":
        calls.takeOutbound(tx, from.flow, made);
        return;
      case "reject":
        tx.respond(buildResponse(tx.request, step.status, { reason: step.reason }));
        return;
    }
  }

  #phonesOf(step: Extract<RouteStep, { kind: "ring_extension" | "ring_main_group" }>): readonly Target[] {
    const { store, transport } = this.#context;
    const extensions = step.kind === "ring_extension" ? [step.extension] : step.extensions;
    return extensions.flatMap((extension) =>
      store.ofExtension(extension).map((binding) => ({ party: phoneParty(transport, binding), uri: binding.contact })),
    );
  }

  /** Inside a dialog without a Route of ours: the other side's Contact may still name a phone we know, to one we know. */
  #withoutRoute(tx: ServerTransaction, from: Party): void {
    const { proxy, trunks, own, callers } = this.#context;
    const { request } = tx;
    const top = topRoute(request);
    const route = top === undefined ? undefined : own.ofRoute(top);
    const targets = top === undefined && callers.recognises(from.flow) ? this.#phoneOfUri(request) : undefined;
    const [pbx] = trunks.pbxs();
    if (targets !== undefined) proxy.forward({ tx, from, targets });
    // An element that names us with a token that is not ours was made up.
    else if (this.#isForUs(request, from) || (route?.ours === true && route.user !== undefined)) {
      tx.respond(buildResponse(request, 481));
    } else if (pbx?.flow !== undefined) {
      proxy.forward({ tx, from, targets: [{ party: { kind: "trunk", trunk: pbx, flow: pbx.flow } }] });
    } else tx.respond(buildResponse(request, 503));
  }

  /** The phone that a Request-URI names: by our token in it, by a registered contact, or by its address of record. */
  #phoneOfUri(request: SipRequest): readonly Target[] | undefined {
    const { own, store, transport, aors } = this.#context;
    const uri = own.of(request.uri);
    const binding =
      (uri.ours && uri.user !== undefined ? store.byToken(uri.user) : undefined) ?? store.byContact(request.uri);
    if (binding !== undefined) return [{ party: phoneParty(transport, binding), uri: binding.contact }];
    const aor = aors().of(request.uri);
    const bindings = aor === undefined ? [] : store.ofAor(aor);
    if (bindings.length === 0) return undefined;
    return bindings.map((each) => ({ party: phoneParty(transport, each), uri: each.contact }));
  }

  /** OPTIONS of a stranger end here whomever they name: the answer would tell which phones there are. */
  #isForUs(request: SipRequest, { flow }: Party): boolean {
    const { own, callers } = this.#context;
    const uri = own.of(request.uri);
    if (request.method === "OPTIONS" && uri.ours && uri.token === undefined) {
      return uri.user === undefined || !callers.recognises(flow) || this.#phoneOfUri(request) === undefined;
    }
    return uri.ours && uri.user === undefined;
  }

  /** §16.3: what cannot be passed on as it is. */
  #refuses(tx: ServerTransaction, from: Party): boolean {
    const refusal = this.#isForUs(tx.request, from) ? undefined : validateForProxy(tx.request, PASSED_ON);
    if (refusal !== undefined) tx.respond(refusal);
    return refusal !== undefined;
  }

  /** Phones ask their server with OPTIONS whether it is there: while the cloud is not, the box is. */
  #standsInFor({ method, uri }: SipRequest): boolean {
    if (method !== "OPTIONS" || this.#context.mode() === "normal") return false;
    const asked = parseUri(uri);
    return asked !== undefined && userOf(asked) === undefined;
  }

  #answerForUs(tx: ServerTransaction): void {
    const { request } = tx;
    const refusal = inspectRequest(request, ABILITIES);
    if (refusal !== undefined) {
      tx.respond(refusal);
      return;
    }
    const { methods, extensions, contentTypes } = ABILITIES;
    if (request.method === "OPTIONS") {
      tx.respond(
        buildResponse(request, 200, {
          headers: [
            { name: "Allow", value: methods.join(", ") },
            { name: "Accept", value: contentTypes.join(", ") },
            { name: "Accept-Encoding", value: "identity" },
            { name: "Accept-Language", value: "en" },
            { name: "Supported", value: extensions.join(", ") },
          ],
        }),
      );
      return;
    }
    const others = methods.filter((method) => method !== request.method);
    tx.respond(buildResponse(request, 405, { headers: [{ name: "Allow", value: others.join(", ") }] }));
  }

  #ack(ack: SipRequest, flow: Flow): void {
    const { trunks, calls, proxy, counters } = this.#context;
    const trunk = trunks.of(flow);
    if (calls.owns(ack)) {
      calls.onAck(ack, flow);
      return;
    }
    const from: Party = trunk === undefined ? { kind: "phone", flow } : { kind: "trunk", trunk, flow };
    if (!proxy.onAck(ack, from)) counters.count("stray_acks");
  }

  /** A verdict changed: what waits for a trunk that is gone is told. */
  trunkChanged(trunk: Trunk): void {
    const { registrar, calls, proxy } = this.#context;
    registrar.trunkChanged(trunk);
    calls.trunkChanged(trunk);
    proxy.trunkChanged(trunk);
  }
}

/** What a request for a call names: the user part, and the digits where it is a number. */
function dialledIn({ uri: text }: SipRequest): { readonly dialled: string; readonly user: string } {
  const uri = parseUri(text);
  const user = uri === undefined ? "" : ((userOf(uri) ?? "").split(";")[0] ?? "");
  const dialled = user.replace(/[-.()\s]/g, "");
  return { dialled: /^\+?[0-9*#]+$/.test(dialled) ? dialled : "", user };
}
