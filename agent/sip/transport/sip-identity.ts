import { parseUri } from "../messages/uri.ts";

/**
 * The SIP domains that a certificate speaks for (RFC 5922 §7.1), lower case: `sip:` URIs without a user part in
 * subjectAltName or, where there is none, its DNS names. The subject's common name, which the RFC lets one accept where
 * there is no subjectAltName, is not: no authority has vouched for it in years.
 *
 * @param altName subjectAltName as `X509Certificate` prints it: `DNS:a.example, URI:sip:a.example`.
 */
export function sipIdentities(altName: string | undefined): readonly string[] {
  const names = altName === undefined ? [] : splitNames(altName);
  const uris = names.flatMap(({ type, value }) => (type === "URI" ? domainOf(value) : []));
  return uris.length > 0 ? uris : names.flatMap(({ type, value }) => (type === "DNS" ? [canonical(value)] : []));
}

/**
 * RFC 5922 §7.2: the whole name, case aside, and no wildcard. A site whose provider has nothing but a certificate for
 * `*.provider.example` names exactly that as the identity it wants.
 */
export function provesDomain(identities: readonly string[], domain: string): boolean {
  return identities.includes(canonical(domain));
}

function domainOf(text: string): readonly string[] {
  const uri = parseUri(text);
  return uri?.scheme === "sip" && uri.user === undefined && uri.host !== "" ? [canonical(uri.host)] : [];
}

function canonical(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

/** A value with a comma, a quote or a control character in it is printed as a JSON string. */
function splitNames(text: string): { readonly type: string; readonly value: string }[] {
  const names: { type: string; value: string }[] = [];
  for (const match of text.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,"]*)/g)) {
    const [, type = "", printed = ""] = match;
    const value = printed.startsWith('"') ? unquoted(printed) : printed;
    if (value !== undefined) names.push({ type, value });
  }
  return names;
}

function unquoted(printed: string): string | undefined {
  try {
    const value: unknown = JSON.parse(printed);
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}
