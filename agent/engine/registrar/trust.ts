import type { Clock } from "../../base/clock.ts";
import type { ExtensionConfig, SiteConfig } from "../../base/config/schema.ts";
import {
  type Algorithm,
  type Authorization,
  makeChallenge,
  NonceBook,
  parseAuthorization,
  verifyDigest,
} from "../../sip/auth/digest.ts";
import { header, headerValues } from "../../sip/messages/headers.ts";
import type { SipRequest } from "../../sip/messages/message.ts";
import type { Endpoint } from "../../sip/transport/flow.ts";
import type { AddressesOfRecord } from "./addresses-of-record.ts";

/** What a request's credentials prove. `stale`: right but for an old nonce. */
export type Proof =
  | { readonly kind: "proven"; readonly extension: ExtensionConfig }
  | { readonly kind: "stale" }
  | { readonly kind: "none" | "wrong" };

// Checked against when there is no such user, so that the answer takes as long as for one that there is.
const SOURCES_MAX = 4000;
const NOBODY_HA1 = "00000000000000000000000000000000";

/**
 * Digest authentication of phones by the secrets that the site file provisions (HA1 in the cloud's realm). Whoever
 * cannot prove anything gets the same challenge, whether the user exists or not.
 */
export class PhoneDigest {
  readonly #nonces: NonceBook;
  /** Sources that were offered more than one algorithm and have not answered yet. */
  readonly #offeredMore = new Set<string>();
  /** Sources that came back without an answer: old phones look at the first challenge alone, and give up. */
  readonly #onlyOld = new Set<string>();
  #realm = "";
  #algorithms: readonly Algorithm[] = ["MD5"];
  readonly #byUser = new Map<string, ExtensionConfig>();
  readonly #byId = new Map<string, ExtensionConfig>();

  constructor(clock: Clock, config: SiteConfig) {
    this.#nonces = new NonceBook({ clock });
    this.configure(config);
  }

  configure(config: SiteConfig): void {
    const pbx = config.pbx_targets[0];
    this.#realm = pbx?.realm ?? pbx?.domain ?? config.box.sip_names[0] ?? config.site.id;
    this.#byUser.clear();
    this.#byId.clear();
    for (const extension of config.extensions) {
      this.#byUser.set(extension.username, extension);
      this.#byId.set(extension.id, extension);
    }
    this.#algorithms = offered(config.extensions);
  }

  get realm(): string {
    return this.#realm;
  }

  /** Whether a secret is provisioned for the extension behind this address of record. */
  canProve(aor: string, aors: AddressesOfRecord): boolean {
    const id = aors.extensionOf(aor);
    const extension = id === undefined ? undefined : this.#byId.get(id);
    return extension !== undefined && this.#algorithms.some((each) => secretOf(extension, each) !== undefined);
  }

  /**
   * The challenges to send, the one liked best first (RFC 8760 §2.4). Where MD5 will do, a source gets that alone which did
   * not answer when it had the choice, or which is known to have answered the cloud with it: many phones look at the first
   * challenge only. That goes by the source, whoever it says it is.
   */
  challenges(stale: boolean, source: Endpoint, proved_with: string | undefined): readonly string[] {
    const key = keyOf(source);
    const old = this.#algorithms.includes("MD5") && (proved_with === "MD5" || this.#onlyOld.has(key));
    const algorithms: readonly Algorithm[] = old ? ["MD5"] : this.#algorithms;
    if (algorithms.length > 1) remember(this.#offeredMore, key);
    return algorithms.map((algorithm) => makeChallenge({ realm: this.#realm, nonces: this.#nonces, algorithm, stale }));
  }

  check(request: SipRequest, name: "Authorization" | "Proxy-Authorization", source: Endpoint): Proof {
    const authorization = this.#ours(headerValues(request, name));
    const key = keyOf(source);
    if (this.#offeredMore.delete(key) && authorization === undefined) remember(this.#onlyOld, key);
    if (authorization === undefined) return { kind: header(request, name) === undefined ? "none" : "wrong" };
    const extension = this.#byUser.get(authorization.username);
    const algorithm = this.#algorithms.find((each) => each === (authorization.algorithm ?? "MD5").toUpperCase());
    if (algorithm === undefined) return { kind: "wrong" };
    const secret = extension === undefined ? undefined : secretOf(extension, algorithm);
    const verdict = verifyDigest({
      authorization,
      method: request.method,
      realm: this.#realm,
      nonces: this.#nonces,
      algorithms: [algorithm],
      ha1: secret ?? NOBODY_HA1,
    });
    if (extension === undefined || secret === undefined) return { kind: "wrong" };
    if (verdict.ok) return { kind: "proven", extension };
    return { kind: verdict.reason === "stale" ? "stale" : "wrong" };
  }

  /** A phone may carry credentials for several realms: ours counts. */
  #ours(values: readonly string[]): Authorization | undefined {
    for (const value of values) {
      const authorization = parseAuthorization(value);
      if (authorization?.realm === this.#realm) return authorization;
    }
    return undefined;
  }
}

const keyOf = ({ address, port }: Endpoint) => `${address} ${port}`;

/** The oldest makes room. */
function remember(sources: Set<string>, key: string): void {
  for (const oldest of sources) {
    if (sources.size < SOURCES_MAX) break;
    sources.delete(oldest);
  }
  sources.add(key);
}

/** The algorithm of the credentials that a request carries; undefined where it has none. */
export function provedWith(request: SipRequest): string | undefined {
  const authorization = parseAuthorization(headerValues(request, "Authorization")[0] ?? "");
  return authorization === undefined ? undefined : (authorization.algorithm ?? "MD5").toUpperCase();
}

function secretOf(extension: ExtensionConfig, algorithm: Algorithm): string | undefined {
  return algorithm === "MD5" ? extension.ha1_md5 : algorithm === "SHA-256" ? extension.ha1_sha256 : undefined;
}

/** The algorithms that every provisioned phone can use; all that any can when they have none in common. */
function offered(extensions: readonly ExtensionConfig[]): readonly Algorithm[] {
  const holders = extensions.filter(({ ha1_md5, ha1_sha256 }) => ha1_md5 !== undefined || ha1_sha256 !== undefined);
  const both: readonly Algorithm[] = ["SHA-256", "MD5"];
  if (holders.length === 0) return ["MD5"];
  const common = both.filter((algorithm) => holders.every((each) => secretOf(each, algorithm) !== undefined));
  return common.length > 0 ? common : both;
}
