import { buildResponse } from "../messages/build.ts";
import { contentType, header, headerList, headerValues, parseContentType } from "../messages/headers.ts";
import type { Header, SipRequest, SipResponse } from "../messages/message.ts";
import { parseMultipart, partHeader } from "../messages/multipart.ts";
import { paramValue, parseParams } from "../messages/params.ts";
import { schemeOf } from "../messages/uri.ts";

/** What a user agent server understands (RFC 3261 §8.2), in the words of its Allow, Supported and Accept. */
export interface UasAbilities {
  /** In the order of Allow; case-sensitive (§7.1). */
  readonly methods: readonly string[];
  /** URI schemes of a Request-URI, in lower case. */
  readonly schemes: readonly string[];
  /** Option tags, in lower case. */
  readonly extensions: readonly string[];
  /** Media types of bodies that it reads and gives, in lower case. Multipart ones are looked into. */
  readonly contentTypes: readonly string[];
}

/** The methods of the IANA registry: such a one that we do not allow is 405, any other 501 (§21.4.6, §21.5.2). */
const REGISTERED_METHODS: ReadonlySet<string> = new Set(
  "ACK BYE CANCEL INFO INVITE MESSAGE NOTIFY OPTIONS PRACK PUBLISH REFER REGISTER SUBSCRIBE UPDATE".split(" "),
);

/**
 * The checks of RFC 3261 §8.2.1 to §8.2.3 in their order, and whether the answer could be of a type that the client
 * accepts (§21.4.7). The response to refuse the request with; undefined when there is nothing to refuse. Merged
 * requests (§8.2.2.2) are {@link MergedRequests}'s matter, authentication (§8.2) is the caller's.
 */
export function inspectRequest(request: SipRequest, abilities: UasAbilities): SipResponse | undefined {
  const refuse = (status: number, ...headers: Header[]) => buildResponse(request, status, { headers });
  if (!abilities.methods.includes(request.method)) {
    return refuse(REGISTERED_METHODS.has(request.method) ? 405 : 501, {
      name: "Allow",
      value: abilities.methods.join(", "),
    });
  }
  if (!abilities.schemes.includes(schemeOf(request.uri) ?? "")) return refuse(416);
  const missing = unsupportedTags(request, "Require", abilities.extensions);
  if (missing.length > 0) return refuse(420, { name: "Unsupported", value: missing.join(", ") });
  const accept: Header = { name: "Accept", value: abilities.contentTypes.join(", ") };
  if (isEncoded(request)) return refuse(415, accept, { name: "Accept-Encoding", value: "identity" });
  if (!isReadable(request, abilities.contentTypes)) return refuse(415, accept);
  if (request.method === "INVITE" && !accepts(request, abilities.contentTypes)) return refuse(406);
  return undefined;
}

/** Option tags that `name` (Require or Proxy-Require) asks for and that are not among `known`. None of ACK and CANCEL. */
export function unsupportedTags(request: SipRequest, name: string, known: readonly string[]): readonly string[] {
  if (request.method === "ACK" || request.method === "CANCEL") return [];
  return headerList(request, name).filter((tag) => !known.includes(tag.toLowerCase()));
}

function isEncoded(request: SipRequest): boolean {
  const encoding = header(request, "Content-Encoding");
  return request.body.length > 0 && encoding !== undefined && encoding.trim().toLowerCase() !== "identity";
}

/** §8.2.3: a body that need not be understood (`handling=optional`) is no reason to refuse. */
function isReadable(request: SipRequest, types: readonly string[]): boolean {
  if (request.body.length === 0 || isOptional(header(request, "Content-Disposition"))) return true;
  const type = contentType(request)?.type;
  if (type === undefined) return header(request, "Content-Type") === undefined;
  if (types.includes(type)) return true;
  if (!type.startsWith("multipart/")) return false;
  return parseMultipart(header(request, "Content-Type") ?? "", request.body).some((part) =>
    types.includes(parseContentType(partHeader(part, "Content-Type") ?? "text/plain")?.type ?? ""),
  );
}

function isOptional(disposition: string | undefined): boolean {
  const semicolon = disposition?.indexOf(";") ?? -1;
  const params = disposition === undefined || semicolon < 0 ? undefined : parseParams(disposition.slice(semicolon));
  return params !== undefined && paramValue(params, "handling")?.toLowerCase() === "optional";
}

/** §20.1: no Accept means application/sdp, an empty one that nothing is accepted. */
function accepts(request: SipRequest, types: readonly string[]): boolean {
  if (headerValues(request, "Accept").length === 0) return true;
  return headerList(request, "Accept").some((value) => {
    const range = parseContentType(value);
    if (range === undefined || paramValue(range.params, "q") === "0") return false;
    const [kind, subtype] = range.type.split("/");
    return (
      kind === "*" || types.some((type) => type === range.type || (subtype === "*" && type.startsWith(`${kind}/`)))
    );
  });
}
