import { createHash } from "node:crypto";
import { BlockList, isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { Server } from "node-ssdp";
import { type Clock, every, type Timer } from "../../base/clock.ts";
import type { LanConfig, SiteConfig } from "../../base/config/schema.ts";
import { errorText } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { SearchGuard } from "./search-guard.ts";

/**
 * Adapter: node-ssdp. Lets the box be found by its page (UPnP discovery) from each of its LANs: one responder per LAN,
 * on that LAN's interface alone, answering that LAN's subnets alone. In practice it does not exist.
 */
const ADVERTISE_EVERY_MS = 300_000;
const RETRY_MS = 10_000;
const DEVICE = "upnp:rootdevice";

export class Discovery {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #retries: Timer;
  readonly #servers = new Map<string, Server>();
  #config: SiteConfig | undefined;
  #key = "";

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
    this.#retries = every(clock, RETRY_MS, () => this.#settle());
  }

  configure(config: SiteConfig): void {
    const key = JSON.stringify([config.lans, config.web, config.box.id, config.site.id]);
    if (key === this.#key) return;
    this.#key = key;
    this.#stop();
    this.#config = config;
    this.#settle();
  }

  close(): void {
    this.#retries.cancel();
    this.#stop();
    this.#config = undefined;
  }

  #settle(): void {
    const config = this.#config;
    if (config === undefined) return;
    for (const lan of config.lans) {
      const name = interfaceOf(lan.address);
      // The library needs the interface to be there; a LAN that comes up later is found at a later try.
      if (name === undefined || this.#servers.has(lan.id)) continue;
      try {
        this.#servers.set(lan.id, this.#serve(config, lan, name));
      } catch (error) {
        this.#log.warn("discovery: cannot answer on this LAN", { lan: lan.id, detail: errorText(error) });
      }
    }
  }

  #serve(config: SiteConfig, lan: LanConfig, interface_name: string): Server {
    const server = new Server({
      location: `http://${lan.address}:${config.web.port}/description.xml`,
      udn: `uuid:${deviceUuid(config)}`,
      ssdpSig: "Linux UPnP/1.1 Holdfast",
      adInterval: ADVERTISE_EVERY_MS,
      interfaces: [interface_name],
      // One device, one answer per search.
      suppressRootDeviceAdvertisements: true,
      customLogger: () => {},
    });
    server.addUSN(DEVICE);
    const guard = new SearchGuard(this.#clock, subnetCheck(lan.subnets));
    const parse = server._parseMessage.bind(server);
    server._parseMessage = (message, remote) => {
      if (guard.admits(remote.address, message.length)) parse(message, remote);
    };
    server
      .start()
      .then(() => {
        // Without this the kernel sends announcements by the default route, which may be the cellular one.
        for (const [address, socket] of Object.entries(server.sockets)) socket.setMulticastInterface(address);
      })
      .catch((error: unknown) => {
        server.stop();
        this.#servers.delete(lan.id);
        this.#log.warn("discovery: cannot answer on this LAN", { lan: lan.id, detail: errorText(error) });
      });
    return server;
  }

  #stop(): void {
    for (const server of this.#servers.values()) server.stop();
    this.#servers.clear();
  }
}

/** Stable over restarts and different for every box, so that a network browser recognises it. */
export function deviceUuid(config: Pick<SiteConfig, "org" | "site" | "box">): string {
  const hash = createHash("sha256").update(`${config.org.id}/${config.site.id}/${config.box.id}`).digest("hex");
  return [
    hash.slice(0, 8),
    hash.slice(8, 12),
    `8${hash.slice(13, 16)}`,
    `8${hash.slice(17, 20)}`,
    hash.slice(20, 32),
  ].join("-");
}

function interfaceOf(address: string): string | undefined {
  return Object.entries(networkInterfaces()).find(
    ([, entries]) => entries?.some((entry) => entry.address === address && !entry.internal) ?? false,
  )?.[0];
}

function subnetCheck(subnets: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [network = "", prefix = ""] = subnet.split("/");
    if (isIP(network) !== 0) list.addSubnet(network, Number(prefix), isIP(network) === 6 ? "ipv6" : "ipv4");
  }
  return (address) => isIP(address) !== 0 && list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}
