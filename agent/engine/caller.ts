import type { Trust } from "../base/events.ts";
import { buildResponse } from "../sip/messages/build.ts";
import { header } from "../sip/messages/headers.ts";
import type { SipRequest, SipResponse } from "../sip/messages/message.ts";
import { parseNameAddr } from "../sip/messages/name-addr.ts";
import type { Endpoint, Flow } from "../sip/transport/flow.ts";
import type { AddressesOfRecord } from "./registrar/addresses-of-record.ts";
import type { BindingStore } from "./registrar/binding-store.ts";
import type { PhoneDigest } from "./registrar/trust.ts";
import { withoutSiteFile } from "./unconfigured.ts";

/** Who sends a request, and how far that is believed. */
export interface KnownCaller {
  readonly extension: string | undefined;
  readonly trust: Trust;
  /** Its credentials were right but for an old nonce. */
  readonly stale: boolean;
  readonly source: Endpoint;
}

export interface CallersContext {
  readonly store: BindingStore;
  readonly digest: PhoneDigest;
  /** There is a site file. */
  readonly configured: boolean;
  aors(): AddressesOfRecord;
}

/** Decides who a phone is while the cloud cannot be asked. */
export class Callers {
  readonly #context: CallersContext;

  constructor(context: CallersContext) {
    this.#context = context;
  }

  /** A registration came from this very address and port. */
  recognises({ remote }: Flow): boolean {
    return this.#context.store.ofSource(remote.address, remote.port).length > 0;
  }

  /**
   * By credentials, else by the registration from the same address and port, else nobody. From another port of the same
   * address, which others may share, a phone only claims to be what it says: that is not enough for calls to the outside.
   */
  identify(request: SipRequest, flow: Flow): KnownCaller {
    const { store, digest } = this.#context;
    const aors = this.#context.aors();
    const proof = digest.check(request, "Proxy-Authorization", flow.remote);
    const source = flow.remote;
    if (proof.kind === "proven") return { extension: proof.extension.id, trust: "full", stale: false, source };
    const stale = proof.kind === "stale";
    const claimed = aors.of(parseNameAddr(header(request, "From") ?? "")?.uri ?? "");
    const { address, port } = flow.remote;
    const lines = store.ofSource(address, port);
    const line = lines.find((binding) => binding.aor === claimed) ?? lines[0];
    if (line !== undefined) return { extension: aors.extensionOf(line.aor), trust: line.trust, stale, source };
    const near =
      claimed === undefined ? undefined : store.ofAor(claimed).find((each) => each.source_address === address);
    return near === undefined
      ? { extension: undefined, trust: "stranger", stale, source }
      : { extension: aors.extensionOf(near.aor), trust: "learned", stale, source };
  }

  /**
   * What a caller without enough trust gets: a challenge, the same for everybody. Undefined when it is allowed:
   * internal calls for those whom the cloud accepted lately, calls to the outside for those who proved themselves.
   */
  refusal(request: SipRequest, caller: KnownCaller, towards: "inside" | "outside"): SipResponse | undefined {
    if (caller.trust === "full") return undefined;
    if (caller.trust === "learned" && towards === "inside") return undefined;
    const { digest, configured } = this.#context;
    if (!configured) return withoutSiteFile(request);
    const aors = this.#context.aors();
    const aor = caller.extension === undefined ? undefined : aors.ofExtension(caller.extension);
    if (caller.trust === "learned" && (aor === undefined || !digest.canProve(aor, aors))) {
      return buildResponse(request, 403, { reason: "Calls Out Need a Provisioned Secret While Offline" });
    }
    const known = this.#context.store.bySource(caller.source.address, caller.source.port)?.proved_with;
    return buildResponse(request, 407, {
      headers: digest
        .challenges(caller.stale, caller.source, known)
        .map((value) => ({ name: "Proxy-Authenticate", value })),
    });
  }
}
