/** What the kernel says of one path's interface, read from `ip -json` documents. Pure: text in, facts out. */
export interface LinkAddress {
  readonly address: string;
  readonly prefix: number;
}

export interface LinkFacts {
  /** False when the interface does not exist. Undefined: cannot be known here. */
  readonly present: boolean | undefined;
  /** Lower layer up (IFF_LOWER_UP): a cable or a radio bearer is there. */
  readonly carrier: boolean | undefined;
  readonly operstate: string | undefined;
  readonly addresses: readonly LinkAddress[];
  /** A packet from the path's address finds a way out by this interface. */
  readonly route: boolean | undefined;
  /** What the kernel said, when there is no route or it leaves elsewhere. */
  readonly route_detail: string;
  readonly gateway: string | undefined;
  /** NUD state of the gateway: REACHABLE, STALE, FAILED, … */
  readonly neighbour: string | undefined;
}

export const UNKNOWN_FACTS: LinkFacts = {
  present: undefined,
  carrier: undefined,
  operstate: undefined,
  addresses: [],
  route: undefined,
  route_detail: "",
  gateway: undefined,
  neighbour: undefined,
};

/** One answer of `ip`: its JSON document, or what it wrote to standard error. */
export type IpAnswer = { readonly ok: true; readonly json: unknown } | { readonly ok: false; readonly error: string };

type Item = Readonly<Record<string, unknown>>;

function items(value: unknown): readonly Item[] {
  return Array.isArray(value) ? value.filter((item): item is Item => typeof item === "object" && item !== null) : [];
}

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

/** From `ip -j addr show dev IF`. */
export function readLink(answer: IpAnswer): Pick<LinkFacts, "present" | "carrier" | "operstate" | "addresses"> {
  if (!answer.ok) {
    const missing = /does not exist|Cannot find device/.test(answer.error);
    return { present: missing ? false : undefined, carrier: undefined, operstate: undefined, addresses: [] };
  }
  const link = items(answer.json).find((item) => text(item.ifname) !== undefined);
  if (link === undefined) return { present: false, carrier: undefined, operstate: undefined, addresses: [] };
  const flags = Array.isArray(link.flags) ? link.flags : [];
  const addresses = items(link.addr_info).flatMap((entry) => {
    const address = text(entry.local);
    const prefix = entry.prefixlen;
    // Link-local and tentative addresses cannot carry a call.
    if (address === undefined || typeof prefix !== "number" || entry.tentative === true) return [];
    return text(entry.scope) === "link" ? [] : [{ address, prefix }];
  });
  return {
    present: true,
    carrier: flags.includes("UP") && flags.includes("LOWER_UP"),
    operstate: text(link.operstate),
    addresses,
  };
}

/** From `ip -j route get DESTINATION from ADDRESS`. */
export function readRoute(
  answer: IpAnswer,
  interfaceName: string,
): Pick<LinkFacts, "route" | "route_detail" | "gateway"> {
  if (!answer.ok) return { route: false, route_detail: firstLine(answer.error), gateway: undefined };
  const route = items(answer.json)[0];
  if (route === undefined) return { route: undefined, route_detail: "", gateway: undefined };
  const type = text(route.type);
  const dev = text(route.dev);
  const gateway = text(route.gateway);
  if (type === "unreachable" || type === "blackhole" || type === "prohibit") {
    return { route: false, route_detail: `route is ${type}`, gateway };
  }
  if (dev !== undefined && dev !== interfaceName) {
    return { route: false, route_detail: `packets would leave by ${dev}`, gateway };
  }
  const flags = Array.isArray(route.flags) ? route.flags : [];
  if (flags.includes("linkdown")) return { route: false, route_detail: "link of the route is down", gateway };
  return { route: dev === undefined ? undefined : true, route_detail: "", gateway };
}

/** From `ip -j neigh show dev IF`: the state of one neighbour. */
export function readNeighbour(answer: IpAnswer, address: string): string | undefined {
  if (!answer.ok) return undefined;
  const entry = items(answer.json).find((item) => text(item.dst) === address);
  const state = entry?.state;
  return Array.isArray(state) ? text(state[0]) : text(state);
}

function firstLine(error: string): string {
  return (error.split("\n", 1)[0] ?? "").replace(/^RTNETLINK answers: /, "").slice(0, 120);
}

/** Whether an address lies in one of these prefixes (same family only). */
export function onLink(address: string, prefixes: readonly LinkAddress[]): boolean {
  const bits = addressBits(address);
  if (bits === undefined) return false;
  return prefixes.some(({ address: base, prefix }) => {
    const own = addressBits(base);
    return own !== undefined && own.length === bits.length && own.slice(0, prefix) === bits.slice(0, prefix);
  });
}

/** An address as a string of ones and zeros, 32 or 128 long. */
function addressBits(address: string): string | undefined {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(address)) {
    return address
      .split(".")
      .map((octet) => Number(octet).toString(2).padStart(8, "0"))
      .join("");
  }
  if (!address.includes(":")) return undefined;
  const [head = "", tail] = address.split("::", 2);
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const fill = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array<string>(Math.max(0, fill)).fill("0"), ...right];
  if (groups.length !== 8 || groups.some((group) => !/^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  return groups.map((group) => Number.parseInt(group, 16).toString(2).padStart(16, "0")).join("");
}
