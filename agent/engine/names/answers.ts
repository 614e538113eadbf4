import type { Answer, Packet, Question } from "dns-packet";
import { onLink } from "../paths/link-facts.ts";

/** What the box answers of itself. Pure: a question in, an answer out, nothing asked of anybody. */
export interface OwnNames {
  /** Names by which phones reach the box, lower case. */
  readonly names: readonly string[];
  /** Where it is on the LAN that the question came from. */
  readonly address: string;
  readonly sip_port: number;
  /** Where phones may use TLS. */
  readonly tls_port?: number | undefined;
}

/** So short that a phone follows when the box is replaced, and asks again soon after an outage. */
export const OWN_TTL_S = 30;

/** Which of the cloud PBX's names is asked for: the name itself, or the place of its SRV records. */
export function cloudNameIn(question: string, names: readonly string[]): string | undefined {
  const asked = question
    .toLowerCase()
    .replace(/\.$/, "")
    .replace(/^_sips?\._(udp|tcp)\./, "");
  return names.find((name) => name === asked);
}

export type Decision =
  /** The box knows the answer, which may be that there is none (NODATA). */
  | { readonly kind: "own"; readonly answers: readonly Answer[] }
  | { readonly kind: "forward"; readonly question: Question }
  | { readonly kind: "refuse"; readonly rcode: "FORMERR" | "NOTIMP" | "REFUSED" }
  /** Not a question at all: no answer, so that nobody can bounce packets off the box. */
  | { readonly kind: "drop" };

const QUERY_OPCODE = "QUERY";

export function decide(packet: Packet, own: OwnNames): Decision {
  if (packet.type !== "query") return { kind: "drop" };
  if (opcodeOf(packet) !== QUERY_OPCODE) return { kind: "refuse", rcode: "NOTIMP" };
  const questions = packet.questions ?? [];
  const [question] = questions;
  if (question === undefined || questions.length !== 1) return { kind: "refuse", rcode: "FORMERR" };
  if (question.class !== undefined && question.class !== "IN") return { kind: "refuse", rcode: "REFUSED" };
  // Zone transfers and ANY are for those who want to learn or to amplify.
  if (REFUSED_TYPES.has(question.type)) return { kind: "refuse", rcode: "REFUSED" };
  const name = question.name.toLowerCase().replace(/\.$/, "");
  for (const ownName of own.names) {
    const answers = ownAnswers(name, question, ownName, own);
    if (answers !== undefined) return { kind: "own", answers };
  }
  return { kind: "forward", question };
}

const REFUSED_TYPES: ReadonlySet<string> = new Set(["ANY", "AXFR", "IXFR"]);

function opcodeOf(packet: Packet): string {
  return "opcode" in packet && typeof packet.opcode === "string" ? packet.opcode : QUERY_OPCODE;
}

/** Undefined when the name is not ours. Our own names without data of the type asked give []. */
function ownAnswers(name: string, question: Question, ownName: string, own: OwnNames): Answer[] | undefined {
  const v6 = own.address.includes(":");
  const ttl = OWN_TTL_S;
  if (name === ownName) {
    if (question.type === (v6 ? "AAAA" : "A")) {
      return [{ type: v6 ? "AAAA" : "A", name: question.name, ttl, class: "IN", data: own.address }];
    }
    if (question.type === "NAPTR") {
      return servicesOf(own).map(({ label, naptr }, i) => ({
        type: "NAPTR",
        name: question.name,
        ttl,
        class: "IN",
        data: {
          order: 10,
          preference: 10 * (i + 1),
          flags: "s",
          services: naptr,
          regexp: "",
          replacement: `${label}.${ownName}`,
        },
      }));
    }
    return [];
  }
  for (const { label, port } of servicesOf(own)) {
    if (name !== `${label}.${ownName}`) continue;
    if (question.type !== "SRV") return [];
    return [
      {
        type: "SRV",
        name: question.name,
        ttl,
        class: "IN",
        data: { priority: 10, weight: 10, port, target: ownName },
      },
    ];
  }
  // Whatever else lies under our name does not exist elsewhere either.
  return name.endsWith(`.${ownName}`) ? [] : undefined;
}

/** RFC 3263 §4.1: UDP first, as most phones of this kind are set, then TCP, then TLS. */
function servicesOf({ sip_port, tls_port }: OwnNames) {
  return [
    { label: "_sip._udp", naptr: "SIP+D2U", port: sip_port },
    { label: "_sip._tcp", naptr: "SIP+D2T", port: sip_port },
    ...(tls_port === undefined ? [] : [{ label: "_sips._tcp", naptr: "SIPS+D2T", port: tls_port }]),
  ];
}

/** Whether a source may ask: phones of the LAN's subnets only. */
export function mayAsk(source: string, subnets: readonly string[]): boolean {
  return onLink(
    source,
    subnets.flatMap((subnet) => {
      const [address, prefix] = subnet.split("/", 2);
      return address === undefined || prefix === undefined ? [] : [{ address, prefix: Number(prefix) }];
    }),
  );
}
