/** RFC 4475 §3.1.1: valid messages. */
import { session, type TortureMessage, wire } from "./message.ts";

const repeat = (text: string, times: number) => text.repeat(times);

/** The PKCS #7 object of mpart01's second part. */
const SIGNATURE = Buffer.from(
  `3082015206092A864886F70D010702A08201433082013F0201013109300706052B0E03021A300B06092A864886F70D01070131820120308201
   1C020101307C3070310B3009060355040613025553311330110603550408130A43616C69666F726E69613111300F0603550407130853616E20
   4A6F7365310E300C060355040A1305736970697431293027060355040B13205369706974205465737420436572746966696361746520417574
   686F7269747902080195007102330113300706052B0E03021A300D06092A864886F70D01010105000481808EF466F948F0522DD2E5978E9D95
   AAE9F2FE15A06659716292E8DA2AA8D8350A68CEFFAE3CBD2BFF1675DDD5648E593DD64728F26220F7E941749E330D9A15EDABDB93D10C4210
   2E7B7289D29CC0C9AE2EFBC7C0CFF9172F3B027E4FC027E1546DE4B6AA3ABB3E66CCCB5DD6C64B8383149CB8E6FF182D944FE57B65BC99D005`.replace(
    /\s/g,
    "",
  ),
  "hex",
);

function multipart(): Buffer {
  const body = Buffer.concat([
    wire(`--7a9cbec02ceef655
Content-Type: text/plain
Content-Transfer-Encoding: binary

Hello
--7a9cbec02ceef655
Content-Type: application/octet-stream
Content-Transfer-Encoding: binary

`),
    SIGNATURE,
    wire("\n--7a9cbec02ceef655--\n"),
  ]);
  const head = wire(`MESSAGE sip:kumiko@example.org SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-d87543-4dade06d0bdb11ee-1--d87543-;rport
Max-Forwards: 70
Route: <sip:127.0.0.1:5080>
Identity: r5mwreLuyDRYBi/0TiPwEsY3rEVsk/G2WxhgTV1PF7hHuLIK0YWVKZhKv9Mj8UeXqkMVbnVq37CD+813gvYjcBUaZngQmXc9WNZSDNGCzA+fWl9MEUHWIZo1CeJebdY/XlgKeTa0Olvq0rt70Q5jiSfbqMJmQFteeivUhkMWYUA=
Contact: <sip:fluffy@127.0.0.1:5070>
To: <sip:kumiko@example.org>
From: <sip:fluffy@example.com>;tag=2fb0dcc9
Call-ID: 3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..
CSeq: 1 MESSAGE
Content-Transfer-Encoding: binary
Content-Type: multipart/mixed;boundary=7a9cbec02ceef655
Date: Sat, 15 Oct 2005 04:44:56 GMT
User-Agent: SIPimp.org/0.2.5 (curses)
Content-Length: ${body.length}

`);
  return Buffer.concat([head, body]);
}

const long = repeat("long", 20);

/** 34 Via lines, the name written in every way that it can be. */
const LONG_VIAS = [
  ..."Via|v|V|Via|ViA|VIa|VIA|via|viA|vIa|vIA|V | v| V |v |Via |Via  "
    .split("|")
    .map((name) => name.replace(/^ (.)/, "$1  ")),
  ...Array.from({ length: 16 }, () => "Via"),
].map((name, i) => `${name}: SIP/2.0/TCP sip${33 - i}.example.com`);

export const VALID: readonly TortureMessage[] = [
  {
    name: "wsinv",
    section: "3.1.1.1",
    title: "A Short Tortuous INVITE",
    rfc: "well formed: folds, blanks, escapes, compact names, leading zeros, an unknown header whose value fits no grammar",
    ours: "passed on; every value as it came, folds as one blank",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(String.raw`INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0
TO :
 sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n
from   : "J Rosenberg \\\""       <sip:jdrosen@example.com>
  ;
  tag = 98asjd8
MaX-fOrWaRdS: 0068
Call-ID: wsinv.ndaksdj@192.0.2.1
Content-Length   : 150
cseq: 0009
  INVITE
Via  : SIP  /   2.0
 /UDP
    192.0.2.2;branch=390skdjuw
s :
NewFangledHeader:   newfangled value
 continued newfangled value
UnknownHeaderWithUnusualValue: ;;,,;;,;
Content-Type: application/sdp
Route:
 <sip:services.example.com;lr;unknownwith=value;unknown-no-value>
v:  SIP  / 2.0  / TCP     spindle.example.com   ;
  branch  =   z9hG4bK9ikj8  ,
 SIP  /    2.0   / UDP  192.168.255.111   ; branch=
 z9hG4bK30239
m:"Quoted string \"\"" <sip:jdrosen@example.com> ; newparam =
      newvalue ;
  secondparam ; q = 0.33

${session("192.0.2.3", "192.0.2.4")}`),
  },
  {
    name: "intmeth",
    section: "3.1.1.2",
    title: "Wide Range of Valid Characters",
    rfc: "well formed; a proxy passes it on, an endpoint answers 501 with Allow",
    ours: "passed on; at the box itself 501 with Allow",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(
      [
        "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0",
        "Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~",
        `To: "BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f" <sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>`,
        "From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"работающий\";tag=_token~1'+`*%!-.",
        "Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{",
        "CSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~",
        "Max-Forwards: 255",
        "extensionHeader-!.%*+_`'~:\uFEFF大停電",
        "Content-Length: 0",
        "",
        "",
      ].join("\n"),
    ),
  },
  {
    name: "esc01",
    section: "3.1.1.3",
    title: "Valid Use of the % Escaping Mechanism",
    rfc: "well formed; escapes count where the grammar has them, once and not again",
    ours: "passed on with every escape as it stands",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(`INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0
To: sip:%75se%72@example.com
From: <sip:I%20have%20spaces@example.net>;tag=938
Max-Forwards: 87
i: esc01.239409asdfakjkn23onasd0-3234
CSeq: 234234 INVITE
Via: SIP/2.0/UDP host5.example.net;branch=z9hG4bKkdjuw
C: application/sdp
Contact:
  <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>
Content-Length: 150

${session("192.0.2.1")}`),
  },
  {
    name: "escnull",
    section: "3.1.1.4",
    title: "Escaped Nulls in URIs",
    rfc: "well formed: an escaped NUL does not end a user name; two contacts are registered",
    ours: "passed on with both contacts; in survivable mode both are bound",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(`REGISTER sip:example.com SIP/2.0
To: sip:null-%00-null@example.com
From: sip:null-%00-null@example.com;tag=839923423
Max-Forwards: 70
Call-ID: escnull.39203ndfvkjdasfkq3w4otrq0adsfdfnavd
CSeq: 14398234 REGISTER
Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw
Contact: <sip:%00@host5.example.com>
Contact: <sip:%00%00@host5.example.com>
L:0

`),
  },
  {
    name: "esc02",
    section: "3.1.1.5",
    title: "Use of % When It Is Not an Escape",
    rfc: "well formed: the method is not REGISTER, the names are not %ZE, there are two contacts; an endpoint answers 501",
    ours: "passed on as an unknown method; at the box itself 501 with Allow",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(`RE%47IST%45R sip:registrar.example.com SIP/2.0
To: "%Z%45" <sip:resource@example.com>
From: "%Z%45" <sip:resource@example.com>;tag=f232jadfj23
Call-ID: esc02.asdfnqwo34rq23i34jrjasdcnl23nrlknsdf
Via: SIP/2.0/TCP host.example.com;branch=z9hG4bK209%fzsnel234
CSeq: 29344 RE%47IST%45R
Max-Forwards: 70
Contact: <sip:alias1@host1.example.com>
C%6Fntact: <sip:alias2@host2.example.com>
Contact: <sip:alias3@host3.example.com>
l: 0

`),
  },
  {
    name: "lwsdisp",
    section: "3.1.1.6",
    title: "Message with No LWS between Display Name and <",
    rfc: "a fault of the grammar; to be accepted",
    ours: "passed on",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(`OPTIONS sip:user@example.com SIP/2.0
To: sip:user@example.com
From: caller<sip:caller@example.com>;tag=323
Max-Forwards: 70
Call-ID: lwsdisp.1234abcd@funky.example.com
CSeq: 60 OPTIONS
Via: SIP/2.0/UDP funky.example.com;branch=z9hG4bKkdjuw
l: 0

`),
  },
  {
    name: "longreq",
    section: "3.1.1.7",
    title: "Long Values in Header Fields",
    rfc: "well formed; long names and values and many of them",
    ours: "passed on whole, 34 Vias included",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(`INVITE sip:user@example.com SIP/2.0
To: "I have a user name of ${repeat("extreme", 10)} proportion"<sip:user@example.com:6000;unknownparam1=very${repeat("long", 20)}value;longparam${repeat("name", 25)}=shortvalue;very${repeat("long", 25)}ParameterNameWithNoValue>
F: sip:${repeat("amazinglylongcallername", 5)}@example.net;tag=12${repeat("982", 50)}424;unknownheaderparam${repeat("name", 20)}=unknowheaderparam${repeat("value", 15)};unknownValueless${repeat("paramname", 10)}
Call-ID: longreq.one${repeat("really", 20)}longcallid
CSeq: 3882340 INVITE
Unknown-${repeat("Long", 20)}-Name: unknown-${long}-value; unknown-${long}-parameter-name = unknown-${long}-parameter-value
${LONG_VIAS.join("\n")}
Via: SIP/2.0/TCP host.example.com;received=192.0.2.5;branch=very${repeat("long", 50)}branchvalue
Max-Forwards: 70
Contact: <sip:${repeat("amazinglylongcallername", 5)}@host5.example.net>
Content-Type: application/sdp
l: 150

${session("192.0.2.1")}`),
  },
  {
    name: "dblreq",
    section: "3.1.1.8",
    title: "Extra Trailing Octets in a UDP Datagram",
    rfc: "a REGISTER; what follows it in the datagram, an INVITE, is ignored",
    ours: "the REGISTER is passed on; the rest is ignored",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(`REGISTER sip:example.com SIP/2.0
To: sip:j.user@example.com
From: sip:j.user@example.com;tag=43251j3j324
Max-Forwards: 8
I: dblreq.0ha0isndaksdj99sdfafnl3lk233412
Contact: sip:j.user@host.example.com
CSeq: 8 REGISTER
Via: SIP/2.0/UDP 192.0.2.125;branch=z9hG4bKkdjuw23492
Content-Length: 0


INVITE sip:joe@example.com SIP/2.0
t: sip:joe@example.com
From: sip:caller@example.net;tag=141334
Max-Forwards: 8
Call-ID: dblreq.0ha0isnda977644900765@192.0.2.15
CSeq: 8 INVITE
Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw380234
Content-Type: application/sdp
Content-Length: 150

v=0
o=mhandley 29739 7272939 IN IP4 192.0.2.15
s=-
c=IN IP4 192.0.2.15
t=0 0
m=audio 49217 RTP/AVP 0 12
m =video 3227 RTP/AVP 31
a=rtpmap:31 LPC
`),
  },
  {
    name: "semiuri",
    section: "3.1.1.9",
    title: "Semicolon-Separated Parameters in URI User Part",
    rfc: "well formed; the semicolon and what follows it belong to the user part",
    ours: "passed on with the Request-URI untouched",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(`OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0
To: sip:j_user@example.com
From: sip:caller@example.org;tag=33242
Max-Forwards: 3
Call-ID: semiuri.0ha0isndaksdj
CSeq: 8 OPTIONS
Accept: application/sdp, application/pkcs7-mime,
        multipart/mixed, multipart/signed,
        message/sip, message/sipfrag
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkdjuw
l: 0

`),
  },
  {
    name: "transports",
    section: "3.1.1.10",
    title: "Varied and Unknown Transport Types",
    rfc: "well formed; Vias name transports that the receiver may not know",
    ours: "passed on; the response comes back through the same Vias",
    parsed: "accepted",
    box: "forwarded",
    bytes: wire(`OPTIONS sip:user@example.com SIP/2.0
To: sip:user@example.com
From: <sip:caller@example.com>;tag=323
Max-Forwards: 70
Call-ID:  transports.kijh4akdnaqjkwendsasfdj
Accept: application/sdp
CSeq: 60 OPTIONS
Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw
Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf
Via: SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj
Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en
Via: SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee
l: 0

`),
  },
  {
    name: "mpart01",
    section: "3.1.1.11",
    title: "Multipart MIME Message",
    rfc: "well formed; a binary part that holds NULs and line breaks",
    ours: "passed on, the body byte for byte; both parts can be read",
    parsed: "accepted",
    box: "forwarded",
    bytes: multipart(),
  },
  {
    name: "unreason",
    section: "3.1.1.12",
    title: "Unusual Reason Phrase",
    rfc: "well formed; the reason phrase is UTF-8 with reserved characters",
    ours: "accepted; the phrase goes through as it is. Here it answers no request of ours and is ignored",
    parsed: "accepted",
    box: "dropped",
    bytes: wire(`SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять - простое
Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923
Call-ID: unreason.1234ksdfak3j2erwedfsASdf
CSeq: 35 INVITE
From: sip:user@example.com;tag=11141343
To: sip:user@example.edu;tag=2229
Content-Length: 154
Content-Type: application/sdp
Contact: <sip:user@host198.example.com>

${session("192.0.2.198")}`),
  },
  {
    name: "noreason",
    section: "3.1.1.13",
    title: "Empty Reason Phrase",
    rfc: "well formed; the reason phrase is empty, the blank before it is there",
    ours: "accepted, and printed with the blank. Here it answers no request of ours and is ignored",
    parsed: "accepted",
    box: "dropped",
    bytes: wire(`SIP/2.0 100${" "}
Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe
Call-ID: noreason.asndj203insdf99223ndf
CSeq: 35 INVITE
From: <sip:user@example.com>;tag=39ansfi3
To: <sip:user@example.edu>;tag=902jndnke3
Content-Length: 0
Contact: <sip:user@host105.example.com>

`),
  },
];
