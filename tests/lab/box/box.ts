/** The box under test: the real processes, started as `holdfast run` starts them, each of which can be killed alone. */
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Evidence } from "../../../agent/base/events.ts";
import type { MovePermission } from "../../../agent/base/snapshot.ts";
import { lan, ports } from "../addresses.ts";
import { until } from "../deadline.ts";
import type { Layout } from "../network.ts";
import { type Program, type Programs, run, runIn, tryRunIn } from "../processes.ts";
import { type SiteOptions, siteFile } from "./site-file.ts";

const agent = (file: string): string => new URL(`../../../agent/${file}`, import.meta.url).pathname;

const getProgram = new URL("../servers/http-get.ts", import.meta.url).pathname;
const command = [process.execPath, agent("cli.ts")];

export type BoxProcess = "engine" | "media" | "site" | "cellular";

/** The parts of the box's own status document that scenarios judge by. */
export interface BoxStatus {
  readonly alarms: readonly { readonly code: string; readonly subject: string; readonly detail: string }[];
  readonly engine:
    | {
        readonly mode: string;
        readonly mode_reasons: readonly string[];
        readonly calls_go_by: string;
        readonly paths: readonly {
          readonly id: string;
          readonly state: string;
          readonly evidence: readonly Evidence[];
        }[];
        readonly trunks: readonly {
          readonly id: string;
          readonly state: string;
          readonly registered?: boolean;
          readonly in_use?: boolean;
          readonly evidence?: readonly Evidence[];
        }[];
        readonly phones: readonly {
          readonly number: string;
          readonly availability: string;
          readonly contacts: number;
          readonly elsewhere: number;
        }[];
        readonly stuck_phones: readonly { readonly number: string; readonly address: string; readonly why: string }[];
        readonly counters: Readonly<Record<string, number>>;
        readonly calls: readonly { readonly kind: string; readonly state: string }[];
        readonly call_moves: readonly MovePermission[];
        readonly emergency: { readonly state: string; readonly reason: string };
      }
    | undefined;
}

export class Box {
  readonly #programs: Programs;
  readonly #layout: Layout;
  readonly #directory: string;
  readonly #state: string;
  readonly #run: string;
  readonly #siteFile: string;
  #supervisor: Program | undefined;
  #starts = 0;

  constructor(programs: Programs, layout: Layout, directory: string, runDirectory: string) {
    this.#programs = programs;
    this.#layout = layout;
    this.#directory = directory;
    this.#state = join(runDirectory, "box-state");
    this.#run = join(runDirectory, "box-run");
    this.#siteFile = join(directory, "site.yaml");
  }

  /** Size of the engine's snapshot in bytes; 0 when there is none. */
  async snapshotSize(): Promise<number> {
    return stat(this.#snapshot).then(
      ({ size }) => size,
      () => 0,
    );
  }

  /** The snapshot as it is on the disk; empty when there is none. */
  async snapshotText(): Promise<string> {
    return readFile(this.#snapshot, "utf8").catch(() => "");
  }

  /** Whether the snapshot on disk speaks of something. */
  async snapshotHolds(text: string): Promise<boolean> {
    return readFile(this.#snapshot, "utf8").then(
      (content) => content.includes(text),
      () => false,
    );
  }

  /** Turns one byte in the middle of the snapshot into another. */
  async damageSnapshot(): Promise<void> {
    const bytes = await readFile(this.#snapshot);
    const middle = Math.floor(bytes.length / 2);
    bytes[middle] = (bytes[middle] ?? 0) ^ 1;
    await writeFile(this.#snapshot, bytes);
  }

  get #snapshot(): string {
    return join(this.#state, "snapshot.json");
  }

  /**
   * Writes the site file, applies rules and tables, starts the processes, and waits until the engine takes calls. On a
   * first boot that is before it has got the site file.
   */
  async powerOn(options: SiteOptions = {}): Promise<void> {
    await mkdir(this.#state, { recursive: true });
    await mkdir(this.#run, { recursive: true });
    await writeFile(this.#siteFile, siteFile(this.#layout, options));
    const applied = await tryRunIn("box", [...command, "net", "apply", "--config", this.#siteFile]);
    if (applied.code !== 0 && options.half_written !== true) {
      throw new Error(`holdfast net apply: exit ${applied.code}: ${applied.stderr.trim() || applied.stdout.trim()}`);
    }
    this.#supervisor = this.#programs.start({
      name: `box-${++this.#starts}`,
      namespace: "box",
      argv: [...command, "run", ...["--config", this.#siteFile, "--state-dir", this.#state, "--run-dir", this.#run]],
      cwd: this.#directory,
    });
    await this.takesCalls(5000);
  }

  /** Powers on, and waits until the engine has taken over the site file. */
  async start(options: SiteOptions = {}): Promise<void> {
    await this.powerOn(options);
    await this.configured();
  }

  async configured(): Promise<void> {
    await until("the engine to have taken over the site file", 5000, async () => {
      const status = await this.status();
      return (status?.engine?.trunks.some(({ id }) => id === "cloud") ?? false) || undefined;
    });
  }

  /** Resolves when the box answers SIP on the switch. */
  async takesCalls(deadline_ms: number): Promise<void> {
    await until("the box to listen for SIP on the switch", deadline_ms, async () => {
      // Over TCP it listens a moment later than over UDP, and a telephone that is refused stays away for long.
      for (const sockets of ["-Hlun", "-Hltn"]) {
        const { stdout } = await tryRunIn("box", ["ss", sockets, `src ${lan.box}:${ports.sip}`]);
        if (!stdout.includes(`:${ports.sip}`)) return undefined;
      }
      return true;
    });
  }

  /** Process ids of one of its processes; the supervisor starts a new one 200 ms after it has ended. */
  async pids(name: BoxProcess): Promise<number[]> {
    const program = agent(`${name}/main.ts`);
    const found: number[] = [];
    for (const entry of await readdir("/proc")) {
      if (!/^\d+$/.test(entry)) continue;
      const command = await readFile(join("/proc", entry, "cmdline"), "utf8").catch(() => "");
      if (command.split("\0").includes(program)) found.push(Number(entry));
    }
    return found;
  }

  /** Kills one process as a crash would; resolves with its old id. */
  async kill(name: BoxProcess): Promise<number> {
    const [pid] = await this.pids(name);
    if (pid === undefined) throw new Error(`the box has no ${name} process to kill`);
    process.kill(pid, "SIGKILL");
    return pid;
  }

  /** Stops one process without killing it, so that its supervisor does not start another: it is there and does nothing. */
  async freeze(name: BoxProcess): Promise<void> {
    for (const pid of await this.pids(name)) process.kill(pid, "SIGSTOP");
  }

  async thaw(name: BoxProcess): Promise<void> {
    for (const pid of await this.pids(name)) process.kill(pid, "SIGCONT");
  }

  /** Waits for another process of that name than `old`. */
  async back(name: BoxProcess, old: number, deadline_ms: number): Promise<number> {
    return until(`the box to start ${name} again`, deadline_ms, async () =>
      (await this.pids(name)).find((pid) => pid !== old),
    );
  }

  /** The power fails: every process ends at once. */
  async powerOff(): Promise<void> {
    await this.#supervisor?.stop("SIGKILL");
    for (const name of ["engine", "media", "site", "cellular"] as const) {
      for (const pid of await this.pids(name)) process.kill(pid, "SIGKILL");
    }
    // What a power cut takes with it: everything on tmpfs, and what the kernel was told.
    await rm(this.#run, { recursive: true, force: true });
    await runIn("box", ["nft", "flush", "ruleset"]);
    const rules = ["rule flush", "rule add pref 32766 lookup main", "rule add pref 32767 lookup default"];
    await run(["ip", "-n", "box", "-batch", "-"], { input: `${rules.join("\n")}\n` });
    for (const table of [101, 102]) await tryRunIn("box", ["ip", "route", "flush", "table", String(table)]);
  }

  /** Its status document, as the page gets it; undefined while it does not answer. */
  async status(): Promise<BoxStatus | undefined> {
    const url = `http://${lan.box}:${ports.api}/api/v1/status`;
    const { code, stdout } = await tryRunIn("box", [process.execPath, getProgram, url]);
    return code === 0 ? (JSON.parse(stdout) as BoxStatus) : undefined;
  }

  async mode(wanted: string, deadline_ms: number): Promise<BoxStatus> {
    return until(`the box to say its mode is ${wanted}`, deadline_ms, async () => {
      const status = await this.status();
      return status?.engine?.mode === wanted ? status : undefined;
    });
  }
}
