import { randomBytes, timingSafeEqual } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { ROLES, type Role } from "../operations/operations.ts";

export interface RoleToken {
  readonly role: Role;
  readonly token: string;
}

/**
 * The role tokens of a real site, one per role, made at the first start and readable by the box's user alone. A person
 * who may act in a role is given its token; deleting the file and restarting makes new ones.
 * Throws when the file can be neither read nor written.
 */
export function loadTokens(file: string): { readonly tokens: readonly RoleToken[]; readonly made: boolean } {
  const found = readTokens(file);
  if (found !== undefined) return { tokens: found, made: false };
  const tokens = ROLES.map((role) => ({ role, token: randomBytes(24).toString("base64url") }));
  const beside = `${file}.new`;
  const handle = openSync(beside, "w", 0o600);
  try {
    writeFileSync(handle, `${JSON.stringify({ tokens }, null, 2)}\n`);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(beside, file);
  return { tokens, made: true };
}

function readTokens(file: string): RoleToken[] | undefined {
  try {
    const { tokens } = JSON.parse(readFileSync(file, "utf8")) as { tokens?: unknown };
    if (!Array.isArray(tokens)) return undefined;
    const sound = tokens.filter(
      (item): item is RoleToken =>
        typeof item?.token === "string" && item.token.length >= 16 && (ROLES as readonly string[]).includes(item.role),
    );
    return sound.length > 0 ? sound : undefined;
  } catch {
    return undefined;
  }
}

/** The roles a presented token stands for; every token is compared, in constant time. */
export function rolesOf(tokens: readonly RoleToken[], presented: string): Set<Role> {
  const given = Buffer.from(presented);
  const roles = new Set<Role>();
  for (const { role, token } of tokens) {
    const known = Buffer.from(token);
    if (known.length === given.length && timingSafeEqual(known, given)) roles.add(role);
  }
  return roles;
}
