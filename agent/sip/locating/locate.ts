import type { Protocol } from "../transport/flow.ts";
import { canonicalAddress, ipFamily } from "../transport/ip-address.ts";
import type { Answer, NaptrRecord, Question, SrvRecord } from "./records.ts";
import { weightedOrder } from "./weighted-order.ts";

/**
 * Locating SIP servers (RFC 3263 §4) as data: what is known so far, and the questions that the name servers have to be
 * asked next. Three rounds at most: NAPTR for the transport, SRV for the port, A and AAAA for the addresses.
 */
export interface Sought {
  /** The TARGET of §4: a name or an address. */
  readonly host: string;
  /** Only when it was written: a port that is named means that SRV is not asked. */
  readonly port: number | undefined;
  /** Only when it was written: then NAPTR is not asked. */
  readonly transport: Protocol | undefined;
  /** sips: nothing but TLS will do. */
  readonly secure: boolean;
  /** What can be spoken here, dearest first: the site's policy where the name servers leave a choice. */
  readonly supported: readonly Protocol[];
  /** Families of the address that packets leave from. */
  readonly families: readonly (4 | 6)[];
}

/** One server to be tried. */
export interface Hop {
  readonly transport: Protocol;
  readonly address: string;
  readonly port: number;
  /** The name whose certificate it must show: the one that was asked for, never the one that DNS led to (RFC 5922 §7). */
  readonly server_name: string;
  /** Its place by transport and SRV priority, least first; those of one place stand as they were drawn. */
  readonly rank?: number | undefined;
}

export type Locating =
  | { readonly phase: "naptr" | "srv"; readonly sought: Sought; readonly services: readonly Service[] }
  | { readonly phase: "addresses"; readonly sought: Sought; readonly servers: readonly Server[] }
  | { readonly phase: "located"; readonly hops: readonly Hop[] };

/** Where SRV records are looked for. */
interface Service {
  readonly transport: Protocol;
  readonly name: string;
}

/** A server by name, its address still to be found. */
interface Server {
  readonly transport: Protocol;
  readonly host: string;
  readonly port: number;
  readonly rank?: number | undefined;
}

/** A set beyond these is an accident or an attack; what comes first is enough to call on. */
const SERVICES_MAX = 4;
const SERVERS_MAX = 8;
const HOPS_MAX = 16;
/** SRV priorities are of 16 bits. */
const PRIORITIES = 65_536;

const SERVICE_OF: Readonly<Record<string, { readonly transport: Protocol; readonly secure: boolean }>> = {
  "SIPS+D2T": { transport: "tls", secure: true },
  "SIP+D2T": { transport: "tcp", secure: false },
  "SIP+D2U": { transport: "udp", secure: false },
};

export function locate(sought: Sought): Locating {
  const { host, port, secure } = sought;
  const supported = allowed(sought);
  const transport = sought.transport ?? (secure ? "tls" : undefined);
  const address = canonicalAddress(host);
  if (address !== undefined) {
    // §4.1: an address, or a name with a port, is reached over UDP, or over TLS for sips.
    const chosen = transport ?? plain(supported);
    const server_name = sought.host;
    if (chosen === undefined || !inFamilies(address, sought)) return { phase: "located", hops: [] };
    return { phase: "located", hops: [{ transport: chosen, address, port: port ?? defaultPort(chosen), server_name }] };
  }
  if (port !== undefined) {
    const chosen = transport ?? plain(supported);
    return chosen === undefined
      ? { phase: "located", hops: [] }
      : { phase: "addresses", sought, servers: [{ transport: chosen, host: bare(host), port }] };
  }
  if (sought.transport !== undefined) {
    return { phase: "srv", sought, services: [service(sought.transport, host)] };
  }
  return { phase: "naptr", sought, services: supported.map((each) => service(each, host)) };
}

/** What has to be asked now; all of it can be asked at once. */
export function questionsOf(locating: Locating): readonly Question[] {
  switch (locating.phase) {
    case "naptr":
      return [{ name: bare(locating.sought.host), type: "NAPTR" }];
    case "srv":
      return locating.services.map(({ name }) => ({ name, type: "SRV" }));
    case "addresses": {
      const names = [...new Set(locating.servers.map(({ host }) => host))].filter(
        (name) => ipFamily(name) === undefined,
      );
      const types = locating.sought.families.map((family) => (family === 4 ? "A" : "AAAA"));
      return names.flatMap((name) => types.map((type): Question => ({ name, type })));
    }
    case "located":
      return [];
  }
}

/** The next round. A question without an answer counts as one that found nothing. `random` as for {@link weightedOrder}. */
export function answered(locating: Locating, answers: readonly Answer[], random: () => number): Locating {
  switch (locating.phase) {
    case "naptr": {
      const [answer] = answers;
      const naptr = answer?.records.type === "NAPTR" ? answer.records.naptr : [];
      const found = servicesOf(naptr, locating.sought);
      // §4.1: without NAPTR, SRV is asked for each transport that can be spoken.
      return { phase: "srv", sought: locating.sought, services: found.length > 0 ? found : locating.services };
    }
    case "srv":
      return serversOf(locating, answers, random);
    case "addresses":
      return { phase: "located", hops: hopsOf(locating, answers) };
    case "located":
      return locating;
  }
}

function servicesOf(records: readonly NaptrRecord[], sought: Sought): readonly Service[] {
  const supported = allowed(sought);
  const usable = records.flatMap((record) => {
    const known = SERVICE_OF[record.service.toUpperCase()];
    if (known === undefined || record.flags.toLowerCase() !== "s" || record.replacement === "") return [];
    if (!supported.includes(known.transport) || (sought.secure && !known.secure)) return [];
    // §4.1: whoever can forge DNS must not lead a call that has to be secure into another domain.
    if (known.secure && !isUnder(record.replacement, bare(sought.host))) return [];
    return [{ record, transport: known.transport }];
  });
  const ordered = usable.sort((a, b) => a.record.order - b.record.order || a.record.preference - b.record.preference);
  const services = ordered.map(({ record, transport }) => ({ transport, name: record.replacement }));
  return services.slice(0, SERVICES_MAX);
}

function serversOf(
  { sought, services }: Extract<Locating, { phase: "naptr" | "srv" }>,
  answers: readonly Answer[],
  random: () => number,
): Locating {
  let refused = false;
  const servers = services.flatMap(({ transport, name }, place) => {
    const answer = answers.find(({ question }) => question.name === name);
    const srv = answer?.records.type === "SRV" ? answer.records.srv : [];
    // RFC 2782: a single "." says that there is no such service here.
    const real = srv.filter(({ target, port }) => target !== "" && target !== "." && port > 0);
    if (srv.length > 0 && real.length === 0) refused = true;
    return weightedOrder(real, random).map(
      ({ target, port, priority }: SrvRecord): Server => ({
        transport,
        host: target,
        port,
        rank: place * PRIORITIES + priority,
      }),
    );
  });
  if (servers.length > 0) return { phase: "addresses", sought, servers: servers.slice(0, SERVERS_MAX) };
  const transport = sought.transport ?? plain(allowed(sought));
  if (refused || transport === undefined) return { phase: "located", hops: [] };
  // §4.2: without SRV the name itself is asked for addresses, at the transport's own port.
  return {
    phase: "addresses",
    sought,
    servers: [{ transport, host: bare(sought.host), port: defaultPort(transport) }],
  };
}

function hopsOf(
  { sought, servers }: Extract<Locating, { phase: "addresses" }>,
  answers: readonly Answer[],
): readonly Hop[] {
  const hops = new Map<string, Hop>();
  for (const { transport, host, port, rank } of servers) {
    const found =
      ipFamily(host) === undefined
        ? answers.flatMap(({ question, records }) =>
            question.name === host && "addresses" in records ? records.addresses : [],
          )
        : [host];
    for (const text of found) {
      const address = canonicalAddress(text);
      if (address === undefined || !inFamilies(address, sought)) continue;
      const key = `${transport} ${address} ${port}`;
      if (!hops.has(key)) hops.set(key, { transport, address, port, server_name: sought.host, rank });
    }
  }
  return [...hops.values()].slice(0, HOPS_MAX);
}

const allowed = ({ supported, secure }: Sought): readonly Protocol[] =>
  secure ? supported.filter((transport) => transport === "tls") : supported;

/** §4.1: UDP where nothing says otherwise, if it can be spoken. */
const plain = (supported: readonly Protocol[]): Protocol | undefined =>
  supported.includes("udp") ? "udp" : supported[0];

const defaultPort = (transport: Protocol): number => (transport === "tls" ? 5061 : 5060);

const service = (transport: Protocol, host: string): Service => ({
  transport,
  name: `${transport === "tls" ? "_sips._tcp" : `_sip._${transport}`}.${bare(host)}`,
});

const bare = (host: string): string => host.toLowerCase().replace(/\.$/, "");

const isUnder = (name: string, domain: string): boolean => name === domain || name.endsWith(`.${domain}`);

const inFamilies = (address: string, { families }: Sought): boolean => {
  const family = ipFamily(address);
  return family !== undefined && families.includes(family);
};
