import { describe, expect, test } from "vitest";
import { isHoldfastError } from "../../base/errors.ts";
import {
  drillStart,
  OPERATIONS,
  type Operations,
  type Operator,
  perform,
  practiceCall,
  ROLES,
  type Role,
  statusRead,
} from "./operations.ts";

const as = (...roles: Role[]): Operator => ({ by: "ann", roles: new Set(roles) });
const asked: unknown[] = [];
const operations = (practice: boolean): Operations => ({
  practice,
  ports: {
    status: () => ({ v: 1 }) as never,
    drillMaxMs: () => 60_000,
    engine: async (type, question) => {
      asked.push([type, question]);
      return {} as never;
    },
    practice: async () => ({ ok: true, lines: [] }) as never,
  },
});

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (isHoldfastError(error, "operation.refused")) return error.detail;
    throw error;
  }
  throw new Error("it was not refused");
}

describe("an operation", () => {
  test("is carried out for a role that it names and refused to the others", async () => {
    for (const operation of OPERATIONS) {
      if (operation.roles === "anyone") continue;
      for (const role of ROLES) {
        if (operation.roles.includes(role)) continue;
        expect(await refusal(perform(operations(true), operation as typeof statusRead, {}, as(role)))).toContain(
          "needs the role",
        );
      }
    }
    expect(await perform(operations(false), statusRead, {}, as())).toEqual({ v: 1 });
  });

  test("of practice does not exist on a real site, whoever asks", async () => {
    expect(await refusal(perform(operations(false), practiceCall, { from: "101", to: "911" }, as(...ROLES)))).toContain(
      "only in practice",
    );
  });

  test("with a question of the wrong shape is refused before anything happens", async () => {
    for (const question of [
      { from: "101" },
      { from: "101", to: "x\r\nBYE" },
      { from: "1", to: "2", more: 1 },
      [],
      null,
    ]) {
      await refusal(perform(operations(true), practiceCall, question, as(...ROLES)));
    }
  });

  test("that starts a drill never lasts longer than the site allows", async () => {
    await perform(operations(false), drillStart, { duration_ms: 3_600_000 }, as("drill_operator"));
    await perform(operations(false), drillStart, {}, as("drill_operator"));
    await perform(operations(false), drillStart, { duration_ms: 5000 }, as("drill_operator"));
    expect(asked).toEqual([60_000, 60_000, 5000].map((duration_ms) => ["drill.start", { by: "ann", duration_ms }]));
  });
});
