import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Clock, Timer } from "../base/clock.ts";

/**
 * Adapter: child processes. Runs Holdfast's processes together where no systemd does: each is restarted on its own,
 * 200 ms after it ended and for ever, none waits for another, and all end together.
 */
const RESTART_MS = 200;
const GRACE_MS = 3000;

export interface ProcessSpec {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
}

export interface Supervisor {
  /** Starts one and resolves with its first message (`{ ready: true, … }`), or rejects when it ends before that. */
  start(spec: ProcessSpec): Promise<Readonly<Record<string, unknown>>>;
  /** Asks all to end, in reverse order of their start, and insists after three seconds. */
  stop(): Promise<void>;
}

export function createSupervisor(options: {
  readonly clock: Clock;
  /** JSON lines of each process go to files there; undefined: to standard output. */
  readonly log_dir: string | undefined;
  /** Called when a process ended by itself; it is being restarted. */
  readonly onDeath: (name: string, how: string) => void;
}): Supervisor {
  const running = new Map<string, ChildProcess>();
  const timers = new Set<Timer>();
  let stopping = false;

  const launch = (
    spec: ProcessSpec,
    onReady: (message: Record<string, unknown>) => void,
    onFirstDeath: (how: string) => void,
  ) => {
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", spec.program, ...spec.args], {
      stdio: [
        "ignore",
        options.log_dir === undefined ? "inherit" : "pipe",
        options.log_dir === undefined ? "inherit" : "pipe",
        "ipc",
      ],
      // Ctrl-C goes to the whole foreground group; only the supervisor may decide the order of the end.
      detached: true,
    });
    running.set(spec.name, child);
    if (options.log_dir !== undefined) {
      mkdirSync(options.log_dir, { recursive: true });
      const file = createWriteStream(join(options.log_dir, `${spec.name}.log`), { flags: "a" });
      child.stdout?.pipe(file, { end: false });
      child.stderr?.pipe(file, { end: false });
    }
    child.once("message", (message) => onReady(message as Record<string, unknown>));
    child.once("exit", (code, signal) => {
      running.delete(spec.name);
      const how = signal === null ? `exit status ${code}` : `signal ${signal}`;
      onFirstDeath(how);
      if (stopping) return;
      options.onDeath(spec.name, how);
      const timer = options.clock.after(RESTART_MS, () => {
        timers.delete(timer);
        if (!stopping)
          launch(
            spec,
            () => {},
            () => {},
          );
      });
      timers.add(timer);
    });
  };

  return {
    start(spec) {
      return new Promise((resolve, reject) => {
        launch(spec, resolve, (how) => reject(new Error(`${spec.name} ended at its start (${how})`)));
      });
    },
    async stop() {
      stopping = true;
      for (const timer of timers) timer.cancel();
      for (const child of [...running.values()].reverse()) {
        const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
        if (child.exitCode !== null || child.signalCode !== null) continue;
        child.kill("SIGTERM");
        const insist = options.clock.after(GRACE_MS, () => child.kill("SIGKILL"));
        await ended;
        insist.cancel();
      }
    },
  };
}
