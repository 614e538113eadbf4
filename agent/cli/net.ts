import { spawnSync } from "node:child_process";
import { HELP } from "./help.ts";
import { program } from "./run.ts";

/** Adapter: child process. `holdfast net`: the root helper, run as a program of its own. */
export async function net(args: string[]): Promise<number> {
  if (!["apply", "check", "down"].includes(args[0] ?? "")) {
    console.error(HELP.net);
    return 2;
  }
  return spawnSync(process.execPath, [program("net"), ...args], { stdio: "inherit" }).status ?? 1;
}
