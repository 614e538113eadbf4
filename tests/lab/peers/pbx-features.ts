/**
 * What the lab's cloud PBX does on dialled numbers of its own, each a piece of its `request_route` (Kamailio 5.6): a
 * caller is known and the call recorded when it is reached, and it must end in `exit`.
 */
import { domains, hosts, numbers, ports } from "../addresses.ts";

export interface PbxFeature {
  /** The dialled number, or its beginning where an extension follows. */
  readonly number: string;
  readonly takes_extension?: boolean;
  readonly route: string;
}

/** Where a SIPp that plays somebody behind the PBX listens. */
export const beyondPbx = { namespace: "wan", address: "203.0.113.80", port: 5060 } as const;

const to = (user: string): string => `"sip:${user}@${domains.pbx}"`;

export const pbxFeatures = {
  /** Rings two extensions at once. */
  fork: {
    number: "7100",
    route: `$ru = ${to("104")}; append_branch(${to("105")}); lookup_branches("location"); t_relay(); exit;`,
  },
  /** Rings an extension and the outside telephone at once. */
  twinned: {
    number: "7101",
    route: `$ru = "sip:${numbers.outside}@${hosts.outside}:${ports.sip}"; append_branch(${to("102")}); lookup_branches("location"); t_relay(); exit;`,
  },
  /** Rings one extension for a while, and then another. */
  inTurn: {
    number: "7104",
    route: `$ru = ${to("104")}; lookup("location"); t_set_fr(2500); t_on_failure("NEXT_IN_TURN"); t_relay(); exit;`,
  },
  /** Calls the extension that follows, marked as call waiting both ways (RFC 7462). */
  waiting: {
    number: "73",
    takes_extension: true,
    route: `$ru = "sip:" + $(rU{s.substr,2,0}) + "@${domains.pbx}"; append_hf("Alert-Info: <urn:alert:service:call-waiting>\\r\\n"); t_on_reply("CALL_WAITING"); lookup("location"); t_relay(); exit;`,
  },
  /** Has moved: 302 to the extension 104, by way of `diverted`. */
  moved: {
    number: "7102",
    route: `append_to_reply("Contact: <sip:74104@${domains.pbx}>;q=0.7;expires=60\\r\\nDiversion: <sip:7102@${domains.pbx}>;reason=unconditional;counter=1\\r\\n"); sl_send_reply("302", "Moved Temporarily"); exit;`,
  },
  /** Calls the extension that follows, and tells it where the call was before (RFC 5806, RFC 7044). */
  diverted: {
    number: "74",
    takes_extension: true,
    route: `$ru = "sip:" + $(rU{s.substr,2,0}) + "@${domains.pbx}"; append_hf("Diversion: \\"Help, desk\\" <sip:7102@${domains.pbx}>;reason=unconditional;counter=1\\r\\n"); append_hf("History-Info: <sip:7102@${domains.pbx}>;index=1, <sip:104@${domains.pbx};cause=302>;index=1.1;rc=1\\r\\n"); lookup("location"); t_relay(); exit;`,
  },
  /** Calls the extension that follows, unless the session is to be shorter than 4 s (RFC 4028 §8). */
  timed: {
    number: "75",
    takes_extension: true,
    route: `if ($(hdr(Session-Expires){s.select,0,;}{s.int}) < 4) { append_to_reply("Min-SE: 4\\r\\n"); sl_send_reply("422", "Session Interval Too Small"); exit; } $ru = "sip:" + $(rU{s.substr,2,0}) + "@${domains.pbx}"; lookup("location"); t_relay(); exit;`,
  },
  /** Somebody else answers for it: SIPp, told by the scenario. */
  beyond: {
    number: "72",
    takes_extension: true,
    route: `$ru = "sip:" + $rU + "@${beyondPbx.address}:${beyondPbx.port}"; t_relay(); exit;`,
  },
} as const satisfies Readonly<Record<string, PbxFeature>>;

/** What the features need beside the route. */
export const featureHelpers = `failure_route[NEXT_IN_TURN] {
  if (t_is_canceled()) { exit; }
  $ru = ${to("105")};
  if (!lookup("location")) { exit; }
  t_set_fr(30000);
  t_relay();
}
onreply_route[CALL_WAITING] {
  if (status == "180") { append_hf("Alert-Info: <urn:alert:service:call-waiting>\\r\\n"); }
}
`;

/** A lamp that two notifiers know of: a subscription to it forks (RFC 6665 §4.4.3). */
export const forkedLamp = { number: "7300", second_port: 5062 } as const;

/** Who answers subscriptions and publications: SIPp, told by the scenario. */
export const presence = `if ($rU == "${forkedLamp.number}") { append_branch("sip:${forkedLamp.number}@${beyondPbx.address}:${forkedLamp.second_port}"); }
  $ru = "sip:" + $rU + "@${beyondPbx.address}:${beyondPbx.port}";
  t_relay();
  exit;`;

/** The features as `if` blocks for the route. */
export const featureRoutes = (): string =>
  (Object.values(pbxFeatures) as readonly PbxFeature[])
    .map(({ number, takes_extension, route }) => {
      const asked = takes_extension === true ? `$rU =~ "^${number}[0-9]+$"` : `$rU == "${number}"`;
      return `  if (is_method("INVITE") && ${asked}) { ${route} }`;
    })
    .join("\n");
