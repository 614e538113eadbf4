import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { token } from "../base/ids.ts";
import { PHONES } from "./places.ts";

/** Extensions for a softphone of one's own. */
export const SOFTPHONES = ["201", "202"] as const;

export const USERS = [...PHONES, ...SOFTPHONES] as const;

/**
 * Passwords by extension. Made once for each practice site and kept in its state directory, so that a softphone that
 * was set up once works the next day.
 */
export function accountsIn(state_dir: string): ReadonlyMap<string, string> {
  return kept(join(state_dir, "practice-accounts.json"), USERS);
}

/**
 * The box's own account on the practice LTE trunk, kept likewise: at its next start the engine registers with what its
 * last snapshot says, before it has the new site file.
 */
export const TRUNK_USER = "practice-box";

export function trunkPasswordIn(state_dir: string): string {
  return kept(join(state_dir, "practice-trunk.json"), [TRUNK_USER]).get(TRUNK_USER) ?? "";
}

function kept(file: string, users: readonly string[]): ReadonlyMap<string, string> {
  const known = read(file);
  const accounts = new Map(users.map((user) => [user, known[user] ?? token(5)]));
  if (users.some((user) => known[user] === undefined)) {
    writeFileSync(file, `${JSON.stringify(Object.fromEntries(accounts))}\n`, { mode: 0o600 });
  }
  return accounts;
}

function read(file: string): Readonly<Record<string, string>> {
  try {
    const found: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof found !== "object" || found === null) return {};
    return Object.fromEntries(
      Object.entries(found).filter(
        (entry): entry is [string, string] => typeof entry[1] === "string" && /^[a-z0-9]{8,}$/.test(entry[1]),
      ),
    );
  } catch {
    return {};
  }
}
