import type { Clock, Timer } from "../../base/clock.ts";
import type { SiteConfig } from "../../base/config/schema.ts";
import type { Mode } from "../../base/events.ts";
import type { Log } from "../../base/log.ts";
import { buildResponse } from "../../sip/messages/build.ts";
import { callIdOf, cseqOf, header } from "../../sip/messages/headers.ts";
import type { SipRequest, SipResponse } from "../../sip/messages/message.ts";
import { parseNameAddr } from "../../sip/messages/name-addr.ts";
import { type FailoverTransaction, requestWithFailover } from "../../sip/transactions/failover.ts";
import type { TransactionLayer } from "../../sip/transactions/layer.ts";
import type { ServerTransaction } from "../../sip/transactions/server-transaction.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import { copyRequest, takeHop, withoutOurVia } from "../forwarding.ts";
import type { Trunk, Trunks } from "../trunks/trunk.ts";
import { AbsorbedRefreshes } from "./absorbed-refreshes.ts";
import { BINDINGS_MAX, type BindingChange } from "./binding-store.ts";
import { LocalRegistrar, type LocalRegistrarContext } from "./local-registrar.ts";
import { type MirrorContext, mirrorRegister } from "./mirror.ts";
import { parseRegister } from "./register-request.ts";

/** How long the cloud may take with a REGISTER while it has not proved to be there. */
const CLOUD_PATIENCE_MS = 1500;

export interface RegistrarContext extends LocalRegistrarContext {
  readonly clock: Clock;
  readonly log: Log;
  readonly transactions: TransactionLayer;
  readonly trunks: Trunks;
  config(): SiteConfig;
  mode(): Mode;
  /** A refresh was answered without the cloud. */
  absorbed(): void;
  /** The cloud has refused a registration, and not for want of credentials. */
  refused(aor: string, source_address: string, status: number): void;
}

/** A REGISTER whose answer the cloud owes. */
interface Pending {
  readonly tx: ServerTransaction;
  readonly flow: Flow;
  readonly trunk: Trunk;
  readonly others: readonly Trunk[];
  client: FailoverTransaction | undefined;
  patience: Timer | undefined;
  done: boolean;
  /** The phone has had its answer to a later REGISTER of the same Call-ID. */
  overtaken: boolean;
}

/**
 * In normal mode the cloud decides and we mirror; when it cannot be asked, or does not answer, we decide ourselves, so
 * that a phone always has its answer within the time in which it would look for another server.
 */
export class Registrar {
  readonly #context: RegistrarContext;
  readonly #local: LocalRegistrar;
  readonly #absorbed: AbsorbedRefreshes;
  readonly #pending = new Set<Pending>();
  /** What the cloud may still answer, whether the phone waits for it or not, by Call-ID. */
  readonly #open = new Map<string, Set<Pending>>();
  readonly #elsewhere = new Map<string, number>();
  /** Targets that left a REGISTER without an answer and have not been heard since: nobody else waits for them. */
  readonly #silent = new Set<string>();

  constructor(context: RegistrarContext) {
    this.#context = context;
    this.#local = new LocalRegistrar(context);
    this.#absorbed = new AbsorbedRefreshes({
      ...context,
      lanExpires_s: () => context.config().registrar.lan_expires_s,
    });
  }

  /** REGISTERs whose answer the cloud owes. */
  get size(): number {
    return this.#pending.size;
  }

  handle(tx: ServerTransaction, flow: Flow): void {
    const targets = this.#context.mode() === "normal" ? this.#targets() : [];
    const absorbed = targets[0] === undefined ? undefined : this.#absorb(tx.request, flow, targets[0]);
    if (absorbed === undefined) this.#forward(tx, flow, targets);
    else {
      this.#context.absorbed();
      tx.respond(absorbed);
    }
  }

  /** Contacts of an address of record that the cloud listed last and that do not come through the box. */
  elsewhere(aor: string): number {
    return this.#elsewhere.get(aor) ?? 0;
  }

  bindingChanged(change: BindingChange): void {
    this.#absorbed.bindingChanged(change);
  }

  /** A verdict changed: what waits for a cloud that is not proven up any more is answered here at once. */
  trunkChanged(trunk: Trunk): void {
    if (isGood(trunk)) this.#silent.delete(trunk.id);
    for (const pending of [...this.#pending]) {
      if (pending.trunk !== trunk || !isBad(trunk)) continue;
      // The target may have another server, which has the patience of one that is not proven up.
      if (isDown(trunk) || pending.client?.moveOn() !== true) this.#giveUp(pending);
    }
  }

  modeChanged(): void {
    if (this.#context.mode() === "normal") return;
    for (const pending of [...this.#pending]) this.#giveUp(pending);
  }

  /** The one in use first. */
  #targets(): readonly Trunk[] {
    return this.#context.trunks.pbxs().filter((trunk) => !isBad(trunk) && !this.#silent.has(trunk.id));
  }

  get #mirrorContext(): MirrorContext {
    return {
      ...this.#context,
      absorbed: this.#absorbed,
      elsewhere: (aor, contacts) => {
        this.#elsewhere.delete(aor);
        if (contacts > 0 && this.#elsewhere.size < BINDINGS_MAX) this.#elsewhere.set(aor, contacts);
      },
    };
  }

  /** A challenge is a refusal only of credentials that were given, and were not just old. */
  #wasRefused(request: SipRequest, response: SipResponse, flow: Flow): void {
    const asks =
      response.status === 401 ? "WWW-Authenticate" : response.status === 407 ? "Proxy-Authenticate" : undefined;
    const given = header(request, "Authorization") ?? header(request, "Proxy-Authorization");
    if (asks !== undefined && (given === undefined || /stale\s*=\s*"?true/i.test(header(response, asks) ?? ""))) return;
    const aor = this.#context.aors().of(parseNameAddr(header(request, "To") ?? "")?.uri ?? "");
    if (aor !== undefined) this.#context.refused(aor, flow.remote.address, response.status);
  }

  #absorb(request: SipRequest, flow: Flow, target: Trunk): SipResponse | undefined {
    if (this.#context.config().registrar.lan_expires_s === undefined) return undefined;
    const register = parseRegister(request);
    return "refuse" in register ? undefined : this.#absorbed.answer(request, register, flow, target.id);
  }

  #answerHere(tx: ServerTransaction, flow: Flow): void {
    const answer = this.#local.answer(tx.request, flow);
    if (answer.status < 300) this.#overtake(tx.request);
    tx.respond(answer);
  }

  /** Answers may cross: what the phone asked before this request is not to come back by a late 200 (RFC 3261 §10.3 step 7). */
  #overtake(request: SipRequest): void {
    const seq = cseqOf(request)?.seq ?? 0;
    for (const other of this.#open.get(callIdOf(request) ?? "") ?? []) {
      if ((cseqOf(other.tx.request)?.seq ?? 0) < seq) other.overtaken = true;
    }
  }

  #opened(pending: Pending): void {
    const id = callIdOf(pending.tx.request) ?? "";
    const same = this.#open.get(id) ?? new Set();
    this.#open.set(id, same.add(pending));
  }

  #closed(pending: Pending): void {
    const id = callIdOf(pending.tx.request) ?? "";
    const same = this.#open.get(id);
    same?.delete(pending);
    if (same?.size === 0) this.#open.delete(id);
  }

  #forward(tx: ServerTransaction, flow: Flow, targets: readonly Trunk[]): void {
    const [trunk, ...others] = targets;
    const out = trunk?.flow;
    if (trunk === undefined) {
      this.#answerHere(tx, flow);
      return;
    }
    if (out === undefined || (out.closed && out.protocol === "udp")) {
      this.#forward(tx, flow, others);
      return;
    }
    const copy: SipRequest = copyRequest(tx.request);
    if (!takeHop(copy)) {
      tx.respond(buildResponse(tx.request, 483));
      return;
    }
    this.#context.own.dropOwnRoutes(copy);
    const pbx = this.#context.config().pbx_targets.find((target) => target.id === trunk.id);
    const mirrored = mirrorRegister(this.#mirrorContext, copy, flow, trunk, pbx?.path_header ?? true);
    const pending: Pending = {
      tx,
      flow,
      trunk,
      others,
      client: undefined,
      patience: undefined,
      done: false,
      overtaken: false,
    };
    this.#pending.add(pending);
    this.#opened(pending);
    const { clock, transactions: layer } = this.#context;
    const started = clock.now();
    pending.client = requestWithFailover({ layer, clock, servers: trunk }, mirrored.request, out, {
      onFinal: (response) => {
        this.#closed(pending);
        this.#silent.delete(trunk.id);
        const after_ms = clock.now() - started;
        trunk.observe({ kind: "first_response", method: "REGISTER", after_ms, status: response.status });
        // Even an answer that comes after ours tells what the cloud accepted.
        const seen = response.status < 300 ? mirrored.accepted(response, pending.overtaken) : response;
        if (response.status < 300) this.#overtake(tx.request);
        if (response.status >= 300) this.#wasRefused(tx.request, response, flow);
        if (pending.done) return;
        if (CLOUD_IN_TROUBLE.has(response.status) && isBad(trunk)) {
          this.#giveUp(pending);
          return;
        }
        this.#settle(pending);
        const back = withoutOurVia(seen);
        if (back !== undefined) tx.respond(back);
      },
      onTimeout: () => {
        this.#closed(pending);
        trunk.observe({ kind: "no_response", method: "REGISTER" });
        this.#giveUp(pending);
      },
      onTransportError: (error) => {
        this.#closed(pending);
        trunk.observe({ kind: "send_error", detail: error.detail });
        this.#giveUp(pending);
      },
    });
    this.#beImpatient(pending);
  }

  /** A trunk that is up gets all its time; one that is not proven up has 1.5 s, and is probed then. */
  #beImpatient(pending: Pending): void {
    pending.patience = this.#context.clock.after(CLOUD_PATIENCE_MS, () => {
      if (pending.done) return;
      const { trunk } = pending;
      trunk.observe({ kind: "no_response", method: "REGISTER" });
      if (pending.done) return;
      if (isGood(trunk)) this.#beImpatient(pending);
      else {
        this.#silent.add(trunk.id);
        this.#giveUp(pending);
      }
    });
  }

  /** The next target, or our own answer. The cloud's transaction goes on: a late 200 still reaches the mirror. */
  #giveUp(pending: Pending): void {
    if (pending.done) return;
    this.#settle(pending);
    this.#forward(
      pending.tx,
      pending.flow,
      this.#context.mode() === "normal" ? pending.others.filter((trunk) => !isBad(trunk)) : [],
    );
  }

  #settle(pending: Pending): void {
    pending.done = true;
    pending.patience?.cancel();
    this.#pending.delete(pending);
  }
}

/** Answers by which a server, or a proxy before it, says that it cannot do its work. */
const CLOUD_IN_TROUBLE: ReadonlySet<number> = new Set([408, 500, 502, 503, 504]);

function isGood({ health }: Trunk): boolean {
  return health.state === "up" || health.state === "degraded";
}

function isDown({ health, path }: Trunk): boolean {
  return health.state === "down" || path.health.state === "down";
}

function isBad({ health, path }: Trunk): boolean {
  return isBadState(health.state) || isBadState(path.health.state);
}

const isBadState = (state: Trunk["health"]["state"]) => state === "down" || state === "suspect";
