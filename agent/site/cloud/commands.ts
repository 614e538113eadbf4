import { type Static, Type } from "typebox";
import { Check } from "typebox/value";
import type { Clock } from "../../base/clock.ts";
import { errorText, HoldfastError, isHoldfastError } from "../../base/errors.ts";
import { RefusedError } from "../../base/link/channel.ts";
import {
  drillStart,
  drillStop,
  type Operations,
  type Operator,
  perform,
  statusRead,
} from "../operations/operations.ts";

/** What the NOC may ask for. Nothing here can touch how 911 goes, and nothing restarts the box. */
const COMMANDS = new Map([drillStart, drillStop, statusRead].map((operation) => [operation.name, operation]));

const SIZE_LIMIT = 16 * 1024;
const LONGEST_LIFE_MS = 10 * 60_000;
const REMEMBERED_IDS = 1000;

const Command = Type.Object({
  id: Type.String({ minLength: 1, maxLength: 64 }),
  /** Wall ms after which it must not be carried out; at most ten minutes ahead. */
  expires_wall: Type.Integer(),
  args: Type.Optional(Type.Object({}, { additionalProperties: true })),
});

export type Reply =
  | { readonly v: 1; readonly id: string; readonly ok: true; readonly answer: unknown }
  | { readonly v: 1; readonly id: string; readonly ok: false; readonly error: string; readonly detail: string };

/**
 * Carries out the NOC's commands. Each has an id and an expiry: one that comes late, or twice, is refused, so that a
 * broker that repeats old messages cannot start a drill.
 */
export class Commands {
  readonly #clock: Clock;
  readonly #operations: Operations;
  readonly #seen = new Set<string>();
  readonly #operator: Operator = { by: "noc", roles: new Set(["noc"]) };

  constructor(clock: Clock, operations: Operations) {
    this.#clock = clock;
    this.#operations = operations;
  }

  /** The reply to publish; undefined for what is not a command at all. */
  async carryOut(name: string, payload: Buffer): Promise<Reply | undefined> {
    const command = parse(payload);
    if (command === undefined) return undefined;
    const { id, args = {} } = command;
    try {
      this.#admit(command);
      const operation = COMMANDS.get(name);
      if (operation === undefined) throw new HoldfastError("operation.refused", "There is no such command.");
      const answer = await perform(this.#operations, operation as typeof statusRead, args, this.#operator);
      return { v: 1, id, ok: true, answer };
    } catch (error) {
      const known = isHoldfastError(error) || error instanceof RefusedError;
      return {
        v: 1,
        id,
        ok: false,
        error: known ? error.code : "operation.refused",
        detail: known ? error.detail : errorText(error),
      };
    }
  }

  #admit({ id, expires_wall }: Static<typeof Command>): void {
    const left = expires_wall - this.#clock.wall();
    if (left <= 0) throw new HoldfastError("operation.refused", "The command has expired.");
    if (left > LONGEST_LIFE_MS) throw new HoldfastError("operation.refused", "The command's expiry is too far ahead.");
    if (this.#seen.has(id)) throw new HoldfastError("operation.refused", "The command was carried out before.");
    this.#seen.add(id);
    const oldest = this.#seen.values().next().value;
    if (this.#seen.size > REMEMBERED_IDS && oldest !== undefined) this.#seen.delete(oldest);
  }
}

function parse(payload: Buffer): Static<typeof Command> | undefined {
  if (payload.length > SIZE_LIMIT) return undefined;
  try {
    const value: unknown = JSON.parse(payload.toString("utf8"));
    return Check(Command, value) ? value : undefined;
  } catch {
    return undefined;
  }
}
