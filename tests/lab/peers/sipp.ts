/** SIPp as a peer: plays a scenario (see sipp-scenario.ts) at any address and port of any namespace, as either side. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Namespace } from "../addresses.ts";
import { until } from "../deadline.ts";
import type { Lab } from "../lab.ts";
import { type Program, tryRunIn } from "../processes.ts";

export interface SippOptions {
  /** Names its files in the evidence: `<name>.xml`, `.messages`, `.errors`, `.log`. One per SIPp of a lab. */
  readonly name: string;
  readonly namespace: Namespace;
  /** Its own; see `addAddress` for one that the lab does not have. */
  readonly address: string;
  readonly port?: number;
  readonly transport?: "udp" | "tcp";
  readonly scenario: string;
  /** Whom it sends to: it begins calls. Left out: it waits for them. */
  readonly calls?: {
    readonly address: string;
    readonly port?: number;
    /** Default 1, and then it ends. */
    readonly count?: number;
    /** Calls begun within `period_ms` (default: a second); default all at once. */
    readonly rate?: number;
    readonly period_ms?: number;
  };
  /** Injection file, see `injection`. */
  readonly fields?: string;
  /** `[media_port]`, and the first that `play` sends from; several SIPps of one address need ports of their own. */
  readonly media_port?: number;
  /** Sends back what comes to the media port. */
  readonly echoes?: boolean;
  /** Cores it is kept to, as `taskset` has them. */
  readonly cores?: string;
  /** True: no trace of messages, for loads. */
  readonly quiet?: boolean;
  readonly more?: readonly string[];
}

/** SIPp's file of `[field0]`, `[field1]`, …: one line per call. */
export const injection = (lines: readonly (readonly string[])[]): string =>
  `SEQUENTIAL\n${lines.map((fields) => fields.join(";")).join("\n")}\n`;

export class Sipp {
  readonly name: string;
  readonly #program: Program;
  readonly #directory: string;

  private constructor(program: Program, directory: string) {
    this.name = program.name;
    this.#program = program;
    this.#directory = directory;
  }

  /** Starts it; one that waits for calls listens when this resolves. */
  static async start(lab: Lab, options: SippOptions): Promise<Sipp> {
    const { name, namespace, address, port = 5060, transport = "udp", calls } = options;
    const file = (suffix: string) => join(lab.directory, `${name}.${suffix}`);
    await writeFile(file("xml"), options.scenario);
    if (options.fields !== undefined) await writeFile(file("csv"), options.fields);
    const count = calls?.count ?? 1;
    const program = lab.programs.start({
      name,
      namespace,
      cwd: lab.directory,
      argv: [
        ...(options.cores === undefined ? [] : ["taskset", "-c", options.cores]),
        ...["sipp", "-sf", file("xml"), "-i", address, "-p", String(port), "-t", transport === "tcp" ? "t1" : "u1"],
        // What a scenario does not say SIPp must not do by itself; the timer decides how exact pauses are.
        ...["-bind_local", "-nostdin", "-nd", "-timer_resol", "1", "-mi", address],
        ...["-trace_err", "-error_file", file("errors")],
        ...(options.quiet === true ? [] : ["-trace_msg", "-message_file", file("messages")]),
        ...(options.fields === undefined ? [] : ["-inf", file("csv")]),
        ...(options.media_port === undefined ? [] : ["-mp", String(options.media_port)]),
        ...(options.echoes === true ? ["-rtp_echo"] : []),
        ...(calls === undefined
          ? []
          : [
              ...["-m", String(count), "-l", String(count), "-r", String(calls.rate ?? count)],
              ...["-rp", String(calls.period_ms ?? (calls.rate === undefined ? 1 : 1000))],
            ]),
        ...(options.more ?? []),
        ...(calls === undefined ? [] : [`${calls.address}:${calls.port ?? 5060}`]),
      ],
    });
    const sipp = new Sipp(program, lab.directory);
    if (calls === undefined) await sipp.#listens(namespace, transport, `${address}:${port}`);
    return sipp;
  }

  get pid(): number {
    return this.#program.pid;
  }

  get running(): boolean {
    return this.#program.running;
  }

  /**
   * Waits until all its calls are over; throws with what it complained of unless each went as its scenario says. One
   * that waits for calls is told to take no more (SIGUSR1), and must have had one.
   */
  async done(deadline_ms: number): Promise<void> {
    if (this.#program.running) process.kill(this.pid, "SIGUSR1");
    await this.ended(deadline_ms);
  }

  /** Like `done`, for one that ends by itself. */
  async ended(deadline_ms: number): Promise<void> {
    const status = await this.status(deadline_ms);
    if (status !== "exit 0") throw new Error(`SIPp ${this.name}: ${meaning(status)}; ${await this.complaint()}`);
  }

  /** How it ended: `exit 0` all calls went well, `exit 1` one did not, `exit 99` it had none, `ended by SIGKILL`, … */
  async status(deadline_ms: number): Promise<string> {
    await until(`SIPp ${this.name} to end`, deadline_ms, () => (this.#program.running ? undefined : true)).catch(
      async (error: Error) => {
        throw new Error(`${error.message}; ${await this.complaint()}`);
      },
    );
    return this.#program.exited;
  }

  /** Every message sent and received, as SIPp traced it. */
  messages(): Promise<string> {
    return this.#text("messages");
  }

  /** What it wrote of unexpected messages and its own errors. */
  errors(): Promise<string> {
    return this.#text("errors");
  }

  /** Takes its power away: its port is closed, its calls are left as they are. */
  async stop(): Promise<void> {
    await this.#program.stop("SIGKILL");
  }

  async #listens(namespace: Namespace, transport: "udp" | "tcp", at: string): Promise<void> {
    await until(`SIPp ${this.name} to listen`, 5000, async () => {
      if (!this.running) throw new Error(`SIPp ${this.name}: ${await this.#program.exited}; ${await this.complaint()}`);
      const { stdout } = await tryRunIn(namespace, ["ss", transport === "udp" ? "-Hlun" : "-Hltn", `src ${at}`]);
      return stdout.trim() !== "" || undefined;
    });
  }

  /** Its last words, for the message of a failure. */
  async complaint(): Promise<string> {
    const printed = this.#program.output.entries.slice(-3).map(({ text }) => text);
    const lines = [...(await this.errors()).trim().split("\n").slice(-12), ...printed].filter((line) => line !== "");
    return lines.length === 0 ? "it did not complain" : lines.join(" | ");
  }

  #text(suffix: string): Promise<string> {
    return readFile(join(this.#directory, `${this.name}.${suffix}`), "utf8").catch(() => "");
  }
}

const meaning = (status: string): string =>
  ({ "exit 1": "a call did not go as its scenario says", "exit 99": "it had no call" })[status] ?? status;
