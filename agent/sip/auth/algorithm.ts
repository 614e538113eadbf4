import { createHash, timingSafeEqual } from "node:crypto";
import { encodeText } from "../messages/wire-text.ts";

/** The hash functions of RFC 8760 §2.1. */
export type Algorithm = "MD5" | "SHA-256" | "SHA-512-256";

const HASHES: Readonly<Record<Algorithm, string>> = { MD5: "md5", "SHA-256": "sha256", "SHA-512-256": "sha512-256" };

/** What an `algorithm` parameter says: the hash, and whether it is the -sess variant (RFC 7616 §3.4.2). */
export interface NamedAlgorithm {
  readonly algorithm: Algorithm;
  readonly session: boolean;
}

/** In any case; a missing one means MD5 (RFC 3261 §22.4). Undefined for one that we do not know. */
export function toAlgorithm(name: string | undefined): NamedAlgorithm | undefined {
  const upper = (name ?? "MD5").toUpperCase();
  const session = upper.endsWith("-SESS");
  const base = session ? upper.slice(0, -"-SESS".length) : upper;
  return base === "MD5" || base === "SHA-256" || base === "SHA-512-256" ? { algorithm: base, session } : undefined;
}

export function hash(algorithm: Algorithm, content: string | Uint8Array): string {
  const bytes = typeof content === "string" ? encodeText(content) : content;
  return createHash(HASHES[algorithm]).update(bytes).digest("hex");
}

/** H(username:realm:password), the form in which secrets are provisioned (RFC 7616 §3.4.2). */
export function ha1Of(algorithm: Algorithm, username: string, realm: string, password: string): string {
  return hash(algorithm, `${username}:${realm}:${password}`);
}

/** What the response is made of besides the secret (RFC 7616 §3.4.1). */
export interface ResponseInput extends NamedAlgorithm {
  readonly ha1: string;
  readonly method: string;
  readonly uri: string;
  readonly nonce: string;
  /** Undefined: the older form without nonce count (RFC 2069, allowed by RFC 3261 §22.4). */
  readonly qop?: {
    readonly nc: string;
    readonly cnonce: string;
    /** With it the quality is `auth-int`: the body is covered too (RFC 7616 §3.4.3). */
    readonly body?: Uint8Array;
  };
  /** Of the -sess variants without qop. */
  readonly cnonce?: string;
}

export function responseOf(input: ResponseInput): string {
  const { algorithm, session, method, uri, nonce, qop } = input;
  const secret = input.ha1.toLowerCase();
  const a1 = session ? hash(algorithm, `${secret}:${nonce}:${qop?.cnonce ?? input.cnonce ?? ""}`) : secret;
  const a2 = `${method}:${uri}${qop?.body === undefined ? "" : `:${hash(algorithm, qop.body)}`}`;
  const quality = qop?.body === undefined ? "auth" : "auth-int";
  const middle = qop === undefined ? nonce : `${nonce}:${qop.nc}:${qop.cnonce}:${quality}`;
  return hash(algorithm, `${a1}:${middle}:${hash(algorithm, a2)}`);
}

/** Compares without telling by its duration where the texts differ; lengths may be told. */
export function sameText(a: string, b: string): boolean {
  const left = encodeText(a);
  const right = encodeText(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
