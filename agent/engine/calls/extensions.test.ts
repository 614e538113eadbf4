/**
 * What phones and PBXs agree on by extensions passes the box untouched, in both directions: requests and responses of
 * each RFC, outside of a dialog and inside.
 */
import { describe, expect, test } from "vitest";
import { buildResponse } from "../../sip/messages/build.ts";
import { canonicalName } from "../../sip/messages/headers.ts";
import type { Header, SipMessage, SipRequest } from "../../sip/messages/message.ts";
import { sdp } from "../testing/memory-phone.ts";
import { memorySite } from "../testing/memory-site.ts";

type Fields = Readonly<Record<string, string>>;
const list = (fields: Fields): Header[] => Object.entries(fields).map(([name, value]) => ({ name, value }));

interface Exchange {
  readonly what: string;
  readonly method: string;
  readonly fields: Fields;
  readonly body?: string;
  readonly status: number;
  readonly answer: Fields;
}

const OUTSIDE: readonly Exchange[] = [
  {
    what: "RFC 3325 and 3323: asserted and preferred identities, and the wish for privacy",
    method: "INVITE",
    fields: {
      "P-Preferred-Identity": '"Front desk" <sip:101@pbx.example>',
      "P-Asserted-Identity": "<tel:+13035550101>",
      Privacy: "id;critical",
      "Proxy-Require": "privacy",
    },
    status: 486,
    answer: { "P-Asserted-Identity": "<tel:+13035550102>" },
  },
  {
    what: "RFC 3428: MESSAGE",
    method: "MESSAGE",
    fields: { "Content-Type": "text/plain;charset=utf-8", Expires: "300", Date: "Sat, 21 Nov 2026 04:00:00 GMT" },
    body: "Grüße, 電話",
    status: 202,
    answer: { Date: "Sat, 21 Nov 2026 04:00:01 GMT" },
  },
  {
    what: "RFC 3891: Replaces, and the call that it does not find",
    method: "INVITE",
    fields: { Require: "replaces", Replaces: "98732@x;from-tag=r33th4x0r;to-tag=ff87ff;early-only" },
    status: 481,
    answer: {},
  },
  {
    what: "RFC 3903: PUBLISH and its entity tag",
    method: "PUBLISH",
    fields: { Event: "presence", "SIP-If-Match": "dx200xyz", Expires: "1800", "Content-Type": "application/pidf+xml" },
    body: "<presence/>",
    status: 412,
    answer: { "SIP-ETag": "kwj449x", Expires: "1800" },
  },
  {
    what: "RFC 4028: a session interval that is too small",
    method: "INVITE",
    fields: { Supported: "timer, 100rel", "Session-Expires": "60;refresher=uac", "Min-SE": "60" },
    status: 422,
    answer: { "Min-SE": "1800" },
  },
  {
    what: "RFC 6665: SUBSCRIBE, and what is granted",
    method: "SUBSCRIBE",
    fields: { Event: "dialog;id=7;sla", Accept: "application/dialog-info+xml", Expires: "3600", o2: "x" },
    status: 200,
    answer: { Expires: "600", "Allow-Events": "dialog, message-summary", Contact: "<sip:102@10.20.0.102:5060>" },
  },
  {
    what: "RFC 6665: an event package that nobody knows",
    method: "SUBSCRIBE",
    fields: { o: "unheard-of", Expires: "0" },
    status: 489,
    answer: { u: "dialog" },
  },
];

const INSIDE: readonly Exchange[] = [
  {
    what: "RFC 3262: PRACK",
    method: "PRACK",
    fields: { RAck: "1 2 INVITE" },
    status: 200,
    answer: {},
  },
  {
    what: "RFC 3311 and 4028: UPDATE refreshes the session",
    method: "UPDATE",
    fields: { Supported: "timer", "Session-Expires": "1800;refresher=uac" },
    status: 200,
    answer: { Require: "timer", "Session-Expires": "1800;refresher=uac" },
  },
  {
    what: "RFC 3326: the reason of a BYE",
    method: "BYE",
    fields: { Reason: 'Q.850;cause=16;text="Terminated, \\"normally\\"", SIP;cause=600' },
    status: 200,
    answer: {},
  },
  {
    what: "RFC 3515, 3892 and 4488: REFER without a subscription, to a call that is to be replaced",
    method: "REFER",
    fields: {
      "Refer-To": "<sip:103@pbx.example?Replaces=a%40b%3Bto-tag%3Dc%3Bfrom-tag%3Dd>",
      "Referred-By": "<sip:101@pbx.example>",
      "Refer-Sub": "false",
      Supported: "norefersub",
    },
    status: 202,
    answer: { "Refer-Sub": "false" },
  },
  {
    what: "RFC 3515 and 6665: NOTIFY of a transfer",
    method: "NOTIFY",
    fields: {
      Event: "refer;id=93809824",
      "Subscription-State": "terminated;reason=noresource",
      "Content-Type": "message/sipfrag;version=2.0",
    },
    body: "SIP/2.0 200 OK\r\n",
    status: 200,
    answer: {},
  },
  {
    what: "RFC 6086: INFO with a package",
    method: "INFO",
    fields: { "Info-Package": "dtmf", "Content-Type": "application/dtmf-relay", "Content-Disposition": "Info-Package" },
    body: "Signal=5\r\nDuration=160\r\n",
    status: 469,
    answer: { "Recv-Info": "nil" },
  },
];

/** What hops change by right. */
const HOP = new Set(["Via", "Max-Forwards", "Record-Route", "Route", "Content-Length"]);

function plain({ headers, body }: SipMessage): unknown {
  return { headers: headers.filter(({ name }) => !HOP.has(canonicalName(name))), body: Buffer.from(body).toString() };
}

async function scene() {
  const site = await memorySite();
  const alice = await site.phone("101", "10.20.0.101");
  const bob = await site.phone("102", "10.20.0.102");
  void alice.register();
  void bob.register();
  await site.pass(20);
  return { site, alice, bob };
}

function request(base: SipRequest, { method, fields, body }: Exchange): SipRequest {
  const headers = base.headers
    .filter(({ name }) => !["Content-Type", "Content-Length"].includes(name))
    .map(({ name, value }) => ({ name, value: name === "CSeq" ? value.replace(/[A-Z]+$/, method) : value }));
  return { ...base, method, headers: [...headers, ...list(fields)], body: Buffer.from(body ?? "") };
}

async function exchange(made: Awaited<ReturnType<typeof scene>>, sent: SipRequest, { status, answer }: Exchange) {
  const { site, alice, bob } = made;
  let given: SipMessage | undefined;
  let arrived: SipRequest | undefined;
  bob.onRequest = (tx) => {
    arrived = tx.request;
    const response = buildResponse(tx.request, status, { toTag: "tb", headers: list(answer) });
    given = response;
    tx.respond(response);
  };
  const back = alice.send(sent);
  await site.pass(50);
  if (arrived === undefined || given === undefined) throw new Error("it has not arrived");
  expect(arrived.method).toBe(sent.method);
  expect(plain(arrived)).toEqual(plain(sent));
  const got = await back;
  expect(got.status).toBe(status);
  expect(plain(got)).toEqual(plain(given));
}

describe("outside of a dialog", () => {
  test.each(OUTSIDE)("$what", async (each) => {
    const made = await scene();
    await exchange(made, request(made.alice.inviteRequest("102", ""), each), each);
  });
});

describe("inside a call", () => {
  test.each(INSIDE)("$what", async (each) => {
    const made = await scene();
    const { site, alice, bob } = made;
    const invite = alice.inviteRequest("102");
    const answered = alice.send(invite);
    await site.pass(20);
    const [tx] = bob.pending;
    if (tx === undefined) throw new Error("bob does not ring");
    bob.respond(tx, 200, sdp(bob.address, 40_000));
    await site.pass(20);
    const ok = await answered;
    alice.ack(invite, ok);
    await site.pass(20);
    await exchange(made, request(alice.inDialog(alice.dialogOf(invite, ok), each.method), each), each);
  });
});
