// npm run bench [-- --json] [--only NAME] [--quick] [--list]: the figures, Holdfast beside Kamailio in the same run. Runs
// on Node 20 or newer and hands over to the pinned Node.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { ensureInstalled, pinnedNode, root } from "./bootstrap.mjs";
import { ensurePeers } from "./peers.mjs";

const args = process.argv.slice(2);
ensureInstalled();
if (!args.includes("--list") && !args.includes("--help")) {
  const why = ensurePeers();
  if (why !== undefined) {
    console.error(`The figures cannot be measured here: ${why}.`);
    process.exit(1);
  }
}
// The kernel ends the program when this one ends, even by SIGKILL; and the program's namespaces end with it.
const [command, first] =
  process.platform === "linux" ? ["setpriv", ["--pdeathsig", "KILL", pinnedNode]] : [pinnedNode, []];
const child = spawn(command, [...first, join(root, "tests/bench/main.ts"), ...args], {
  stdio: "inherit",
  env: { ...process.env, NODE_COMPILE_CACHE: join(root, "node_modules", ".cache", "holdfast-compile") },
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    // A terminal sends SIGINT to the whole group itself.
    if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
  });
}
child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 1)));
