import { X509Certificate } from "node:crypto";
import { certificatesIn } from "../../base/certificates.ts";
import { provesDomain, sipIdentities } from "./sip-identity.ts";
import type { PeerIdentity } from "./tls-policy.ts";

/** What OpenSSL says of a chain that has nothing against it but a date. It tells its last finding alone. */
const DATE_FAULTS: ReadonlySet<string> = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);
/** No public chain is longer. */
const LONGEST_CHAIN = 8;

/** A peer's certificate as the handshake left it. */
export interface ShownCertificate {
  /** The peer's own and what it sent along, DER; empty when it showed none. */
  readonly chain: readonly Uint8Array[];
  /** OpenSSL's verdict on the chain; undefined when it is good. */
  readonly fault: string | undefined;
}

export interface ChainRules {
  /** The SIP domain that it must prove; left out: any certificate of a known authority will do. */
  readonly domain: string | undefined;
  /** PEM, one or more each. */
  readonly authorities: readonly string[];
  readonly datesCount: boolean;
}

export type ChainVerdict =
  | { readonly ok: true; readonly peer: PeerIdentity }
  /** What is wrong, for a log and a trunk's evidence. */
  | {
      readonly ok: false;
      readonly detail: string;
      /** Nothing speaks against it but a date. */
      readonly dates_only: boolean;
    };

/**
 * Whether a peer's certificate proves what is asked (RFC 5922 §7). While the clock cannot be trusted a date alone is
 * overlooked, so that a box that woke in 1970 still reaches its trunks; everything else is then checked here once more,
 * because behind a date OpenSSL does not say what else it found.
 */
export function judgeCertificate({ chain, fault }: ShownCertificate, rules: ChainRules): ChainVerdict {
  const bad = (detail: string): ChainVerdict => ({ ok: false, detail, dates_only: false });
  const [own] = chain;
  if (own === undefined) return bad("no certificate was shown");
  let certificates: readonly X509Certificate[];
  try {
    certificates = chain.slice(0, LONGEST_CHAIN).map((der) => new X509Certificate(der));
  } catch {
    return bad("its certificate cannot be read");
  }
  const [leaf] = certificates;
  if (leaf === undefined) return bad("no certificate was shown");
  let overlooked: string | undefined;
  if (fault !== undefined) {
    if (!DATE_FAULTS.has(fault)) return bad(`its certificate is not trusted: ${fault}`);
    const validity = `${fault}: its certificate is valid from ${leaf.validFrom} to ${leaf.validTo}`;
    if (!leadsToAuthority(certificates, rules.authorities))
      return bad(`its certificate is not trusted, and ${validity}`);
    overlooked = validity;
  }
  const domains = sipIdentities(leaf.subjectAltName);
  if (rules.domain !== undefined && !provesDomain(domains, rules.domain)) {
    const named = domains.length === 0 ? "no SIP domain" : domains.slice(0, 5).join(", ");
    return bad(`its certificate names ${named}, not ${rules.domain}`);
  }
  if (overlooked !== undefined && rules.datesCount) return { ok: false, detail: overlooked, dates_only: true };
  return { ok: true, peer: { domains, ...(overlooked === undefined ? {} : { overlooked }) } };
}

/** Signatures, issuers and the right to issue, up to an authority that is known; dates are not looked at. */
function leadsToAuthority(chain: readonly X509Certificate[], authorities: readonly string[]): boolean {
  const anchors = authorities.flatMap((pem) => certificatesIn(pem));
  const issues = (issuer: X509Certificate, subject: X509Certificate) =>
    issuer.ca && subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
  let [at] = chain;
  for (let step = 0; at !== undefined && step < LONGEST_CHAIN; step++) {
    const subject: X509Certificate = at;
    if (anchors.some((anchor) => anchor.raw.equals(subject.raw) || issues(anchor, subject))) return true;
    at = chain.find((other) => !other.raw.equals(subject.raw) && issues(other, subject));
  }
  return false;
}
