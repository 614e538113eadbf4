import type { Clock, Timer } from "../../base/clock.ts";
import { Runner } from "../../base/fsm.ts";
import { token } from "../../base/ids.ts";
import { answerChallenge, chooseChallenge } from "../../sip/auth/digest.ts";
import { buildRequest } from "../../sip/messages/build.ts";
import { header, headerList, headerValues } from "../../sip/messages/headers.ts";
import type { Header, SipResponse } from "../../sip/messages/message.ts";
import { parseNameAddr } from "../../sip/messages/name-addr.ts";
import { paramValue } from "../../sip/messages/params.ts";
import { parseUri, sameUri } from "../../sip/messages/uri.ts";
import { topVia } from "../../sip/messages/via.ts";
import type { ClientTransaction } from "../../sip/transactions/client-transaction.ts";
import type { TransactionLayer } from "../../sip/transactions/layer.ts";
import type { Endpoint, Flow, TransportError } from "../../sip/transport/flow.ts";
import { canonicalAddress } from "../../sip/transport/ip-address.ts";
import {
  initialRegistration,
  isRegistered,
  type Registration,
  type RegistrationEffect,
  type RegistrationInput,
  registrationMachine,
} from "./registration.ts";

export interface RegistrationPorts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly transactions: TransactionLayer;
  readonly account: {
    readonly aor: string;
    readonly username: string;
    readonly password: string;
    readonly expires_s: number;
  };
  /** The box as a UA (RFC 5626 §4.1): a URN that is the same after every restart. */
  readonly instance: string;
  flow(): Flow | undefined;
  /** Without a user agent's own parameters: as a registrar has to see it. */
  contact(user: string): string;
  /** Where the registrar saw the request come from (RFC 3581). */
  mapped(endpoint: Endpoint): void;
  /** The registrar expects keep-alives at least so often (RFC 5626 §4.4). */
  flowTimer(seconds: number): void;
  answered(status: number, sent_ms: number): void;
  silent(sent_ms: number): void;
  unsendable(error: TransportError): void;
  changed(): void;
}

/** No answer so long: told as silence; and given up. */
const SILENCE_MS = 1_500;
const GIVE_UP_MS = 10_000;
const RETRANSMIT_MS = [200, 500, 1_000] as const;

/** Keeps one address of record registered over whatever flow the trunk has. */
export class RegistrationClient {
  readonly #ports: RegistrationPorts;
  readonly #runner: Runner<Registration, RegistrationInput, RegistrationEffect>;
  readonly #callId = token();
  readonly #tag = token(5);
  readonly #user: string;
  #cseq = 0;
  /** The contact that the registrar has. */
  #bound: string | undefined;
  #outbound = false;
  /** The first hop has said that it cannot do outbound (439). */
  #withoutOutbound = false;
  #challenge: { readonly response: SipResponse; uses: number } | undefined;
  #transaction: ClientTransaction | undefined;
  #waits: readonly Timer[] = [];
  #due: Timer | undefined;
  #detail = "";
  #wasRegistered = false;
  #wasRefused = false;
  #lapse: Timer | undefined;

  constructor(ports: RegistrationPorts) {
    this.#ports = ports;
    const aor = parseUri(ports.account.aor);
    this.#user = (aor !== undefined && "user" in aor ? aor.user : undefined) ?? ports.account.username;
    this.#runner = new Runner(
      registrationMachine(ports.random),
      initialRegistration(ports.account.expires_s),
      (effect) => this.#perform(effect),
    );
  }

  get registered(): boolean {
    return isRegistered(this.#runner.state, this.#ports.clock.now());
  }

  /** The registrar and all before it do outbound: requests come back over this very flow (RFC 5626 §4.2.1). */
  get outbound(): boolean {
    return this.#outbound && this.registered;
  }

  /** It has failed, was not refused, and is to be tried again later. */
  get waiting(): boolean {
    return this.#runner.state.phase === "waiting" && !this.refused;
  }

  get refused(): boolean {
    return this.#runner.state.refused;
  }

  /** The registrar's last words. */
  get detail(): string {
    return this.#detail;
  }

  start(): void {
    this.#feed({ kind: "start" });
  }

  /** The registrar sees us elsewhere than what is registered says. */
  moved(): void {
    this.#feed({ kind: "moved" });
    this.#report();
  }

  /** A registration belongs to the flow it went over. */
  flowLost(): void {
    this.#abandon();
    this.#feed({ kind: "stop" });
    this.#report();
  }

  stop(): void {
    this.#abandon();
    this.#lapse?.cancel();
    this.#feed({ kind: "stop" });
  }

  #perform(effect: RegistrationEffect): void {
    const { clock } = this.#ports;
    switch (effect.do) {
      case "register":
        this.#register(effect.expires_s, effect.with_answer);
        return;
      case "due_at":
        this.#due?.cancel();
        this.#due = clock.after(Math.max(0, effect.at_ms - clock.now()), () => this.#feed({ kind: "due" }));
        return;
      case "cancel_due":
        this.#due?.cancel();
    }
  }

  #register(expires_s: number, withAnswer: boolean): void {
    const { clock, transactions, account } = this.#ports;
    this.#abandon();
    const flow = this.#ports.flow();
    if (flow === undefined) {
      this.#feed({ kind: "failed" });
      return;
    }
    const uri = registrarUri(account.aor);
    const contact = this.#ports.contact(this.#user);
    const authorization = withAnswer || this.#challenge !== undefined ? this.#authorization(uri) : [];
    const request = buildRequest({
      method: "REGISTER",
      uri,
      from: `<${account.aor}>;tag=${this.#tag}`,
      to: `<${account.aor}>`,
      callId: this.#callId,
      cseq: ++this.#cseq,
      contact: this.#contacts(contact, expires_s),
      headers: [
        ...authorization,
        { name: "Supported", value: this.#withoutOutbound ? "path" : "path, outbound" },
        { name: "Expires", value: String(expires_s) },
      ],
    });
    const sent_ms = clock.now();
    this.#transaction = transactions.request(
      request,
      flow,
      {
        onFinal: (response) => {
          this.#abandon();
          this.#ports.answered(response.status, sent_ms);
          this.#final(response, contact, expires_s);
        },
        onTimeout: () => this.#gaveUp(),
        onTransportError: (error) => {
          this.#ports.unsendable(error);
          this.#gaveUp();
        },
      },
      { retransmit_at_ms: RETRANSMIT_MS },
    );
    this.#waits = [
      clock.after(SILENCE_MS, () => this.#ports.silent(sent_ms)),
      clock.after(GIVE_UP_MS, () => this.#gaveUp()),
    ];
  }

  /** The own contact, and off with the one that a NAT has taken from us: the port may be somebody else's by now. */
  #contacts(contact: string, expires_s: number): string {
    const regId = this.#withoutOutbound ? "" : ";reg-id=1";
    const own = `<${contact}>;expires=${expires_s};+sip.instance="<${this.#ports.instance}>"${regId}`;
    return this.#bound === undefined || this.#bound === contact ? own : `${own}, <${this.#bound}>;expires=0`;
  }

  #gaveUp(): void {
    this.#abandon();
    this.#feed({ kind: "failed" });
    this.#report();
  }

  #abandon(): void {
    for (const timer of this.#waits) timer.cancel();
    this.#waits = [];
    this.#transaction?.abandon();
    this.#transaction = undefined;
  }

  #final(response: SipResponse, contact: string, asked_s: number): void {
    this.#detail = `${response.status} ${response.reason}`.slice(0, 120);
    if (response.status === 401 || response.status === 407) {
      const challenge = chooseChallenge(challengesOf(response));
      this.#challenge = challenge === undefined ? undefined : { response, uses: 0 };
      this.#feed({ kind: "challenged", stale: challenge?.stale ?? false, answerable: challenge !== undefined });
    } else if (response.status >= 200 && response.status < 300) {
      this.#bound = contact;
      this.#outbound = headerList(response, "Require").some((tag) => tag.toLowerCase() === "outbound");
      const flowTimer_s = seconds(header(response, "Flow-Timer"));
      this.#feed({ kind: "accepted", expires_s: this.#granted(response, contact, asked_s) });
      if (flowTimer_s !== undefined && flowTimer_s > 0) this.#ports.flowTimer(flowTimer_s);
    } else if (response.status === 439 && !this.#withoutOutbound) {
      this.#withoutOutbound = true;
      this.#feed({ kind: "without_outbound" });
    } else if (response.status === 423) {
      this.#feed({ kind: "too_brief", min_expires_s: seconds(header(response, "Min-Expires")) ?? 0 });
    } else {
      this.#feed({
        kind: "rejected",
        status: response.status,
        retry_after_s: seconds(header(response, "Retry-After")),
      });
    }
    this.#report();
    const mapped = mappedIn(response);
    if (mapped !== undefined) this.#ports.mapped(mapped);
  }

  /** Our own contact's expiry in the 200, else Expires, else what was asked (RFC 3261 §10.2.4). */
  #granted(response: SipResponse, own: string, asked_s: number): number {
    for (const value of headerList(response, "Contact")) {
      const contact = parseNameAddr(value);
      if (contact === undefined || !sameUri(contact.uri, own)) continue;
      const expires = seconds(paramValue(contact.params, "expires"));
      if (expires !== undefined) return expires;
    }
    return seconds(header(response, "Expires")) ?? asked_s;
  }

  #authorization(uri: string): Header[] {
    if (this.#challenge === undefined) return [];
    const { response } = this.#challenge;
    const challenge = chooseChallenge(challengesOf(response));
    if (challenge === undefined) return [];
    this.#challenge.uses++;
    const { username, password } = this.#ports.account;
    const answer = answerChallenge({
      challenge,
      method: "REGISTER",
      uri,
      username,
      password,
      nc: this.#challenge.uses,
      cnonce: token(),
    });
    if (!answer.ok) return [];
    return [{ name: response.status === 407 ? "Proxy-Authorization" : "Authorization", value: answer.value }];
  }

  #report(): void {
    this.#lapse?.cancel();
    const { valid_until_ms } = this.#runner.state;
    const now = this.#ports.clock.now();
    // A registration that nobody renews must stop being shown as one.
    if (valid_until_ms !== undefined && valid_until_ms > now) {
      this.#lapse = this.#ports.clock.after(valid_until_ms - now, () => this.#report());
    }
    const { registered, refused } = this;
    if (registered === this.#wasRegistered && refused === this.#wasRefused) return;
    this.#wasRegistered = registered;
    this.#wasRefused = refused;
    this.#ports.changed();
  }

  #feed(input: Unstamped<RegistrationInput>): void {
    this.#runner.feed({ ...input, at_ms: this.#ports.clock.now() });
  }
}

/** What the Via of ours says where the request came from (RFC 3261 §18.2.1, RFC 3581 §4). */
function mappedIn(response: SipResponse): Endpoint | undefined {
  const via = topVia(response);
  const port = Number(paramValue(via?.params ?? [], "rport"));
  const address = canonicalAddress(paramValue(via?.params ?? [], "received") ?? via?.host ?? "");
  return address === undefined || !Number.isInteger(port) || port <= 0 || port > 65_535 ? undefined : { address, port };
}

type Unstamped<T> = T extends RegistrationInput ? Omit<T, "at_ms"> : never;

function challengesOf(response: SipResponse): string[] {
  return headerValues(response, response.status === 407 ? "Proxy-Authenticate" : "WWW-Authenticate");
}

/** The registrar is the AOR's domain (RFC 3261 §10.2): the address of record without its user part. */
function registrarUri(aor: string): string {
  const at = aor.lastIndexOf("@");
  const scheme = aor.startsWith("sips:") ? "sips:" : "sip:";
  return at < 0 ? aor : `${scheme}${aor.slice(at + 1)}`;
}

function seconds(text: string | undefined): number | undefined {
  const match = text === undefined ? null : /^\s*(\d{1,9})/.exec(text);
  return match === null ? undefined : Number(match[1]);
}
