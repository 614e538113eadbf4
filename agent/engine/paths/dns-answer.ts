import { decode, encode, type NaptrData, type Packet, RECURSION_DESIRED, type SrvData } from "dns-packet";
import type { NaptrRecord, Question, Records, SrvRecord } from "../../sip/locating/records.ts";
import { canonicalAddress } from "../../sip/transport/ip-address.ts";

/** What a name server's bytes say to one question of ours. Everything in them is hostile until checked here. */
export type DnsReading =
  | { readonly kind: "found"; readonly records: Records; readonly ttl_s: number }
  /** No such name, or none of its records is of this type. */
  | { readonly kind: "none"; readonly ttl_s: number }
  /** More than a datagram holds: ask again over TCP (RFC 7766). */
  | { readonly kind: "truncated" }
  /** The server cannot say: another may. */
  | { readonly kind: "failed"; readonly detail: string; readonly silent?: true };

/** More than any real set: what comes after is not read. */
const RECORDS_MAX = 64;
const CNAMES_MAX = 8;
const ANSWER_BYTES = 16_384;
/** RFC 6891, at the size that no path fragments. */
const EDNS_BYTES = 1_232;
/** For "none" from a server that does not say how long that holds. */
const NONE_TTL_S = 60;

const NOERROR = 0;
const NXDOMAIN = 3;
const TRUNCATED = 0x0200;

export function encodeQuestion(id: number, question: Question): Uint8Array {
  return encode({
    type: "query",
    id,
    flags: RECURSION_DESIRED,
    questions: [question],
    additionals: [
      {
        type: "OPT",
        name: ".",
        udpPayloadSize: EDNS_BYTES,
        flags: 0,
        flag_do: false,
        ednsVersion: 0,
        options: [],
        extendedRcode: 0,
      },
    ],
  });
}

/**
 * Undefined for bytes that are no DNS message, or more than any honest one of ours: names may point at names, so that the
 * time to read them grows with the square of the size. Never throws.
 */
export function readPacket(bytes: Uint8Array, most_bytes = ANSWER_BYTES): Packet | undefined {
  if (bytes.length < 12 || bytes.length > most_bytes) return undefined;
  try {
    return decode(Buffer.from(bytes));
  } catch {
    return undefined;
  }
}

/** Whether these bytes answer our question: a forger must guess id and port, and cannot change the subject. */
export function answersQuestion(bytes: Uint8Array, id: number, question: { name: string; type: string }): boolean {
  const packet = readPacket(bytes);
  const [asked] = packet?.questions ?? [];
  return (
    packet?.type === "response" &&
    packet.id === id &&
    asked !== undefined &&
    asked.type === question.type &&
    asked.name.toLowerCase() === question.name.toLowerCase()
  );
}

export function readAnswer(bytes: Uint8Array, question: Question): DnsReading {
  const packet = readPacket(bytes);
  if (packet === undefined) return { kind: "failed", detail: "unreadable" };
  const flags = packet.flags ?? 0;
  const rcode = flags & 15;
  if ((flags & TRUNCATED) !== 0) return { kind: "truncated" };
  if (rcode === NXDOMAIN) return { kind: "none", ttl_s: negativeTtl(packet) };
  if (rcode !== NOERROR) return { kind: "failed", detail: `response code ${rcode}` };
  const all = (packet.answers ?? []).slice(0, RECORDS_MAX * 2);
  const owner = followCnames(question.name, all);
  if (owner === undefined) return { kind: "failed", detail: "the CNAMEs lead nowhere" };
  const own = all
    .filter(({ type, name }) => type === question.type && nameOf(name) === owner.name)
    .slice(0, RECORDS_MAX);
  const records = recordsOf(question.type, own);
  if (countOf(records) > 0) {
    return { kind: "found", records, ttl_s: Math.min(owner.ttl_s, ...own.map(ttlOf)) };
  }
  if (own.length > 0) return { kind: "failed", detail: "no record in it is well-formed" };
  return { kind: "none", ttl_s: negativeTtl(packet) };
}

type Resource = NonNullable<Packet["answers"]>[number];

function followCnames(
  name: string,
  all: readonly Resource[],
): { readonly name: string; readonly ttl_s: number } | undefined {
  const seen = new Set<string>();
  let at = nameOf(name);
  let ttl_s = Number.POSITIVE_INFINITY;
  for (let step = 0; step <= CNAMES_MAX; step++) {
    if (seen.has(at)) return undefined;
    seen.add(at);
    const alias = all.find((each) => each.type === "CNAME" && nameOf(each.name) === at);
    if (alias?.type !== "CNAME") return { name: at, ttl_s };
    ttl_s = Math.min(ttl_s, ttlOf(alias));
    at = nameOf(alias.data);
  }
  return undefined;
}

function recordsOf(type: Question["type"], own: readonly Resource[]): Records {
  switch (type) {
    case "NAPTR":
      return { type, naptr: own.flatMap((each) => (each.type === "NAPTR" ? naptrOf(each.data) : [])) };
    case "SRV":
      return { type, srv: own.flatMap((each) => (each.type === "SRV" ? srvOf(each.data) : [])) };
    case "A":
    case "AAAA":
      return { type, addresses: own.flatMap((each) => (each.type === type ? addressOf(each.data) : [])) };
  }
}

export function countOf(records: Records): number {
  return records.type === "NAPTR"
    ? records.naptr.length
    : records.type === "SRV"
      ? records.srv.length
      : records.addresses.length;
}

function naptrOf(data: NaptrData): NaptrRecord[] {
  const { order, preference } = data;
  const replacement = nameOf(String(data.replacement ?? ""));
  if (!isSixteenBit(order) || !isSixteenBit(preference) || !isHostName(replacement)) return [];
  const texts = {
    flags: String(data.flags ?? ""),
    service: String(data.services ?? ""),
    regexp: String(data.regexp ?? ""),
  };
  return [{ order, preference, ...texts, replacement }];
}

function srvOf(data: SrvData): SrvRecord[] {
  const { priority, weight, port } = data;
  const target = nameOf(String(data.target ?? ""));
  // An empty target is the root: "there is no such service" (RFC 2782).
  if (!isSixteenBit(priority ?? 0) || !isSixteenBit(weight ?? 0) || !isSixteenBit(port)) return [];
  if (target !== "" && !isHostName(target)) return [];
  return [{ priority: Number(priority ?? 0), weight: Number(weight ?? 0), port, target }];
}

/** Nobody's server has the address of all, of none, or of a group. */
function addressOf(data: unknown): string[] {
  const address = typeof data === "string" ? canonicalAddress(data) : undefined;
  if (address === undefined || /^(0\.|22[4-9]\.|2[3-5]\d\.|ff)/.test(address) || address === "::") return [];
  return [address];
}

const isSixteenBit = (value: unknown): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 65_535;

const isHostName = (name: string): boolean =>
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*)(\.[a-z0-9_][a-z0-9_-]*)*$/.test(name);

const nameOf = (name: string): string => name.toLowerCase().replace(/\.$/, "");

function ttlOf(record: Resource): number {
  return "ttl" in record && typeof record.ttl === "number" && record.ttl >= 0 ? record.ttl : 0;
}

/** RFC 2308 §5: the lesser of the SOA's own time to live and its minimum. */
function negativeTtl(packet: Packet): number {
  const soa = (packet.authorities ?? []).find((each) => each.type === "SOA");
  if (soa?.type !== "SOA") return NONE_TTL_S;
  return Math.min(ttlOf(soa), soa.data.minimum ?? NONE_TTL_S);
}
