/** Adapter: child_process. Namespaces private to one run: how to get them, and what the first process in them prepares. */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { lan } from "./addresses.ts";
import { run } from "./processes.ts";

/** How this user gets private namespaces: root makes them, others by a user namespace of their own. */
export function namespaceCommand(): string[] {
  const rest = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-current-user", "--keep-caps"];
  const command = ["unshare", ...user, ...rest];
  const [program = "", ...args] = command;
  const tried = spawnSync(program, [...args, "true"], { encoding: "utf8" });
  if (tried.status !== 0) {
    const way =
      user.length > 0
        ? "run the lab as root, or allow unprivileged user namespaces"
        : "run it on a kernel that has them";
    throw new Error(`this kernel refuses private namespaces (${(tried.stderr ?? "").trim()}); ${way}`);
  }
  return ["setpriv", "--pdeathsig", "KILL", ...command];
}

/** Gives the run a /run of its own for named network namespaces, and telephones their DNS servers. */
export async function prepareMounts(): Promise<void> {
  await run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run"]);
  mkdirSync("/run/netns");
  // The telephones' sound library would leave a folder in /tmp for every start.
  process.env.PULSE_RUNTIME_PATH = "/run/pulse";
  // Telephones ask the box first and the router second, as DHCP would tell them.
  writeFileSync("/run/resolv.conf", `nameserver ${lan.box}\nnameserver ${lan.router}\noptions timeout:1 attempts:1\n`);
  await run(["mount", "--bind", "/run/resolv.conf", "/etc/resolv.conf"]);
}
