import dgram from "node:dgram";
import dns from "node:dns";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";
import os from "node:os";
import { systemClock } from "./clock.ts";
import { HoldfastError } from "./errors.ts";

/**
 * Adapter: practice is all or nothing, and this is what makes it so. Installed before anything else in every process
 * of a rehearsal, it sits beneath every library at the doors through which Node leaves the machine: TCP connect and
 * listen, UDP bind and send, name resolution. What is not loopback is refused with `practice.forbidden` and nothing
 * is sent. Phones of the LAN are let in only where `lan` says so, and then only addresses of directly attached
 * networks. Real equipment (serial ports, GPIO) is opened through {@link requireEquipment}, which says no unless the
 * site file says `live: true`, or, in practice, the port is a pseudo-terminal of the practice world.
 */
type Policy =
  | { readonly kind: "none" }
  | { readonly kind: "practice"; readonly lan: boolean }
  | { readonly kind: "live" };

let policy: Policy = { kind: "none" };

export function inPractice(): boolean {
  return policy.kind === "practice";
}

/** Real equipment may be opened from now on. Only a validated site file's `live` may be passed here. */
export function permitLive(live: boolean): void {
  if (policy.kind === "practice") throw forbidden("a practice process asked to go live");
  if (!live) throw new HoldfastError("config.not_live", "The site file does not say `live: true`.");
  policy = { kind: "live" };
}

/** Throws unless this device (a /dev path, a GPIO chip label) may be opened by this process. */
export function requireEquipment(device: string): void {
  if (policy.kind === "live") return;
  if (policy.kind === "practice") {
    if (/^\/dev\/pts\/[0-9]+$/.test(device)) return;
    throw forbidden(`${device} is not a pseudo-terminal`);
  }
  throw new HoldfastError("config.not_live", `${device} was asked for, but the site file does not say \`live: true\`.`);
}

/** True for 127.0.0.0/8, ::1 and IPv4-mapped loopback; names other than `localhost` are not addresses. */
export function isLoopback(host: string): boolean {
  const address = host.replace(/^\[|\]$/g, "").toLowerCase();
  if (address === "localhost" || address === "::1") return true;
  const v4 = address.startsWith("::ffff:") ? address.slice(7) : address;
  return net.isIPv4(v4) && v4.startsWith("127.");
}

/** Interfaces are looked at anew this often; asking them for every packet would cost more than sending it. */
const ATTACHED_FOR_MS = 5000;
const attached = new Map<string, { readonly is: boolean; readonly at_ms: number }>();

/** True for an address of a network this machine is directly attached to, loopback excluded. At most 5 s old. */
export function isAttached(host: string): boolean {
  const now_ms = systemClock.now();
  const known = attached.get(host);
  if (known !== undefined && now_ms - known.at_ms < ATTACHED_FOR_MS) return known.is;
  if (attached.size >= 1000) attached.clear();
  const is = liesInAttachedNetwork(host);
  attached.set(host, { is, at_ms: now_ms });
  return is;
}

function liesInAttachedNetwork(host: string): boolean {
  const family = net.isIP(host) === 6 ? "ipv6" : "ipv4";
  if (net.isIP(host) === 0) return false;
  for (const entries of Object.values(os.networkInterfaces())) {
    for (const entry of entries ?? []) {
      if (entry.internal || entry.cidr === null || entry.family.toLowerCase() !== family) continue;
      const prefix = Number(entry.cidr.split("/")[1]);
      const subnet = new net.BlockList();
      subnet.addSubnet(entry.address, prefix, family);
      if (subnet.check(host, family)) return true;
    }
  }
  return false;
}

/** Closes the doors for the life of this process. Calling it twice is harmless; it cannot be undone. */
export function installPracticeGuard(options: { readonly lan: boolean }): void {
  if (policy.kind === "practice") return;
  if (policy.kind === "live") throw forbidden("a live process asked to become a practice");
  policy = { kind: "practice", lan: options.lan };
  guardTcp(options.lan);
  guardUdp(options.lan);
  guardNames();
  syncBuiltinESMExports();
}

function forbidden(what: string): HoldfastError {
  return new HoldfastError("practice.forbidden", `PRACTICE: ${what}.`);
}

function requireOut(host: string, lan: boolean): void {
  if (isLoopback(host) || (lan && isAttached(host))) return;
  throw forbidden(`${host} is not this machine`);
}

function requireListen(host: string | undefined, lan: boolean): void {
  if (lan || (host !== undefined && isLoopback(host))) return;
  throw forbidden(`listening on ${host ?? "every address"} would be open to others`);
}

/** Replaces a method, keeping `this` and the original within reach. */
function wrap(owner: object, name: string, make: (original: (...args: unknown[]) => unknown) => unknown): void {
  const original = Reflect.get(owner, name);
  if (typeof original !== "function") throw forbidden(`the guard cannot find ${name}`);
  Reflect.set(owner, name, make(original as (...args: unknown[]) => unknown));
}

interface Target {
  readonly host?: string;
  readonly path?: string;
  readonly port?: number | string;
  readonly address?: string;
}

/** Where TCP is to go or to listen. Node calls with plain arguments as well as with one already normalised array. */
function targetOf(args: unknown[]): Target {
  const [first, second] = Array.isArray(args[0]) ? args[0] : args;
  if (typeof first === "object" && first !== null) return first;
  if (typeof first === "string" && !/^[0-9]+$/.test(first)) return { path: first };
  return typeof second === "string" ? { host: second } : {};
}

/** As Node decides it: a truthy `path` is a Unix socket, anything else (HTTP passes null) goes to the network. */
function isUnixPath(target: Target): boolean {
  return typeof target.path === "string" && target.path !== "";
}

function guardTcp(lan: boolean): void {
  wrap(net.Socket.prototype, "connect", (original) => {
    return function (this: net.Socket, ...args: unknown[]) {
      const target = targetOf(args);
      if (!isUnixPath(target)) requireOut(target.host ?? "localhost", lan);
      return original.apply(this, args);
    };
  });
  wrap(net.Server.prototype, "listen", (original) => {
    return function (this: net.Server, ...args: unknown[]) {
      const target = targetOf(args);
      if (!isUnixPath(target)) requireListen(target.host, lan);
      return original.apply(this, args);
    };
  });
}

function guardUdp(lan: boolean): void {
  wrap(dgram.Socket.prototype, "bind", (original) => {
    return function (this: dgram.Socket, ...args: unknown[]) {
      const [first, second] = args;
      const target: Target =
        typeof first === "object" && first !== null ? first : typeof second === "string" ? { address: second } : {};
      // Node binds to "every address" by itself before a first send; that socket can only send where `send` lets it.
      const implicit =
        args.length === 0 ||
        (typeof first === "object" &&
          first !== null &&
          "exclusive" in first &&
          target.port === 0 &&
          target.address === undefined);
      if (!implicit) requireListen(target.address, lan);
      return original.apply(this, args);
    };
  });
  wrap(dgram.Socket.prototype, "connect", (original) => {
    return function (this: dgram.Socket, ...args: unknown[]) {
      requireOut(typeof args[1] === "string" ? args[1] : "localhost", lan);
      return original.apply(this, args);
    };
  });
  wrap(dgram.Socket.prototype, "send", (original) => {
    return function (this: dgram.Socket, ...args: unknown[]) {
      // send(msg, port, address), send(msg, offset, length, port, address); no address: a connected socket or localhost.
      const host = args.slice(1).find((argument) => typeof argument === "string");
      if (typeof host === "string") requireOut(host, lan);
      return original.apply(this, args);
    };
  });
  wrap(dgram.Socket.prototype, "addMembership", () => {
    return () => {
      throw forbidden("joining a multicast group would be open to others");
    };
  });
}

function guardNames(): void {
  const literal = (name: unknown) => typeof name === "string" && (net.isIP(name) !== 0 || name === "localhost");
  wrap(dns, "lookup", (original) => {
    return (...args: unknown[]) => {
      if (literal(args[0])) return original.apply(dns, args);
      const callback = args.at(-1);
      if (typeof callback !== "function") throw forbidden(`looking up ${String(args[0])}`);
      process.nextTick(() => callback(forbidden(`looking up ${String(args[0])}`)));
      return {};
    };
  });
  wrap(dns.promises, "lookup", (original) => {
    return async (...args: unknown[]) => {
      if (!literal(args[0])) throw forbidden(`looking up ${String(args[0])}`);
      return original.apply(dns.promises, args);
    };
  });
  // The default servers are the machine's real ones: nothing answers on this port, so even a path missed here stays in.
  dns.setServers(["127.0.0.1:9"]);
  dns.promises.setServers(["127.0.0.1:9"]);
  for (const resolver of [dns.Resolver.prototype, dns.promises.Resolver.prototype]) {
    wrap(resolver, "setServers", (original) => {
      return function (this: dns.Resolver, ...args: unknown[]) {
        for (const server of args[0] as readonly string[]) {
          requireOut(server.replace(/^\[([^\]]+)\](:[0-9]+)?$/, "$1").replace(/^([0-9.]+):[0-9]+$/, "$1"), false);
        }
        return original.apply(this, args);
      };
    });
  }
  for (const [owner, Plain] of [
    [dns, dns.Resolver],
    [dns.promises, dns.promises.Resolver],
  ] as const) {
    // A new resolver starts with the machine's servers; ours starts with none that could answer.
    class Confined extends (Plain as typeof dns.Resolver) {
      constructor(options?: dns.ResolverOptions) {
        super(options);
        this.setServers(["127.0.0.1:9"]);
      }
    }
    Reflect.set(owner, "Resolver", Confined);
  }
}
