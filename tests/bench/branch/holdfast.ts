/** Holdfast as the branch server of a trial. */
import { ports } from "../../lab/addresses.ts";
import type { SiteOptions } from "../../lab/box/site-file.ts";
import { sleep, until } from "../../lab/deadline.ts";
import type { Lab } from "../../lab/lab.ts";
import { BoxLog } from "./box-log.ts";

const STARTED_MS = 15_000;
/** The supervisor starts the engine again 200 ms after its end; by then all it said has been read. */
const LAST_WORDS_MS = 100;

export class HoldfastBranch {
  readonly name = "holdfast";
  readonly port = ports.sip;
  readonly log: BoxLog;
  /** Times that the engine was started anew between trials. */
  restarts = 0;
  readonly #lab: Lab;
  #since = 0;

  private constructor(lab: Lab, log: BoxLog) {
    this.#lab = lab;
    this.log = log;
  }

  static async start(lab: Lab, options: SiteOptions): Promise<HoldfastBranch> {
    const log = new BoxLog(lab.directory);
    const branch = new HoldfastBranch(lab, log);
    await lab.box.start(options);
    await branch.settled(STARTED_MS);
    return branch;
  }

  /** Undisturbed: both paths and both trunks are up, the mode is normal. */
  get isSettled(): boolean {
    const { log } = this;
    const good = (state: string | undefined) => state === "up" || state === "degraded";
    return (
      ["wan", "lte"].every((id) => good(log.stateOf("path", id, this.#since))) &&
      ["cloud", "lte-trunk"].every((id) => good(log.stateOf("trunk", id, this.#since))) &&
      log.modeSince(this.#since) === "normal"
    );
  }

  async settled(deadline_ms: number): Promise<void> {
    await until("the box to be undisturbed", deadline_ms, () => this.isSettled || undefined);
  }

  /**
   * Back to where it was before a trial. A box that was in survivable mode stays in charge through the 911 call's
   * callback window, and its hold-down doubles with each outage; a new engine knows of neither.
   */
  async recovered(patience_ms: number): Promise<void> {
    // What the last trial still sets off is seen before it is judged.
    await sleep(350);
    try {
      await this.settled(patience_ms);
    } catch {
      await this.restart();
    }
  }

  /** The engine is killed and comes back from its snapshot. */
  async restart(): Promise<void> {
    this.restarts++;
    const old = await this.#lab.box.kill("engine");
    await sleep(LAST_WORDS_MS);
    this.#since = this.log.entries.mark;
    await this.#lab.box.back("engine", old, 5000);
    await this.settled(STARTED_MS);
  }

  /** The whole box loses its power and gets it back. */
  async powerCycle(options: SiteOptions): Promise<void> {
    await this.#lab.box.powerOff();
    await sleep(LAST_WORDS_MS);
    this.#since = this.log.entries.mark;
    await this.#lab.box.start(options);
    await this.settled(STARTED_MS);
  }
}
