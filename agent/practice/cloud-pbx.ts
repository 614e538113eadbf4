import type { Clock } from "../base/clock.ts";
import { makeChallenge, NonceBook, parseAuthorization, verifyDigest } from "../sip/auth/digest.ts";
import { buildResponse } from "../sip/messages/build.ts";
import { header, headerList, prependHeader, removeFirst, setHeader } from "../sip/messages/headers.ts";
import type { SipRequest } from "../sip/messages/message.ts";
import { parseNameAddr, tagOf } from "../sip/messages/name-addr.ts";
import { bareHost, parseUri, userOf } from "../sip/messages/uri.ts";
import { TransactionLayer } from "../sip/transactions/layer.ts";
import type { ServerTransaction } from "../sip/transactions/server-transaction.ts";
import type { Flow } from "../sip/transport/flow.ts";
import type { SipTransport } from "../sip/transport/sip-transport.ts";
import { type CloudContact, CloudContacts } from "./cloud-contacts.ts";
import { ForkedRequest } from "./forked-request.ts";
import { MAIN_NUMBER, PBX_DOMAIN, publicNumber } from "./places.ts";

export interface CloudPbxSetting {
  readonly clock: Clock;
  readonly address: string;
  readonly port: number;
  /** Listening at that address and port already. */
  readonly transport: SipTransport;
  /** Passwords by user. */
  readonly users: ReadonlyMap<string, string>;
  /** Who rings for the main number. */
  readonly mainGroup: readonly string[];
  /** Where calls to the outside and 911 go. */
  readonly carrier: { readonly address: string; readonly port: number };
}

/** A cloud PBX: registrar with digest and Path (RFC 3261 §10, RFC 3327) and proxy (§16) for its users. */
export class CloudPbx {
  readonly #setting: CloudPbxSetting;
  readonly #layer: TransactionLayer;
  readonly #nonces: NonceBook;
  readonly #contacts: CloudContacts;

  constructor(setting: CloudPbxSetting) {
    this.#setting = setting;
    const { clock, transport } = setting;
    this.#nonces = new NonceBook({ clock });
    this.#contacts = new CloudContacts(clock);
    this.#layer = new TransactionLayer({ transport, clock });
    this.#layer.onRequest((tx) => this.#request(tx));
    this.#layer.onAck((ack) => {
      const copy = this.#onward(ack);
      if (copy !== undefined) this.#layer.sendAck(copy, this.#flowFor(copy));
    });
  }

  async close(): Promise<void> {
    await this.#setting.transport.shutdown();
  }

  #request(tx: ServerTransaction): void {
    const { request } = tx;
    if (request.method === "REGISTER") this.#register(tx);
    else if (request.method === "OPTIONS" && parseUri(request.uri)?.user === undefined) {
      tx.respond(buildResponse(request, 200));
    } else this.#proxy(tx);
  }

  #register(tx: ServerTransaction): void {
    const { request } = tx;
    const user = userOfUri(parseNameAddr(header(request, "To") ?? "")?.uri ?? "");
    if (!this.#proven(tx, "Authorization", user)) return;
    const { contacts, ok } = this.#contacts.register(user, request);
    if (!ok) {
      tx.respond(buildResponse(request, 400));
      return;
    }
    const headers = contacts.map((value) => ({ name: "Contact", value }));
    tx.respond(buildResponse(request, 200, { headers }));
  }

  /** Challenges whoever does not prove to be this user, whether there is such a user or not. */
  #proven(tx: ServerTransaction, name: "Authorization" | "Proxy-Authorization", user: string): boolean {
    const { request } = tx;
    const authorization = parseAuthorization(header(request, name) ?? "");
    const password = this.#setting.users.get(user);
    const verdict =
      authorization === undefined || password === undefined || authorization.username !== user
        ? undefined
        : verifyDigest({ authorization, method: request.method, realm: PBX_DOMAIN, nonces: this.#nonces, password });
    if (verdict?.ok === true) return true;
    const stale = verdict?.reason === "stale";
    const value = makeChallenge({ realm: PBX_DOMAIN, nonces: this.#nonces, stale });
    const [status, asks] = name === "Authorization" ? [401, "WWW-Authenticate"] : [407, "Proxy-Authenticate"];
    tx.respond(buildResponse(request, status as number, { headers: [{ name: String(asks), value }] }));
    return false;
  }

  #proxy(tx: ServerTransaction): void {
    const onward = this.#onward(tx.request);
    if (onward === undefined) {
      tx.respond(buildResponse(tx.request, 483));
      return;
    }
    if (tagOf(onward, "To") !== undefined) {
      this.#fork(tx, [onward]);
      return;
    }
    const dialled = asE164(userOfUri(onward.uri));
    const emergency = /^(911|933|112)$/.test(dialled) || /^urn:service:(test\.)?sos/i.test(onward.uri);
    const { carrier, mainGroup } = this.#setting;
    const fromCarrier = tx.flow.remote.address === carrier.address;
    const caller = userOfUri(parseNameAddr(header(onward, "From") ?? "")?.uri ?? "");
    // 911 is taken from anybody.
    if (!emergency && !fromCarrier && tx.request.method === "INVITE") {
      if (!this.#proven(tx, "Proxy-Authorization", caller)) return;
    }
    const isMain = dialled === MAIN_NUMBER;
    const own = [...this.#setting.users.keys()].filter((user) => user === dialled || publicNumber(user) === dialled);
    const users = isMain ? mainGroup : own;
    if (emergency || (users.length === 0 && /^\+?[0-9]{7,15}$/.test(dialled))) {
      const scheme = onward.uri.startsWith("urn:") ? onward.uri : `sip:${dialled}@${carrier.address}:${carrier.port}`;
      prependHeader(onward, "Route", `<sip:${carrier.address}:${carrier.port};lr>`);
      // What is dialled back later is the user's public number, which only the PBX knows (RFC 3325).
      if (this.#setting.users.has(caller)) {
        setHeader(onward, "P-Asserted-Identity", `<sip:${publicNumber(caller)}@${PBX_DOMAIN}>`);
      }
      this.#fork(tx, [this.#recorded({ ...onward, uri: scheme })]);
      return;
    }
    const contacts = users.flatMap((user) => this.#contacts.of(user));
    if (contacts.length === 0) {
      tx.respond(buildResponse(tx.request, users.length > 0 ? 480 : 404));
      return;
    }
    this.#fork(
      tx,
      contacts.map((contact) => this.#towards(onward, contact)),
    );
  }

  #towards(request: SipRequest, contact: CloudContact): SipRequest {
    const copy = this.#recorded({ ...request, uri: contact.uri });
    for (const path of [...contact.path].reverse()) prependHeader(copy, "Route", path);
    return copy;
  }

  #recorded(request: SipRequest): SipRequest {
    const copy: SipRequest = { ...request, headers: [...request.headers] };
    const { address, port } = this.#setting;
    prependHeader(copy, "Record-Route", `<sip:${address}:${port};lr>`);
    return copy;
  }

  #fork(tx: ServerTransaction, branches: readonly SipRequest[]): void {
    new ForkedRequest(
      tx,
      this.#layer,
      branches.map((request) => ({ request, flow: this.#flowFor(request) })),
    );
  }

  /** A copy that goes on: one hop less, our own Route element off. Undefined when it has no hops left. */
  #onward(request: SipRequest): SipRequest | undefined {
    const copy: SipRequest = { ...request, headers: [...request.headers] };
    const hops = Number(header(copy, "Max-Forwards") ?? "70");
    if (!(hops > 0)) return undefined;
    setHeader(copy, "Max-Forwards", String(Math.min(hops, 70) - 1));
    const top = parseUri(parseNameAddr(headerList(copy, "Route")[0] ?? "")?.uri ?? "");
    if (top !== undefined && (bareHost(top.host) === this.#setting.address || top.host === PBX_DOMAIN)) {
      removeFirst(copy, "Route");
    }
    return copy;
  }

  #flowFor(request: SipRequest): Flow {
    const top = headerList(request, "Route")[0];
    const uri = parseUri(top === undefined ? request.uri : (parseNameAddr(top)?.uri ?? ""));
    const { address, port, transport } = this.#setting;
    return transport.flowTo({
      protocol: "udp",
      address: bareHost(uri?.host ?? ""),
      port: uri?.port ?? 5060,
      local_address: address,
      local_port: port,
    });
  }
}

function userOfUri(text: string): string {
  const uri = parseUri(text);
  return uri === undefined ? "" : ((userOf(uri) ?? "").split(";")[0] ?? "");
}

/** North American numbers as people dial them; anything else stays as it is. */
function asE164(dialled: string): string {
  return /^1?[2-9][0-9]{9}$/.test(dialled) ? `+1${dialled.slice(-10)}` : dialled;
}
