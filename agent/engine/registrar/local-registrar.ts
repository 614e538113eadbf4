import type { Clock } from "../../base/clock.ts";
import { clockQuality } from "../../base/clock-quality.ts";
import type { Trust } from "../../base/events.ts";
import { token } from "../../base/ids.ts";
import type { Binding } from "../../base/snapshot.ts";
import { buildResponse } from "../../sip/messages/build.ts";
import { header, headerList } from "../../sip/messages/headers.ts";
import type { Header, SipRequest, SipResponse } from "../../sip/messages/message.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import type { OwnUris } from "../own-uris.ts";
import { withoutSiteFile } from "../unconfigured.ts";
import { isFlowOf } from "./absorbed-refreshes.ts";
import type { AddressesOfRecord } from "./addresses-of-record.ts";
import { BINDINGS_PER_AOR, type BindingStore, isLeftBehind, type Telephone } from "./binding-store.ts";
import {
  firstHopKnowsOutbound,
  instanceOf,
  keptParams,
  parseRegister,
  type RegisterContact,
  type RegisterRequest,
  wantsOutbound,
} from "./register-request.ts";
import { type PhoneDigest, provedWith } from "./trust.ts";

/** Short, so that every phone is home with the cloud within a minute of its return, late refreshers too. Seconds. */
export const LOCAL_EXPIRES_S = 45;
/** How often a phone with a flow of its own is to prove it (RFC 5626 §4.4.1). Seconds. */
const FLOW_TIMER_S = 120;
/** Shorter wishes get a 423 with this Min-Expires (RFC 3261 §10.3 step 7). Seconds. */
const MIN_EXPIRES_S = 10;

export interface LocalRegistrarContext {
  readonly clock: Clock;
  readonly store: BindingStore;
  readonly digest: PhoneDigest;
  readonly own: OwnUris;
  /** There is a site file. */
  readonly configured: boolean;
  aors(): AddressesOfRecord;
  /** Somebody without trust tried. */
  stranger(source: string): void;
}

/**
 * The registrar while the cloud cannot be asked (RFC 3261 §10.3): who proves a provisioned secret is fully trusted, who
 * comes back as the cloud knew it lately is trusted for internal calls, everyone else is challenged alike.
 */
export class LocalRegistrar {
  readonly #context: LocalRegistrarContext;

  constructor(context: LocalRegistrarContext) {
    this.#context = context;
  }

  answer(request: SipRequest, flow: Flow): SipResponse {
    const register = parseRegister(request);
    if ("refuse" in register) return buildResponse(request, register.refuse, { reason: register.why });
    const required = headerList(request, "Require").filter((tag) => !KNOWN_EXTENSIONS.has(tag.toLowerCase()));
    if (required.length > 0) {
      return buildResponse(request, 420, { headers: [{ name: "Unsupported", value: required.join(", ") }] });
    }
    if (wantsOutbound(request, register) && !firstHopKnowsOutbound(request)) {
      return buildResponse(request, 439, { reason: "First Hop Lacks Outbound Support" });
    }
    const aor = this.#context.aors().of(register.to);
    const trust = aor === undefined ? undefined : this.#trustOf(request, register, aor, flow);
    if (aor === undefined || trust === undefined || trust === "stale") {
      if (!this.#context.configured) return withoutSiteFile(request);
      // §10.3 step 5. Nobody learns of users by it: it goes by the domain alone.
      if (aor === undefined || !this.#context.aors().isServed(aor)) return buildResponse(request, 404);
      if (trust !== "stale") this.#context.stranger(flow.remote.address);
      return this.#challenge(request, flow, trust === "stale");
    }
    return this.#register(request, register, aor, trust, flow);
  }

  #challenge(request: SipRequest, { remote }: Flow, stale: boolean): SipResponse {
    const { digest, store } = this.#context;
    const known = store.bySource(remote.address, remote.port)?.proved_with;
    return buildResponse(request, 401, {
      headers: digest.challenges(stale, remote, known).map((value) => ({ name: "WWW-Authenticate", value })),
    });
  }

  #trustOf(request: SipRequest, register: RegisterRequest, aor: string, flow: Flow): Trust | "stale" | undefined {
    const { digest, store } = this.#context;
    const aors = this.#context.aors();
    const proof = digest.check(request, "Authorization", flow.remote);
    if (proof.kind === "proven" && aors.ofExtension(proof.extension.id) === aor) return "full";
    if (proof.kind === "stale") return "stale";
    if (digest.canProve(aor, aors)) return undefined;
    const userAgent = userAgentOf(request);
    const known = store.acceptedFrom(aor, flow.remote.address);
    const devices = register.contacts.map((contact) => instanceOf(contact.params));
    const same = known.some((binding) =>
      devices.length === 0
        ? binding.user_agent === userAgent
        : devices.every((instance) => sameDevice(binding, instance, userAgent)),
    );
    return same ? "learned" : undefined;
  }

  #register(request: SipRequest, register: RegisterRequest, aor: string, trust: Trust, flow: Flow): SipResponse {
    const { store } = this.#context;
    const refused = this.#check(request, register, aor, flow);
    if (refused !== undefined) return refused;
    if (register.all) {
      for (const binding of store.ofAor(aor)) store.remove(aor, binding.contact, "unregistered");
    }
    for (const contact of register.contacts) {
      if (contact.expires_s === 0) store.remove(aor, contact.uri, "unregistered");
      else this.#bind(request, register, contact, aor, trust, flow);
    }
    return buildResponse(request, 200, { headers: this.#granted(request, register, aor) });
  }

  /** §10.3 step 8: every binding there is now, with what is left of it. */
  #granted(request: SipRequest, register: RegisterRequest, aor: string): Header[] {
    const { store, clock } = this.#context;
    const headers: Header[] = store.ofAor(aor).map((binding) => ({
      name: "Contact",
      value: `<${binding.contact}>${binding.contact_params};expires=${Math.max(1, Math.round(store.left_ms(binding) / 1000))}`,
    }));
    if (wantsOutbound(request, register)) {
      headers.push({ name: "Require", value: "outbound" });
      // Over UDP the flow is proved by STUN, at the phone's own pace.
      const viaStream = !/\/UDP\b/i.test(header(request, "Via") ?? "");
      if (viaStream) headers.push({ name: "Flow-Timer", value: String(FLOW_TIMER_S) });
    }
    headers.push({ name: "Supported", value: "path, outbound" });
    // §10.3 step 8: phones set their clocks by it, so none rather than a wrong one.
    const wall = clock.wall();
    if (clockQuality(wall, () => true) !== "unset") headers.push({ name: "Date", value: new Date(wall).toUTCString() });
    return headers;
  }

  /** All or nothing: everything that could refuse is looked at before anything changes (RFC 3261 §10.3 step 7). */
  #check(request: SipRequest, register: RegisterRequest, aor: string, flow: Flow): SipResponse | undefined {
    const { store } = this.#context;
    const { call_id } = register;
    const touchedBy = ({ uri, params }: RegisterContact) =>
      store.replacedBy({
        aor,
        contact: uri,
        contact_params: keptParams(params),
        instance: instanceOf(params),
        call_id,
      });
    const touched = register.all ? store.ofAor(aor) : register.contacts.flatMap(touchedBy);
    if (touched.some((binding) => binding.call_id === register.call_id && register.cseq <= binding.cseq)) {
      return buildResponse(request, 500, { reason: "CSeq Out of Order" });
    }
    if (register.contacts.some((contact) => contact.expires_s > 0 && contact.expires_s < MIN_EXPIRES_S)) {
      return buildResponse(request, 423, { headers: [{ name: "Min-Expires", value: String(MIN_EXPIRES_S) }] });
    }
    const live = store.ofAor(aor);
    const added = register.contacts.filter((each) => each.expires_s > 0 && touchedBy(each).length === 0);
    const more = added.length;
    const telephone: Telephone = {
      call_id,
      instance: added.map(({ params }) => instanceOf(params)).find((instance) => instance !== undefined),
      transport: flow.protocol,
      source_address: flow.remote.address,
      source_port: flow.remote.port,
      user_agent: userAgentOf(request),
    };
    const leave = live.filter((old) => !touched.includes(old) && isLeftBehind(old, telephone)).length;
    if (live.length + more - leave > BINDINGS_PER_AOR)
      return buildResponse(request, 403, { reason: "Too Many Contacts" });
    if (more > 0 && !store.makeRoom(more)) {
      return buildResponse(request, 500, { headers: [{ name: "Retry-After", value: "60" }] });
    }
    return undefined;
  }

  #bind(
    request: SipRequest,
    register: RegisterRequest,
    contact: RegisterContact,
    aor: string,
    trust: Trust,
    flow: Flow,
  ): void {
    const { store, clock } = this.#context;
    const old = store.find(aor, contact.uri);
    const lives_ms = Math.min(contact.expires_s, LOCAL_EXPIRES_S) * 1000;
    const binding = bindingOf(this.#context.own, request, register, contact, aor, flow, old, {
      trust,
      expires_wall: clock.wall() + lives_ms,
      cloud_accepted_wall: old?.cloud_accepted_wall,
      cloud_target: old?.cloud_target,
      held_since_wall: old?.held_since_wall ?? clock.wall(),
      proved_with: (trust === "full" ? provedWith(request) : undefined) ?? old?.proved_with,
    });
    store.put(binding, lives_ms);
  }
}

/** Option tags that a REGISTER may require of us. */
const KNOWN_EXTENSIONS = new Set(["path", "outbound"]);

function sameDevice(binding: Binding, instance: string | undefined, userAgent: string): boolean {
  if (instance !== undefined || binding.instance !== undefined) return binding.instance === instance;
  return binding.user_agent === userAgent;
}

const userAgentOf = (request: SipRequest) => (header(request, "User-Agent") ?? "").slice(0, 120);

/** A binding made of a REGISTER's contact; its token stays while the phone stays on the same flow. */
export function bindingOf(
  own: OwnUris,
  request: SipRequest,
  register: RegisterRequest,
  contact: RegisterContact,
  aor: string,
  flow: Flow,
  old: Binding | undefined,
  granted: Pick<
    Binding,
    "trust" | "expires_wall" | "cloud_accepted_wall" | "cloud_target" | "held_since_wall" | "proved_with"
  >,
): Binding {
  return {
    aor,
    contact: contact.uri,
    contact_params: keptParams(contact.params),
    call_id: register.call_id,
    cseq: register.cseq,
    transport: flow.protocol,
    source_address: flow.remote.address,
    source_port: flow.remote.port,
    local_address: flow.local.address,
    local_port: flow.local.port,
    instance: instanceOf(contact.params),
    user_agent: userAgentOf(request),
    flow_token: tokenFor(own, flow, old),
    ...granted,
  };
}

/** The old token where the phone still sends from the same address and port, else a new one. */
export function tokenFor(own: OwnUris, flow: Flow, old: Binding | undefined): string {
  return old !== undefined && isFlowOf(flow, old) ? old.flow_token : own.phoneToken(flow, token(5));
}
