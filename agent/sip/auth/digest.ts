import { isToken, quote, splitOutside, unquote } from "../messages/syntax.ts";
import { type Algorithm, ha1Of, hash, responseOf, sameText, toAlgorithm } from "./algorithm.ts";
import type { NonceBook } from "./nonce-book.ts";

export { type Algorithm, ha1Of, toAlgorithm } from "./algorithm.ts";
export { NonceBook, type NonceUse } from "./nonce-book.ts";

/** WWW-Authenticate or Proxy-Authenticate with scheme Digest (RFC 3261 §22, RFC 7616, RFC 8760). */
export interface Challenge {
  readonly realm: string;
  readonly nonce: string;
  readonly opaque?: string;
  /** As written; undefined means MD5. */
  readonly algorithm?: string;
  /** Offered qualities of protection in lower case; [] when none was named. */
  readonly qop: readonly string[];
  /** The former response was right, only its nonce was not fresh: answer again without asking for a password. */
  readonly stale: boolean;
  /** The user name is to be sent hashed (RFC 7616 §3.4.4). */
  readonly userhash?: boolean;
}

/** Authorization or Proxy-Authorization with scheme Digest. */
export interface Authorization {
  readonly username: string;
  readonly realm: string;
  readonly nonce: string;
  readonly uri: string;
  readonly response: string;
  readonly opaque?: string;
  readonly algorithm?: string;
  readonly qop?: string;
  /** Eight hexadecimal digits as written. */
  readonly nc?: string;
  readonly cnonce?: string;
  /** "true": `username` is a hash (RFC 7616 §3.4.4). */
  readonly userhash?: string;
}

/**
 * The parameters of a Digest header, names in lower case, values without quotes. Undefined for another scheme, a
 * parameter that is none, or one that stands twice.
 */
function digestParams(value: string): Map<string, string> | undefined {
  const scheme = /^digest[ \t]+/i.exec(value);
  if (scheme === null) return undefined;
  const params = new Map<string, string>();
  for (const piece of splitOutside(value.slice(scheme[0].length), ",")) {
    if (piece === "") continue;
    const equal = piece.indexOf("=");
    const name = piece.slice(0, Math.max(0, equal)).trim().toLowerCase();
    if (!isToken(name) || params.has(name)) return undefined;
    params.set(name, unquote(piece.slice(equal + 1).trim()));
  }
  return params;
}

/** The entries of `names` that are there, as optional properties. */
function pick<Name extends string>(params: Map<string, string>, names: readonly Name[]): { [K in Name]?: string } {
  const out: { [K in Name]?: string } = {};
  for (const name of names) {
    const value = params.get(name);
    if (value !== undefined) out[name] = value;
  }
  return out;
}

/** Undefined when it is not Digest or lacks realm or nonce. */
export function parseChallenge(value: string): Challenge | undefined {
  const params = digestParams(value);
  const realm = params?.get("realm");
  const nonce = params?.get("nonce");
  if (params === undefined || realm === undefined || nonce === undefined) return undefined;
  const qop = (params.get("qop") ?? "").split(",").map((each) => each.trim().toLowerCase());
  return {
    realm,
    nonce,
    ...pick(params, ["opaque", "algorithm"]),
    qop: qop.filter((each) => each !== ""),
    stale: params.get("stale")?.toLowerCase() === "true",
    ...(params.get("userhash")?.toLowerCase() === "true" ? { userhash: true } : {}),
  };
}

/** Undefined when it is not Digest or lacks username, realm, nonce, uri or response. */
export function parseAuthorization(value: string): Authorization | undefined {
  const params = digestParams(value);
  if (params === undefined) return undefined;
  const { username, realm, nonce, uri, response, ...others } = pick(params, [
    "username",
    "realm",
    "nonce",
    "uri",
    "response",
    "opaque",
    "algorithm",
    "qop",
    "nc",
    "cnonce",
    "userhash",
  ]);
  if (username === undefined || realm === undefined || nonce === undefined) return undefined;
  if (uri === undefined || response === undefined) return undefined;
  return { username, realm, nonce, uri, response, ...others };
}

/** Why a challenge cannot be answered; undefined when it can. */
function refusal({ algorithm, qop }: Challenge): string | undefined {
  if (toAlgorithm(algorithm) === undefined) return `unsupported algorithm ${algorithm}`;
  if (qop.length > 0 && !qop.includes("auth") && !qop.includes("auth-int")) return `unsupported qop ${qop.join(",")}`;
  return undefined;
}

/** The first challenge of a response that can be answered: servers send the one they like best first (RFC 8760 §2.4). */
export function chooseChallenge(values: readonly string[]): Challenge | undefined {
  for (const value of values) {
    const challenge = parseChallenge(value);
    if (challenge !== undefined && refusal(challenge) === undefined) return challenge;
  }
  return undefined;
}

/** A password, or H(username:realm:password) made with the algorithm in use, in hexadecimal. */
export type Secret = { readonly password: string } | { readonly ha1: string };

export type AnswerInput = Secret & {
  readonly challenge: Challenge;
  readonly method: string;
  /** The Request-URI as it goes on the wire. */
  readonly uri: string;
  readonly username: string;
  /** How often this nonce has been used, this time included: 1, 2, … */
  readonly nc: number;
  readonly cnonce: string;
  /** The request's body: a server that offers `auth-int` alone wants it covered. Default none. */
  readonly body?: Uint8Array;
};

export type Answer = { readonly ok: true; readonly value: string } | { readonly ok: false; readonly reason: string };

/** The value for Authorization (after 401) or Proxy-Authorization (after 407). */
export function answerChallenge(input: AnswerInput): Answer {
  const { challenge, method, uri, username, cnonce } = input;
  const named = toAlgorithm(challenge.algorithm);
  const reason = refusal(challenge);
  if (named === undefined || reason !== undefined) return { ok: false, reason: reason ?? "unsupported algorithm" };
  const { algorithm, session } = named;
  const { nonce, realm } = challenge;
  const ha1 = "ha1" in input ? input.ha1 : ha1Of(algorithm, username, realm, input.password);
  const nc = input.nc.toString(16).padStart(8, "0");
  const counted = challenge.qop.length > 0;
  // `auth` where there is a choice: a proxy on the way may have to change a body, and `auth-int` would not let it.
  const whole = counted && !challenge.qop.includes("auth");
  const qop = { nc, cnonce, ...(whole ? { body: input.body ?? new Uint8Array(0) } : {}) };
  const response = responseOf({ ...named, ha1, method, uri, nonce, cnonce, ...(counted ? { qop } : {}) });
  const user = challenge.userhash === true ? hash(algorithm, `${username}:${realm}`) : username;
  // Quoted or not as RFC 3261 §25.1 has it: some peers refuse a quoted algorithm, qop or nc.
  const params = [
    `username=${quote(user)}`,
    `realm=${quote(realm)}`,
    `nonce=${quote(nonce)}`,
    `uri=${quote(uri)}`,
    `response="${response}"`,
  ];
  if (challenge.algorithm !== undefined) params.push(`algorithm=${algorithm}${session ? "-sess" : ""}`);
  if (counted) params.push(`qop=${whole ? "auth-int" : "auth"}`, `nc=${nc}`);
  if (counted || session) params.push(`cnonce=${quote(cnonce)}`);
  if (challenge.opaque !== undefined) params.push(`opaque=${quote(challenge.opaque)}`);
  if (challenge.userhash === true) params.push("userhash=true");
  return { ok: true, value: `Digest ${params.join(", ")}` };
}

export type VerifyInput = Secret & {
  readonly authorization: Authorization;
  /** The request's method. */
  readonly method: string;
  /** Ours; credentials for another one are wrong. */
  readonly realm: string;
  readonly nonces: NonceBook;
  /** The algorithms that were offered; `ha1` is of the first. Default MD5 alone. */
  readonly algorithms?: readonly Algorithm[];
};

export type Verdict =
  | { readonly ok: true }
  /**
   * "stale": the response is right but its nonce is not fresh (expired, unknown, used before): challenge with
   * stale=true. "wrong": challenge anew. "unsupported": an algorithm, qop or user hash that was not offered.
   */
  | { readonly ok: false; readonly reason: "stale" | "wrong" | "unsupported"; readonly detail: string };

const NC = /^[0-9a-f]{8}$/i;

/**
 * Checks a request's credentials (RFC 7616 §3.4.6). The response is checked first and in constant time, the nonce after
 * it, so that a stranger learns nothing from either. The digest's own `uri` is hashed and not held against the
 * Request-URI: proxies on the way may have rewritten that, and the nonce count already refuses a replay.
 */
export function verifyDigest(input: VerifyInput): Verdict {
  const { authorization, method, realm, nonces } = input;
  const named = toAlgorithm(authorization.algorithm);
  const algorithm = named === undefined || named.session ? undefined : named.algorithm;
  const offered = input.algorithms ?? ["MD5"];
  if (algorithm === undefined || !offered.includes(algorithm) || ("ha1" in input && algorithm !== offered[0])) {
    return { ok: false, reason: "unsupported", detail: `algorithm ${authorization.algorithm ?? "MD5"}` };
  }
  const { username, nonce, uri, qop, nc = "", cnonce } = authorization;
  if (authorization.userhash?.toLowerCase() === "true") return { ok: false, reason: "unsupported", detail: "userhash" };
  if (qop !== undefined && qop.toLowerCase() !== "auth")
    return { ok: false, reason: "unsupported", detail: `qop ${qop}` };
  if (qop !== undefined && (cnonce === undefined || !NC.test(nc))) {
    return { ok: false, reason: "wrong", detail: "qop without nc and cnonce" };
  }
  const ha1 = "ha1" in input ? input.ha1 : ha1Of(algorithm, username, realm, input.password);
  const counted = qop === undefined || cnonce === undefined ? {} : { qop: { nc, cnonce } };
  const expected = responseOf({ algorithm, session: false, ha1, method, uri, nonce, ...counted });
  const matches = sameText(expected, authorization.response.toLowerCase());
  if (!matches || authorization.realm !== realm) return { ok: false, reason: "wrong", detail: "response" };
  const use = nonces.use(nonce, qop === undefined ? undefined : Number.parseInt(nc, 16));
  return use === "fresh" ? { ok: true } : { ok: false, reason: "stale", detail: `nonce ${use}` };
}

/** A value for WWW-Authenticate or Proxy-Authenticate with qop="auth" and a new nonce. */
export function makeChallenge(input: {
  readonly realm: string;
  readonly nonces: NonceBook;
  readonly algorithm?: Algorithm;
  readonly stale?: boolean;
}): string {
  const stale = input.stale === true ? ", stale=true" : "";
  const nonce = input.nonces.issue();
  return `Digest realm=${quote(input.realm)}, nonce="${nonce}", algorithm=${input.algorithm ?? "MD5"}, qop="auth"${stale}`;
}
