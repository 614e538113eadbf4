/** Kamailio 5.6 configurations: the cloud PBX, the carrier's trunk on LTE, and a direct 911 trunk on the internet. */
import {
  carrierNat,
  cellular,
  domains,
  extensions,
  hosts,
  numbers,
  ports,
  remotePhones,
  six,
  trunkAccount,
} from "../addresses.ts";
import { beyondPbx, featureHelpers, featureRoutes, presence } from "./pbx-features.ts";

interface Common {
  readonly address: string;
  readonly domain: string;
  readonly control: string;
  /** It answers STUN, and takes the sound of whoever is behind the carrier's NAT for being there. */
  readonly beyond_nat?: boolean;
  /** File of its `tls` module; left out: no TLS. */
  readonly tls?: string | undefined;
}

const modules = [
  "jsonrpcs",
  "kex",
  "corex",
  "tm",
  "tmx",
  "sl",
  "rr",
  "pv",
  "maxfwd",
  "usrloc",
  "registrar",
  "textops",
  "siputils",
  "sanity",
  "auth",
  "ctl",
  "cfg_rpc",
  "xlog",
];

const preamble = ({ address, domain, control, tls, beyond_nat }: Common): string => `#!KAMAILIO
debug=2
log_stderror=yes
children=2
tcp_children=2
socket_workers=2
auto_aliases=no
${tls === undefined ? "" : `enable_tls=yes\nlisten=tls:${address}:${ports.sips}`}
listen=udp:${address}:${ports.sip}
listen=tcp:${address}:${ports.sip}
alias="${address}"
alias="${domain}"
tcp_connection_lifetime=3605
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/:/usr/lib/aarch64-linux-gnu/kamailio/modules/"
${[...(tls === undefined ? [] : ["tls"]), ...modules, ...(beyond_nat ? ["stun", "nathelper"] : [])].map((name) => `loadmodule "${name}.so"`).join("\n")}
${tls === undefined ? "" : `modparam("tls", "config", "${tls}")`}
modparam("ctl", "binrpc", "unix:${control}")
modparam("jsonrpcs", "transport", 0)
modparam("usrloc", "db_mode", 0)
modparam("registrar", "use_path", 1)
modparam("registrar", "path_mode", 1)
modparam("registrar", "path_use_received", 1)
modparam("registrar", "max_expires", 3600)
modparam("registrar", "received_avp", "$avp(received)")
modparam("auth", "nonce_expire", 300)
modparam("tm", "fr_timer", 5000)
modparam("tm", "fr_inv_timer", 120000)
`;

/** `inside`: what is done first with a request inside of a dialog. */
const guards = (inside = ""): string => `  if (!sanity_check("1511", "7")) { exit; }
  if (!mf_process_maxfwd_header("70")) { sl_send_reply("483", "Too Many Hops"); exit; }
  force_rport();
  if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
  if (has_totag()) {
    if (loose_route()) {
${inside}
      # A NOTIFY that comes before the answer to its SUBSCRIBE establishes the dialog (RFC 6665 4.3).
      if (is_method("NOTIFY")) { record_route(); }
      # A GRUU of ours as the target is looked up; a contact address is not.
      if (uri == myself && $(ru{uri.param,gr}) != $null) { lookup("location"); }
      t_relay();
      exit;
    }
    if (is_method("ACK")) { if (t_check_trans()) { t_relay(); } exit; }
    sl_send_reply("404", "Not here");
    exit;
  }
  t_check_trans();
  # Telephones that can only ask somebody ask for "ping".
  if (is_method("OPTIONS") && uri == myself && ($rU == $null || $rU == "ping")) { sl_send_reply("200", "OK"); exit; }
`;

/**
 * What the emergency service sees of the call: the location part of the body ends at the trunk, as at a real provider,
 * and the PSAP's telephone gets the session description alone.
 */
const toPsap = (psap: string): string => `route[TO_PSAP] {
  record_route();
  if (has_body("multipart/mixed")) {
    if (filter_body("application/sdp")) {
      remove_hf("Content-Type");
      append_hf("Content-Type: application/sdp\\r\\n");
    }
  }
  $ru = "sip:${remotePhones.psapWan.user}@${psap}:${ports.sip}";
  t_relay();
  exit;
}
`;

const isEmergency = `$rU == "${numbers.emergency}" || $rU == "+${numbers.emergency}" || $ru =~ "^urn:service:sos"`;
const isMain = `$rU =~ "^\\+?${numbers.main.slice(1)}$"`;

/** Each request is asked anew: an answer to an earlier challenge (its nonce count is beyond 1) does not do. */
const challengedInside = `      if ($sel(cfg_get.refuse.elsewhere) == 1 && $si == "${cellular.box}" && is_method("INVITE")) {
        sl_send_reply("403", "Not where the call was set up");
        exit;
      }
      if ($sel(cfg_get.challenge.inside) == 1 && $si != "${beyondPbx.address}" && is_method("INVITE|UPDATE|BYE|REFER")) {
        t_newtran();
        # 17: with qop, and stale=true; else a telephone takes its password for wrong.
        if (!($hdr(Proxy-Authorization) =~ "nc=.?00000001")) { proxy_challenge("${domains.pbx}", "17"); exit; }
        route(PASSWORD);
      }`;

/**
 * Registrar with Path, digest per user (MD5), main-number group, 911 to the PSAP (challenged when `challenge.emergency` is
 * 1), subscriptions and publications to a server beyond the PBX, the rest to the outside telephone.
 */
export function cloudPbx(control: string, address: string = hosts.pbx): string {
  const users = Object.values(extensions);
  const group = users.slice(0, 3);
  const groupBranches = group.slice(1).map((phone) => `    append_branch("sip:${phone.user}@${domains.pbx}");`);
  return `${preamble({ address, domain: domains.pbx, control })}
challenge.emergency = 0 desc "1: 911 is asked for a password like any other call"
challenge.inside = 0 desc "1: inside of a dialog too, and the digest-uri must be the Request-URI (RFC 7616 3.4.6)"
refuse.elsewhere = 0 desc "1: a re-INVITE from the site's cellular address is refused"
presence.server = 0 desc "1: somebody answers subscriptions and publications beyond the PBX"

request_route {
${guards(challengedInside)}
  if (is_method("REGISTER")) { route(REGISTRAR); }
  if (!is_method("INVITE|MESSAGE|SUBSCRIBE|PUBLISH|OPTIONS")) { sl_send_reply("405", "Method Not Allowed"); exit; }
  if (is_method("SUBSCRIBE|PUBLISH") && $sel(cfg_get.presence.server) == 0) { sl_send_reply("489", "Bad Event"); exit; }
  if (${isEmergency}) {
    if ($sel(cfg_get.challenge.emergency) == 1) { route(PASSWORD); }
    route(TO_PSAP);
  }
  if ($si != "${hosts.outside}" && $si != "${hosts.lteTrunk}" && $si != "${beyondPbx.address}") {
    route(PASSWORD);
  }
  if (is_method("INVITE|SUBSCRIBE")) { record_route(); }
  if (is_method("SUBSCRIBE|PUBLISH")) { route(PRESENCE); }
${featureRoutes()}
  if (${isMain}) {
    $ru = "sip:${group[0]?.user}@${domains.pbx}";
${groupBranches.join("\n")}
    if (!lookup_branches("location")) { sl_send_reply("480", "Nobody registered"); exit; }
    t_relay();
    exit;
  }
  if ($rU =~ "^\\+?[0-9]{10,15}$") {
    $ru = "sip:" + $rU + "@${hosts.outside}:${ports.sip}";
    t_relay();
    exit;
  }
  if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
  t_relay();
}

# Users: each by its own password; an unknown one is asked like a known one.
route[PASSWORD] {
  if (!($au =~ "^(${users.map((phone) => phone.user).join("|")})$")
      || !pv_proxy_authenticate("${domains.pbx}", "pw-$au", "0")) {
    proxy_challenge("${domains.pbx}", "1");
    exit;
  }
  if ($sel(cfg_get.challenge.inside) == 1 && $adu != $ru) {
    sl_send_reply("400", "The digest-uri is not the Request-URI");
    exit;
  }
  consume_credentials();
}

route[PRESENCE] {
  ${presence}
}

route[REGISTRAR] {
  if (!($au =~ "^(${users.map((phone) => phone.user).join("|")})$") || $au != $tU
      || !pv_www_authenticate("${domains.pbx}", "pw-$au", "0")) {
    www_challenge("${domains.pbx}", "1");
    exit;
  }
  consume_credentials();
  if (!save("location")) { sl_reply_error(); }
  exit;
}

${toPsap(hosts.psapWan)}
${featureHelpers}`;
}

/**
 * The carrier's trunk: the site registers with digest and gets its main number's calls there; calls from the site are
 * challenged (911 is not); other numbers ring the outside telephone.
 */
export function lteTrunk(control: string, address: string = hosts.lteTrunk): string {
  return trunk({ address, domain: domains.lteTrunk, control });
}

/** The same trunk, with a NAT between it and the site: it knows neither outbound nor any help for signalling. */
export function lteTrunkBeyondNat(control: string): string {
  return trunk({ address: hosts.lteTrunk, domain: domains.lteTrunk, control, beyond_nat: true });
}

/** The same trunk over TLS: both sides show a certificate of the authority that `tls` names. */
export function secureTrunk(control: string, tls: string): string {
  return trunk({ address: hosts.secureTrunk, domain: domains.secureTrunk, control, tls });
}

/** The same trunk on a network of IPv6 alone, and its PSAP with it. */
export function trunkOfSix(control: string): string {
  return trunk({ address: `[${six.trunk}]`, domain: domains.sixTrunk, control }, `[${six.psap}]`);
}

/** Settings of Kamailio's `tls` module: whoever connects, or is connected to, must present a certificate. */
export function mutualTls(
  own: { readonly certificate_file: string; readonly key_file: string },
  ca_file: string,
): string {
  const section = `method = TLSv1.2+
verify_certificate = yes
require_certificate = yes
private_key = ${own.key_file}
certificate = ${own.certificate_file}
ca_list = ${ca_file}
`;
  return `[server:default]\n${section}[client:default]\n${section}`;
}

function trunk(common: Common, psap: string = hosts.psapLte): string {
  const { domain } = common;
  const natted = `if ($si == "${carrierNat.outside}" && has_body("application/sdp")) { fix_nated_sdp("2"); }`;
  return `${preamble(common)}
trunk.overloaded = 0 desc "1: says 503 to everything, as a server that is too busy"

request_route {
  if ($sel(cfg_get.trunk.overloaded) == 1 && !is_method("ACK")) { sl_send_reply("503", "Too Busy"); exit; }
${common.beyond_nat ? `  ${natted}\n` : ""}${guards()}
  if (is_method("REGISTER")) { route(REGISTRAR); }
  if (!is_method("INVITE")) { sl_send_reply("405", "Method Not Allowed"); exit; }
  if (${isEmergency}) { route(TO_PSAP); }
  if ($si == "${hosts.outside}" || $si == "${hosts.psapLte}") {
    if (!(${isMain})) { sl_send_reply("404", "Not a number of ours"); exit; }
    $ru = "sip:${numbers.main}@${domain}";
    record_route();
    if (!lookup("location")) { sl_send_reply("480", "The site is not registered"); exit; }
    t_relay();
    exit;
  }
  if ($au != "${trunkAccount.user}" || !pv_proxy_authenticate("${domain}", "${trunkAccount.password}", "0")) {
    proxy_challenge("${domain}", "1");
    exit;
  }
  consume_credentials();
  record_route();
  $ru = "sip:" + $rU + "@${hosts.outside}:${ports.sip}";
  t_relay();
}

${common.beyond_nat ? `onreply_route { ${natted} }\n` : ""}route[REGISTRAR] {
  if ($au != "${trunkAccount.user}" || $tU != "${numbers.main}"
      || !pv_www_authenticate("${domain}", "${trunkAccount.password}", "0")) {
    www_challenge("${domain}", "1");
    exit;
  }
  consume_credentials();
  if (!save("location")) { sl_reply_error(); }
  exit;
}

${toPsap(psap)}`;
}

/** A presence agent beyond the PBX, which trusts it: keeps everything in memory, and lets anybody watch anybody. */
export function presenceAgent(control: string): string {
  const { address } = beyondPbx;
  return `${preamble({ address, domain: address, control })}
loadmodule "db_text.so"
loadmodule "presence.so"
loadmodule "presence_xml.so"
loadmodule "presence_dialoginfo.so"
modparam("presence|presence_xml", "db_url", "text:///usr/share/kamailio/dbtext/kamailio")
modparam("presence", "server_address", "sip:${address}:${ports.sip}")
modparam("presence", "publ_cache", 2)
modparam("presence", "subs_db_mode", 0)
modparam("presence", "send_fast_notify", 1)
modparam("presence_xml", "force_active", 1)
modparam("presence_dialoginfo", "force_dummy_dialog", 1)

request_route {
  if (is_method("SUBSCRIBE|PUBLISH")) {
    if (!t_newtran()) { exit; }
    if (is_method("SUBSCRIBE")) { handle_subscribe(); } else { handle_publish(); }
    exit;
  }
  sl_send_reply("405", "Method Not Allowed");
}
`;
}

/** A 911 provider reached over the internet; it knows the site by its address and takes nothing but 911. */
export function directTrunk(control: string): string {
  return `${preamble({ address: hosts.directTrunk, domain: domains.directTrunk, control })}
request_route {
${guards()}
  if (is_method("INVITE") && (${isEmergency})) { route(TO_PSAP); }
  sl_send_reply("403", "Emergency calls only");
  exit;
}

${toPsap(hosts.psapWan)}`;
}
