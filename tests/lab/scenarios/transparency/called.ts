/** SIPp as the one who was called, where it sends requests of its own within the dialog. */
import { noBody, type Step, send } from "../../peers/sipp-scenario.ts";

const kept = (name: string): string =>
  `<ereg regexp=".*" search_in="hdr" header="${name}:" assign_to="invite_${name}"/>`;

/** Actions for the receipt of the first request (with `routes`): who is who, for `backwards`. */
export const keptAddresses: readonly string[] = [kept("From"), kept("To")];

export interface BackwardsOptions {
  readonly headers?: readonly string[];
  /** From Content-Type on. */
  readonly body?: string;
  /** The INVITE's, for an ACK to an error. */
  readonly branch?: string;
}

export function backwards(method: string, cseq: number, options: BackwardsOptions = {}): Step {
  const { headers = [], body = noBody, branch = "[branch]" } = options;
  const text = `${method} [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=${branch}
From: [$invite_To];tag=[pid]-[call_number]
To: [$invite_From]
Call-ID: [call_id]
CSeq: ${cseq} ${method}
Max-Forwards: 70
[routes]
Contact: <sip:sipp@[local_ip]:[local_port]>
${headers.map((line) => `${line}\n`).join("")}${body}`;
  return send(text, method === "ACK" ? {} : { retransmitted_ms: 500 });
}
