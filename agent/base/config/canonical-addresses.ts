import type { SiteConfig } from "./schema.ts";

/**
 * IPv6 addresses in the one form that the kernel and sockets print (RFC 5952), so that an address in the site file is
 * found again in what they say. IPv4 addresses have one form only.
 */
export function withCanonicalAddresses(config: SiteConfig): SiteConfig {
  return {
    ...config,
    lans: config.lans.map((lan) => ({ ...lan, address: canonical(lan.address) })),
    paths: config.paths.map((path) => ({
      ...path,
      ...(path.address === undefined ? {} : { address: canonical(path.address) }),
      ...(path.gateway === undefined ? {} : { gateway: canonical(path.gateway) }),
      dns_servers: path.dns_servers.map(canonical),
      echo_responders: path.echo_responders.map((each) => ({ ...each, address: canonical(each.address) })),
    })),
    trunks: config.trunks.map((trunk) => ({ ...trunk, host: canonical(trunk.host) })),
    pbx_targets: config.pbx_targets.map((pbx) => ({ ...pbx, host: canonical(pbx.host) })),
  };
}

/** A name, and what is no address after all, stays as it is. */
function canonical(address: string): string {
  if (!address.includes(":")) return address;
  try {
    return new URL(`http://[${address}]`).hostname.slice(1, -1);
  } catch {
    return address;
  }
}
