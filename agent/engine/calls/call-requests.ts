/** What the first request of a call says of its ends. */
import type { SiteConfig } from "../../base/config/schema.ts";
import { header } from "../../sip/messages/headers.ts";
import type { SipRequest } from "../../sip/messages/message.ts";
import { parseNameAddr } from "../../sip/messages/name-addr.ts";
import { bareHost, parseUri, userOf } from "../../sip/messages/uri.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import { ipFamily, isWildcard } from "../../sip/transport/ip-address.ts";
import { inSubnet } from "../emergency/location.ts";
import { toE164 } from "../routing/numbers.ts";
import type { CallsContext } from "./call-context.ts";

/** User part of the Request-URI: our token, in requests within dialogs of ours. */
export function tokenOf(request: SipRequest): string {
  const uri = parseUri(request.uri);
  return uri === undefined ? "" : (userOf(uri) ?? "");
}

export function dialledOf(request: SipRequest): string {
  const uri = parseUri(request.uri);
  return uri === undefined ? "" : (userOf(uri) ?? uri.opaque ?? "").slice(0, 64);
}

export function userOfHeader(request: SipRequest, name: "To" | "From"): string {
  const address = parseNameAddr(header(request, name) ?? "");
  const uri = address === undefined ? undefined : parseUri(address.uri);
  return uri === undefined ? "" : (userOf(uri) ?? "");
}

/** Who calls from outside: the asserted number where the trunk gives one (RFC 3325), else From. */
export function callerOf(request: SipRequest, config: SiteConfig): string {
  const asserted = parseNameAddr(header(request, "P-Asserted-Identity") ?? "");
  const uri = asserted === undefined ? undefined : parseUri(asserted.uri);
  const user = (uri === undefined ? undefined : userOf(uri)) ?? userOfHeader(request, "From");
  return (toE164(user, config) ?? user.replace(/[^A-Za-z0-9+*#._-]/g, "").slice(0, 40)) || "anonymous";
}

/**
 * The box's own end towards a phone: for media the address the phone reached us at, for the Contact the same. A
 * socket bound to no address in particular does not know it: then the LAN of the phone does, or the phone's own words.
 */
export function localEnd(
  { config, transport }: CallsContext,
  flow: Flow,
  request: SipRequest,
): { readonly address: string | undefined; readonly contact_address: string; readonly port: number } {
  const sentBy = transport.sentBy(flow);
  if (!isWildcard(flow.local.address)) {
    return { address: flow.local.address, contact_address: flow.local.address, port: sentBy.port };
  }
  const { lans } = config();
  const lan = lans.find(
    ({ address, subnets }) => !isWildcard(address) && subnets.some((each) => inSubnet(flow.remote.address, each)),
  );
  const named = bareHost(parseUri(request.uri)?.host ?? "");
  const address = lan?.address ?? (ipFamily(named) === undefined ? undefined : named);
  return { address, contact_address: address ?? sentBy.address, port: sentBy.port };
}
