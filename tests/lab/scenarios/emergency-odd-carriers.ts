/** 911 and carriers whose SIP is odd: what the RFCs allow and few send, and what they forbid and some send all the same. */
import {
  answerInvite,
  pause,
  receiveRequest,
  receiveResponse,
  reply,
  requestBack,
  type Step,
  saysNothing,
  sdp,
  takeInvite,
} from "../peers/sipp-scenario.ts";
import type { Scenario } from "../scenario.ts";
import { answered, endedByBye, refuses, ringing, takes, trying } from "../weather/carrier.ts";
import { weather } from "../weather/stage.ts";
import { byCarrier, byLte, challenge, playWeather, type Weather } from "./emergency-weather.ts";

const OK: Step = reply("200 OK", { tag: false, contact: false });
const TALK_MS = 250;

const odd: readonly Weather[] = [
  {
    name: "911-ack-lost",
    summary: "the carrier never gets the ACK and repeats its 200: each gets an ACK, and nothing else happens",
    carrier: [
      answerInvite("200 OK", { body: sdp() }),
      receiveRequest("ACK"),
      // The ACK comes again after each of these, which SIPp counts as one.
      pause(TALK_MS),
      answerInvite("200 OK", { body: sdp() }),
      pause(TALK_MS),
      answerInvite("200 OK", { body: sdp() }),
      ...endedByBye(),
    ],
    expected: byCarrier(),
  },
  {
    name: "911-reliable-183",
    summary:
      "a 183 that wants PRACK, whose PRACK is answered only when it has come twice, and a 200 that describes nothing any more",
    carrier: [
      answerInvite("183 Session Progress", { headers: ["Require: 100rel", "RSeq: 7"], body: sdp() }),
      receiveRequest("PRACK"),
      // It comes again meanwhile, which SIPp counts as one.
      saysNothing(700),
      OK,
      pause(200),
      answerInvite("200 OK", { retransmitted_ms: 500 }),
      receiveRequest("ACK"),
      ...endedByBye(),
    ],
    expected: byCarrier("carrier trying 183"),
  },
  {
    name: "911-early-update",
    summary: "the carrier sends UPDATE while it rings, without and with an offer: 200 and 491, and it rings on",
    carrier: [
      trying,
      ringing,
      requestBack("UPDATE", 1, { retransmitted_ms: 500 }),
      receiveResponse(200),
      requestBack("UPDATE", 2, { retransmitted_ms: 500, body: sdp() }),
      receiveResponse(491),
      ...takes,
    ],
    expected: byCarrier("carrier ringing 180"),
  },
  {
    name: "911-mute-answer",
    summary: "the carrier's 200 describes nothing: ACK and BYE at once, and LTE",
    carrier: [ringing, answerInvite("200 OK", { retransmitted_ms: 500 }), receiveRequest("ACK"), ...endedByBye()],
    expected: byLte(["carrier ringing 180", "carrier refused 200"]),
  },
  {
    name: "911-reinvite-at-once",
    summary: "the carrier sends re-INVITE as soon as it has the ACK: the telephone answers it, and they talk on",
    carrier: [
      answered(),
      receiveRequest("ACK"),
      requestBack("INVITE", 1, { retransmitted_ms: 500, body: sdp("[media_ip]", "[media_port]", "1 2") }),
      receiveResponse(100, { optional: true }),
      receiveResponse(200),
      requestBack("ACK", 1),
      ...endedByBye(),
    ],
    expected: byCarrier(),
  },
  {
    name: "911-stale-nonce",
    summary: "the carrier's nonce expires between two INVITEs: proved once more with the new one",
    carrier: [
      ...refuses("401 Unauthorized", [challenge("WWW-Authenticate")]),
      takeInvite(),
      ...refuses("401 Unauthorized", [`${challenge("WWW-Authenticate")}, stale=true`]),
      takeInvite(),
      ...takes,
    ],
    expected: byCarrier("carrier refused 401", "carrier refused 401"),
  },
  {
    name: "911-redirected",
    summary: "the carrier says 302: LTE at once, and nobody is called whom it names",
    carrier: refuses("302 Moved Temporarily", ["Contact: <sip:911@198.51.100.9>"]),
    expected: byLte(["carrier refused 302"]),
  },
];

export const emergencyOddCarriers: readonly Scenario[] = odd.map((one) => ({
  name: one.name,
  summary: `911: ${one.summary}`,
  short: true,
  stage: weather,
  run: (lab) => playWeather(lab, one),
}));
