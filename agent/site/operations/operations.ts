import { type TObject, Type } from "typebox";
import { Errors } from "typebox/value";
import { HoldfastError } from "../../base/errors.ts";
import type { DrillRecord } from "../../base/events.ts";
import type { Requests } from "../../base/link/messages.ts";
import type { StatusDocument } from "../../base/status.ts";

/** What a person (or a system acting for one) may be. `anyone` in an operation means that no role is needed. */
export const ROLES = ["installer", "facilities", "noc", "drill_operator"] as const;
export type Role = (typeof ROLES)[number];

export interface Operator {
  /** Who, for the record: a role's token, `cli`, `noc`. */
  readonly by: string;
  readonly roles: ReadonlySet<Role>;
}

/** The other processes as operations reach them. */
export interface OperationPorts {
  status(): StatusDocument;
  drillMaxMs(): number;
  engine<T extends "drill.start" | "drill.stop">(
    type: T,
    question: Requests[T]["question"],
  ): Promise<Requests[T]["answer"]>;
  practice<T extends "practice.cable" | "practice.call">(
    type: T,
    question: Requests[T]["question"],
  ): Promise<Requests[T]["answer"]>;
}

/** One thing a person can have done. HTTP routes, MQTT commands and the command line are skins over these. */
export interface Operation<Question, Answer> {
  readonly name: string;
  readonly summary: string;
  readonly roles: readonly Role[] | "anyone";
  /** Exists only in practice. */
  readonly practice: boolean;
  readonly question: TObject;
  run(ports: OperationPorts, question: Question, operator: Operator): Promise<Answer>;
}

const closed = { additionalProperties: false } as const;
const phone = Type.String({ pattern: "^[0-9+*#]{1,20}$", description: "a number as dialled" });

export const statusRead: Operation<Record<string, never>, StatusDocument> = {
  name: "status.read",
  summary: "The whole state of the box",
  roles: "anyone",
  practice: false,
  question: Type.Object({}, closed),
  run: async (ports) => ports.status(),
};

export const drillStart: Operation<{ duration_ms?: number }, { drill: string; ends_wall: number }> = {
  name: "drill.start",
  summary: "Starts a rehearsed outage; it ends by itself",
  roles: ["drill_operator", "noc", "installer"],
  practice: false,
  question: Type.Object(
    { duration_ms: Type.Optional(Type.Integer({ minimum: 1000, maximum: 3_600_000, description: "milliseconds" })) },
    closed,
  ),
  run(ports, { duration_ms }, operator) {
    const max = ports.drillMaxMs();
    return ports.engine("drill.start", { by: operator.by, duration_ms: Math.min(duration_ms ?? max, max) });
  },
};

export const drillStop: Operation<Record<string, never>, { record: DrillRecord }> = {
  name: "drill.stop",
  summary: "Ends the drill and answers its record",
  roles: ["drill_operator", "noc", "installer"],
  practice: false,
  question: Type.Object({}, closed),
  run: (ports, _question, operator) => ports.engine("drill.stop", { by: operator.by }),
};

export const practiceCable: Operation<{ wan: "plugged" | "pulled" }, { wan: "plugged" | "pulled" }> = {
  name: "practice.cable",
  summary: "Pulls or plugs the practice WAN cable",
  roles: ["drill_operator", "installer"],
  practice: true,
  question: Type.Object({ wan: Type.Union([Type.Literal("plugged"), Type.Literal("pulled")]) }, closed),
  run: (ports, question) => ports.practice("practice.cable", question),
};

export const practiceCall: Operation<{ from: string; to: string }, { ok: boolean; lines: readonly string[] }> = {
  name: "practice.call",
  summary: "Makes a practice phone dial a number",
  roles: ["drill_operator", "installer"],
  practice: true,
  question: Type.Object({ from: phone, to: phone }, closed),
  run: (ports, question) => ports.practice("practice.call", question),
};

export const OPERATIONS = [statusRead, drillStart, drillStop, practiceCable, practiceCall] as const;

export interface Operations {
  readonly practice: boolean;
  readonly ports: OperationPorts;
}

/**
 * Carries out one operation for this operator.
 * Errors: `operation.refused` for a missing role, a question of the wrong shape or an operation that exists only in
 * practice; the other process's own refusal; `link.closed` and `link.timeout` when it is away.
 */
export async function perform<Question, Answer>(
  { practice, ports }: Operations,
  operation: Operation<Question, Answer>,
  question: unknown,
  operator: Operator,
): Promise<Answer> {
  if (operation.practice && !practice) {
    throw new HoldfastError("operation.refused", `${operation.name} exists only in practice.`);
  }
  if (operation.roles !== "anyone" && !operation.roles.some((role) => operator.roles.has(role))) {
    throw new HoldfastError("operation.refused", `${operation.name} needs the role ${operation.roles.join(" or ")}.`);
  }
  const [fault] = Errors(operation.question, question);
  if (fault !== undefined) {
    throw new HoldfastError(
      "operation.refused",
      `${operation.name}: ${fault.instancePath || "question"} ${fault.message}.`,
    );
  }
  return operation.run(ports, question as Question, operator);
}
