/** RFC 4475 §3.2 to §3.4: well-formed messages that the layers above the parser have to judge. */
import { session, type TortureMessage, wire } from "./message.ts";

export const SEMANTICS: readonly TortureMessage[] = [
  {
    name: "badbranch",
    section: "3.2.1",
    title: "Missing Transaction Identifier",
    rfc: "the branch is the magic cookie and nothing else: it must not be used to match transactions",
    ours: "passed on; matched by the rules for clients of RFC 2543",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(`OPTIONS sip:user@example.com SIP/2.0
To: sip:user@example.com
From: sip:caller@example.org;tag=33242
Max-Forwards: 3
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK
Accept: application/sdp
Call-ID: badbranch.sadonfo23i420jv0as0derf3j3n
CSeq: 8 OPTIONS
l: 0

`),
  },
  {
    name: "insuf",
    section: "3.3.1",
    title: "Missing Required Header Fields",
    rfc: "no Call-ID, From or To: at best 400",
    ours: "400 with what there is",
    parsed: "missing_header",
    box: 400,
    bytes: wire(`INVITE sip:user@example.com SIP/2.0
CSeq: 193942 INVITE
Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf
Content-Type: application/sdp
l: 152

${session("192.0.2.95")}`),
  },
  {
    name: "unkscm",
    section: "3.3.2",
    title: "Request-URI with Unknown Scheme",
    rfc: "416",
    ours: "416",
    parsed: "accepted",
    box: 416,
    bytes: wire(`OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0
To: sip:user@example.com
From: sip:caller@example.net;tag=384
Max-Forwards: 3
Call-ID: unkscm.nasdfasser0q239nwsdfasdkl34
CSeq: 3923423 OPTIONS
Via: SIP/2.0/TCP host9.example.com;branch=z9hG4bKkdjuw39234
Content-Length: 0

`),
  },
  {
    name: "novelsc",
    section: "3.3.3",
    title: "Request-URI with Known but Atypical Scheme",
    rfc: "416, unless the element knows what to do with the scheme",
    ours: "416",
    parsed: "accepted",
    box: 416,
    bytes: wire(`OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0
To: sip:user@example.com
From: sip:caller@example.net;tag=384
Max-Forwards: 3
Call-ID: novelsc.asdfasser0q239nwsdfasdkl34
CSeq: 3923423 OPTIONS
Via: SIP/2.0/TCP host9.example.com;branch=z9hG4bKkdjuw39234
Content-Length: 0

`),
  },
  {
    name: "unksm2",
    section: "3.3.4",
    title: "Unknown URI Schemes in Header Fields",
    rfc: "a proxy passes it on; a registrar answers 400, as To has to be a SIP or SIPS URI",
    ours: "passed on to the cloud's registrar; our own answers 400",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(`REGISTER sip:example.com SIP/2.0
To: isbn:2983792873
From: <http://www.example.com>;tag=3234233
Call-ID: unksm2.daksdj@hyphenated-host.example.com
CSeq: 234902 REGISTER
Max-Forwards: 70
Via: SIP/2.0/UDP 192.0.2.21:5060;branch=z9hG4bKkdjuw
Contact: <name:John_Smith>
l: 0

`),
  },
  {
    name: "bext01",
    section: "3.3.5",
    title: "Proxy-Require and Require",
    rfc: "420 with Unsupported: by a proxy for Proxy-Require, by an endpoint for Require",
    ours: "420 naming the Proxy-Require tags; at the box itself the Require tags",
    parsed: "accepted",
    box: 420,
    bytes: wire(`OPTIONS sip:user@example.com SIP/2.0
To: sip:j_user@example.com
From: sip:caller@example.net;tag=242etr
Max-Forwards: 6
Call-ID: bext01.0ha0isndaksdj
Require: nothingSupportsThis, nothingSupportsThisEither
Proxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis
CSeq: 8 OPTIONS
Via: SIP/2.0/TLS fold-and-staple.example.com;branch=z9hG4bKkdjuw
Content-Length: 0

`),
  },
  {
    name: "invut",
    section: "3.3.6",
    title: "Unknown Content-Type",
    rfc: "a proxy passes it on; an endpoint answers 415 with Accept",
    ours: "passed on; where the box takes the call, 415 with Accept",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(`INVITE sip:user@example.com SIP/2.0
Contact: <sip:caller@host5.example.net>
To: sip:j.user@example.com
From: sip:caller@example.net;tag=8392034
Max-Forwards: 70
Call-ID: invut.0ha0isndaksdjadsfij34n23d
CSeq: 235448 INVITE
Via: SIP/2.0/UDP somehost.example.com;branch=z9hG4bKkdjuw
Content-Type: application/unknownformat
Content-Length: 40

<audio>
 <pcmu port="443"/>
</audio>
`),
  },
  {
    name: "regaut01",
    section: "3.3.7",
    title: "Unknown Authorization Scheme",
    rfc: "as if there were no credentials",
    ours: "passed on to the cloud's registrar; our own challenges with Digest",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(`REGISTER sip:example.com SIP/2.0
To: sip:j.user@example.com
From: sip:j.user@example.com;tag=87321hj23128
Max-Forwards: 8
Call-ID: regaut01.0ha0isndaksdj
CSeq: 9338 REGISTER
Via: SIP/2.0/TCP 192.0.2.253;branch=z9hG4bKkdjuw
Authorization: NoOneKnowsThisScheme opaque-data=here
Content-Length:0

`),
  },
  {
    name: "multi01",
    section: "3.3.8",
    title: "Multiple Values in Single Value Required Fields",
    rfc: "400",
    ours: "400",
    parsed: "repeated_header",
    box: 400,
    bytes: wire(`INVITE sip:user@company.com SIP/2.0
Contact: <sip:caller@host25.example.net>
Via: SIP/2.0/UDP 192.0.2.25;branch=z9hG4bKkdjuw
Max-Forwards: 70
CSeq: 5 INVITE
Call-ID: multi01.98asdh@192.0.2.1
CSeq: 59 INVITE
Call-ID: multi01.98asdh@192.0.2.2
From: sip:caller@example.com;tag=3413415
To: sip:user@example.com
To: sip:other@example.net
From: sip:caller@example.net;tag=2923420123
Content-Type: application/sdp
l: 154
Contact: <sip:caller@host36.example.net>
Max-Forwards: 5

${session("192.0.2.25")}`),
  },
  {
    name: "mcl01",
    section: "3.3.9",
    title: "Multiple Content-Length Values",
    rfc: "400 over UDP; over a stream the connection has to be closed as well",
    ours: "400; over TCP 400 and the connection is closed",
    parsed: "repeated_header",
    box: 400,
    bytes: wire(`OPTIONS sip:user@example.com SIP/2.0
Via: SIP/2.0/UDP host5.example.net;branch=z9hG4bK293423
To: sip:user@example.com
From: sip:other@example.net;tag=3923942
Call-ID: mcl01.fhn2323orihawfdoa3o4r52o3irsdf
CSeq: 15932 OPTIONS
Content-Length: 13
Max-Forwards: 60
Content-Length: 5
Content-Type: text/plain

There's no way to know how many octets are supposed to be here.
`),
  },
  {
    name: "bcast",
    section: "3.3.10",
    title: "200 OK Response with Broadcast Via Header Field Value",
    rfc: "dropped: passed on it would be broadcast",
    ours: "dropped: it answers no request of ours; nothing is sent",
    parsed: "accepted",
    box: "dropped",
    bytes: wire(`SIP/2.0 200 OK
Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923
Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23
Call-ID: bcast.0384840201234ksdfak3j2erwedfsASdf
CSeq: 35 INVITE
From: sip:user@example.com;tag=11141343
To: sip:user@example.edu;tag=2229
Content-Length: 154
Content-Type: application/sdp
Contact: <sip:user@host28.example.com>

${session("192.0.2.198")}`),
  },
  {
    name: "zeromf",
    section: "3.3.11",
    title: "Max-Forwards of Zero",
    rfc: "a proxy answers 483; an endpoint works on it as usual",
    ours: "483; for the box itself 200",
    parsed: "accepted",
    box: 483,
    bytes: wire(`OPTIONS sip:user@example.com SIP/2.0
To: sip:user@example.com
From: sip:caller@example.net;tag=3ghsd41
Call-ID: zeromf.jfasdlfnm2o2l43r5u0asdfas
CSeq: 39234321 OPTIONS
Via: SIP/2.0/UDP host1.example.com;branch=z9hG4bKkdjuw2349i
Max-Forwards: 0
Content-Length: 0

`),
  },
  {
    name: "cparam01",
    section: "3.3.12",
    title: "REGISTER with a Contact Header Parameter",
    rfc: "the parameter is the Contact's, not the URI's",
    ours: "passed on; our registrar keeps it beside the URI and gives it back there",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(`REGISTER sip:example.com SIP/2.0
Via: SIP/2.0/UDP saturn.example.com:5060;branch=z9hG4bKkdjuw
Max-Forwards: 70
From: sip:watson@example.com;tag=DkfVgjkrtMwaerKKpe
To: sip:watson@example.com
Call-ID: cparam01.70710@saturn.example.com
CSeq: 2 REGISTER
Contact: sip:+19725552222@gw1.example.net;unknownparam
l: 0

`),
  },
  {
    name: "cparam02",
    section: "3.3.13",
    title: "REGISTER with a url-parameter",
    rfc: "the parameter is the URI's",
    ours: "passed on; our registrar keeps it within the URI",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(`REGISTER sip:example.com SIP/2.0
Via: SIP/2.0/UDP saturn.example.com:5060;branch=z9hG4bKkdjuw
Max-Forwards: 70
From: sip:watson@example.com;tag=838293
To: sip:watson@example.com
Call-ID: cparam02.70710@saturn.example.com
CSeq: 3 REGISTER
Contact: <sip:+19725552222@gw1.example.net;unknownparam>
l: 0

`),
  },
  {
    name: "regescrt",
    section: "3.3.14",
    title: "REGISTER with a URL Escaped Header",
    rfc: "accepted; the URI with its header is what is bound",
    ours: "passed on; our registrar binds the URI whole, and a request to it leaves without the header in its Request-URI",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(`REGISTER sip:example.com SIP/2.0
To: sip:user@example.com
From: sip:user@example.com;tag=8
Max-Forwards: 70
Call-ID: regescrt.k345asrl3fdbv@192.0.2.1
CSeq: 14398234 REGISTER
Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw
M: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>
L:0

`),
  },
  {
    name: "sdp01",
    section: "3.3.15",
    title: "Unacceptable Accept Offering",
    rfc: "a proxy passes it on; an endpoint that cannot answer in that type says 406",
    ours: "passed on; where the box takes the call, 406",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(`INVITE sip:user@example.com SIP/2.0
To: sip:j_user@example.com
Contact: <sip:caller@host15.example.net>
From: sip:caller@example.net;tag=234
Max-Forwards: 5
Call-ID: sdp01.ndaksdj9342dasdd
Accept: text/nobodyKnowsThis
CSeq: 8 INVITE
Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw
Content-Length: 150
Content-Type: application/sdp

${session("192.0.2.5")}`),
  },
  {
    name: "inv2543",
    section: "3.4.1",
    title: "INVITE with RFC 2543 Syntax",
    rfc: "accepted: no branch, no From tag, no Max-Forwards, no Content-Length",
    ours: "passed on with a Max-Forwards; its transaction is known by RFC 2543's rules",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(`INVITE sip:UserB@example.com SIP/2.0
Via: SIP/2.0/UDP iftgw.example.com
From: <sip:+13035551111@ift.client.example.net;user=phone>
Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>
To: sip:+16505552222@ss1.example.net;user=phone
Call-ID: inv2543.1717@ift.client.example.com
CSeq: 56 INVITE
Content-Type: application/sdp

v=0
o=mhandley 29739 7272939 IN IP4 192.0.2.5
s=-
c=IN IP4 192.0.2.5
t=0 0
m=audio 49217 RTP/AVP 0
`),
  },
];
