/** What TLS shows and asks for at one listener or towards one peer. Kept by the engine, read for every new connection. */

/** A certificate chain, the box's own first, and its private key, both PEM. */
export interface OwnCertificate {
  readonly certificate_pem: string;
  readonly key_pem: string;
}

export interface TlsPolicy {
  /** Shown to whoever connects, and to a server that asks for one. Without it there is no listening. */
  readonly own?: OwnCertificate;
  /** Authorities that peers are checked against, PEM; left out: the public ones that come with Node. */
  readonly ca_pem?: string;
  /** The SIP domain that the peer must prove to be (RFC 5922 §7.2). Left out: nobody is connected to under this policy. */
  readonly peer_domain?: string;
  /** Its peer is reached although a date speaks against its certificate: for 911, when nothing else is left. */
  readonly overlooks_dates?: boolean;
  /** Whoever connects must present a certificate (of `peer_domain`, where that is given). */
  readonly asks_client: boolean;
}

export interface TlsPolicies {
  /** The one in force now; a connection that stands keeps what it was made with. */
  policy(name: string): TlsPolicy | undefined;
  /** False while the clock cannot be trusted: then a certificate's dates prove nothing against it. */
  datesCount(): boolean;
}

/** What a peer has proven by its certificate. */
export interface PeerIdentity {
  /** SIP domains (RFC 5922 §7.1), lower case. */
  readonly domains: readonly string[];
  /** We have proven who we are as well: the connection may serve both directions (RFC 5923). */
  readonly mutual?: boolean;
  /** A date that was overlooked because the clock is not trusted. */
  readonly overlooked?: string;
}
