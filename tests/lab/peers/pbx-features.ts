/**
 * What the lab's cloud PBX does on dialled numbers of its own, each a piece of its `request_route` (Kamailio 5.6): a
 * caller is known and the call recorded when it is reached, and it must end in `exit`.
 */
import { domains } from "../addresses.ts";

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
  /** Rings two extensions at once, and the outside telephone with them. */
  fork: {
    number: "7100",
    route: `$ru = ${to("102")}; append_branch(${to("104")}); if (!lookup_branches("location")) { sl_send_reply("480", "Nobody"); exit; } t_relay(); exit;`,
  },
  /** Somebody else answers for it: SIPp, told by the scenario. */
  beyond: {
    number: "72",
    takes_extension: true,
    route: `$ru = "sip:" + $rU + "@${beyondPbx.address}:${beyondPbx.port}"; t_relay(); exit;`,
  },
} as const satisfies Readonly<Record<string, PbxFeature>>;

/** The features as `if` blocks for the route. */
export const featureRoutes = (): string =>
  (Object.values(pbxFeatures) as readonly PbxFeature[])
    .map(({ number, takes_extension, route }) => {
      const asked = takes_extension === true ? `$rU =~ "^${number}[0-9]+$"` : `$rU == "${number}"`;
      return `  if (is_method("INVITE") && ${asked}) { ${route} }`;
    })
    .join("\n");
