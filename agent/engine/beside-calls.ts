import type { Mode } from "../base/events.ts";
import { buildResponse } from "../sip/messages/build.ts";
import type { ServerTransaction } from "../sip/transactions/server-transaction.ts";
import type { TransportLayer } from "../sip/transport/transport.ts";
import type { Callers } from "./caller.ts";
import type { Failure } from "./calls/proxied-request.ts";
import type { SipProxy } from "./calls/proxy.ts";
import { type Party, phoneParty, type Target } from "./calls/proxy-parties.ts";
import type { AddressesOfRecord } from "./registrar/addresses-of-record.ts";
import type { BindingStore } from "./registrar/binding-store.ts";
import { LOCAL_EXPIRES_S } from "./registrar/local-registrar.ts";
import type { Trunk, Trunks } from "./trunks/trunk.ts";

export interface BesideCallsContext {
  readonly transport: TransportLayer;
  readonly trunks: Trunks;
  readonly store: BindingStore;
  readonly proxy: SipProxy;
  readonly callers: Callers;
  aors(): AddressesOfRecord;
  mode(): Mode;
}

/**
 * Lamps, mailboxes and presence are the cloud's. A final answer with Retry-After makes a phone ask again about as soon as
 * it registers anew; a 489 or 404 would make it give up, a 503 make it leave the box for another server.
 */
const CLOUD_KNOWS: ReadonlySet<string> = new Set(["SUBSCRIBE", "PUBLISH"]);

/** Requests of phones other than calls and registrations, outside of a dialog: messages, subscriptions, presence, transfers. */
export class BesideCalls {
  readonly #context: BesideCallsContext;

  constructor(context: BesideCallsContext) {
    this.#context = context;
  }

  /** The cloud decides; where it cannot be reached, the box does. */
  fromLan(tx: ServerTransaction, from: Party): void {
    const pbxs = this.#context.mode() === "normal" ? this.#context.trunks.pbxs() : [];
    if (!this.#toCloud(tx, from, pbxs)) this.#withoutCloud(tx, from);
  }

  /** To the first of these targets that can be reached. False when there is none. */
  #toCloud(tx: ServerTransaction, from: Party, pbxs: readonly Trunk[]): boolean {
    const [trunk, ...others] = pbxs;
    if (trunk === undefined) return false;
    const { flow } = trunk;
    if (flow === undefined) return this.#toCloud(tx, from, others);
    const targets: Target[] = [{ party: { kind: "trunk", trunk, flow } }];
    const onFailed = (failure: Failure) => {
      // By then the phone has given up too, and the cloud may have done what it was asked.
      if (failure === "timeout") return false;
      if (!this.#toCloud(tx, from, others)) this.#withoutCloud(tx, from);
      return true;
    };
    this.#context.proxy.forward({ tx, from, targets, onFailed });
    return true;
  }

  /** A stranger is asked who he is, for extensions that exist and for others alike. */
  #withoutCloud(tx: ServerTransaction, from: Party): void {
    const { proxy, aors, store, transport, callers } = this.#context;
    const { request } = tx;
    const refusal = callers.refusal(request, callers.identify(request, from.flow), "inside");
    if (refusal !== undefined) {
      tx.respond(refusal);
      return;
    }
    if (CLOUD_KNOWS.has(request.method)) {
      const headers = [{ name: "Retry-After", value: String(LOCAL_EXPIRES_S) }];
      tx.respond(buildResponse(request, 480, { headers }));
      return;
    }
    const aor = aors().of(request.uri);
    const targets = (aor === undefined ? [] : store.ofAor(aor)).map((binding) => ({
      party: phoneParty(transport, binding),
      uri: binding.contact,
    }));
    proxy.forward({ tx, from, targets });
  }
}
