import type { FastifyInstance, FastifyRequest } from "fastify";
import { type TSchema, Type } from "typebox";
import { isLoopback } from "../../base/practice-guard.ts";
import {
  drillStart,
  drillStop,
  type Operation,
  type Operator,
  perform,
  practiceCable,
  practiceCall,
  ROLES,
  type Role,
  statusRead,
} from "../operations/operations.ts";
import type { ApiContext } from "./app.ts";
import { type Shown, serveStream } from "./event-stream.ts";
import { eventForAnyone, statusForAnyone } from "./masking.ts";
import { renderMetrics } from "./metrics.ts";

const EVERY_ROLE: ReadonlySet<Role> = new Set(ROLES);
const NO_ROLE: ReadonlySet<Role> = new Set();
const POSTS_PER_MINUTE = 30;
/** In practice people and tests play with the cable. */
const PRACTICE_POSTS_PER_MINUTE = 600;
const STREAMS_PER_ADDRESS = 12;

const limitQuery = Type.Object(
  { limit: Type.Optional(Type.String({ pattern: "^[0-9]{1,3}$", description: "at most this many, 1 to 500" })) },
  { additionalProperties: false },
);

/** Who is asking: the bearer of a role's token; in practice, anybody on this machine; else nobody in particular. */
export function operatorOf(request: FastifyRequest, context: Pick<ApiContext, "practice" | "rolesOf">): Operator {
  const presented = /^Bearer ([A-Za-z0-9_-]{16,200})$/.exec(request.headers.authorization ?? "")?.[1];
  if (presented !== undefined) {
    const roles = context.rolesOf(presented);
    if (roles.size > 0) return { by: [...roles].join("+"), roles };
  }
  if (context.practice && isLoopback(request.ip)) return { by: "practice", roles: EVERY_ROLE };
  return { by: "anyone", roles: NO_ROLE };
}

/** Schema and documentation of one route; the role it needs is part of both. */
function describe(
  summary: string,
  roles: readonly Role[] | "anyone",
  answer: string,
  more: Record<string, TSchema> = {},
) {
  return {
    summary,
    "x-holdfast-roles": roles === "anyone" ? ["anyone"] : roles,
    ...(roles === "anyone" ? {} : { security: [{ role_token: [] }] }),
    response: { default: Type.Unknown({ description: answer }) },
    ...more,
  };
}

export function routes(app: FastifyInstance, context: ApiContext): void {
  const streams = new Map<string, number>();
  const shownTo = ({ roles }: Operator): Shown =>
    roles.size > 0
      ? { status: (document) => document, event: (event) => event }
      : { status: statusForAnyone, event: eventForAnyone };

  app.addHook("onSend", async (_request, reply) => {
    reply.header("cache-control", "no-store");
  });

  app.get(
    "/api/v1/status",
    { schema: describe(statusRead.summary, "anyone", "StatusDocument; callers' numbers only with a role") },
    async (request) => {
      const operator = operatorOf(request, context);
      const document = await perform(context.operations, statusRead, {}, operator);
      return operator.roles.size > 0 ? document : statusForAnyone(document);
    },
  );

  app.get(
    "/api/v1/events",
    {
      sse: { kind: "only", heartbeat: false },
      schema: {
        ...describe(
          "Live stream: status, beat every 5 s, event (id = seq, replayed after Last-Event-ID)",
          "anyone",
          "",
        ),
        response: {},
        produces: ["text/event-stream"],
      },
    },
    async (request, reply) => {
      const open = streams.get(request.ip) ?? 0;
      if (open >= STREAMS_PER_ADDRESS) {
        return reply.code(429).send({ error: "rate", detail: "Too many live streams from this address." });
      }
      streams.set(request.ip, open + 1);
      request.raw.once("close", () => {
        const left = (streams.get(request.ip) ?? 1) - 1;
        if (left > 0) streams.set(request.ip, left);
        else streams.delete(request.ip);
      });
      await serveStream(reply, context.stream, shownTo(operatorOf(request, context)));
      return undefined;
    },
  );

  app.get<{ Querystring: { limit?: string } }>(
    "/api/v1/events/recent",
    { schema: describe("The newest events, newest first", "anyone", "HoldfastEvent[]", { querystring: limitQuery }) },
    async (request) => {
      const events = context.store.recentEvents(limitOf(request.query.limit));
      return operatorOf(request, context).roles.size > 0 ? events : events.map(eventForAnyone);
    },
  );

  app.get(
    "/api/v1/locations",
    { schema: describe("The addresses that 911 can be sent to, in dispatch lines", "anyone", "LocationLines[]") },
    async () => context.locations(),
  );

  const lists = [
    ["/api/v1/calls", "Ended calls, newest first", (limit: number) => context.store.calls(limit)],
    ["/api/v1/drills", "Drill records, newest first", (limit: number) => context.store.drills(limit)],
  ] as const;
  for (const [url, summary, read] of lists) {
    app.get<{ Querystring: { limit?: string } }>(
      url,
      { schema: describe(summary, ROLES, "newest first", { querystring: limitQuery }) },
      async (request, reply) => {
        if (operatorOf(request, context).roles.size === 0) {
          return reply.code(403).send({ error: "operation.refused", detail: "This list needs a role." });
        }
        return read(limitOf(request.query.limit));
      },
    );
  }

  const postsPerMinute = context.practice ? PRACTICE_POSTS_PER_MINUTE : POSTS_PER_MINUTE;
  const post = <Question, Answer>(url: string, operation: Operation<Question, Answer>) => {
    app.post(
      url,
      {
        config: { rateLimit: { max: postsPerMinute, timeWindow: 60_000 } },
        schema: describe(operation.summary, operation.roles, "what was done", { body: operation.question }),
      },
      async (request) => perform(context.operations, operation, request.body, operatorOf(request, context)),
    );
  };
  post("/api/v1/drill/start", drillStart);
  post("/api/v1/drill/stop", drillStop);
  if (context.practice) {
    post("/api/v1/practice/cable", practiceCable);
    post("/api/v1/practice/call", practiceCall);
  }

  app.get("/description.xml", { schema: { hide: true } }, async (_request, reply) => {
    const description = context.description();
    if (description === undefined) return reply.callNotFound();
    return reply.type("text/xml; charset=utf-8").send(description);
  });

  app.get("/api/v1/openapi.json", { schema: { hide: true } }, async () => app.swagger());

  app.get(
    "/metrics",
    { schema: describe("Prometheus metrics, holdfast_*", "anyone", "text") },
    async (_request, reply) => {
      const { type, body } = await renderMetrics({
        status: context.stream.status(),
        callCounts: context.store.callCounts(),
        undelivered_dropped: context.store.undelivered_dropped,
      });
      return reply
        .type(type)
        .serializer((text: unknown) => String(text))
        .send(body);
    },
  );

  app.get(
    "/healthz",
    { schema: describe("Whether this process does its work", "anyone", "ok or why not") },
    async (_request, reply) => {
      const { fault } = context.store;
      return reply.code(fault === undefined ? 200 : 503).send({ ok: fault === undefined, store: fault ?? "ok" });
    },
  );
}

function limitOf(text: string | undefined): number {
  return Math.min(500, Math.max(1, Number(text ?? "100")));
}
