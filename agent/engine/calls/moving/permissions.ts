import type { MovePermission } from "../../../base/snapshot.ts";
import type { Rung } from "./move-machine.ts";

/** What each PBX permits, as learned from calls: the newest word on each rung. */
export class Permissions {
  readonly #known = new Map<string, MovePermission>();

  constructor(known: readonly MovePermission[] = []) {
    for (const each of known) this.#known.set(`${each.trunk} ${each.rung}`, each);
  }

  learn(permission: MovePermission): void {
    this.#known.set(`${permission.trunk} ${permission.rung}`, permission);
  }

  of(trunk: string, rung: Rung): MovePermission | undefined {
    return this.#known.get(`${trunk} ${rung}`);
  }

  all(): readonly MovePermission[] {
    return [...this.#known.values()];
  }

  /** The rungs in the order in which they are tried: what was refused last time comes after what was not. */
  order(trunk: string, rungs: readonly Rung[]): readonly Rung[] {
    const refused = (rung: Rung) => this.of(trunk, rung)?.outcome === "refused";
    return [...rungs.filter((rung) => !refused(rung)), ...rungs.filter(refused)];
  }
}
