/** One Kamailio, in the foreground, that can be killed and started again. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Namespace } from "../addresses.ts";
import { type Program, type Programs, run, tryRun } from "../processes.ts";

export interface KamailioOptions {
  readonly name: string;
  readonly namespace: Namespace;
  /** Makes the configuration, given where the control socket is to be. */
  readonly config: (control: string) => string;
  readonly directory: string;
  readonly runDirectory: string;
}

export class Kamailio {
  readonly #options: KamailioOptions;
  readonly #programs: Programs;
  #program: Program;

  private constructor(programs: Programs, options: KamailioOptions, program: Program) {
    this.#programs = programs;
    this.#options = options;
    this.#program = program;
  }

  static async start(programs: Programs, options: KamailioOptions): Promise<Kamailio> {
    return new Kamailio(programs, options, await launch(programs, options));
  }

  /** The process is gone at once; its host answers "port unreachable" from then on. */
  async kill(): Promise<void> {
    await this.#program.stop("SIGKILL");
  }

  /** Starts it again; registrations are lost, as after a real crash. */
  async restart(): Promise<void> {
    this.#program = await launch(this.#programs, this.#options);
  }

  get running(): boolean {
    return this.#program.running;
  }

  /** Transactions that are not over yet: begun, and without a final answer (tm's `current` less its `waiting`). */
  async underWay(): Promise<number> {
    const { stdout } = await tryRun(["kamcmd", "-s", `unix:${controlSocket(this.#options)}`, "tm.stats"]);
    const figure = (name: string) => Number(stdout.match(new RegExp(`\\b${name}: (\\d+)`))?.[1] ?? Number.NaN);
    return figure("current") - figure("waiting");
  }

  /** Changes a setting of its configuration while it runs, for instance `challenge.emergency`. */
  async set(group: string, name: string, value: number): Promise<void> {
    const at = `unix:${controlSocket(this.#options)}`;
    await run(["kamcmd", "-s", at, "cfg.set_now_int", group, name, String(value)]);
  }

  /** Contacts bound to an address of record, as Kamailio's own dump has them. */
  async bindings(): Promise<string> {
    const { stdout } = await tryRun(["kamcmd", "-s", `unix:${controlSocket(this.#options)}`, "ul.dump"]);
    return stdout;
  }
}

const controlSocket = (options: KamailioOptions): string => join(options.runDirectory, `${options.name}.ctl`);

async function launch(programs: Programs, options: KamailioOptions): Promise<Program> {
  const file = join(options.directory, `${options.name}.cfg`);
  await writeFile(file, options.config(controlSocket(options)));
  const program = programs.start({
    name: options.name,
    namespace: options.namespace,
    argv: ["kamailio", "-f", file, "-DD", "-E", "-m", "32", "-M", "4", "-Y", options.runDirectory],
  });
  // The control process comes up after the SIP sockets are bound.
  await program.line(/io_listen_loop/, 5000);
  return program;
}
