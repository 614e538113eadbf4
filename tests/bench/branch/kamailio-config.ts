/**
 * Kamailio 5.6 as the branch server, tuned as an expert would for failover: the cloud pinged every second and given up
 * after two misses, a 911 call given 500 ms to get any provisional, first repetition after 100 ms, 911 by failure_route
 * to the LTE trunk, send errors included (`failure_exec_mode`). It registers telephones itself (digest), and passes
 * their other calls to the cloud PBX.
 */
import { cellular, domains, hosts, lan, numbers, ports, uplink } from "../../lab/addresses.ts";
import type { Layout } from "../../lab/network.ts";

/** Beside the box in its namespace, so that both see the same cut: another port. */
export const KAMAILIO_PORT = 5090;

export interface BranchOptions {
  readonly transport: "udp" | "tcp";
  readonly directory: string;
}

const modules = [
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
  "auth",
  "xlog",
  "dispatcher",
  "ctl",
];

const wanAddress = (layout: Layout): string => (layout.box === "two-port" ? uplink.box : lan.box);

/** The dispatcher's list: 1 the cloud, 2 the LTE trunk, each pinned to its path's address. */
export function destinations(layout: Layout, { transport }: BranchOptions): string {
  const line = (set: number, host: string, local: string) =>
    `${set} sip:${host}:${ports.sip};transport=${transport} 0 0 socket=${transport}:${local}:${KAMAILIO_PORT}\n`;
  return line(1, hosts.pbx, wanAddress(layout)) + line(2, hosts.lteTrunk, cellular.box);
}

export function branchConfig(layout: Layout, options: BranchOptions, control: string): string {
  const addresses = new Set([lan.box, wanAddress(layout), cellular.box]);
  const listen = [...addresses].flatMap((address) =>
    ["udp", "tcp"].map((protocol) => `listen=${protocol}:${address}:${KAMAILIO_PORT}`),
  );
  return `#!KAMAILIO
debug=2
log_stderror=yes
children=2
tcp_children=2
socket_workers=2
auto_aliases=no
${listen.join("\n")}
tcp_connection_lifetime=3605
tcp_connect_timeout=1
tcp_async=yes
udp4_raw=0
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/:/usr/lib/aarch64-linux-gnu/kamailio/modules/"
${modules.map((name) => `loadmodule "${name}.so"`).join("\n")}
modparam("ctl", "binrpc", "unix:${control}")
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", 3600)
modparam("auth", "nonce_expire", 300)
modparam("tm", "fr_timer", 500)
modparam("tm", "fr_inv_timer", 120000)
modparam("tm", "retr_timer1", 100)
modparam("tm", "retr_timer2", 1600)
modparam("tm", "failure_exec_mode", 1)
modparam("dispatcher", "list_file", "${options.directory}/dispatcher.list")
modparam("dispatcher", "ds_ping_interval", 1)
modparam("dispatcher", "ds_probing_mode", 1)
modparam("dispatcher", "ds_probing_threshold", 2)
modparam("dispatcher", "ds_inactive_threshold", 1)
modparam("dispatcher", "ds_ping_method", "OPTIONS")

request_route {
  if (!mf_process_maxfwd_header("70")) { sl_send_reply("483", "Too Many Hops"); exit; }
  force_rport();
  if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
  if (has_totag()) {
    if (loose_route()) { t_relay(); exit; }
    if (is_method("ACK")) { if (t_check_trans()) { t_relay(); } exit; }
    sl_send_reply("404", "Not here");
    exit;
  }
  t_check_trans();
  if (is_method("OPTIONS")) { sl_send_reply("200", "OK"); exit; }
  if (is_method("REGISTER")) { route(REGISTRAR); }
  if (is_method("INVITE")) { record_route(); }
  if (is_method("INVITE") && $rU == "${numbers.emergency}") {
    if (ds_select_dst("1", "4")) { t_on_failure("LTE"); }
    else { ds_select_dst("2", "4"); }
    t_relay();
    exit;
  }
  if (!ds_select_dst("1", "4")) { sl_send_reply("503", "No cloud"); exit; }
  t_relay();
}

failure_route[LTE] {
  if (t_is_canceled()) { exit; }
  if (ds_select_dst("2", "4")) { t_relay(); }
}

route[REGISTRAR] {
  if ($au != $tU || !pv_www_authenticate("${domains.pbx}", "pw-$au", "0")) {
    www_challenge("${domains.pbx}", "1");
    exit;
  }
  consume_credentials();
  if (!save("location")) { sl_reply_error(); }
  exit;
}

event_route[dispatcher:dst-down] { xlog("L_ERR", "dispatcher: $ru is down\\n"); }
event_route[dispatcher:dst-up] { xlog("L_ERR", "dispatcher: $ru is up\\n"); }
`;
}
