import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { Binding, CallbackEntry, KnownName } from "../base/snapshot.ts";

/** What the engine itself keeps of its phones and of names, on a tmpfs: newer than any snapshot when only the engine was restarted. */
export interface KeptBindings {
  readonly written_wall: number;
  readonly bindings: readonly Binding[];
  readonly callbacks: readonly CallbackEntry[];
  readonly names?: Readonly<Record<string, readonly KnownName[]>>;
}

export function writeKept(file: string, kept: KeptBindings): void {
  const beside = `${file}.new`;
  writeFileSync(beside, JSON.stringify(kept), { mode: 0o600 });
  renameSync(beside, file);
}

/** Undefined when there is none, or none that can be read. */
export function readKept(file: string): KeptBindings | undefined {
  try {
    const kept = JSON.parse(readFileSync(file, "utf8")) as KeptBindings;
    return Array.isArray(kept.bindings) && typeof kept.written_wall === "number" ? kept : undefined;
  } catch {
    return undefined;
  }
}
