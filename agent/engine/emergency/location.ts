import type { DeviceConfig, Location, SiteConfig } from "../../base/config/schema.ts";
import { dispatchLines } from "../../base/dispatch-lines.ts";

/** Who calls, as far as the box can tell. */
export interface Caller {
  /** Extension id; undefined for a phone that nobody knows. */
  readonly extension: string | undefined;
  /** True when the extension rests on a registration from this address, not on what the INVITE says of itself. */
  readonly registered: boolean;
  /** `+sip.instance` of the phone, without angle brackets or quotes. */
  readonly instance: string | undefined;
  /** Address the call came from. */
  readonly source_address: string;
}

export interface ResolvedLocation {
  /** Undefined only when the box has no location at all (built-in defaults). */
  readonly location: Location | undefined;
  readonly source: "device" | "extension" | "lan" | "site" | "none";
  readonly device: string | undefined;
  /** False: the call goes with it all the same, marked, and an alarm says so. */
  readonly trusted: boolean;
  /** Why it is not trusted; empty when it is. */
  readonly doubt: string;
  readonly lines: readonly string[];
}

type Config = Pick<SiteConfig, "site" | "lans" | "extensions" | "devices" | "locations">;

/** The dispatchable location of a call: the phone's, else its extension's, else its LAN's, else the site's. */
export function locate(caller: Caller, config: Config): ResolvedLocation {
  const device = deviceOf(caller, config);
  const extension = config.extensions.find(({ id }) => id === caller.extension);
  const lan = config.lans.find(({ subnets }) => subnets.some((subnet) => inSubnet(caller.source_address, subnet)));
  const claimed =
    caller.extension === undefined || caller.registered
      ? ""
      : "the phone is not registered: its number is only claimed";
  const candidates: readonly [ResolvedLocation["source"], string | undefined, string][] = [
    ["device", device?.location, claimed],
    ["extension", extension?.location, claimed],
    ["lan", lan?.location, ""],
    ["site", config.site.location, "the phone has no location of its own: the site's is used"],
  ];
  for (const [source, id, doubt] of candidates) {
    const location = config.locations.find((known) => known.id === id);
    if (location === undefined) continue;
    return {
      location,
      source,
      device: device?.id,
      trusted: doubt === "",
      doubt,
      lines: dispatchLines(location.civic),
    };
  }
  return {
    location: undefined,
    source: "none",
    device: device?.id,
    trusted: false,
    doubt: "no location is configured",
    lines: [],
  };
}

/** By instance id; an extension's only device that has no instance id on record is taken to be the one that calls. */
function deviceOf({ extension, instance }: Caller, config: Config): DeviceConfig | undefined {
  if (extension === undefined) return undefined;
  const devices = config.devices.filter((device) => device.extension === extension);
  const named = devices.find((device) => device.instance !== undefined && device.instance === instance);
  if (named !== undefined) return named;
  const [only] = devices;
  return devices.length === 1 && only?.instance === undefined ? only : undefined;
}

/** Whether an IPv4 or IPv6 address lies in a subnet such as 10.20.0.0/24. False for text that is neither. */
export function inSubnet(address: string, subnet: string): boolean {
  const [network = "", length = ""] = subnet.split("/");
  const a = bits(address);
  const n = bits(network);
  if (a === undefined || n === undefined || a.width !== n.width) return false;
  const keep = Number(length);
  if (!Number.isInteger(keep) || keep < 0 || keep > a.width) return false;
  const shift = BigInt(a.width - keep);
  return a.value >> shift === n.value >> shift;
}

function bits(address: string): { value: bigint; width: number } | undefined {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  const text = mapped ?? address;
  if (!text.includes(":")) {
    const octets = text.split(".").map(Number);
    if (octets.length !== 4 || octets.some((octet) => !Number.isInteger(octet) || octet < 0 || octet > 255))
      return undefined;
    return { value: octets.reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n), width: 32 };
  }
  const [head = "", tail, more] = text.split("::");
  if (more !== undefined) return undefined;
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const missing = 8 - left.length - right.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  const groups = [...left, ...Array.from({ length: missing }, () => "0"), ...right];
  if (groups.some((group) => !/^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return { value: groups.reduce((sum, group) => (sum << 16n) | BigInt(Number.parseInt(group, 16)), 0n), width: 128 };
}
