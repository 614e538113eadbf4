import type { SiteConfig } from "../base/config/schema.ts";
import { removeFirst } from "../sip/messages/headers.ts";
import type { SipRequest } from "../sip/messages/message.ts";
import { parseNameAddr } from "../sip/messages/name-addr.ts";
import { bareHost, parseUri, type SipUri, userOf } from "../sip/messages/uri.ts";
import type { Endpoint, Flow } from "../sip/transport/flow.ts";
import { inBrackets, isWildcard } from "../sip/transport/ip-address.ts";
import { topRoute } from "./forwarding.ts";
import type { OwnToken, OwnTokens } from "./own-tokens.ts";
import type { Trunk, Trunks } from "./trunks/trunk.ts";

/** What a Route element or a Request-URI says to us. */
export type Own =
  | { readonly ours: false }
  /** It names the box; `token` where it is one that we made. */
  | { readonly ours: true; readonly token: OwnToken | undefined; readonly user: string | undefined };

const FOREIGN: Own = { ours: false };

/** The box's own addresses in URIs: those that we write, and those that we know again. */
export class OwnUris {
  readonly #tokens: OwnTokens;
  readonly #trunks: Trunks;
  #lanAddresses = new Set<string>();
  #lanNames = new Set<string>();

  constructor(tokens: OwnTokens, trunks: Trunks, config: SiteConfig) {
    this.#tokens = tokens;
    this.#trunks = trunks;
    this.configure(config);
  }

  configure(config: SiteConfig): void {
    this.#lanAddresses = new Set(
      config.lans.flatMap(({ address, sip_port, tls }) =>
        [sip_port, tls?.port].flatMap((port) => (port === undefined ? [] : [`${address.toLowerCase()} ${port}`])),
      ),
    );
    this.#lanNames = new Set(config.box.sip_names.map((name) => name.toLowerCase()));
  }

  /** For a Record-Route element, a Path or a Contact towards the phone's or the trunk's side. */
  towardsPhone(flow: Flow, sentBy: Endpoint, leg: string): string {
    const host = isWildcard(sentBy.address) ? flow.local.address : sentBy.address;
    return uri(this.#tokens.ofPhone(flow, leg), host, sentBy.port, flow.protocol);
  }

  towardsTrunk(trunk: Trunk, leg: string): string {
    return uri(this.#tokens.ofTrunk(trunk.id, leg), trunk.local.address, trunk.local.port, trunk.flow?.protocol);
  }

  /** A URI on the trunk's side that carries a phone's token: Path and rewritten contacts. */
  phoneSeenFromTrunk(trunk: Trunk, token: string): string {
    return uri(token, trunk.local.address, trunk.local.port, trunk.flow?.protocol);
  }

  phoneToken(flow: Flow, leg: string): string {
    return this.#tokens.ofPhone(flow, leg);
  }

  /** A Route element as it stands in its header. */
  ofRoute(element: string): Own {
    const address = parseNameAddr(element);
    return address === undefined ? FOREIGN : this.of(address.uri);
  }

  of(text: string): Own {
    const parsed = parseUri(text);
    return parsed === undefined ? FOREIGN : this.ofParsed(parsed);
  }

  ofParsed(parsed: SipUri): Own {
    if (parsed.scheme !== "sip" && parsed.scheme !== "sips") return FOREIGN;
    const user = userOf(parsed);
    const token = user === undefined || user.length < 20 ? undefined : this.#tokens.read(user);
    if (token !== undefined) return { ours: true, token, user };
    return this.#namesUs(parsed) ? { ours: true, token: undefined, user } : FOREIGN;
  }

  /** Takes off every Route element on top that names the box; returns them, tokens read, in their order. */
  dropOwnRoutes(request: SipRequest): readonly OwnToken[] {
    const tokens: OwnToken[] = [];
    for (let top = topRoute(request); top !== undefined; top = topRoute(request)) {
      const own = this.ofRoute(top);
      if (!own.ours) break;
      removeFirst(request, "Route");
      if (own.token !== undefined) tokens.push(own.token);
    }
    return tokens;
  }

  #namesUs({ host, port }: SipUri): boolean {
    const name = bareHost(host).toLowerCase();
    if (this.#lanNames.has(name) || this.#lanAddresses.has(`${name} ${port ?? 5060}`)) return true;
    for (const { local } of this.#trunks.all())
      if (local.address === name && local.port === (port ?? 5060)) return true;
    return false;
  }
}

function uri(user: string, host: string, port: number, protocol: Flow["protocol"] | undefined): string {
  const transport = protocol === undefined || protocol === "udp" ? "" : `;transport=${protocol}`;
  return `sip:${user}@${inBrackets(host)}:${port}${transport}`;
}
