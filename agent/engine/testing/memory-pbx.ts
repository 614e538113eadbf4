import type { ManualClock } from "../../base/manual-clock.ts";
import { makeChallenge, NonceBook } from "../../sip/auth/digest.ts";
import { buildRequest, buildResponse } from "../../sip/messages/build.ts";
import { header, headerList, prependHeader, removeFirst, removeHeader } from "../../sip/messages/headers.ts";
import type { SipRequest, SipResponse } from "../../sip/messages/message.ts";
import { parseNameAddr } from "../../sip/messages/name-addr.ts";
import { paramValue } from "../../sip/messages/params.ts";
import { bareHost, parseUri } from "../../sip/messages/uri.ts";
import { TransactionLayer } from "../../sip/transactions/layer.ts";
import type { ServerTransaction } from "../../sip/transactions/server-transaction.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import type { MemoryNetwork } from "../../sip/transport/memory-network.ts";
import type { SipTransport } from "../../sip/transport/sip-transport.ts";

interface CloudContact {
  readonly uri: string;
  readonly path: readonly string[];
  readonly value: string;
}

/** A cloud PBX as a plain SIP proxy with a registrar (RFC 3261 §10, §16; RFC 3327). */
export class MemoryPbx {
  readonly requests: SipRequest[] = [];
  readonly contacts = new Map<string, CloudContact[]>();
  /** Answers a request instead of the PBX; false: the PBX does its work. */
  intercept: (tx: ServerTransaction) => boolean = () => false;
  /** Seconds granted to a registration. */
  granted_s = 600;
  /** Further Contact elements in every 200 to REGISTER. */
  foreign: string[] = [];
  readonly #address: string;
  readonly #challenge: boolean;
  readonly #nonces: NonceBook;
  readonly #layer: TransactionLayer;
  readonly #transport: SipTransport;

  private constructor(transport: SipTransport, clock: ManualClock, address: string, challenge: boolean) {
    this.#address = address;
    this.#challenge = challenge;
    this.#transport = transport;
    this.#nonces = new NonceBook({ clock });
    this.#layer = new TransactionLayer({ transport, clock });
    this.#layer.onRequest((tx) => this.#request(tx));
    this.#layer.onAck((ack) => {
      this.requests.push(ack);
      const copy = this.#popRoute(ack);
      this.#layer.sendAck(copy, this.#flowFor(copy));
    });
  }

  static async start(
    network: MemoryNetwork,
    clock: ManualClock,
    address: string,
    challenge: boolean,
  ): Promise<MemoryPbx> {
    const transport = network.transport();
    await transport.listen({ protocol: "udp", address, port: 5060 });
    return new MemoryPbx(transport, clock, address, challenge);
  }

  received(method: string): SipRequest[] {
    return this.requests.filter((request) => request.method === method);
  }

  /** Sends a request of the PBX's own to a registered user, over its Path. */
  sendTo(user: string, method: string): Promise<SipResponse> {
    const contact = this.contacts.get(user)?.[0];
    if (contact === undefined) throw new Error(`${user} is not registered at the PBX`);
    const request = buildRequest({
      method,
      uri: contact.uri,
      from: "<sip:pbx.example>;tag=pbx",
      to: `<sip:${user}@pbx.example>`,
      callId: `pbx-${this.requests.length}`,
      cseq: 1,
      route: contact.path,
    });
    return new Promise((resolve, reject) => {
      this.#layer.request(request, this.#flowFor(request), {
        onFinal: resolve,
        onTimeout: () => reject(new Error("timeout")),
        onTransportError: (error) => reject(new Error(error.detail)),
      });
    });
  }

  /** Sends a request as it stands, with a Via of the PBX on top. */
  sendRaw(request: SipRequest, address: string, port: number): Promise<SipResponse> {
    const flow = this.#transport.flowTo({
      protocol: "udp",
      address,
      port,
      local_address: this.#address,
      local_port: 5060,
    });
    return new Promise((resolve, reject) => {
      this.#layer.request(request, flow, {
        onFinal: resolve,
        onTimeout: () => reject(new Error("timeout")),
        onTransportError: (error) => reject(new Error(error.detail)),
      });
    });
  }

  /** A response without the PBX's own Via. */
  strip(response: SipResponse): SipResponse {
    const stripped: SipResponse = { ...response, headers: [...response.headers] };
    removeFirst(stripped, "Via");
    return stripped;
  }

  #request(tx: ServerTransaction): void {
    this.requests.push(tx.request);
    if (this.intercept(tx)) return;
    if (tx.request.method === "REGISTER") this.#register(tx);
    else if (tx.request.method === "OPTIONS") tx.respond(buildResponse(tx.request, 200));
    else this.#proxy(tx);
  }

  #register(tx: ServerTransaction): void {
    const { request } = tx;
    if (this.#challenge && header(request, "Authorization") === undefined) {
      const value = makeChallenge({ realm: "pbx.example", nonces: this.#nonces });
      tx.respond(buildResponse(request, 401, { headers: [{ name: "WWW-Authenticate", value }] }));
      return;
    }
    const user = parseUri(parseNameAddr(header(request, "To") ?? "")?.uri ?? "")?.user ?? "";
    let contacts = this.contacts.get(user) ?? [];
    for (const value of headerList(request, "Contact")) {
      const contact = parseNameAddr(value);
      if (value === "*") contacts = [];
      if (contact === undefined) continue;
      contacts = contacts.filter(({ uri }) => uri !== contact.uri);
      const expires = paramValue(contact.params, "expires") ?? header(request, "Expires") ?? "3600";
      if (expires !== "0") {
        contacts.push({
          uri: contact.uri,
          path: headerList(request, "Path"),
          value: `<${contact.uri}>;expires=${Math.min(Number(expires), this.granted_s)}`,
        });
      }
    }
    this.contacts.set(user, contacts);
    const headers = [...this.foreign, ...contacts.map(({ value }) => value)].map((value) => ({
      name: "Contact",
      value,
    }));
    tx.respond(buildResponse(request, 200, { headers }));
  }

  #proxy(tx: ServerTransaction): void {
    const copy = this.#popRoute(tx.request);
    const inside = /;tag=/.test(header(copy, "To") ?? "");
    // Inside a dialog only a GRUU of the PBX's own is looked up (RFC 5627 §5.1); a phone's contact is not.
    if (!inside || /@pbx\.example;gr=/.test(copy.uri)) {
      const contact = this.contacts.get(parseUri(copy.uri)?.user ?? "")?.[0];
      if (contact === undefined) {
        tx.respond(buildResponse(tx.request, 404));
        return;
      }
      copy.uri = contact.uri;
      if (!inside) prependHeader(copy, "Record-Route", `<sip:${this.#address};lr>`);
      for (const path of [...contact.path].reverse()) prependHeader(copy, "Route", path);
    }
    const back = (response: SipResponse) => tx.respond(this.strip(response));
    const client = this.#layer.request(copy, this.#flowFor(copy), {
      onProvisional: (response) => {
        if (response.status > 100) back(response);
      },
      onFinal: back,
      onTimeout: () => tx.respond(buildResponse(tx.request, 408)),
      onTransportError: () => tx.respond(buildResponse(tx.request, 503)),
    });
    tx.onCancel(() => client.cancel());
  }

  #popRoute(request: SipRequest): SipRequest {
    const copy: SipRequest = { ...request, headers: [...request.headers] };
    const routes = headerList(copy, "Route");
    if (routes[0]?.includes(this.#address)) removeFirst(copy, "Route");
    if (headerList(copy, "Route").length === 0) removeHeader(copy, "Route");
    return copy;
  }

  #flowFor(request: SipRequest): Flow {
    const top = headerList(request, "Route")[0];
    const uri = parseUri(top === undefined ? request.uri : (parseNameAddr(top)?.uri ?? ""));
    return this.#transport.flowTo({
      protocol: "udp",
      address: bareHost(uri?.host ?? ""),
      port: uri?.port ?? 5060,
      local_address: this.#address,
      local_port: 5060,
    });
  }
}
