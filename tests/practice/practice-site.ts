import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

const ROOT = new URL("../../", import.meta.url).pathname;
const CLI = ["--disable-warning=ExperimentalWarning", join(ROOT, "agent/cli.ts")];
const CARD_END = "Ctrl-C";
const END_WITHIN_MS = 15_000;
const COMMAND_WITHIN_MS = 90_000;
const TRACED = "trace=connect,bind,sendto,sendmsg,sendmmsg,open,openat";

export interface Ended {
  readonly status: number | undefined;
  /** Processes that were still there at last. */
  readonly left: readonly number[];
  readonly detail: string;
}

/** A running `holdfast practice`, in directories under `folder`. */
export class PracticeSite {
  readonly #folder: string;
  readonly #traced: boolean;
  readonly #directories: readonly string[];
  #child: ChildProcess | undefined;
  #output = "";

  constructor(folder: string, traced: boolean) {
    this.#folder = folder;
    this.#traced = traced;
    this.#directories = ["--state-dir", join(folder, "state"), "--run-dir", join(folder, "run")];
  }

  /** Resolves with the milliseconds to the card; undefined when none was printed in time. */
  start(within_ms: number): Promise<number | undefined> {
    const begun = performance.now();
    const program = [process.execPath, ...CLI, "practice", ...this.#directories];
    const traces = join(this.#folder, "trace");
    if (this.#traced) mkdirSync(traces, { recursive: true });
    const [command = "", ...args] = this.#traced
      ? ["strace", "-ff", "-qq", "-s", "256", "-e", TRACED, "-e", "signal=none", "-o", join(traces, "t"), ...program]
      : program;
    const child = spawn(command, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NODE_COMPILE_CACHE: join(ROOT, "node_modules/.cache/holdfast-compile") },
    });
    this.#child = child;
    return new Promise((resolve) => {
      const late = setTimeout(() => resolve(undefined), within_ms);
      const read = (text: Buffer) => {
        this.#output += text.toString();
        if (!this.#output.includes(CARD_END)) return;
        clearTimeout(late);
        resolve(Math.round(performance.now() - begun));
      };
      child.stdout?.on("data", read);
      child.stderr?.on("data", read);
      child.on("exit", () => {
        clearTimeout(late);
        resolve(undefined);
      });
    });
  }

  get output(): string {
    return this.#output;
  }

  get card(): string {
    return this.#output;
  }

  get cardIsComplete(): boolean {
    return [
      /PRACTICE/,
      /http:\/\/127\.0\.0\.1:\d+\//,
      /server 127\.0\.0\.1:\d+/,
      /201 \(password/,
      /202 \(password/,
    ].every((wanted) => wanted.test(this.card));
  }

  /** With a slash at its end. */
  get page(): string {
    return /http:\/\/127\.0\.0\.1:\d+\//.exec(this.card)?.[0] ?? "http://127.0.0.1:1/";
  }

  /** The brokers that the site file names, by path. */
  get brokers(): { readonly lte: { readonly host: string; readonly port: number } } {
    const config = parse(readFileSync(join(this.#folder, "run", "site.yaml"), "utf8")) as {
      noc: { brokers: { host: string; port: number; paths: string[] }[] };
    };
    const lte = config.noc.brokers.find(({ paths }) => paths[0] === "lte");
    if (lte === undefined) throw new Error("no broker over lte in the site file");
    return { lte };
  }

  /** `holdfast practice …` in another terminal. */
  command(...words: string[]): Promise<{ status: number; output: string }> {
    return this.#holdfast("practice", ...words);
  }

  drill(...words: string[]): Promise<{ status: number; output: string }> {
    return this.#holdfast("drill", ...words);
  }

  #holdfast(...words: string[]): Promise<{ status: number; output: string }> {
    const child = spawn(process.execPath, [...CLI, ...words, ...this.#directories], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    child.stdout.on("data", (text: Buffer) => {
      output += text.toString();
    });
    child.stderr.on("data", (text: Buffer) => {
      output += text.toString();
    });
    const late = setTimeout(() => child.kill("SIGKILL"), COMMAND_WITHIN_MS);
    return new Promise((resolve) =>
      child.on("close", (code) => {
        clearTimeout(late);
        resolve({ status: code ?? -1, output });
      }),
    );
  }

  /** Ctrl-C, as a terminal sends it. Harmless when it has ended. */
  async interrupt(): Promise<Ended> {
    const child = this.#child;
    if (child?.pid === undefined) return { status: undefined, left: [], detail: "" };
    this.#child = undefined;
    const family = descendants(child.pid);
    const begun = performance.now();
    const ended = new Promise<number | undefined>((resolve) => {
      if (child.exitCode !== null) resolve(child.exitCode);
      child.on("exit", (code) => resolve(code ?? undefined));
    });
    // strace ends with the program that it started, which is its first child.
    const supervisor = this.#traced ? family.find((pid) => parentOf(pid) === child.pid) : child.pid;
    if (supervisor !== undefined && isAlive(supervisor)) process.kill(supervisor, "SIGINT");
    const timeout = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), END_WITHIN_MS).unref());
    const status = await Promise.race([ended, timeout]);
    // A process is gone a moment after its parent has reported it.
    for (let i = 0; i < 20 && family.some(isAlive); i++) await new Promise((resolve) => setTimeout(resolve, 50));
    const left = [child.pid, ...family].filter(isAlive);
    const detail = `${family.length} processes, ${Math.round(performance.now() - begun)} ms, status ${status}${
      left.length > 0 ? `, left: ${left.map((pid) => `${pid} ${commandOf(pid)}`).join("; ")}` : ""
    }`;
    for (const pid of left) process.kill(pid, "SIGKILL");
    return { status, left, detail };
  }
}

function pids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number);
}

/** State and parent from /proc/PID/stat; undefined when it is gone. */
function stat(pid: number): { readonly state: string; readonly parent: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    const [state = "", parent = "0"] = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state, parent: Number(parent) };
  } catch {
    return undefined;
  }
}

function parentOf(pid: number): number {
  return stat(pid)?.parent ?? 0;
}

/** A zombie has ended: it only waits to be reaped. */
function isAlive(pid: number): boolean {
  const found = stat(pid);
  return found !== undefined && found.state !== "Z";
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ").slice(0, 120);
  } catch {
    return "";
  }
}

function descendants(pid: number): number[] {
  const parents = new Map(pids().map((each) => [each, parentOf(each)]));
  const found: number[] = [];
  for (let queue = [pid]; queue.length > 0; ) {
    const next = [...parents].filter(([, parent]) => queue.includes(parent)).map(([child]) => child);
    found.push(...next);
    queue = next;
  }
  return found;
}
