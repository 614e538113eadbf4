import { header } from "./headers.ts";
import type { SipMessage } from "./message.ts";
import { type Params, parseParams, printParams } from "./params.ts";
import { firstElement, parseHostPort } from "./syntax.ts";

/** One Via element (RFC 3261 §20.42). */
export interface Via {
  /** As received: "UDP", "TCP", "TLS", … */
  readonly transport: string;
  /** sent-by; IPv6 references keep their brackets. */
  readonly host: string;
  readonly port?: number;
  /** branch, received, rport, maddr, ttl and unknown ones. */
  readonly params: Params;
  /** Only when it is not "SIP/2.0". */
  readonly protocol?: string;
}

const PROTOCOL =
  /^([A-Za-z0-9\-.!%*_+`'~]+)[ \t]*\/[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]*\/[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]+/;

export function parseVia(text: string): Via | undefined {
  const match = PROTOCOL.exec(text);
  if (match === null) return undefined;
  const from = match[0].length;
  const semicolon = text.indexOf(";", from);
  const sentBy = parseHostPort(text.slice(from, semicolon < 0 ? undefined : semicolon).trim());
  const params = parseParams(semicolon < 0 ? "" : text.slice(semicolon));
  if (sentBy === undefined || params === undefined) return undefined;
  const transport = match[3] ?? "";
  const protocol = `${match[1]}/${match[2]}`;
  return protocol === "SIP/2.0" ? { transport, ...sentBy, params } : { transport, ...sentBy, params, protocol };
}

export function printVia({ transport, host, port, params, protocol }: Via): string {
  return `${protocol ?? "SIP/2.0"}/${transport} ${host}${port === undefined ? "" : `:${port}`}${printParams(params)}`;
}

/** The topmost Via element; undefined when there is none or it cannot be read. */
export function topVia(message: SipMessage): Via | undefined {
  const value = header(message, "Via");
  if (value === undefined) return undefined;
  return parseVia(value.includes(",") ? firstElement(value).first : value);
}
