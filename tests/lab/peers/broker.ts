/** Mosquitto as the NOC's broker, and the NOC's application behind it, which acknowledges the events it has taken. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hosts, ports } from "../addresses.ts";
import { Journal } from "../deadline.ts";
import type { Program, Programs } from "../processes.ts";

export interface NocMessage {
  /** Wall-clock milliseconds when the application got it. */
  readonly at: number;
  readonly topic: string;
  readonly retain: boolean;
  /** The parsed payload. */
  readonly payload: unknown;
}

const application = new URL("../servers/noc.ts", import.meta.url).pathname;

export class Broker {
  /** Everything the NOC's application received. */
  readonly messages = new Journal<NocMessage>();
  readonly #programs: Programs;
  readonly #configuration: string;
  #mosquitto: Program | undefined;

  constructor(programs: Programs, directory: string) {
    this.#programs = programs;
    this.#configuration = join(directory, "mosquitto.conf");
  }

  async start(): Promise<void> {
    await this.#launch();
    const noc = this.#programs.start({
      name: "noc",
      namespace: "wan",
      argv: [process.execPath, application, hosts.broker, String(ports.mqtt)],
    });
    await noc.line(/^ready$/, 5000);
    noc.output
      .next("(every line)", 2 ** 31 - 1, (line) => {
        if (line.text.startsWith("{")) this.messages.push(JSON.parse(line.text) as NocMessage);
        return false;
      })
      .catch(() => {});
  }

  /** The broker is gone at once, with what it had not written to disk. */
  async kill(): Promise<void> {
    await this.#mosquitto?.stop("SIGKILL");
  }

  async restart(): Promise<void> {
    await this.#launch();
  }

  async #launch(): Promise<void> {
    const lines = [`listener ${ports.mqtt} ${hosts.broker}`, "allow_anonymous true", "persistence false", "user root"];
    await writeFile(this.#configuration, `${lines.join("\n")}\n`);
    this.#mosquitto = this.#programs.start({
      name: "mosquitto",
      namespace: "wan",
      argv: ["mosquitto", "-c", this.#configuration, "-v"],
    });
    await this.#mosquitto.line(/mosquitto version .* running/, 5000);
  }
}
