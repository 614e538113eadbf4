import type { Clock } from "../../base/clock.ts";
import type { Binding } from "../../base/snapshot.ts";
import { headerList, prependHeader, removeHeader, setHeader } from "../../sip/messages/headers.ts";
import type { SipRequest, SipResponse } from "../../sip/messages/message.ts";
import { type NameAddr, parseNameAddr, printNameAddr } from "../../sip/messages/name-addr.ts";
import { withoutParam } from "../../sip/messages/params.ts";
import { splitOutside } from "../../sip/messages/syntax.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import type { OwnUris } from "../own-uris.ts";
import type { Trunk } from "../trunks/trunk.ts";
import type { AbsorbedRefreshes } from "./absorbed-refreshes.ts";
import type { AddressesOfRecord } from "./addresses-of-record.ts";
import type { BindingStore, RemovalReason } from "./binding-store.ts";
import { bindingOf, tokenFor } from "./local-registrar.ts";
import {
  contactsOf,
  findContact,
  grantedOverall,
  grantedSeconds,
  parseRegister,
  type RegisterRequest,
} from "./register-request.ts";
import { provedWith } from "./trust.ts";

export interface MirrorContext {
  readonly clock: Clock;
  readonly store: BindingStore;
  readonly own: OwnUris;
  readonly absorbed: AbsorbedRefreshes;
  /** So many contacts of an address of record are at the cloud by other ways than the box. */
  elsewhere(aor: string, contacts: number): void;
  aors(): AddressesOfRecord;
}

/** A contact on its way to the cloud: as the phone wrote it, and as it left here. */
interface SentContact {
  readonly original: string;
  readonly sent: string;
  /** What brings the cloud's requests back to the phone. */
  readonly token: string;
  readonly expires_s: number;
}

/** A REGISTER that the cloud is to decide on. */
export interface MirroredRegister {
  /** What goes to the cloud. */
  readonly request: SipRequest;
  /**
   * What the cloud's 200 means for the mirror; returns the 200 as the phone has to see it. `overtaken`: the phone has had its
   * answer to a later REGISTER of the same Call-ID, which is what counts.
   */
  accepted(response: SipResponse, overtaken: boolean): SipResponse;
}

/** Longest lifetime believed, whatever the cloud says. Seconds. */
const LONGEST_S = 7 * 86_400;

/**
 * Prepares a REGISTER for the cloud, so that the cloud's calls come back through the box: by Path (RFC 3327), or where
 * the cloud does not know that, by contacts rewritten to the box with a token. Digest, tags and order stay untouched.
 * `request` is a copy of the phone's that may be changed.
 */
export function mirrorRegister(
  context: MirrorContext,
  request: SipRequest,
  flow: Flow,
  trunk: Trunk,
  pathHeader: boolean,
): MirroredRegister {
  const register = parseRegister(request);
  const aor = "refuse" in register ? undefined : context.aors().of(register.to);
  // What we do not understand is the cloud's to refuse.
  if ("refuse" in register || aor === undefined) return { request, accepted: (response) => response };
  const { own, store } = context;
  const tokens = register.contacts.map((contact) => tokenFor(own, flow, store.find(aor, contact.uri)));
  // One Path serves all contacts of a request; a rewritten contact has to be told from its neighbours.
  const path = own.phoneSeenFromTrunk(trunk, tokens[0] ?? tokenFor(own, flow, undefined));
  const sent: SentContact[] = register.contacts.map((contact, i) => {
    const token = (pathHeader ? tokens[0] : tokens[i]) ?? "";
    const uri = pathHeader ? contact.uri : own.phoneSeenFromTrunk(trunk, token);
    return { original: contact.uri, sent: uri, token, expires_s: contact.expires_s };
  });
  if (pathHeader) addPath(request, path);
  else rewriteContacts(request, sent);
  const asSent = ({ contact, flow_token }: Binding) =>
    pathHeader ? contact : own.phoneSeenFromTrunk(trunk, flow_token);
  const user: PhoneRegister = { request, register, aor, flow, sent, target: trunk.id, asSent };
  return {
    request,
    accepted: (response, overtaken) => {
      const kept = overtaken ? [] : keep(context, user, response);
      if (!overtaken) context.elsewhere(aor, elsewhere(store, user, response));
      const seen = shorten(pathHeader ? response : restoreContacts(response, sent), context.absorbed, register);
      for (const { binding, lives_ms } of kept) context.absorbed.granted(binding, trunk.id, seen, lives_ms);
      return seen;
    },
  };
}

interface PhoneRegister {
  readonly request: SipRequest;
  readonly register: RegisterRequest;
  readonly aor: string;
  readonly flow: Flow;
  readonly sent: readonly SentContact[];
  readonly target: string;
  /** How the cloud knows another contact of ours. */
  asSent(binding: Binding): string;
}

interface Kept {
  readonly binding: Binding;
  readonly lives_ms: number;
}

function addPath(request: SipRequest, here: string): void {
  prependHeader(request, "Path", `<${here};lr>`);
  const supported = headerList(request, "Supported");
  if (!supported.some((tag) => tag.toLowerCase() === "path")) {
    setHeader(request, "Supported", [...supported, "path"].join(", "));
  }
}

function rewriteContacts(request: SipRequest, sent: readonly SentContact[]): void {
  const values = headerList(request, "Contact");
  if (values.length === 0 || values.includes("*")) return;
  const written = values.map((value, i) => {
    const contact = parseNameAddr(value);
    const entry = sent[i];
    if (contact === undefined || entry === undefined) return value;
    return printNameAddr({ ...contact, uri: entry.sent });
  });
  removeHeader(request, "Contact");
  request.headers.push({ name: "Contact", value: written.join(", ") });
}

function restoreContacts(response: SipResponse, sent: readonly SentContact[]): SipResponse {
  const headers = response.headers.map((line) => {
    if (!/^(contact|m)$/i.test(line.name)) return line;
    const value = splitOutside(line.value, ",")
      .map((element) => {
        const contact = parseNameAddr(element);
        const match = contact === undefined ? undefined : matchSent(sent, contact.uri);
        return contact === undefined || match === undefined
          ? element
          : printNameAddr({ ...contact, uri: match.original });
      })
      .join(", ");
    return { name: line.name, value };
  });
  return { ...response, headers };
}

function matchSent(sent: readonly SentContact[], uri: string): SentContact | undefined {
  return findContact(
    sent.map((entry) => ({ uri: entry.sent, entry })),
    uri,
  )?.entry;
}

/** The phone's own contacts with the expiry that it is told; those of others stay as the cloud wrote them. */
function shorten(response: SipResponse, absorbed: AbsorbedRefreshes, register: RegisterRequest): SipResponse {
  const headers = response.headers.map((line) => {
    if (!/^(contact|m)$/i.test(line.name)) return line;
    const value = splitOutside(line.value, ",")
      .map((element) => {
        const contact = parseNameAddr(element);
        const asked = contact === undefined ? undefined : findContact(register.contacts, contact.uri);
        if (contact === undefined || asked === undefined) return element;
        const granted_s = grantedSeconds(contact, response, asked.expires_s);
        const told_s = absorbed.told_s(granted_s);
        if (told_s >= granted_s) return element;
        const params = [...withoutParam(contact.params, "expires"), { name: "expires", value: String(told_s) }];
        return printNameAddr({ ...contact, params });
      })
      .join(", ");
    return { name: line.name, value };
  });
  return { ...response, headers };
}

/**
 * Takes over what the cloud's 200 says of this phone's contacts; those of others in it are not ours to keep, and their
 * absence says nothing: many a registrar lists only what it was asked for.
 */
function keep(context: MirrorContext, phone: PhoneRegister, response: SipResponse): readonly Kept[] {
  const { store, clock, own, absorbed } = context;
  const { aor, register, flow, target } = phone;
  const listed = contactsOf(response);
  const gone = (contact: string, reason: RemovalReason) => store.remove(aor, contact, reason);
  if (register.all) {
    for (const binding of store.ofAor(aor)) {
      if (findContact(listed, phone.asSent(binding)) === undefined) gone(binding.contact, "unregistered");
    }
    return [];
  }
  return register.contacts.flatMap((contact, i) => {
    const sent = phone.sent[i];
    if (sent === undefined) return [];
    const lives_s = Math.min(keptSeconds(listed, sent, response), LONGEST_S);
    if (lives_s === 0) {
      // Not named and not asked for: what was there lapses by itself unless the phone ended it.
      if (sent.expires_s === 0 || findContact(listed, sent.sent) !== undefined) gone(contact.uri, "unregistered");
      return [];
    }
    const old = store.find(aor, contact.uri);
    const binding: Binding = {
      ...bindingOf(own, phone.request, register, contact, aor, flow, old, {
        trust: old?.trust === "full" ? "full" : "learned",
        expires_wall: clock.wall() + lives_s * 1000,
        cloud_accepted_wall: clock.wall(),
        cloud_target: target,
        held_since_wall: undefined,
        proved_with: provedWith(phone.request) ?? old?.proved_with,
      }),
      flow_token: sent.token,
    };
    for (const other of store.replacedBy(binding)) {
      const still = findContact(listed, phone.asSent(other)) ?? findContact(register.contacts, other.contact);
      if (still === undefined && other.contact !== contact.uri) gone(other.contact, "replaced");
    }
    const told_ms = absorbed.told_s(lives_s) * 1000;
    store.put(binding, lives_s * 1000, { told_ms, keeps_others: true });
    return [{ binding, lives_ms: lives_s * 1000 }];
  });
}

/** Contacts in the cloud's 200 that are no phone's of ours. One of ours under another name is not counted as another. */
function elsewhere(store: BindingStore, { aor, sent, asSent }: PhoneRegister, response: SipResponse): number {
  const listed = contactsOf(response);
  const ours = [...sent.map((contact) => contact.sent), ...store.ofAor(aor).map(asSent)];
  const foreign = listed.filter(
    ({ uri }) =>
      findContact(
        ours.map((each) => ({ uri: each })),
        uri,
      ) === undefined,
  );
  const renamed = sent.filter((contact) => contact.expires_s > 0 && findContact(listed, contact.sent) === undefined);
  return Math.max(0, foreign.length - renamed.length);
}

/**
 * How long the cloud keeps what was sent; 0: not at all. A 200 that lists contacts, but not ours, is that of a PBX which
 * writes contacts anew as it sees their source: it has accepted, for the shortest time that it names. One that lists nobody
 * has accepted where it names a time.
 */
function keptSeconds(listed: readonly NameAddr[], { sent, expires_s }: SentContact, response: SipResponse): number {
  const granted = findContact(listed, sent);
  if (granted !== undefined) return grantedSeconds(granted, response, expires_s);
  if (expires_s === 0) return 0;
  if (listed.length === 0) return Math.min(expires_s, grantedOverall(response) ?? 0);
  return Math.min(...listed.map((contact) => grantedSeconds(contact, response, expires_s)), expires_s);
}
