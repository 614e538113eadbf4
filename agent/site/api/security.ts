import type { FastifyInstance, FastifyRequest } from "fastify";
import { isLoopback } from "../../base/practice-guard.ts";

const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
};

/** The host part of a Host header or an origin's authority, lower case, without port and brackets. */
export function hostName(authority: string): string {
  const bracketed = /^\[([^\]]+)\](:[0-9]+)?$/.exec(authority);
  return (bracketed?.[1] ?? authority.replace(/:[0-9]+$/, "")).toLowerCase();
}

/** Loopback is always ours; other names and addresses must be the box's own. */
export function hostAllowed(authority: string | undefined, own: ReadonlySet<string>): boolean {
  if (authority === undefined) return false;
  const host = hostName(authority);
  return isLoopback(host) || own.has(host);
}

/**
 * A page of another origin must not act through a visitor's browser: browsers name the origin on every POST, and say
 * in Sec-Fetch-Site whether it is the page's own. Programs that are no browsers send neither and need a token anyway.
 */
export function originAllowed(request: FastifyRequest): boolean {
  const site = request.headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") return false;
  const origin = request.headers.origin;
  if (origin === undefined) return true;
  try {
    return new URL(origin).host.toLowerCase() === (request.headers.host ?? "").toLowerCase();
  } catch {
    return false;
  }
}

/** Host allow-list against DNS rebinding, origin check on everything that acts, and headers that confine the page. */
export function guardRequests(app: FastifyInstance, ownHosts: () => ReadonlySet<string>): void {
  app.addHook("onRequest", async (request, reply) => {
    reply.headers(HEADERS);
    if (!hostAllowed(request.headers.host, ownHosts())) {
      return reply.code(421).send({ error: "host", detail: "This box does not answer to that host name." });
    }
    if (request.method !== "GET" && request.method !== "HEAD" && !originAllowed(request)) {
      return reply.code(403).send({ error: "origin", detail: "Requests from other sites' pages are not accepted." });
    }
    return undefined;
  });
}
