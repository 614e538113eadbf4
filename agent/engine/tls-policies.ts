import type { CertificateBundle } from "../base/certificates.ts";
import type { SiteConfig } from "../base/config/schema.ts";
import type { TlsPolicies, TlsPolicy } from "../sip/transport/tls-policy.ts";

/** Names of the policies: one for each LAN's listener, one for each trunk and PBX target, both directions. */
export const lanPolicy = (lan: string): string => `lan:${lan}`;
export const trunkPolicy = (trunk: string): string => `trunk:${trunk}`;
/** The same with no regard to dates: for a 911 call that nothing else takes. */
export const lastResort = (policy: string): string => `${policy} whatever its dates`;

/** What TLS shows and asks for, made from the site file and the PEM files that `site` has read. Outlives every engine. */
export class SiteTlsPolicies implements TlsPolicies {
  readonly #clockIsTrusted: () => boolean;
  #policies: ReadonlyMap<string, TlsPolicy> = new Map();

  constructor(clockIsTrusted: () => boolean) {
    this.#clockIsTrusted = clockIsTrusted;
  }

  policy(name: string): TlsPolicy | undefined {
    return this.#policies.get(name);
  }

  datesCount(): boolean {
    return this.#clockIsTrusted();
  }

  /** From now on; connections that stand keep what they were made with. A policy that has not changed stays the same object. */
  configure(config: SiteConfig, bundle: CertificateBundle): void {
    const before = this.#policies;
    this.#policies = new Map(
      [...lanPolicies(config, bundle), ...peerPolicies(config, bundle)].map(([name, policy]) => {
        const known = before.get(name);
        return [name, known !== undefined && JSON.stringify(known) === JSON.stringify(policy) ? known : policy];
      }),
    );
  }
}

type Named = readonly [string, TlsPolicy];

function lanPolicies(config: SiteConfig, bundle: CertificateBundle): Named[] {
  return config.lans.flatMap(({ id, tls }): Named[] => {
    const own = tls === undefined ? undefined : bundle.certificates[tls.certificate];
    if (tls === undefined || own === undefined) return [];
    if (tls.client_ca_file === undefined) return [[lanPolicy(id), { own, asks_client: false }]];
    const ca_pem = bundle.authorities[tls.client_ca_file];
    // A list that cannot be read must not let anybody in whom it would have kept out.
    return ca_pem === undefined ? [] : [[lanPolicy(id), { own, ca_pem, asks_client: true }]];
  });
}

function peerPolicies(config: SiteConfig, bundle: CertificateBundle): Named[] {
  const peers = [
    ...config.pbx_targets.map(({ id, tls, transport, domain }) => ({ id, tls, transport, name: domain })),
    ...config.trunks.map(({ id, tls, transport, host }) => ({ id, tls, transport, name: host })),
  ];
  return peers.flatMap(({ id, tls, transport, name }): Named[] => {
    if (transport !== "tls" && (transport !== "auto" || tls === undefined)) return [];
    const own = tls?.certificate === undefined ? undefined : bundle.certificates[tls.certificate];
    const ca_pem = tls?.ca_file === undefined ? undefined : bundle.authorities[tls.ca_file];
    if (tls?.ca_file !== undefined && ca_pem === undefined) return [];
    const policy: TlsPolicy = {
      ...(own === undefined ? {} : { own }),
      ...(ca_pem === undefined ? {} : { ca_pem }),
      // RFC 5922 §7.2: what was configured, never what DNS made of it.
      peer_domain: tls?.identity ?? name,
      asks_client: true,
    };
    return [
      [trunkPolicy(id), policy],
      [lastResort(trunkPolicy(id)), { ...policy, overlooks_dates: true }],
    ];
  });
}
