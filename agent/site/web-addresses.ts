import { hostname } from "node:os";
import type { SiteConfig } from "../base/config/schema.ts";
import { isLoopback } from "../base/practice-guard.ts";

const DEFAULT_PORT = 8080;

/**
 * Where the status page listens: the address that the site file names, else each LAN address, and loopback in any
 * case. In practice loopback only, unless phones of the LAN are let in.
 */
export function webAddresses(
  config: SiteConfig | undefined,
  practice: { readonly practice: boolean; readonly lan: boolean },
): { readonly address: string; readonly port: number }[] {
  const port = config?.web.port ?? DEFAULT_PORT;
  const named = config?.web.address;
  const wanted = named !== undefined ? [named] : (config?.lans.map((lan) => lan.address) ?? []);
  const allowed = practice.practice && !practice.lan ? wanted.filter(isLoopback) : wanted;
  const addresses = new Set([...allowed, ...(allowed.some(isLoopback) ? [] : ["127.0.0.1"])]);
  return [...addresses].map((address) => ({ address, port }));
}

/** Names and addresses by which a browser may ask for the page; others are refused (DNS rebinding). */
export function ownHosts(config: SiteConfig | undefined): ReadonlySet<string> {
  const names = [hostname(), `${hostname()}.local`];
  if (config !== undefined) {
    names.push(...config.lans.map((lan) => lan.address), ...config.box.sip_names);
    names.push(config.box.id, `${config.box.id}.local`);
    if (config.web.address !== undefined) names.push(config.web.address);
  }
  return new Set(names.map((name) => name.toLowerCase()));
}
