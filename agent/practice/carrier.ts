import type { Clock } from "../base/clock.ts";
import { readAnnouncement } from "../media/announcements.ts";
import type { OpenMediaSocket } from "../media/datagram.ts";
import type { G711PayloadType } from "../media/g711.ts";
import { type FrameSource, sampleFrames } from "../media/playback.ts";
import { makeChallenge, NonceBook, parseAuthorization, verifyDigest } from "../sip/auth/digest.ts";
import { buildResponse } from "../sip/messages/build.ts";
import { header, headerList } from "../sip/messages/headers.ts";
import { parseNameAddr } from "../sip/messages/name-addr.ts";
import { paramValue } from "../sip/messages/params.ts";
import { bareHost, parseUri } from "../sip/messages/uri.ts";
import type { ServerTransaction } from "../sip/transactions/server-transaction.ts";
import type { Destination, Flow } from "../sip/transport/flow.ts";
import type { SipTransport } from "../sip/transport/sip-transport.ts";
import { AudioPort } from "./audio-port.ts";
import { type AnsweredCalls, type PartySound, take, voice } from "./party.ts";
import { type Answer, PartyCall } from "./party-call.ts";
import { CARRIER_DOMAIN, OUTSIDE_NUMBER, VOICES } from "./places.ts";
import { type Credentials, UserAgent } from "./user-agent.ts";

export interface CarrierSetting {
  readonly clock: Clock;
  readonly face: "wan" | "lte";
  readonly address: string;
  readonly port: number;
  /** Listening at that address and port already. */
  readonly transport: SipTransport;
  readonly openMedia: OpenMediaSocket;
  /** The account that may register here; without one nobody may. */
  readonly account: Credentials | undefined;
  readonly answered: AnsweredCalls;
}

const RING_MS = 300;
const LONGEST_EXPIRES_S = 3600;

interface Registered {
  readonly contact: string;
  readonly flow: Flow;
  readonly until_ms: number;
}

/**
 * The practice telephone network, seen over one path: takes 911 for the practice PSAP, 933 for the test number, every
 * other number for "somebody outside", and brings calls to whoever is registered with it.
 */
export class Carrier {
  readonly #setting: CarrierSetting;
  readonly #agent: UserAgent;
  readonly #nonces: NonceBook;
  readonly #psap: (payload: G711PayloadType) => FrameSource;
  #registered: Registered | undefined;

  constructor(setting: CarrierSetting) {
    this.#setting = setting;
    const { clock, transport, address, port } = setting;
    this.#nonces = new NonceBook({ clock });
    this.#agent = new UserAgent(clock, transport, `sip:practice@${address}:${port}${this.#transportParam}`);
    const announcement = readAnnouncement("practice-psap");
    if (!("samples" in announcement)) throw new Error(`the practice PSAP has no words: ${announcement.reason}`);
    this.#psap = (payload) => sampleFrames(announcement.samples, payload);
    this.#agent.onCall((call) => this.#take(call));
    this.#agent.onOther((tx) => {
      if (tx.request.method === "REGISTER") this.#register(tx);
      else tx.respond(buildResponse(tx.request, 405));
    });
  }

  /** Somebody outside calls: over the box's own registration, or to another place. */
  async callIn(number: string, to?: Destination): Promise<{ call: PartyCall; answer: Promise<Answer> } | undefined> {
    const lives = (this.#registered?.until_ms ?? 0) > this.#setting.clock.now();
    const registered = lives ? this.#registered : undefined;
    const destination = to ?? registered?.flow;
    if (destination === undefined) return undefined;
    const { clock, address, openMedia } = this.#setting;
    const audio = await AudioPort.open(clock, address, openMedia);
    // A trunk that has registered is called at its contact, the number in To.
    const uri = to === undefined ? (registered?.contact ?? "") : `sip:${number}@${to.address}:${to.port}`;
    const from = `"PRACTICE outside" <sip:${OUTSIDE_NUMBER}@${CARRIER_DOMAIN}>`;
    const dialling = { uri, to: `sip:${number}@${CARRIER_DOMAIN}`, from, destination };
    return PartyCall.dial(this.#agent, dialling, audio, voice(VOICES.outside));
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }

  get #transportParam(): string {
    return this.#setting.face === "lte" ? ";transport=tcp" : "";
  }

  #take(call: PartyCall): void {
    const { clock, address, openMedia, face, answered } = this.#setting;
    const sound: PartySound = { clock, address, open: openMedia };
    const { dialled } = call;
    const emergency = dialled === "911" || dialled === "112" || /^urn:service:sos/i.test(dialled);
    const test = dialled === "933" || /^urn:service:test\.sos/i.test(dialled);
    const party = emergency ? "psap" : test ? "test" : "outside";
    const say = emergency ? this.#psap : voice(test ? VOICES["933"] : VOICES.outside);
    void take(call, { sound, party, via: face, say, ring_ms: RING_MS, answered });
  }

  #register(tx: ServerTransaction): void {
    const { request, flow } = tx;
    const { account, clock } = this.#setting;
    if (account === undefined) {
      tx.respond(buildResponse(request, 403));
      return;
    }
    const authorization = parseAuthorization(header(request, "Authorization") ?? "");
    const verdict =
      authorization?.username === account.username
        ? verifyDigest({
            authorization,
            method: "REGISTER",
            realm: CARRIER_DOMAIN,
            nonces: this.#nonces,
            password: account.password,
          })
        : undefined;
    if (verdict?.ok !== true) {
      const stale = verdict?.reason === "stale";
      const value = makeChallenge({ realm: CARRIER_DOMAIN, nonces: this.#nonces, stale });
      tx.respond(buildResponse(request, 401, { headers: [{ name: "WWW-Authenticate", value }] }));
      return;
    }
    const contact = parseNameAddr(headerList(request, "Contact")[0] ?? "");
    const wanted = Number(
      (contact === undefined ? undefined : paramValue(contact.params, "expires")) ??
        header(request, "Expires") ??
        "300",
    );
    const expires_s = Math.min(Number.isFinite(wanted) ? Math.max(0, wanted) : 300, LONGEST_EXPIRES_S);
    this.#registered =
      contact === undefined || expires_s === 0
        ? undefined
        : { contact: contact.uri, flow: this.#flowTo(contact.uri, flow), until_ms: clock.now() + expires_s * 1000 };
    const headers =
      contact === undefined || expires_s === 0
        ? []
        : [{ name: "Contact", value: `<${contact.uri}>;expires=${expires_s}` }];
    tx.respond(buildResponse(request, 200, { headers }));
  }

  /** Calls go back over the connection that registered; a datagram has none, so its contact's address is taken. */
  #flowTo(contact: string, flow: Flow): Flow {
    const uri = parseUri(contact);
    if (flow.reliable || uri === undefined) return flow;
    const { address: local_address } = flow.local;
    return this.#setting.transport.flowTo({
      protocol: "udp",
      address: bareHost(uri.host),
      port: uri.port ?? 5060,
      local_address,
    });
  }
}
