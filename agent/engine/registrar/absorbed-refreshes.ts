import type { Clock } from "../../base/clock.ts";
import type { Binding } from "../../base/snapshot.ts";
import { buildResponse } from "../../sip/messages/build.ts";
import { header, headerList } from "../../sip/messages/headers.ts";
import type { Header, SipRequest, SipResponse } from "../../sip/messages/message.ts";
import { parseNameAddr, printNameAddr } from "../../sip/messages/name-addr.ts";
import { paramValue, withoutParam } from "../../sip/messages/params.ts";
import { splitOutside } from "../../sip/messages/syntax.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import type { AddressesOfRecord } from "./addresses-of-record.ts";
import { BINDINGS_MAX, BINDINGS_PER_AOR, type BindingChange, type BindingStore } from "./binding-store.ts";
import { findContact, keptParams, type RegisterRequest } from "./register-request.ts";

export interface AbsorbedRefreshesContext {
  readonly clock: Clock;
  readonly store: BindingStore;
  aors(): AddressesOfRecord;
  /** How often phones are to refresh at the box; undefined: as often as the cloud says, and nothing is absorbed. */
  lanExpires_s(): number | undefined;
}

/** What the cloud granted to one contact, and how it said so. */
interface Grant {
  readonly target: string;
  /** The 200 as the phone saw it, less what belongs to that one transaction. */
  readonly headers: readonly Header[];
  readonly at_ms: number;
  readonly lives_ms: number;
}

/** Headers of a response that belong to its transaction or to its moment. */
const MOMENTARY = /^(via|v|from|f|to|t|call-id|i|cseq|content-length|l|date|timestamp|authentication-info|expires)$/i;

/**
 * Refreshes that need not go to the cloud: of the same flow, Contact, instance and Call-ID, with a rising CSeq, towards
 * the PBX that granted, and only until half of what it granted is over: then it hears of the phone as it would from the
 * phone itself, and may challenge. An absorbed refresh prolongs nothing. The answer is the cloud's last one, so that it is
 * told again only while no other contact of the address of record comes or goes. What was granted is known to this process
 * alone: after a restart the first refresh of each phone goes to the cloud.
 */
export class AbsorbedRefreshes {
  readonly #context: AbsorbedRefreshesContext;
  /** By address of record and contact. */
  readonly #grants = new Map<string, Map<string, Grant>>();

  constructor(context: AbsorbedRefreshesContext) {
    this.#context = context;
  }

  /** What a phone is told of an expiry that the cloud granted. Seconds. */
  told_s(granted_s: number): number {
    return Math.min(granted_s, this.#context.lanExpires_s() ?? granted_s);
  }

  /** The cloud's 200, `response` as the phone gets it, has granted this binding so much. */
  granted(binding: Pick<Binding, "aor" | "contact">, target: string, response: SipResponse, lives_ms: number): void {
    const { aor, contact } = binding;
    const ofAor = this.#grants.get(aor) ?? new Map<string, Grant>();
    ofAor.delete(contact);
    if (this.#context.lanExpires_s() === undefined) return;
    if (this.#grants.size >= BINDINGS_MAX || ofAor.size >= BINDINGS_PER_AOR) return;
    const headers = response.headers.filter(({ name }) => !MOMENTARY.test(name));
    ofAor.set(contact, { target, headers, at_ms: this.#context.clock.now(), lives_ms });
    this.#grants.set(aor, ofAor);
  }

  /** A contact has come, gone or moved: what the cloud last said of its address of record is no longer so. */
  bindingChanged({ kind, binding }: BindingChange): void {
    if (kind !== "refreshed") this.#grants.delete(binding.aor);
  }

  /** The answer to a refresh that ends here; undefined where the cloud has to see it. */
  answer(request: SipRequest, register: RegisterRequest, flow: Flow, target: string): SipResponse | undefined {
    const { store, clock } = this.#context;
    const [contact, ...others] = register.contacts;
    const lan_s = this.#context.lanExpires_s();
    if (lan_s === undefined || contact === undefined || others.length > 0 || contact.expires_s === 0) return undefined;
    if (request.body.length > 0 || headerList(request, "Require").length > 0) return undefined;
    const aor = this.#context.aors().of(register.to);
    const from = this.#context.aors().of(parseNameAddr(header(request, "From") ?? "")?.uri ?? "");
    if (aor === undefined || from !== aor) return undefined;
    const grant = this.#grants.get(aor)?.get(contact.uri);
    const binding = store.find(aor, contact.uri);
    if (grant === undefined || grant.target !== target || binding === undefined) return undefined;
    const same =
      binding.contact === contact.uri &&
      binding.contact_params === keptParams(contact.params) &&
      binding.call_id === register.call_id &&
      register.cseq > binding.cseq &&
      isFlowOf(flow, binding);
    if (!same) return undefined;
    const told_s = Math.min(contact.expires_s, lan_s);
    const elapsed_ms = clock.now() - grant.at_ms;
    const left_ms = Math.min(grant.lives_ms - elapsed_ms, store.left_ms(binding));
    if (left_ms - told_s * 1000 < grant.lives_ms / 2) return undefined;
    store.advance(binding, register.cseq, told_s * 1000);
    const leftOf_s = (uri: string, said_s: number) => {
      if (findContact([contact], uri) !== undefined) return told_s;
      // Another phone of ours may have been granted less since then.
      const known_ms = store.find(aor, uri) === undefined ? undefined : store.left_ms({ aor, contact: uri });
      return Math.floor(known_ms === undefined ? said_s - elapsed_ms / 1000 : known_ms / 1000);
    };
    return buildResponse(request, 200, { headers: later(grant.headers, leftOf_s) });
  }
}

/** The 200's headers as they would read now, given what is left of each contact that was said to have so much. */
function later(headers: readonly Header[], leftOf_s: (uri: string, said_s: number) => number): Header[] {
  return headers.flatMap(({ name, value }) => {
    if (!/^(contact|m)$/i.test(name)) return [{ name, value }];
    const elements = splitOutside(value, ",").flatMap((element) => {
      const contact = parseNameAddr(element);
      if (contact === undefined) return [element];
      const params = withoutParam(contact.params, "expires");
      const left = leftOf_s(contact.uri, Number(paramValue(contact.params, "expires")));
      // One without an expiry of its own reads as it did.
      if (Number.isNaN(left)) return [element];
      return left > 0
        ? [printNameAddr({ ...contact, params: [...params, { name: "expires", value: String(left) }] })]
        : [];
    });
    return elements.length === 0 ? [] : [{ name, value: elements.join(", ") }];
  });
}

export function isFlowOf(flow: Flow, binding: Binding): boolean {
  return (
    binding.transport === flow.protocol &&
    binding.source_address === flow.remote.address &&
    binding.source_port === flow.remote.port &&
    binding.local_address === flow.local.address &&
    binding.local_port === flow.local.port
  );
}
