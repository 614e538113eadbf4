/** CPU time and memory of whole processes, from /proc, and where programs run. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../lab/processes.ts";

/** USER_HZ, which the kernel's interface fixes at 100 on every architecture that Node runs on. */
const TICK_US = 10_000;

/** User and system time of some processes, threads and reaped children left out, in µs. */
export async function cpu_us(pids: readonly number[]): Promise<number> {
  let ticks = 0;
  for (const pid of pids) {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    // Fields are counted after the name, which may hold anything: 14 and 15 of all are 11 and 12 of the rest.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * TICK_US;
}

/** How long the main threads of some processes were ready to run and had no core, ms since their start. */
export async function waited_ms(pids: readonly number[]): Promise<number> {
  let ns = 0;
  for (const pid of pids) ns += Number((await readFile(`/proc/${pid}/schedstat`, "utf8")).split(" ")[1]);
  return ns / 1e6;
}

export interface Memory {
  readonly pss_mb: number;
  readonly rss_mb: number;
}

export async function memory(pids: readonly number[]): Promise<Memory> {
  let [pss, rss] = [0, 0];
  for (const pid of pids) {
    const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
    pss += Number(rollup.match(/^Pss:\s+(\d+)/m)?.[1]);
    rss += Number(rollup.match(/^Rss:\s+(\d+)/m)?.[1]);
  }
  return { pss_mb: pss / 1024, rss_mb: rss / 1024 };
}

/** Processes whose command line has this among its arguments, `ip netns exec` and the like left out. */
export async function pidsOf(argument: string, program: string): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const command = (await readFile(join("/proc", entry, "cmdline"), "utf8").catch(() => "")).split("\0");
    if (command.includes(argument) && command[0]?.endsWith(program)) found.push(Number(entry));
  }
  return found;
}

/** Which cores the server under test, the load and all the rest may use. */
export interface Pinning {
  readonly server: string;
  readonly load: string;
  readonly rest: string;
}

/** The server has a core for itself; with two cores all else shares the other. */
export function pinning(cores: number): Pinning {
  if (cores >= 4) return { server: "1", load: "2", rest: "0,3" };
  return cores >= 2 ? { server: "1", load: "0", rest: "0" } : { server: "0", load: "0", rest: "0" };
}

/** Moves processes with all their threads. */
export async function pin(pids: readonly number[], cores: string): Promise<void> {
  for (const pid of pids) await run(["taskset", "-apc", cores, String(pid)]);
}

/** Moves everything in this lab that is not among `spared`. */
export async function pinAllBut(spared: readonly number[], cores: string): Promise<void> {
  for (const entry of await readdir("/proc")) {
    const pid = Number(entry);
    // A process may end meanwhile; kernel threads are not in this process namespace.
    if (Number.isInteger(pid) && !spared.includes(pid)) await pin([pid], cores).catch(() => {});
  }
}
