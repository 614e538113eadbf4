import type { CarrierProfile, SiteConfig } from "../../base/config/schema.ts";
import { token } from "../../base/ids.ts";
import { buildRequest } from "../../sip/messages/build.ts";
import type { Header, SipRequest } from "../../sip/messages/message.ts";
import { parseNameAddr } from "../../sip/messages/name-addr.ts";
import { bareHost, escapeUser, parseUri } from "../../sip/messages/uri.ts";
import { convey } from "../emergency/conveyance.ts";
import type { ResolvedLocation } from "../emergency/location.ts";
import type { Trunk } from "../trunks/trunk.ts";
import { ALLOW } from "./incoming-invite.ts";

export interface TrunkInvite {
  readonly trunk: Trunk;
  readonly contact: string;
  /** What the trunk is asked for: E.164, a service code or an emergency number. */
  readonly number: string;
  readonly callId: string;
  readonly fromTag: string;
  readonly cseq: number;
  readonly maxForwards: number;
  /** E.164 of the caller. */
  readonly callerNumber: string;
  readonly displayName: string | undefined;
  /** From of the phone, for a PBX: it knows the phone by its own address of record. */
  readonly phoneFrom: string | undefined;
  readonly sdp: string | undefined;
  readonly emergency:
    | {
        readonly location: ResolvedLocation | undefined;
        readonly instance: string | undefined;
        readonly wall_ms: number;
      }
    | undefined;
  /** Credentials, ours or the caller's. */
  readonly headers: readonly Header[];
}

/** An INVITE to a trunk or PBX in the shape its carrier's profile asks for. */
export function trunkInvite(invite: TrunkInvite): SipRequest {
  const { trunk, emergency } = invite;
  const { profile } = trunk;
  const uri = requestUri(profile, invite.number, trunk.domain);
  const identity = callerUri(invite);
  const conveyed = convey({
    profile,
    sdp: invite.sdp,
    location: emergency?.location,
    entity: identity.uri,
    instance: emergency?.instance,
    host: trunk.local.address,
    wall_ms: emergency?.wall_ms ?? 0,
  });
  const headers: Header[] = [];
  if (profile.caller_identity === "from_and_pai" && identity.asserted !== undefined) {
    headers.push({ name: "P-Asserted-Identity", value: `<${identity.asserted}>` });
  }
  if (emergency !== undefined) headers.push({ name: "Priority", value: "emergency" });
  headers.push(
    { name: "Allow", value: ALLOW },
    { name: "Accept", value: "application/sdp, multipart/mixed" },
    ...conveyed.headers,
    ...invite.headers,
  );
  return buildRequest({
    method: "INVITE",
    uri,
    from: { ...identity.from, params: [{ name: "tag", value: invite.fromTag }] },
    to: `<${uri}>`,
    callId: invite.callId,
    cseq: invite.cseq,
    maxForwards: invite.maxForwards,
    contact: `<${invite.contact}>`,
    headers,
    body: conveyed.body,
    ...(conveyed.contentType === undefined ? {} : { contentType: conveyed.contentType }),
  });
}

export function newCallId(): string {
  return token(16);
}

function requestUri(profile: CarrierProfile, number: string, host: string): string {
  const bracketed = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
  return profile.request_uri.replaceAll("{number}", escapeUser(number)).replaceAll("{host}", bracketed);
}

interface Identity {
  readonly from: { readonly displayName?: string; readonly uri: string };
  /** The caller's URI: presentity of the location. */
  readonly uri: string;
  readonly asserted: string | undefined;
}

function callerUri(invite: TrunkInvite): Identity {
  const { trunk, callerNumber, displayName } = invite;
  const phone = trunk.kind === "pbx" && invite.phoneFrom !== undefined ? parseNameAddr(invite.phoneFrom) : undefined;
  if (phone !== undefined) {
    const from = { ...(phone.displayName === undefined ? {} : { displayName: phone.displayName }), uri: phone.uri };
    // The PBX asserts identities itself; one from a phone would only be a claim.
    return { from, uri: phone.uri, asserted: undefined };
  }
  const aor = trunk.registration === undefined ? undefined : parseUri(trunk.registration.aor);
  const host = aor !== undefined && aor.host !== "" ? aor.host : trunk.domain;
  const uri = `sip:${callerNumber}@${bareHost(host).includes(":") ? `[${bareHost(host)}]` : host}`;
  return { from: { ...(displayName === undefined ? {} : { displayName }), uri }, uri, asserted: uri };
}

/** The extension that a call is from, and how sure that is. */
export interface CallerIdentity {
  readonly extension: SiteConfig["extensions"][number] | undefined;
  readonly registered: boolean;
  readonly aor: string | undefined;
  readonly instance: string | undefined;
}

/** By the registration from this address and port; else by what From claims (a phone that has not registered yet). */
export function identify(
  request: SipRequest,
  from: string | undefined,
  binding: { readonly aor: string; readonly instance: string | undefined } | undefined,
  config: SiteConfig,
): CallerIdentity {
  const byUser = (uri: string | undefined) => {
    const user = uri === undefined ? undefined : parseUri(uri)?.user;
    return config.extensions.find(({ username, number }) => user === username || user === number);
  };
  if (binding !== undefined) {
    return { extension: byUser(binding.aor), registered: true, aor: binding.aor, instance: binding.instance };
  }
  const claimed = from === undefined ? undefined : parseNameAddr(from)?.uri;
  return { extension: byUser(claimed), registered: false, aor: claimed, instance: instanceOf(request) };
}

function instanceOf(request: SipRequest): string | undefined {
  const contact = request.headers.find(({ name }) => /^(?:contact|m)$/i.test(name));
  const parsed = contact === undefined ? undefined : parseNameAddr(contact.value);
  const value = parsed?.params.find(({ name }) => name.toLowerCase() === "+sip.instance")?.value;
  return value?.replace(/^"?<?|>?"?$/g, "");
}
