/**
 * RFC 5118 §4: IPv6. Content-Length is that of the bytes: the RFC's own figures for ipv6-in-sdp, mult-ip-in-sdp and
 * ipv4-mapped-ipv6 do not fit the bodies that it prints.
 */
import { type TortureMessage, wire } from "./message.ts";

function register(uri: string): Buffer {
  return wire(`REGISTER ${uri} SIP/2.0
To: sip:user@example.com
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111
Call-ID: SSG9559905523997077@hlau_4100
Max-Forwards: 70
Contact: "Caller" <sip:caller@[2001:db8::1]>
CSeq: 98176 REGISTER
Content-Length: 0

`);
}

function withBody(head: string, body: string): Buffer {
  const content = wire(body);
  return Buffer.concat([wire(`${head}Content-Length: ${content.length}\n\n`), content]);
}

function options(host: string): Buffer {
  return wire(`OPTIONS sip:user@${host} SIP/2.0
To: sip:user@${host}
From: sip:user@example.com;tag=810x2
Via: SIP/2.0/UDP lab1.east.example.com;branch=z9hG4bKas3-111
Call-ID: G9559905523997077@hlau_4100
CSeq: 689 OPTIONS
Max-Forwards: 70
Content-Length: 0

`);
}

export const IPV6: readonly TortureMessage[] = [
  {
    name: "ipv6-good",
    section: "4.1",
    title: "Valid SIP Message with an IPv6 Reference",
    rfc: "well formed: the address stands in brackets",
    ours: "passed on",
    parsed: "accepted",
    box: "forwarded",
    bytes: register("sip:[2001:db8::10]"),
  },
  {
    name: "ipv6-bad",
    section: "4.2",
    title: "Invalid SIP Message with an IPv6 Reference",
    rfc: "400: no brackets",
    ours: "400",
    parsed: "start_line",
    box: 400,
    bytes: register("sip:2001:db8::10"),
  },
  {
    name: "port-ambiguous",
    section: "4.3",
    title: "Port Ambiguous in a SIP URI",
    rfc: "well formed: within the brackets :5070 belongs to the address",
    ours: "passed on; an address without a port",
    parsed: "accepted",
    box: "forwarded",
    bytes: register("sip:[2001:db8::10:5070]"),
  },
  {
    name: "port-unambiguous",
    section: "4.4",
    title: "Port Unambiguous in a SIP URI",
    rfc: "well formed: behind the brackets :5070 is the port",
    ours: "passed on; address and port",
    parsed: "accepted",
    box: "forwarded",
    bytes: register("sip:[2001:db8::10]:5070"),
  },
  {
    name: "via-received-param-with-delim",
    section: "4.5",
    title: "IPv6 Reference Delimiters in Via Header",
    rfc: "received with brackets breaks the grammar and is to be accepted",
    ours: "read; what a client writes there itself does not count. Passed on, as its dialog is not ours",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(`BYE sip:[2001:db8::10] SIP/2.0
To: sip:user@example.com;tag=bd76ya
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3-111
Call-ID: SSG9559905523997077@hlau_4100
Max-Forwards: 70
CSeq: 321 BYE
Content-Length: 0

`),
  },
  {
    name: "via-received-param-no-delim",
    section: "4.5",
    title: "IPv6 Reference Delimiters in Via Header",
    rfc: "received without brackets, as the grammar has it",
    ours: "read; passed on",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(`OPTIONS sip:[2001:db8::10] SIP/2.0
To: sip:user@example.com
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3
Call-ID: SSG95523997077@hlau_4100
Max-Forwards: 70
Contact: "Caller" <sip:caller@[2001:db8::9:1]>
CSeq: 921 OPTIONS
Content-Length: 0

`),
  },
  {
    name: "ipv6-in-sdp",
    section: "4.6",
    title: "SIP Request with IPv6 Addresses in Session Description Protocol (SDP) Body",
    rfc: "well formed: in SDP an address has no brackets",
    ours: "passed on; of the SDP only addresses and ports change",
    parsed: "accepted",
    box: "forwarded",
    bytes: withBody(
      `INVITE sip:user@[2001:db8::10] SIP/2.0
To: sip:user@[2001:db8::10]
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::20];branch=z9hG4bKas3-111
Call-ID: SSG9559905523997077@hlau_4100
Contact: "Caller" <sip:caller@[2001:db8::20]>
CSeq: 8612 INVITE
Max-Forwards: 70
Content-Type: application/sdp
`,
      `v=0
o=assistant 971731711378798081 0 IN IP6 2001:db8::20
s=Live video feed for today's meeting
c=IN IP6 2001:db8::20
t=3338481189 3370017201
m=audio 6000 RTP/AVP 2
a=rtpmap:2 G726-32/8000
m=video 6024 RTP/AVP 107
a=rtpmap:107 H263-1998/90000
`,
    ),
  },
  {
    name: "mult-ip-in-header",
    section: "4.7",
    title: "Multiple IP Addresses in SIP Headers",
    rfc: "well formed: both families in one list of Vias",
    ours: "passed on with every Via in its place",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(`BYE sip:user@host.example.net SIP/2.0
Via: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144
Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200
Call-ID: 997077@lau_4100
Max-Forwards: 70
CSeq: 89187 BYE
To: sip:user@example.net;tag=9817--94
From: sip:user@example.com;tag=81x2
Content-Length: 0

`),
  },
  {
    name: "mult-ip-in-sdp",
    section: "4.8",
    title: "Multiple IP Addresses in SDP",
    rfc: "well formed: a connection of its own, of another family, for each medium",
    ours: "passed on; both connections are read and edited each for itself",
    parsed: "accepted",
    box: "forwarded",
    bytes: withBody(
      `INVITE sip:user@[2001:db8::10] SIP/2.0
To: sip:user@[2001:db8::10]
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111
Call-ID: SSG9559905523997077@hlau_4100
Contact: "Caller" <sip:caller@[2001:db8::9:1]>
Max-Forwards: 70
CSeq: 8912 INVITE
Content-Type: application/sdp
`,
      `v=0
o=bob 280744730 28977631 IN IP4 host.example.com
s=
t=0 0
m=audio 22334 RTP/AVP 0
c=IN IP4 192.0.2.1
m=video 6024 RTP/AVP 107
c=IN IP6 2001:db8::1
a=rtpmap:107 H263-1998/90000
`,
    ),
  },
  {
    name: "ipv4-mapped-ipv6",
    section: "4.9",
    title: "IPv4-Mapped IPv6 Addresses",
    rfc: "to be read in SIP and in SDP",
    ours: "passed on",
    parsed: "accepted",
    box: "forwarded",
    bytes: withBody(
      `INVITE sip:user@example.com SIP/2.0
To: sip:user@example.com
From: sip:user@east.example.com;tag=81x2
Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19
Via: SIP/2.0/UDP [::ffff:192.0.2.2];branch=z9hG4bKas3-111
Call-ID: SSG9559905523997077@hlau_4100
Contact: "T. desk phone" <sip:ted@[::ffff:192.0.2.2]>
CSeq: 612 INVITE
Max-Forwards: 70
Content-Type: application/sdp
`,
      `v=0
o=assistant 971731711378798081 0 IN IP6 ::ffff:192.0.2.2
s=Call me soon, please!
c=IN IP6 ::ffff:192.0.2.2
t=3338481189 3370017201
m=audio 6000 RTP/AVP 2
a=rtpmap:2 G726-32/8000
m=video 6024 RTP/AVP 107
a=rtpmap:107 H263-1998/90000
`,
    ),
  },
  {
    name: "ipv6-bug-abnf-3-colons",
    section: "4.10",
    title: "IPv6 Reference Bug in RFC 3261 ABNF",
    rfc: "three colons before an embedded IPv4 address, which RFC 3261's grammar allows by mistake: to be tolerated",
    ours: "passed on as it came",
    parsed: "accepted",
    box: "forwarded",
    bytes: options("[2001:db8:::192.0.2.1]"),
  },
  {
    name: "ipv6-correct-abnf-2-colons",
    section: "4.10",
    title: "IPv6 Reference Bug in RFC 3261 ABNF",
    rfc: "the right form, with two colons",
    ours: "passed on",
    parsed: "accepted",
    box: "forwarded",
    bytes: options("[2001:db8::192.0.2.1]"),
  },
];
