/** Adapter: child_process. `ip`, `nft` and /proc/sys, for the net helper and for the engine's look at them. */
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

export interface CommandResult {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** What plan and check need of the kernel. */
export interface Kernel {
  ip(words: readonly string[]): Promise<CommandResult>;
  /** `nft -f -` with this script. */
  nft(script: string): Promise<CommandResult>;
  nftList(table: string): Promise<CommandResult>;
  /** Undefined when there is no such key. */
  readSysctl(key: string): string | undefined;
  writeSysctl(key: string, value: string): void;
}

const TIMEOUT_MS = 5_000;
const OUTPUT_BYTES = 4_000_000;

function run(command: string, words: readonly string[], input?: string): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = execFile(
      command,
      [...words],
      { timeout: TIMEOUT_MS, maxBuffer: OUTPUT_BYTES, env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" } },
      (error, stdout, stderr) => {
        const said = stderr.trim() === "" && error !== null ? error.message : stderr.trim();
        resolve({ ok: error === null, stdout, stderr: said });
      },
    );
    child.stdin?.on("error", () => {});
    child.stdin?.end(input ?? "");
  });
}

export const kernel: Kernel = {
  ip: (words) => run("ip", words),
  nft: (script) => run("nft", ["-f", "-"], script),
  nftList: (table) => run("nft", ["list", "table", "inet", table]),
  readSysctl(key) {
    try {
      return readFileSync(`/proc/sys/${key}`, "utf8").trim();
    } catch {
      return undefined;
    }
  },
  writeSysctl(key, value) {
    writeFileSync(`/proc/sys/${key}`, value);
  },
};
