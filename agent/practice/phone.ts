import { type Clock, every, type Timer } from "../base/clock.ts";
import { token } from "../base/ids.ts";
import { openMediaSocket } from "../media/datagram.ts";
import type { Destination } from "../sip/transport/flow.ts";
import { networkTransport } from "../sip/transport/network-transport.ts";
import { AudioPort } from "./audio-port.ts";
import { freePort } from "./free-ports.ts";
import { type AnsweredCalls, take, voice } from "./party.ts";
import { type Answer, PartyCall } from "./party-call.ts";
import { PBX_DOMAIN, type PhoneNumber, VOICES } from "./places.ts";
import { UserAgent } from "./user-agent.ts";

export interface PhoneSetting {
  readonly clock: Clock;
  readonly number: PhoneNumber;
  readonly address: string;
  readonly password: string;
  /** The box on its LAN: outbound proxy for everything. */
  readonly box: { readonly address: string; readonly port: number };
  readonly answered: AnsweredCalls;
  /** How long it rings, ms. */
  readonly ring_ms: number;
}

const EXPIRES_S = 120;
/** As a telephone does: again before it lapses, and soon after a failure. */
const REFRESH_MS = 45_000;
const RETRY_MS = 500;

/** A desk phone: registered through the box, answers what rings, dials when told to. */
export class PracticePhone {
  readonly number: PhoneNumber;
  readonly #setting: PhoneSetting;
  readonly #agent: UserAgent;
  readonly #destination: Destination;
  readonly #callId = token(12);
  #cseq = 0;
  #registering = false;
  #registered_ms = Number.NEGATIVE_INFINITY;
  #ticks: Timer | undefined;

  private constructor(setting: PhoneSetting, agent: UserAgent, destination: Destination) {
    this.#setting = setting;
    this.number = setting.number;
    this.#agent = agent;
    this.#destination = destination;
    agent.onCall((call) => {
      const { clock, number, address, answered, ring_ms } = setting;
      const sound = { clock, address, open: openMediaSocket };
      void take(call, { sound, party: number, via: "phone", say: voice(VOICES[number]), ring_ms, answered });
    });
  }

  static async start(setting: PhoneSetting): Promise<PracticePhone> {
    const { clock, address, number, box } = setting;
    const port = await freePort(address, 5060);
    const transport = networkTransport({ clock });
    await transport.listen({ protocol: "udp", address, port });
    const agent = new UserAgent(clock, transport, `sip:${number}@${address}:${port}`);
    const destination = { protocol: "udp", ...box, local_address: address, local_port: port } as const;
    const phone = new PracticePhone(setting, agent, destination);
    void phone.#register();
    phone.#ticks = every(clock, RETRY_MS, () => void phone.#register());
    return phone;
  }

  get registered(): boolean {
    return this.#setting.clock.now() - this.#registered_ms < EXPIRES_S * 1000;
  }

  async dial(to: string): Promise<{ readonly call: PartyCall; readonly answer: Promise<Answer> }> {
    const { clock, address, number } = this.#setting;
    const audio = await AudioPort.open(clock, address, openMediaSocket);
    const uri = `sip:${to.replaceAll("#", "%23")}@${PBX_DOMAIN}`;
    const from = `"PRACTICE ${number}" <sip:${number}@${PBX_DOMAIN}>`;
    const dialling = { uri, from, destination: this.#destination, credentials: this.#credentials };
    return PartyCall.dial(this.#agent, dialling, audio, voice(VOICES[number]));
  }

  async close(): Promise<void> {
    this.#ticks?.cancel();
    await this.#agent.close();
  }

  get #credentials() {
    return { username: this.number, password: this.#setting.password };
  }

  async #register(): Promise<void> {
    const { clock } = this.#setting;
    if (this.#registering || clock.now() - this.#registered_ms < REFRESH_MS) return;
    this.#registering = true;
    // Two numbers each: the second is for the answer to a challenge.
    this.#cseq += 2;
    const { status } = await this.#agent.register({
      aor: `sip:${this.number}@${PBX_DOMAIN}`,
      registrar: `sip:${PBX_DOMAIN}`,
      destination: this.#destination,
      credentials: this.#credentials,
      expires_s: EXPIRES_S,
      cseq: this.#cseq,
      callId: this.#callId,
    });
    this.#registering = false;
    if (status === 200) this.#registered_ms = clock.now();
  }
}
