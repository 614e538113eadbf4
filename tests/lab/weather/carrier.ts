/** The 911 carrier over the WAN, played by SIPp: what it does with an INVITE is the weather. */
import { hosts, ports } from "../addresses.ts";
import { header, type SeenMessage } from "../capture/sip.ts";
import type { Lab } from "../lab.ts";
import { Sipp } from "../peers/sipp.ts";
import {
  answerInvite,
  goTo,
  label,
  noBody,
  receiveRequest,
  reply,
  type Step,
  scenario,
  sdp,
  send,
  takeInvite,
} from "../peers/sipp-scenario.ts";
import { runIn } from "../processes.ts";

/** `[media_port]` of the carrier; what comes there goes back. */
const MEDIA_PORT = 30_000;
const RETRANSMITTED_MS = 500;

/** Every call of the carrier: `steps` after the INVITE. It is asked for its health and registered with in between. */
export const carrier = (name: string, steps: readonly Step[]): string =>
  scenario(name, [
    receiveRequest("OPTIONS", { optional: true, next: "asked" }),
    receiveRequest("REGISTER", { optional: true, next: "registered" }),
    takeInvite(),
    ...steps,
    goTo("end"),
    label("asked"),
    reply("200 OK", { next: "end" }),
    label("registered"),
    send(
      `SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:];tag=[pid]-[call_number]
[last_Call-ID:]
[last_CSeq:]
[last_Contact:]
Expires: 3600
${noBody}`,
    ),
    label("end"),
  ]);

export const trying = answerInvite("100 Trying", { tag: false, contact: false });
export const ringing = answerInvite("180 Ringing");
export const refuses = (status: string, headers: readonly string[] = []): Step[] => [
  answerInvite(status, { retransmitted_ms: RETRANSMITTED_MS, contact: false, headers }),
  receiveRequest("ACK"),
];
export const answered = (tag?: string): Step =>
  answerInvite("200 OK", { retransmitted_ms: RETRANSMITTED_MS, body: sdp(), ...(tag === undefined ? {} : { tag }) });
/** It takes the call, and the other side ends it. */
export const takes: readonly Step[] = [answered(), receiveRequest("ACK"), ...endedByBye()];

export function endedByBye(): Step[] {
  return [receiveRequest("BYE"), reply("200 OK", { tag: false, contact: false })];
}

/** Rings on until the box takes the call elsewhere. */
export function cancelled(): Step[] {
  return [receiveRequest("CANCEL"), reply("200 OK", { contact: false }), ...refuses("487 Request Terminated")];
}

/** Goes on when {@link tell} says so, and not by the clock. */
export const isTold = receiveRequest("MESSAGE");

/** Lets the carrier go on in the call of this INVITE: a request of the lab's own, to which nobody needs an answer. */
export async function tell(invite: SeenMessage): Promise<void> {
  const lines = [
    `MESSAGE sip:${hosts.carrier} SIP/2.0`,
    `Via: SIP/2.0/UDP ${hosts.carrier}:9;branch=z9hG4bK-lab`,
    "From: <sip:lab@lab.example>;tag=lab",
    `To: <sip:${hosts.carrier}>`,
    `Call-ID: ${header(invite, "call-id")}`,
    "CSeq: 1 MESSAGE",
    "Content-Length: 0",
  ];
  const text = lines.map((line) => `${line}\\r\\n`).join("");
  await runIn("wan", ["bash", "-c", `printf '${text}\\r\\n' | cat > /dev/udp/${hosts.carrier}/${ports.sip}`]);
}

export interface CarrierOptions {
  readonly transport?: "udp" | "tcp";
  /** False: it sends back nothing of what it hears. */
  readonly echoes?: boolean;
}

/** Takes the carrier's address: the box may call from now on. */
export async function startCarrier(
  lab: Lab,
  name: string,
  steps: readonly Step[],
  { transport = "udp", echoes = true }: CarrierOptions = {},
): Promise<Sipp> {
  const at = { namespace: "wan", address: hosts.carrier, transport } as const;
  // It lives on when a connection is reset, and its calls with it.
  const more = transport === "tcp" ? ["-max_reconnect", "100", "-reconnect_close", "false"] : [];
  return Sipp.start(lab, { name, ...at, scenario: carrier(name, steps), echoes, media_port: MEDIA_PORT, more });
}
