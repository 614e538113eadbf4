/** What can be said of a trial that was slower than its goal: what the box did when, and whether it had a core to do it. */
import type { Lab } from "../../lab/lab.ts";
import type { HoldfastBranch } from "../branch/holdfast.ts";
import { waited_ms } from "../load/cpu.ts";
import type { Trial } from "./trial.ts";

export class Witness {
  readonly #log: HoldfastBranch["log"];
  readonly #mark: number;
  readonly #pids: readonly number[];
  readonly #waited_ms: number;

  private constructor(log: HoldfastBranch["log"], pids: readonly number[], before_ms: number) {
    this.#log = log;
    this.#mark = log.entries.mark;
    this.#pids = pids;
    this.#waited_ms = before_ms;
  }

  /** Looks on from now. */
  static async of(lab: Lab, { log }: HoldfastBranch): Promise<Witness> {
    const pids = [...(await lab.box.pids("engine")), ...(await lab.box.pids("media"))];
    return new Witness(log, pids, await waited_ms(pids));
  }

  /** What the engine wrote, in ms after the telephone's INVITE was at the box. */
  async tell({ dialled_at, on_lte_at }: Trial): Promise<string> {
    const said = this.#log.entries
      .since(this.#mark)
      .filter(({ process }) => process === "engine")
      .map(({ at, msg, trunk, path, to, outcome }) =>
        [at - Math.floor(dialled_at), msg, trunk ?? path, outcome ?? to].filter((part) => part !== undefined).join(" "),
      );
    const seen = on_lte_at === undefined ? "never on LTE" : `${(on_lte_at - dialled_at).toFixed(1)} on LTE`;
    const waited = (await waited_ms(this.#pids)) - this.#waited_ms;
    return `${said.join("; ")}; ${seen}; in all this engine and media waited ${waited.toFixed(1)} ms for a core`;
  }
}
