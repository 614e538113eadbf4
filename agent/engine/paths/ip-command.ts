/**
 * Adapter: child_process. Talks to the kernel through two long-lived `ip` processes: one monitors and says *that*
 * something changed, one answers questions in JSON from a batch on its standard input, in well under a millisecond,
 * where a new process for each question would take several. Neither needs privilege.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Clock, Timer } from "../../base/clock.ts";
import type { IpAnswer } from "./link-facts.ts";

export interface IpCommand {
  /** Asks `ip -json QUESTION` (words without shell meaning). Answers in the order asked; fails, never rejects. */
  ask(question: string): Promise<IpAnswer>;
  /** Called when the kernel reports any change of links, addresses, routes or neighbours. */
  onChange(listener: () => void): void;
  close(): void;
}

const ANSWER_LIMIT = 1_000_000;
const ANSWER_TIMEOUT_MS = 2_000;
const RESTART_MS = 1_000;
const WORDS = /^[A-Za-z0-9 .:/@_-]+$/;

interface Pending {
  readonly question: string;
  readonly done: (answer: IpAnswer) => void;
}

export function startIpCommand(clock: Clock): IpCommand {
  const listeners: (() => void)[] = [];
  const pending: Pending[] = [];
  let closed = false;
  let batch: ChildProcess | undefined;
  let monitor: ChildProcess | undefined;
  const restarts = new Set<Timer>();
  let out = "";
  let err = "";

  let deadline: Timer | undefined;

  // One question at a time: answers and errors come by two pipes, whose order among each other is lost.
  const askNext = () => {
    const [first] = pending;
    const stdin = batch?.stdin;
    if (first === undefined || deadline !== undefined) return;
    if (stdin === undefined || stdin === null) {
      settle({ ok: false, error: "ip cannot be asked" });
      return;
    }
    const asked = batch;
    deadline = clock.after(ANSWER_TIMEOUT_MS, () => asked?.kill("SIGKILL"));
    stdin.write(`${first.question}\n`);
  };
  const settle = (answer: IpAnswer) => {
    out = "";
    err = "";
    deadline?.cancel();
    deadline = undefined;
    pending.shift()?.done(answer);
    askNext();
  };
  const failAll = (error: string) => {
    deadline?.cancel();
    deadline = undefined;
    for (const { done } of pending.splice(0)) done({ ok: false, error });
  };
  const later = (start: () => void) => {
    if (closed) return;
    const timer = clock.after(RESTART_MS, () => {
      restarts.delete(timer);
      if (!closed) start();
    });
    restarts.add(timer);
  };

  const startBatch = () => {
    const child = spawn("ip", ["-json", "-force", "-batch", "-"], { stdio: ["pipe", "pipe", "pipe"] });
    batch = child;
    out = "";
    err = "";
    child.unref();
    child.on("error", (error) => {
      if (batch !== child) return;
      batch = undefined;
      failAll(error.message);
      // Without `ip` on the machine there is nothing to start again.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") later(startBatch);
    });
    child.on("exit", () => {
      if (batch !== child) return;
      batch = undefined;
      failAll("ip ended");
      later(startBatch);
    });
    child.stdin?.on("error", () => child.kill());
    child.stdout?.setEncoding("utf8");
    child.stderr?.setEncoding("utf8");
    child.stdout?.on("data", (chunk: string) => {
      out += chunk;
      if (out.length > ANSWER_LIMIT) child.kill();
      const end = out.indexOf("\n");
      if (end >= 0) settle(parsed(out.slice(0, end)));
    });
    child.stderr?.on("data", (chunk: string) => {
      err += chunk;
      if (err.length > ANSWER_LIMIT) child.kill();
      const failed = FAILED.exec(err);
      if (failed !== null) settle({ ok: false, error: err.slice(0, failed.index) });
    });
  };

  const startMonitor = () => {
    const child = spawn("ip", ["monitor", "link", "address", "route", "neigh"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    monitor = child;
    child.unref();
    child.on("error", (error) => {
      if (monitor !== child) return;
      monitor = undefined;
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") later(startMonitor);
    });
    child.on("exit", () => {
      if (monitor !== child) return;
      monitor = undefined;
      later(() => {
        startMonitor();
        // What changed while nobody looked.
        for (const listener of listeners) listener();
      });
    });
    child.stdout?.on("data", () => {
      for (const listener of listeners) listener();
    });
  };

  startBatch();
  startMonitor();
  return {
    ask(question) {
      if (batch === undefined || !WORDS.test(question)) {
        return Promise.resolve({ ok: false, error: "ip cannot be asked" });
      }
      return new Promise((done) => {
        pending.push({ question, done });
        askNext();
      });
    },
    onChange(listener) {
      listeners.push(listener);
    },
    close() {
      closed = true;
      for (const timer of restarts) timer.cancel();
      batch?.kill();
      monitor?.kill();
      failAll("closed");
    },
  };
}

const FAILED = /Command failed [^\n]*\n/;

function parsed(line: string): IpAnswer {
  try {
    return { ok: true, json: JSON.parse(line) as unknown };
  } catch {
    return { ok: false, error: "unreadable answer" };
  }
}
