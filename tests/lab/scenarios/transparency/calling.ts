/** SIPp as somebody beyond the PBX who calls a telephone of the site and plays a tone that no telephone here sends. */
import { join } from "node:path";
import { domains, hosts, remotePhones } from "../../addresses.ts";
import { writeMulawTone } from "../../audio.ts";
import type { Lab } from "../../lab.ts";
import { beyondPbx } from "../../peers/pbx-features.ts";
import { Sipp } from "../../peers/sipp.ts";
import { play, receiveResponse, request, type Step, scenario, sdp } from "../../peers/sipp-scenario.ts";

/** Its tone. */
export const caller_hz = remotePhones.psapWan.tone_hz;

const MEDIA_PORT = 5400;
const from = `sip:sipp@${domains.pbx}`;
const CONTACT = "Contact: <sip:sipp@[local_ip]:[local_port]>";

export interface InsideOptions {
  readonly headers?: readonly string[];
  readonly body?: string;
}

/** The steps of one caller, whose CSeq rises by itself. */
export class Calling {
  readonly #to: string;
  #cseq = 1;

  constructor(user: string) {
    this.#to = `sip:${user}@${domains.pbx}`;
  }

  /** A request within the call. */
  inside(method: string, options: InsideOptions = {}): Step {
    const headers = ["[routes]", CONTACT, ...(options.headers ?? [])];
    return request(method, "[next_url]", {
      ...{ from, to: this.#to, to_tag: true, cseq: ++this.#cseq, retransmitted_ms: 500, headers },
      ...(options.body === undefined ? {} : { body: options.body }),
    });
  }

  ack(): Step {
    const headers = ["[routes]"];
    return request("ACK", "[next_url]", { from, to: this.#to, to_tag: true, cseq: this.#cseq, headers });
  }

  /** An offer within the call, with its answer and ACK; `host`: where the sound is to go to. */
  offers(host = "[media_ip]", headers: readonly string[] = []): readonly Step[] {
    const body = sdp(host, "[rtpstream_audio_port]", `1 ${this.#cseq + 1}`);
    return [
      this.inside("INVITE", { headers, body }),
      receiveResponse(100, { optional: true }),
      receiveResponse(200),
      this.ack(),
    ];
  }

  hangsUp(): readonly Step[] {
    return [this.inside("BYE"), receiveResponse(200)];
  }

  /** Calls, plays its tone once it is answered, and does `then`. */
  async start(
    lab: Lab,
    name: string,
    headers: readonly string[],
    then: (self: this) => readonly Step[],
  ): Promise<Sipp> {
    const tone = join(lab.runDirectory, "beyond-the-pbx.ulaw");
    await writeMulawTone(tone, caller_hz, 20);
    const steps = [
      request("INVITE", this.#to, {
        ...{ from, to: this.#to, cseq: 1, retransmitted_ms: 500, headers: [CONTACT, ...headers] },
        body: sdp("[media_ip]", "[rtpstream_audio_port]"),
      }),
      receiveResponse(100, { optional: true }),
      receiveResponse(180, { optional: true }),
      receiveResponse(200, { routes: true }),
      this.ack(),
      play(tone),
      ...then(this),
    ];
    return Sipp.start(lab, {
      ...{ ...beyondPbx, name, media_port: MEDIA_PORT },
      ...{ calls: { address: hosts.pbx }, scenario: scenario(name, steps) },
    });
  }
}
