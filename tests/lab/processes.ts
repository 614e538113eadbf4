/** Adapter: child_process. Starts programs inside the lab's namespaces, keeps their output, and ends them. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createWriteStream, type WriteStream } from "node:fs";
import { join } from "node:path";
import type { Namespace } from "./addresses.ts";
import { Journal, now, within } from "./deadline.ts";

export interface OutputLine {
  /** Wall-clock milliseconds when the line was read. */
  readonly at: number;
  readonly text: string;
}

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const argvIn = (namespace: Namespace, argv: readonly string[]): string[] => ["ip", "netns", "exec", namespace, ...argv];

/** Runs a program to its end; rejects with its output unless it exits 0. */
export async function run(argv: readonly string[], options: { readonly input?: string } = {}): Promise<string> {
  const finished = await tryRun(argv, options);
  if (finished.code !== 0) {
    throw new Error(`${argv.join(" ")}: exit ${finished.code}: ${(finished.stderr || finished.stdout).trim()}`);
  }
  return finished.stdout;
}

/** Runs a program to its end, whatever its exit status. */
export function tryRun(argv: readonly string[], options: { readonly input?: string } = {}): Promise<Finished> {
  const [file = "", ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = execFile(file, args, { maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
      if (error === null) resolve({ code: 0, stdout, stderr });
      else if (typeof error.code === "number") resolve({ code: error.code, stdout, stderr });
      else if (error.signal) resolve({ code: 255, stdout, stderr: `${stderr}ended by ${error.signal}` });
      else reject(error);
    });
    child.stdin?.on("error", () => {});
    child.stdin?.end(options.input ?? "");
  });
}

export const runIn = (namespace: Namespace, argv: readonly string[], options?: { readonly input?: string }) =>
  run(argvIn(namespace, argv), options);
export const tryRunIn = (namespace: Namespace, argv: readonly string[]) => tryRun(argvIn(namespace, argv));

export interface StartOptions {
  readonly name: string;
  readonly namespace: Namespace;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Raw standard output, for programs that print bytes; lines are then read from standard error only. */
  readonly onBytes?: (bytes: Buffer) => void;
}

/** A long-running program with its process group of its own. */
export class Program {
  readonly name: string;
  readonly output = new Journal<OutputLine>();
  readonly exited: Promise<string>;
  #ended: string | undefined;
  readonly #child: ChildProcess;
  readonly #log: WriteStream;

  constructor(options: StartOptions, logDirectory: string) {
    this.name = options.name;
    const [file = "", ...args] = argvIn(options.namespace, options.argv);
    this.#log = createWriteStream(join(logDirectory, `${options.name}.log`), { flags: "a" });
    this.#child = spawn(file, args, {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    this.#child.stdin?.on("error", () => {});
    this.exited = new Promise((resolve) => {
      const end = (how: string) => {
        this.#ended ??= how;
        this.#log.end();
        resolve(how);
      };
      this.#child.once("error", (error) => end(`could not start: ${error.message}`));
      this.#child.once("close", (code, signal) => end(signal === null ? `exit ${code}` : `ended by ${signal}`));
    });
    if (options.onBytes !== undefined) this.#child.stdout?.on("data", options.onBytes);
    else this.#readLines(this.#child.stdout);
    this.#readLines(this.#child.stderr);
  }

  /** Process id of the program itself, in the lab's process namespace. */
  get pid(): number {
    const pid = this.#child.pid;
    if (pid === undefined) throw new Error(`${this.name} has not started`);
    return pid;
  }

  get running(): boolean {
    return this.#ended === undefined;
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** The first line that matches, among those since `from`; fails at once when the program has ended without it. */
  async line(pattern: RegExp, deadline_ms: number, from = 0): Promise<OutputLine> {
    const matches = (line: OutputLine) => pattern.test(line.text);
    const found = this.output.next(`${this.name} to print ${pattern}`, deadline_ms, matches, from);
    const ended = this.exited.then((how) => {
      const last = this.output.find(matches, from);
      if (last !== undefined) return last;
      const tail = this.output.entries.slice(-5).map((line) => line.text);
      throw new Error(`${this.name}: ${how} before it printed ${pattern}: ${tail.join(" | ")}`);
    });
    ended.catch(() => {});
    found.catch(() => {});
    return Promise.race([found, ended]);
  }

  /** Ends the whole process group; resolves when its output is closed. */
  async stop(signal: NodeJS.Signals = "SIGTERM", patience_ms = 2000): Promise<void> {
    if (this.#ended !== undefined) return;
    this.#signal(signal);
    try {
      await within(`${this.name} to end`, patience_ms, this.exited);
    } catch {
      this.#signal("SIGKILL");
      await within(`${this.name} to end after SIGKILL`, 2000, this.exited);
    }
  }

  #signal(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, signal);
    } catch {
      // It has just ended.
    }
  }

  #readLines(stream: NodeJS.ReadableStream | null): void {
    let rest = "";
    stream?.setEncoding("utf8");
    stream?.on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const text = line.replace(/\r$/, "");
        const at = now();
        if (this.#ended === undefined) this.#log.write(`${new Date(at).toISOString()} ${text}\n`);
        this.output.push({ at, text });
      }
    });
  }
}

/** All programs of one lab, ended together in reverse order of their start. */
export class Programs {
  readonly #programs: Program[] = [];
  readonly #logDirectory: string;

  constructor(logDirectory: string) {
    this.#logDirectory = logDirectory;
  }

  start(options: StartOptions): Program {
    const program = new Program(options, this.#logDirectory);
    this.#programs.push(program);
    return program;
  }

  async stopAll(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.stop("SIGKILL")));
  }
}
