import { existsSync } from "node:fs";
import rateLimit from "@fastify/rate-limit";
import { fastifySSE as sse } from "@fastify/sse";
import statics from "@fastify/static";
import swagger from "@fastify/swagger";
import Fastify, { type FastifyInstance } from "fastify";
import { errorText, isHoldfastError } from "../../base/errors.ts";
import { RefusedError } from "../../base/link/channel.ts";
import type { Log } from "../../base/log.ts";
import type { Operations, Role } from "../operations/operations.ts";
import type { Store } from "../store/store.ts";
import type { StreamSource } from "./event-stream.ts";
import { routes } from "./routes.ts";
import { guardRequests } from "./security.ts";

const REQUESTS_PER_MINUTE = 600;
/** HTTP status of a refusal; what the other process refuses for its own reasons is a conflict (409). */
const STATUS_OF = new Map<string, number>([
  ["operation.refused", 403],
  ["link.closed", 503],
  ["link.timeout", 504],
]);

export interface ApiContext {
  readonly practice: boolean;
  readonly version: string;
  readonly log: Log;
  readonly operations: Operations;
  readonly store: Pick<
    Store,
    "recentEvents" | "eventsAfter" | "calls" | "drills" | "callCounts" | "undelivered_dropped" | "fault"
  >;
  readonly stream: StreamSource;
  /** Names and addresses by which this box may be asked for. */
  ownHosts(): ReadonlySet<string>;
  /** Roles that a bearer token stands for. */
  rolesOf(token: string): ReadonlySet<Role>;
  readonly locations: () => readonly unknown[];
  /** UPnP device description; undefined before there is a site file. */
  description(): string | undefined;
  /** Folder of the built status page. */
  readonly web_root: string;
}

/** Adapter: HTTP by fastify. The application, not yet listening: tests put requests into it with `inject`. */
export async function buildApi(context: ApiContext): Promise<FastifyInstance> {
  const app = Fastify({
    bodyLimit: 16 * 1024,
    requestTimeout: 10_000,
    keepAliveTimeout: 10_000,
    forceCloseConnections: true,
    logger: false,
    // Additional properties are an error, not silently dropped, and texts are not made numbers.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
  });
  guardRequests(app, () => context.ownHosts());
  await app.register(rateLimit, { max: REQUESTS_PER_MINUTE, timeWindow: 60_000 });
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: context.practice ? "Holdfast (PRACTICE)" : "Holdfast",
        version: context.version,
        description: "The box's own interface. Each route names the role it needs in x-holdfast-roles.",
      },
      components: { securitySchemes: { role_token: { type: "http", scheme: "bearer" } } },
    },
  });
  await app.register(sse, { heartbeatInterval: 0 });
  app.setErrorHandler((error: Error, _request, reply) => {
    if (isHoldfastError(error) || error instanceof RefusedError) {
      const status = STATUS_OF.get(error.code) ?? 409;
      return reply.code(status).send({ error: error.code, detail: error.detail });
    }
    const status = (error as { statusCode?: number }).statusCode ?? 500;
    if (status >= 500) context.log.error("api: a request failed", { detail: errorText(error) });
    const detail = status >= 500 ? "The request failed; the box's log says why." : errorText(error);
    return reply.code(status).send({ error: status === 429 ? "rate" : "request", detail });
  });
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send({ error: "route", detail: "There is nothing here." }),
  );
  await app.register(async (scope) => routes(scope, context));
  if (existsSync(context.web_root)) {
    await app.register(statics, { root: context.web_root, cacheControl: true, maxAge: 0 });
  } else {
    app.get("/", { schema: { hide: true } }, async (_request, reply) =>
      reply.type("text/plain; charset=utf-8").send("The status page is not built. The API is at /api/v1/status.\n"),
    );
  }
  await app.ready();
  return app;
}
