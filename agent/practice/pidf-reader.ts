import { contentType, headerList } from "../sip/messages/headers.ts";
import type { SipRequest } from "../sip/messages/message.ts";
import { parseMultipart, partHeader } from "../sip/messages/multipart.ts";
import { decodeText } from "../sip/messages/wire-text.ts";

/** Civic address elements (RFC 5139) by name, as a receiver of the call reads them. */
export type ReadAddress = Readonly<Record<string, string>>;

/**
 * The address that a call brought: the PIDF-LO that its Geolocation header points to in the body (RFC 6442), else the
 * first one there. Undefined when there is none. An answering point of its own making: it knows nothing of who wrote it.
 */
export function addressOf(invite: SipRequest): ReadAddress | undefined {
  const type = contentType(invite);
  const value = type === undefined ? undefined : invite.headers.find(({ name }) => /^(content-type|c)$/i.test(name));
  if (type === undefined || value === undefined) return undefined;
  if (type.type === "application/pidf+xml") return civicIn(decodeText(invite.body));
  const parts = parseMultipart(value.value, invite.body).filter((part) =>
    (partHeader(part, "Content-Type") ?? "").toLowerCase().startsWith("application/pidf+xml"),
  );
  const wanted = headerList(invite, "Geolocation")
    .map((each) => /<cid:([^>]+)>/i.exec(each)?.[1])
    .find((cid) => cid !== undefined);
  const part = parts.find((each) => partHeader(each, "Content-ID") === `<${wanted ?? ""}>`) ?? parts[0];
  return part === undefined ? undefined : civicIn(decodeText(part.body));
}

/** Elements of the first civicAddress, whatever prefix its namespace has. */
export function civicIn(xml: string): ReadAddress | undefined {
  const body = /<(?:[\w-]+:)?civicAddress\b[^>]*>([\s\S]*?)<\/(?:[\w-]+:)?civicAddress>/.exec(xml)?.[1];
  if (body === undefined) return undefined;
  const found: Record<string, string> = {};
  for (const [, name = "", text = ""] of body.matchAll(/<(?:[\w-]+:)?(\w{1,10})>([^<]{0,200})<\//g)) {
    found[name] ??= unescapeXml(text);
  }
  return Object.keys(found).length > 0 ? found : undefined;
}

/** In the order in which a dispatcher reads it. */
export function addressText(address: ReadAddress): string {
  const join = (names: readonly string[], separator: string) =>
    names
      .map((name) => address[name])
      .filter((text) => text !== undefined)
      .join(separator);
  const named = (name: string, word: string) => (address[name] === undefined ? "" : `${word} ${address[name]}`);
  const inside = [
    named("BLD", "building"),
    named("FLR", "floor"),
    named("UNIT", "unit"),
    named("ROOM", "room"),
    address.LOC ?? "",
  ];
  return [
    join(["HNO", "HNS", "PRD", "RD", "STS", "POD"], " "),
    ...inside.filter((text) => text !== ""),
    join(["A3", "A1", "PC"], " "),
    join(["NAM"], ""),
  ]
    .filter((text) => text !== "")
    .join(", ");
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => ENTITIES[name] ?? "");
}
