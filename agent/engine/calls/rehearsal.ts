import type { CarrierProfile, SiteConfig } from "../../base/config/schema.ts";
import { token } from "../../base/ids.ts";
import { fromUac, fromUas, newAck } from "../../sip/dialogs/dialog.ts";
import { buildRequest, buildResponse } from "../../sip/messages/build.ts";
import { header } from "../../sip/messages/headers.ts";
import { parseMessage } from "../../sip/messages/parse.ts";
import { printMessage } from "../../sip/messages/print.ts";
import { editSdp, readSdp, sdpOf } from "../../sip/messages/sdp.ts";
import type { RouteFacts } from "../emergency/attempt-timing.ts";
import { attempts } from "../emergency/attempts.ts";
import { attemptsOf } from "../emergency/attempts-state.ts";
import { classify } from "../emergency/classify.ts";
import { convey } from "../emergency/conveyance.ts";
import { locate } from "../emergency/location.ts";
import { planEmergency } from "../routing/plan.ts";
import { CallMedia, type CallMediaContext, mediaSide } from "./call-media.ts";
import { identify } from "./trunk-invite.ts";

/** The first run of code in a Node process takes ten times as long as later ones; after these it does not. */
const RUNS = 20;

const SDP = [
  "v=0",
  "o=- 1 1 IN IP4 192.0.2.1",
  "s=-",
  "c=IN IP4 192.0.2.1",
  "t=0 0",
  "m=audio 4000 RTP/AVP 0 8 101",
  "a=rtpmap:0 PCMU/8000",
  "a=rtpmap:101 telephone-event/8000",
  "a=sendrecv",
  "",
].join("\r\n");

const PROFILE: CarrierProfile = {
  id: "rehearsal",
  request_uri: "sip:{number}@{host}",
  caller_identity: "from_and_pai",
  location: "value",
  geolocation_routing: true,
  ring_deadline_ms: 10_000,
};

const ROUTE: RouteFacts = {
  trunk: "rehearsal",
  path: "rehearsal",
  scarce: false,
  path_state: "up",
  trunk_state: "up",
  reachable: true,
  reliable: false,
  rtt_ms: 10,
  first_response_p99_ms: undefined,
  ring_deadline_ms: 10_000,
};

/**
 * Walks the pure part of an emergency call on made-up messages, so that the first real call after a start does not wait
 * for code that is read and compiled on first use. Nothing is sent, opened or recorded.
 */
export function rehearse(config: SiteConfig): void {
  for (let run = 0; run < RUNS; run++) walk(config, config.emergency.numbers[0]?.digits ?? "0");
}

/** Has the relay open two ports and close them again. */
export async function rehearseMedia(context: CallMediaContext, local_address: string): Promise<void> {
  const media = new CallMedia(context, token(12), false);
  const [caller, callee] = ["caller", "callee"].map((name) => mediaSide(name, local_address, local_address));
  if (caller !== undefined && callee !== undefined) await media.offer(caller, callee, SDP);
  media.close();
}

function walk(config: SiteConfig, digits: string): void {
  const dialled = buildRequest({
    method: "INVITE",
    uri: `sip:${digits}@192.0.2.5`,
    via: "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKrehearsal;rport",
    from: '"Rehearsal" <sip:0@192.0.2.5>;tag=a',
    to: `<sip:${digits}@192.0.2.5>`,
    callId: "rehearsal",
    cseq: 1,
    contact: "<sip:0@192.0.2.1:5060>",
    body: SDP,
    contentType: "application/sdp",
  });
  const parsed = parseMessage(printMessage(dialled));
  if (!parsed.ok || parsed.message.kind !== "request") return;
  const request = parsed.message;
  classify(request, config);
  const identity = identify(request, header(request, "From"), undefined, config);
  const caller = { extension: config.extensions[0]?.id, registered: true, instance: identity.instance };
  const location = locate({ ...caller, source_address: "192.0.2.1" }, config);
  planEmergency(digits, config, { mode: "normal", trunks: [] });
  let state = attemptsOf([ROUTE]);
  state = attempts(state, { type: "start" }).state;
  state = attempts(state, { type: "provisional", attempt: 1, status: 180, early_media: false }).state;
  attempts(state, { type: "answer", attempt: 1, fork: "b" });

  const offer = sdpOf(request) ?? "";
  const media = readSdp(offer).media;
  const sdp = editSdp(
    offer,
    media.map(() => ({ address: "192.0.2.6", port: 20_000 })),
  );
  const conveyed = convey({
    profile: PROFILE,
    sdp,
    location,
    entity: "sip:0@192.0.2.5",
    instance: undefined,
    host: "192.0.2.6",
    wall_ms: 0,
  });
  const invite = buildRequest({
    method: "INVITE",
    uri: request.uri,
    from: "<sip:0@192.0.2.6>;tag=c",
    to: `<${request.uri}>`,
    callId: "rehearsal-2",
    cseq: 1,
    contact: "<sip:t@192.0.2.6>",
    headers: conveyed.headers,
    body: conveyed.body,
    ...(conveyed.contentType === undefined ? {} : { contentType: conveyed.contentType }),
  });
  const answer = buildResponse(invite, 200, {
    toTag: "b",
    headers: [{ name: "Contact", value: "<sip:p@192.0.2.7>" }],
    body: SDP,
    contentType: "application/sdp",
  });
  const dialog = fromUac(invite, answer);
  if (dialog !== undefined) printMessage(newAck(dialog, 1));
  fromUas(request, buildResponse(request, 200, { toTag: "d" }));
}
