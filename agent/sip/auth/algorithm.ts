import { createHash, timingSafeEqual } from "node:crypto";
import { encodeText } from "../messages/wire-text.ts";

/** The algorithms that are done. The -sess variants and SHA-512-256 (RFC 8760) are refused by name. */
export type Algorithm = "MD5" | "SHA-256";

const HASHES: Readonly<Record<Algorithm, string>> = { MD5: "md5", "SHA-256": "sha256" };

/** An `algorithm` parameter in any case; a missing one means MD5 (RFC 3261 §22.4). */
export function toAlgorithm(name: string | undefined): Algorithm | undefined {
  const upper = (name ?? "MD5").toUpperCase();
  return upper === "MD5" || upper === "SHA-256" ? upper : undefined;
}

export function hash(algorithm: Algorithm, text: string): string {
  return createHash(HASHES[algorithm]).update(encodeText(text)).digest("hex");
}

/** H(username:realm:password), the form in which secrets are provisioned (RFC 7616 §3.4.2). */
export function ha1Of(algorithm: Algorithm, username: string, realm: string, password: string): string {
  return hash(algorithm, `${username}:${realm}:${password}`);
}

/** What the response is made of besides the secret (RFC 7616 §3.4.1). */
export interface ResponseInput {
  readonly algorithm: Algorithm;
  readonly ha1: string;
  readonly method: string;
  readonly uri: string;
  readonly nonce: string;
  /** Undefined: the older form without nonce count (RFC 2069, allowed by RFC 3261 §22.4). */
  readonly qop?: { readonly nc: string; readonly cnonce: string };
}

export function responseOf({ algorithm, ha1, method, uri, nonce, qop }: ResponseInput): string {
  const ha2 = hash(algorithm, `${method}:${uri}`);
  const middle = qop === undefined ? nonce : `${nonce}:${qop.nc}:${qop.cnonce}:auth`;
  return hash(algorithm, `${ha1.toLowerCase()}:${middle}:${ha2}`);
}

/** Compares without telling by its duration where the texts differ; lengths may be told. */
export function sameText(a: string, b: string): boolean {
  const left = encodeText(a);
  const right = encodeText(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
