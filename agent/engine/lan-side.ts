import type { LanConfig, SiteConfig } from "../base/config/schema.ts";
import type { Flow } from "../sip/transport/flow.ts";
import { isWildcard } from "../sip/transport/ip-address.ts";
import { inSubnet } from "./emergency/location.ts";

const CACHE_LIMIT = 4096;

/** Which LAN a message came from: by the listener it arrived at and the sender's subnet. */
export class LanSide {
  #lans: readonly LanConfig[];
  readonly #known = new Map<string, LanConfig | undefined>();

  constructor(config: SiteConfig) {
    this.#lans = config.lans;
  }

  configure(config: SiteConfig): void {
    this.#lans = config.lans;
    this.#known.clear();
  }

  /** Undefined for a stranger. */
  of(flow: Flow): LanConfig | undefined {
    const key = `${flow.protocol} ${flow.local.address} ${flow.local.port} ${flow.remote.address}`;
    const known = this.#known.get(key);
    if (known !== undefined || this.#known.has(key)) return known;
    const lan = this.#lans.find(
      ({ address, sip_port, tls, subnets }) =>
        (address === flow.local.address || isWildcard(address) || isWildcard(flow.local.address)) &&
        (flow.protocol === "tls" ? tls?.port : sip_port) === flow.local.port &&
        subnets.some((subnet) => inSubnet(flow.remote.address, subnet)),
    );
    if (this.#known.size >= CACHE_LIMIT) this.#known.clear();
    this.#known.set(key, lan);
    return lan;
  }
}
