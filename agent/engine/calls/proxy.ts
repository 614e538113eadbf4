import { token } from "../../base/ids.ts";
import { buildResponse } from "../../sip/messages/build.ts";
import { prependHeader } from "../../sip/messages/headers.ts";
import type { SipRequest } from "../../sip/messages/message.ts";
import { parseNameAddr } from "../../sip/messages/name-addr.ts";
import { asRequestUri, bareHost, parseUri } from "../../sip/messages/uri.ts";
import type { ServerTransaction } from "../../sip/transactions/server-transaction.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import { copyRequest, dropAssertions, isInDialog, takeHop, topRoute } from "../forwarding.ts";
import type { OwnToken, Side } from "../own-tokens.ts";
import type { Trunk } from "../trunks/trunk.ts";
import { type Failure, ProxiedRequest } from "./proxied-request.ts";
import { LoopGuard } from "./proxy-loops.ts";
import {
  isDown,
  isSuspect,
  mediaParties,
  type Party,
  type ProxyContext,
  phoneParty,
  type Target,
} from "./proxy-parties.ts";
import { forStrictRouter, type ReadRoute, readRoute } from "./proxy-routes.ts";
import { recordRouteUri, sipsNotAllowed, wantsTls } from "./proxy-secure.ts";

export interface ForwardOptions {
  readonly tx: ServerTransaction;
  readonly from: Party;
  /** All are tried at once. */
  readonly targets: readonly Target[];
  /** Called when no branch got any answer; true: the request has been taken care of in another way. */
  readonly onFailed?: (failure: Failure) => boolean;
  /** Whether `onFailed` could do more than refuse: else a trunk that is only suspect is waited for. Default: yes. */
  readonly otherWay?: () => boolean;
}

/** Methods that begin a dialog or a subscription, whose later requests have to come through here too. */
const RECORDED: ReadonlySet<string> = new Set(["INVITE", "SUBSCRIBE", "REFER", "NOTIFY"]);

/**
 * A transaction-stateful proxy (RFC 3261 §16) between phones and the cloud and among phones. It keeps nothing of a
 * dialog but its media: the tokens in our Record-Route elements say where a request inside a dialog leaves.
 */
export class SipProxy {
  readonly #context: ProxyContext;
  readonly #running = new Set<ProxiedRequest>();
  readonly #loops: LoopGuard;

  constructor(context: ProxyContext) {
    this.#context = context;
    this.#loops = new LoopGuard(context.clock);
  }

  /** Requests under way, server and client side together. */
  get size(): number {
    return this.#running.size;
  }

  /** A request outside of a dialog, or one whose targets the caller knows. */
  forward({ tx, from, targets, onFailed, otherWay }: ForwardOptions): void {
    const { own } = this.#context;
    const request = copyRequest(tx.request);
    if (!takeHop(request)) {
      tx.respond(buildResponse(tx.request, 483));
      return;
    }
    own.dropOwnRoutes(request);
    if (this.#loops.isLoop(tx.request, request.uri)) {
      tx.respond(buildResponse(tx.request, 482));
      return;
    }
    const record = !isInDialog(tx.request);
    this.#start({ tx, from, request, targets, leg: token(5), skipped: [], record, onFailed, otherWay });
  }

  /**
   * A request whose Route has elements of ours that say where to: inside a dialog that went through here, or from the
   * cloud over a phone's Path. False when there is none.
   */
  byRoute(tx: ServerTransaction, from: Party): boolean {
    return this.#byRoute(tx, from, undefined);
  }

  /** `dead`: a trunk that has just failed this very request, whatever its verdict. */
  #byRoute(tx: ServerTransaction, from: Party, dead: string | undefined): boolean {
    const { mover } = this.#context;
    const request = copyRequest(tx.request);
    mover.readdress(request);
    if (!takeHop(request)) {
      tx.respond(buildResponse(tx.request, 483));
      return true;
    }
    const way = this.#wayOf(request, from, dead);
    if (way === undefined) return false;
    if (way.target === undefined) {
      tx.respond(buildResponse(tx.request, way.status));
      return true;
    }
    const { target, skipped } = way;
    const initial = !isInDialog(tx.request);
    if (from.kind === "trunk" && !initial && mover.isOfReplaced(way.leg, tx.request)) {
      tx.respond(buildResponse(tx.request, tx.request.method === "BYE" ? 200 : 481));
      return true;
    }
    if (offers(tx.request) && !initial && mover.isBusy(way.leg)) {
      tx.respond(buildResponse(tx.request, 491));
      return true;
    }
    if (initial && this.#loops.isLoop(tx.request, request.uri)) {
      tx.respond(buildResponse(tx.request, 482));
      return true;
    }
    this.#start({
      tx,
      from,
      request,
      targets: [target],
      // What comes over a Path begins a passage of its own; the token in it is the registration's.
      leg: initial ? token(5) : way.leg,
      skipped,
      record: initial || request.method === "NOTIFY",
      onFailed: () => {
        // The call may come back through here behind the trunk that fails: then it is taken up there.
        const failed = target.party.kind === "trunk" && dead === undefined ? target.party.trunk.id : undefined;
        if (failed === undefined) return false;
        // Or its call can move: an offer names the dead path's address, everything else goes by the other one.
        const moves = !initial && !offers(tx.request) && mover.wayOut(way.leg, failed) !== undefined;
        return (moves || this.#leadsOn(tx.request, failed)) && this.#byRoute(tx, from, failed);
      },
    });
    return true;
  }

  /** Whether a Route of ours goes on behind a trunk. */
  #leadsOn(received: SipRequest, trunk: string): boolean {
    return (readRoute(this.#context.own, copyRequest(received), (id) => id === trunk)?.skipped.length ?? 0) > 0;
  }

  /** The ACK to a 2xx goes by itself, without a transaction (RFC 3261 §16.11). False when it is not ours to pass on. */
  onAck(ack: SipRequest, from: Party): boolean {
    const request = copyRequest(ack);
    this.#context.mover.readdress(request);
    if (!takeHop(request)) return true;
    const way = this.#wayOf(request, from, undefined);
    if (way?.target === undefined) return way !== undefined;
    const { party, uri } = way.target;
    if (uri !== undefined) request.uri = asRequestUri(uri);
    forStrictRouter(request);
    const send = (message: SipRequest) => {
      const sent = this.#context.dialogs.onward(way.leg, message, from, party, ack);
      this.#context.transactions.sendAck(sent, party.flow);
    };
    const parties = mediaParties(from, party);
    // An answer belongs to an offer that has passed; where there is nothing of that, the call is over.
    if (parties === undefined || !this.#context.media.has(way.leg)) send(request);
    else this.#context.media.pass(way.leg, from.kind, parties, request, send);
    return true;
  }

  /** Every call over this path ends now, answered or not: an emergency call needs what it takes. */
  giveWay(path: string): void {
    for (const running of [...this.#running]) running.giveWay(path);
    this.#context.mover.giveWay(path);
  }

  /** A verdict on a trunk or its path: what waits for it in vain goes another way, or is told so. */
  trunkChanged(trunk: Trunk): void {
    if (isDown(trunk)) for (const running of [...this.#running]) running.trunkDown(trunk);
    else if (isSuspect(trunk)) for (const running of [...this.#running]) running.trunkSuspect(trunk);
    this.#context.mover.trunkChanged(trunk);
  }

  #start(passage: {
    readonly tx: ServerTransaction;
    readonly from: Party;
    readonly request: SipRequest;
    readonly targets: readonly Target[];
    readonly leg: string;
    readonly skipped: readonly string[];
    readonly record: boolean;
    readonly onFailed: ((failure: Failure) => boolean) | undefined;
    readonly otherWay?: (() => boolean) | undefined;
  }): void {
    const { tx, from, request, leg, skipped, onFailed } = passage;
    const secure = wantsTls(tx.request) && !isInDialog(tx.request);
    const targets = passage.targets.filter(({ party }) => !secure || party.flow.protocol === "tls");
    if (targets.length === 0 && passage.targets.length > 0) {
      tx.respond(sipsNotAllowed(tx.request));
      return;
    }
    const running: ProxiedRequest = new ProxiedRequest({
      context: this.#context,
      tx,
      from,
      leg,
      skipped,
      onFailed,
      otherWay: passage.otherWay,
      ended: () => void this.#running.delete(running),
    });
    this.#running.add(running);
    const recorded = passage.record && RECORDED.has(request.method);
    running.start(
      targets.map((target) => ({ target, request: this.#branchRequest(request, from, target, leg, recorded) })),
    );
  }

  #branchRequest(request: SipRequest, from: Party, target: Target, leg: string, record: boolean): SipRequest {
    const copy = copyRequest(request);
    if (target.uri !== undefined) copy.uri = asRequestUri(target.uri);
    if (isInDialog(copy)) forStrictRouter(copy);
    if (from.kind === "phone" && target.party.kind === "phone") dropAssertions(copy);
    if (record) {
      // Two elements, one for each side (RFC 5658): each says which side a request has to leave by.
      prependHeader(copy, "Record-Route", `<${this.#ownUri(from, leg, request)};lr>`);
      prependHeader(copy, "Record-Route", `<${this.#ownUri(target.party, leg, request)};lr>`);
    }
    return copy;
  }

  #ownUri(party: Party, leg: string, request: SipRequest): string {
    const { own, transport } = this.#context;
    const uri =
      party.kind === "trunk"
        ? own.towardsTrunk(party.trunk, leg)
        : own.towardsPhone(party.flow, transport.sentBy(party.flow), leg);
    return recordRouteUri(uri, request, party.flow);
  }

  /** Takes our elements off the Route and finds who is meant. `target` undefined: known to be ours, but unreachable. */
  #wayOf(
    request: SipRequest,
    from: Party,
    dead: string | undefined,
  ):
    | { readonly leg: string; readonly skipped: readonly string[]; readonly target: Target }
    | { readonly target: undefined; readonly status: number }
    | undefined {
    const route = readRoute(this.#context.own, request, (id) => {
      const trunk = this.#context.trunks.get(id);
      return id === dead || trunk === undefined || isDown(trunk);
    });
    if (route === undefined || (route.single && isFrom(route.token, from))) return undefined;
    const { leg } = route.token;
    const { skipped } = route;
    const party = this.#partyOf(route, request, dead);
    if (party === undefined) return { target: undefined, status: route.token.side.kind === "phone" ? 430 : 503 };
    const uri = party.kind === "phone" ? this.#contactInPlaceOf(request.uri, party) : undefined;
    return { leg, skipped, target: uri === undefined ? { party } : { party, uri } };
  }

  #partyOf({ token, dialog }: ReadRoute, request: SipRequest, dead: string | undefined): Party | undefined {
    const { trunks, transport, store, mover } = this.#context;
    if (token.side.kind === "trunk") {
      const trunk = mover.wayOut(token.leg, dead) ?? trunks.get(token.side.trunk);
      const flow = trunk?.towards(nextHost(request)) ?? trunk?.flow;
      return trunk === undefined || flow === undefined ? undefined : { kind: "trunk", trunk, flow };
    }
    const flow = this.#flowOf(token.side);
    if (isAlive(flow)) return { kind: "phone", flow };
    const own = dialog?.kind === "phone" ? this.#flowOf(dialog) : undefined;
    if (own !== undefined && isAlive(own)) return { kind: "phone", flow: own };
    // The connection is gone; the phone may have registered again over another one.
    const moved = store.byContact(request.uri);
    return moved === undefined ? { kind: "phone", flow } : phoneParty(transport, moved);
  }

  #flowOf({ protocol, local, remote }: Extract<Side, { kind: "phone" }>): Flow {
    return this.#context.transport.flowTo({
      protocol,
      address: remote.address,
      port: remote.port,
      local_address: local.address,
      local_port: local.port,
    });
  }

  /**
   * Phones adopt the GRUU that the cloud gave them as their Contact (RFC 5627). A request for it that is to leave to the
   * phone itself has to name the contact that the phone registered; so has one that the cloud sends to the contact that we
   * registered in its place.
   */
  #contactInPlaceOf(uri: string, party: Party): string | undefined {
    const { own, store } = this.#context;
    const ours = own.of(uri);
    if (ours.ours && ours.user !== undefined) return store.byToken(ours.user)?.contact;
    return /;gr(=|;|$)/i.test(uri) ? store.byGruu(uri, party.flow.remote)?.contact : undefined;
  }
}

/** Where a request goes next by its Route or, without one, by its Request-URI: the server that made the dialog. */
function nextHost(request: SipRequest): string {
  const top = topRoute(request);
  const uri = parseUri(top === undefined ? request.uri : (parseNameAddr(top)?.uri ?? ""));
  return uri === undefined ? "" : bareHost(uri.host);
}

/** Whether a request may carry an offer of its own (RFC 3261 §14.1, RFC 3311 §5.1). */
function offers({ method, body }: SipRequest): boolean {
  return method === "INVITE" || (method === "UPDATE" && body.length > 0);
}

const isAlive = ({ closed, connected, protocol }: Flow): boolean => !closed && (connected || protocol === "udp");

/** Whether a token leads back to where the request came from. */
function isFrom({ side }: OwnToken, from: Party): boolean {
  if (side.kind === "trunk") return from.kind === "trunk" && from.trunk.id === side.trunk;
  const { remote } = from.flow;
  return side.remote.address === remote.address && side.remote.port === remote.port;
}
