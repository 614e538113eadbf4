import type { SiteConfig } from "../../base/config/schema.ts";
import { escapeUser, parseUri, type SipUri, userOf } from "../../sip/messages/uri.ts";
import { inBrackets } from "../../sip/transport/ip-address.ts";

/**
 * Addresses of record (RFC 3261 §10.3 step 5) in one canonical writing. The cloud's domains and the names and addresses
 * of the box all mean the same site to a phone, so they share one.
 */
export class AddressesOfRecord {
  readonly #domain: string;
  readonly #domains = new Set<string>();
  readonly #extensionByUser = new Map<string, string>();
  readonly #userByExtension = new Map<string, string>();

  constructor(config: SiteConfig) {
    for (const pbx of config.pbx_targets) this.#domains.add(pbx.domain.toLowerCase());
    // Phones that were set up with the PBX's own name or address as their domain.
    for (const { host } of config.pbx_targets) this.#domains.add(inBrackets(host.toLowerCase()));
    for (const name of config.box.sip_names) this.#domains.add(name.toLowerCase());
    for (const lan of config.lans) {
      this.#domains.add(inBrackets(lan.address.toLowerCase()));
    }
    this.#domain = config.pbx_targets[0]?.domain.toLowerCase() ?? config.lans[0]?.address ?? "localhost";
    for (const extension of config.extensions) {
      this.#extensionByUser.set(extension.username, extension.id);
      this.#userByExtension.set(extension.id, extension.username);
    }
  }

  /** Undefined for a URI that cannot be an address of record: no user, or not sip or sips. */
  of(uri: string | SipUri): string | undefined {
    const parsed = typeof uri === "string" ? parseUri(uri) : uri;
    if (parsed === undefined || (parsed.scheme !== "sip" && parsed.scheme !== "sips")) return undefined;
    const user = userOf(parsed);
    if (user === undefined || user === "") return undefined;
    const host = parsed.host.toLowerCase();
    return `sip:${escapeUser(user)}@${this.#domains.has(host) ? this.#domain : host}`;
  }

  /** Whether a canonical address of record is in a domain that the box can answer for. */
  isServed(aor: string): boolean {
    return parseUri(aor)?.host === this.#domain;
  }

  /** The extension behind a canonical address of record. */
  extensionOf(aor: string): string | undefined {
    const parsed = parseUri(aor);
    if (parsed === undefined || parsed.host !== this.#domain) return undefined;
    const user = userOf(parsed);
    return user === undefined ? undefined : this.#extensionByUser.get(user);
  }

  ofExtension(extensionId: string): string | undefined {
    const user = this.#userByExtension.get(extensionId);
    return user === undefined ? undefined : `sip:${escapeUser(user)}@${this.#domain}`;
  }
}
