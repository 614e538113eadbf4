/** Kamailio as the branch server of a trial, beside the box in its namespace. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hosts } from "../../lab/addresses.ts";
import { sleep, until } from "../../lab/deadline.ts";
import type { Lab } from "../../lab/lab.ts";
import { type Program, tryRun } from "../../lab/processes.ts";
import { branchConfig, destinations, KAMAILIO_PORT } from "./kamailio-config.ts";

export class KamailioBranch {
  readonly name = "kamailio";
  readonly port = KAMAILIO_PORT;
  readonly program: Program;
  readonly #control: string;
  #marks = 0;

  private constructor(program: Program, control: string) {
    this.program = program;
    this.#control = control;
  }

  static async start(lab: Lab, transport: "udp" | "tcp"): Promise<KamailioBranch> {
    const control = join(lab.runDirectory, "branch-kamailio.ctl");
    const program = await launch(lab, transport, control);
    await program.line(/io_listen_loop/, 5000);
    const branch = new KamailioBranch(program, control);
    await branch.settled(10_000);
    return branch;
  }

  /** Both destinations are active, by its own dump. */
  async settled(deadline_ms: number): Promise<void> {
    await until("Kamailio to have both destinations active", deadline_ms, async () => {
      const { stdout } = await tryRun(["kamcmd", "-s", `unix:${this.#control}`, "dispatcher.list"]);
      const flags = [...stdout.matchAll(/FLAGS: (\S+)/g)].map(([, flag]) => flag);
      return (flags.length === 2 && flags.every((flag) => flag === "AP" || flag === "AX")) || undefined;
    });
  }

  async recovered(): Promise<void> {
    await sleep(350);
    await this.settled(15_000);
  }

  /** When it declared the cloud dead, from the last `forget` on. */
  async declaredDead(deadline_ms: number): Promise<number> {
    const down = new RegExp(`dispatcher: sip:${hosts.pbx}.* is down`);
    return (await this.program.line(down, deadline_ms, this.#marks)).at;
  }

  /** Times that it declared the cloud dead since the last `forget`. */
  get deaths(): number {
    return this.program.output.since(this.#marks).filter(({ text }) => /dispatcher: sip:203\S+ is down/.test(text))
      .length;
  }

  forget(): void {
    this.#marks = this.program.output.mark;
  }
}

async function launch(lab: Lab, transport: "udp" | "tcp", control: string): Promise<Program> {
  const { directory, layout } = lab;
  const options = { transport, directory };
  await writeFile(join(directory, "dispatcher.list"), destinations(layout, options));
  const file = join(directory, "branch-kamailio.cfg");
  await writeFile(file, branchConfig(layout, options, control));
  return lab.programs.start({
    name: "branch-kamailio",
    namespace: "box",
    argv: kamailioCommand(file, lab.runDirectory),
  });
}

/** 1 GB of shared memory: with the default it runs out above a thousand calls a second. */
export const kamailioCommand = (file: string, runDirectory: string): string[] => [
  ...["kamailio", "-f", file, "-DD", "-E", "-m", "1024", "-M", "16", "-Y", runDirectory],
];
