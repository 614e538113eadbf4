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
  readonly done: (answer: IpAnswer) => void;
  readonly deadline: Timer;
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

  const settle = (answer: IpAnswer) => {
    const first = pending.shift();
    first?.deadline.cancel();
    first?.done(answer);
  };
  const failAll = (error: string) => {
    out = "";
    err = "";
    while (pending.length > 0) settle({ ok: false, error });
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
      for (let end = out.indexOf("\n"); end >= 0; end = out.indexOf("\n")) {
        const line = out.slice(0, end);
        out = out.slice(end + 1);
        if (line !== "") settle(parsed(line));
      }
    });
    child.stderr?.on("data", (chunk: string) => {
      err += chunk;
      if (err.length > ANSWER_LIMIT) child.kill();
      for (let match = FAILED.exec(err); match !== null; match = FAILED.exec(err)) {
        const error = err.slice(0, match.index);
        err = err.slice(match.index + match[0].length);
        settle({ ok: false, error });
      }
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
      const child = batch;
      if (child?.stdin === undefined || child.stdin === null || !WORDS.test(question)) {
        return Promise.resolve({ ok: false, error: "ip cannot be asked" });
      }
      const { stdin } = child;
      return new Promise((done) => {
        // A child that hangs is of no use to the questions behind this one either.
        const deadline = clock.after(ANSWER_TIMEOUT_MS, () => child.kill("SIGKILL"));
        pending.push({ done, deadline });
        stdin.write(`${question}\n`);
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
