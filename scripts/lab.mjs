// npm run lab -- SCENARIO|short|all [--repeat N] [--json] [--list]: live scenarios with real peers, each in Linux
// namespaces of its own. Runs on Node 20 or newer and hands over to the pinned Node.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ensureInstalled, pinnedNode, root } from "./bootstrap.mjs";
import { ensurePeers } from "./peers.mjs";

const args = process.argv.slice(2);
ensureInstalled();
if (!args.includes("--list")) {
  const why = ensurePeers();
  if (why !== undefined) {
    console.error(`The lab cannot run here: ${why}.`);
    process.exit(1);
  }
}
// The kernel ends the program when this one ends, even by SIGKILL; and the program's namespaces end with it.
const [command, first] =
  process.platform === "linux" ? ["setpriv", ["--pdeathsig", "KILL", pinnedNode]] : [pinnedNode, []];
const child = spawn(command, [...first, join(root, "tests/lab/main.ts"), ...args], {
  stdio: "inherit",
  env: { ...process.env, NODE_COMPILE_CACHE: join(root, "node_modules", ".cache", "holdfast-compile") },
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    // A terminal sends SIGINT to the whole group itself.
    if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
  });
}
// npm may be killed without a word, and then nobody tells this script. Between the two stands a shell.
const parentOf = (pid) => readFileSync(`/proc/${pid}/status`, "utf8").match(/^PPid:\t(\d+)/m)?.[1];
if (process.env.npm_lifecycle_event !== undefined && process.platform === "linux") {
  const shell = process.ppid;
  const npm = parentOf(shell);
  setInterval(() => {
    if (process.ppid !== shell || parentOf(shell) !== npm) child.kill("SIGTERM");
  }, 500).unref();
}
child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 1)));
